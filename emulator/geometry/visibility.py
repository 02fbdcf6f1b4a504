"""Which satellites every place sees, at a cost that grows with what is visible.

For every place a list of candidates is kept: the satellites that can rise above its least elevation
within `valid_s` of the instant the list was made for. Between lists only candidates are interpolated and
looked at. The lists are found from bounds on the motion, so what is seen is exactly what looking at every
satellite would find. Nothing is chosen here.

The bound. A satellite at the geocentric distance r is above the elevation e of a place at distance q only
within the angle arccos(q cos e / r) - e of it, seen from the centre of the Earth (sine rule). Within the
time t that angle changes by at most t (h / r_least^2 + Earth's rotation + the place's own rate), h being the
satellite's angular momentum per mass, and r by t times the largest radial velocity mu ecc / h of its
two-body orbit; what perturbations add in so short a time is bounded by the acceleration of the Earth's
oblateness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.geometry.geodetic import MOST_TILT_RAD
from emulator.geometry.sight import look_from_many
from emulator.jit import kernel
from emulator.orbits.motion import Motion, track_of, turn_rate_rad_s
from emulator.spec import Place
from emulator.units import EARTH_MU_M3_S2, EARTH_ROTATION_RAD_S, WGS84_A_M, WGS84_F

if TYPE_CHECKING:
    from emulator.orbits.ephemeris import Ephemeris

Floats = NDArray[np.float64]

#: how long a list of candidates is good before and after its instant, s
VALID_S = 30.0
#: along-track shifts of satellites up to this are covered by the lists, m
MAX_SHIFT_M = 100_000.0

#: half of the largest acceleration that is not two-body: 3 J2 mu / r^2 at the surface is 0.032 m/s2
_HALF_PERTURBATION_M_S2 = 0.016
#: what else the bound allows for, above all drag on decaying orbits
_SLACK_M, _SLACK_M_S = 1000.0, 5.0


class Sightings(NamedTuple):
    """What is seen at one instant, in the order of the places and of the satellites.

    Rows of the j-th place asked for: `first[j]:first[j + 1]`.
    """

    first: NDArray[np.int64]
    satellite: NDArray[np.int32]
    elevation_deg: Floats
    azimuth_deg: Floats
    slant_range_m: Floats
    position_m: Floats  # [rows, 3] of the satellite

    @property
    def row_place(self) -> NDArray[np.int64]:
        """The place of every row, counted as they were asked for."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))


@kernel
def _sweeps(position, velocity, seconds, shift_m, swept, highest):  # type: ignore[no-untyped-def]
    """Bounds on the motion of satellites within `seconds` before and after.

    `position`, `velocity` [n, 3] Earth-fixed m, m/s; `shift_m`: they may run this far ahead or behind.
    `swept` [n]: angle in rad that the direction from the centre turns at most; `highest` [n]: greatest
    distance from the centre, m.
    """
    for i in range(position.shape[0]):
        x, y, z = position[i, 0], position[i, 1], position[i, 2]
        vx = velocity[i, 0] - EARTH_ROTATION_RAD_S * y
        vy = velocity[i, 1] + EARTH_ROTATION_RAD_S * x
        vz = velocity[i, 2]
        r = math.sqrt(x * x + y * y + z * z)
        hx, hy, hz = y * vz - z * vy, z * vx - x * vz, x * vy - y * vx
        h2 = hx * hx + hy * hy + hz * hz
        energy = 0.5 * (vx * vx + vy * vy + vz * vz) - EARTH_MU_M3_S2 / r
        h = math.sqrt(h2)
        eccentricity = math.sqrt(max(1.0 + 2.0 * energy * h2 / (EARTH_MU_M3_S2 * EARTH_MU_M3_S2), 0.0))
        # a shift is made in time, at the mean orbital speed
        mean_speed = math.sqrt(max(-2.0 * energy, 1.0))
        t = seconds + shift_m / mean_speed
        slack = _SLACK_M + t * (_SLACK_M_S + t * _HALF_PERTURBATION_M_S2)
        radial = t * EARTH_MU_M3_S2 * eccentricity / h + slack
        lowest = max(r - radial, 0.5 * WGS84_A_M)
        swept[i] = t * h / (lowest * lowest) + slack / lowest + seconds * EARTH_ROTATION_RAD_S
        highest[i] = r + radial


@kernel
def _list_candidates(  # type: ignore[no-untyped-def]
    direction, extra, least, lowest, position, swept, highest, bound, first, found
):
    """The satellites that may come into sight of each place; returns how many over all places.

    `direction` [p, 3] unit vectors from the centre, `extra` [p] rad that places move, `least` [p] elevation
    in rad, `lowest`: least distance of any place from the centre, m; `position`, `swept`, `highest` of the
    satellites, see `_sweeps`. `bound` [n] is scratch. Those of place j come at `found[first[j]:first[j + 1]]`
    in rising order.
    """
    widest = least[0]
    furthest = extra[0]
    for j in range(1, len(least)):
        widest = min(widest, least[j])
        furthest = max(furthest, extra[j])
    # one bound a satellite for the least demanding place: most pairs end there, without a cosine
    for i in range(position.shape[0]):
        share = min(lowest * math.cos(widest) / highest[i], 1.0)
        angle = math.acos(share) - widest + swept[i] + furthest
        r = math.sqrt(position[i, 0] ** 2 + position[i, 1] ** 2 + position[i, 2] ** 2)
        bound[i] = r * math.cos(angle) if angle < math.pi else -2.0 * r
    count = 0
    for j in range(direction.shape[0]):
        first[j] = count
        dx, dy, dz = direction[j, 0], direction[j, 1], direction[j, 2]
        cosine = math.cos(least[j])
        narrower = least[j] > widest or extra[j] < furthest
        for i in range(position.shape[0]):
            towards = dx * position[i, 0] + dy * position[i, 1] + dz * position[i, 2]
            # written so that what is not a number now remains a candidate: it may be one later
            if towards < bound[i]:
                continue
            if narrower:
                angle = math.acos(min(lowest * cosine / highest[i], 1.0)) - least[j] + swept[i] + extra[j]
                r = math.sqrt(position[i, 0] ** 2 + position[i, 1] ** 2 + position[i, 2] ** 2)
                if angle < math.pi and towards < r * math.cos(angle):
                    continue
            found[count] = i
            count += 1
    first[direction.shape[0]] = count
    return count


