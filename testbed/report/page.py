"""report.html: the report as one page that needs nothing else, for light and dark, wide and narrow."""

from __future__ import annotations

from html import escape
from typing import Any

from testbed.report import (
    actions,
    channel_figures,
    edges,
    figures,
    self_measurement,
    style,
    twin_views,
    worldmap,
)
from testbed.report.belief import overall
from testbed.report.books import books
from testbed.report.collect import RunData
from testbed.report.markup import CSS, details, panel, panel_figure, table, tile, verdict_row
from testbed.report.terminal import QUANTITIES, number, place_of, size_of
from testbed.twin.matching import SHOWER

#: links whose delay is shown at once, and how many more a reader may open
_LINKS_SHOWN, _LINKS_MORE = 4, 18


def page(data: RunData, report: dict[str, Any]) -> str:
    """The page of a run."""
    with style.drawing():
        sections = [
            _top(report),
            _verdicts(report),
            _noticed(data, report),
            actions.section(data, report),
            _delays(data, report),
            twin_views.course(data, report),
            twin_views.synchronisation(report),
            edges.section(report),
            _services(data),
            _channel(data, report),
            _where(data, report),
            books(report),
            _nodes(report),
            _method(report),
        ]
    title = escape(str(report["run"]["id"]))
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>{title}</title><style>{CSS}</style></head><body><main>{''.join(sections)}</main></body></html>\n"
    )


def _top(report: dict[str, Any]) -> str:
    run, total = report["run"], report["conservation"]["total"]
    failed = any(v["holds"] is False for v in report["verdicts"])
    void = any(v["holds"] is None for v in report["verdicts"])
    tone = "bad" if failed else ("void" if void else "good")
    facts = [
        run.get("scenario"),
        f"{number(run['duration_s'])} s",
        run.get("status"),
        f"start {run['start_utc']}",
    ]
    tiles = []
    late = report["injection"]["lateness_us"] or {}
    tiles.append(tile(number(late.get("p99")), "µs", "release lateness, p99"))
    if total is not None and total["ingress"]:
        there = total["ingress"] + total["copied"]
        copies = f" and {total['copied']:,} copies" if total["copied"] else ""
        shown = f"{100 * total['delivered'] / there:.1f}"
        tiles.append(tile(shown, "%", f"of {total['ingress']:,} packets{copies} delivered"))
    twin = report["twin"]
    if twin["delay"].get("skill_constant") is not None:
        void_note = (
            ", void"
            if any(v["holds"] is None for v in report["verdicts"] if v["name"] == "twin_skill")
            else ""
        )
        skill = f"{twin['delay']['skill_constant']:.2f}"
        tiles.append(tile(skill, "", f"skill of the delay prediction{void_note}"))
        tiles.append(
            tile(
                number(100 * (twin["delay"]["picp90"] or 0.0), 2),
                "%",
                f"of delays in the 90 % band{void_note}",
            )
        )
    # rain of the weather, which nobody scripted, need not be noticed
    due = [d for d in twin["deviations"] if d["deviation"] != SHOWER]
    if due and twin["enabled"]:
        slowest = max((d["delay_s"] for d in due if d["delay_s"] is not None), default=None)
        found = sum(1 for d in due if d["detected"])
        late_by = "" if slowest is None else f", slowest after {number(slowest, 2)} s"
        tiles.append(tile(f"{found} of {len(due)}", "", f"deviations detected{late_by}"))
    notes = "".join(f"<li>{escape(problem)}</li>" for problem in report["problems"])
    return (
        f"<header><p class='eyebrow'>{escape(' · '.join(str(f) for f in facts if f))}</p>"
        f"<h1>{escape(str(run['id']))}</h1><p class='headline {tone}'>{escape(run['headline'])}</p>"
        + (f"<ul class='notes'>{notes}</ul>" if notes else "")
        + f"</header><div class='tiles'>{''.join(tiles)}</div>"
    )


