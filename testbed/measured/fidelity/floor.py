"""How close the real world is to itself: distances between disjoint stretches of measurements.

A model that is as close to the test as stretches of the test's length are to each other cannot be told from
reality by that measure. Their median is the floor; distance over floor is the fidelity ratio R.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from testbed.errors import BadInput
from testbed.measured.fidelity.measures import MEASURES, Slotting, describe, distances
from testbed.measured.measurement import Measurement

#: a stretch may be so much shorter than the test, where a recording ends a little early
_NEARLY: Final = 0.9
#: stretches begin this share of their length after each other; only disjoint ones are compared
_STEP: Final = 0.25
#: pairs that are compared at most, evenly chosen
_MOST_PAIRS: Final = 40
#: of a recording much longer than the test so many stretches, evenly chosen, or pairs would fill the memory
_MOST_STRETCHES: Final = 1000
#: a stretch with fewer samples is not one
_LEAST_SAMPLES: Final = 50
_MOST_HALVINGS: Final = 3


@dataclass(frozen=True)
class Floor:
    """Median distance by measure between `pairs` pairs of real stretches, each `length_s` long."""

    distances: dict[str, float]
    length_s: float
    pairs: int
    #: how often the test's length was halved until there were two stretches
    halved: int

    def ratios(self, found: dict[str, float]) -> dict[str, float]:
        """R of each distance: 0 where it is zero, nan where distance or floor cannot be told or the floor is
        zero."""
        result = {}
        for name, distance in found.items():
            floor = self.distances.get(name, math.nan)
            if distance == 0.0 and not math.isnan(floor):
                result[name] = 0.0
            else:
                result[name] = distance / floor if floor > 0.0 else math.nan
        return result


def real_floor(measurements: Sequence[Measurement], length_s: float, slotting: Slotting) -> Floor:
    """The floor from all the real data there is.

    Where the data hold fewer than two stretches of `length_s`, it is halved. Raises `BadInput` when the data
    are too short for that too.
    """
    halved, pairs = 0, list[tuple[int, int]]()
    while True:
        stretches = _thinned(_stretches(measurements, length_s))
        pairs = [
            (a, b)
            for a, b in itertools.combinations(range(len(stretches)), 2)
            if stretches[a].end_s < stretches[b].begin_s or stretches[b].end_s < stretches[a].begin_s
        ]
        if pairs:
            break
        if halved == _MOST_HALVINGS:
            raise BadInput("the measurements are too short to tell how close the real world is to itself")
        halved, length_s = halved + 1, length_s / 2.0
    chosen = [
        pairs[i] for i in np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), _MOST_PAIRS)).astype(int))
    ]
    described = {
        index: describe(stretches[index], slotting) for index in sorted({i for p in chosen for i in p})
    }
    rows = [distances(described[a], described[b]) for a, b in chosen]
    medians = {}
    for name in MEASURES:
        column = np.array([row[name] for row in rows])
        known = column[np.isfinite(column)]
        medians[name] = float(np.median(known)) if known.size else math.nan
    return Floor(medians, length_s, len(chosen), halved)


def _thinned(stretches: list[Measurement]) -> list[Measurement]:
    """As many as are compared with each other at most, evenly chosen."""
    if len(stretches) <= _MOST_STRETCHES:
        return stretches
    return [stretches[i] for i in np.linspace(0, len(stretches) - 1, _MOST_STRETCHES).astype(int)]


def _stretches(measurements: Sequence[Measurement], length_s: float) -> list[Measurement]:
    found = []
    for measurement in measurements:
        span_s = measurement.span_s
        if span_s < _NEARLY * length_s:
            continue
        begin_s = measurement.begin_s
        starts = np.arange(0.0, max(span_s - _NEARLY * length_s, 0.0) + 1e-9, _STEP * length_s)
        for start in starts:
            end_s = begin_s + start + length_s
            # up to its end a stretch does not hold the next one's first sample, but the recording's last
            part = (begin_s + start, end_s if end_s < measurement.end_s else math.inf)
            first, last = np.searchsorted(measurement.times_s, part)
            if last - first < _LEAST_SAMPLES:
                continue
            stretch = measurement.between(*part)
            if stretch.answered.any() and stretch.span_s >= 0.8 * length_s:
                found.append(stretch)
    return found
