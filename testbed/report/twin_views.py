"""How the twin did over time: the course of its fidelity, which causes it gave, how old its knowledge was.

Sections of the page; each is empty for a run whose twin said nothing of the kind, such as one of an
earlier version. What was predicted and detected, one by one, is in `figures` and `page`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from testbed.report import style
from testbed.report.collect import Array, RunData
from testbed.report.figures import shade
from testbed.report.markup import details, panel, panel_figure, table
from testbed.report.terminal import QUANTITIES, number

#: measure -> title, and the value that is as good as it should be (None: none)
_MEASURES: Final = {
    "picp90": ("share in the 90 % band", 0.9),
    "crps_skill_climatology": ("CRPS skill over climatology", 0.0),
}
_COLOURS: Final = (style.BLUE, style.ORANGE, style.PURPLE, style.AMBER, style.INK)
#: links and flows whose losses are listed
_MOST_ROWS: Final = 30


def course(data: RunData, report: dict[str, Any]) -> str:
    """Fidelity of all targets together, from one publication of the twin to the next."""
    series = {
        name: row
        for name, row in (report["twin"].get("fidelity_over_time") or {}).items()
        if name in QUANTITIES
    }
    body = panel_figure(
        _course_figure(data, series),
        "As the twin told it while it ran, each point of the time since the one before. Dotted: a band that "
        "is right about itself, and a twin no better than the climatology.",
    )
    body += _losses(report) + _outlook(report)
    return panel("The twin's fidelity over time", body) if body else ""


def _course_figure(data: RunData, series: dict[str, dict[str, list[Any]]]) -> str:
    if not any(row["t_s"] for row in series.values()):
        return ""
    made, axes = style.figure(1, len(_MEASURES), 3.0)
    for ax, (measure, (title, right)) in zip(axes, _MEASURES.items(), strict=True):
        shade(ax, data)
        for colour, (quantity, row) in zip(_COLOURS, sorted(series.items()), strict=False):
            label = QUANTITIES[quantity][0]
            ax.plot(row["t_s"], _column(row.get(measure)), color=colour, marker="o", ms=3, label=label)
        ax.axhline(right, color=style.MUTED, ls=":", lw=1)
        ax.set_ylim((0.0, 1.05) if measure == "picp90" else (-1.0, 1.05))
        ax.set_xlim(0, data.shown_s)
        ax.set_title(title)
        ax.set_xlabel("run time, s")
    handles, labels = axes[0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside upper left", ncols=5, columnspacing=1.4, handlelength=1.6)
    return style.to_svg(made, "course", "Fidelity of the twin over time")


def _column(values: list[Any] | None) -> Array:
    return np.array([np.nan if value is None else float(value) for value in values or []])


def _losses(report: dict[str, Any]) -> str:
    found = report["twin"].get("losses") or {}
    lossy = sorted(
        ((row["loss_rate"], name, row) for name, row in found.items() if row.get("loss_rate")), reverse=True
    )
    rows = [
        [name.replace(">", " → "), f"{100 * rate:.2f} %",
         *(number(row.get(key)) for key in ("p01", "p11", "mean_burst"))]
        for rate, name, row in lossy[:_MOST_ROWS]
    ]  # fmt: skip
    if not rows:
        return ""
    columns = ["link or flow", "lost", "p01", "p11", "mean burst, packets"]
    return details(f"Losses of {len(rows)} links and flows", table(columns, rows))


def _outlook(report: dict[str, Any]) -> str:
    found = report["twin"].get("outlook") or {}
    rows = [
        [terminal, str(row.get("serving") or "none"), number(row.get("next_s")), str(row.get("next") or "–"),
         number(row.get("handovers")), number(row.get("known_until_s"))]
        for terminal, row in sorted(found.items())
    ]  # fmt: skip
    if not rows:
        return ""
    columns = ["terminal", "served by", "next handover, s", "to", "handovers ahead", "foreseen until, s"]
    return details(f"What comes next for {len(rows)} terminals, as last foreseen", table(columns, rows))


def confusion(report: dict[str, Any]) -> str:
    """Which cause the twin gave to what the plant did; nothing when neither did anything."""
    counts = report["twin"].get("confusion") or {}
    causes = sorted({cause for row in counts.values() for cause in row})
    if not causes or not report["twin"]["enabled"]:
        return ""
    rows = [
        [deviation, *(str(row[cause]) if row.get(cause) else "–" for cause in causes)]
        for deviation, row in sorted(counts.items())
    ]
    named = ["named as " + causes[0].replace("_", " "), *(cause.replace("_", " ") for cause in causes[1:])]
    return "<h3>Causes given to what the plant did</h3>" + table(["what it did", *named], rows)


def synchronisation(report: dict[str, Any]) -> str:
    """Ages of what the twin knows, and how well it kept up."""
    found = report["twin"].get("synchronisation") or {}
    ages = [
        [name, number(row.get("sources")), number(row.get("age_p50_s")), number(row.get("age_p99_s")),
         number(row.get("age_p99_periods")), _share(row.get("alignment"))]
        for name, row in sorted((found.get("age") or {}).items())
    ]  # fmt: skip
    stale = [
        [QUANTITIES.get(name, (name.replace("_", " "),))[0], number(row.get("targets")),
         number(row.get("stale_p50_s")), number(row.get("stale_p99_s")), _share(row.get("right"))]
        for name, row in sorted((found.get("staleness") or {}).items())
    ]  # fmt: skip
    body = ""
    if ages:
        columns = ["telemetry", "sources", "age p50, s", "age p99, s", "p99 in periods", "of planned updates"]
        body += "<h3>Age of information</h3>" + table(columns, ages)
    if stale:
        columns = ["prediction of", "targets", "staleness p50, s", "p99, s", "of windows right"]
        body += "<h3>Age of staleness: since a prediction was last right</h3>" + table(columns, stale)
    odd = {k: v for k, v in ((found.get("telemetry") or {}).get("all") or {}).items() if v}
    if odd:
        said = ", ".join(f"{name.replace('_', ' ')} {number(count)}" for name, count in sorted(odd.items()))
        body += f"<p class='small'>Telemetry that did not come as it should: {said}.</p>"
    return panel("How closely the twin follows", body) if body else ""


def _share(value: Any) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