def _verdicts(report: dict[str, Any]) -> str:
    rows = "".join(verdict_row(v, number(v["figure"]), number(v["bound"])) for v in report["verdicts"])
    head = "<tr><th></th><th>verdict</th><th class='n'>figure</th><th class='n'>bound</th>"
    head += "<th>what was found</th></tr>"
    return panel("Verdicts", f"<div class='scroll'><table class='verdicts'>{head}{rows}</table></div>")


def _noticed(data: RunData, report: dict[str, Any]) -> str:
    twin = report["twin"]
    rows = [
        [f"{d['kind']} at {place_of(d)}", size_of(d), size_of(d["in_the_end"] or d), number(d["onset_s"]),
         number(d["detected_s"]), number(d["recovered_s"]),
         "nothing" if d["matches"] is None else twin["deviations"][d["matches"]]["deviation"]]
        for d in twin["detections"]
    ]  # fmt: skip
    listed = table(
        [
            "detected",
            "size (95 % interval)",
            "size in the end",
            "onset, s",
            "noticed at, s",
            "over at, s",
            "what it was",
        ],
        rows,
    )
    body = panel_figure(
        figures.timeline(data, report),
        "Above, what the plant did and the twin was not told; below, from when to when the twin said so. "
        "The upright stroke is the onset it estimated.",
    )
    nothing = "The twin detected nothing." if twin["enabled"] else "This run had no twin."
    body += listed if rows else f"<p>{nothing}</p>"
    body += twin_views.confusion(report)
    body += panel_figure(
        figures.residuals(data, report),
        "Whitened residuals: a twin that knows everything leaves noise, within the dotted lines nine times "
        "in ten. What lies beyond 12 is drawn at 12.",
    )
    return panel("What the twin noticed", body)


def _delays(data: RunData, report: dict[str, Any]) -> str:
    names = figures.interesting(data, report)
    shown, more = names[:_LINKS_SHOWN], names[_LINKS_SHOWN : _LINKS_SHOWN + _LINKS_MORE]
    body = panel_figure(
        figures.delay(data, shown, "delay"),
        "One hop each: queue, transmission, propagation and processing together. Predictions were made "
        "before the window they are for was observed.",
    )
    if more:
        hidden = len(names) - len(shown) - len(more)
        label = f"{len(more)} more links" + (
            f" ({hidden} further ones are in report.json only)" if hidden else ""
        )
        body += details(
            label, panel_figure(figures.delay(data, more, "delays", columns=3, packets=False), "")
        )
    rows = []
    for quantity, (label, unit, scale) in QUANTITIES.items():
        row = overall(report["twin"]["fidelity"], quantity)
        if row["n"]:
            scaled = [None if row[k] is None else row[k] * scale for k in ("mae", "w1", "crps")]
            picp = "–" if row["picp90"] is None else f"{100 * row['picp90']:.0f} %"
            rows.append(
                [label + (f", {unit}" if unit else ""), f"{row['n']:,}",
                 number(scaled[0]), number(row["nrmse"]), number(row["ks"]),
                 number(scaled[1]), number(scaled[2]), picp,
                 number(row["skill_constant"]), number(row["skill_propagation"]),
                 number(row.get("crps_skill_climatology"))]
            )  # fmt: skip
    columns = ["prediction of", "windows", "mean error", "NRMSE", "KS", "W1", "CRPS", "in 90 % band",
               "skill over constant", "skill over propagation", "CRPS skill over climatology"]  # fmt: skip
    if rows:
        body += "<h3>Fidelity</h3>" + table(columns, rows)
        body += (
            "<p class='small'>Skill is 1 − error / error of the baseline: above 0 the twin is better than "
            "it. The constant is the median of the first part of the run, frozen; the climatology is the "
            "distribution of the same values.</p>"
        )
    return panel("Delay, modelled and observed", body) if body else ""


