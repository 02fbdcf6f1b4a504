"""Rain over a place at one moment, from its rate to attenuation towards a satellite.

The rain height comes from the ITU-R maps (`slant_path`), the attenuation from `rain`. What holds for a
percentage of time is not here but in `slant_path`.
"""

from __future__ import annotations

from emulator.radio.rain import slant_attenuation_db
from emulator.radio.slant_path import rain_height_km
from emulator.spec import Place


def rain_attenuation_db(
    place: Place, rain_rate_mm_h: float, elevation_deg: float, frequency_ghz: float
) -> float:
    """Attenuation in dB by rain of this rate over the place, towards a satellite at this elevation.

    Rate in mm/h, elevation in degrees, frequency in GHz; circular polarisation. ITU-R P.618 with P.838 and
    P.839, see `rain`. Raises `WorldError` for coordinates off the Earth, `MissingPackageError` when the rain
    height must be looked up and itur is not there.
    """
    return slant_attenuation_db(
        rain_rate_mm_h,
        frequency_ghz,
        elevation_deg,
        place.latitude_deg,
        rain_height_km(place),
        place.altitude_m / 1e3,
    )
