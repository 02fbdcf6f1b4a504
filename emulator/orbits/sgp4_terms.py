"""What SGP4 derives once from a satellite's mean elements: the coefficients of its secular and drag terms.

Near-Earth terms of Spacetrack report 3 (Hoots and Roehrich 1980) as revised in AIAA 2006-6753 (Vallado et
al.), in their units: Earth radii, minutes, radians. Deep space adds what `sdp4` holds. Nothing is
propagated here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.jit import kernel
from emulator.units import SGP4_MU_KM3_S2

#: WGS-72, as element sets assume: km, zonal harmonics (AIAA 2006-6753, appendix)
EARTH_RADIUS_KM: Final = 6378.135
J2: Final = 0.001082616
J3: Final = -0.00000253881
J4: Final = -0.00000165597
#: square root of the gravitational parameter, Earth radii^1.5 per minute
KE: Final = 60.0 / math.sqrt(EARTH_RADIUS_KM**3 / SGP4_MU_KM3_S2)
MINUTES_PER_DAY: Final = 1440.0
#: periods from here on, min, belong to deep space
DEEP_SPACE_MIN: Final = 225.0
#: keeps the long-period term finite at an inclination of 180 degrees
LEAST_ONE_PLUS_COS: Final = 1.5e-12

#: mean elements at the epoch, rad and rad/min; the epoch as Julian day and fraction, UTC
ELEMENTS: Final = np.dtype(
    [
        (name, np.float64)
        for name in (
            "epoch_day", "epoch_fraction", "mean_motion", "eccentricity", "inclination", "node",
            "argument_of_perigee", "mean_anomaly", "bstar",
        )
    ]
)  # fmt: skip

#: names of the terms; numbered letters are those of the report
_NAMES: Final = (
    "epoch_day", "epoch_fraction", "a0", "n0", "e0", "i0", "m0", "m_dot", "argp0", "argp_dot", "node0",
    "node_dot", "node_drag", "argp_drag", "m_drag", "eta", "anomaly_drag0", "sin_m0", "sin_i", "cos_i",
    "long_ay", "long_l", "c1", "bc4", "bc5", "d2", "d3", "d4", "t2", "t3", "t4", "t5",
)  # fmt: skip
TERMS: Final = np.dtype([(name, np.float64) for name in _NAMES])
#: satellites that go through the kernels together: their terms and work stay in the first-level cache
LANES: Final = 64
#: the same terms, `LANES` satellites side by side
BLOCK: Final = np.dtype([(name, np.float64, (LANES,)) for name in _NAMES])


def elements_of(satrecs: Sequence[Any] | NDArray[np.void]) -> NDArray[np.void]:
    """Mean elements [n] of sgp4 records; an array of `ELEMENTS` is given back as it is.

    Raises `WorldError` for a record initialised with constants other than WGS-72 or with the AFSPC mode.
    """
    if isinstance(satrecs, np.ndarray) and satrecs.dtype == ELEMENTS:
        return satrecs
    for index, record in enumerate(satrecs):
        if record.mu != SGP4_MU_KM3_S2 or record.operationmode != "i":
            raise WorldError(
                f"satellite {index} (number {record.satnum}): its record has mu {record.mu:g} km3/s2 and "
                f"mode {record.operationmode!r}, allowed: {SGP4_MU_KM3_S2:g} (WGS-72) and 'i'"
            )
    return np.array(
        [
            (
                r.jdsatepoch, r.jdsatepochF, r.no_kozai, r.ecco, r.inclo, r.nodeo, r.argpo, r.mo, r.bstar,
            )
            for r in satrecs
        ],
        dtype=ELEMENTS,
    )  # fmt: skip


@kernel
def long_period_l(sin_i: Any, cos_i: Any) -> Any:
    """Coefficient of the long-period term in the mean longitude, from J3."""
    below = max(abs(1.0 + cos_i), LEAST_ONE_PLUS_COS)
    return -0.25 * (J3 / J2) * sin_i * (3.0 + 5.0 * cos_i) / below


@kernel
def derive(elements: Any, terms: Any) -> None:
    """Fill `terms` [n] of `TERMS` from `elements` [n] of `ELEMENTS`."""
    for k in range(elements.shape[0]):
        _derive(elements[k], terms[k])


@kernel
def _derive(el: Any, t: Any) -> None:
    e, bstar = el.eccentricity, el.bstar
    cos_i, sin_i = math.cos(el.inclination), math.sin(el.inclination)
    c2 = cos_i * cos_i
    c4 = c2 * c2
    e2 = e * e
    beta2 = 1.0 - e2
    beta = math.sqrt(beta2)

    # Brouwer's mean motion from Kozai's
    a = (KE / el.mean_motion) ** (2.0 / 3.0)
    oblate = 0.75 * J2 * (3.0 * c2 - 1.0) / (beta * beta2)
    change = oblate / (a * a)
    a *= 1.0 - change * change - change * (1.0 / 3.0 + 134.0 * change * change / 81.0)
    n = el.mean_motion / (1.0 + oblate / (a * a))
    a = (KE / n) ** (2.0 / 3.0)
    p = a * beta2
    perigee = a * (1.0 - e)

    # atmosphere: its lower bound s follows a low perigee down
    perigee_km = (perigee - 1.0) * EARTH_RADIUS_KM
    s_km = 78.0
    if perigee_km < 156.0:
        s_km = 20.0 if perigee_km < 98.0 else perigee_km - 78.0
    q = ((120.0 - s_km) / EARTH_RADIUS_KM) ** 4
    s = s_km / EARTH_RADIUS_KM + 1.0
    xi = 1.0 / (a - s)
    eta = a * e * xi
    eta2 = eta * eta
    e_eta = e * eta
    psi2 = abs(1.0 - eta2)
    density = q * xi**4
    drag = density / psi2**3.5
    con41 = 3.0 * c2 - 1.0
    cc2 = drag * n * (
        a * (1.0 + 1.5 * eta2 + e_eta * (4.0 + eta2))
        + 0.375 * J2 * xi / psi2 * con41 * (8.0 + 3.0 * eta2 * (8.0 + eta2))
    )  # fmt: skip
    c1 = bstar * cc2
    c3 = -2.0 * density * xi * (J3 / J2) * n * sin_i / e if e > 1e-4 else 0.0
    cc4 = 2.0 * n * drag * a * beta2 * (
        eta * (2.0 + 0.5 * eta2)
        + e * (0.5 + 2.0 * eta2)
        - J2 * xi / (a * psi2) * (
            -3.0 * con41 * (1.0 - 2.0 * e_eta + eta2 * (1.5 - 0.5 * e_eta))
            + 0.75 * (1.0 - c2) * (2.0 * eta2 - e_eta * (1.0 + eta2))
            * math.cos(2.0 * el.argument_of_perigee)
        )
    )  # fmt: skip
    cc5 = 2.0 * drag * a * beta2 * (1.0 + 2.75 * (eta2 + e_eta) + e_eta * eta2)

    # secular effects of the zonal harmonics
    f1 = 1.5 * J2 * n / (p * p)
    f2 = 0.5 * f1 * J2 / (p * p)
    f3 = -0.46875 * J4 * n / (p * p * p * p)
    node_first = -f1 * cos_i
    t.m_dot = n + 0.5 * f1 * beta * con41 + 0.0625 * f2 * beta * (13.0 - 78.0 * c2 + 137.0 * c4)
    t.argp_dot = (
        -0.5 * f1 * (1.0 - 5.0 * c2)
        + 0.0625 * f2 * (7.0 - 114.0 * c2 + 395.0 * c4)
        + f3 * (3.0 - 36.0 * c2 + 49.0 * c4)
    )
    t.node_dot = node_first + (0.5 * f2 * (4.0 - 19.0 * c2) + 2.0 * f3 * (3.0 - 7.0 * c2)) * cos_i
    t.node_drag = 3.5 * beta2 * node_first * c1

    t.epoch_day, t.epoch_fraction = el.epoch_day, el.epoch_fraction
    t.a0, t.n0, t.e0, t.i0 = a, n, e, el.inclination
    t.m0, t.argp0, t.node0 = el.mean_anomaly, el.argument_of_perigee, el.node
    t.eta, t.sin_m0, t.sin_i, t.cos_i = eta, math.sin(el.mean_anomaly), sin_i, cos_i
    t.anomaly_drag0 = (1.0 + eta * math.cos(el.mean_anomaly)) ** 3
    t.long_ay = -0.5 * (J3 / J2) * sin_i
    t.long_l = long_period_l(sin_i, cos_i)
    t.c1, t.bc4, t.t2 = c1, bstar * cc4, 1.5 * c1
    t.argp_drag = t.m_drag = t.bc5 = t.d2 = t.d3 = t.d4 = t.t3 = t.t4 = t.t5 = 0.0
    # a perigee below 220 km, and deep space, keep to the terms above
    if perigee >= 220.0 / EARTH_RADIUS_KM + 1.0 and 2.0 * math.pi / n < DEEP_SPACE_MIN:
        t.argp_drag = bstar * c3 * math.cos(el.argument_of_perigee)
        t.m_drag = -2.0 / 3.0 * density * bstar / e_eta if e > 1e-4 else 0.0
        t.bc5 = bstar * cc5
        c1_2 = c1 * c1
        t.d2 = 4.0 * a * xi * c1_2
        third = t.d2 * xi * c1 / 3.0
        t.d3 = (17.0 * a + s) * third
        t.d4 = 0.5 * third * a * xi * (221.0 * a + 31.0 * s) * c1
        t.t3 = t.d2 + 2.0 * c1_2
        t.t4 = 0.25 * (3.0 * t.d3 + c1 * (12.0 * t.d2 + 10.0 * c1_2))
        t.t5 = 0.2 * (3.0 * t.d4 + 12.0 * c1 * t.d3 + 6.0 * t.d2 * t.d2 + 15.0 * c1_2 * (2.0 * t.d2 + c1_2))
