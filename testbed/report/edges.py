"""The edge twins of a run: what each answers for, how it agreed with the central twin, what it noticed alone.

Empty for a run that had none.
"""

from __future__ import annotations

from typing import Any

from testbed.report.collect import RunData
from testbed.report.markup import panel, table
from testbed.report.terminal import number


def edges(data: RunData) -> dict[str, dict[str, Any]]:
    """By edge: its places, how it ended, counters, agreement over time, and what came of outages."""
    noted = data.info.get("edges") or {}
    found: dict[str, dict[str, Any]] = {}
    for name, info in sorted(noted.items()):
        if not isinstance(info, dict):
            continue
        counters = info.get("counters") or {}
        seen = data.of("hierarchy", edge=name, event="seen")
        last = seen[-1].fields if seen else {}
        found[name] = {
            "places": info.get("places") or [],
            "status": info.get("status"),
            "restarts": int(info.get("restarts") or 0),
            "windows": counters.get("windows"),
            "told": counters.get("told"),
            "told_bytes": counters.get("told_bytes"),
            "centre_found_again": counters.get("centre_found_again"),
            "states": last.get("states"),
            "agreeing_share": _share(last),
            "agreement": {
                "t_s": [data.seconds(record.t_ns) for record in seen],
                "share": [_share(record.fields) for record in seen],
            },
            "noticed": len(data.of("edge", edge=name, what="detection")),
            "resumed": len(data.of("edge", edge=name, what="twin", event="resumed")),
            "reconciled": [
                {"t_s": data.seconds(r.t_ns), "share": _share(r.fields), **r.fields}
                for r in data.of("hierarchy", edge=name, event="reconciled")
            ],
            "told_late": [
                {**{key: r.tags.get(key, "") for key in ("what", "kind", "target")}, **r.fields}
                for r in data.of("hierarchy", edge=name, event="late")
            ],
        }
    return found


def section(report: dict[str, Any]) -> str:
    """What the page says of edge twins."""
    found = report["twin"].get("edges") or {}
    if not found:
        return ""
    columns = [
        "edge twin", "places", "ended", "windows", "states", "agree with the central one", "kB told",
        "noticed",
    ]  # fmt: skip
    rows = [
        [name, ", ".join(row["places"]), _ended(row), number(row["windows"]), number(row["states"]),
         _percent(row["agreeing_share"]), number((row["told_bytes"] or 0) / 1e3), number(row["noticed"])]
        for name, row in found.items()
    ]  # fmt: skip
    body = table(columns, rows)
    again = [
        [name, number(one["t_s"]), number(one.get("states")), _percent(one["share"]),
         number(one.get("late_events"))]
        for name, row in found.items()
        for one in row["reconciled"]
    ]  # fmt: skip
    if again:
        columns = ["edge twin", "at, s", "states told anew", "agreeing then", "noticed meanwhile"]
        body += "<h3>Reconciled after an outage</h3>" + table(columns, again)
    late = [
        [name, one["what"], f"{one['kind']} {one['target']}".strip(), number(one.get("happened_s")),
         number(one.get("heard_s"))]
        for name, row in found.items()
        for one in row["told_late"]
    ]  # fmt: skip
    if late:
        body += "<h3>Noticed by edges while nobody heard them</h3>"
        body += table(["edge twin", "what", "of", "happened at, s", "heard at, s"], late)
    return panel("Edge twins", body)


def _share(fields: Any) -> float | None:
    common, agreeing = fields.get("common"), fields.get("agreeing")
    if not isinstance(common, int | float) or not isinstance(agreeing, int | float) or not common:
        return None
    return float(agreeing) / float(common)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _ended(row: dict[str, Any]) -> str:
    times = row["restarts"]
    return str(row["status"]) + (f", started again {times} times" if times else "")
