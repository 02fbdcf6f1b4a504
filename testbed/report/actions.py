"""What the twin did, or would have done: each action with its steps, prediction beside outcome.

From the `action` records of a run. A run whose twin did not act, or is older than acting, has none. What
caused an action is in `belief`; nothing is judged here.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from rich.table import Table
from rich.text import Text

from testbed.report import style
from testbed.report.collect import Array, RunData
from testbed.report.figures import shade
from testbed.report.markup import details, panel, panel_figure, table
from testbed.report.terminal import number

#: step -> style in a terminal
_STYLES: Final = {
    "verified": "green", "withdrawn": "green", "rolled_back": "bold red", "refused": "yellow",
}  # fmt: skip
#: an interval's lower end, figure and upper end, by what it is of
_FIGURES: Final = {
    "predicted": ("predicted_low_ms", "predicted_ms", "predicted_high_ms"),
    "change": ("change_low_ms", "change_ms", "change_high_ms"),
    "observed": ("observed_low_ms", "observed_ms", "observed_high_ms"),
    "before": ("before_low_ms", "before_ms", "before_high_ms"),
    "during": ("during_low_ms", "during_ms", "during_high_ms"),
    "recovered_share": ("recovered_low", "recovered_share", "recovered_high"),
}
_KEPT: Final = (
    "unchanged_ms",
    "gain_probability",
    "observed_change_ms",
    "recovered_against",
    "recovered_observed_share",
    "holds",
    "within",
)
#: what a metric is called, and the end of its name
_METRICS: Final = {"delay": "latency of datagrams", "task": "latency of tasks"}


def actions(data: RunData) -> list[dict[str, Any]]:
    """The actions of a run in the order in which they were proposed; figures are [low, mean, high]."""
    found: dict[str, dict[str, Any]] = {}
    for record in data.of("action"):
        tags, fields = record.tags, record.fields
        one = found.setdefault(
            tags.get("id", ""),
            {
                **{key: tags.get(key, "") for key in ("id", "policy")},
                **{key: fields.get(key, "") for key in ("action", "cause", "metric")},
                "steps": [],
            },
        )
        step = {"step": tags.get("step", ""), "t_s": data.seconds(record.t_ns)}
        one["steps"].append({**step, "why": fields["why"]} if "why" in fields else step)
        one["outcome"] = step["step"]
        for name, keys in _FIGURES.items():
            if keys[1] in fields:
                one[name] = [fields.get(key) for key in keys]
        one.update({key: fields[key] for key in _KEPT if key in fields})
    return list(found.values())


def terminal_table(twin: dict[str, Any]) -> Table:
    """What was carried out, rolled back or refused, one line each; what was only tried is counted."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("  action", "because of", "at, s", "predicted, ms", "observed, ms", "recovered", "so"):
        shown.add_column(column)
    done, tried = _parted(twin)
    for one in done:
        shown.add_row(
            f"  {one['action']}", str(one["cause"]), number(_at(one)), _interval(one.get("predicted")),
            _interval(one.get("observed")), _share(one), Text(_said(one), _STYLES.get(one["outcome"], "")),
        )  # fmt: skip
    if tried:
        shown.add_row(Text(f"  {len(tried)} more tried in a what-if and rejected", style="dim"))
    return shown


def section(data: RunData, report: dict[str, Any]) -> str:
    """The page's section; empty when there was no action."""
    done, tried = _parted(report["twin"])
    if not done and not tried:
        return ""
    body = panel_figure(
        _figure(data, done),
        "As nodes told it, a second each; a datagram that was lost counts 500 ms. From an action's order on, "
        "the band is where the twin predicted the latency to be with it.",
    )
    columns = ["action", "policy", "because of", "at, s", "predicted, ms", "as it was, ms", "observed, ms",
               "recovered", "in the end"]  # fmt: skip
    rows = [
        [str(one["action"]), str(one["policy"]), str(one["cause"]), number(_at(one)),
         _interval(one.get("predicted")), _interval(one.get("during")), _interval(one.get("observed")),
         _share(one), _said(one)]
        for one in done
    ]  # fmt: skip
    body += table(columns, rows) if rows else "<p>Nothing was carried out.</p>"
    if tried:
        listed = [
            [str(one["action"]), str(one["policy"]), str(one["cause"]), number(_at(one)),
             _interval(one.get("change")), _said(one)]
            for one in tried
        ]  # fmt: skip
        names = ["action", "policy", "because of", "at, s", "predicted change, ms", "why not"]
        body += details(f"{len(tried)} tried in a what-if and rejected", table(names, listed))
    return panel("What the twin did", body)


