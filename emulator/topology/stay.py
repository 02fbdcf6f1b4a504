"""How long satellites stay in sight of a place from an instant on.

A forecast for comparing satellites, not a contact window: the motion is carried on from the present position
and velocity under the Earth's gravity with its oblateness (J2), which stays within a kilometre of SGP4 over
the twenty minutes that are looked ahead, and so within a fraction of a second at setting. The place
turns with the Earth and does not move otherwise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.jit import kernel
from emulator.units import EARTH_MU_M3_S2, EARTH_ROTATION_RAD_S, WGS84_A_M

Floats = NDArray[np.float64]

#: how far ahead, and how finely, visibility is followed, s
HORIZON_S = 1200.0
_STEP_S = 15.0

#: the oblateness term (EGM96)
_J2 = 1.08262668e-3


@kernel
def _pull(x, y, z):  # type: ignore[no-untyped-def]
    """Acceleration in m/s2 at an inertial position in m: central, and the zonal term of degree 2."""
    r2 = x * x + y * y + z * z
    central = -EARTH_MU_M3_S2 / (r2 * math.sqrt(r2))
    flat = 1.5 * _J2 * WGS84_A_M * WGS84_A_M / r2
    polar = 5.0 * z * z / r2
    across = central * (1.0 + flat * (1.0 - polar))
    return across * x, across * y, central * (1.0 + flat * (3.0 - polar)) * z


@kernel
def _elevation(place, up, seconds, x, y, z):  # type: ignore[no-untyped-def]
    """Elevation in rad of an inertial position, the place having turned for `seconds`."""
    cosine, sine = math.cos(EARTH_ROTATION_RAD_S * seconds), math.sin(EARTH_ROTATION_RAD_S * seconds)
    # the satellite is turned back instead of the place
    dx = cosine * x + sine * y - place[0]
    dy = cosine * y - sine * x - place[1]
    dz = z - place[2]
    rise = up[0] * dx + up[1] * dy + up[2] * dz
    across = math.sqrt(max(dx * dx + dy * dy + dz * dz - rise * rise, 0.0))
    return math.atan2(rise, across)


@kernel
def _stays(place, up, least, position, velocity, stay):  # type: ignore[no-untyped-def]
    """Seconds [n] until satellites set; see `seconds_in_sight`. Fourth-order Runge-Kutta steps."""
    h = _STEP_S
    steps = int(HORIZON_S / _STEP_S)
    for i in range(position.shape[0]):
        here, zenith, low = place[i], up[i], least[i]
        x, y, z = position[i, 0], position[i, 1], position[i, 2]
        # inertial axes that coincide with the Earth-fixed ones now
        u = velocity[i, 0] - EARTH_ROTATION_RAD_S * y
        v = velocity[i, 1] + EARTH_ROTATION_RAD_S * x
        w = velocity[i, 2]
        above = _elevation(here, zenith, 0.0, x, y, z) - low
        stay[i] = HORIZON_S if above >= 0.0 else 0.0
        if not above >= 0.0:
            continue
        for step in range(steps):
            a1, b1, c1 = _pull(x, y, z)
            half = 0.5 * h
            u2, v2, w2 = u + half * a1, v + half * b1, w + half * c1
            a2, b2, c2 = _pull(x + half * u, y + half * v, z + half * w)
            u3, v3, w3 = u + half * a2, v + half * b2, w + half * c2
            a3, b3, c3 = _pull(x + half * u2, y + half * v2, z + half * w2)
            u4, v4, w4 = u + h * a3, v + h * b3, w + h * c3
            a4, b4, c4 = _pull(x + h * u3, y + h * v3, z + h * w3)
            x += h / 6.0 * (u + 2.0 * u2 + 2.0 * u3 + u4)
            y += h / 6.0 * (v + 2.0 * v2 + 2.0 * v3 + v4)
            z += h / 6.0 * (w + 2.0 * w2 + 2.0 * w3 + w4)
            u += h / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
            v += h / 6.0 * (b1 + 2.0 * b2 + 2.0 * b3 + b4)
            w += h / 6.0 * (c1 + 2.0 * c2 + 2.0 * c3 + c4)
            before, above = above, _elevation(here, zenith, (step + 1) * h, x, y, z) - low
            if not above >= 0.0:
                stay[i] = h * (step + before / (before - above))
                break


def seconds_in_sight(
    place_m: Floats, up: Floats, min_elevation_deg: ArrayLike, position_m: Floats, velocity_m_s: Floats
) -> Floats:
    """Seconds [n] until satellites set below an elevation, `HORIZON_S` when they do not before that.

    `place_m` [n, 3] or [3] and its zenith `up`; `min_elevation_deg` [n] or one; `position_m`,
    `velocity_m_s` [n, 3] of the satellites; all Earth-fixed. 0 for a satellite that is below now.
    """
    stay = np.empty(len(position_m))
    here, zenith = (np.ascontiguousarray(np.broadcast_to(v, position_m.shape)) for v in (place_m, up))
    least = np.ascontiguousarray(np.broadcast_to(np.radians(min_elevation_deg), stay.shape))
    _stays(here, zenith, least, position_m, velocity_m_s, stay)
    return stay
