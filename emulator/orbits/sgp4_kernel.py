"""SGP4 in three steps over a block of satellites: secular terms, Kepler's equation, short-period terms.

The equations of Spacetrack report 3 (Hoots and Roehrich 1980) as revised in AIAA 2006-6753 (Vallado et al.
2006), in their units: Earth radii, minutes, radians. Satellites stand side by side in records of `LANES`, so
that near-Earth steps compile to vector instructions; deep space fills its lanes one by one. Records come
from `sgp4_terms` and `sdp4`.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from emulator.jit import inline_kernel, kernel
from emulator.orbits import sdp4
from emulator.orbits.sgp4_terms import (
    EARTH_RADIUS_KM,
    J2,
    J3,
    KE,
    LANES,
    MINUTES_PER_DAY,
    long_period_l,
)
from emulator.orbits.trigonometry import sin_cos, within_a_turn

#: what the steps hand on, by lane: orbit and angles, the eccentric anomaly, and the state in m and m/s
_LANE_NAMES: Final = (
    "minutes", "fault", "a", "ax_n", "ay_n", "u", "node", "sin_i", "cos_i", "anomaly", "sin_e", "cos_e",
    "x", "y", "z", "vx", "vy", "vz",
)  # fmt: skip
LANE_STATES: Final = np.dtype([(name, np.float64, (LANES,)) for name in _LANE_NAMES])

# Codes of the sgp4 package (its documentation, "error codes").
ECCENTRICITY: Final = 1.0
MEAN_MOTION: Final = 2.0
PERTURBED_ECCENTRICITY: Final = 3.0
SEMI_LATUS_RECTUM: Final = 4.0
DECAYED: Final = 6.0

_LEAST_ECCENTRICITY: Final = 1e-6
_KEPLER_STEPS: Final = 10
_KEPLER_LIMIT: Final = 0.95
#: steps this small, rad, leave an error that two more with series instead of sines take below 1e-16
_KEPLER_SMALL: Final = 0.01
_METRES: Final = 1e3 * EARTH_RADIUS_KM
_METRES_PER_S: Final = _METRES * KE / 60.0


@kernel
def _near_earth(b: Any, w: Any) -> None:
    """Secular and drag terms, then the long-period ones, for a block of near-Earth satellites."""
    for k in range(LANES):
        t = w.minutes[k]
        t2 = t * t
        anomaly = b.m0[k] + b.m_dot[k] * t
        argp = b.argp0[k] + b.argp_dot[k] * t
        node = b.node0[k] + b.node_dot[k] * t + b.node_drag[k] * t2
        _, cosine = sin_cos(anomaly)
        swing = 1.0 + b.eta[k] * cosine
        shift = b.argp_drag[k] * t + b.m_drag[k] * (swing * swing * swing - b.anomaly_drag0[k])
        anomaly += shift
        argp -= shift
        sine, _ = sin_cos(anomaly)
        shrink = 1.0 - t * (b.c1[k] + t * (b.d2[k] + t * (b.d3[k] + t * b.d4[k])))
        e = b.e0[k] - (b.bc4[k] * t + b.bc5[k] * (sine - b.sin_m0[k]))
        anomaly += b.n0[k] * t2 * (b.t2[k] + t * (b.t3[k] + t * (b.t4[k] + t * b.t5[k])))
        fault = ECCENTRICITY if (e >= 1.0 or e < -0.001) else 0.0
        e = _LEAST_ECCENTRICITY if e < _LEAST_ECCENTRICITY else e
        a = b.a0[k] * shrink * shrink

        sine, cosine = sin_cos(argp)
        inverse_p = 1.0 / (a * (1.0 - e * e))
        ax_n = e * cosine
        w.fault[k] = fault
        w.a[k] = a
        w.ax_n[k] = ax_n
        w.ay_n[k] = e * sine + inverse_p * b.long_ay[k]
        w.u[k] = anomaly + argp + inverse_p * b.long_l[k] * ax_n
        w.node[k] = node
        w.sin_i[k] = b.sin_i[k]
        w.cos_i[k] = b.cos_i[k]


@kernel
def _deep_space(terms: Any, deep: Any, w: Any) -> None:
    """The same for satellites of deep space, one after the other; `terms`, `deep` [at most LANES]."""
    for k in range(terms.shape[0]):
        b, d = terms[k], deep[k]
        t = w.minutes[k]
        mean = (
            b.n0,
            b.e0,
            b.i0,
            b.argp0 + b.argp_dot * t,
            b.node0 + b.node_dot * t + b.node_drag * t * t,
            b.m0 + b.m_dot * t,
        )
        n, e, i, argp, node, anomaly = sdp4.secular(b, d, t, mean)
        fault = MEAN_MOTION if n <= 0.0 else 0.0
        shrink = 1.0 - b.c1 * t
        a = (KE / abs(n)) ** (2.0 / 3.0) * shrink * shrink
        e -= b.bc4 * t
        if fault == 0.0 and (e >= 1.0 or e < -0.001):
            fault = ECCENTRICITY
        e = max(e, _LEAST_ECCENTRICITY)
        anomaly += b.n0 * b.t2 * t * t
        e, i, argp, node, anomaly = sdp4.periodic(d, t, e, i, argp, node, anomaly)
        if fault == 0.0 and (e < 0.0 or e > 1.0):
            fault = PERTURBED_ECCENTRICITY
        sin_i, cos_i = math.sin(i), math.cos(i)
        inverse_p = 1.0 / (a * (1.0 - e * e))
        ax_n = e * math.cos(argp)
        w.fault[k] = fault
        w.a[k] = a
        w.ax_n[k] = ax_n
        w.ay_n[k] = e * math.sin(argp) - inverse_p * 0.5 * (J3 / J2) * sin_i
        w.u[k] = anomaly + argp + inverse_p * long_period_l(sin_i, cos_i) * ax_n
        w.node[k] = node
        w.sin_i[k] = sin_i
        w.cos_i[k] = cos_i


@kernel
def _kepler(w: Any) -> None:
    """Kepler's equation by Newton's method: full steps until all are small, then two with series."""
    for k in range(LANES):
        u = within_a_turn(w.u[k])
        w.u[k] = u
        w.anomaly[k] = u
    for _ in range(_KEPLER_STEPS):
        large = 0
        for k in range(LANES):
            s, c = sin_cos(w.anomaly[k])
            step = _newton_step(w.u[k], w.ax_n[k], w.ay_n[k], w.anomaly[k], s, c)
            step = _KEPLER_LIMIT if step > _KEPLER_LIMIT else step
            step = -_KEPLER_LIMIT if step < -_KEPLER_LIMIT else step
            w.sin_e[k] = s
            w.cos_e[k] = c
            w.anomaly[k] += step
            # for now: the step by which sine and cosine are behind
            w.x[k] = step
            large += 1 if abs(step) > _KEPLER_SMALL else 0
        if large == 0:
            break
    for k in range(LANES):
        s, c = _turn(w.sin_e[k], w.cos_e[k], w.x[k])
        step = _newton_step(w.u[k], w.ax_n[k], w.ay_n[k], w.anomaly[k], s, c)
        s, c = _turn(s, c, step)
        step = _newton_step(w.u[k], w.ax_n[k], w.ay_n[k], w.anomaly[k] + step, s, c)
        s, c = _turn(s, c, step)
        w.sin_e[k] = s
        w.cos_e[k] = c


@inline_kernel
def _newton_step(u, ax_n, ay_n, anomaly, s, c):  # type: ignore[no-untyped-def]
    return (u - ay_n * c + ax_n * s - anomaly) / (1.0 - c * ax_n - s * ay_n)


@inline_kernel
def _turn(s: Any, c: Any, angle: Any) -> Any:
    """Sine and cosine after a further small angle, by their series to the seventh order."""
    z = angle * angle
    sine = angle * (1.0 - z * (1.0 / 6.0) * (1.0 - z * (1.0 / 20.0) * (1.0 - z * (1.0 / 42.0))))
    less = 0.5 * z * (1.0 - z * (1.0 / 12.0) * (1.0 - z * (1.0 / 30.0)))
    return s + (c * sine - s * less), c - (s * sine + c * less)


@kernel
def _short_period(w: Any) -> None:
    """Short-period terms and the state, TEME, m and m/s."""
    for k in range(LANES):
        a, ax_n, ay_n, s, c = w.a[k], w.ax_n[k], w.ay_n[k], w.sin_e[k], w.cos_e[k]
        e_cos = ax_n * c + ay_n * s
        e_sin = ax_n * s - ay_n * c
        e2 = ax_n * ax_n + ay_n * ay_n
        p = a * (1.0 - e2)
        r = a * (1.0 - e_cos)
        root_a = np.sqrt(a)  # of a satellite with a fault: not a number
        n = KE / (a * root_a)
        beta = np.sqrt(1.0 - e2)
        share = e_sin / (1.0 + beta)
        sin_u = a / r * (s - ay_n - ax_n * share)
        cos_u = a / r * (c - ax_n + ay_n * share)
        sin_2u = 2.0 * cos_u * sin_u
        cos_2u = 1.0 - 2.0 * sin_u * sin_u
        j1 = 0.5 * J2 / p
        j2 = j1 / p
        sin_i, cos_i = w.sin_i[k], w.cos_i[k]
        cos2_i = cos_i * cos_i
        con41, sin2_i, con7 = 3.0 * cos2_i - 1.0, 1.0 - cos2_i, 7.0 * cos2_i - 1.0
        distance = r * (1.0 - 1.5 * j2 * beta * con41) + 0.5 * j1 * sin2_i * cos_2u
        radial = root_a * e_sin / r - n * j1 * sin2_i * sin_2u / KE
        along = root_a * beta / r + n * j1 * (sin2_i * cos_2u + 1.5 * con41) / KE

        # argument of latitude, node and inclination turn by small amounts
        ds, dc = sin_cos(-0.25 * j2 * con7 * sin_2u)
        sin_l, cos_l = sin_u * dc + cos_u * ds, cos_u * dc - sin_u * ds
        ds, dc = sin_cos(1.5 * j2 * cos_i * sin_i * cos_2u)
        si, ci = sin_i * dc + cos_i * ds, cos_i * dc - sin_i * ds
        sn, cn = sin_cos(w.node[k] + 1.5 * j2 * cos_i * sin_2u)
        ux, uy, uz = cn * cos_l - sn * ci * sin_l, sn * cos_l + cn * ci * sin_l, si * sin_l
        vx, vy, vz = -sn * ci * cos_l - cn * sin_l, cn * ci * cos_l - sn * sin_l, si * cos_l

        scale = distance * _METRES
        w.x[k] = scale * ux
        w.y[k] = scale * uy
        w.z[k] = scale * uz
        w.vx[k] = _METRES_PER_S * (radial * ux + along * vx)
        w.vy[k] = _METRES_PER_S * (radial * uy + along * vy)
        w.vz[k] = _METRES_PER_S * (radial * uz + along * vz)
        fault = w.fault[k]
        code = SEMI_LATUS_RECTUM if p < 0.0 else (DECAYED if distance < 1.0 else 0.0)
        w.fault[k] = code if fault == 0.0 else fault


@kernel
def _block(j, near, blocks, terms, deep, day, fraction, w):  # type: ignore[no-untyped-def]
    """States of block `j` at one instant into the work record `w`; the first `near` blocks are near-Earth."""
    b = blocks[j]
    for k in range(LANES):
        w.minutes[k] = (day - b.epoch_day[k]) * MINUTES_PER_DAY + (
            fraction - b.epoch_fraction[k]
        ) * MINUTES_PER_DAY
    if j < near:
        _near_earth(b, w)
    else:
        first = (j - near) * LANES
        _deep_space(terms[first : first + LANES], deep[first : first + LANES], w)
    _kepler(w)
    _short_period(w)


@kernel
def states(near, blocks, order, terms, deep, day, fraction, work, fault, position, velocity):  # type: ignore[no-untyped-def]
    """States of all satellites at all instants.

    `blocks` [b] of `BLOCK`, `near` of them near-Earth; `order` [b, LANES] satellite of each lane, -1: none;
    `terms`, `deep`: of the deep-space satellites, in the order of their lanes; `day`, `fraction` [t] Julian
    dates; `work` [1] of `LANE_STATES`. Out: `fault` [n, t] code, `position`, `velocity` [n, t, 3] m, m/s; not
    numbers where a fault other than `DECAYED` is.
    """
    w = work[0]
    for j in range(blocks.shape[0]):
        for i in range(day.shape[0]):
            _block(j, near, blocks, terms, deep, day[i], fraction[i], w)
            for k in range(LANES):
                n = order[j, k]
                if n >= 0:
                    code = w.fault[k]
                    fault[n, i] = np.uint8(code)
                    lost = 0.0 if (code == 0.0 or code == DECAYED) else np.nan
                    position[n, i, 0] = w.x[k] + lost
                    position[n, i, 1] = w.y[k] + lost
                    position[n, i, 2] = w.z[k] + lost
                    velocity[n, i, 0] = w.vx[k] + lost
                    velocity[n, i, 1] = w.vy[k] + lost
                    velocity[n, i, 2] = w.vz[k] + lost


@kernel
def positions(near, blocks, order, terms, deep, day, fraction, work, fault, position):  # type: ignore[no-untyped-def]
    """Positions at one instant: `fault` [n], `position` [3, n] m, not numbers where there is any fault.

    The other arguments are those of `states`.
    """
    w = work[0]
    for j in range(blocks.shape[0]):
        _block(j, near, blocks, terms, deep, day, fraction, w)
        for k in range(LANES):
            n = order[j, k]
            if n >= 0:
                lost = 0.0 if w.fault[k] == 0.0 else np.nan
                fault[n] = np.uint8(w.fault[k])
                position[0, n] = w.x[k] + lost
                position[1, n] = w.y[k] + lost
                position[2, n] = w.z[k] + lost
