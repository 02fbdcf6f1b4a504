"""The summary in a terminal: one screen that says whether the run can be trusted and what it showed."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.twin.matching import SHOWER

#: what a verdict holds -> the word and its style
MARKS = {True: ("holds", "green"), False: ("FAILS", "bold red"), None: ("void", "yellow")}
#: quantity of a prediction: its name in a table, the unit shown, and the factor to it
QUANTITIES = {
    "delay_ms": ("hop delay", "ms", 1.0),
    "loss": ("loss", "", 1.0),
    "throughput_bps": ("throughput", "Mbit/s", 1e-6),
    "snr_db": ("SNR", "dB", 1.0),
    "service_rate_hz": ("service rate", "GHz", 1e-9),
}


#: times that the channel takes of itself, and their names in a summary
TIMED = {
    "lateness_us": "lateness", "delay_error_us": "delay error", "substrate_us": "substrate",
    "timer_us": "bare timer",
}  # fmt: skip


def show(document: dict[str, Any], folder: str, console: Console) -> None:
    """Prints the summary of a report.json to `console`."""
    run = document["run"]
    good = all(v["holds"] for v in document["verdicts"])
    bad = any(v["holds"] is False for v in document["verdicts"])
    style = "bold green" if good else ("bold red" if bad else "bold yellow")
    console.print(Text(f"{run['id']}  ", style="bold").append(run["headline"], style=style))
    for problem in document["problems"]:
        console.print(Text(f"  note: {problem}", style="yellow"))
    console.print(_verdicts(document))
    console.print(_facts(document))
    if document["twin"]["deviations"] or document["twin"]["detections"]:
        console.print(_detections(document["twin"]))
    actions = _actions(document["twin"])
    if actions.row_count:
        console.print(actions)
    fidelity = _fidelity(document["twin"])
    if fidelity.row_count:
        console.print(fidelity)
    ages = _synchronisation(document["twin"])
    if ages.row_count:
        console.print(ages)
    if said := _edges(document["twin"].get("edges") or {}):
        console.print(Text("  edge twins    ", style="dim").append(said, style="none"))
    console.print(Text(f"report: {folder}/report.html", style="bold"), soft_wrap=True)


def number(value: Any, digits: int = 3) -> str:
    """A number in at most `digits` significant digits, a dash for nothing; text as it is."""
    if value is None:
        return "–"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, list):
        return " to ".join(number(item, digits) for item in value)
    if abs(value) < 1e-9:
        return "0"
    if isinstance(value, int) or abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def dropped(causes: dict[str, int]) -> str:
    """Causes of drops with their numbers, the most frequent first; empty when there are none."""
    ordered = sorted(causes.items(), key=lambda cause: -cause[1])
    return ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in ordered)


def _edges(found: dict[str, Any]) -> str:
    """What is said of edge twins; nothing where there were none."""
    if not found:
        return ""
    shares = [row["agreeing_share"] for row in found.values() if row["agreeing_share"] is not None]
    agree = (
        f"; at least {min(shares):.0%} of each one's states agree with the central twin's" if shares else ""
    )
    times = sum(len(row["reconciled"]) for row in found.values())
    again = f"; told everything anew {times} times after an outage" if times else ""
    return f"{', '.join(found)}{agree}{again}"


def _verdicts(document: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    said = ""
    for verdict in document["verdicts"]:
        word, style = MARKS[verdict["holds"]]
        # what makes one verdict void makes others void too: the reason is worth its lines once
        text = (
            "for the same reason" if verdict["holds"] is None and verdict["text"] == said else verdict["text"]
        )
        said = verdict["text"]
        table.add_row(Text(f"  {word}", style=style), verdict["name"].replace("_", " "), Text(text))
    return table


def _facts(document: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    total = document["conservation"]["total"]
    if total is not None:
        drops = dropped(total["dropped"]) or "none"
        copies = f" + {total['copied']:,} copies" if total["copied"] else ""
        harmed = f" ({total['damaged']:,} of them damaged)" if total["damaged"] else ""
        table.add_row(
            Text("  packets", style="dim"),
            Text(
                f"{total['ingress']:,} in{copies} = {total['delivered']:,} delivered{harmed} + "
                f"{sum(total['dropped'].values()):,} dropped ({drops}) + {total['in_flight']:,} in flight"
            ),
        )
    injection = document["injection"]
    for key, label in TIMED.items():
        figures = injection.get(key)
        if figures and figures.get("p50") is not None:
            row = ", ".join(f"{name} {number(figures.get(name))}" for name in ("p50", "p99", "p999", "max"))
            table.add_row(Text(f"  {label}", style="dim"), f"{row} us")
    taking = ((injection.get("hand_over_us") or {}).get("taking") or {}).get("p99")
    if taking is not None:
        table.add_row(Text("  link tables", style="dim"), f"taken over in {number(taking)} us, p99")
    if injection.get("cpu_share") is not None:
        waiting = f", {injection['latency_mode']}" if injection.get("latency_mode") else ""
        table.add_row(Text("  processor", style="dim"), f"{injection['cpu_share']:.0%} of one core{waiting}")
    first = document["run"].get("first_packet_s")
    if first is not None:
        table.add_row(Text("  first packet", style="dim"), f"{first:.1f} s after the command")
    for said in document["elements"]:
        table.add_row(Text("  elements", style="dim"), Text(said))
    return table


def _detections(twin: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    for index, real in enumerate(twin["deviations"]):
        found = next((d for d in twin["detections"] if d["matches"] == index), None)
        end = "end" if real["end_s"] is None else f"{real['end_s']:.1f} s"
        # weather's own rain may go unnoticed; what the scenario does may not
        need_not_be = real["deviation"] == SHOWER
        said = Text("not noticed, nor need it be", "dim") if need_not_be else Text("not detected", "red")
        if not twin["enabled"]:
            said = Text("no twin was there to notice", "dim")
        if found is not None:
            said = Text(
                f"{found['kind']} at {place_of(found)}, {real['delay_s']:.1f} s later, {size_of(found)}"
            )
        subject = Text(f"  {real['deviation']} at {real['target']}", style="dim")
        table.add_row(subject, f"{real['start_s']:.1f} s to {end}:", said)
    for found in (d for d in twin["detections"] if d["matches"] is None):
        said = Text(f"{found['kind']} at {place_of(found)}, {size_of(found)}", style="red")
        table.add_row(Text("  nothing", style="dim"), f"at {found['detected_s']:.1f} s:", said)
    return table


def _actions(twin: dict[str, Any]) -> Table:
    from testbed.report.actions import terminal_table  # which uses this module's numbers

    return terminal_table(twin)


def place_of(found: dict[str, Any]) -> str:
    """What a detection names as its cause: a place, a node or a link."""
    return str(found["target"] or found["where"])


def size_of(found: dict[str, Any]) -> str:
    """The size of a detected deviation with its uncertainty and unit."""
    if found["size"] is None:
        return "–"
    spread = "" if found["size_sd"] is None else f" ± {number(found['size_sd'], 2)}"
    unit = "" if found["unit"] in (None, "ratio") else f" {found['unit']}"
    return f"{number(found['size'])}{spread}{unit}{interval_of(found)}"


def interval_of(found: dict[str, Any]) -> str:
    """The 95 % interval of a size, with a blank before it; empty when none was told."""
    low, high = found.get("low95"), found.get("high95")
    return "" if low is None or high is None else f" ({number(low)} to {number(high)})"


def _fidelity(twin: dict[str, Any]) -> Table:
    from testbed.report.belief import overall

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("  predicted")
    for column in ("windows", "error", "NRMSE", "KS", "W1", "in 90%", "skill", "/prop.", "/clim."):
        table.add_column(column, justify="right")
    for quantity, (label, unit, scale) in QUANTITIES.items():
        row = overall(twin["fidelity"], quantity)
        if not row["n"]:
            continue
        picp = row["picp90"]
        table.add_row(
            f"  {label}",
            f"{row['n']:,}",
            f"{number(row['mae'] * scale, 2)} {unit}".strip() if row["mae"] is not None else "–",
            number(row["nrmse"], 2),
            number(row["ks"], 2),
            number(row["w1"] * scale, 2) if row["w1"] is not None else "–",
            "–" if picp is None else f"{picp:.0%}",
            number(row["skill_constant"], 2),
            number(row["skill_propagation"], 2),
            number(row.get("crps_skill_climatology"), 2),
        )
    return table


def _synchronisation(twin: dict[str, Any]) -> Table:
    """How old what the twin knows was, and how many of the planned updates it got."""
    table = Table.grid(padding=(0, 2))
    for name, row in ((twin.get("synchronisation") or {}).get("age") or {}).items():
        said = f"age p50 {number(row.get('age_p50_s'), 2)} s, p99 {number(row.get('age_p99_s'), 2)} s"
        if row.get("age_p99_periods") is not None:
            said += f" ({number(row['age_p99_periods'], 2)} periods)"
        if row.get("alignment") is not None:
            said += f", {row['alignment']:.1%} of the planned updates"
        table.add_row(Text(f"  {name}", style="dim"), said)
    return table
