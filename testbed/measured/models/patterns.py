"""Sequences of segments: levels and spreads of calibrated distributions, in an order of stated correlation.

Each block of segments holds every stratum of the distributions once, so that a stretch as long as a block
has the calibrated distribution whatever its seed; only the order is random. Of the orders that a seed gives,
those are kept whose autocorrelation is nearest to the one asked for, and improved by exchanges.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array

#: random orders looked at for each one kept, and exchanges tried on each of those
_CANDIDATES: Final = 12
_EXCHANGES: Final = 400
#: all patterns of all models come from this
_SEED: Final = 20261120


def patterns(
    count: int,
    level: Array,
    spread: Array,
    agreement: float,
    correlation: Array,
    *,
    length_s: float,
    irregular: bool,
    made: int,
) -> Array:
    """Segments [made, count, 5] as `emulator.links.process.Process` takes them.

    `level`, `spread`: quantiles at equidistant levels from 0 to 1; `agreement`: rank correlation of the two;
    `correlation` [k]: autocorrelation of levels at 1 to k segments. Segments last `length_s`, irregular ones
    that in the mean. The same arguments give the same segments.
    """
    random = np.random.default_rng(_SEED)
    strata = (np.arange(count) + 0.5) / count
    levels = np.interp(strata, np.linspace(0.0, 1.0, len(level)), level)
    result = np.zeros((made, count, 5))
    for pattern in result:
        order = _order(levels, correlation, random)
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
    noise = random.standard_normal((_CANDIDATES, count))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0]
    for at in range(1, count):
        series[:, at] = first * series[:, at - 1] + np.sqrt(1.0 - first**2) * noise[:, at]
    orders = np.argsort(np.argsort(series, axis=1), axis=1)
    centred = levels - levels.mean()
    power = float(centred @ centred)

    def away(order: Array) -> float:
        x = centred[order]
        found = np.array([x[:-lag] @ x[lag:] for lag in range(1, lags + 1)]) / power
        shares = 1.0 - np.arange(1, lags + 1) / count
        return float(np.sum((found / shares - wanted) ** 2))

    best = min(orders, key=away)
    error = away(best)
    for one, other in random.integers(0, count, (_EXCHANGES, 2)):
        tried = best.copy()
        tried[one], tried[other] = best[other], best[one]
        now = away(tried)
        if now < error:
            best, error = tried, now
    return np.asarray(best)
