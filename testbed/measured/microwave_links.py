"""Records of commercial microwave links: which there are, and the rain attenuation in their signal levels.

A folder's `links.csv` describes the links; each has a file of transmitted and received levels by minute.
Rain is told from slow drifts by how much the loss moves within an hour (Schleiss and Berne 2010); the
level of a dry sky passes below a shower in a straight line. A wet antenna counts as rain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.readers import Table, read_table

Floats = NDArray[np.float64]

STEP_S = 60.0
#: gaps up to this are bridged
_BRIDGED_S = 180.0
#: levels outside are marks of missing values
_RX_DBM = (-95.0, 0.0)
_TX_DBM = (-50.0, 60.0)
_HOUR = 61
#: what is a link on the ground, and one record of it
_LONGEST_KM = 200.0
_HIGHEST_GHZ = 1000.0
_LONGEST_S = 400.0 * 86_400.0
#: a channel with less than this many minutes is left out
_LEAST_MINUTES = 240


@dataclass(frozen=True)
class Link:
    """A link as described: its end, its length, frequency and polarisation of up to two channels."""

    name: str
    latitude_deg: float
    longitude_deg: float
    length_km: float
    #: (GHz, tilt from the horizontal in degrees) of each channel
    channels: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Fades:
    """Rain attenuation [n] in dB by minute on each channel of a link; nan where nothing was recorded."""

    link: Link
    attenuation_db: tuple[Floats, ...]


def read(files: Sequence[Path], wet_db: float) -> list[Fades]:
    """The links of these files; `links.csv` is one of them or lies beside them, and alone means all it has.

    `wet_db`: standard deviation of an hour's loss from which on it rains. Raises `BadInput`.
    """
    index = next((path for path in files if path.name == "links.csv"), None)
    data = [path for path in files if path.name != "links.csv"]
    index = index or files[0].parent / "links.csv"
    if not index.is_file():
        raise BadInput(f"{files[0]}: there is no links.csv beside it, which tells lengths and frequencies")
    links = read_links(index)
    if not data:
        data = [path for name in links for path in sorted(index.parent.glob(f"{name}.csv*"))]
    found = []
    for path in data:
        name = path.name.split(".", 1)[0]
        if name not in links:
            raise BadInput(f"{path}: {index} has no link {name}")
        fades = Fades(links[name], _attenuations(path, len(links[name].channels), wet_db))
        if any(np.isfinite(channel).any() for channel in fades.attenuation_db):
            found.append(fades)
    if not found:
        raise BadInput(f"{index}: none of its links has {_LEAST_MINUTES} minutes of levels")
    return found


def read_links(path: Path) -> dict[str, Link]:
    """The links of a `links.csv` by name. Raises `BadInput`."""
    table = read_table(path)
    names = table.texts("cml_id")
    latitude = table.numbers("site_a_latitude", low=-90.0, high=90.0)
    longitude = table.numbers("site_a_longitude", low=-180.0, high=360.0)
    length = table.numbers("length_km", low=0.0, high=_LONGEST_KM)
    frequency = [table.numbers(f"channel_{n}_ghz", low=0.0, high=_HIGHEST_GHZ) for n in (1, 2)]
    tilt = [[_tilt(path, text) for text in table.texts(f"channel_{n}_pol")] for n in (1, 2)]
    for row, name in enumerate(names):
        if not (length[row] > 0.0 and frequency[0][row] > 0.0 and frequency[1][row] > 0.0):
            raise BadInput(f"{path}: link {name} has a length or frequency that is not above 0")
        if not np.isfinite(latitude[row] + longitude[row]):
            raise BadInput(f"{path}: link {name} has no latitude or longitude")
        if not name or "/" in name:
            raise BadInput(f"{path}: cml_id is {name!r}, it must be the name of a file without its ending")
    return {
        name: Link(
            name,
            float(latitude[row]),
            float(longitude[row]),
            float(length[row]),
            tuple((float(frequency[n][row]), tilt[n][row]) for n in (0, 1)),
        )
        for row, name in enumerate(names)
    }


def _tilt(path: Path, polarisation: str) -> float:
    tilts = {"H": 0.0, "V": 90.0}
    if polarisation.upper() not in tilts:
        raise BadInput(f"{path}: polarisation is {polarisation!r}, it must be H or V")
    return tilts[polarisation.upper()]


def _attenuations(path: Path, channels: int, wet_db: float) -> tuple[Floats, ...]:
    table = read_table(path)
    time_s = table.times_s("unix_s", "utc", "time")
    if (np.diff(time_s) <= 0.0).any():
        raise BadInput(f"{path}: times do not rise from row to row")
    if time_s[-1] - time_s[0] > _LONGEST_S:
        days = (time_s[-1] - time_s[0]) / 86_400.0
        raise BadInput(f"{path}: spans {days:.0f} days, it must be {_LONGEST_S / 86_400.0:g} at most")
    return tuple(rain_part(_by_minute(time_s, _loss(table, n + 1)), wet_db) for n in range(channels))


def _loss(table: Table, channel: int) -> Floats:
    tx, rx = table.numbers(f"channel_{channel}_tx_dbm"), table.numbers(f"channel_{channel}_rx_dbm")
    there = (tx > _TX_DBM[0]) & (tx < _TX_DBM[1]) & (rx > _RX_DBM[0]) & (rx < _RX_DBM[1])
    return np.where(there, tx - rx, np.nan)


def _by_minute(time_s: Floats, loss_db: Floats) -> Floats:
    """The loss on whole minutes: linear between rows no further apart than three, else nan."""
    there = np.isfinite(loss_db)
    minutes = np.arange(time_s[0], time_s[-1] + 1.0, STEP_S)
    if there.sum() < _LEAST_MINUTES:
        return np.full(len(minutes), np.nan)
    known_s, known_db = time_s[there], loss_db[there]
    after = np.clip(np.searchsorted(known_s, minutes), 1, len(known_s) - 1)
    near = known_s[after] - known_s[after - 1] <= _BRIDGED_S
    inside = (minutes >= known_s[0]) & (minutes <= known_s[-1])
    return np.where(near & inside, np.interp(minutes, known_s, known_db), np.nan)


def rain_part(loss_db: Floats, wet_db: float) -> Floats:
    """What rain adds to a loss [n] in dB by minute: 0 when dry, what is above the dry levels when wet."""
    there = np.isfinite(loss_db)
    if not there.any():
        return loss_db.copy()
    hours = np.lib.stride_tricks.sliding_window_view(
        np.pad(loss_db, _HOUR // 2, constant_values=np.nan), _HOUR
    )
    counted = np.maximum(np.isfinite(hours).sum(axis=1), 1)
    mean = np.nansum(hours, axis=1) / counted
    spread = np.sqrt(np.nansum((hours - mean[:, None]) ** 2, axis=1) / counted)
    wet = spread > wet_db
    dry = np.flatnonzero(there & ~wet)
    if not len(dry):
        return np.where(there, loss_db - np.nanmin(loss_db), np.nan)
    baseline = np.interp(np.arange(len(loss_db)), dry, mean[dry])
    return np.where(there, np.where(wet, np.maximum(0.0, loss_db - baseline), 0.0), np.nan)
