"""The trivial predictions every score is quoted beside: a constant, propagation alone, the climatology.

The constant is the median of what was observed in the first part of the run, frozen when that part is
over; the climatology is the distribution of the same values. They belong to a terminal and direction, not to
a satellite, so a handover does not lose them. The last value seen (persistence) needs no memory of this kind.
"""

from __future__ import annotations

from bisect import insort

import numpy as np
from numpy.typing import NDArray

#: values of the calibration part that are kept of a quantity; of more, evenly every second, fourth, ... one
_KEPT = 2048
#: fewer values than this are no distribution
_FEWEST = 4


class Climatology:
    """A frozen empirical distribution as a forecast: the same at all times.

    `values`: those it was seen to take.
    """

    def __init__(self, values: list[float]) -> None:
        self._values: NDArray[np.float64] = np.sort(np.asarray(values, dtype=np.float64))
        self._sums = np.concatenate(([0.0], np.cumsum(self._values)))
        n = len(self._values)
        ranks = 2.0 * np.arange(1, n + 1) - n - 1.0
        self._spread = float(np.sum(ranks * self._values)) / n**2  # half of E|X - X'|

    def crps(self, observed: float) -> float:
        """CRPS of an observation, in its unit: E|X - o| - E|X - X'| / 2."""
        n = len(self._values)
        below = int(self._values.searchsorted(observed, "right"))
        sums = self._sums  # of which plain numbers are taken: arithmetic with those of numpy is slow
        distance: float = observed * (2 * below - n) - 2.0 * sums.item(below) + sums.item(n)
        return distance / n - self._spread


class ConstantBaseline:
    """Medians and distributions of the calibration part by (key, quantity); until it is over, medians so far.

    Bounded: of a long calibration part an even choice of the values is kept.
    """

    def __init__(self, calibration_s: float) -> None:
        self.calibration_s = calibration_s
        self._values: dict[tuple[str, str], list[float]] = {}
        #: the same in ascending order
        self._ordered: dict[tuple[str, str], list[float]] = {}
        # every how manieth value is kept, and how many came
        self._stride: dict[tuple[str, str], tuple[int, int]] = {}
        self._climatologies: dict[tuple[str, str], Climatology] = {}

    def add(self, key: str, quantity: str, observed: float, t_s: float) -> None:
        """An observation at run time `t_s`; ignored after the calibration part, unless it is the first.

        A link that only appears later would otherwise have no baseline: its first value stands in.
        """
        name = (key, quantity)
        if t_s > self.calibration_s and name in self._values:
            return
        values = self._values.setdefault(name, [])
        stride, came = self._stride.get(name, (1, 0))
        if came % stride == 0:
            values.append(observed)
            insort(self._ordered.setdefault(name, []), observed)
            self._climatologies.pop(name, None)
        if len(values) > _KEPT:
            del values[1::2]
            self._ordered[name] = sorted(values)
            stride *= 2
        self._stride[name] = stride, came + 1

    def forget(self, key: str) -> None:
        """What has the key exists no more."""
        for kept in (self._values, self._ordered, self._stride, self._climatologies):
            for name in [name for name in kept if name[0] == key]:
                del kept[name]

    def value(self, key: str, quantity: str) -> float | None:
        """The constant to predict; None before anything was observed."""
        ordered = self._ordered.get((key, quantity))
        if not ordered:
            return None
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2

    def climatology(self, key: str, quantity: str, t_s: float) -> Climatology | None:
        """The distribution of the calibration part; None before it is over, or where that held too little."""
        name = (key, quantity)
        if t_s <= self.calibration_s or len(self._values.get(name, ())) < _FEWEST:
            return None
        if name not in self._climatologies:
            self._climatologies[name] = Climatology(self._values[name])
        return self._climatologies[name]
