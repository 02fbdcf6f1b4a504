"""How often a place may send errors of its own: a token bucket whose clock is passed in.

Source: RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f, which recommend a token bucket.
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from emulator.jit import kernel

#: errors a second, and at once
RATE_PER_S: Final = 1000
BURST: Final = 100

_NS: Final = 1_000_000_000

# Fields of a bucket. Tokens are kept as the time that earns them.
CREDIT_NS: Final = 0
#: when the credit was counted last
COUNTED_NS: Final = 1
#: of one token
COST_NS: Final = 2
#: what the bucket holds
MOST_NS: Final = 3
#: how often it has given and refused
GIVEN: Final = 4
REFUSED: Final = 5
FIELDS: Final = 6


def make_bucket(rate_per_s: int = RATE_PER_S, burst: int = BURST) -> npt.NDArray[np.int64]:
    """A full bucket that earns `rate_per_s` tokens a second (1 to 10^9) and holds `burst` (1 to 10^6).

    Result: int64 of shape (FIELDS,), for `take`. Raises ValueError for other figures.
    """
    if not 1 <= rate_per_s <= _NS:
        raise ValueError(f"rate of {rate_per_s} errors a second, allowed: 1 to {_NS}")
    if not 1 <= burst <= 1_000_000:
        raise ValueError(f"burst of {burst} errors, allowed: 1 to 1000000")
    bucket = np.zeros(FIELDS, np.int64)
    bucket[COST_NS] = _NS // rate_per_s
    bucket[MOST_NS] = bucket[CREDIT_NS] = bucket[COST_NS] * burst
    return bucket


@kernel
def take(bucket: npt.NDArray[np.int64], now_ns: int) -> bool:
    """Take a token from a bucket at a time, ns; False: there is none. Time that goes back earns none."""
    elapsed = now_ns - bucket[COUNTED_NS]
    if elapsed > 0:
        # compared like this, since a sum with the time since the beginning might not fit
        if elapsed >= bucket[MOST_NS] - bucket[CREDIT_NS]:
            bucket[CREDIT_NS] = bucket[MOST_NS]
        else:
            bucket[CREDIT_NS] += elapsed
        bucket[COUNTED_NS] = now_ns
    if bucket[CREDIT_NS] < bucket[COST_NS]:
        bucket[REFUSED] += 1
        return False
    bucket[CREDIT_NS] -= bucket[COST_NS]
    bucket[GIVEN] += 1
    return True
