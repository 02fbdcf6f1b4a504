"""Which links are there between two decisions: what was chosen, the inter-satellite links, the wires.

A `Plan` holds until satellites are chosen anew or inter-satellite links change; in between, links set and
rise again, which `alive` tells from positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emulator.geometry import clear_between, elevation_deg
from emulator.orbits.motion import Motion
from emulator.profiles import Profiles
from emulator.rows import Pairs
from emulator.spec import Place
from emulator.table import ACCESS, FEEDER, ISL
from emulator.topology.access import Choice
from emulator.topology.stations import Stations

Floats = NDArray[np.float64]

#: a hair below the least elevation is still there: decisions were taken on the exact figure
_HAIR_DEG = 1e-6


class Plan:
    """The pairs that exist until the next decision, before any of them sets.

    `places`: of the spec, satellites follow them in the count; `linked` [m, 2]: satellites that are linked,
    counted among satellites; `fixed`: links that depend on none.
    """

    def __init__(
        self,
        places: Sequence[Place],
        satellites: Sequence[str],
        profiles: Profiles,
        choice: Choice,
        linked: NDArray[np.int32],
        fixed: Pairs,
    ) -> None:
        self._first = first = len(places)
        rows: list[tuple[int, int, int, int, int]] = []
        for place, provider in choice.serving.items():
            if provider >= 0:
                # a station serves with its own radio, whose up is from the terminal all the same
                up = profiles.of_radio(places[provider if provider < first else place].radio)
                rows.append((ACCESS, place, provider, up, up + 1))
        for place, satellite in choice.feeders:
            up = profiles.of_radio(places[place].radio)
            rows.append((FEEDER, place, satellite, up, up + 1))
        self._sky = Pairs.of(rows)
        self._to_satellite = np.flatnonzero(self._sky.b >= first)
        self._to_station = np.flatnonzero(self._sky.b < first)
        self._least_deg = np.array([places[p].min_elevation_deg for p in self._sky.a], dtype=np.float64)
        ends = linked.astype(np.int32) + np.int32(first)
        kind = np.full(len(ends), ISL, dtype=np.uint8)
        profile = np.full(len(ends), Profiles.isl, dtype=np.int32)
        self._isl = Pairs(kind, ends[:, 0], ends[:, 1], profile, profile)
        self._fixed = len(fixed.a)
        self.pairs = Pairs.joined(self._sky, self._isl, fixed)
        touched = np.zeros(first + len(satellites), dtype=np.bool_)
        touched[self.pairs.a] = touched[self.pairs.b] = True
        #: satellites that any of the pairs touch, rising
        self.used = np.flatnonzero(touched[first:]).astype(np.int32)
        names = [place.id for place in places]
        #: terminal -> the satellite or station that serves it, "" for none
        self.serving = {
            names[place]: (names[provider] if provider < first else satellites[provider - first])
            if provider >= 0
            else ""
            for place, provider in choice.serving.items()
        }

    def alive(
        self, motion: Motion, stations: Stations, position: Floats, published: Floats
    ) -> NDArray[np.bool_]:
        """Which of `pairs` are there now.

        `position` [places, 3] m where everything is; `published` [used, 3] m where the satellites in use are
        by their elements, from which access follows whatever is true.
        """
        sky, at = self._sky, self._to_satellite
        there = np.ones(len(sky.a), dtype=np.bool_)
        seen = published[np.searchsorted(self.used, sky.b[at] - self._first)]
        high = elevation_deg(motion.position[sky.a[at]], motion.axes[sky.a[at], 2], seen)
        there[at] = high >= self._least_deg[at] - _HAIR_DEG
        if len(self._to_station):
            terminal, station = sky.a[self._to_station], sky.b[self._to_station]
            there[self._to_station] = stations.reaches(terminal, station, motion)
        clear = clear_between(position, self._isl.a, self._isl.b)
        return np.concatenate([there, clear, np.ones(self._fixed, dtype=np.bool_)])
