"""The twin against the plant, over time: detections, delays, residuals, service rates.

Every function returns an SVG element, or an empty text when the run has nothing to show there. The
channel's own charts and the map are elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from nodes.wire import Record
from testbed.report import style
from testbed.report.collect import Array, RunData, values
from testbed.report.terminal import place_of

#: single packets drawn per link: enough to see the spread, few enough to keep the page small
_DOTS = 350
#: residuals further out are drawn at this many standard deviations
_Z_CUT = 12.0


def shade(axes: Axes, data: RunData, link: str = "", *, servers: bool = False) -> None:
    """Marks when something was going on that the twin was not told and that is about what is drawn.

    A chart of one link is marked clearly only where the deviation touched one of its ends.
    """
    for real in data.deviations:
        if (real.kind == "slow_server") != servers:
            continue
        strength = 0.2 if not link or real.concerns(link) else 0.07
        end = data.shown_s if real.end_s is None else real.end_s
        axes.axvspan(real.start_s, end, color=style.AMBER, alpha=strength, lw=0)


def _deviation_mark(data: RunData) -> list[Patch]:
    return [Patch(color=style.AMBER, alpha=0.2, lw=0, label="deviation")] if data.deviations else []


def interesting(data: RunData, report: dict[str, Any]) -> list[str]:
    """Links with traffic, those first whose delay a reader would want to see.

    First what a deviation or a detection touched, then what was busy for most of the run, then by how much
    the delay moved; of each pair of places, one direction comes before the second of any.
    """
    named = {place_of(d) for d in report["twin"]["detections"]}
    most = max((len(seen) for seen in data.by_tag("link", "link").values()), default=0)
    ranked = []
    for name, seen in data.by_tag("link", "link").items():
        mean = values(seen, "delay_mean_ms")
        moved = mean[np.isfinite(mean) & (values(seen, "packets_out") > 0)]
        if moved.size < 4:
            continue
        fixed = seen[0].tags.get("kind") == "fixed"
        touched = bool(named & {*name.split(">"), name}) or any(d.concerns(name) for d in data.deviations)
        sparse = moved.size < len(mean) / 4 or len(mean) < most / 2
        ranked.append((fixed or not touched, sparse, -float(np.ptp(np.quantile(moved, [0.05, 0.95]))), name))
    names = [name for *_, name in sorted(ranked)]
    first: list[str] = []
    pairs: set[frozenset[str]] = set()
    for name in names:
        if (pair := frozenset(name.split(">"))) not in pairs:
            pairs.add(pair)
            first.append(name)
    return first + [name for name in names if name not in first]


def timeline(data: RunData, report: dict[str, Any]) -> str:
    """What really happened, and below it what the twin said, over run time."""
    twin = report["twin"]
    rows: list[tuple[str, list[tuple[float, float, str]], list[float]]] = []
    for index, real in enumerate(twin["deviations"]):
        end = data.shown_s if real["end_s"] is None else real["end_s"]
        rows.append((f"{real['deviation']} at {real['target']}", [(real["start_s"], end, style.AMBER)], []))
        if not twin["enabled"]:
            continue
        found = [d for d in twin["detections"] if d["matches"] == index]
        rows.append(("detected" if found else "not detected", *_spans(data, found, style.BLUE)))
    false = [d for d in twin["detections"] if d["matches"] is None]
    if false:
        rows.append(("false detections", *_spans(data, false, style.PURPLE)))
    if not rows:
        return ""
    made, (axes,) = style.figure(1, 1, 0.75 + 0.34 * len(rows))
    for row, (_, spans, onsets) in enumerate(rows):
        for start, end, colour in spans:
            axes.barh(row, end - start, left=start, height=0.62, color=colour, alpha=0.85, lw=0)
        axes.plot(onsets, [row] * len(onsets), "|", color=style.INK, ms=11, mew=1.6)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, data.shown_s)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("run time, s")
    return style.to_svg(made, "timeline", "Deviations of the plant and detections of the twin over time")


def _spans(
    data: RunData, found: list[dict[str, Any]], colour: str
) -> tuple[list[tuple[float, float, str]], list[float]]:
    spans = [
        (d["detected_s"], data.shown_s if d["recovered_s"] is None else d["recovered_s"], colour)
        for d in found
    ]
    return spans, [d["onset_s"] for d in found if d["onset_s"] is not None]


def delay(data: RunData, links: list[str], name: str, columns: int = 2, packets: bool = True) -> str:
    """Hop delay of links: packets and window means as observed, and the twin's prediction with its band."""
    if not links:
        return ""
    rows = -(-len(links) // columns)
    made, axes = style.figure(rows, columns, 0.75 + (2.15 if columns == 2 else 1.6) * rows, sharex=True)
    for ax, link in zip(axes, links, strict=False):
        _one_delay(ax, data, link, packets)
    for ax in axes[len(links) :]:
        ax.set_visible(False)
    for ax in axes[max(0, len(links) - columns) : len(links)]:
        ax.tick_params(labelbottom=True)
        ax.set_xlabel("run time, s")
    handles = [
        Line2D([], [], marker="o", ms=4, lw=0, color=style.INK, label="observed, mean of a window"),
        Line2D([], [], marker=".", ms=4, lw=0, color=style.MUTED, alpha=0.5, label="single packets"),
        Line2D([], [], color=style.BLUE, label="predicted"),
        Patch(color=style.BLUE, alpha=0.3, lw=0, label="90 % band, window mean"),
        Patch(color=style.BLUE, alpha=0.12, lw=0, label="90 % band, packets"),
        Line2D([], [], color=style.MUTED, ls=":", label="constant baseline"),
        *_deviation_mark(data),
    ]
    made.legend(handles=handles, loc="outside upper left", ncols=4, columnspacing=1.4, handlelength=1.6)
    return style.to_svg(made, name, "Hop delay as predicted and as observed: " + ", ".join(links))


def _one_delay(ax: Axes, data: RunData, link: str, packets: bool) -> None:
    shade(ax, data, link)
    seen = [r for r in data.by_tag("link", "link").get(link, []) if r.fields.get("packets_out")]
    guessed = data.predictions.get((link, "delay_ms"), [])
    if guessed:
        t_s, half = data.times_s(guessed), _half_window_s(guessed)
        ax.fill_between(
            t_s + half, values(guessed, "packet_lo90"), values(guessed, "packet_hi90"),
            color=style.BLUE, alpha=0.12, lw=0,
        )  # fmt: skip
        ax.fill_between(
            t_s + half, values(guessed, "lo90"), values(guessed, "hi90"), color=style.BLUE, alpha=0.3, lw=0
        )
        ax.plot(t_s + half, values(guessed, "mean"), color=style.BLUE)
        ax.plot(t_s + half, values(guessed, "baseline_constant"), color=style.MUTED, ls=":", lw=1)
    t_s, mean = data.times_s(seen) - _half_window_s(seen), values(seen, "delay_mean_ms")
    if packets:
        t_dot, dots = _packet_dots(data, seen)
        style.dots(ax, t_dot, dots, 1.7, style.MUTED, 0.55)
    style.dots(ax, t_s, mean, 2.6 if packets else 2.0, style.INK)
    ax.set_xlim(0, data.shown_s)
    if np.isfinite(mean).any():
        # the axis follows the bulk: one packet that waited long must not flatten everything else
        low, high = float(np.nanmin(mean)), float(np.nanmax(mean))
        if guessed:
            low = min(low, _quantile(values(guessed, "packet_lo90"), 0.02, low))
            high = max(high, _quantile(values(guessed, "packet_hi90"), 0.98, high))
        room = max(0.12 * (high - low), 0.02 * abs(high), 1e-3)
        ax.set_ylim(low - room, high + room)
    ax.set_title(link.replace(">", " → "))
    ax.set_ylabel("delay, ms")


def _half_window_s(records: list[Record]) -> float:
    window = values(records[:1], "window_s")
    return float(window[0]) / 2 if window.size and np.isfinite(window[0]) else 0.0


def _quantile(sample: Array, share: float, otherwise: float) -> float:
    sample = sample[np.isfinite(sample)]
    return float(np.quantile(sample, share)) if sample.size else otherwise


def _packet_dots(data: RunData, seen: list[Record]) -> tuple[Array, Array]:
    """Single packets of a link, thinned evenly; spread over their window, whose inner times are not kept."""
    total = sum(len(r.samples) for r in seen)
    step = max(1, total // _DOTS)
    t_s: list[float] = []
    delays: list[float] = []
    count = 0
    for record in seen:
        width = float(record.fields.get("window_s", 0.0))
        start = data.seconds(record.t_ns) - width
        for index, sample in enumerate(record.samples):
            if count % step == 0:
                t_s.append(start + width * (index + 0.5) / len(record.samples))
                delays.append(sample)
            count += 1
    return np.array(t_s), np.array(delays)


def residuals(data: RunData, report: dict[str, Any]) -> str:
    """Whitened residuals of the main quantities, with the moments of detection."""
    titles = {"delay_ms": "hop delay", "snr_db": "SNR", "service_rate_hz": "service rate"}
    quantities = [q for q in titles if any(key[1] == q for key in data.residuals)]
    if not quantities:
        return ""
    touched = {place_of(d) for d in report["twin"]["detections"]}
    made, axes = style.figure(len(quantities), 1, 0.8 + 1.5 * len(quantities), sharex=True)
    for ax, quantity in zip(axes, quantities, strict=True):
        shade(ax, data, servers=quantity == "service_rate_hz")
        for (target, name), group in sorted(data.residuals.items()):
            if name != quantity:
                continue
            chosen = bool({*target.split(">"), target} & touched)
            z = np.clip(values(group, "z"), -_Z_CUT, _Z_CUT)
            size, colour, alpha = (2.6, style.ORANGE, 0.75) if chosen else (1.8, style.MUTED, 0.4)
            style.dots(ax, data.times_s(group), z, size, colour, alpha)
        for bound in (-1.645, 1.645):
            ax.axhline(bound, color=style.MUTED, lw=0.8, ls=":")
        for found in report["twin"]["detections"]:
            ax.axvline(found["detected_s"], color=style.BLUE, lw=1.4)
        ax.set_title(titles[quantity])
        ax.set_ylabel("residual / sd")
        ax.set_xlim(0, data.shown_s)
        top = max(3.5, min(1.05 * _Z_CUT, max((abs(y) for y in ax.dataLim.intervaly), default=0) * 1.1))
        ax.set_ylim(-top, top)
    axes[-1].set_xlabel("run time, s")
    handles = [
        Line2D([], [], marker="o", ms=4, lw=0, color=style.ORANGE, label="at a detected place or node"),
        Line2D([], [], marker="o", ms=4, lw=0, color=style.MUTED, alpha=0.6, label="elsewhere"),
        Line2D([], [], color=style.BLUE, label="detection"),
        Line2D([], [], color=style.MUTED, ls=":", label="90 % of a normal residual"),
        *_deviation_mark(data),
    ]
    made.legend(handles=handles, loc="outside upper left", ncols=5, columnspacing=1.4, handlelength=1.6)
    return style.to_svg(made, "residuals", "Whitened residuals over time with detections")


def service(data: RunData) -> str:
    """Service rate of every edge server, task by task, and what the twin believed."""
    servers = data.by_tag("task", "node")
    if not servers:
        return ""
    names = list(servers)[:6]
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    made, axes = style.figure(rows, columns, 0.65 + 2.0 * rows, sharex=True)
    for ax, name in zip(axes, names, strict=False):
        shade(ax, data, servers=True)
        tasks = servers[name]
        with np.errstate(divide="ignore", invalid="ignore"):
            rate_ghz = values(tasks, "cycles") / values(tasks, "service_s") / 1e9
        guessed = data.predictions.get((name, "service_rate_hz"), [])
        t_s = data.times_s(guessed)
        ax.fill_between(
            t_s,
            values(guessed, "lo90") / 1e9,
            values(guessed, "hi90") / 1e9,
            color=style.BLUE,
            alpha=0.25,
            lw=0,
        )
        ax.plot(t_s, values(guessed, "mean") / 1e9, color=style.BLUE)
        style.dots(ax, data.times_s(tasks), rate_ghz, 3.0, style.INK)
        ax.set_title(name)
        ax.set_ylabel("service rate, GHz")
        ax.set_xlim(0, data.shown_s)
        finite = rate_ghz[np.isfinite(rate_ghz)]
        if finite.size:
            ax.set_ylim(0, 1.25 * np.quantile(finite, 0.99))
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    for ax in axes[-columns:]:
        ax.set_xlabel("run time, s")
    handles = [
        Line2D([], [], marker="o", ms=4, lw=0, color=style.INK, label="observed, a task each"),
        Line2D([], [], color=style.BLUE, label="predicted"),
        Patch(color=style.BLUE, alpha=0.25, lw=0, label="90 % band"),
        *_deviation_mark(data),
    ]
    made.legend(handles=handles, loc="outside upper left", ncols=4, columnspacing=1.4, handlelength=1.6)
    return style.to_svg(made, "service", "Service rates of the edge servers over time")