def _services(data: RunData) -> str:
    body = panel_figure(figures.service(data), "Cycles of a task over the time it was served for.")
    return panel("Edge servers", body) if body else ""


def _channel(data: RunData, report: dict[str, Any]) -> str:
    body = panel_figure(
        channel_figures.traffic(data, figures.interesting(data, report)),
        "From the channel's windows and the modems' reports.",
    )
    body += panel_figure(
        channel_figures.lateness(report),
        "How exactly the emulator itself released packets; both axes are logarithmic.",
    )
    body += self_measurement.tables(report)
    return panel("Channel", body) if body else ""


def _handovers(report: dict[str, Any]) -> str:
    rows = [
        [h["terminal"], number(h["t_s"]), h["utc"][11:23], h["from"] or "none", h["to"] or "none"]
        for h in report["handovers"]
    ]
    if not rows:
        return ""
    columns = ["terminal", "run time, s", "emulated UTC", "from", "to"]
    label = f"{len(rows)} handover" + ("s" if len(rows) > 1 else "")
    return details(label, table(columns, rows))


def _where(data: RunData, report: dict[str, Any]) -> str:
    body = panel_figure(
        worldmap.world_map(data),
        "Satellites where they stood half-way through the run, with the track of the whole run; links are "
        "the stronger the longer they existed.",
    )
    body += panel_figure(worldmap.elevations(data), "How high the satellite of each radio link stood.")
    body += _handovers(report)
    return panel("Places and sky", body) if body else ""


def _nodes(report: dict[str, Any]) -> str:
    rows = []
    for name, node in report["nodes"].items():
        latency = node.get("task_latency_s") or {}
        cells = [
            name,
            node.get("role"),
            node.get("place"),
            node.get("status"),
            node.get("sent"),
            node.get("received"),
        ]
        cells += [node.get("tasks"), latency.get("p50"), latency.get("p95")]
        rows.append([cell if isinstance(cell, str) else number(cell) for cell in cells])
    columns = ["node", "role", "place", "ended as", "sent", "received", "tasks", "latency p50, s", "p95, s"]
    return panel("Nodes", table(columns, rows)) if rows else ""


def _method(report: dict[str, Any]) -> str:
    run, injection = report["run"], report["injection"]
    epochs = injection.get("epochs") or {}
    facts: dict[str, Any] = {
        "scenario": run.get("scenario"),
        "seed": run.get("seed"),
        "scheduling of the channel": injection.get("scheduling"),
        "waiting": injection.get("latency_mode"),
        "processor time of the channel": _share_of_core(injection.get("cpu_share")),
        "link-table epochs": f"{number(epochs.get('count'))}, {number(epochs.get('overruns'))} overran, "
        f"computed in {number(epochs.get('compute_ms_p50'))} ms (p50), "
        f"{number(epochs.get('compute_ms_p99'))} ms (p99)",
        "first packet": f"{number(run.get('first_packet_s'))} s after the command",
        "satellites": "; ".join(report["elements"]),
        "packet-hops recorded": number(report["telemetry"].get("packet_hops")),
        "not recorded, log full": number(injection.get("log_overflow")),
    }
    for key in ("host", "versions"):
        given = run.get(key)
        facts |= {f"{key} {k}": v for k, v in given.items()} if isinstance(given, dict) else {key: given}
    items = "".join(
        f"<div><dt>{escape(k)}</dt><dd>{escape(str(v))}</dd></div>"
        for k, v in facts.items()
        if v not in (None, "")
    )
    text = (
        "<p class='small'>Lateness is the time between the moment a packet was due and the moment it was "
        "handed on, counted for every packet. Delays are taken from event times of the channel. The twin ran "
        "in a process of its own and was given public.json and observations only.</p>"
    )
    return panel("How it was measured", f"<dl>{items}</dl>{text}")


def _share_of_core(share: float | None) -> str:
    return "" if share is None else f"{share:.0%} of one core"
