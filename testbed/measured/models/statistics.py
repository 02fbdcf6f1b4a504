"""Statistics that models are calibrated to: medians of 100 ms, their autocorrelation, the share of slots.

As few as a calibration needs, fast, on plain arrays; the measures of fidelity are not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array

#: medians are taken over this long
BIN_S: Final = 0.1
#: what is longer without a sample, and than so many usual intervals, lies between two recordings
_LONGEST_GAP_S: Final = 60.0
_LONGEST_GAP_INTERVALS: Final = 5.0


@dataclass(frozen=True)
class Bins:
    """Which samples fall into which 100 ms; made once for the sending times of a measurement."""

    count: int
    #: [n] bin of each sample, ascending
    index: NDArray[np.int64]

    @classmethod
    def of(cls, times_s: Array) -> Bins:
        """Bins begin at whole tenths of a second; of a gap between recordings little is left."""
        index = np.floor(times_s / BIN_S).astype(np.int64)
        steps = np.diff(index, prepend=index[0])
        index -= np.cumsum(np.maximum(steps - round(_longest_gap_s(times_s) / BIN_S), 0))
        first = int(index[0])
        return cls(int(index[-1]) - first + 1, index - first)

    def medians(self, values: Array) -> Array:
        """[count] median of the values of each bin, a straight line over bins without one.

        Lost samples (nan) do not count; one at least must have a value.
        """
        kept = np.isfinite(values)
        index = self.index[kept]
        order = np.lexsort((values[kept], index))
        ordered = values[kept][order]
        starts = np.flatnonzero(np.diff(index, prepend=-1))
        sizes = np.diff(starts, append=len(index))
        medians = 0.5 * (ordered[starts + (sizes - 1) // 2] + ordered[starts + sizes // 2])
        return np.asarray(np.interp(np.arange(self.count), index[starts], medians), dtype=np.float64)


def covered_s(times_s: Array) -> float:
    """How long samples were taken, without the gaps between recordings."""
    gaps_s = np.diff(times_s)
    return float(np.ptp(times_s) - np.sum(np.maximum(gaps_s - _longest_gap_s(times_s), 0.0)))


def _longest_gap_s(times_s: Array) -> float:
    usual_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    return max(_LONGEST_GAP_S, _LONGEST_GAP_INTERVALS * usual_s)


def autocovariance(series: Array, lags: Sequence[int]) -> Array:
    """[lags] mean product of values so many bins apart, about the mean of all; nan beyond the series."""
    centred = series - series.mean()
    count = len(series)
    return np.array([centred[: count - n] @ centred[n:] / (count - n) if n < count else np.nan for n in lags])


def autocorrelation(series: Array, lags: Sequence[int]) -> Array:
    """[lags] autocovariance over the variance; nan beyond the series, 0 for what never changes."""
    variance = float(series.var())
    if variance == 0.0:
        return np.zeros(len(lags))
    return np.asarray(autocovariance(series, lags) / variance, dtype=np.float64)


def slot_share(values: Array, slot: NDArray[np.int64]) -> float:
    """Share of the variance of `values` [n] that the medians of their slots explain; nan does not count.

    `slot` [n] ascending. 1 - mean square about the medians / variance; 0 where nothing varies.
    """
    kept = np.isfinite(values)
    index, there = slot[kept], values[kept]
    variance = float(there.var())
    if variance == 0.0:
        return 0.0
    ordered = there[np.lexsort((there, index))]
    starts = np.flatnonzero(np.diff(index, prepend=-1))
    sizes = np.diff(starts, append=len(index))
    medians = 0.5 * (ordered[starts + (sizes - 1) // 2] + ordered[starts + sizes // 2])
    return 1.0 - float(np.mean((ordered - np.repeat(medians, sizes)) ** 2)) / variance
