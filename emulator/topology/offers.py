"""What terminals and gateways can use at an instant: satellites in sight, stations in reach.

Offers only, each with what tells it from others; who takes which is `access`'s.

Offers differ by rank: 3 lasts through the interval and is fed, 2 is fed now, 1 lasts, 0 is only seen. A
satellite is fed that sees a gateway, or any where satellites forward to each other; a station brings its own
connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.geometry import elevation_deg
from emulator.geometry.visibility import Visibility, gathered
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.motion import Motion
from emulator.spec import Place
from emulator.topology.stations import Stations
from emulator.units import WGS84_A_M

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]

#: the layers that providers are of
LAYERS = ("station", "leo", "meo", "geo")
#: present height in km from which a satellite is of the third and of the fourth
LAYER_BOUNDS_KM = (2_000.0, 35_000.0)
#: the rank of what is fed now, and of what is besides fed through the interval
FED, LASTING = 2, 3


class Offers(NamedTuple):
    """What one place is offered; all [k], rising in `provider`."""

    provider: Indices  # place index over all places: a station, or a satellite
    elevation_deg: Floats
    range_m: Floats
    rank: NDArray[np.int8]
    layer: NDArray[np.int8]  # index in `LAYERS`

    def where(self, chosen: NDArray[np.bool_] | slice) -> Offers:
        """Those of a mask [k] or of a slice."""
        return Offers(
            self.provider[chosen],
            self.elevation_deg[chosen],
            self.range_m[chosen],
            self.rank[chosen],
            self.layer[chosen],
        )

    def before(self, further: Offers) -> Offers:
        """These, then further ones, whose providers come later."""
        return Offers(
            np.concatenate([self.provider, further.provider]),
            np.concatenate([self.elevation_deg, further.elevation_deg]),
            np.concatenate([self.range_m, further.range_m]),
            np.concatenate([self.rank, further.rank]),
            np.concatenate([self.layer, further.layer]),
        )


class Providers:
    """Satellites and stations as they are offered, at one interval after the other.

    `places`: of the spec; satellites follow them in the count of all places. `relayed`: whether satellites
    forward to each other. `now`: where the places are at the beginning of the interval.
    """

    def __init__(self, places: Sequence[Place], ephemeris: Ephemeris, relayed: bool) -> None:
        self._terminals = [k for k, place in enumerate(places) if place.access == "terminal"]
        self._gateways = [k for k, place in enumerate(places) if place.access == "gateway"]
        self._ephemeris = ephemeris
        self._all_fed = relayed or not self._gateways
        self._first = np.int32(len(places))
        self._watching = self._terminals + self._gateways
        # what is offered follows from published elements: no shift is to be covered
        self._visibility = Visibility(places, ephemeris, self._watching, max_shift_m=0.0)
        self._least_deg = np.array([place.min_elevation_deg for place in places], dtype=np.float64)
        self.stations = Stations(places)
        self.now, self._end = Motion(list(places)), Motion(list(places))

    def look(self, at_s: float, end_s: float) -> dict[int, Offers]:
        """What every terminal and gateway is offered from `at_s` to `end_s`, by place index.

        Full stations are among it. Gateways are offered satellites only.
        """
        self.now.move_to(at_s)
        self._end.move_to(end_s)
        offers = self._satellites(at_s, end_s)
        if len(self.stations.index) and self._terminals:
            self._add_stations(offers)
        return offers

    def _satellites(self, at_s: float, end_s: float) -> dict[int, Offers]:
        found = self._visibility.at(at_s)
        count = len(self._ephemeris.all)
        asked = found.row_place
        owner = np.array(self._watching, dtype=np.intp)[asked]
        lasts = np.zeros(len(owner), dtype=np.bool_)
        if len(owner):
            different, row = gathered(found.satellite, count)
            later = self._ephemeris.positions(end_s, different)[row]
            high = elevation_deg(self._end.position[owner], self._end.axes[owner, 2], later)
            lasts = high >= self._least_deg[owner]
        if self._all_fed:
            rank = np.where(lasts, LASTING, FED)
        else:
            by_gateway = asked >= len(self._terminals)
            now, through = np.zeros((2, count), dtype=np.bool_)
            now[found.satellite[by_gateway]] = True
            through[found.satellite[by_gateway & lasts]] = True
            rank = np.where(now[found.satellite], FED, lasts)
            rank[lasts & through[found.satellite]] = LASTING
        height = np.sqrt(np.einsum("ij,ij->i", found.position_m, found.position_m)) - WGS84_A_M
        layer = 1 + np.searchsorted(np.array(LAYER_BOUNDS_KM) * 1e3, height, side="right")
        every = Offers(
            found.satellite + self._first,
            found.elevation_deg,
            found.slant_range_m,
            rank.astype(np.int8),
            layer.astype(np.int8),
        )
        ends = zip(self._watching, found.first[:-1].tolist(), found.first[1:].tolist(), strict=True)
        return {place: every.where(slice(begin, end)) for place, begin, end in ends}

    def _add_stations(self, offers: dict[int, Offers]) -> None:
        terminals = np.array(self._terminals, dtype=np.int32)
        pairs = terminals[:, None], self.stations.index
        reached, elevation, range_m = self.stations.reach(*pairs, self.now)
        lasts, _, _ = self.stations.reach(*pairs, self._end)
        for row, place in enumerate(self._terminals):
            mine = np.flatnonzero(reached[row])
            here = Offers(
                self.stations.index[mine],
                elevation[row, mine],
                range_m[row, mine],
                np.where(lasts[row, mine], LASTING, FED).astype(np.int8),
                np.zeros(len(mine), dtype=np.int8),
            )
            offers[place] = here.before(offers[place])
