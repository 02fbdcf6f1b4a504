"""Weather and faults of places, spread over the radio links there: who is attenuated by how much.

Amounts come from the caller (a table by place, or a function of time and elevation). Both directions
of a link get what its ground place has; between two ground places the worse end counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from emulator.radio.atmosphere import shared
from emulator.radio.rain import slant_path_km
from emulator.rows import Profiles, Rows
from emulator.spec import Place, WorldSpec
from emulator.table import FIXED

Attenuation = Callable[[str, float, float, float], float] | Mapping[str, float] | None


class Weather:
    """The air over places: clear-sky gases looked up at set-up, extra attenuation row by row."""

    def __init__(self, spec: WorldSpec, profiles: Profiles) -> None:
        self._places = spec.places
        self._atmosphere = shared()
        #: [spec places, profiles] clear-sky gases straight up in dB, for the radios that places use; that
        #: of a moving place is for where it starts
        self.zenith_gas_db = np.zeros((len(spec.places), len(profiles.columns["table"])))
        radios = {radio.name: radio for radio in spec.radios}
        weather = any(radio.weather for radio in spec.radios)
        linked = {end for link in spec.links if link.radio for end in (link.a, link.b)}
        for index, place in enumerate(spec.places):
            if weather and place.kind != "satellite" and (place.access != "none" or place.id in linked):
                # looked up now: the package behind it takes a second to load, too long during a run
                self._atmosphere.rain_height_km(place)
            if place.access != "none" and radios[place.radio].weather:
                radio, up = radios[place.radio], profiles.of_radio(place.radio)
                for profile, frequency in ((up, radio.up_frequency_ghz), (up + 1, radio.down_frequency_ghz)):
                    self.zenith_gas_db[index, profile] = self._atmosphere.zenith_gas_db(place, frequency)
        self._atmosphere.save()

    def extra_db(
        self,
        source: Attenuation,
        t_s: float,
        rows: Rows,
        range_m: NDArray[np.float64],
        elevation_deg: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """dB to add on each radio row [k]; 0 where the radio is spared the weather.

        A radio link between two places is only as long as it is: it gets the share that its length
        has of the way through the rain towards a satellite in the same direction.
        """
        extra = np.zeros(len(rows.radio))
        if not source:
            return extra
        ends = zip(rows.pairs.a[rows.radio_pair], rows.pairs.b[rows.radio_pair], strict=True)
        fixed = rows.kind[rows.radio] == FIXED
        for k, pair in enumerate(ends):
            if not rows.r["weather"][k] > 0.0:
                continue
            grounds = [int(p) for p in pair if p < len(self._places) and self._places[p].kind != "satellite"]
            high, frequency = abs(float(elevation_deg[k])), float(rows.r["frequency_ghz"][k])
            amounts = []
            for place in grounds:
                share = self._share(self._places[place], float(range_m[k]), high) if fixed[k] else 1.0
                # a platform above the rain has none at its own end of a link
                if share > 0.0:
                    amounts.append(share * _amount(source, self._places[place].id, t_s, high, frequency))
            # not the larger of that and zero: a belief may be that a link is better than nominal
            extra[k] = max(amounts, default=0.0)
        return extra

    def by_place(self, table: Mapping[str, float], rows: Rows) -> NDArray[np.float64]:
        """Sum over both ends of what the table says for them, on each radio row [k]."""
        total = np.zeros(len(rows.radio))
        if table:
            at = np.array([table.get(place.id, 0.0) for place in self._places])
            for end in (rows.pairs.a, rows.pairs.b):
                index = end[rows.radio_pair]
                known = index < len(at)
                total[known] += at[index[known]]
        return total

    def _share(self, place: Place, range_m: float, elevation_deg: float) -> float:
        height_km = self._atmosphere.rain_height_km(place) - place.altitude_m / 1e3
        slant_km = slant_path_km(height_km, elevation_deg)
        return min(1.0, range_m / 1e3 / slant_km) if slant_km > 0.0 else 0.0


def _amount(source: Attenuation, place: str, t_s: float, elevation_deg: float, frequency_ghz: float) -> float:
    if callable(source):
        return float(source(place, t_s, elevation_deg, frequency_ghz))
    assert source is not None
    return float(source.get(place, 0.0))
