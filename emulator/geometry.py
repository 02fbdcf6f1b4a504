"""WGS-84 places, and what is seen from them: elevation, azimuth, slant range, Earth in the way.

Positions are Earth-fixed (ECEF) metres everywhere. Refraction is not modelled: at the elevations of
interest (10 degrees and more) it is below 0.1 degree.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.jit import kernel
from emulator.units import WGS84_A_M, WGS84_E2

Vector = NDArray[np.float64]

#: rays between satellites closer to the Earth than this are blocked (atmosphere), m
GRAZING_HEIGHT_M = 80_000.0


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


@kernel
def look(place, axes, positions, sine_limit, index, elevation, azimuth, slant_range):  # type: ignore[no-untyped-def]
    """Satellites seen from one place above an elevation; returns how many.

    `place` [3] m, `axes` [3, 3] rows east, north, up; `positions` [n, 3] m; `sine_limit`: sine of the
    least elevation (-1: all). For the k-th found, in order: `index[k]`, `elevation[k]` and `azimuth[k]`
    (from north over east) in rad, `slant_range[k]` in m. Positions that are not numbers are not seen.
    """
    count = 0
    for i in range(positions.shape[0]):
        x = positions[i, 0] - place[0]
        y = positions[i, 1] - place[1]
        z = positions[i, 2] - place[2]
        up = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
        if sine_limit >= 0.0 and up < 0.0:
            continue
        distance = math.sqrt(x * x + y * y + z * z)
        if not up >= sine_limit * distance:
            continue
        east = axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z
        north = axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z
        turn = math.atan2(east, north)
        index[count] = i
        elevation[count] = math.atan2(up, math.sqrt(east * east + north * north))
        azimuth[count] = turn if turn >= 0.0 else turn + 2.0 * math.pi
        slant_range[count] = distance
        count += 1
    return count


class Sky:
    """Buffers for `look`, so that asking what is visible allocates nothing that grows with the sky."""

    def __init__(self, satellites: int) -> None:
        self._index = np.empty(satellites, dtype=np.int32)
        self._angles = np.empty((3, satellites))

    def visible(
        self, place: Vector, axes: Vector, positions: Vector, min_elevation_deg: float
    ) -> tuple[NDArray[np.int32], Vector, Vector, Vector]:
        """(index, elevation deg, azimuth deg, slant range m) of what is above `min_elevation_deg`.

        The arrays are copies, ordered by index.
        """
        limit = math.sin(math.radians(min_elevation_deg))
        elevation, azimuth, slant_range = self._angles
        count = look(place, axes, positions, limit, self._index, elevation, azimuth, slant_range)
        return (
            self._index[:count].copy(),
            np.degrees(elevation[:count]),
            np.degrees(azimuth[:count]),
            slant_range[:count].copy(),
        )


def elevation_deg(place: Vector, up: Vector, target: Vector) -> Vector:
    """Elevation in degrees of `target` [..., 3] from `place` [..., 3] with zenith unit vectors `up`."""
    ray = target - place
    rise = np.einsum("...i,...i->...", ray, up)
    length = np.sqrt(np.einsum("...i,...i->...", ray, ray))
    # not arcsin of the ratio: it loses digits near the zenith and fails beyond it by rounding
    across = np.sqrt(np.maximum(length * length - rise * rise, 0.0))
    return np.asarray(np.degrees(np.arctan2(rise, across)))


def clear_of_earth(a: Vector, b: Vector, grazing_height_m: float = GRAZING_HEIGHT_M) -> NDArray[np.bool_]:
    """Whether the straight ray between `a` and `b` [n, 3] stays above the grazing height.

    The Earth is a sphere of the equatorial radius here, which errs on the safe side.
    """
    ray = b - a
    share = -np.einsum("ij,ij->i", a, ray) / np.maximum(np.einsum("ij,ij->i", ray, ray), 1e-9)
    nearest = a + np.clip(share, 0.0, 1.0)[:, None] * ray
    return np.asarray(np.einsum("ij,ij->i", nearest, nearest) > (WGS84_A_M + grazing_height_m) ** 2)
