"""Received signal strength over elevation and distance: measured packets against the link budget.

Predicted: transmit power where it is known, less free-space loss, plus the antennas' patterns in the
direction of flight; the atmosphere is negligible below 1 GHz. What a level depends on besides (unknown
power and gains, cables, the receiver's scale) is one offset, the mean over a calibration half. Judged: the
other half's residuals, averaged over parts of elevation and of distance, against their own spread.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.comparison import Comparison, Table
from testbed.measured.readers import read_table
from testbed.report.verdicts import Verdict

Floats = NDArray[np.float64]

SPLITS = ("time", "alternate")
OFFSETS = ("all", "source")
#: the mean residual of a part may be this many residual sigmas
BOUND_SIGMA = 1.0
_ELEVATION_EDGES_DEG = (-90.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0)
#: parts of a decade of distance
_PER_DECADE = 6
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


@dataclass(frozen=True)
class Part:
    """Packets of one part of elevation or distance."""

    low: float
    high: float
    count: int
    mean_db: float
    judged: bool


@dataclass(frozen=True)
class Judged:
    """Residuals [n] of all packets after the offset, and the judged half's parts."""

    residual_db: Floats
    judged: NDArray[np.bool_]
    offset_db: float
    sigma_db: float
    mean_db: float
    #: root mean square errors over the judged half: of the model, and of a level that is always the same
    error_db: float
    error_of_constant_db: float
    by_elevation: tuple[Part, ...]
    by_distance: tuple[Part, ...]

    @property
    def skill(self) -> float:
        """One less the ratio of the errors of the model and of the constant."""
        if self.error_of_constant_db == 0.0:
            return math.nan
        return 1.0 - self.error_db / self.error_of_constant_db

    def worst_sigma(self, parts: tuple[Part, ...]) -> float:
        """The largest mean residual of the parts that are judged, in residual sigmas; nan: none is."""
        return max((abs(part.mean_db) / self.sigma_db for part in parts if part.judged), default=math.nan)


def compare(files: Sequence[Path], parameters: Parameters) -> Comparison:
    """Judge one file of packets; see the module's first paragraph. Raises `BadInput` and `WorldError`."""
    if len(files) != 1:
        raise BadInput(f"rssi-trend: got {len(files)} files, give one at a time")
    _check(parameters)
    packets = read(files[0], parameters)
    predicted = predict_dbm(packets, parameters)
    judged = judge(packets, predicted, parameters)
    variants = [
        (split, each, judge(packets, predicted, replace(parameters, split=split, offset_per=each)))
        for split in SPLITS
        for each in OFFSETS
    ]
    return _result(files[0], packets, predicted, judged, variants, parameters)


def _check(parameters: Parameters) -> None:
    for name, allowed in (("split", SPLITS), ("offset_per", OFFSETS)):
        if getattr(parameters, name) not in allowed:
            raise BadInput(
                f"rssi-trend: {name} is {getattr(parameters, name)!r}, allowed: {', '.join(allowed)}"
            )
    for name in ("frequency_mhz", "min_distance_km"):
        if not getattr(parameters, name) >= 0.0:
            raise BadInput(f"rssi-trend: {name} is {getattr(parameters, name):g}, it must not be negative")


def read(path: Path, parameters: Parameters) -> Packets:
    """Columns utc or rx_timestamp_ms, rssi_dbm, distance_km, elevation_deg; where there: freq_mhz,
    tx_power_dbm, and satellite, dev_addr or source. Rows that lack a figure are left out and counted."""
    table = read_table(path)
    time_s = table.times_s("utc", "rx_timestamp_ms", "time_s")
    count = len(table)
    rssi, distance = table.numbers("rssi_dbm"), table.numbers("distance_km")
    elevation = table.numbers("elevation_deg")
    frequency = np.full(count, parameters.frequency_mhz)
    if parameters.frequency_mhz == 0.0:
        if not table.name_of(["freq_mhz", "frequency_mhz"]):
            raise BadInput(f"{path}: has no frequency, give one with --set frequency_mhz=VALUE")
        frequency = table.numbers("freq_mhz", "frequency_mhz")
    power = table.numbers("tx_power_dbm") if table.name_of(["tx_power_dbm"]) else np.zeros(count)
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


