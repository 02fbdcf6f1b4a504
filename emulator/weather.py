"""The air over places: tables of the atmosphere for the radio links there, and attenuation of the moment.

The tables are looked up at set-up (`radio.slant_path`). Attenuation of the moment comes from the caller (a
table by place, or a function of time and elevation). Both directions of a link get what its ground place
has; between two ground places the worse end counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.profiles import Profiles
from emulator.radio.attenuation_table import LEAST_ELEVATION_DEG
from emulator.radio.budget import path_request
from emulator.radio.rain import slant_path_km
from emulator.radio.slant_path import PathRequest, rain_height_km, slant_paths, stacked
from emulator.rows import Rows
from emulator.spec import Place, RadioSpec, WorldSpec

Attenuation = Callable[[str, float, float, float], float] | Mapping[str, float] | None

#: a place that stays above this counts as having the whole of the weather below it: rain ends at 6 km or less
#: (P.839), clouds at the tropopause, 9 to 17 km
_ABOVE_WEATHER_M = 15_000.0


class _Exposed(NamedTuple):
    """A radio row that feels the weather: which, its frequency, and its ends below the weather.

    `whole`: whether the whole of the rain over an end is on the way; `grounds`: (place, its id).
    """

    k: int
    frequency_ghz: float
    whole: bool
    grounds: tuple[tuple[int, str], ...]


class Weather:
    """The air over places: clear sky and statistics looked up at set-up, the moment's attenuation row by row.

    `on_progress` gets a sentence before the looking up takes seconds.
    """

    def __init__(
        self, spec: WorldSpec, profiles: Profiles, on_progress: Callable[[str], None] | None = None
    ) -> None:
        self._places = spec.places
        #: [spec places]: whether a place stays above the weather
        self.high = np.array([_lowest_m(place) > _ABOVE_WEATHER_M for place in spec.places], dtype=np.bool_)
        #: [spec places, profiles] number of the table in `tables`, -1 for none; that of a moving place is
        #: for where it starts
        self.which = np.full((len(spec.places), len(profiles.columns["table"])), -1, dtype=np.int32)
        asked: list[PathRequest] = []
        for index, radio in self._used(spec):
            up = profiles.of_radio(radio.name)
            for profile, down in ((up, False), (up + 1, True)):
                self.which[index, profile] = len(asked)
                asked.append(path_request(radio, spec.places[index], down))
        #: [tables, WIDTH], see `radio.attenuation_table`
        self.tables = stacked(slant_paths(asked, on_progress))
        #: what the newest rows have of it
        self._rows: Rows | None = None
        self._exposed: list[_Exposed] = []
        self._rain_height_km = {index: rain_height_km(spec.places[index]) for index in self._low(spec)}

    def _used(self, spec: WorldSpec) -> list[tuple[int, RadioSpec]]:
        """Places with the radios that they use through the atmosphere.

        Their own towards satellites, those of stations high up, and those of fixed links to places high up.
        """
        radios = {radio.name: radio for radio in spec.radios}
        aloft = {
            place.radio
            for place, high in zip(spec.places, self.high, strict=True)
            if high and place.access == "station"
        }
        high_up = {place.id for place, high in zip(spec.places, self.high, strict=True) if high}
        climbing = [link for link in spec.links if link.radio and (link.a in high_up) != (link.b in high_up)]
        found = []
        for index, place in enumerate(spec.places):
            names = {place.radio} if place.access in ("terminal", "gateway") else set()
            if place.access == "terminal":
                names |= aloft
            if place.id not in high_up:
                names |= {link.radio for link in climbing if place.id in (link.a, link.b)}
            found += [(index, radios[name]) for name in sorted(names) if radios[name].weather]
        return found

    def _low(self, spec: WorldSpec) -> list[int]:
        """Places at the ends of radio links that may stay below the weather."""
        wet = {radio.name for radio in spec.radios if radio.weather}
        ends = {end for link in spec.links if link.radio in wet for end in (link.a, link.b)}
        served = any(place.access == "station" and place.radio in wet for place in spec.places)
        return [
            index
            for index, place in enumerate(spec.places)
            if place.kind != "satellite"
            and (place.id in ends or (served and place.access in ("terminal", "station")))
        ]

    def of_the_moment(
        self,
        source: Attenuation,
        t_s: float,
        rows: Rows,
        range_m: NDArray[np.float64],
        elevation_deg: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """dB to add on each radio row [k]; 0 where the radio is spared the weather.

        `range_m`, `elevation_deg` [k]. A radio link that stays below the weather is only as long as it is:
        it gets the share that its length has of the way through the rain towards a satellite in the same
        direction. Below 5 degrees both are as at 5, where what is known of ways through the rain ends (ITU-R
        P.1853, `attenuation_table`).
        """
        if not source:
            return rows.nothing
        if rows is not self._rows:
            self._rows, self._exposed = rows, self._exposed_of(rows)
        extra = np.zeros(len(rows.radio))
        highs = np.maximum(np.abs(elevation_deg), LEAST_ELEVATION_DEG).tolist()
        for k, frequency_ghz, whole, grounds in self._exposed:
            high = highs[k]
            if whole and len(grounds) == 1:  # as are nearly all
                extra[k] = _amount(source, grounds[0][1], t_s, high, frequency_ghz)
                continue
            amounts = []
            for place, name in grounds:
                share = 1.0 if whole else self._share(place, float(range_m[k]), high)
                if share > 0.0:
                    amounts.append(share * _amount(source, name, t_s, high, frequency_ghz))
            # the wetter end; where neither is wet, a belief that an end is better than nominal counts
            worst = max(amounts, default=0.0)
            extra[k] = worst if worst > 0.0 else min(amounts, default=0.0)
        return extra

    def _exposed_of(self, rows: Rows) -> list[_Exposed]:
        """The radio rows that feel the weather."""
        exposed = []
        for k in np.flatnonzero(rows.weather).tolist():
            pair = rows.radio_pair[k]
            ends = (int(rows.pairs.a[pair]), int(rows.pairs.b[pair]))
            grounds = [p for p in ends if p < len(self._places) and self._places[p].kind != "satellite"]
            # a platform above the rain has none at its own end of a link
            wet = tuple((p, self._places[p].id) for p in grounds if not self.high[p])
            if wet:
                whole = bool(rows.whole_sky[k]) or len(grounds) < len(ends)
                exposed.append(_Exposed(k, float(rows.figures.frequency_ghz[k]), whole, wet))
        return exposed

    def _share(self, place: int, range_m: float, elevation_deg: float) -> float:
        """Share of the way through the rain, from a place at an elevation, that a link's length is."""
        height_km = self._rain_height_km.get(place, 0.0) - self._places[place].altitude_m / 1e3
        slant_km = slant_path_km(height_km, elevation_deg)
        return min(1.0, range_m / 1e3 / slant_km) if slant_km > 0.0 else 0.0


def _lowest_m(place: Place) -> float:
    """The lowest a place gets; a satellite has no such height, and its links none of this weather."""
    return min([place.altitude_m, *(waypoint.altitude_m for waypoint in place.waypoints)])


def _amount(source: Attenuation, place: str, t_s: float, elevation_deg: float, frequency_ghz: float) -> float:
    if callable(source):
        return float(source(place, t_s, elevation_deg, frequency_ghz))
    assert source is not None
    return float(source.get(place, 0.0))
