"""Where places on the ground, at sea and in the air are and how fast: fixed points and tracks of waypoints.

Between waypoints latitude, longitude and altitude change linearly in time: over a long leg that is
neither a great circle nor exactly a rhumb line. `emulator.orbits.tracks` makes waypoints dense enough for
the difference not to matter, along great circles. Before the first and after the last waypoint the place
stands there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.geometry import ecef_from_geodetic, enu_axes
from emulator.jit import kernel
from emulator.spec import Place
from emulator.units import LOWEST_ALTITUDE_M, WGS84_A_M, WGS84_E2


@kernel
def follow(track, t_s, position, axes, velocity):  # type: ignore[no-untyped-def]
    """Position, axes and velocity on a track at a run time.

    `track` [k, 4]: seconds in rising order, latitude and longitude in rad, altitude m. Written:
    `position` [3] m, `axes` [3, 3] rows east, north, up, `velocity` [3] m/s, all Earth-fixed. At a
    waypoint the velocity is that of the leg after it.
    """
    last = track.shape[0] - 1
    latitude, longitude, altitude = track[0, 1], track[0, 2], track[0, 3]
    latitude_rate = longitude_rate = climb = 0.0
    if t_s >= track[last, 0]:
        latitude, longitude, altitude = track[last, 1], track[last, 2], track[last, 3]
    elif t_s >= track[0, 0]:
        low, high = 0, last
        while high - low > 1:
            middle = (low + high) // 2
            if track[middle, 0] <= t_s:
                low = middle
            else:
                high = middle
        duration = track[high, 0] - track[low, 0]
        latitude_rate = (track[high, 1] - track[low, 1]) / duration
        longitude_rate = (track[high, 2] - track[low, 2]) / duration
        climb = (track[high, 3] - track[low, 3]) / duration
        since = t_s - track[low, 0]
        latitude += (track[low, 1] - latitude) + latitude_rate * since
        longitude += (track[low, 2] - longitude) + longitude_rate * since
        altitude += (track[low, 3] - altitude) + climb * since
    sin_lat, cos_lat = math.sin(latitude), math.cos(latitude)
    sin_lon, cos_lon = math.sin(longitude), math.cos(longitude)
    # radii of curvature of the ellipsoid, in the prime vertical and in the meridian
    squared = 1.0 - WGS84_E2 * sin_lat * sin_lat
    normal = WGS84_A_M / math.sqrt(squared)
    meridian = normal * (1.0 - WGS84_E2) / squared
    position[0] = (normal + altitude) * cos_lat * cos_lon
    position[1] = (normal + altitude) * cos_lat * sin_lon
    position[2] = (normal * (1.0 - WGS84_E2) + altitude) * sin_lat
    axes[0, 0], axes[0, 1], axes[0, 2] = -sin_lon, cos_lon, 0.0
    axes[1, 0], axes[1, 1], axes[1, 2] = -sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat
    axes[2, 0], axes[2, 1], axes[2, 2] = cos_lat * cos_lon, cos_lat * sin_lon, sin_lat
    east = (normal + altitude) * cos_lat * longitude_rate
    north = (meridian + altitude) * latitude_rate
    for k in range(3):
        velocity[k] = axes[0, k] * east + axes[1, k] * north + axes[2, k] * climb


class Motion:
    """Positions, local axes and velocities of places that are not satellites.

    `moving` [k]: indices of the places whose position changes. Raises `WorldError` with one sentence for
    coordinates that no place has.
    """

    def __init__(self, places: list[Place]) -> None:
        count = len(places)
        self.position = np.zeros((count, 3))
        #: rows east, north, up of every place
        self.axes = np.zeros((count, 3, 3))
        #: Earth-fixed, m/s
        self.velocity = np.zeros((count, 3))
        self._tracks: dict[int, NDArray[np.float64]] = {}
        for index, place in enumerate(places):
            check(place)
            self.position[index] = ecef_from_geodetic(
                place.latitude_deg, place.longitude_deg, place.altitude_m
            )
            self.axes[index] = enu_axes(place.latitude_deg, place.longitude_deg)
            if place.waypoints:
                self._tracks[index] = track_of(place)
        self.moving = np.array(sorted(self._tracks), dtype=np.int32)
        self._t_s = float("nan")

    def move_to(self, t_s: float) -> None:
        """Bring `position`, `axes` and `velocity` to run time `t_s`."""
        if t_s == self._t_s:
            return
        self._t_s = t_s
        for index, track in self._tracks.items():
            follow(track, t_s, self.position[index], self.axes[index], self.velocity[index])


def track_of(place: Place) -> NDArray[np.float64]:
    """A place's track as `follow` takes it, longitudes unwrapped over the date line; one row if it is fixed.

    Raises `WorldError` when the waypoints are not in order of time, or a time is no finite number.
    """
    if not place.waypoints:
        rows = [(0.0, place.latitude_deg, place.longitude_deg, place.altitude_m)]
    else:
        rows = [(w.at_s, w.latitude_deg, w.longitude_deg, w.altitude_m) for w in place.waypoints]
    track = np.array(rows, dtype=np.float64)
    for number in np.flatnonzero(~np.isfinite(track[:, 0]))[:1]:
        raise WorldError(
            f"place {place.id!r}: waypoint {number + 1}: at_s is {track[number, 0]:g}, should be finite"
        )
    if not np.all(np.diff(track[:, 0]) > 0.0):
        raise WorldError(
            f"place {place.id!r}: waypoints must be in order of at_s, each later than the one before"
        )
    track[:, 2] = np.unwrap(track[:, 2], period=360.0)
    track[:, 1:3] = np.radians(track[:, 1:3])
    return track


def turn_rate_rad_s(track: NDArray[np.float64]) -> float:
    """How fast the direction of a `track` of `track_of` from the centre of the Earth turns at most, rad/s."""
    steps = np.diff(track, axis=0)
    rates = np.hypot(steps[:, 1], steps[:, 2]) / steps[:, 0]
    # geocentric latitude changes by up to 0.7 % more than geodetic
    return 1.01 * float(rates.max(initial=0.0))


def check(place: Place) -> None:
    """Raises `WorldError` for coordinates that no place has, in one sentence."""
    for where, latitude_deg, longitude_deg, altitude_m in _points(place):
        if not -90.0 <= latitude_deg <= 90.0:
            raise WorldError(f"{where}: latitude is {latitude_deg:g} deg, allowed: -90 to 90")
        if not -180.0 <= longitude_deg <= 360.0:
            raise WorldError(f"{where}: longitude is {longitude_deg:g} deg, allowed: -180 to 360")
        if not altitude_m < math.inf:
            raise WorldError(f"{where}: altitude is {altitude_m:g} m, should be a finite number")
        if altitude_m < LOWEST_ALTITUDE_M:
            raise WorldError(
                f"{where}: altitude is {altitude_m:g} m, it must not be below {LOWEST_ALTITUDE_M:g} m "
                "(no land is lower)"
            )


def _points(place: Place) -> Iterator[tuple[str, float, float, float]]:
    yield f"place {place.id!r}", place.latitude_deg, place.longitude_deg, place.altitude_m
    for number, point in enumerate(place.waypoints, start=1):
        where = f"place {place.id!r}: waypoint {number}"
        yield where, point.latitude_deg, point.longitude_deg, point.altitude_m
