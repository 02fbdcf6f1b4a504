"""A dish's record of which satellite served it: its rows, and what is taken for true of dish and slots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.ranges import SITE, require
from testbed.measured.readers import read_table

Floats = NDArray[np.float64]

#: a record may be this long: satellites are looked for in every slot of it
LONGEST_DAYS = 8.0


@dataclass(frozen=True)
class Parameters:
    """Where the dish stands, whose elements are used, and how slots are counted."""

    latitude_deg: float
    longitude_deg: float
    elements: str
    altitude_m: float = 0.0
    min_elevation_deg: float = 25.0
    #: slots start at these UTC seconds of the minute, and every `slot_s` after
    slot_s: float = 15.0
    slot_offset_s: float = 12.0
    #: the first part of the slots, on which the rotation is fitted
    calibration_share: float = 1.0 / 3.0
    #: how much better another satellite must be before a policy leaves the one it has
    hysteresis_deg: float = 0.0
    hysteresis_db: float = 0.0


@dataclass(frozen=True)
class Observed:
    """Rows of a measurement [n], in time order; directions are unit vectors in the dish's frame."""

    time_s: Floats
    direction: Floats
    satellite: NDArray[np.str_]


def check(parameters: Parameters) -> None:
    """Raise `BadInput` for a parameter that is not allowed."""
    allowed = {
        **SITE, "min_elevation_deg": (0.0, 90.0), "slot_s": (1.0, 3600.0), "slot_offset_s": (-3600.0, 3600.0),
        "calibration_share": (0.05, 0.95), "hysteresis_deg": (0.0, 90.0), "hysteresis_db": (0.0, 100.0),
    }  # fmt: skip
    require("serving-satellite", parameters, allowed)


def read(path: Path) -> Observed:
    """Columns utc, azimuth_deg and elevation_deg (empty where nothing was painted), satellite."""
    table = read_table(path)
    azimuth = np.radians(table.numbers("azimuth_deg", low=-360.0, high=360.0))
    elevation = np.radians(table.numbers("elevation_deg", low=-90.0, high=90.0))
    direction = np.stack(
        [np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth), np.sin(elevation)], axis=-1
    )
    time_s = table.times_s("utc", "time")
    satellite = np.array(table.texts("satellite", "connected_satellite"))
    kept = np.flatnonzero(satellite != "")
    order = kept[np.argsort(time_s[kept], kind="stable")]
    if not len(order):
        raise BadInput(f"{path}: names no satellite")
    days = float(time_s[order[-1]] - time_s[order[0]]) / 86_400.0
    if days > LONGEST_DAYS:
        raise BadInput(f"{path}: spans {days:.1f} days, it must be {LONGEST_DAYS:g} at most")
    return Observed(time_s[order], direction[order], satellite[order])
