"""The atmosphere over a place in clear sky: gases towards the zenith, and the height of rain.

Values come from the ITU-R maps through the itur package at set-up (median water vapour, annual mean
temperature, standard pressure) and are kept in the user's cache directory by rounded inputs, because
that package takes seconds to load. With everything cached, it is not imported at all.
The slant path follows the cosecant law of ITU-R P.676-12 annex 2 (5 to 90 degrees; the value at
5 degrees below that).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.cache import user_directory
from emulator.errors import MissingPackageError, WorldError
from emulator.radio.rain import slant_attenuation_db
from emulator.spec import Place

_VERSION = "1"
#: entries kept in the cache file; the oldest go first
_BOUND = 20_000
_LEAST_ELEVATION_DEG = 5.0


def cosecant(elevation_deg: ArrayLike) -> NDArray[np.float64]:
    """Factor from zenith to slant attenuation."""
    return np.asarray(1.0 / np.sin(np.radians(np.clip(elevation_deg, _LEAST_ELEVATION_DEG, 90.0))))


def cache_file() -> Path:
    """Where the values are kept."""
    return user_directory() / f"atmosphere-{_VERSION}.json"


class Atmosphere:
    """Zenith gas attenuation and rain height by place, cached on disk; one object for a whole set-up."""

    def __init__(self) -> None:
        self._values: dict[str, float] | None = None
        self._new: dict[str, float] = {}

    def zenith_gas_db(self, place: Place, frequency_ghz: float) -> float:
        """Gaseous attenuation in dB straight up from the place (ITU-R P.676, P.836, P.1510, P.835)."""
        latitude, longitude, height_km = _rounded(place)
        frequency = round(max(frequency_ghz, 0.1), 2)
        key = f"gas {latitude:.1f} {longitude:.1f} {height_km:.1f} {frequency:.2f}"
        found = self._get(key)
        if found is None:
            found = self._keep(key, _itur_zenith_gas(latitude, longitude, height_km, frequency))
        return found

    def rain_height_km(self, place: Place) -> float:
        """Mean rain height above sea level in km (ITU-R P.839)."""
        latitude, longitude, _ = _rounded(place)
        key = f"rain {latitude:.1f} {longitude:.1f}"
        found = self._get(key)
        if found is None:
            found = self._keep(key, _itur_rain_height(latitude, longitude))
        return found

    def save(self) -> None:
        """Write what was computed anew; a directory that cannot be written only costs time next run."""
        if not self._new:
            return
        path = cache_file()
        # another process may have written meanwhile: read again, add, replace in one step
        merged = {**_read(path), **self._new}
        kept = dict(list(merged.items())[-_BOUND:])
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(kept))
            temporary.replace(path)
        self._new = {}

    def _get(self, key: str) -> float | None:
        if self._values is None:
            self._values = _read(cache_file())
        return self._values.get(key)

    def _keep(self, key: str, value: float) -> float:
        if not math.isfinite(value):
            raise WorldError(f"the ITU-R maps give no value for {key!r}; check the coordinates of the place")
        assert self._values is not None
        self._values[key] = self._new[key] = value
        return value


def rain_attenuation_db(
    place: Place, rain_rate_mm_h: float, elevation_deg: float, frequency_ghz: float
) -> float:
    """Attenuation in dB by rain of this rate over the place, towards a satellite at this elevation."""
    sky = shared()
    rain_height = sky.rain_height_km(place)
    sky.save()
    return slant_attenuation_db(
        rain_rate_mm_h,
        frequency_ghz,
        elevation_deg,
        place.latitude_deg,
        rain_height,
        place.altitude_m / 1e3,
    )


_ONE: list[Atmosphere] = []


def shared() -> Atmosphere:
    """The one that this process uses, so that what set-up has looked up is there during the run."""
    if not _ONE:
        _ONE.append(Atmosphere())
    return _ONE[0]


def _rounded(place: Place) -> tuple[float, float, float]:
    """Tenths of a degree and of a km: far finer than the maps. `+ 0.0` turns -0.0 into 0.0."""
    return (
        round(place.latitude_deg, 1) + 0.0,
        round(place.longitude_deg, 1) + 0.0,
        round(max(place.altitude_m, 0.0) / 1e3, 1),
    )


def _read(path: Path) -> dict[str, float]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, float) and math.isfinite(value)}


def _itur_zenith_gas(latitude: float, longitude: float, height_km: float, frequency_ghz: float) -> float:
    models = _itur()
    pressure_hpa = models.itu835.standard_pressure(height_km).value
    sea_level_k = models.itu1510.surface_mean_temperature(latitude, longitude).value
    # the map is for the ground; up to the tropopause it is 6.5 K colder per km (P.835)
    temperature_k = max(sea_level_k - 6.5 * max(height_km - _GROUND_KM, 0.0), 216.65)
    density = models.itu836.surface_water_vapour_density(latitude, longitude, 50.0, height_km).value
    content = models.itu836.total_water_vapour_content(latitude, longitude, 50.0, height_km).value
    # the approximation is a cosecant law, and warns at the zenith itself: asked at 30 degrees
    attenuation = models.itu676.gaseous_attenuation_slant_path(
        frequency_ghz, 30.0, density, pressure_hpa, temperature_k, content, height_km, mode="approx"
    )
    return float(np.asarray(attenuation.value)) / float(cosecant(30.0))


#: heights up to this count as ground, where the temperature map holds as it is
_GROUND_KM = 3.0


def _itur_rain_height(latitude: float, longitude: float) -> float:
    return float(np.asarray(_itur().itu839.rain_height(latitude, longitude).value))


def _itur() -> Any:
    try:
        import itur.models
    except ImportError:
        raise MissingPackageError(
            "weather needs the itur package (pip install itur), or weather = false in every radio"
        ) from None
    return itur.models
