"""Rain over a place at one moment, from its rate to attenuation towards a satellite.

The rain height comes from the ITU-R maps (`slant_path`), the attenuation from `rain`. What holds for a
percentage of time is not here but in `slant_path`.
"""

from __future__ import annotations

import math

from emulator.errors import WorldError
from emulator.radio.rain import MOST_GHZ, slant_attenuation_db
from emulator.radio.slant_path import rain_height_km
from emulator.spec import Place


def rain_attenuation_db(
    place: Place, rain_rate_mm_h: float, elevation_deg: float, frequency_ghz: float
) -> float:
    """Attenuation in dB by rain of this rate over the place, towards a satellite at this elevation.

    Rate in mm/h, elevation in degrees, frequency in GHz; circular polarisation. ITU-R P.618 with P.838 and
    P.839, see `rain`. Below 1 GHz as at 1, below the horizon as at it. Raises `WorldError` for coordinates
    off the Earth and figures that cannot be, `MissingPackageError` when the rain height must be looked up
    and itur is not there.
    """
    if not 0.0 <= rain_rate_mm_h < math.inf:
        raise WorldError(f"rain_rate_mm_h is {rain_rate_mm_h:g}, allowed: 0 and above")
    if not -90.0 <= elevation_deg <= 90.0:
        raise WorldError(f"elevation_deg is {elevation_deg:g}, allowed: -90 to 90")
    if not 0.0 < frequency_ghz <= MOST_GHZ:
        raise WorldError(
            f"frequency_ghz is {frequency_ghz:g}, allowed: above 0 to {MOST_GHZ:g} (ITU-R P.838)"
        )
    return slant_attenuation_db(
        rain_rate_mm_h,
        frequency_ghz,
        elevation_deg,
        place.latitude_deg,
        rain_height_km(place),
        place.altitude_m / 1e3,
    )
