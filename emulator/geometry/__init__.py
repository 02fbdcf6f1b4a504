"""Places on WGS-84, and what is seen from them. Positions are Earth-fixed (ECEF) metres everywhere.

What is at one instant is here; `emulator.geometry.visibility` follows many places over many satellites.
"""

from __future__ import annotations

from emulator.geometry.doppler import doppler_hz, range_rate_m_s
from emulator.geometry.geodetic import ecef_from_geodetic, enu_axes, geodetic_from_ecef
from emulator.geometry.sight import (
    GRAZING_HEIGHT_M,
    Sky,
    clear_between,
    clear_of_earth,
    elevation_deg,
    look,
    look_from_many,
)

__all__ = [
    "GRAZING_HEIGHT_M",
    "Sky",
    "clear_between",
    "clear_of_earth",
    "doppler_hz",
    "ecef_from_geodetic",
    "elevation_deg",
    "enu_axes",
    "geodetic_from_ecef",
    "look",
    "look_from_many",
    "range_rate_m_s",
]
