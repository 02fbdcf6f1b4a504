"""Places on the WGS-84 ellipsoid: geodetic coordinates, Earth-fixed positions, local axes.

Nothing of what is seen from them. Positions are Earth-fixed (ECEF) metres.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.units import WGS84_A_M, WGS84_E2

Vector = NDArray[np.float64]

#: the zenith of the ellipsoid is this far from the geocentric one at most, rad: 0.1925 degree at 45 degrees
MOST_TILT_RAD = 3.37e-3


def ecef_from_geodetic(latitude_deg: ArrayLike, longitude_deg: ArrayLike, altitude_m: ArrayLike) -> Vector:
    """ECEF position [..., 3] in m of geodetic coordinates on WGS-84."""
    latitude, longitude = np.radians(latitude_deg), np.radians(longitude_deg)
    altitude = np.asarray(altitude_m, dtype=np.float64)
    normal = WGS84_A_M / np.sqrt(1.0 - WGS84_E2 * np.sin(latitude) ** 2)
    across = (normal + altitude) * np.cos(latitude)
    return np.stack(
        np.broadcast_arrays(
            across * np.cos(longitude),
            across * np.sin(longitude),
            (normal * (1.0 - WGS84_E2) + altitude) * np.sin(latitude),
        ),
        axis=-1,
    )


def geodetic_from_ecef(position: ArrayLike) -> tuple[Vector, Vector, Vector]:
    """(latitude deg, longitude deg, altitude m) of ECEF positions [..., 3] in m.

    Fixed-point iteration on the latitude: below 1e-9 degree and 1 mm up to the geostationary orbit.
    """
    position = np.asarray(position, dtype=np.float64)
    x, y, z = position[..., 0], position[..., 1], position[..., 2]
    across = np.hypot(x, y)
    latitude = np.arctan2(z, across * (1.0 - WGS84_E2))
    for _ in range(6):
        sine = np.sin(latitude)
        normal = WGS84_A_M / np.sqrt(1.0 - WGS84_E2 * sine**2)
        latitude = np.arctan2(z + WGS84_E2 * normal * sine, across)
    sine, cosine = np.sin(latitude), np.cos(latitude)
    normal = WGS84_A_M / np.sqrt(1.0 - WGS84_E2 * sine**2)
    # this form of the height is good at the poles too
    altitude = across * cosine + z * sine - normal * (1.0 - WGS84_E2 * sine**2)
    return np.degrees(latitude), np.degrees(np.arctan2(y, x)), altitude


def enu_axes(latitude_deg: float, longitude_deg: float) -> NDArray[np.float64]:
    """Unit vectors east, north, up as the rows of a [3, 3] array in ECEF."""
    latitude, longitude = math.radians(latitude_deg), math.radians(longitude_deg)
    sin_lat, cos_lat = math.sin(latitude), math.cos(latitude)
    sin_lon, cos_lon = math.sin(longitude), math.cos(longitude)
    return np.array(
        [
            [-sin_lon, cos_lon, 0.0],
            [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat],
            [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat],
        ]
    )
