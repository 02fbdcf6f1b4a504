"""Detections laid beside what the plant really did. For the report, after the run, and nobody else.

A detection belongs to a deviation that it resembles in kind and place, if it came while the deviation went
on or within the tolerance after it; it is in time when it came within the tolerance of the start.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from nodes.wire import Record
from testbed.twin.attribution import ATTENUATION, LINK_DOWN, SLOW_SERVER, UNKNOWN

#: rain of the scenario's weather, not of its script: it comes slowly, and no moment is one to notice it by
SHOWER = "shower"

#: deviation kind -> the kinds of detection that name it
LOOKS_LIKE = {
    "rain": (ATTENUATION,),
    SHOWER: (ATTENUATION,),
    "slow_server": (SLOW_SERVER,),
    "link_down": (LINK_DOWN,),
    "extra_loss": (UNKNOWN,),
    "extra_delay": (UNKNOWN,),
    "stale_orbit": ("orbit_error",),
    "capacity": ("congestion",),
    "clock_offset": ("clock",),
    "lost_telemetry": ("lost_telemetry",),
    "flood": ("flood", "congestion"),
    "impostor": ("impostor",),
}

#: what no deviation caused, and what no detection named, in a confusion matrix
NOTHING = "nothing"


def spans(plant_events: Iterable[Record], start_ns: int) -> list[dict[str, Any]]:
    """Deviations with start and end in run time from `plant_event` records, in pairs of start and end."""
    found: list[dict[str, Any]] = []
    open_spans: dict[tuple[str, str], dict[str, Any]] = {}
    for event in sorted(plant_events, key=lambda record: record.t_ns):
        key = (event.tags.get("deviation", ""), event.tags.get("target", ""))
        at_s = (event.t_ns - start_ns) / 1e9
        if key in open_spans:
            open_spans.pop(key)["end_s"] = at_s
        elif not {"end", "ended"} & {str(v) for v in (*event.tags.values(), *event.fields.values())}:
            span = {"deviation": key[0], "target": key[1], "start_s": at_s, "end_s": math.inf}
            open_spans[key] = span
            found.append(span)
    return found


def resembles(detection: Mapping[str, Any], deviation: str, target: str) -> bool:
    """Whether a detection names this kind of deviation at this target (place, node, satellite, link)."""
    return detection["kind"] in LOOKS_LIKE.get(deviation, (deviation,)) and _names(detection, target)


def _names(detection: Mapping[str, Any], target: str) -> bool:
    """Whether a detection names this place, node, satellite or link, or one of a group called so."""
    named = {str(detection.get("target", "")), str(detection.get("where", ""))}
    named |= {part for text in (*named, str(detection.get("links") or "")) for part in text.split(",")}
    named |= {end for name in named for end in name.split(">")}
    return bool(target) and (target in named or any(name.startswith(f"{target}-") for name in named))


def match_detections(
    detections: Iterable[Record | Mapping[str, Any]],
    plant_events: Iterable[Record],
    tolerance_s: float = 5.0,
    start_ns: int = 0,
) -> dict[str, list[dict[str, Any]]]:
    """`deviations`: each with `detected` and `delay_s` (None: never); `false`: detections of nothing.

    Detections are records, or dictionaries with kind, target, where, links, detected_s.
    """
    rows = [_row(detection) for detection in detections]
    deviations = spans(plant_events, start_ns)
    for span in deviations:
        span.update(detected=False, delay_s=None)
    false = []
    for row in rows:
        real = next((span for span in deviations if _belongs(row, span, tolerance_s)), None)
        if real is None:
            false.append(row)
            continue
        delay_s = row["detected_s"] - real["start_s"]
        if real["delay_s"] is None or delay_s < real["delay_s"]:
            real.update(delay_s=delay_s, detected=delay_s <= tolerance_s)
    for span in deviations:
        span["end_s"] = None if math.isinf(span["end_s"]) else span["end_s"]
    return {"deviations": deviations, "false": false}


def confusion(
    detections: Iterable[Record | Mapping[str, Any]],
    plant_events: Iterable[Record],
    tolerance_s: float = 5.0,
    start_ns: int = 0,
) -> dict[str, dict[str, int]]:
    """How often each deviation was given each cause: {deviation kind: {named kind: count}}.

    A deviation is given the cause of the first detection that belongs to it; if there is none, that of the
    first one while it went on that names its target; `NOTHING` when nobody named it. Detections of nothing
    are in the row `NOTHING`.
    """
    rows = sorted((_row(detection) for detection in detections), key=lambda row: float(row["detected_s"]))
    counts: dict[str, dict[str, int]] = {}
    used: set[int] = set()

    def count(deviation: str, cause: str) -> None:
        row = counts.setdefault(deviation, {})
        row[cause] = row.get(cause, 0) + 1

    found = spans(plant_events, start_ns)
    for span in found:
        during = [k for k, row in enumerate(rows) if _during(row, span, tolerance_s)]
        right = [k for k in during if _belongs(rows[k], span, tolerance_s)]
        near = [k for k in during if k not in right and _names(rows[k], span["target"])]
        used.update((*right, *near))
        first = next(iter(right or near), None)
        count(span["deviation"], NOTHING if first is None else rows[first]["kind"])
    for k, row in enumerate(rows):
        if k not in used:
            count(NOTHING, row["kind"])
    return counts


def _during(row: dict[str, Any], span: dict[str, Any], tolerance_s: float) -> bool:
    return bool(span["start_s"] <= row["detected_s"] <= span["end_s"] + tolerance_s)


def _belongs(row: dict[str, Any], span: dict[str, Any], tolerance_s: float) -> bool:
    return _during(row, span, tolerance_s) and resembles(row, span["deviation"], span["target"])


def _row(detection: Record | Mapping[str, Any]) -> dict[str, Any]:
    return {**detection.tags, **detection.fields} if isinstance(detection, Record) else dict(detection)
