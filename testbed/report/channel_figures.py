"""The channel over time: what it carried and lost, its signal-to-noise ratios, and how exact it was.

Every function returns an SVG element, or an empty text when the run has nothing to show there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter

from nodes.wire import Record
from testbed.report import style
from testbed.report.collect import Array, RunData, values
from testbed.report.figures import shade
from testbed.report.terminal import number
from testbed.report.verdicts import LATENESS_P99_US

_PLAIN = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
#: bins of a histogram as drawn: the recorded ones are too fine to be read
_BINS = 50
KIND_LABELS = {"access": "access", "feeder": "feeder", "isl": "inter-satellite", "fixed": "terrestrial"}


def traffic(data: RunData, links: list[str]) -> str:
    """Throughput by kind of link, loss on radio links, and the SNR of a few links."""
    seen = data.of("link")
    if not seen:
        return ""
    radio = [r for r in seen if "snr_db" in r.fields]
    made, axes = style.figure(3 if radio else 1, 1, 6.0 if radio else 2.4, sharex=True)
    for ax in axes:
        shade(ax, data)
        ax.set_xlim(0, data.shown_s)
    for kind, label in KIND_LABELS.items():
        group = [r for r in seen if r.tags.get("kind") == kind]
        if group:
            t_s, carried = _summed(data, group, "bytes_out")
            axes[0].plot(t_s, carried * 8e-6, label=label)
    axes[0].set(title="carried, summed over the links of a kind", ylabel="Mbit/s")
    axes[0].set_ylim(bottom=0)
    style.legend_above(axes[0])
    if radio:
        t_s, lost = _summed(data, radio, "lost")
        _, out = _summed(data, radio, "packets_out")
        with np.errstate(divide="ignore", invalid="ignore"):
            share = 100 * lost / (lost + out)
        axes[1].plot(t_s, share, color=style.ORANGE)
        axes[1].set(title="lost on radio links", ylabel="% of packets")
        # a run that lost nothing must not look as if it had lost thousandths
        axes[1].set_ylim(0, max(0.5, 1.1 * float(np.nanmax(share, initial=0.0))))
        for link in [x for x in links if data.by_tag("link", "link")[x][0].fields.get("snr_db")][:4]:
            group = data.by_tag("link", "link")[link]
            axes[2].plot(data.times_s(group), values(group, "snr_db"), label=link.replace(">", " → "), lw=1.1)
        axes[2].set(title="SNR as the modems report it", ylabel="dB")
        style.legend_below(axes[2])
    axes[-1].set_xlabel("run time, s")
    return style.to_svg(made, "traffic", "Throughput, loss and signal-to-noise ratio over time")


def _summed(data: RunData, records: list[Record], name: str) -> tuple[Array, Array]:
    """A counted field per second of run time, summed over links: starts of the seconds, and the sums."""
    # a window is stamped with its end; its middle says which second it belongs to
    middles = data.times_s(records) - values(records, "window_s") / 2
    seconds = np.floor(np.nan_to_num(middles, nan=-1.0)).astype(np.int64)
    inside = (seconds >= 0) & (seconds <= int(data.shown_s))
    amounts = np.nan_to_num(values(records, name))
    # the last second is only part of one when the run does not end on a full second
    whole = max(1, int(data.shown_s))
    sums = np.bincount(seconds[inside], weights=amounts[inside], minlength=whole)[:whole]
    return np.arange(whole, dtype=np.float64) + 0.5, sums.astype(np.float64)


def lateness(report: dict[str, Any]) -> str:
    """Histograms of how late packets were released, and how far their delay was off."""
    titles = {"lateness_us": "release lateness", "delay_error_us": "delay error"}
    shown = {key: report["injection"][key] for key in titles}
    shown = {key: d for key, d in shown.items() if d and (d.get("histogram") or {}).get("counts")}
    if not shown:
        return ""
    made, axes = style.figure(1, len(shown), 2.7, sharey=True)
    for ax, (key, figures) in zip(axes, shown.items(), strict=True):
        edges, counts = _bins(figures["histogram"])
        if not counts.sum():
            continue
        ax.stairs(counts, edges, fill=True, color=style.BLUE, alpha=0.75, lw=0, baseline=0.7)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_ylim(bottom=0.7)
        for name, colour in (("p50", style.INK), ("p99", style.ORANGE)):
            if figures.get(name):
                ax.axvline(figures[name], color=colour, lw=1.2, label=f"{name} {number(figures[name])} µs")
        if key == "lateness_us":
            ax.axvline(
                LATENESS_P99_US, color=style.MUTED, lw=1.2, ls="--", label=f"bound {LATENESS_P99_US:.0f} µs"
            )
        ax.set_xlabel(f"{titles[key]}, µs")
        style.legend_above(ax, 3)
        ax.xaxis.set_major_formatter(_PLAIN)
        ax.yaxis.set_major_formatter(_PLAIN)
        ax.minorticks_off()
    axes[0].set_ylabel("packets")
    return style.to_svg(made, "lateness", "Histograms of lateness and delay error")


def _bins(histogram: dict[str, Any]) -> tuple[Array, Array]:
    """Edges (one more than bins, all positive) and counts of a histogram that gives all or upper edges."""
    edges = np.array(histogram["edges_us"], dtype=np.float64)
    counts = np.array(histogram["counts"], dtype=np.float64)
    if edges.size == counts.size:
        # the bins are about equally wide on a logarithmic axis, so the first is as wide as the next
        ratio = edges[1] / edges[0] if edges.size > 1 and edges[0] > 0 else 2.0
        edges = np.concatenate([edges[:1] / ratio, edges])
    if edges[0] <= 0:
        edges[0] = edges[1] / 2 if edges.size > 1 and edges[1] > 0 else 1e-3
    together = -(-counts.size // _BINS)
    starts = np.arange(0, counts.size, together)
    return np.append(edges[starts], edges[-1]), np.add.reduceat(counts, starts)
