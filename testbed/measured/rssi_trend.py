"""Received signal strength over elevation and distance: measured packets against the link budget.

The packets and their prediction are `rssi_packets`, the offset and the parts `rssi_residuals`. Judged: the
mean residual of each part of elevation and of distance, against the spread of all that are judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from testbed.errors import BadInput
from testbed.measured.comparison import Comparison, Table
from testbed.measured.rssi_packets import OFFSETS, SPLITS, Packets, Parameters, check, predict_dbm, read
from testbed.measured.rssi_residuals import Judged, Part, judge
from testbed.report.verdicts import Verdict

#: the mean residual of a part may be this many residual sigmas
BOUND_SIGMA = 1.0

_Variant = tuple[str, str, Judged]


def compare(files: Sequence[Path], parameters: Parameters) -> Comparison:
    """Judge one file of packets; see the module's first paragraph. Raises `BadInput` and `WorldError`."""
    if len(files) != 1:
        raise BadInput(f"rssi-trend: got {len(files)} files, give one at a time")
    check(parameters)
    packets = read(files[0], parameters)
    predicted = predict_dbm(packets, parameters)
    judged = judge(packets, predicted, parameters)
    variants = _variants(packets, predicted, parameters)
    return _result(files[0], packets, judged, variants, parameters)


def _variants(packets: Packets, predicted_dbm: Any, parameters: Parameters) -> list[_Variant]:
    """Judged with every choice of halves and offsets; without those that leave nothing to judge."""
    found = []
    for split in SPLITS:
        for each in OFFSETS:
            try:
                other = judge(packets, predicted_dbm, replace(parameters, split=split, offset_per=each))
            except BadInput:
                continue
            found.append((split, each, other))
    return found


# --- result --------------------------------------------------------------------------------------------


def _result(
    path: Path,
    packets: Packets,
    judged: Judged,
    variants: list[_Variant],
    parameters: Parameters,
) -> Comparison:
    test = judged.judged
    figures = {
        "packets": float(len(packets.range_m)),
        "packets_judged": float(test.sum()),
        "packets_left_out": float(packets.left_out),
        "offset_db": judged.offset_db,
        "residual_sigma_db": judged.sigma_db,
        "residual_mean_db": judged.mean_db,
        "worst_elevation_part_sigma": judged.worst_sigma(judged.by_elevation),
        "worst_distance_part_sigma": judged.worst_sigma(judged.by_distance),
        "worst_elevation_part_relative_sigma": judged.worst_relative_sigma(judged.by_elevation),
        "worst_distance_part_relative_sigma": judged.worst_relative_sigma(judged.by_distance),
        "worst_elevation_part_sigma_of_constant": judged.constant_by_elevation_sigma,
        "worst_distance_part_sigma_of_constant": judged.constant_by_distance_sigma,
        "residual_slope_db_per_decade": _slope_db(packets, judged),
        "rms_error_db": judged.error_db,
        "rms_error_of_constant_db": judged.error_of_constant_db,
        "skill_over_constant": judged.skill,
    }
    verdicts = (
        _verdict("elevation_trend", judged, judged.by_elevation, "degrees"),
        _verdict("distance_trend", judged, judged.by_distance, "km"),
    )
    columns = ("from", "to", "packets", "mean_residual_db", "less_mean_of_all_db", "judged")
    tables = [
        Table(
            title,
            columns,
            tuple((p.low, p.high, p.count, p.mean_db, p.relative_db, _yes(p.judged)) for p in parts),
        )
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
        "Judged is each part's mean residual, a difference in level between the halves included; less the "
        "mean of all judged residuals (relative) it is shown and not judged.",
        "The sigma is that of the judged residuals: a trend that is not predicted widens it as well.",
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
    if judged.skill < 0.0:
        remarks.append(
            f"A level that is always the same errs less here ({judged.error_of_constant_db:.1f} dB root mean "
            f"square, the prediction {judged.error_db:.1f} dB): the verdicts say that no part is far off, "
            "not that the prediction is better than none."
        )
    if parameters.split == "alternate":
        remarks.append(
            "Packets of one pass stand in both halves, so that what all of them share is calibrated away: "
            "less of a test than halves of time."
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


def _slope_db(packets: Packets, judged: Judged) -> float:
    """Slope of the judged residuals in dB per decade of distance; nan when all are as far."""
    decades = np.log10(packets.range_m[judged.judged])
    if np.ptp(decades) < 1e-6:
        return math.nan
    return float(np.polyfit(decades, judged.residual_db[judged.judged], 1)[0])


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
