"""The report's `twin` section: how good the predictions were, what was detected, and what was really there.

The scores come from the twin package and use its own records; only here, after the run, are its
detections laid beside what the plant did.
"""

from __future__ import annotations

import math
from typing import Any

from nodes.wire import Record
from testbed.report.actions import actions
from testbed.report.collect import RunData
from testbed.report.edges import edges
from testbed.report.verdicts import DETECTION_S
from testbed.twin import matching, scoring
from testbed.twin.streaming import WHOLE

#: measures whose course over the run is kept
OVER_TIME = ("n", "mae", "crps", "picp90", "packet_picp90", "skill_constant", "crps_skill_climatology", "w1")


def twin_section(data: RunData) -> dict[str, Any]:
    """Fidelity, calibration, detections, deviations and actions of the run's twin."""
    predicted = data.of("prediction")
    detections = [_detection(data, record) for record in data.of("detection")]
    score = _score(data) if predicted else {}
    deviations = _match(data, detections)
    fidelity = score.get("fidelity") or {}
    return {
        "node": _node_name(data),
        "enabled": bool(data.info.get("twin_enabled", True)),
        "status": _status(data),
        "restarts": int(data.info.get("twin_restarts") or 0),
        "window_s": predicted[-1].fields.get("window_s", 0.0) if predicted else 0.0,
        "last_prediction_s": data.seconds(predicted[-1].t_ns) if predicted else None,
        "predictions": len(predicted),
        "delay": overall(fidelity, "delay_ms"),
        "fidelity": fidelity,
        "calibration": score.get("calibration") or {},
        "detections": detections,
        "deviations": deviations,
        "confusion": matching.confusion(detections, data.of("plant_event"), DETECTION_S, data.t0_ns),
        "losses": score.get("losses") or {},
        "fidelity_over_time": _over_time(data),
        "outlook": _outlook(data),
        "synchronisation": _synchronisation(data.of("sync")),
        "actions": actions(data),
        "edges": edges(data),
    }


def _over_time(data: RunData) -> dict[str, dict[str, list[Any]]]:
    """Fidelity of all targets together as the twin told it while it ran: quantity -> t_s and figures."""
    found: dict[str, dict[str, list[Any]]] = {}
    for record in data.of("fidelity", target=WHOLE, over="recent"):
        series = found.setdefault(record.tags.get("quantity", ""), {"t_s": []})
        series["t_s"].append(data.seconds(record.t_ns))
        for name in OVER_TIME:
            series.setdefault(name, []).append(record.fields.get(name))
    return found


def _outlook(data: RunData) -> dict[str, dict[str, Any]]:
    """What the twin last said of every terminal's next handover."""
    return {
        record.tags.get("target", ""): {"said_s": data.seconds(record.t_ns), **record.fields}
        for record in data.of("outlook")
        if "ahead_s" not in record.tags
    }


def _synchronisation(records: list[Record]) -> dict[str, Any]:
    """Ages, staleness and alignment over the run, as the twin last said: subject -> what of -> figures."""
    found: dict[str, Any] = {}
    for record in records:
        found.setdefault(record.tags["subject"], {})[record.tags["of"]] = dict(record.fields)
    return found


def _score(data: RunData) -> dict[str, Any]:
    try:
        return scoring.score(data.records, data.t0_ns)
    except Exception as error:
        # A twin that wrote nonsense makes its scores impossible, not the rest of the report.
        data.problems.append(f"the twin cannot be scored: {type(error).__name__}: {error}")
        return {}


def _node_name(data: RunData) -> str:
    nodes = data.info.get("nodes") or {}
    return next((name for name, node in nodes.items() if node.get("role") == "twin"), "twin")


def _status(data: RunData) -> str:
    node: dict[str, Any] = (data.info.get("nodes") or {}).get(_node_name(data)) or {}
    return str(data.info.get("twin_status") or node.get("status") or "finished")


def _detection(data: RunData, record: Record) -> dict[str, Any]:
    kept = (
        "onset_s", "detected_s", "size", "size_sd", "low95", "high95", "unit", "statistic", "threshold",
        "links",
    )  # fmt: skip
    found: dict[str, Any] = {
        "kind": record.tags.get("kind", "unknown"),
        "target": record.tags.get("target", ""),
        "where": record.tags.get("where", ""),
        **{key: record.fields.get(key) for key in kept},
    }
    if found["detected_s"] is None:
        found["detected_s"] = data.seconds(record.t_ns)
    over = [
        data.seconds(r.t_ns) for r in data.of("recovery", kind=found["kind"], target=found["target"])
        if r.t_ns > record.t_ns
    ]  # fmt: skip
    found["recovered_s"] = min(over, default=None)
    found["in_the_end"] = _last_size(data, record, found)
    return found


def _last_size(data: RunData, record: Record, found: dict[str, Any]) -> dict[str, Any] | None:
    """The size as the twin knew it when the deviation was over, or last; None when it said no more of it."""
    until_s = math.inf if found["recovered_s"] is None else found["recovered_s"]
    of_it = {"kind": found["kind"], "target": found["target"]}
    later = [
        r for name in ("estimate", "recovery") for r in data.of(name, **of_it)
        if r.t_ns > record.t_ns and data.seconds(r.t_ns) <= until_s and "size" in r.fields
    ]  # fmt: skip
    if not later:
        return None
    last = max(later, key=lambda r: r.t_ns)
    return {key: last.fields.get(key) for key in ("size", "size_sd", "low95", "high95", "unit")}


def overall(fidelity: dict[str, Any], quantity: str) -> dict[str, Any]:
    """Scores of one quantity over all its targets together; `n` is 0 when there are none."""
    return (fidelity.get("overall") or {}).get(quantity) or {"n": 0}


def _match(data: RunData, detections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lays detections beside deviations: `matches` in the former, the deviations with `detected`, `delay_s`.

    A detection that came later than the bound, while what it names went on, is not false; yet the
    deviation was not detected in time.
    """
    numbered = [{**found, "number": number} for number, found in enumerate(detections)]
    matched = matching.match_detections(numbered, data.of("plant_event"), DETECTION_S, data.t0_ns)
    deviations: list[dict[str, Any]] = matched["deviations"]
    false = {found["number"] for found in matched["false"]}
    for number, found in enumerate(detections):
        found["matches"] = None
        for index, real in enumerate(deviations):
            end_s = math.inf if real["end_s"] is None else real["end_s"] + DETECTION_S
            during = real["start_s"] <= found["detected_s"] <= end_s
            if (
                number not in false
                and during
                and matching.resembles(found, real["deviation"], real["target"])
            ):
                found["matches"] = index
                break
    sizes = {(d.kind, d.target, d.start_s): d.size for d in data.deviations}
    for real in deviations:
        real["size"] = sizes.get((real["deviation"], real["target"], real["start_s"]), "")
    return deviations
