"""What the slots of a series are like: levels and spreads in normal scores, and how they follow on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array
from testbed.measured.models.generated import Segments
from testbed.measured.models.statistics import autocorrelation

#: a slot with fewer samples has no level of its own
_LEAST_IN_SLOT: Final = 5
#: entries of the quantile tables of levels and spreads at most
_TABLE: Final = 65
#: segments of a block at most
_MOST_SEGMENTS: Final = 512
#: slots in a row without a level, of which a straight line takes the place; more lie between two recordings
_LONGEST_GAP: Final = 8
_SPREAD_RANGE: Final = (0.05, 4.0)


@dataclass(frozen=True, eq=False)
class Levels:
    """Of the slots of a series, in normal scores."""

    #: [n] slot of each sample, ascending from 0
    slot: NDArray[np.int64]
    #: [slots] samples that have a score
    count: NDArray[np.int64]
    #: [slots] mean and standard deviation of the scores, nan where there are too few
    mean: Array
    spread: Array
    #: [slots] mean delay, ms
    delay: Array


def slots(times_s: Array, length_s: float, offset_s: float) -> NDArray[np.int64]:
    """[n] number of the slot of each time, from 0."""
    slot = np.floor((times_s - offset_s) / length_s).astype(np.int64)
    return np.asarray(slot - slot[0])


def around(values: Array, slot: NDArray[np.int64]) -> Array:
    """[n] the median of each sample's slot, of all where the slot has few samples."""
    result = np.full(int(slot[-1]) + 1, np.nanmedian(values))
    kept = np.isfinite(values)
    index, there = slot[kept], values[kept]
    ordered = there[np.lexsort((there, index))]
    starts = np.flatnonzero(np.diff(index, prepend=-1))
    sizes = np.diff(starts, append=len(index))
    many = sizes >= _LEAST_IN_SLOT
    result[index[starts[many]]] = ordered[starts[many] + sizes[many] // 2]
    return result[slot]


def told(values: Array, slot: NDArray[np.int64], least: int) -> bool:
    """Whether as many slots as `least` have samples enough for a level of their own."""
    count = np.bincount(slot[np.isfinite(values)])
    return int(np.count_nonzero(count >= _LEAST_IN_SLOT)) >= least


def levels(values: Array, scores: Array, slot: NDArray[np.int64]) -> Levels:
    """Of delays [n] and their normal scores, nan where there are none."""
    present = np.isfinite(scores)
    count = np.bincount(slot[present], minlength=slot[-1] + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(slot[present], scores[present], len(count)) / count
        square = np.bincount(slot[present], scores[present] ** 2, len(count)) / count
        delay = np.bincount(slot[present], values[present], len(count)) / count
        spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    few = count < _LEAST_IN_SLOT
    mean[few] = spread[few] = delay[few] = np.nan
    return Levels(slot, count, mean, spread, delay)


def within(scores: Array, levels: Levels) -> Array:
    """[n] scores within their slot: of mean 0 and variance 1."""
    spread = np.maximum(levels.spread, _SPREAD_RANGE[0])
    return np.asarray((scores - levels.mean[levels.slot]) / spread[levels.slot])


def segments(begin_s: float, levels: Levels, length_s: float, offset_s: float | None) -> Segments:
    """Segments with the distribution of those `levels`; on a grid blocks begin with a slot."""
    there = np.isfinite(levels.mean)
    delay = _filled(levels.delay)[_of_recordings(there)]
    mean, spread = levels.mean[there], np.clip(levels.spread[there], *_SPREAD_RANGE)
    weight = levels.count[there].astype(np.float64)
    ranks = np.stack([np.argsort(np.argsort(x)) for x in (mean, spread)]).astype(np.float64)
    agreement = float(np.corrcoef(ranks[0], ranks[1]).item(1)) if len(mean) > 2 else 0.0
    if offset_s is not None:
        begin_s = offset_s + length_s * np.floor((begin_s - offset_s) / length_s)
    return Segments(
        length_s,
        None if offset_s is None else float(offset_s % length_s),
        begin_s,
        int(np.clip(len(delay), 1, _MOST_SEGMENTS)),
        _quantiles(mean, weight),
        _quantiles(spread, weight),
        float(np.clip(np.nan_to_num(agreement), -0.99, 0.99).tolist()),
        tuple(np.clip(np.nan_to_num(autocorrelation(delay, (1, 2, 3, 4))), -0.95, 0.99).tolist()),
    )


def _quantiles(values: Array, weight: Array) -> tuple[float, ...]:
    """At equidistant levels from 0 to 1, each value standing for its share of the weight."""
    order = np.argsort(values)
    after = np.cumsum(weight[order])
    middles = (after - 0.5 * weight[order]) / after[-1]
    return tuple(np.interp(np.linspace(0.0, 1.0, _TABLE), middles, values[order]).tolist())


def _of_recordings(there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[slots] whether a slot has a level or is one of the first few after one, which a gap leaves over."""
    places = np.arange(len(there))
    last = np.maximum.accumulate(np.where(there, places, 0))
    return np.asarray(places - last <= _LONGEST_GAP)


def _filled(levels: Array) -> Array:
    """Levels with a straight line where there is none."""
    there = np.flatnonzero(np.isfinite(levels))
    return np.interp(np.arange(len(levels)), there, levels[there])
