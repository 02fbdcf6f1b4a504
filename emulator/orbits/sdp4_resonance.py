"""Resonance of deep-space orbits with the Earth's rotation: one day, or half a day when eccentric.

Spacetrack report 3 (Hoots and Roehrich 1980) as revised in AIAA 2006-6753 (Vallado et al. 2006): tesseral
harmonics change mean motion and longitude over weeks, integrated numerically in steps of half a day. Units
are the report's: Earth radii, minutes, radians.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from emulator.jit import kernel
from emulator.orbits.sgp4_terms import KE

#: the Earth's rotation, rad/min
_ROTATION: Final = 4.37526908801129966e-3
_STEP_MIN: Final = 720.0
_ONE_DAY: Final = 1.0
_HALF_DAY: Final = 2.0

# Tesseral harmonics: strengths (one day: q, half a day: root) and phases, rad.
_Q22, _Q31, _Q33 = 1.7891679e-6, 2.1460748e-6, 2.2123015e-7
_ROOT22, _ROOT32, _ROOT44 = 1.7891679e-6, 3.7393792e-7, 7.3636953e-9
_ROOT52, _ROOT54 = 1.1428639e-7, 2.1765803e-9
_PHASE31, _PHASE22, _PHASE33 = 0.13130908, 2.8843198, 0.37448087
_G22, _G32, _G44, _G52, _G54 = 5.7686396, 0.95240898, 1.8014998, 1.0508330, 4.4108898

RESONANCE: Final = np.dtype(
    [
        (name, np.float64)
        for name in (
            "kind", "longitude0", "rate", "del1", "del2", "del3", "d2201", "d2211", "d3210", "d3222",
            "d4410", "d4422", "d5220", "d5232", "d5421", "d5433",
        )
    ]
)  # fmt: skip


@kernel
def sidereal_rad(day: Any, fraction: Any) -> Any:
    """Greenwich mean sidereal time, rad, IAU-82 (Vallado 2013, eq. 3-47), of a Julian date in UT1."""
    centuries = (day + fraction - 2451545.0) / 36525.0
    seconds = 67310.54841 + centuries * (
        876600.0 * 3600.0 + 8640184.812866 + centuries * (0.093104 - 6.2e-6 * centuries)
    )
    return (math.radians(seconds / 240.0)) % (2.0 * math.pi)


@kernel
def prepare(t: Any, r: Any, s: Any) -> None:
    """Fill the record `s` of `RESONANCE` from near-Earth terms `t` and lunar-solar rates `r`."""
    n = t.n0
    s.kind = 0.0
    if 0.0034906585 < n < 0.0052359877:
        s.kind = _ONE_DAY
        _prepare_one_day(t, r, s)
    elif 8.26e-3 <= n <= 9.24e-3 and t.e0 >= 0.5:
        s.kind = _HALF_DAY
        _prepare_half_day(t, r, s)


@kernel
def _prepare_one_day(t: Any, r: Any, s: Any) -> None:
    e2 = t.e0 * t.e0
    c, inv_a = t.cos_i, (t.n0 / KE) ** (2.0 / 3.0)
    g200 = 1.0 + e2 * (-2.5 + 0.8125 * e2)
    g310 = 1.0 + 2.0 * e2
    g300 = 1.0 + e2 * (-6.0 + 6.60937 * e2)
    f220 = 0.75 * (1.0 + c) * (1.0 + c)
    f311 = 0.9375 * t.sin_i * t.sin_i * (1.0 + 3.0 * c) - 0.75 * (1.0 + c)
    f330 = 1.875 * (1.0 + c) * (1.0 + c) * (1.0 + c)
    strength = 3.0 * t.n0 * t.n0 * inv_a * inv_a
    s.del1 = strength * inv_a * f311 * g310 * _Q31
    s.del2 = 2.0 * strength * f220 * g200 * _Q22
    s.del3 = 3.0 * strength * inv_a * f330 * g300 * _Q33
    s.longitude0 = np.fmod(t.m0 + t.node0 + t.argp0 - r.sidereal0, 2.0 * math.pi)
    s.rate = t.m_dot + t.argp_dot + t.node_dot - _ROTATION + r.m_dot + r.argp_dot + r.node_dot - t.n0


@kernel
def _eccentricity_functions(e: Any) -> Any:
    """Fits in the eccentricity: G 211, 310, 322, 410, 422, 520, 521, 532, 533."""
    e2 = e * e
    e3 = e2 * e
    if e <= 0.65:
        g211 = 3.616 - 13.2470 * e + 16.2900 * e2
        g310 = -19.302 + 117.3900 * e - 228.4190 * e2 + 156.5910 * e3
        g322 = -18.9068 + 109.7927 * e - 214.6334 * e2 + 146.5816 * e3
        g410 = -41.122 + 242.6940 * e - 471.0940 * e2 + 313.9530 * e3
        g422 = -146.407 + 841.8800 * e - 1629.014 * e2 + 1083.4350 * e3
        g520 = -532.114 + 3017.977 * e - 5740.032 * e2 + 3708.2760 * e3
    else:
        g211 = -72.099 + 331.819 * e - 508.738 * e2 + 266.724 * e3
        g310 = -346.844 + 1582.851 * e - 2415.925 * e2 + 1246.113 * e3
        g322 = -342.585 + 1554.908 * e - 2366.899 * e2 + 1215.972 * e3
        g410 = -1052.797 + 4758.686 * e - 7193.992 * e2 + 3651.957 * e3
        g422 = -3581.690 + 16178.110 * e - 24462.770 * e2 + 12422.520 * e3
        if e > 0.715:
            g520 = -5149.66 + 29936.92 * e - 54087.36 * e2 + 31324.56 * e3
        else:
            g520 = 1464.74 - 4664.75 * e + 3763.64 * e2
    if e < 0.7:
        g533 = -919.22770 + 4988.6100 * e - 9064.7700 * e2 + 5542.21 * e3
        g521 = -822.71072 + 4568.6173 * e - 8491.4146 * e2 + 5337.524 * e3
        g532 = -853.66600 + 4690.2500 * e - 8624.7700 * e2 + 5341.4 * e3
    else:
        g533 = -37995.780 + 161616.52 * e - 229838.20 * e2 + 109377.94 * e3
        g521 = -51752.104 + 218913.95 * e - 309468.16 * e2 + 146349.42 * e3
        g532 = -40023.880 + 170470.89 * e - 242699.48 * e2 + 115605.82 * e3
    return g211, g310, g322, g410, g422, g520, g521, g532, g533


@kernel
def _prepare_half_day(t: Any, r: Any, s: Any) -> None:
    c, si = t.cos_i, t.sin_i
    c2, s2 = c * c, si * si
    g201 = -0.306 - (t.e0 - 0.64) * 0.440
    g211, g310, g322, g410, g422, g520, g521, g532, g533 = _eccentricity_functions(t.e0)
    f220 = 0.75 * (1.0 + 2.0 * c + c2)
    f221 = 1.5 * s2
    f321 = 1.875 * si * (1.0 - 2.0 * c - 3.0 * c2)
    f322 = -1.875 * si * (1.0 + 2.0 * c - 3.0 * c2)
    f441 = 35.0 * s2 * f220
    f442 = 39.3750 * s2 * s2
    f522 = 9.84375 * si * (
        s2 * (1.0 - 2.0 * c - 5.0 * c2) + 0.33333333 * (-2.0 + 4.0 * c + 6.0 * c2)
    )  # fmt: skip
    f523 = si * (4.92187512 * s2 * (-2.0 - 4.0 * c + 10.0 * c2) + 6.56250012 * (1.0 + 2.0 * c - 3.0 * c2))
    f542 = 29.53125 * si * (2.0 - 8.0 * c + c2 * (-12.0 + 8.0 * c + 10.0 * c2))
    f543 = 29.53125 * si * (-2.0 - 8.0 * c + c2 * (12.0 + 8.0 * c - 10.0 * c2))
    inv_a = (t.n0 / KE) ** (2.0 / 3.0)
    strength = 3.0 * t.n0 * t.n0 * inv_a * inv_a
    s.d2201 = strength * _ROOT22 * f220 * g201
    s.d2211 = strength * _ROOT22 * f221 * g211
    strength *= inv_a
    s.d3210 = strength * _ROOT32 * f321 * g310
    s.d3222 = strength * _ROOT32 * f322 * g322
    strength *= inv_a
    s.d4410 = 2.0 * strength * _ROOT44 * f441 * g410
    s.d4422 = 2.0 * strength * _ROOT44 * f442 * g422
    strength *= inv_a
    s.d5220 = strength * _ROOT52 * f522 * g520
    s.d5232 = strength * _ROOT52 * f523 * g532
    s.d5421 = 2.0 * strength * _ROOT54 * f542 * g521
    s.d5433 = 2.0 * strength * _ROOT54 * f543 * g533
    s.longitude0 = np.fmod(t.m0 + 2.0 * t.node0 - 2.0 * r.sidereal0, 2.0 * math.pi)
    s.rate = t.m_dot + r.m_dot + 2.0 * (t.node_dot + r.node_dot - _ROTATION) - t.n0


@kernel
def _derivatives(t, s, at_min, longitude, n):  # type: ignore[no-untyped-def]
    """First and second derivative of the mean motion, and the rate of the longitude."""
    rate = n + s.rate
    if s.kind == _ONE_DAY:
        a1 = longitude - _PHASE31
        a2 = 2.0 * (longitude - _PHASE22)
        a3 = 3.0 * (longitude - _PHASE33)
        first = s.del1 * math.sin(a1) + s.del2 * math.sin(a2) + s.del3 * math.sin(a3)
        second = s.del1 * math.cos(a1) + 2.0 * s.del2 * math.cos(a2) + 3.0 * s.del3 * math.cos(a3)
        return first, second * rate, rate
    w = t.argp0 + t.argp_dot * at_min
    one, two = longitude, 2.0 * longitude
    b1, b2 = 2.0 * w + one - _G22, one - _G22
    b3, b4 = w + one - _G32, -w + one - _G32
    b5, b6 = 2.0 * w + two - _G44, two - _G44
    b7, b8 = w + one - _G52, -w + one - _G52
    b9, b10 = w + two - _G54, -w + two - _G54
    first = (
        s.d2201 * math.sin(b1) + s.d2211 * math.sin(b2) + s.d3210 * math.sin(b3) + s.d3222 * math.sin(b4)
        + s.d4410 * math.sin(b5) + s.d4422 * math.sin(b6) + s.d5220 * math.sin(b7) + s.d5232 * math.sin(b8)
        + s.d5421 * math.sin(b9) + s.d5433 * math.sin(b10)
    )  # fmt: skip
    second = (
        s.d2201 * math.cos(b1) + s.d2211 * math.cos(b2) + s.d3210 * math.cos(b3) + s.d3222 * math.cos(b4)
        + s.d5220 * math.cos(b7) + s.d5232 * math.cos(b8)
        + 2.0 * (
            s.d4410 * math.cos(b5) + s.d4422 * math.cos(b6) + s.d5421 * math.cos(b9) + s.d5433 * math.cos(b10)
        )
    )  # fmt: skip
    return first, second * rate, rate


@kernel
def integrate(t, s, sidereal0, minutes, argp, node):  # type: ignore[no-untyped-def]
    """Mean motion and mean anomaly `minutes` after the epoch, second-order Taylor steps from the epoch.

    `argp`, `node`: with their secular rates; `sidereal0`: sidereal time at the epoch.
    """
    step = _STEP_MIN if minutes > 0.0 else -_STEP_MIN
    at, longitude, n = 0.0, s.longitude0, t.n0
    first, second, rate = _derivatives(t, s, at, longitude, n)
    while abs(minutes - at) >= _STEP_MIN:
        longitude += rate * step + first * (0.5 * _STEP_MIN * _STEP_MIN)
        n += first * step + second * (0.5 * _STEP_MIN * _STEP_MIN)
        at += step
        first, second, rate = _derivatives(t, s, at, longitude, n)
    rest = minutes - at
    n += first * rest + second * rest * rest * 0.5
    longitude += rate * rest + first * rest * rest * 0.5
    sidereal = np.fmod(sidereal0 + minutes * _ROTATION, 2.0 * math.pi)
    if s.kind == _ONE_DAY:
        return n, longitude - node - argp + sidereal
    return n, longitude - 2.0 * node + 2.0 * sidereal
