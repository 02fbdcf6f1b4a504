"""Received packets as recorded, and the level that a link budget predicts for each but for one offset.

Predicted: transmit power where it is known, less free-space loss, plus the antennas' patterns in the
direction of flight; the atmosphere is negligible below 1 GHz. Nothing is calibrated or judged here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.ranges import require
from testbed.measured.readers import read_table

Floats = NDArray[np.float64]

SPLITS = ("time", "alternate")
OFFSETS = ("all", "source")
#: what any receiver may report; beyond, a level is a mark or a mistake
_LEVELS_DBM = (-250.0, 100.0)
#: to beyond the Moon
_FURTHEST_KM = 1e6
#: up to where radio ends
_HIGHEST_MHZ = 3e6
#: without them the packets cannot be parted and judged
_LEAST_PACKETS = 40


@dataclass(frozen=True)
class Parameters:
    """What is taken for true of the link, how the halves are parted and what the offset is for."""

    #: 0: as the measurement's column says
    frequency_mhz: float = 0.0
    #: patterns and pointings of `emulator.radio.antennas`; the peak gains are in the offset
    place_pattern: str = "isotropic"
    place_pointing: str = "zenith"
    far_pattern: str = "isotropic"
    far_pointing: str = "nadir"
    #: nearer packets are left out: ground reflections, and positions that are not known well enough
    min_distance_km: float = 1.0
    #: "time": the first half calibrates; "alternate": every other packet
    split: str = "time"
    #: "all": one offset; "source": one for each satellite or device
    offset_per: str = "all"
    #: parts with fewer packets are shown, not judged
    least_in_part: int = 10


@dataclass(frozen=True)
class Packets:
    """Received packets [n] in time order. `power_dbm` is 0 where the transmit power is unknown."""

    time_s: Floats
    source: NDArray[np.str_]
    rssi_dbm: Floats
    power_dbm: Floats
    frequency_ghz: Floats
    range_m: Floats
    elevation_deg: Floats
    left_out: int


def check(parameters: Parameters) -> None:
    """Raise `BadInput` for a parameter that is not allowed."""
    for name, allowed in (("split", SPLITS), ("offset_per", OFFSETS)):
        if getattr(parameters, name) not in allowed:
            raise BadInput(
                f"rssi-trend: {name} is {getattr(parameters, name)!r}, allowed: {', '.join(allowed)}"
            )
    bounds = {"frequency_mhz": _HIGHEST_MHZ, "min_distance_km": _FURTHEST_KM}
    require("rssi-trend", parameters, {name: (0.0, high) for name, high in bounds.items()})
    require("rssi-trend", parameters, {"least_in_part": (2, 1_000_000)})


def read(path: Path, parameters: Parameters) -> Packets:
    """Columns utc or rx_timestamp_ms, rssi_dbm, distance_km, elevation_deg; where there: freq_mhz,
    tx_power_dbm, and satellite, dev_addr or source. Rows that lack a figure are left out and counted."""
    table = read_table(path)
    time_s = table.times_s("utc", "rx_timestamp_ms", "time_s")
    count = len(table)
    rssi = table.numbers("rssi_dbm", low=_LEVELS_DBM[0], high=_LEVELS_DBM[1])
    distance = table.numbers("distance_km", low=0.0, high=_FURTHEST_KM)
    elevation = table.numbers("elevation_deg", low=-90.0, high=90.0)
    frequency = np.full(count, parameters.frequency_mhz)
    if parameters.frequency_mhz == 0.0:
        if not table.name_of(["freq_mhz", "frequency_mhz"]):
            raise BadInput(f"{path}: has no frequency, give one with --set frequency_mhz=VALUE")
        frequency = table.numbers("freq_mhz", "frequency_mhz", low=0.0, high=_HIGHEST_MHZ)
    power = np.zeros(count)
    if table.name_of(["tx_power_dbm"]):
        power = table.numbers("tx_power_dbm", low=_LEVELS_DBM[0], high=_LEVELS_DBM[1])
    named = table.name_of(["satellite", "dev_addr", "source"])
    source = np.array(table.texts(named) if named else [""] * count)
    known = np.isfinite(rssi + distance + elevation + frequency + power) & (frequency > 0.0)
    known &= (distance >= parameters.min_distance_km) & (distance > 0.0)
    if known.sum() < _LEAST_PACKETS:
        raise BadInput(f"{path}: {known.sum()} packets are complete, at least {_LEAST_PACKETS} are needed")
    kept = np.flatnonzero(known)
    order = kept[np.argsort(time_s[kept], kind="stable")]
    return Packets(
        time_s[order], source[order], rssi[order], power[order], frequency[order] / 1e3,
        distance[order] * 1e3, elevation[order], int(count - len(kept)),
    )  # fmt: skip


def predict_dbm(packets: Packets, parameters: Parameters) -> Floats:
    """Level [n] in dBm but for the offset: power, free-space loss, both antennas' relative gain."""
    from emulator.radio.antennas import antenna_parameters, pointing_gain_db
    from emulator.radio.budget import free_space_loss_db
    from emulator.spec import Antenna

    place = Antenna(parameters.place_pattern, parameters.place_pointing)
    far = Antenna(parameters.far_pattern, parameters.far_pointing)
    frequencies, which = np.unique(packets.frequency_ghz, return_inverse=True)
    ends = [
        np.array([antenna_parameters(end, float(frequency)) for frequency in frequencies])[which]
        for end in (place, far)
    ]
    gain = np.empty(len(packets.range_m))
    pointing_gain_db(ends[0], ends[1], np.radians(packets.elevation_deg), packets.range_m, gain)
    return np.asarray(packets.power_dbm - free_space_loss_db(packets.range_m, packets.frequency_ghz) + gain)
