"""A distribution in bounded memory: how values lie, whatever their unit, from one pass over them.

A t-digest (Dunning and Ertl, 2019) in its merging form: neighbouring values are kept as one weighted mean,
few in the tails and more in the middle. Shifting or scaling the values does the same to the result, so a
narrow distribution far from zero is kept as well as a wide one. The fidelity measures of `compare` take
its means and weights as they take values; `heaviest` bounds by how much a distribution function is off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: weighted means that are kept; no inner one holds more than about pi / (2 x this) of the weight at the first
#: merge, twice that after many
CELLS = 256
#: values that are gathered before they are merged
_GATHERED = 1024


class Gathered(NamedTuple):
    """Finite values, the least and the greatest of them."""

    values: list[float]
    low: float
    high: float


def gather(values: Sequence[float]) -> Gathered:
    """Those of the values that are finite, ready for a digest."""
    finite = [value for value in values if isfinite(value)]
    return Gathered(finite, min(finite, default=math.inf), max(finite, default=-math.inf))


class Digest:
    """At most `cells` weighted means and as many gathered values as are worth a merge."""

    __slots__ = ("_cells", "_gathered", "_means", "_pending", "_shares", "_weights", "high", "low", "total")

    def __init__(self, cells: int = CELLS) -> None:
        self._cells = cells
        self._means: Array = np.empty(0)
        self._weights: Array = np.empty(0)
        self._pending: list[float] = []
        self._shares: list[float] = []
        self._gathered = _GATHERED
        #: least and greatest value, exactly
        self.low, self.high = math.inf, -math.inf
        #: weight of all values
        self.total = 0.0

    def add(self, values: Sequence[float], weight: float = 1.0) -> None:
        """Values of one weight each; those that are not finite are left out."""
        self.take(gather(values), weight)

    def take(self, gathered: Gathered, weight: float = 1.0) -> None:
        """As `add`, of values that several digests are told of."""
        values = gathered.values
        if not values or weight <= 0.0:
            return
        self._pending += values
        self._shares += [weight] * len(values)
        self.total += weight * len(values)
        self.low, self.high = min(self.low, gathered.low), max(self.high, gathered.high)
        if len(self._pending) >= self._gathered:
            self._merge()

    def _merge(self) -> None:
        if not self._pending:
            return
        means = np.concatenate((self._means, self._pending))
        weights = np.concatenate((self._weights, self._shares))
        self._pending, self._shares = [], []
        order = np.argsort(means, kind="stable")
        means, weights = means[order], weights[order]
        if len(means) > self._cells:
            # cells of equal width in the arcsine of the rank: narrow in the tails, wide in the middle
            rank = (np.cumsum(weights) - 0.5 * weights) / weights.sum()
            cell = np.floor(self._cells * (0.5 + np.arcsin(2.0 * rank - 1.0) / math.pi)).astype(np.int64)
            first = np.flatnonzero(np.diff(np.clip(cell, 0, self._cells - 1), prepend=-1))
            merged = np.add.reduceat(weights, first)
            means, weights = np.add.reduceat(means * weights, first) / merged, merged
        self._means, self._weights = means, weights

    def points(self) -> tuple[Array, Array]:
        """Weighted means in ascending order, and their weights (views: do not change them)."""
        self._merge()
        return self._means, self._weights

    @property
    def heaviest(self) -> float:
        """Share of the weight that the heaviest mean holds: how far the distribution function can be off."""
        _, weights = self.points()
        return float(weights.max() / weights.sum()) if len(weights) else 0.0

    def quantile(self, level: float) -> float:
        """The `level` quantile, straight lines between the means; nan of nothing."""
        means, weights = self.points()
        if not len(means):
            return math.nan
        middles = (np.cumsum(weights) - 0.5 * weights) / weights.sum()
        return float(
            np.interp(level, np.concatenate(([0.0], middles, [1.0])), np.concatenate(
                ([self.low], means, [self.high])
            ))
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._means) + len(self._pending)
