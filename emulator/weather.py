"""Weather and faults of places, spread over the radio links there: who is attenuated by how much.

Amounts come from the caller (a table by place, or a function of time and elevation). Both directions
of a link get what its ground place has; between two ground places the worse end counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from emulator.radio.atmosphere import Atmosphere
from emulator.radio.rain import slant_path_km
from emulator.rows import Rows
from emulator.spec import Place
from emulator.table import FIXED

Attenuation = Callable[[str, float, float, float], float] | Mapping[str, float] | None


class Weather:
    """Extra attenuation of radio rows by the places they touch."""

    def __init__(self, places: list[Place], atmosphere: Atmosphere) -> None:
        self._places = places
        self._atmosphere = atmosphere

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
            high, frequency = float(elevation_deg[k]), float(rows.r["frequency_ghz"][k])
            worst = 0.0
            for place in grounds:
                amount = _amount(source, self._places[place].id, t_s, abs(high), frequency)
                if fixed[k] and amount > 0.0:
                    amount *= self._share(self._places[place], float(range_m[k]), abs(high))
                worst = max(worst, amount)
            extra[k] = worst
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
