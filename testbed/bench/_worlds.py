"""Worlds to measure with: constellations of stated sizes, and twenty places on six continents.

Shells are like those that fly, and larger ones in their manner. Nothing is random.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import numpy as np

from emulator.orbits.elements import parse_elements
from emulator.spec import AccessSpec, CircularShell, ConstellationSpec, Place, RadioSpec, WorldSpec

START_UTC: Final = "2025-10-01T12:00:00Z"
EPOCH_S: Final = 1.0
#: terminals of constellations of so many satellites look no lower than Starlink's, others lower
_DENSE = 1584
_DENSE_DEG, _SPARSE_DEG = 25.0, 8.0

#: one shell each, so that every place has a way to every other over any of the satellites: height km,
#: inclination deg, planes, satellites a plane. Iridium; Starlink's first shell; larger ones in its manner
SHAPES: Final = {
    66: (780.0, 86.4, 6, 11),
    300: (1000.0, 53.0, 15, 20),
    1584: (550.0, 53.0, 72, 22),
    4408: (550.0, 53.0, 76, 58),
    10_000: (550.0, 53.0, 100, 100),
    20_000: (550.0, 53.0, 125, 160),
    42_000: (550.0, 53.0, 200, 210),
}
SIZES: Final = tuple(SHAPES)

#: latitude, longitude in degrees; the last eight are gateways
_SITES: Final = (
    (47.6, -122.3), (29.8, -95.4), (44.6, -63.6), (-23.5, -46.6), (-12.0, -77.0), (51.5, -0.1),
    (48.4, 9.99), (6.5, 3.4), (-26.2, 28.0), (28.6, 77.2), (35.7, 139.7), (-31.9, 115.9),
    (40.7, -74.0), (34.0, -118.2), (-33.4, -70.7), (50.1, 8.7), (25.2, 55.3), (-1.3, 36.8),
    (1.35, 103.8), (-33.9, 151.2),
)  # fmt: skip
_GATEWAYS: Final = 8


def places(dense: bool) -> tuple[Place, ...]:
    """Twelve terminals and eight gateways. `dense`: whether they can afford to look up steeply."""
    least = _DENSE_DEG if dense else _SPARSE_DEG
    terminals = len(_SITES) - _GATEWAYS
    return tuple(
        Place(
            f"terminal-{k + 1}" if k < terminals else f"gateway-{k + 1 - terminals}",
            "ground",
            latitude,
            longitude,
            radio="ka",
            access="terminal" if k < terminals else "gateway",
            min_elevation_deg=least,
        )
        for k, (latitude, longitude) in enumerate(_SITES)
    )


def of_size(satellites: int, duration_s: float) -> WorldSpec:
    """A world of one of `SIZES`."""
    height, tilt, planes, in_plane = SHAPES[satellites]
    pattern = "star" if tilt > 80.0 else "delta"
    shell = CircularShell(height, tilt, planes * in_plane, planes, planes // 4, pattern)
    constellation = ConstellationSpec(shells=(shell,), isl="plus-grid")
    return _world(constellation, START_UTC, duration_s, satellites >= _DENSE)


def of_elements(text: str, duration_s: float, source: str) -> WorldSpec:
    """A world of the satellites of a TLE or OMM text, at the middle of their moments.

    Raises `ElementsError` that begins with `source` for what is malformed.
    """
    found = parse_elements(text, source=source)
    julian = float(np.median([record.jdsatepoch + record.jdsatepochF for _, record in found]))
    moment = datetime(2000, 1, 1, 12) + timedelta(days=julian - 2_451_545.0)
    start = moment.replace(microsecond=0).isoformat() + "Z"
    return _world(ConstellationSpec(elements=text, isl="plus-grid"), start, duration_s, len(found) >= _DENSE)


def _world(constellation: ConstellationSpec, start_utc: str, duration_s: float, dense: bool) -> WorldSpec:
    return WorldSpec(
        start_utc,
        duration_s,
        EPOCH_S,
        places(dense),
        constellation,
        radios=(RadioSpec("ka"),),
        # a decision every epoch: the dearest there is
        access=AccessSpec(decision_interval_s=EPOCH_S),
    )
