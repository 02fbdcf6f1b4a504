"""Sequences of segments: levels and spreads of calibrated distributions, in an order of stated correlation.

Each block of segments holds every stratum of the distributions once, so that a stretch as long as a block
has the calibrated distribution whatever its seed; only the order is random. Orders come from a process of the
wanted correlation, and are brought nearer to it by exchanges.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulator.jit import kernel
from testbed.measured.measurement import Array

#: exchanges tried on each order
_EXCHANGES: Final = 1500
#: all patterns of all models come from this
_SEED: Final = 20261120


def patterns(
    count: int,
    level: Array,
    delay: Array,
    spread: Array,
    agreement: float,
    correlation: Array,
    *,
    length_s: float,
    irregular: bool,
    made: int,
) -> Array:
    """Segments [made, count, 5] as `emulator.links.process.Process` takes them.

    `level`, `spread`: quantiles at equidistant levels from 0 to 1; `delay`: of each entry of `level`;
    `agreement`: rank correlation of level and spread; `correlation` [k]: autocorrelation of the delays of
    segments, 1 to k apart. Segments last `length_s`, irregular ones
    that in the mean. The same arguments give the same segments.
    """
    random = np.random.default_rng(_SEED)
    strata = (np.arange(count) + 0.5) / count
    levels = np.interp(strata, np.linspace(0.0, 1.0, len(level)), level)
    delays = np.interp(strata, np.linspace(0.0, 1.0, len(level)), delay)
    result = np.zeros((made, count, 5))
    for pattern in result:
        order = _order(delays, correlation, random)
        pattern[:, 1] = levels[order]
        scores = _scores(count)[order]
        mixed = agreement * scores + np.sqrt(1.0 - agreement**2) * random.permutation(_scores(count))
        ranks = np.argsort(np.argsort(mixed))
        pattern[:, 2] = np.interp(strata[ranks], np.linspace(0.0, 1.0, len(spread)), spread)
        pattern[:, 3] = random.permutation(strata)
        pattern[:, 4] = random.permutation(strata)
        lengths_ns = np.full(count, round(length_s * 1e9))
        if irregular:
            # Pairs that share two lengths unevenly: no two boundaries are a stated time apart.
            uneven = np.round(lengths_ns[: count // 2] * random.uniform(-0.6, 0.6, count // 2))
            lengths_ns[: 2 * (count // 2) : 2] += uneven.astype(np.int64)
            lengths_ns[1 : 2 * (count // 2) : 2] -= uneven.astype(np.int64)
        pattern[:, 0] = lengths_ns
    return result


def _scores(count: int) -> Array:
    """Normal scores of `count` strata."""
    from scipy.special import ndtri

    return np.asarray(ndtri((np.arange(count) + 0.5) / count))


def _order(levels: Array, wanted: Array, random: np.random.Generator) -> NDArray[np.int64]:
    """Indices [n] of ascending `levels` in an order whose autocorrelation is near `wanted` [k]."""
    count, lags = len(levels), min(len(wanted), max(0, len(levels) - 2))
    wanted = wanted[:lags]
    if lags == 0 or np.ptp(levels) == 0.0:
        return random.permutation(count)
    # An AR(1) process of the wanted first correlation gives orders to begin with.
    first = float(np.clip(wanted[0], -0.9, 0.98))
    noise = random.standard_normal(count)
    series = noise.copy()
    for at in range(1, count):
        series[at] = first * series[at - 1] + np.sqrt(1.0 - first**2) * noise[at]
    order = np.argsort(np.argsort(series))
    _exchange(levels[order] - levels.mean(), order, wanted, random.integers(0, count, (_EXCHANGES, 2)))
    return np.asarray(order)


@kernel
def _exchange(x: Any, order: Any, wanted: Any, pairs: Any) -> None:
    """Exchange those of the `pairs` [m, 2] of entries that bring the autocorrelation of `x` [n] nearer."""
    count, power = len(x), 0.0
    for value in x:
        power += value * value
    least = -1.0
    for pair in range(-1, len(pairs)):
        one, other = 0, 0
        if pair >= 0:
            one, other = pairs[pair, 0], pairs[pair, 1]
        x[one], x[other] = x[other], x[one]
        error = 0.0
        for lag in range(1, len(wanted) + 1):
            total = 0.0
            for at in range(count - lag):
                total += x[at] * x[at + lag]
            away = total / power * count / (count - lag) - wanted[lag - 1]
            error += away * away
        if least < 0.0 or error < least:
            least = error
            order[one], order[other] = order[other], order[one]
        else:
            x[one], x[other] = x[other], x[one]
