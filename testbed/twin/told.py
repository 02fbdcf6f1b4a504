"""What a twin believed at a moment of a run, read back from the records it said.

The inverse of `core.Twin.beliefs`, as far as a what-if needs it: parameters, links that are down, and
actions in force.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from nodes.wire import Record
from testbed.actions import AnyAction, parse
from testbed.twin.attribution import LINK_DOWN
from testbed.twin.belief import Belief, Estimate

_RADIO: Final = re.compile(r"(attenuation|snr_bias)_(up|down|over|back)_db")
#: state as told -> table of the belief
_TABLES: Final = {
    "delay_bias_ms": "delay_ms",
    "delay_ms": "delay_ms",
    "capacity_factor": "capacity_factor",
    "loss": "loss",
    "along_track_km": "along_track_km",
    "service_factor": "service_factor",
    "clock_offset_ms": "clock_offset_ms",
}
#: states of links that were not told anew for so long are of links that are gone, s
_STALE_S: Final = 5.0
_OF_LINKS: Final = frozenset({"delay_ms", "capacity_factor", "loss"})


def belief_times_s(records: Iterable[Record], t0_ns: int) -> tuple[float, float] | None:
    """Run times of the first and the last belief that was told, s; None when none was."""
    times = [record.t_ns for record in records if record.measurement == "belief"]
    return ((min(times) - t0_ns) / 1e9, (max(times) - t0_ns) / 1e9) if times else None


def belief_at(records: Iterable[Record], t0_ns: int, at_s: float) -> Belief:
    """The newest belief that was told up to run time `at_s`; empty when there is none."""
    until_ns = t0_ns + round(at_s * 1e9)
    latest: dict[tuple[str, str], Record] = {}
    down: dict[tuple[str, str], str] = {}
    for record in sorted((r for r in records if r.t_ns <= until_ns), key=lambda r: r.t_ns):
        if record.measurement == "belief":
            latest[record.tags.get("target", ""), record.tags.get("state", "")] = record
        elif record.measurement in ("detection", "recovery") and record.tags.get("kind") == LINK_DOWN:
            event = (record.tags.get("target", ""), record.tags.get("where", ""))
            if record.measurement == "detection":
                down[event] = str(record.fields.get("links", ""))
            else:
                down.pop(event, None)
    belief = Belief(at_s)
    for (target, state), record in latest.items():
        mean, variance = (float(record.fields.get(name, 0.0)) for name in ("mean", "variance"))
        estimate = Estimate(mean, max(variance, 0.0) ** 0.5)
        radio = _RADIO.fullmatch(state)
        table = _TABLES.get(state, "")
        if radio is not None:
            if radio[1] == "snr_bias":
                belief.snr_bias_db[f"{target}/{radio[2]}"] = estimate
            elif mean > 0.0:
                belief.attenuation_db[f"{target}/{radio[2]}"] = estimate
        elif table and not (table in _OF_LINKS and until_ns - record.t_ns > _STALE_S * 1e9):
            getattr(belief, table)[target] = estimate
    belief.down = [link for links in down.values() for link in links.split(",") if ">" in link]
    return belief


def standing_at(records: Iterable[Record], t0_ns: int, at_s: float) -> list[AnyAction]:
    """Actions in force at run time `at_s`."""
    until_ns = t0_ns + round(at_s * 1e9)
    standing: dict[str, list[AnyAction]] = {}
    for record in sorted((r for r in records if r.t_ns <= until_ns), key=lambda r: r.t_ns):
        if record.measurement != "action":
            continue
        number, step = record.tags.get("id", ""), record.tags.get("step", "")
        if step == "applied" and not record.fields.get("dry"):
            undone = str(record.fields.get("withdraws", ""))
            standing.pop(undone, None)
            text = str(record.fields.get("action", ""))
            if not undone:
                standing[number] = [parse(part.strip()) for part in text.split(";") if part.strip()]
        elif step in ("rolled_back", "withdrawn"):
            standing.pop(number, None)
    return [action for actions in standing.values() for action in actions]