def judge(packets: Packets, predicted_dbm: Floats, parameters: Parameters) -> Judged:
    """Fit the offset on one half, average the other's residuals over the parts."""
    index = np.arange(len(predicted_dbm))
    half = index < len(index) // 2 if parameters.split == "time" else index % 2 == 0
    source = packets.source if parameters.offset_per == "source" else np.full(len(index), "all")
    difference = packets.rssi_dbm - predicted_dbm
    offset = _calibrated(difference, source, half)
    residual = difference - offset
    # a source that was not heard in the calibration half has no offset and is not judged
    judged = ~half & np.isfinite(residual)
    if not judged.any():
        raise BadInput("rssi-trend: no source was heard in both halves, give --set offset_per=all")
    sigma = float(residual[judged].std())
    # the trivial model: whatever the calibration half heard on average
    flat = (packets.rssi_dbm - _calibrated(packets.rssi_dbm, source, half))[judged]
    distance = np.log10(packets.range_m)
    first, last = math.floor(distance.min() * _PER_DECADE), math.ceil(distance.max() * _PER_DECADE)
    edges = tuple(k / _PER_DECADE for k in range(first, max(last, first + 1) + 1))
    least = parameters.least_in_part
    return Judged(
        residual, judged, float(np.nanmean(offset)), sigma, float(residual[judged].mean()),
        float(np.sqrt(np.mean(residual[judged] ** 2))), float(np.sqrt(np.mean(flat**2))),
        _parts(packets.elevation_deg, _ELEVATION_EDGES_DEG, residual, judged, least),
        tuple(
            replace(part, low=10.0 ** (part.low - 3.0), high=10.0 ** (part.high - 3.0))
            for part in _parts(distance, edges, residual, judged, least)
        ),
    )  # fmt: skip


def _calibrated(value: Floats, source: NDArray[np.str_], half: NDArray[np.bool_]) -> Floats:
    """Each packet's source's mean [n] over the calibration half; nan for one that has none there."""
    out = np.full(len(value), math.nan)
    for name in np.unique(source[half]):
        mine = source == name
        out[mine] = value[mine & half].mean()
    return out


def _parts(
    value: Floats, edges: tuple[float, ...], residual: Floats, judged: NDArray[np.bool_], least: int
) -> tuple[Part, ...]:
    parts = []
    for low, high in itertools.pairwise(edges):
        mine = judged & (value >= low) & ((value < high) | (high == edges[-1]))
        count = int(mine.sum())
        if count:
            parts.append(Part(low, high, count, float(residual[mine].mean()), count >= least))
    return tuple(parts)


# --- result --------------------------------------------------------------------------------------------


