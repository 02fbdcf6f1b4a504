"""What terminals and gateways can use at an instant: satellites in sight, stations in reach.

Offers only, each with what tells it from others; who takes which is `access`'s.

Offers differ by rank: 3 lasts through the interval and is fed, 2 is fed now, 1 lasts, 0 is only seen. A
satellite is fed that sees a gateway, or any where satellites forward to each other; a station brings its own
connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.geometry.sight import elevations
from emulator.geometry.visibility import Visibility, gathered
from emulator.jit import kernel
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.motion import Motion
from emulator.spec import Place
from emulator.topology.stations import Stations
from emulator.units import LAYER_BOUNDS_KM, WGS84_A_M

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]

#: the layers that providers are of
LAYERS = ("station", "leo", "meo", "geo")
#: the rank of what is fed now, and of what is besides fed through the interval
FED, LASTING = 2, 3
#: of the providers that are satellites, m of height
_LAYERS_FROM_M: Final = np.array(LAYER_BOUNDS_KM) * 1e3
#: pairs of terminals and stations looked at together
_PAIRS_AT_A_TIME = 200_000


class Offers(NamedTuple):
    """What places are offered: those of the j-th that looks are rows `first[j]:first[j + 1]`.

    The others are all [k]; of one place they rise in `provider`.
    """

    first: NDArray[np.int64]
    place: Indices  # place index of who is offered it
    provider: Indices  # place index over all places: a station, or a satellite
    elevation_deg: Floats
    range_m: Floats
    rank: NDArray[np.int8]
    layer: NDArray[np.int8]  # index in `LAYERS`


@kernel
def _grade(
    by_terminals: int, all_fed: bool, satellite: Any, position: Any, high: Any, least_deg: Any, fed: Any,
    rank: Any, layer: Any,
) -> None:  # fmt: skip
    """`rank` and `layer` [k] of the satellites that are seen.

    The first `by_terminals` rows are of terminals, the others of gateways, through which satellites are fed
    unless `all_fed`. `satellite` [k] index, `position` [k, 3] m; `high`, `least_deg` [k]: elevation at the
    end of the interval, and the least one, in degrees; `fed` [2, satellites]: all False, scratch.
    """
    count = rank.shape[0]
    for k in range(by_terminals, count):
        fed[0, satellite[k]] = True
        if high[k] >= least_deg[k]:
            fed[1, satellite[k]] = True
    for k in range(count):
        lasts = high[k] >= least_deg[k]
        now, through = all_fed or fed[0, satellite[k]], all_fed or fed[1, satellite[k]]
        if now:
            rank[k] = LASTING if lasts and through else FED
        else:
            rank[k] = 1 if lasts else 0
        x, y, z = position[k]
        height = np.sqrt(x * x + y * y + z * z) - WGS84_A_M
        layer[k] = 1
        for bound in _LAYERS_FROM_M:
            if height >= bound:
                layer[k] += 1


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
        watching = self._terminals + self._gateways
        self._watching = np.array(watching, dtype=np.int32)
        # what is offered follows from published elements: no shift is to be covered
        self._visibility = Visibility(places, ephemeris, watching, max_shift_m=0.0)
        self._least_deg = np.array([place.min_elevation_deg for place in places], dtype=np.float64)
        self.stations = Stations(places)
        self.now, self._end = Motion(list(places)), Motion(list(places))

    def look(self, at_s: float, end_s: float) -> Offers:
        """What every terminal, then every gateway is offered from `at_s` to `end_s`.

        Full stations are among it. Gateways are offered satellites only.
        """
        self.now.move_to(at_s)
        self._end.move_to(end_s)
        offers = self._satellites(at_s, end_s)
        if len(self.stations.index) and self._terminals:
            offers = self._with_stations(offers)
        return offers

    def _satellites(self, at_s: float, end_s: float) -> Offers:
        found = self._visibility.at(at_s)
        count = len(self._ephemeris.all)
        asked = found.row_place
        place = self._watching[asked]
        high, rank, layer = np.empty(len(place)), *np.empty((2, len(place)), dtype=np.int8)
        if len(place):
            different, row = gathered(found.satellite, count)
            later = self._ephemeris.positions(end_s, different)
            elevations(self._end.position, self._end.axes, place, later, row, high)
        _grade(
            int(found.first[len(self._terminals)]), self._all_fed, found.satellite, found.position_m, high,
            self._least_deg[place], np.zeros((2, count), dtype=np.bool_), rank, layer,
        )  # fmt: skip
        return Offers(
            found.first,
            place,
            found.satellite + self._first,
            found.elevation_deg,
            found.slant_range_m,
            rank,
            layer,
        )

    def _with_stations(self, sky: Offers) -> Offers:
        """These offers and those of the stations, which come first in each place's."""
        terminals, stations = self._watching[: len(self._terminals)], self.stations.index
        looker, place, provider, elevation, range_m = [], [], [], [], []
        # so many at a time that the pairs take some megabytes
        step = max(1, _PAIRS_AT_A_TIME // len(stations))
        for begin in range(0, len(terminals), step):
            some = terminals[begin : begin + step]
            reached, high, far = self.stations.reach(some[:, None], stations, self.now)
            row, column = np.nonzero(reached)
            looker.append(row + begin)
            place.append(some[row])
            provider.append(stations[column])
            elevation.append(high[row, column])
            range_m.append(far[row, column])
        who, which = np.concatenate(place), np.concatenate(provider)
        rank = np.where(self.stations.reaches(who, which, self._end), LASTING, FED).astype(np.int8)
        of_sky = np.repeat(np.arange(len(self._watching)), np.diff(sky.first))
        looks = np.concatenate([*looker, of_sky])
        order = np.argsort(looks, kind="stable")
        return Offers(
            np.searchsorted(looks[order], np.arange(len(self._watching) + 1)).astype(np.int64),
            np.concatenate([who, sky.place])[order],
            np.concatenate([which, sky.provider])[order],
            np.concatenate([*elevation, sky.elevation_deg])[order],
            np.concatenate([*range_m, sky.range_m])[order],
            np.concatenate([rank, sky.rank])[order],
            np.concatenate([np.zeros(len(who), dtype=np.int8), sky.layer])[order],
        )