class Visibility:
    """What places see of satellites, at any run time and in any order of times.

    `places`: of a spec; `watching`: indices of those that look (default: all), each above its own
    `min_elevation_deg`; `valid_s`: how long the candidates of one instant serve, before and after it;
    `max_shift_m`: how far along their tracks satellites may be shifted. Raises `WorldError` for an
    elevation outside -90 to 90.
    """

    def __init__(
        self,
        places: Sequence[Place],
        ephemeris: Ephemeris,
        watching: Sequence[int] | None = None,
        *,
        valid_s: float = VALID_S,
        max_shift_m: float = MAX_SHIFT_M,
    ) -> None:
        chosen = list(places) if watching is None else [places[k] for k in watching]
        for place in chosen:
            if not -90.0 <= place.min_elevation_deg <= 90.0:
                raise WorldError(
                    f"place {place.id!r}: min_elevation_deg is {place.min_elevation_deg:g}, "
                    "allowed: -90 to 90"
                )
        self._ephemeris = ephemeris
        self._motion = Motion(chosen)
        self._valid_s, self._max_shift_m = valid_s, max_shift_m
        least_deg = np.array([place.min_elevation_deg for place in chosen], dtype=np.float64)
        self._sine = np.sin(np.radians(least_deg))
        # against the geocentric zenith, which is what the bound knows
        self._least = np.maximum(np.radians(least_deg) - MOST_TILT_RAD, -0.5 * math.pi)
        self._extra = np.array(
            [turn_rate_rad_s(track_of(place)) * valid_s for place in chosen], dtype=np.float64
        )
        heights = [w.altitude_m for p in chosen for w in p.waypoints] + [p.altitude_m for p in chosen]
        self._lowest = WGS84_A_M * (1.0 - WGS84_F) + min(heights, default=0.0)
        self._made_for_s = math.nan
        self._first = np.zeros(len(chosen) + 1, dtype=np.int64)
        #: the satellites that are candidates anywhere, and for each place's candidates their row among them
        self._wanted = np.zeros(0, dtype=np.int32)
        self._slot = np.zeros(0, dtype=np.int32)

    @property
    def candidates(self) -> int:
        """How many pairs of place and satellite were looked at for the newest answer."""
        return len(self._slot)

    def at(self, t_s: float, shift_s: Floats | None = None) -> Sightings:
        """What is seen at run time `t_s`.

        `shift_s` [satellites]: seconds by which satellites run ahead of their elements, within
        `max_shift_m`; None: no one does.
        """
        if not abs(t_s - self._made_for_s) <= self._valid_s:
            self._list(t_s)
        self._motion.move_to(t_s)
        sky = np.zeros((0, 3))
        if len(self._wanted):
            sky = self._ephemeris.positions(t_s, self._wanted, shift_s)
        count = len(self._slot)
        found_first, found = np.empty(len(self._first), dtype=np.int64), np.empty(count, dtype=np.int32)
        elevation, azimuth, slant_range = np.empty((3, count))
        seen = look_from_many(
            self._motion.position, self._motion.axes, self._sine, self._first, self._slot, sky,
            found_first, found, elevation, azimuth, slant_range,
        )  # fmt: skip
        row = found[:seen]
        return Sightings(
            found_first,
            self._wanted[row],
            np.degrees(elevation[:seen]),
            np.degrees(azimuth[:seen]),
            slant_range[:seen].copy(),
            sky[row],
        )

    def _list(self, t_s: float) -> None:
        """Make the lists of candidates for the time around `t_s`."""
        self._motion.move_to(t_s)
        self._made_for_s = t_s
        count, places = len(self._ephemeris.all), len(self._sine)
        if not (count and places):
            return
        position = self._ephemeris.positions(t_s)
        swept, highest, bound = np.empty((3, count))
        velocity = self._ephemeris.velocities(t_s)
        _sweeps(position, velocity, self._valid_s, self._max_shift_m, swept, highest)
        here = self._motion.position
        direction = here / np.sqrt(np.einsum("ij,ij->i", here, here))[:, None]
        found = np.empty(places * count, dtype=np.int32)
        listed = _list_candidates(
            direction, self._extra, self._least, self._lowest, position, swept, highest, bound,
            self._first, found,
        )  # fmt: skip
        satellite = found[:listed]
        self._wanted, self._slot = gathered(satellite, count)


def gathered(satellite: NDArray[np.int32], count: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(the different numbers below `count` that occur, rising; for each entry its row among them)."""
    occurs = np.zeros(count, dtype=np.bool_)
    occurs[satellite] = True
    different = np.flatnonzero(occurs).astype(np.int32)
    row = np.empty(count, dtype=np.int32)
    row[different] = np.arange(len(different), dtype=np.int32)
    return different, row[satellite]