def _result(
    path: Path,
    packets: Packets,
    predicted_dbm: Floats,
    judged: Judged,
    variants: list[tuple[str, str, Judged]],
    parameters: Parameters,
) -> Comparison:
    test = judged.judged
    slope = np.polyfit(np.log10(packets.range_m[test]), judged.residual_db[test], 1)[0]
    figures = {
        "packets": float(len(packets.range_m)),
        "packets_judged": float(test.sum()),
        "packets_left_out": float(packets.left_out),
        "offset_db": judged.offset_db,
        "residual_sigma_db": judged.sigma_db,
        "residual_mean_db": judged.mean_db,
        "worst_elevation_part_sigma": judged.worst_sigma(judged.by_elevation),
        "worst_distance_part_sigma": judged.worst_sigma(judged.by_distance),
        "residual_slope_db_per_decade": float(slope),
        "rms_error_db": judged.error_db,
        "rms_error_of_constant_db": judged.error_of_constant_db,
        "skill_over_constant": judged.skill,
    }
    verdicts = (
        _verdict("elevation_trend", judged, judged.by_elevation, "degrees"),
        _verdict("distance_trend", judged, judged.by_distance, "km"),
    )
    columns = ("from", "to", "packets", "mean_residual_db", "judged")
    tables = [
        Table(title, columns, tuple((p.low, p.high, p.count, p.mean_db, _yes(p.judged)) for p in parts))
        for title, parts in (
            ("Residual by elevation, degrees", judged.by_elevation),
            ("Residual by distance, km", judged.by_distance),
        )
    ]
    tables.append(
        Table(
            "The same with other halves and offsets (worst part in residual sigmas)",
            ("halves", "offset for", "judged", "sigma_db", "mean_db", "skill", "by elevation", "by distance"),
            tuple(
                (
                    split, each, int(v.judged.sum()), v.sigma_db, v.mean_db, v.skill,
                    v.worst_sigma(v.by_elevation), v.worst_sigma(v.by_distance),
                )
                for split, each, v in variants
            ),
        )
    )  # fmt: skip
    known = bool(packets.power_dbm.any())
    remarks = [
        "Only packets that were received are there: near the sensitivity those that happened to be strong, "
        "so the measured trend is flatter than the real one.",
        f"The transmit power is {'as recorded' if known else 'unknown and in the offset'}; antennas: "
        f"{parameters.place_pattern} ({parameters.place_pointing}) at the place, {parameters.far_pattern} "
        f"({parameters.far_pointing}) at the far end, an assumption, as is that polarisations match.",
        f"{packets.left_out} packets without a full set of figures, or nearer than "
        f"{parameters.min_distance_km:g} km, are left out.",
    ]
    if not known and parameters.offset_per == "all" and len(set(packets.source)) > 1:
        remarks.append(
            "One offset stands for the unknown powers of several sources: where weaker ones fly lower, that "
            "looks like a trend over distance (--set offset_per=source gives each its own)."
        )
    halves = "the first half calibrates" if parameters.split == "time" else "every other packet calibrates"
    return Comparison(
        "rssi-trend",
        f"{path.name}: {len(packets.range_m)} packets of {len(set(packets.source))} sources; {halves}",
        figures,
        verdicts,
        tuple(tables),
        tuple(remarks),
        lambda figure: _draw(figure, packets, judged),
    )


def _yes(value: bool) -> str:
    return "yes" if value else "too few"


def _verdict(name: str, judged: Judged, parts: tuple[Part, ...], unit: str) -> Verdict:
    worst = judged.worst_sigma(parts)
    if not math.isfinite(worst):
        return Verdict(name, None, None, BOUND_SIGMA, "no part holds enough packets to be judged")
    part = max((p for p in parts if p.judged), key=lambda p: abs(p.mean_db))
    text = (
        f"largest mean residual {part.mean_db:+.1f} dB at {part.low:.3g} to {part.high:.3g} {unit} "
        f"({part.count} packets), residual sigma {judged.sigma_db:.1f} dB"
    )
    return Verdict(name, worst <= BOUND_SIGMA, worst, BOUND_SIGMA, text)


def _draw(figure: Any, packets: Packets, judged: Judged) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    from testbed.report.style import BLUE, GRID, MUTED, ORANGE

    axes = figure.subplots(1, 2, sharey=True)
    test = judged.judged
    shown = (
        (axes[0], packets.elevation_deg, judged.by_elevation, "elevation, degrees"),
        (axes[1], packets.range_m / 1e3, judged.by_distance, "distance, km"),
    )
    for ax, value, parts, label in shown:
        ax.axhspan(
            -judged.sigma_db, judged.sigma_db, color=GRID, alpha=0.45, lw=0, label="one residual sigma"
        )
        ax.plot(value[~test], judged.residual_db[~test], "o", ms=1.6, mew=0, color=MUTED, alpha=0.35,
                label="packets that calibrate")  # fmt: skip
        ax.plot(value[test], judged.residual_db[test], "o", ms=2.2, mew=0, color=BLUE, alpha=0.5,
                label="packets that are judged")  # fmt: skip
        low, high = float(value[test].min()), float(value[test].max())
        first = next((part for part in parts if part.judged), None)
        for part in parts:
            ends = [max(part.low, low), min(part.high, high)]
            said = "mean of a part (dotted: too few)" if part is first else None
            ax.plot(
                ends, [part.mean_db] * 2, color=ORANGE, lw=2.4, ls="-" if part.judged else ":", label=said
            )
        ax.set(xlabel=label)
    axes[1].set_xscale("log")
    axes[1].xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
    axes[1].xaxis.set_major_formatter(ScalarFormatter())
    axes[1].xaxis.set_minor_formatter(NullFormatter())
    axes[0].set(ylabel="measured less predicted level, dB")
    axes[0].set_title("Residual by elevation")
    axes[1].set_title("Residual by distance")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, markerscale=2.5)
