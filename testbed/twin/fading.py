"""How a fade goes on: from what rain attenuates now to what it usually does at a place.

The model of ITU-R P.1853: the state of rain at a place is a Gaussian process with a correlation that falls
off at 2e-4 /s, and attenuation is a log-normal of it that was fitted to ITU-R P.618 (`rain_series`). Given
the state now, the state later is Gaussian, so every quantile has a closed form. The climate is public; what
is attenuated now is the caller's belief. No rain of any run is known here.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

from emulator.errors import MissingPackageError, WorldError
from emulator.radio.rain_series import RainClimate, RainFit, rain_climates, rain_fit
from emulator.radio.rain_state import BETA_1_S
from emulator.spec import Place, RadioSpec, WorldSpec

_NORMAL = NormalDist()
#: a fade below this is none, dB
_NONE_DB: Final = 0.05
#: elevations that share one fit, degrees
_STEP_DEG: Final = 5.0


class Fading:
    """Fades at the places of a world; those without a climate or a radio that feels rain stay as they are."""

    def __init__(self, spec: WorldSpec) -> None:
        radios = {radio.name: radio for radio in spec.radios}
        self._places: dict[str, tuple[Place, RadioSpec]] = {
            place.id: (place, radios[place.radio])
            for place in spec.places
            if place.radio in radios and radios[place.radio].weather and place.kind != "satellite"
        }
        self._climates: dict[str, RainClimate] = {}
        self._fits: dict[tuple[str, str, int], RainFit] = {}
        places = [place for place, _ in self._places.values()]
        try:
            climates = rain_climates(places) if places else []
        except (MissingPackageError, WorldError):
            return  # no maps: fades decay, and none begins
        self._climates = {place.id: one for place, one in zip(places, climates, strict=True)}

    def quantile_db(
        self,
        place: str,
        direction: str,
        elevation_deg: float,
        now_db: float,
        sd_db: float,
        ahead_s: float,
        level: float,
    ) -> float:
        """The `level` quantile in dB of the fade `ahead_s` from now, which is `now_db` +- `sd_db` at present.

        Where nothing is known of the climate, a fade decays as the correlation does, with the doubt it has.
        """
        z = _NORMAL.inv_cdf(level)
        rho = math.exp(-BETA_1_S * max(ahead_s, 0.0))
        if now_db <= _NONE_DB:
            # it rains up to a tenth of the time: within an hour it begins too seldom to be in a 90 % band
            return 0.0
        fit = self._fit(place, direction, elevation_deg)
        if fit is None or fit.m == -math.inf:
            return max(now_db * rho + z * math.hypot(sd_db, now_db * math.sqrt(1.0 - rho**2)), 0.0)
        state = self._state(fit, now_db)
        slope = fit.sigma * (now_db + fit.offset_db)  # dB a unit of the state
        spread = math.sqrt((rho * sd_db / slope) ** 2 + 1.0 - rho**2)
        return fit.attenuation_db(rho * state + z * spread)

    @staticmethod
    def _state(fit: RainFit, attenuation_db: float) -> float:
        return (math.log(attenuation_db + fit.offset_db) - fit.m) / fit.sigma

    def _fit(self, place: str, direction: str, elevation_deg: float) -> RainFit | None:
        if place not in self._climates or not math.isfinite(elevation_deg):
            return None
        step = max(round(elevation_deg / _STEP_DEG), 1)
        key = (place, direction, step)
        if key not in self._fits:
            spec, radio = self._places[place]
            frequency = radio.down_frequency_ghz if direction == "down" else radio.up_frequency_ghz
            self._fits[key] = rain_fit(self._climates[place], spec, frequency, min(step * _STEP_DEG, 90.0))
        return self._fits[key]