def _parted(twin: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Actions that went beyond the what-if, and those that did not."""
    # of reports of earlier versions nothing is known but that there were some
    told = [one for one in twin.get("actions") or [] if one.get("steps")]
    tried = [one for one in told if one["outcome"] in ("proposed", "rejected")]
    return [one for one in told if one not in tried], tried


def _at(one: dict[str, Any]) -> float:
    """When it was carried out; of one that was not, when it was proposed."""
    for step in one["steps"]:
        if step["step"] in ("ordered", "refused"):
            return float(step["t_s"])
    return float(one["steps"][0]["t_s"])


def _said(one: dict[str, Any]) -> str:
    why = next((step["why"] for step in reversed(one["steps"]) if step.get("why")), "")
    return f"{one['outcome'].replace('_', ' ')}{': ' if why else ''}{why}"


def _interval(figures: list[Any] | None) -> str:
    if not figures or figures[1] is None:
        return "–"
    low, mean, high = figures
    if low is None or high is None:
        return number(mean)
    return f"{number(mean)} ({number(low)} to {number(high)})"


def _share(one: dict[str, Any]) -> str:
    figures = one.get("recovered_share")
    if not figures or figures[1] is None:
        return "–"
    low, mean, high = (None if value is None else round(100 * value) for value in figures)
    against = " of what was predicted to be lost" if one.get("recovered_against") == "predicted" else ""
    return f"{mean} % ({low} to {high}){against}"


def _figure(data: RunData, done: list[dict[str, Any]]) -> str:
    series = {metric: latency(data, metric) for metric in _METRICS}
    series = {metric: found for metric, found in series.items() if found[0].size}
    if not series:
        return ""
    made, axes = style.figure(len(series), 1, 2.4)
    for ax, (metric, (t_s, mean_ms)) in zip(axes, series.items(), strict=True):
        shade(ax, data, servers=metric == "task")
        ax.plot(t_s, mean_ms, color=style.BLUE, lw=1.4)
        for one in (one for one in done if one["metric"] == metric):
            _mark(ax, one, data)
        ax.set_title(f"{_METRICS[metric]}, ms")
        ax.set_xlim(0, data.shown_s)
        ax.set_ylim(bottom=0)
    axes[-1].set_xlabel("run time, s")
    return style.to_svg(made, "actions", "Latency as observed, and as predicted for what the twin did")


def _mark(ax: Any, one: dict[str, Any], data: RunData) -> None:
    """When an action was ordered and over, and what was predicted of it."""
    when = {step["step"]: step["t_s"] for step in one["steps"]}
    start = when.get("applied")
    if start is None:
        return
    end = min(when.get("verified", when.get("withdrawn", data.shown_s)), data.shown_s)
    colour = style.PURPLE if str(one["action"]).startswith("without") else style.ORANGE
    ax.axvline(start, color=colour, lw=1.2, ls="--")
    predicted = one.get("predicted")
    if predicted and None not in predicted:
        ax.fill_between([start, end], predicted[0], predicted[2], color=colour, alpha=0.25, lw=0)


def latency(data: RunData, metric: str) -> tuple[Array, Array]:
    """Mean latency of a kind of message, ms, second by second: times s, means."""
    from testbed.twin.act.effect import Latencies

    seen = Latencies(kept_s=math.inf)
    seen.take(data.of("offload") if metric == "task" else data.of("flow"), data.t0_ns)
    told = seen.series(metric)
    return np.array([t_s for t_s, _ in told]), np.array([mean_ms for _, mean_ms in told])
