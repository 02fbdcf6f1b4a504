"""Predicted contact windows: when satellites rise over places, culminate and set.

Positions come from SGP4 at knots two minutes apart, with quintic interpolation between them from
seven-point differences: a millimetre to a decimetre from SGP4. A bound on the motion leaves out the
stretches in which a satellite cannot be in sight; in the others the elevation is sampled every 15 s, and
what changes sign is narrowed down by bisection. An elevation that only touches the limit between two samples
is found by its maximum. Nothing is chosen here, and no weather or load is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.geometry.geodetic import MOST_TILT_RAD
from emulator.jit import records
from emulator.orbits.frames import FARTHEST_S, RunClock
from emulator.orbits.motion import check, follow, track_of, turn_rate_rad_s
from emulator.orbits.sgp4 import Propagator
from emulator.spec import Place
from emulator.topology.window_kernels import BEYOND, WINDOW, find_windows, may_be_seen
from emulator.units import EARTH_ROTATION_RAD_S, SECONDS_PER_DAY, WGS84_A_M, WGS84_F

__all__ = ["WINDOW", "contact_windows"]

#: distance of the knots at most, s
_KNOT_S = 120.0
#: what is asked for at a time at most, s: the knots of one satellite are held together
_LONGEST_S = 366.0 * SECONDS_PER_DAY
#: positions held at a time, bytes
_BATCH_BYTES = 64e6


def contact_windows(
    satellites: Sequence[Any],
    clock: RunClock,
    places: Sequence[Place],
    from_s: float,
    to_s: float,
    *,
    min_elevation_deg: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> NDArray[Any]:
    """When which satellite is in sight of which place, in a stretch of run time.

    `satellites`: sgp4 records; `places`: fixed or moving, not on satellites, each with its own least
    elevation unless `min_elevation_deg` gives one for all; `from_s`, `to_s`: run times; `progress` is
    called with the share that is done. Returns an array of `WINDOW` in order of place and start. A
    satellite that SGP4 gives up on is not seen from up to eight minutes before.
    Raises `WorldError` for an interval that is empty or too long, an elevation outside -90 to 90.
    """
    if not from_s < to_s:
        raise WorldError(f"contact windows from {from_s:g} to {to_s:g} s: the end must be after the start")
    if not (abs(from_s) <= FARTHEST_S and to_s - from_s <= _LONGEST_S):
        raise WorldError(
            f"contact windows from {from_s:g} to {to_s:g} s: at most {_LONGEST_S:g} s (a year) at a time, "
            f"up to {FARTHEST_S:g} s (a hundred years) from the start"
        )
    least_deg = [p.min_elevation_deg if min_elevation_deg is None else min_elevation_deg for p in places]
    for place, least in zip(places, least_deg, strict=True):
        check(place)
        if not -90.0 <= least <= 90.0:
            raise WorldError(f"place {place.id!r}: min_elevation_deg is {least:g}, allowed: -90 to 90")
    segments = math.ceil((to_s - from_s) / _KNOT_S)
    step_s = (to_s - from_s) / segments
    times: NDArray[np.float64] = from_s + np.arange(-BEYOND, segments + 1 + BEYOND, dtype=np.float64) * step_s
    views = [_View(place, clock, times[BEYOND:-BEYOND]) for place in places]
    batch = max(int(_BATCH_BYTES / (24 * len(times))), 16)
    found: list[NDArray[Any]] = [np.zeros(0, WINDOW)]
    for first in range(0, len(satellites), batch):
        knots = _knots(satellites[first : first + batch], clock, times)
        near = np.empty((segments + 1, knots.shape[1]), np.bool_)
        for index, (view, least) in enumerate(zip(views, least_deg, strict=True)):
            may_be_seen(
                knots, view.direction, max(math.radians(least) - MOST_TILT_RAD, -0.5 * math.pi),
                view.lowest_m, view.rate_rad_s, step_s, near,
            )  # fmt: skip
            windows = view.windows(from_s, step_s, knots, near, math.sin(math.radians(least)))
            windows["place"] = index
            windows["satellite"] += first
            found.append(windows)
            if progress is not None:
                done = first + knots.shape[1] * (index + 1) / len(places)
                progress(min(done / len(satellites), 1.0))
    result = np.concatenate(found)
    return result[np.lexsort((result["satellite"], result["start_s"], result["place"]))]


class _View:
    """A place as the kernels take it: its track, and its direction from the centre at the knots."""

    def __init__(self, place: Place, clock: RunClock, times: NDArray[np.float64]) -> None:
        self.track = track_of(place)
        self.here, self.velocity, self.axes = np.zeros(3), np.zeros(3), np.zeros((3, 3))
        position = np.empty((len(times), 3))
        for k, t_s in enumerate(times):
            follow(self.track, t_s, self.here, self.axes, self.velocity)
            position[k] = self.here
        position /= np.linalg.norm(position, axis=1)[:, None]
        self.sidereal = float(clock.sidereal_rad(float(times[0])))
        # sidereal time grows with precession too: five metres a day at the equator are not nothing
        span_s = float(times[-1] - times[0])
        ahead = float(clock.sidereal_rad(float(times[-1]))) - self.sidereal - EARTH_ROTATION_RAD_S * span_s
        self.rotation_rad_s = EARTH_ROTATION_RAD_S + math.remainder(ahead, 2.0 * math.pi) / span_s
        angle = self.sidereal + self.rotation_rad_s * (times - times[0])
        x, y = position[:, 0], position[:, 1]
        cosine, sine = np.cos(angle), np.sin(angle)
        self.direction = np.stack([cosine * x - sine * y, sine * x + cosine * y, position[:, 2]], axis=1)
        self.lowest_m = WGS84_A_M * (1.0 - WGS84_F) + float(self.track[:, 3].min())
        self.rate_rad_s = EARTH_ROTATION_RAD_S + turn_rate_rad_s(self.track)

    def windows(
        self,
        from_s: float,
        step_s: float,
        knots: NDArray[np.float64],
        near: NDArray[np.bool_],
        limit: float,
    ) -> NDArray[Any]:
        room = 64 + knots.shape[1] * 2 * (1 + len(near) // 24)
        while True:
            out = np.zeros(room, WINDOW)
            count = find_windows(
                from_s, step_s, knots, near, limit, self.sidereal, self.rotation_rad_s, self.track, self.here,
                self.axes, self.velocity, records(out),
            )  # fmt: skip
            if count <= room:
                return out[:count]
            room = count


def _knots(satellites: Sequence[Any], clock: RunClock, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """TEME positions [t, n, 3] in m; not numbers where SGP4 fails."""
    propagator = Propagator(satellites)
    found = np.empty((len(times), len(satellites), 3))
    day, fraction = clock.julian(0.0)
    for k, t_s in enumerate(times):
        _, position = propagator.positions(day, fraction + t_s / SECONDS_PER_DAY)
        found[k] = position.T
    return found
