"""Sine and cosine without branches and calls, so that loops over satellites compile to vector instructions.

For angles up to a million turns; libm's functions stay the choice wherever a loop is not vectorised anyway.
"""

from __future__ import annotations

from typing import Any, Final

from emulator.jit import inline_kernel

_PER_QUARTER: Final = 0.63661977236758134308
# A quarter turn in three parts (Cody and Waite 1980). The first has 31 bits that are not zero, so that its
# product with a count of quarters below 2**22, a million turns, is exact; the second's is to 1e-19.
_QUARTER_1: Final = 1.57079632673412561417
_QUARTER_2: Final = 6.07710050630396597660e-11
_QUARTER_3: Final = 2.02226624879595063154e-21
#: adding and taking away 1.5 * 2**52 rounds a double to the nearest integer
_ROUND: Final = 6755399441055744.0

# Taylor's coefficients 1 / n!: on an eighth of a turn the first one left out adds less than 5e-17.
_S3, _S5, _S7, _S9 = -1.0 / 6.0, 1.0 / 120.0, -1.0 / 5040.0, 1.0 / 362880.0
_S11, _S13, _S15 = -1.0 / 39916800.0, 1.0 / 6227020800.0, -1.0 / 1307674368000.0
_C4, _C6, _C8, _C10 = 1.0 / 24.0, -1.0 / 720.0, 1.0 / 40320.0, -1.0 / 3628800.0
_C12, _C14, _C16 = 1.0 / 479001600.0, -1.0 / 87178291200.0, 1.0 / 20922789888000.0


@inline_kernel
def sin_cos(angle_rad: Any) -> Any:
    """(sine, cosine) of an angle below a million turns, good to 3e-16."""
    quarters = (angle_rad * _PER_QUARTER + _ROUND) - _ROUND
    x = ((angle_rad - quarters * _QUARTER_1) - quarters * _QUARTER_2) - quarters * _QUARTER_3
    # -2 .. 2
    quadrant = quarters - 4.0 * ((quarters * 0.25 + _ROUND) - _ROUND)
    z = x * x
    s = _S7 + z * (_S9 + z * (_S11 + z * (_S13 + z * _S15)))
    s = x + x * z * (_S3 + z * (_S5 + z * s))
    c = _C8 + z * (_C10 + z * (_C12 + z * (_C14 + z * _C16)))
    c = 1.0 - 0.5 * z + z * z * (_C4 + z * (_C6 + z * c))
    odd = abs(quadrant) == 1.0
    half = abs(quadrant) == 2.0
    sine = c if odd else s
    cosine = s if odd else c
    sine = -sine if (half or quadrant == -1.0) else sine
    cosine = -cosine if (half or quadrant == 1.0) else cosine
    return sine, cosine


@inline_kernel
def within_a_turn(angle_rad: Any) -> Any:
    """The same angle between minus and plus half a turn."""
    quarters = 4.0 * ((angle_rad * (0.25 * _PER_QUARTER) + _ROUND) - _ROUND)
    return ((angle_rad - quarters * _QUARTER_1) - quarters * _QUARTER_2) - quarters * _QUARTER_3
