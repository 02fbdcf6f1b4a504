"""Where places on the ground and in the air are: fixed points and tracks of waypoints.

Between waypoints the coordinates change linearly in time, which is a rhumb-like track at constant
height; before the first and after the last waypoint the place stands there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.geometry import ecef_from_geodetic, enu_axes
from emulator.spec import Place


class Motion:
    """Positions and local axes of places that are not satellites.

    `moving` [k]: indices of the places whose position changes.
    """

    def __init__(self, places: list[Place]) -> None:
        count = len(places)
        self.position = np.zeros((count, 3))
        #: rows east, north, up of every place
        self.axes = np.zeros((count, 3, 3))
        self._tracks: dict[int, NDArray[np.float64]] = {}
        for index, place in enumerate(places):
            _check(place)
            self._put(index, place.latitude_deg, place.longitude_deg, place.altitude_m)
            if place.waypoints:
                self._tracks[index] = _track(place)
        self.moving = np.array(sorted(self._tracks), dtype=np.int32)
        self._t_s = float("nan")

    def move_to(self, t_s: float) -> None:
        """Bring `position` and `axes` to run time `t_s`."""
        if t_s == self._t_s:
            return
        self._t_s = t_s
        for index, track in self._tracks.items():
            latitude, longitude, altitude = (np.interp(t_s, track[:, 0], track[:, k]) for k in (1, 2, 3))
            self._put(index, float(latitude), float(longitude), float(altitude))

    def _put(self, index: int, latitude_deg: float, longitude_deg: float, altitude_m: float) -> None:
        self.position[index] = ecef_from_geodetic(latitude_deg, longitude_deg, altitude_m)
        self.axes[index] = enu_axes(latitude_deg, longitude_deg)


def _check(place: Place) -> None:
    if not -90.0 <= place.latitude_deg <= 90.0:
        raise WorldError(f"place {place.id!r}: latitude is {place.latitude_deg:g} deg, allowed: -90 to 90")
    if not -180.0 <= place.longitude_deg <= 360.0:
        raise WorldError(
            f"place {place.id!r}: longitude is {place.longitude_deg:g} deg, allowed: -180 to 360"
        )


def _track(place: Place) -> NDArray[np.float64]:
    """[k, 4] seconds, latitude, longitude (unwrapped over the date line), altitude."""
    track = np.array([(w.at_s, w.latitude_deg, w.longitude_deg, w.altitude_m) for w in place.waypoints])
    if np.any(np.diff(track[:, 0]) <= 0.0):
        raise WorldError(
            f"place {place.id!r}: waypoints must be in order of at_s, each later than the one before"
        )
    track[:, 2] = np.unwrap(track[:, 2], period=360.0)
    return track
