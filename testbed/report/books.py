"""The books of a run on its page: what entered, what became of it and why, by cause, class and link."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from testbed.report.causes import meaning
from testbed.report.markup import details, panel, table
from testbed.report.terminal import dropped

#: links named beside a cause, those that dropped most by it
_LINKS_NAMED: Final = 3
#: columns that stand in a table only when something is in them
_RARE: Final = ("copied", "rerouted")


def books(report: dict[str, Any]) -> str:
    """The panel about conservation."""
    found, total = report["conservation"], report["conservation"]["total"]
    body = f"<p>{escape(_sentence(found['text']))} {escape(_sentence(found['nodes']['text']))}</p>"
    if total is not None:
        whole = {**total, "packets_in": total["ingress"], "packets_out": total["delivered"]}
        body += _balances({"whole channel": whole}, by_cause=False)
        if total["ip_packets"]:
            body += (
                f"<p class='small'>{total['ip_packets']:,} of those that entered were packets of programs "
                "behind IP interfaces, or answers of places to them.</p>"
            )
        if total["damaged"]:
            body += (
                f"<p class='small'>{total['damaged']:,} of those delivered had damaged bits, as faults of "
                "links want it.</p>"
            )
        body += _causes(total["dropped"], found["links"])
    body += _classes(found["classes"])
    if found["links"]:
        links = {name.replace(">", " → "): row for name, row in found["links"].items()}
        body += details(f"{len(links)} links", _balances(links, by_cause=True))
    return panel("Conservation", body)


def _balances(rows: dict[str, dict[str, Any]], *, by_cause: bool) -> str:
    rare = [key for key in _RARE if any(row.get(key) for row in rows.values())]
    columns = ["", "in", *rare, "out", "dropped", "in flight", "difference"]
    columns += ["by cause"] if by_cause else []
    cells = []
    for name, row in rows.items():
        lost = sum(row["dropped"].values())
        counts = [row["packets_in"], *(row.get(key, 0) for key in rare)]
        counts += [row["packets_out"], lost, row["in_flight"]]
        difference = f"{row['difference']:+,d}" if row["difference"] else "0"
        line = [name, *(f"{count:,}" for count in counts), difference]
        cells.append([*line, dropped(row["dropped"])] if by_cause else line)
    return table(columns, cells)


def _causes(causes: dict[str, int], links: dict[str, dict[str, Any]]) -> str:
    """Every cause with what it means and the links where it happened most."""
    if not causes:
        return ""
    rows = []
    for cause, count in sorted(causes.items(), key=lambda one: -one[1]):
        most = sorted(
            ((row["dropped"].get(cause, 0), name) for name, row in links.items()), key=lambda one: -one[0]
        )
        where = ", ".join(f"{name.replace('>', ' → ')} {n:,}" for n, name in most[:_LINKS_NAMED] if n)
        rows.append([cause.replace("_", " "), f"{count:,}", meaning(cause), where or "not on a link"])
    return "<h3>Why packets were dropped</h3>" + table(["cause", "packets", "meaning", "most at"], rows)


def _classes(classes: dict[str, dict[str, Any]]) -> str:
    """Packet-hops by traffic class, where there was more than one."""
    if len(classes) < 2:
        return ""
    rows = []
    for name, row in classes.items():
        lost = sum(row["dropped"].values())
        share = f"{100 * lost / row['packets_in']:.2g} %" if row["packets_in"] else "–"
        counts = [f"{count:,}" for count in (row["packets_in"], row["packets_out"], lost)]
        rows.append([name, *counts, share, dropped(row["dropped"])])
    columns = ["traffic class", "in", "out", "dropped", "share", "by cause"]
    note = "<p class='small'>Packet-hops, summed over the links; 3 goes first, 0 last.</p>"
    return "<h3>By traffic class</h3>" + table(columns, rows) + note


def _sentence(text: str) -> str:
    """A remark as a sentence of its own."""
    return text[:1].upper() + text[1:] + "."
