"""The calls of the itur package (ITU-Rpy): what its maps say of places, and attenuation at given percentages.

Only set-up comes here; what is found goes into tables (`attenuation_table`). The package is imported by
the first call, since that takes a second. Revisions that it holds: P.453-13, P.618-13, P.676-12, P.835-6,
P.836-6, P.837-7, P.838-3, P.839-4, P.840-8 (P.840-7's maps, unchanged), P.1510-1, P.1511-2.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import MissingPackageError

Floats = NDArray[np.float64]

#: nearer to the north pole the package has no water vapour or cloud at most longitudes
_MAP_LATITUDE_DEG = 86.5
#: surface mean temperatures (P.1510) are of the ground; stations up to this height stand on it
_GROUND_KM = 3.0
_LAPSE_K_PER_KM = 6.5  # P.835-6, up to the tropopause
_TROPOPAUSE_K = 216.65
#: above it the approximations leave their range, and gases are taken to thin out with the pressure; below
#: 50 GHz less than 0.002 dB is left there, at 60 GHz 0.4 dB, on the line at 118.75 GHz 8 dB
_TOP_KM = 20.0
#: antenna efficiency where none is known, P.618-13 section 2.4.1 step 5
_EFFICIENCY = 0.5


@dataclass(frozen=True)
class Climate:
    """What the maps say of places: arrays [places], or [places, percentages] where it varies in time."""

    latitude_deg: Floats
    longitude_deg: Floats
    height_km: Floats
    rain_height_km: Floats
    rain_rate_mm_h: Floats  # exceeded 0.01 % of the time
    temperature_k: Floats
    pressure_hpa: Floats
    vapour_density_g_m3: Floats
    vapour_content_kg_m2: Floats
    cloud_content_kg_m2: Floats


def climate(
    latitude_deg: Floats, longitude_deg: Floats, height_km: Floats, percent: tuple[float, ...]
) -> Climate:
    """What the maps say of places.

    Coordinates [n] in degrees, heights [n] above sea level in km, percentages of time 1 to 50 at which water
    vapour and cloud are wanted. Raises `MissingPackageError` without itur.
    """
    latitude = np.clip(latitude_deg, -_MAP_LATITUDE_DEG, _MAP_LATITUDE_DEG)
    longitude = np.mod(longitude_deg, 360.0)
    height = np.clip(height_km, 0.0, _TOP_KM)
    with _quiet() as models:

        def each(call: Callable[..., Any], *more: Floats) -> Floats:
            return np.stack([_plain(call(latitude, longitude, p, *more)) for p in percent], axis=1)

        ground_k = _plain(models.itu1510.surface_mean_temperature(latitude, longitude))
        aloft_km = np.maximum(height - _GROUND_KM, 0.0)
        temperature = np.maximum(ground_k - _LAPSE_K_PER_KM * aloft_km, _TROPOPAUSE_K)
        return Climate(
            latitude_deg=latitude,
            longitude_deg=longitude,
            height_km=np.asarray(height_km, dtype=float),
            rain_height_km=_plain(models.itu839.rain_height(latitude, longitude)),
            rain_rate_mm_h=_plain(models.itu837.rainfall_rate(latitude, longitude, 0.01)),
            temperature_k=np.where(aloft_km > 0.0, temperature, ground_k),
            pressure_hpa=_plain(models.itu835.standard_pressure(height)),
            vapour_density_g_m3=each(models.itu836.surface_water_vapour_density, height),
            vapour_content_kg_m2=each(models.itu836.total_water_vapour_content, height),
            cloud_content_kg_m2=each(models.itu840.columnar_content_reduced_liquid),
        )


def rain_height_km(latitude_deg: float, longitude_deg: float) -> float:
    """Mean rain height above sea level in km, P.839-4."""
    latitude = min(max(latitude_deg, -_MAP_LATITUDE_DEG), _MAP_LATITUDE_DEG)
    with _quiet() as models:
        return float(_plain(models.itu839.rain_height(latitude, longitude_deg % 360.0))[0])


def rain_climate(latitude_deg: float, longitude_deg: float) -> tuple[float, float, float]:
    """Rain rate in mm/h exceeded 0.01 % of the time, percentage of time with rain (P.837-7), and rain height
    above sea level in km (P.839-4)."""
    latitude = min(max(latitude_deg, -_MAP_LATITUDE_DEG), _MAP_LATITUDE_DEG)
    longitude = longitude_deg % 360.0
    with _quiet() as models:
        rate = models.itu837.rainfall_rate(latitude, longitude, 0.01)
        probability = models.itu837.rainfall_probability(latitude, longitude)
        height = models.itu839.rain_height(latitude, longitude)
        return float(_plain(rate)[0]), float(_plain(probability)[0]), float(_plain(height)[0])


def zenith_gas_db(of: Climate, place: int, frequency_ghz: float) -> Floats:
    """Gaseous attenuation in dB straight up at each percentage of the climate, P.676-12 annex 2."""
    with _quiet() as models:
        height = float(np.clip(of.height_km[place], 0.0, _TOP_KM))
        # the approximation is a cosecant law and warns at the zenith itself: asked at 30 degrees
        found = [
            models.itu676.gaseous_attenuation_slant_path(
                frequency_ghz,
                30.0,
                float(density),
                float(of.pressure_hpa[place]),
                float(of.temperature_k[place]),
                float(content),
                height,
                mode="approx",
            ).value
            for density, content in zip(
                of.vapour_density_g_m3[place], of.vapour_content_kg_m2[place], strict=True
            )
        ]
        thinner = 1.0
        if of.height_km[place] > _TOP_KM:
            above, top = (models.itu835.standard_pressure(h) for h in (float(of.height_km[place]), _TOP_KM))
            thinner = float(above.value / top.value)
    return _plain(np.array(found, dtype=float) * thinner * math.sin(math.radians(30.0)))


def zenith_cloud_db(of: Climate, place: int, frequency_ghz: float) -> Floats:
    """Attenuation by clouds in dB straight up at each percentage of the climate, P.840-8 section 3."""
    with _quiet() as models:
        coefficient = float(_plain(models.itu840.specific_attenuation_coefficients(frequency_ghz, 0.0))[0])
    return _plain(of.cloud_content_kg_m2[place] * coefficient)


def rain_db(
    of: Climate, place: int, frequency_ghz: float, elevation_deg: Floats, polarization_deg: float
) -> Floats:
    """Rain attenuation in dB exceeded 0.01 % of the time at elevations [n], P.618-13 section 2.2.1.1."""
    # the package adds this much, so as not to take the logarithm of nothing
    rate = float(of.rain_rate_mm_h[place]) + 1e-9
    with _quiet() as models:
        found = models.itu618.rain_attenuation(
            float(of.latitude_deg[place]),
            float(of.longitude_deg[place]),
            frequency_ghz,
            elevation_deg,
            float(of.height_km[place]),
            0.01,
            rate,
            polarization_deg,
        )
    return _plain(found)


def scintillation_sigma_db(
    of: Climate, place: int, frequency_ghz: float, elevation_deg: Floats, diameter_m: float
) -> Floats:
    """Standard deviation of scintillation in dB at elevations [n], P.618-13 section 2.4.1 steps 1 to 7."""
    with _quiet() as models:
        found = models.itu618.scintillation_attenuation_sigma(
            float(of.latitude_deg[place]),
            float(of.longitude_deg[place]),
            frequency_ghz,
            elevation_deg,
            0.01,
            diameter_m,
            _EFFICIENCY,
        )
    return _plain(found)


def _plain(quantity: Any) -> Floats:
    return np.asarray(getattr(quantity, "value", quantity), dtype=float).reshape(-1)


@contextmanager
def _quiet() -> Iterator[Any]:
    """The package's models, its warnings and its change of numpy's error handling kept in here."""
    with warnings.catch_warnings(), np.errstate():
        warnings.simplefilter("ignore")
        try:
            import itur.models
        except ImportError:
            raise MissingPackageError(
                "weather needs the itur package (pip install itur), or weather = false in every radio"
            ) from None
        yield itur.models
