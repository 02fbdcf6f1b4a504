"""Quantiles of the normal and the gamma distribution, and the normal distribution function, compiled.

Numbers only: what they are used for is `jitter`'s matter.
"""

from __future__ import annotations

import math
from typing import Final

from emulator.jit import inline_packet_kernel, packet_kernel

_SQRT_HALF: Final = math.sqrt(0.5)
_SQRT_2_PI: Final = math.sqrt(2.0 * math.pi)
#: below every probability that a 53-bit uniform number can mean, above the smallest float
_LEAST: Final = 1e-300
#: steps that an inversion takes at most; a handful do
_MOST_STEPS: Final = 60
_MOST_TERMS: Final = 2000
_CONVERGED: Final = 1e-15
#: a Newton step smaller than this leaves an error of about its square
_LAST_STEP: Final = 1e-5


@inline_packet_kernel
def normal_above(z: float) -> float:
    """Probability that a standard normal variable is above z."""
    return 0.5 * math.erfc(z * _SQRT_HALF)


@inline_packet_kernel
def normal_hazard(z: float) -> float:
    """Density of the standard normal distribution at z over the probability above it (z below 37)."""
    return math.exp(-0.5 * z * z) / (_SQRT_2_PI * normal_above(z))


@packet_kernel
def normal_quantile(p: float) -> float:
    """The z below which a standard normal variable is with probability p, to about 1e-16.

    Wichura (1988), algorithm AS 241 (PPND16), Applied Statistics 37(3), 477-484. p = 0 and p = 1 give the
    quantiles of the smallest probabilities told apart from them.
    """
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        above = 2509.0809287301226727
        above = above * r + 33430.575583588128105
        above = above * r + 67265.770927008700853
        above = above * r + 45921.953931549871457
        above = above * r + 13731.693765509461125
        above = above * r + 1971.5909503065514427
        above = above * r + 133.14166789178437745
        above = above * r + 3.387132872796366608
        below = 5226.495278852854561
        below = below * r + 28729.085735721942674
        below = below * r + 39307.89580009271061
        below = below * r + 21213.794301586595867
        below = below * r + 5394.1960214247511077
        below = below * r + 687.1870074920579083
        below = below * r + 42.313330701600911252
        return q * above / (below * r + 1.0)
    r = math.sqrt(-math.log(max(min(p, 1.0 - p), _LEAST if q < 0.0 else 2.0**-54)))
    if r <= 5.0:
        r -= 1.6
        above = 7.7454501427834140764e-4
        above = above * r + 0.0227238449892691845833
        above = above * r + 0.24178072517745061177
        above = above * r + 1.27045825245236838258
        above = above * r + 3.64784832476320460504
        above = above * r + 5.7694972214606914055
        above = above * r + 4.6303378461565452959
        above = above * r + 1.42343711074968357734
        below = 1.05075007164441684324e-9
        below = below * r + 5.475938084995344946e-4
        below = below * r + 0.0151986665636164571966
        below = below * r + 0.14810397642748007459
        below = below * r + 0.68976733498510000455
        below = below * r + 1.6763848301838038494
        below = below * r + 2.05319162663775882187
    else:
        r -= 5.0
        above = 2.01033439929228813265e-7
        above = above * r + 2.71155556874348757815e-5
        above = above * r + 0.0012426609473880784386
        above = above * r + 0.026532189526576123093
        above = above * r + 0.29656057182850489123
        above = above * r + 1.7848265399172913358
        above = above * r + 5.4637849111641143699
        above = above * r + 6.6579046435011037772
        below = 2.04426310338993978564e-15
        below = below * r + 1.4215117583164458887e-7
        below = below * r + 1.8463183175100546818e-5
        below = below * r + 7.868691311456132591e-4
        below = below * r + 0.0148753612908506148525
        below = below * r + 0.13692988092273580531
        below = below * r + 0.59983220655588793769
    z = above / (below * r + 1.0)
    return -z if q < 0.0 else z


@inline_packet_kernel
def _gamma_below(shape: float, x: float, density: float) -> float:
    """Probability below x of a gamma variable of unit scale, as a power series (best for x below shape)."""
    term = 1.0 / shape
    total = term
    for n in range(1, _MOST_TERMS):
        term *= x / (shape + n)
        total += term
        if term < total * _CONVERGED:
            break
    return total * x * density


@inline_packet_kernel
def _gamma_above(shape: float, x: float, density: float) -> float:
    """Probability above x, as a continued fraction evaluated from the front (best for x above shape)."""
    tiny = 1e-300
    b = x + 1.0 - shape
    c = 1.0 / tiny
    d = 1.0 / b
    fraction = d
    for n in range(1, _MOST_TERMS):
        factor = n * (shape - n)
        b += 2.0
        d = factor * d + b
        if abs(d) < tiny:
            d = tiny
        c = b + factor / c
        if abs(c) < tiny:
            c = tiny
        d = 1.0 / d
        fraction *= d * c
        if abs(d * c - 1.0) < _CONVERGED:
            break
    return fraction * x * density


@packet_kernel
def gamma_quantile(shape: float, z: float) -> float:
    """The x of a gamma variable of this shape and scale 1 that is as likely exceeded as z of a normal one.

    Newton's method on the logarithm of the smaller tail (series and continued fraction: Abramowitz and
    Stegun 6.5.29, 6.5.31), from the cube of a normal variable (Wilson and Hilferty 1931) or, close to zero,
    the power law that the distribution follows there. Relative error below 1e-8 for shapes of 0.05 to 1000
    and |z| up to 8.
    """
    log_gamma = math.lgamma(shape)
    lower = normal_above(-z)
    upper = normal_above(z)
    x = 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * math.sqrt(shape))
    x = shape * x * x * x
    near_zero = math.exp((math.log(lower) + math.lgamma(shape + 1.0)) / shape)
    if x < 0.5 * shape and near_zero < 0.5 * (shape + 1.0):
        x = near_zero
    elif x <= 0.0:
        x = 0.5 * shape
    for _ in range(_MOST_STEPS):
        density = math.exp((shape - 1.0) * math.log(x) - x - log_gamma)
        # the step is of the logarithm of x, so that x stays positive
        if x < shape + 1.0:
            below = _gamma_below(shape, x, density)
            above = 1.0 - below
        else:
            above = _gamma_above(shape, x, density)
            below = 1.0 - above
        step = 0.0
        if z < 0.0:
            step = math.log(lower / below) * below / (x * density)
        elif above > 0.0:
            step = math.log(above / upper) * above / (x * density)
        step = min(1.0, max(-1.0, step))
        x *= math.exp(step)
        if abs(step) < _LAST_STEP:
            break
    return x
