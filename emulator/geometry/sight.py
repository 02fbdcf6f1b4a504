"""What is seen from a position: elevation, azimuth, slant range, and whether the Earth is in the way.

Straight rays between Earth-fixed (ECEF) positions in metres, at one instant; which satellites are worth
looking for is `visibility`'s. Refraction is not modelled: at the elevations of interest (10 degrees and
more) it is below 0.1 degree (ITU-R P.834).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from emulator.jit import kernel
from emulator.units import WGS84_A_M

Vector = NDArray[np.float64]

#: rays between satellites closer to the Earth than this are blocked (atmosphere), m
GRAZING_HEIGHT_M = 80_000.0


@kernel
def _above(place, up, target, sine_limit):  # type: ignore[no-untyped-def]
    """Distance in m from `place` to `target` [3] when it is at or above the limit, else -1."""
    x = target[0] - place[0]
    y = target[1] - place[1]
    z = target[2] - place[2]
    rise = up[0] * x + up[1] * y + up[2] * z
    if sine_limit >= 0.0 and rise < 0.0:
        return -1.0
    distance = math.sqrt(x * x + y * y + z * z)
    # written so that what is not a number is not seen
    return distance if rise >= sine_limit * distance else -1.0


@kernel
def _angles(place, axes, target):  # type: ignore[no-untyped-def]
    """(elevation, azimuth from north over east) in rad of `target` [3] from `place` [3]."""
    x = target[0] - place[0]
    y = target[1] - place[1]
    z = target[2] - place[2]
    east = axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z
    north = axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z
    up = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
    turn = math.atan2(east, north)
    azimuth = turn if turn >= 0.0 else turn + 2.0 * math.pi
    return math.atan2(up, math.sqrt(east * east + north * north)), azimuth


@kernel
def look(place, axes, positions, sine_limit, index, elevation, azimuth, slant_range):  # type: ignore[no-untyped-def]
    """Satellites seen from one place above an elevation; returns how many.

    `place` [3] m, `axes` [3, 3] rows east, north, up; `positions` [n, 3] m; `sine_limit`: sine of the
    least elevation (-1: all). For the k-th found, in order: `index[k]`, `elevation[k]` and `azimuth[k]`
    (from north over east) in rad, `slant_range[k]` in m. Positions that are not numbers are not seen.
    """
    count = 0
    for i in range(positions.shape[0]):
        distance = _above(place, axes[2], positions[i], sine_limit)
        if distance < 0.0:
            continue
        index[count] = i
        elevation[count], azimuth[count] = _angles(place, axes, positions[i])
        slant_range[count] = distance
        count += 1
    return count


@kernel
def look_from_many(  # type: ignore[no-untyped-def]
    places, axes, sine_limit, first, slot, positions, found_first, found, elevation, azimuth, slant_range
):
    """`look` from many places at once, each at its own candidates only; returns how many are seen.

    `places` [p, 3] m, `axes` [p, 3, 3], `sine_limit` [p]; candidates of place j are the rows
    `slot[first[j]:first[j + 1]]` of `positions` [u, 3] m. Results in the order of places and candidates:
    those of place j stand at `found_first[j]:found_first[j + 1]`; `found` are rows of `positions`,
    angles in rad, ranges in m.
    """
    count = 0
    for j in range(places.shape[0]):
        found_first[j] = count
        for k in range(first[j], first[j + 1]):
            target = positions[slot[k]]
            distance = _above(places[j], axes[j, 2], target, sine_limit[j])
            if distance < 0.0:
                continue
            found[count] = slot[k]
            elevation[count], azimuth[count] = _angles(places[j], axes[j], target)
            slant_range[count] = distance
            count += 1
    found_first[places.shape[0]] = count
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

        Every satellite is looked at. The arrays are copies, ordered by index.
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


@kernel
def elevations(position, axes, place, target, which, out):  # type: ignore[no-untyped-def]
    """`elevation_deg` row by row into `out` [k] degrees, from places to targets given by index.

    `position` [p, 3] m and `axes` [p, 3, 3] (rows east, north, up) of places, `place` [k]: which of them
    looks; `target` [m, 3] m, `which` [k]: which of them it looks at.
    """
    for k in range(out.shape[0]):
        here, up, there = position[place[k]], axes[place[k], 2], target[which[k]]
        x, y, z = there[0] - here[0], there[1] - here[1], there[2] - here[2]
        rise = x * up[0] + y * up[1] + z * up[2]
        across = x * x + y * y + z * z - rise * rise
        # written so that what is not a number stays so
        out[k] = math.degrees(math.atan2(rise, math.sqrt(0.0 if across < 0.0 else across)))


@kernel
def ranges(position, a, b, out):  # type: ignore[no-untyped-def]
    """Distance in m of pairs `a`, `b` [k] of rows of `position` [n, 3] m, into `out` [k]."""
    for k in range(out.shape[0]):
        here, there = position[a[k]], position[b[k]]
        x, y, z = there[0] - here[0], there[1] - here[1], there[2] - here[2]
        out[k] = math.sqrt(x * x + y * y + z * z)


@kernel
def is_clear(a, b, limit_squared):  # type: ignore[no-untyped-def]
    """Whether the ray between `a` and `b` [3] m stays outside a sphere, given its radius squared, m2."""
    x, y, z = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    towards = -(a[0] * x + a[1] * y + a[2] * z)
    # where on the ray the centre of the Earth is nearest: at an end, or in between
    share = min(max(towards / max(x * x + y * y + z * z, 1e-9), 0.0), 1.0)
    nx, ny, nz = a[0] + share * x, a[1] + share * y, a[2] + share * z
    return nx * nx + ny * ny + nz * nz > limit_squared


@kernel
def _clear(a, b, limit_squared, clear):  # type: ignore[no-untyped-def]
    for k in range(a.shape[0]):
        clear[k] = is_clear(a[k], b[k], limit_squared)


@kernel
def _clear_between(positions, a, b, limit_squared, clear):  # type: ignore[no-untyped-def]
    for k in range(a.shape[0]):
        clear[k] = is_clear(positions[a[k]], positions[b[k]], limit_squared)


def clear_of_earth(a: Vector, b: Vector, grazing_height_m: float = GRAZING_HEIGHT_M) -> NDArray[np.bool_]:
    """Whether the straight ray between `a` and `b` [n, 3] stays above the grazing height.

    The Earth is a sphere of the equatorial radius here, which errs on the safe side. Rays with an end
    that is not a number are not clear.
    """
    clear = np.empty(len(a), dtype=np.bool_)
    _clear(np.asarray(a), np.asarray(b), (WGS84_A_M + grazing_height_m) ** 2, clear)
    return clear


def clear_between(
    positions: Vector, a: NDArray[np.int32], b: NDArray[np.int32], grazing_height_m: float = GRAZING_HEIGHT_M
) -> NDArray[np.bool_]:
    """`clear_of_earth` for pairs [n] of rows of `positions` [m, 3] m, without copying these out."""
    clear = np.empty(len(a), dtype=np.bool_)
    _clear_between(positions, a, b, (WGS84_A_M + grazing_height_m) ** 2, clear)
    return clear
