"""Places on WGS-84, and what is seen from them. Positions are Earth-fixed (ECEF) metres everywhere.

What is at one instant is here; `emulator.geometry.visibility` follows many places over many satellites.
Names are loaded when they are asked for, so that coordinates come without the compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "GRAZING_HEIGHT_M": "emulator.geometry.sight",
    "Sky": "emulator.geometry.sight",
    "clear_between": "emulator.geometry.sight",
    "clear_of_earth": "emulator.geometry.sight",
    "doppler_hz": "emulator.geometry.doppler",
    "ecef_from_geodetic": "emulator.geometry.geodetic",
    "elevation_deg": "emulator.geometry.sight",
    "enu_axes": "emulator.geometry.geodetic",
    "geodetic_from_ecef": "emulator.geometry.geodetic",
    "look": "emulator.geometry.sight",
    "look_from_many": "emulator.geometry.sight",
    "range_rate_m_s": "emulator.geometry.doppler",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
