"""What the channel measured of itself, as tables of the page: times it takes, and each link's exactness."""

from __future__ import annotations

from typing import Any, Final

from testbed.report.markup import details, table
from testbed.report.terminal import number

#: where in the report's `injection` a time stands, and what it is
_TIMES: Final = (
    (("lateness_us",), "release: handed over after it was due"),
    (("delay_error_us",), "delay error: sender's stamp to end of hand-over, against the delay asked for"),
    (("substrate_us",), "substrate: from the sender's stamp into the channel"),
    (("hand_over_us", "in_force"), "link table in force after it was due"),
    (("hand_over_us", "taking"), "link table taken over: how long packets stood still"),
    (("timer_us",), "bare timer of the same priority, woken late"),
)  # fmt: skip
_FIGURES: Final = ("p50", "p99", "p999", "max")


def tables(report: dict[str, Any]) -> str:
    """The tables; empty when nothing was measured."""
    injection = report["injection"]
    rows = []
    for path, label in _TIMES:
        measured: Any = injection
        for key in path:
            measured = (measured or {}).get(key)
        if measured and measured.get("count"):
            figures = [number(measured.get(figure)) for figure in _FIGURES]
            rows.append([label, f"{measured['count']:,}", *figures])
    if not rows:
        return ""
    columns = ["of itself, µs", "count", "p50", "p99", "p99.9", "max"]
    return table(columns, rows) + _links(injection.get("per_link") or {})


def _links(per_link: dict[str, dict[str, Any]]) -> str:
    """Lateness and delay error by the last link of the packets, the latest first."""
    rows = []
    latest = sorted(
        per_link.items(), key=lambda link: -((link[1].get("lateness_us") or {}).get("p99") or 0.0)
    )
    for name, measured in latest:
        late, off = measured.get("lateness_us") or {}, measured.get("delay_error_us") or {}
        if late.get("count") or off.get("count"):
            cells = [late.get(key) for key in ("count", "p50", "p99", "max")]
            cells += [off.get(key) for key in ("mean", "p99")]
            rows.append([name.replace(">", " → "), *(number(cell) for cell in cells)])
    if not rows:
        return ""
    columns = ["last link", "packets", "late, µs: p50", "p99", "max", "delay error, µs: mean", "p99"]
    return details(f"Exactness by link: {len(rows)}", table(columns, rows))
