"""Positions and velocities of many satellites at any instant of a run, fast: SGP4 at knots, quintics between.

SGP4 gives positions every `KNOT_S`. Velocity and acceleration at a knot are five-point differences of the
positions, not SGP4's own velocity: that one is up to 0.5 m/s from being the derivative of its position,
which would cost centimetres to decimetres between knots. Between two knots motion is the quintic that meets
all three at both (Hermite), in TEME, where it is smooth; the result is turned with sidereal time.
Checked against SGP4 at the same instant: below 1 cm for every orbit of the verification set.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import WorldError
from emulator.jit import inline_kernel, kernel
from emulator.orbits.frames import FARTHEST_S, RunClock
from emulator.orbits.sgp4 import Propagator
from emulator.units import EARTH_ROTATION_RAD_S

#: distance of the knots, s. The five-point differences are then good to 1e-4 m/s at 200 km height.
KNOT_S = 10.0
#: knots kept, 24 bytes a satellite each; six are needed around an instant, decisions look some further ahead
_KEPT_KNOTS = 20
#: intervals between knots kept, 144 bytes a satellite each
_KEPT_INTERVALS = 4
#: rows of an interval's coefficients: powers 0 to 5 of x, then of y, then of z
_ROWS = 18


@kernel
def fit_quintic(k0, k1, k2, k3, k4, k5, out):  # type: ignore[no-untyped-def]
    """Coefficients `out` [18, n] of the quintics from knot `k2` to `k3`, in powers of the share of the way.

    `k0` .. `k5` [3, n]: positions at six knots in a row. Velocity and acceleration at the two in the middle
    are five-point central differences (Abramowitz and Stegun 1964, table 25.2).
    """
    for axis in range(3):
        q0, q1, q2, q3, q4, q5 = k0[axis], k1[axis], k2[axis], k3[axis], k4[axis], k5[axis]
        c0, c1, c2 = out[6 * axis], out[6 * axis + 1], out[6 * axis + 2]
        c3, c4, c5 = out[6 * axis + 3], out[6 * axis + 4], out[6 * axis + 5]
        for i in range(q0.shape[0]):
            v0 = (8.0 * (q3[i] - q1[i]) - (q4[i] - q0[i])) / 12.0
            v1 = (8.0 * (q4[i] - q2[i]) - (q5[i] - q1[i])) / 12.0
            a0 = (16.0 * (q3[i] + q1[i]) - (q4[i] + q0[i]) - 30.0 * q2[i]) / 12.0
            a1 = (16.0 * (q4[i] + q2[i]) - (q5[i] + q1[i]) - 30.0 * q3[i]) / 12.0
            way = q3[i] - q2[i]
            c0[i], c1[i], c2[i] = q2[i], v0, 0.5 * a0
            c3[i] = 10.0 * way - 6.0 * v0 - 4.0 * v1 - 1.5 * a0 + 0.5 * a1
            c4[i] = -15.0 * way + 8.0 * v0 + 7.0 * v1 + 1.5 * a0 - a1
            c5[i] = 6.0 * way - 3.0 * (v0 + v1) - 0.5 * (a0 - a1)


@inline_kernel
def _value(c, row, i, u):  # type: ignore[no-untyped-def]
    return c[row, i] + u * (
        c[row + 1, i] + u * (c[row + 2, i] + u * (c[row + 3, i] + u * (c[row + 4, i] + u * c[row + 5, i])))
    )


@inline_kernel
def _slope(c, row, i, u):  # type: ignore[no-untyped-def]
    return c[row + 1, i] + u * (
        2.0 * c[row + 2, i]
        + u * (3.0 * c[row + 3, i] + u * (4.0 * c[row + 4, i] + u * (5.0 * c[row + 5, i])))
    )


@kernel
def positions_of_all(c, seconds, shift_s, per_knot, cosine, sine, out):  # type: ignore[no-untyped-def]
    """Earth-fixed positions `out` [n, 3] m, `seconds` into an interval of coefficients `c` [18, n].

    `shift_s` [n]: by how much each satellite is ahead of its elements; `per_knot`: one over the distance of
    the knots, 1/s; `cosine`, `sine` of the angle to turn by.
    """
    for i in range(c.shape[1]):
        u = (seconds + shift_s[i]) * per_knot
        x, y = _value(c, 0, i, u), _value(c, 6, i, u)
        out[i, 0] = cosine * x + sine * y
        out[i, 1] = cosine * y - sine * x
        out[i, 2] = _value(c, 12, i, u)


@kernel
def positions_of_some(c, seconds, shift_s, per_knot, cosine, sine, wanted, out):  # type: ignore[no-untyped-def]
    """The same for the satellites `wanted` [m]; `out` [m, 3] m."""
    for k in range(wanted.shape[0]):
        i = wanted[k]
        u = (seconds + shift_s[i]) * per_knot
        x, y = _value(c, 0, i, u), _value(c, 6, i, u)
        out[k, 0] = cosine * x + sine * y
        out[k, 1] = cosine * y - sine * x
        out[k, 2] = _value(c, 12, i, u)


@kernel
def velocities_of_some(c, seconds, shift_s, per_knot, cosine, sine, wanted, out):  # type: ignore[no-untyped-def]
    """Earth-fixed velocities `out` [m, 3] m/s: slope of the same quintics, less the turning of the Earth."""
    for k in range(wanted.shape[0]):
        i = wanted[k]
        u = (seconds + shift_s[i]) * per_knot
        x, y = _value(c, 0, i, u), _value(c, 6, i, u)
        vx, vy = _slope(c, 0, i, u) * per_knot, _slope(c, 6, i, u) * per_knot
        vx += EARTH_ROTATION_RAD_S * y
        vy -= EARTH_ROTATION_RAD_S * x
        out[k, 0] = cosine * vx + sine * vy
        out[k, 1] = cosine * vy - sine * vx
        out[k, 2] = _slope(c, 12, i, u) * per_knot


class Ephemeris:
    """Earth-fixed positions of satellites in run time, before, in and after the run and in any order.

    `satellites`: sgp4 records; `clock` relates run time to UTC. Several threads may ask at the same time. A
    satellite that SGP4 gives up on has positions that are not numbers from half a minute before on. Raises
    `WorldError` for records that are not WGS-72.
    """

    def __init__(self, satellites: Sequence[Any], clock: RunClock) -> None:
        self._satellites = list(satellites)
        self._propagator = Propagator(self._satellites)
        self._clock = clock
        self._positions: dict[int, NDArray[np.float64]] = {}
        self._intervals: dict[int, NDArray[np.float64]] = {}
        #: held while what is kept changes, so that threads may ask at the same time
        self._lock = threading.Lock()
        self.all = np.arange(len(satellites), dtype=np.int32)
        self._no_shift = np.zeros(len(satellites))

    def positions(
        self,
        t_s: float,
        wanted: NDArray[np.int32] | None = None,
        shift_s: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """ECEF positions [m, 3] in m at run time `t_s` of the satellites `wanted` (default: all).

        `shift_s` [n]: seconds by which satellites run ahead of their elements, up to some 20 s: beyond the
        next knot motion is extrapolated, and off by centimetres at 20 s and metres at 50 s. Raises
        `WorldError` for a time beyond a hundred years, a satellite that is not there, a shift of another
        length.
        """
        out = np.empty((len(self.all) if wanted is None else len(wanted), 3))
        self._write_positions(t_s, wanted, shift_s, out)
        return out

    def positions_at(
        self,
        times_s: ArrayLike,
        wanted: NDArray[np.int32] | None = None,
        shift_s: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """ECEF positions [t, m, 3] in m at the run times `times_s` [t]; otherwise as `positions`."""
        times = np.atleast_1d(np.asarray(times_s, float))
        out = np.empty((len(times), len(self.all) if wanted is None else len(wanted), 3))
        for k in np.argsort(times, kind="stable"):  # so that every interval is made once
            self._write_positions(float(times[k]), wanted, shift_s, out[k])
        return out

    def velocities(
        self,
        t_s: float,
        wanted: NDArray[np.int32] | None = None,
        shift_s: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Velocities [m, 3] in m/s in the rotating Earth-fixed frame: what the position changes by.

        Arguments as in `positions`.
        """
        wanted = self.all if wanted is None else self._checked(wanted)
        out = np.empty((len(wanted), 3))
        velocities_of_some(*self._at(t_s, shift_s), wanted, out)
        return out

    def prepare(self, t_s: float) -> None:
        """Compute at most one knot ahead of `t_s`, so that the work is spread over the epochs."""
        knot = math.floor(t_s / KNOT_S)
        with self._lock:
            for ahead in range(1, 6):
                if knot + ahead not in self._positions:
                    self._at_knot(knot + ahead)
                    return

    def speed_km_s(self, satellite: int) -> float:
        """Mean orbital speed of one satellite, from its mean motion and semi-major axis."""
        record = self._satellites[satellite]
        return float(record.no_kozai / 60.0 * record.a * record.radiusearthkm)

    def exact(self, satellite: int, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """SGP4 itself, of the sgp4 package: ECEF positions [t, 3] in m of one satellite at run times [t].

        What `positions` is checked against; not numbers where SGP4 gives a code.
        """
        day, _ = self._clock.julian(0.0)
        fractions = np.array([self._clock.julian(float(t))[1] for t in t_s])
        code, position, _ = self._satellites[satellite].sgp4_array(np.full(len(t_s), day), fractions)
        position = np.where(code[:, None] == 0, position * 1e3, np.nan)
        return _turned(position, np.asarray(self._clock.sidereal_rad(t_s)))

    def _write_positions(
        self,
        t_s: float,
        wanted: NDArray[np.int32] | None,
        shift_s: NDArray[np.float64] | None,
        out: NDArray[np.float64],
    ) -> None:
        if wanted is None:
            positions_of_all(*self._at(t_s, shift_s), out)
        else:
            positions_of_some(*self._at(t_s, shift_s), self._checked(wanted), out)

    def _checked(self, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        """Indices that kernels may follow without looking."""
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self.all)):
            wrong = wanted[(wanted < 0) | (wanted >= len(self.all))][0]
            raise WorldError(f"ephemeris: satellite {wrong} is wanted, allowed: 0 to {len(self.all) - 1}")
        return wanted

    def _at(self, t_s: float, shift_s: NDArray[np.float64] | None) -> tuple[Any, ...]:
        """What the kernels take for an instant: coefficients, seconds, shift, scale, and the Earth's turn."""
        if not abs(t_s) <= FARTHEST_S:
            raise WorldError(
                f"ephemeris: run time is {t_s:g} s, should be a number up to {FARTHEST_S:g} (a hundred years)"
            )
        if shift_s is not None and len(shift_s) != len(self.all):
            raise WorldError(
                f"ephemeris: shift_s has {len(shift_s)} values, should have one for each of "
                f"{len(self.all)} satellites"
            )
        knot = math.floor(t_s / KNOT_S)
        sidereal = float(self._clock.sidereal_rad(t_s))
        return (
            self._interval(knot),
            t_s - knot * KNOT_S,
            self._no_shift if shift_s is None else shift_s,
            1.0 / KNOT_S,
            math.cos(sidereal),
            math.sin(sidereal),
        )

    def _interval(self, knot: int) -> NDArray[np.float64]:
        """[18, n] coefficients from `knot` to the next, TEME, m."""
        with self._lock:
            found = self._intervals.pop(knot, None)
            if found is None:
                found = np.empty((_ROWS, len(self.all)))
                fit_quintic(*(self._at_knot(knot + offset) for offset in range(-2, 4)), found)
            _keep(self._intervals, knot, found, _KEPT_INTERVALS)
            return found

    def _at_knot(self, knot: int) -> NDArray[np.float64]:
        """[3, n] position at a knot, TEME, m."""
        found = self._positions.pop(knot, None)
        if found is None:
            _, found = self._propagator.positions(*self._clock.julian(knot * KNOT_S))
        _keep(self._positions, knot, found, _KEPT_KNOTS)
        return found


def _keep(kept: dict[int, NDArray[np.float64]], knot: int, value: NDArray[np.float64], at_most: int) -> None:
    """Put it in as the newest; what was not asked for longest goes first."""
    kept[knot] = value
    while len(kept) > at_most:
        del kept[next(iter(kept))]


def _turned(inertial: NDArray[np.float64], sidereal: NDArray[np.float64]) -> NDArray[np.float64]:
    cosine, sine = np.cos(sidereal), np.sin(sidereal)
    x, y = inertial[..., 0], inertial[..., 1]
    return np.stack([cosine * x + sine * y, cosine * y - sine * x, inertial[..., 2]], axis=-1)
