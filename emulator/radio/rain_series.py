"""Rain in time: ITU-R P.1853 synthesis of rain attenuation, one state of rain a place.

The state of a place (`rain_state`) is turned into attenuation by the log-normal fitted to what ITU-R
P.618 says is exceeded at an elevation and a frequency. All links of a place share the state, so they
fade together and hold, at any moment, attenuations of equal probability, as P.618 scales frequencies.
Places near each other fade together too (`rain_field`). Clouds, scintillation and gases are not part of it.

P.1853 is stated for 5 to 90 degrees and 4 to 55 GHz. Below 5 degrees it is as at 5; the frequencies are those
of P.838 behind it, up to 1000 GHz, and below 1 GHz, where rain hardly attenuates, it is as at 1 GHz.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.errors import MissingPackageError, WorldError
from emulator.radio import attenuation_cache, itur_calls
from emulator.radio.attenuation_table import LEAST_ELEVATION_DEG
from emulator.radio.rain import MOST_GHZ, exceeded_attenuation_db, slant_attenuation_db
from emulator.radio.rain_field import RainField
from emulator.radio.rain_state import place_key
from emulator.spec import Place

#: ITU-R P.1853-1 section 2.2 step A2
PERCENTS: Final = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
_NORMAL = NormalDist()


@dataclass(frozen=True)
class RainClimate:
    """What the ITU-R maps say of the rain over a place."""

    #: exceeded for 0.01 % of an average year (P.837)
    rain_rate_001_mm_h: float
    #: share of time it rains, % (P.837)
    rain_probability_percent: float
    #: mean, above sea level (P.839)
    rain_height_km: float


def rain_climate(place: Place) -> RainClimate:
    """The climate of rain at a place; see `rain_climates`."""
    return rain_climates((place,))[0]


def rain_climates(places: Sequence[Place]) -> list[RainClimate]:
    """The climates of rain at places, from the ITU-R maps; kept on disk, as the maps take a second to load.

    Raises `WorldError` for coordinates beyond the maps, `MissingPackageError` when a place is not on disk
    and itur is not there.
    """
    keys = [_climate_key(place) for place in places]
    known = {key: attenuation_cache.load(key, 3) for key in dict.fromkeys(keys)}
    new = {key: _look_up(place) for key, place in zip(keys, places, strict=True) if known[key] is None}
    if new:
        attenuation_cache.save(new)
    found = {**known, **new}
    climates = []
    for key in keys:
        values = found[key]
        assert values is not None
        climates.append(RainClimate(*(float(value) for value in values)))
    return climates


def _climate_key(place: Place) -> str:
    latitude, longitude = place.latitude_deg, place.longitude_deg
    if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 360.0):
        raise WorldError(
            f"place {place.id} lies at latitude {latitude:g}, longitude {longitude:g} deg, but the maps of "
            "rain go from -90 to 90 and from -180 to 360"
        )
    return f"rain climate {latitude:.4f} {longitude:.4f}"


def _look_up(place: Place) -> NDArray[np.float64]:
    try:
        return np.array(itur_calls.rain_climate(place.latitude_deg, place.longitude_deg))
    except MissingPackageError:
        raise MissingPackageError("rain in time needs the itur package (pip install itur)") from None


@dataclass(frozen=True)
class RainFit:
    """The log-normal of a path: attenuation = exp(m + sigma x) - offset, not below 0, x the rain state."""

    m: float
    sigma: float
    offset_db: float

    def attenuation_db(self, state: float) -> float:
        """Attenuation in dB at a rain state."""
        return max(0.0, math.exp(self.m + self.sigma * state) - self.offset_db)

    def exceeded_db(self, percent: float) -> float:
        """Attenuation in dB that the series exceeds for a percentage of the time, in closed form."""
        return self.attenuation_db(_quantile(percent))

    def attenuations_db(self, states: NDArray[np.float64]) -> NDArray[np.float64]:
        """Attenuation in dB at rain states [n]."""
        return np.maximum(0.0, np.exp(self.m + self.sigma * states) - self.offset_db)


#: of a path that is never rained on
DRY: Final = RainFit(-math.inf, 1.0, 0.0)


def rain_fit(
    climate: RainClimate,
    place: Place,
    frequency_ghz: float,
    elevation_deg: float,
    polarization_deg: float = 45.0,
) -> RainFit:
    """Steps A and C of ITU-R P.1853-1 section 2.2: the log-normal fitted to P.618, and its offset.

    The fit is over the percentages of `PERCENTS` below the probability of rain; `DRY` with fewer than two.
    """
    worst_db = slant_attenuation_db(
        climate.rain_rate_001_mm_h,
        frequency_ghz,
        elevation_deg,
        place.latitude_deg,
        climate.rain_height_km,
        place.altitude_m / 1e3,
        polarization_deg,
    )
    percents = [p for p in PERCENTS if p < climate.rain_probability_percent]
    return fit_log_normal(
        percents,
        [exceeded_attenuation_db(worst_db, p, elevation_deg, place.latitude_deg) for p in percents],
        climate.rain_probability_percent,
    )


def fit_log_normal(
    percents: Sequence[float], exceeded_db: Sequence[float], rain_probability_percent: float
) -> RainFit:
    """The log-normal through attenuations in dB exceeded for percentages of the time, and its offset.

    Least squares of the logarithm over the normal quantile; `DRY` with fewer than two or nothing exceeded.
    """
    if len(percents) < 2 or min(exceeded_db) <= 0.0:
        return DRY
    quantiles = [_quantile(p) for p in percents]
    logs = [math.log(a) for a in exceeded_db]
    mean_q, mean_log = sum(quantiles) / len(percents), sum(logs) / len(percents)
    spread = sum((q - mean_q) ** 2 for q in quantiles)
    sigma = sum((q - mean_q) * (a - mean_log) for q, a in zip(quantiles, logs, strict=True)) / spread
    m = mean_log - sigma * mean_q
    return RainFit(m, sigma, math.exp(m + sigma * _quantile(rain_probability_percent)))


class RainSeries:
    """Synthetic rain over places from a seed, asked at any time in any order; `attenuation_db` is its core.

    The same seed, places and names always meet the same rain; more places at the end of the list do not
    change it. A place that moves has the climate of where it starts. Circular polarization unless told.
    """

    def __init__(
        self,
        places: Sequence[Place],
        seed: int,
        *,
        polarization_deg: float = 45.0,
        climates: Mapping[str, RainClimate] | None = None,
    ) -> None:
        """Look up the climate of each place, unless `climates` has it by place id."""
        given = climates or {}
        self._places = {place.id: place for place in places}
        unknown = [place for place in places if place.id not in given]
        found = zip(unknown, rain_climates(unknown), strict=True)
        self._climates = {**given, **{place.id: climate for place, climate in found}}
        self._number = {place.id: number for number, place in enumerate(places)}
        self._field = RainField(places, [np.uint64(place_key(seed, place.id)) for place in places])
        self._polarization_deg = polarization_deg
        self._onsets = {
            place: _quantile(climate.rain_probability_percent) for place, climate in self._climates.items()
        }
        # asked once here, so that kernels are compiled before a run needs them
        self._now_s, self._states = 0.0, self._field.at(0.0)

    @property
    def places(self) -> tuple[str, ...]:
        """Ids of the places that have rain."""
        return tuple(self._places)

    def attenuation_db(self, place: str, t_s: float, elevation_deg: float, frequency_ghz: float) -> float:
        """Rain attenuation in dB of a path from a place id at time `t_s`; below 5 degrees that at 5.

        0 at a place the series does not have. Raises `WorldError` for a frequency outside
        0 to 1000 GHz.
        """
        if place not in self._places:
            return 0.0
        _check_frequency(frequency_ghz)
        state = self.state(place, t_s)
        # most of the time it is dry, and then no fit is needed
        if state <= self._onsets[place]:
            return 0.0
        return self.fit(place, frequency_ghz, elevation_deg).attenuation_db(state)

    def state(self, place: str, t_s: float) -> float:
        """The rain state of a place: standard normal, rain above the quantile of its probability."""
        if not math.isfinite(t_s):
            raise WorldError(f"time of rain is {t_s:g} s, it must be a number of seconds")
        if t_s != self._now_s:
            self._now_s, self._states = t_s, self._field.at(t_s)
        return float(self._states[self._number[place]])

    def series_db(
        self,
        place: str,
        start_s: float,
        step_s: float,
        count: int,
        elevation_deg: float,
        frequency_ghz: float,
    ) -> NDArray[np.float64]:
        """Rain attenuation in dB [count] at start_s, start_s + step_s, ... of a path from a place id."""
        fit = self.fit(place, frequency_ghz, elevation_deg)
        return fit.attenuations_db(self._field.series(self._number[place], start_s, step_s, count))

    def fit(self, place: str, frequency_ghz: float, elevation_deg: float) -> RainFit:
        """The log-normal of a path from a place id."""
        _check_frequency(frequency_ghz)
        if math.isnan(elevation_deg):
            raise WorldError("elevation of rain attenuation is nan, it must be a number of degrees")
        elevation = min(max(elevation_deg, LEAST_ELEVATION_DEG), 90.0)
        return rain_fit(
            self._climates[place], self._places[place], frequency_ghz, elevation, self._polarization_deg
        )


def _quantile(percent: float) -> float:
    """The state exceeded for a percentage of the time."""
    if not 0.0 < percent < 100.0:
        return math.inf if percent <= 0.0 else -math.inf
    return _NORMAL.inv_cdf(1.0 - percent / 100.0)


def _check_frequency(frequency_ghz: float) -> None:
    if not 0.0 < frequency_ghz <= MOST_GHZ:
        raise WorldError(
            f"frequency of rain attenuation is {frequency_ghz:g} GHz, but must be more than 0 and at most "
            f"{MOST_GHZ:g}"
        )
