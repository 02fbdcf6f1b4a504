"""Small worlds and the shared measured data for the tests of the channel's physics."""

from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.spec import (
    AccessSpec,
    CircularShell,
    ConstellationSpec,
    FixedLink,
    OverRegion,
    Place,
    RadioSpec,
    WorldSpec,
)
from emulator.table import LinkTable
from emulator.world import World

_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

#: a radio without weather: no maps are needed
DRY = RadioSpec("ka", weather=False)
REGION = ConstellationSpec(over_region=OverRegion(47.0, 10.0, 2000.0, 1000.0))
SHELL = ConstellationSpec(shells=(CircularShell(550.0, 53.0, 1584, 72, 17),))
STARLINK_GRID = AccessSpec(decision_interval_s=15.0, decision_offset_s=12.0)


def shared(name: str) -> Path:
    """A file of measured data that lives beside the repository; the test is skipped where it is absent."""
    path = _DATA / name
    if not path.exists():
        pytest.skip(f"needs {name} of the shared data, which is not beside this checkout")
    return path


def starlink_text() -> str:
    """Real elements of 8,389 satellites of 2025-10-01."""
    return gzip.decompress(shared("tle_starlink_daily/starlink_2025-10-01.tle.gz").read_bytes()).decode()


def terminal(name: str, latitude: float, longitude: float, **more: Any) -> Place:
    return Place(name, "ground", latitude, longitude, **{"radio": "ka", "access": "terminal", **more})


def gateway(name: str, latitude: float, longitude: float, **more: Any) -> Place:
    return Place(name, "ground", latitude, longitude, **{"radio": "ka", "access": "gateway", **more})


def world_spec(*places: Place, constellation: ConstellationSpec = REGION, **more: Any) -> WorldSpec:
    """A minute from noon of 2025-10-01; the radio is `DRY`."""
    base = WorldSpec("2025-10-01T12:00:00Z", 60.0, 0.1, places, constellation, radios=(DRY,))
    return dataclasses.replace(base, **more)


def region_spec(**more: Any) -> WorldSpec:
    """Two terminals, a gateway with a wired site, and a place on the first satellite."""
    return world_spec(
        terminal("north", 49.0, 9.0),
        terminal("south", 45.0, 11.0),
        gateway("gate", 48.0, 11.0, altitude_m=500.0),
        Place("site", "ground", 48.1, 11.5),
        Place("orbit", "satellite", satellite="sat-1"),
        links=(FixedLink("gate", "site", delay_ms=0.6),),
        **more,
    )


def row_of(world: World, table: LinkTable, a: str, b: str) -> int:
    """The row of a directed link, of which there must be one."""
    found = np.flatnonzero((table.src == world.place_index[a]) & (table.dst == world.place_index[b]))
    assert len(found) == 1, (a, b)
    return int(found[0])


def differing(one: LinkTable, other: LinkTable) -> set[str]:
    """Names of what differs between two link tables, to the last bit."""
    return {
        field.name
        for field in dataclasses.fields(one)
        if not _equal(getattr(one, field.name), getattr(other, field.name))
    }


def _equal(a: Any, b: Any) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f") if isinstance(a, np.ndarray) else bool(a == b)


def same_tables(one: LinkTable, other: LinkTable) -> bool:
    """Whether two link tables are equal, to the last bit."""
    return not differing(one, other)


def verification_text() -> str:
    """The published SGP4 verification orbits, without 33334: its checksum was never made right."""
    lines = shared("sgp4_verification/SGP4-VER_subset.TLE").read_text().splitlines()
    return "\n".join(line for line in lines if line[2:7] != "33334")
