"""Deep space in SGP4: sun, moon, and resonance with the Earth's rotation, for periods from 225 minutes on.

The equations of Spacetrack report 3 (Hoots and Roehrich 1980) as revised in AIAA 2006-6753 (Vallado et al.
2006, improved mode), in their units: Earth radii, minutes, radians. `prepare` derives what depends on the
mean elements alone; `secular` and `periodic` change mean elements in a loop over satellites. The resonance
is integrated from the epoch at every call, so that calls need no order.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from emulator.jit import kernel
from emulator.orbits.sdp4_resonance import RESONANCE, integrate, sidereal_rad
from emulator.orbits.sdp4_resonance import prepare as prepare_resonance

#: mean motion, rad/min, and eccentricity of sun and moon as seen from the Earth
SUN_MOTION: Final = 1.19459e-5
MOON_MOTION: Final = 1.5835218e-4
SUN_ECCENTRICITY: Final = 0.01675
MOON_ECCENTRICITY: Final = 0.05490
#: strength of the perturbation, 1/min
_SUN_STRENGTH: Final = 2.9864797e-6
_MOON_STRENGTH: Final = 4.7968065e-7
#: the sun's orbit: inclination and argument of perigee
_SUN_SIN_I, _SUN_COS_I = 0.39785416, 0.91744867
_SUN_SIN_ARGP, _SUN_COS_ARGP = -0.98088458, 0.1945905
#: nearer than this to the equator, rad, the node is left alone (3 degrees)
_FLAT: Final = 5.2359877e-2
#: below this inclination, rad, periodic terms go through Lyddane's variables
_LYDDANE: Final = 0.2

#: coefficients of the periodic terms of one body: eccentricity, inclination, longitude, perigee, node
_PERIODIC: Final = (
    "anomaly", "e2", "e3", "i2", "i3", "l2", "l3", "l4", "g2", "g3", "g4", "h2", "h3"
)  # fmt: skip
BODY: Final = np.dtype([(name, np.float64) for name in _PERIODIC])
#: rates of the mean elements, both bodies together, and what the resonance needs
RATES: Final = np.dtype(
    [(name, np.float64) for name in ("e_dot", "i_dot", "m_dot", "argp_dot", "node_dot", "sidereal0")]
)
DEEP: Final = np.dtype([("rates", RATES), ("sun", BODY), ("moon", BODY), ("resonance", RESONANCE)])


@kernel
def _third_body(t, strength, ecc, motion, orientation, body):  # type: ignore[no-untyped-def]
    """Periodic coefficients of one body into `body`; returns its secular rates.

    `orientation`: sine and cosine of the body's argument of perigee, inclination, and of its node relative
    to the satellite's; `ecc`, `motion` of the body.
    """
    sin_g, cos_g, sin_i, cos_i, sin_h, cos_h = orientation
    a1 = cos_g * cos_h + sin_g * cos_i * sin_h
    a3 = -sin_g * cos_h + cos_g * cos_i * sin_h
    a7 = -cos_g * sin_h + sin_g * cos_i * cos_h
    a8 = sin_g * sin_i
    a9 = sin_g * sin_h + cos_g * cos_i * cos_h
    a10 = cos_g * sin_i
    a2 = t.cos_i * a7 + t.sin_i * a8
    a4 = t.cos_i * a9 + t.sin_i * a10
    a5 = -t.sin_i * a7 + t.cos_i * a8
    a6 = -t.sin_i * a9 + t.cos_i * a10
    cos_w, sin_w = math.cos(t.argp0), math.sin(t.argp0)
    x1, x2 = a1 * cos_w + a2 * sin_w, a3 * cos_w + a4 * sin_w
    x3, x4 = -a1 * sin_w + a2 * cos_w, -a3 * sin_w + a4 * cos_w
    x5, x6, x7, x8 = a5 * sin_w, a6 * sin_w, a5 * cos_w, a6 * cos_w

    e2 = t.e0 * t.e0
    beta2 = 1.0 - e2
    z31 = 12.0 * x1 * x1 - 3.0 * x3 * x3
    z32 = 24.0 * x1 * x2 - 6.0 * x3 * x4
    z33 = 12.0 * x2 * x2 - 3.0 * x4 * x4
    z1 = 6.0 * (a1 * a1 + a2 * a2) + (1.0 + e2) * z31
    z2 = 12.0 * (a1 * a3 + a2 * a4) + (1.0 + e2) * z32
    z3 = 6.0 * (a3 * a3 + a4 * a4) + (1.0 + e2) * z33
    z11 = -6.0 * a1 * a5 + e2 * (-24.0 * x1 * x7 - 6.0 * x3 * x5)
    z12 = -6.0 * (a1 * a6 + a3 * a5) + e2 * (-24.0 * (x2 * x7 + x1 * x8) - 6.0 * (x3 * x6 + x4 * x5))
    z13 = -6.0 * a3 * a6 + e2 * (-24.0 * x2 * x8 - 6.0 * x4 * x6)
    z21 = 6.0 * a2 * a5 + e2 * (24.0 * x1 * x5 - 6.0 * x3 * x7)
    z22 = 6.0 * (a4 * a5 + a2 * a6) + e2 * (24.0 * (x2 * x5 + x1 * x6) - 6.0 * (x4 * x7 + x3 * x8))
    z23 = 6.0 * a4 * a6 + e2 * (24.0 * x2 * x6 - 6.0 * x4 * x8)
    s3 = strength / t.n0
    s2 = -0.5 * s3 / math.sqrt(beta2)
    s4 = s3 * math.sqrt(beta2)
    s1 = -15.0 * t.e0 * s4
    s5, s6, s7 = x1 * x3 + x2 * x4, x2 * x3 + x1 * x4, x2 * x4 - x1 * x3

    body.e2, body.e3 = 2.0 * s1 * s6, 2.0 * s1 * s7
    body.i2, body.i3 = 2.0 * s2 * z12, 2.0 * s2 * (z13 - z11)
    body.l2, body.l3 = -2.0 * s3 * z2, -2.0 * s3 * (z3 - z1)
    body.l4 = -2.0 * s3 * (-21.0 - 9.0 * e2) * ecc
    body.g2, body.g3, body.g4 = 2.0 * s4 * z32, 2.0 * s4 * (z33 - z31), -18.0 * s4 * ecc
    body.h2, body.h3 = -2.0 * s2 * z22, -2.0 * s2 * (z23 - z21)

    node = -motion * s2 * (z21 + z23)
    if t.i0 < _FLAT or t.i0 > math.pi - _FLAT:
        node = 0.0
    if t.sin_i != 0.0:
        node /= t.sin_i
    return (
        s1 * motion * s5,
        s2 * motion * (z11 + z13),
        -motion * s3 * (z1 + z3 - 14.0 - 6.0 * e2),
        s4 * motion * (z31 + z33 - 6.0) - t.cos_i * node,
        node,
    )


@kernel
def prepare(t: Any, d: Any) -> None:
    """Fill the record `d` of `DEEP` from the record `t` of near-Earth terms."""
    # Days from 1899 December 31 12h, the origin of the bodies' mean elements. Rounded to some 40 us as in the
    # reference implementation: at the perigee of extreme orbits that is millimetres.
    day = ((t.epoch_day + t.epoch_fraction) - 2433281.5) + 18261.5
    sin_h, cos_h = math.sin(t.node0), math.cos(t.node0)
    sun = _third_body(
        t,
        _SUN_STRENGTH,
        SUN_ECCENTRICITY,
        SUN_MOTION,
        (_SUN_SIN_ARGP, _SUN_COS_ARGP, _SUN_SIN_I, _SUN_COS_I, sin_h, cos_h),
        d.sun,
    )
    # the moon's node on the ecliptic, and from it the orientation of its orbit to the equator
    ecliptic = np.fmod(4.5236020 - 9.2422029e-4 * day, 2.0 * math.pi)
    sin_e, cos_e = math.sin(ecliptic), math.cos(ecliptic)
    moon_cos_i = 0.91375164 - 0.03568096 * cos_e
    moon_sin_i = math.sqrt(1.0 - moon_cos_i * moon_cos_i)
    moon_sin_h = 0.089683511 * sin_e / moon_sin_i
    moon_cos_h = math.sqrt(1.0 - moon_sin_h * moon_sin_h)
    longitude = 5.8351514 + 0.0019443680 * day
    argp = (
        longitude
        + math.atan2(_SUN_SIN_I * sin_e / moon_sin_i, moon_cos_h * cos_e + _SUN_COS_I * moon_sin_h * sin_e)
        - ecliptic
    )
    orientation = (
        math.sin(argp),
        math.cos(argp),
        moon_sin_i,
        moon_cos_i,
        sin_h * moon_cos_h - cos_h * moon_sin_h,
        moon_cos_h * cos_h + moon_sin_h * sin_h,
    )
    moon = _third_body(t, _MOON_STRENGTH, MOON_ECCENTRICITY, MOON_MOTION, orientation, d.moon)
    d.sun.anomaly = np.fmod(6.2565837 + 0.017201977 * day, 2.0 * math.pi)
    d.moon.anomaly = np.fmod(4.7199672 + 0.22997150 * day - longitude, 2.0 * math.pi)
    r = d.rates
    r.e_dot, r.i_dot, r.m_dot = sun[0] + moon[0], sun[1] + moon[1], sun[2] + moon[2]
    r.argp_dot, r.node_dot = sun[3] + moon[3], sun[4] + moon[4]
    r.sidereal0 = sidereal_rad(t.epoch_day, t.epoch_fraction)
    prepare_resonance(t, r, d.resonance)


@kernel
def secular(t, d, minutes, mean):  # type: ignore[no-untyped-def]
    """Mean elements with the secular rates and the resonance added.

    `mean`: mean motion, eccentricity, inclination, argument of perigee, node, mean anomaly, with the zonal
    terms only. Returns the same six.
    """
    n, e, i, argp, node, anomaly = mean
    r = d.rates
    e += r.e_dot * minutes
    i += r.i_dot * minutes
    argp += r.argp_dot * minutes
    node += r.node_dot * minutes
    anomaly += r.m_dot * minutes
    if d.resonance.kind != 0.0:
        n, anomaly = integrate(t, d.resonance, r.sidereal0, minutes, argp, node)
    return n, e, i, argp, node, anomaly


@kernel
def _of_body(body, motion, ecc, minutes):  # type: ignore[no-untyped-def]
    """Periodic changes by one body: eccentricity, inclination, longitude, perigee, node."""
    anomaly = body.anomaly + motion * minutes
    true = anomaly + 2.0 * ecc * math.sin(anomaly)
    sine = math.sin(true)
    f2 = 0.5 * sine * sine - 0.25
    f3 = -0.5 * sine * math.cos(true)
    return (
        body.e2 * f2 + body.e3 * f3,
        body.i2 * f2 + body.i3 * f3,
        body.l2 * f2 + body.l3 * f3 + body.l4 * sine,
        body.g2 * f2 + body.g3 * f3 + body.g4 * sine,
        body.h2 * f2 + body.h3 * f3,
    )


@kernel
def periodic(d, minutes, e, i, argp, node, anomaly):  # type: ignore[no-untyped-def]
    """Eccentricity, inclination, argument of perigee, node, mean anomaly with the bodies' periodic terms."""
    sun = _of_body(d.sun, SUN_MOTION, SUN_ECCENTRICITY, minutes)
    moon = _of_body(d.moon, MOON_MOTION, MOON_ECCENTRICITY, minutes)
    d_i, d_l = sun[1] + moon[1], sun[2] + moon[2]
    d_g, d_h = sun[3] + moon[3], sun[4] + moon[4]
    e += sun[0] + moon[0]
    i += d_i
    sin_i, cos_i = math.sin(i), math.cos(i)
    if i >= _LYDDANE:
        d_h /= sin_i
        argp += d_g - cos_i * d_h
        node += d_h
        anomaly += d_l
    else:
        # the node is ill-defined near the equator: change the direction of the orbit's normal instead
        sin_h, cos_h = math.sin(node), math.cos(node)
        alpha = sin_i * sin_h + d_h * cos_h + d_i * cos_i * sin_h
        beta = sin_i * cos_h - d_h * sin_h + d_i * cos_i * cos_h
        node = np.fmod(node, 2.0 * math.pi)
        longitude = anomaly + argp + cos_i * node + d_l + d_g - d_i * node * sin_i
        turned = math.atan2(alpha, beta)
        if abs(node - turned) > math.pi:
            turned += 2.0 * math.pi if turned < node else -2.0 * math.pi
        node = turned
        anomaly += d_l
        argp = longitude - anomaly - cos_i * node
    if i < 0.0:
        i, node, argp = -i, node + math.pi, argp - math.pi
    return e, i, argp, node, anomaly
