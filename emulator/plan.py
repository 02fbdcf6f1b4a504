"""Which links are there between two decisions: what was chosen, the inter-satellite links, the wires.

A `Plan` holds until satellites are chosen anew or inter-satellite links change; in between, links set and
rise again, which `refresh` tells from positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulator.geometry.sight import GRAZING_HEIGHT_M, elevations, is_clear
from emulator.jit import kernel
from emulator.orbits.motion import Motion
from emulator.profiles import Profiles
from emulator.rows import Pairs
from emulator.spec import Place
from emulator.table import ACCESS, FEEDER, ISL
from emulator.topology.access import Choice
from emulator.topology.stations import Stations
from emulator.units import WGS84_A_M

Floats = NDArray[np.float64]

#: a hair below the least elevation is still there: decisions were taken on the exact figure
_HAIR_DEG: Final = 1e-6
#: radius squared of what is in the way of links between satellites, m2
_BLOCKED_M2: Final = (WGS84_A_M + GRAZING_HEIGHT_M) ** 2


@kernel
def _refresh(
    place: Any, axes: Any, published: Any, sky: Any, high: Any, position: Any, linked: Any, alive: Any
) -> bool:
    """Bring `alive` [pairs] up to date for all pairs with a satellite; whether any came or went.

    `place` [p, 3] m and `axes` [p, 3, 3] of the places, `published` [used, 3] m of the satellites. `sky`: of
    each pair of the two its row in `alive`, the place, the row in `published`, and the least elevation in
    degrees; `high` is scratch. `linked`: of each inter-satellite pair its row in `alive`, and its ends as
    rows of `position`.
    """
    row, at, satellite, least_deg = sky
    changed = False
    elevations(place, axes, at, published, satellite, high)
    for k in range(row.shape[0]):
        there = high[k] >= least_deg[k] - _HAIR_DEG
        changed |= there != alive[row[k]]
        alive[row[k]] = there
    row, a, b = linked
    for k in range(row.shape[0]):
        there = is_clear(position[a[k]], position[b[k]], _BLOCKED_M2)
        changed |= there != alive[row[k]]
        alive[row[k]] = there
    return changed


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
        sky = Pairs.of(rows)
        ends = linked.astype(np.int32) + np.int32(first)
        kind = np.full(len(ends), ISL, dtype=np.uint8)
        profile = np.full(len(ends), Profiles.isl, dtype=np.int32)
        self.pairs = Pairs.joined(sky, Pairs(kind, ends[:, 0], ends[:, 1], profile, profile), fixed)
        touched = np.zeros(first + len(satellites), dtype=np.bool_)
        touched[self.pairs.a] = touched[self.pairs.b] = True
        #: satellites that any of the pairs touch, rising
        self.used = np.flatnonzero(touched[first:]).astype(np.int32)
        to_satellite = np.flatnonzero(sky.b >= first)
        self._sky = (
            to_satellite,
            sky.a[to_satellite],
            np.searchsorted(self.used, sky.b[to_satellite] - first),
            np.array([places[p].min_elevation_deg for p in sky.a[to_satellite]], dtype=np.float64),
        )
        self._high = np.empty(len(to_satellite))
        self._linked = np.arange(len(sky.a), len(sky.a) + len(ends)), *ends.T.copy()
        self._to_station = np.flatnonzero(sky.b < first)
        self._choice = choice
        #: [pairs] which of them are there; see `refresh`
        self.alive = np.ones(len(self.pairs.a), dtype=np.bool_)
        self._fresh = True
        names = [place.id for place in places]
        #: terminal -> the satellite or station that serves it, "" for none
        self.serving = {
            names[place]: (names[provider] if provider < first else satellites[provider - first])
            if provider >= 0
            else ""
            for place, provider in choice.serving.items()
        }

    def follows(self, choice: Choice) -> bool:
        """Whether this is the plan for what was chosen, given the same inter-satellite links."""
        mine = self._choice
        return mine.serving == choice.serving and mine.feeders == choice.feeders

    def refresh(self, motion: Motion, stations: Stations, position: Floats, published: Floats) -> bool:
        """Bring `alive` to the present; whether any of the pairs came or went since the call before.

        `position` [places, 3] m where everything is; `published` [used, 3] m where the satellites in use are
        by their elements, from which access follows whatever is true.
        """
        moved = _refresh(
            motion.position, motion.axes, published, self._sky, self._high, position, self._linked,
            self.alive,
        )  # fmt: skip
        if len(self._to_station):
            terminal, station = self.pairs.a[self._to_station], self.pairs.b[self._to_station]
            reached = stations.reaches(terminal, station, motion)
            moved = moved or not np.array_equal(reached, self.alive[self._to_station])
            self.alive[self._to_station] = reached
        changed, self._fresh = self._fresh or bool(moved), False
        return changed
