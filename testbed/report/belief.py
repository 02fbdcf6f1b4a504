"""The report's `twin` section: how good the predictions were, what was detected, and what was really there.

The scores come from the twin package and use its own records; only here, after the run, are its
detections laid beside what the plant did.
"""

from __future__ import annotations

import math
from typing import Any

from nodes.wire import Record
from testbed.report.collect import Deviation, RunData
from testbed.report.verdicts import DETECTION_S


def twin_section(data: RunData) -> dict[str, Any]:
    """Fidelity, calibration, detections, deviations and actions of the run's twin."""
    predicted = data.of("prediction")
    detections = [_detection(data, record) for record in data.of("detection")]
    deviations = [
        {
            "deviation": d.kind, "target": d.target, "start_s": d.start_s, "end_s": d.end_s, "size": d.size,
            "detected": False, "delay_s": None,
        }
        for d in data.deviations
    ]  # fmt: skip
    score = _score(data) if predicted else {}
    _match(detections, deviations, data.deviations)
    fidelity = score.get("fidelity") or {}
    return {
        "node": _node_name(data),
        "last_prediction_s": data.seconds(predicted[-1].t_ns) if predicted else None,
        "predictions": len(predicted),
        "delay": overall(fidelity, "delay_ms"),
        "fidelity": fidelity,
        "calibration": score.get("calibration") or {},
        "detections": detections,
        "deviations": deviations,
        "actions": [
            {"t_s": data.seconds(r.t_ns), **r.tags, **r.fields} for r in data.of("action")
        ],
    }  # fmt: skip


def _score(data: RunData) -> dict[str, Any]:
    try:
        from testbed.twin import scoring

        scored: dict[str, Any] = scoring.score(data.records, data.t0_ns)
        return scored
    except Exception as error:
        # A twin that wrote nonsense makes its scores impossible, not the rest of the report.
        data.problems.append(f"the twin cannot be scored: {type(error).__name__}: {error}")
        return {}


def _node_name(data: RunData) -> str:
    nodes = data.info.get("nodes") or {}
    return next((name for name, node in nodes.items() if node.get("role") == "twin"), "twin")


def _detection(data: RunData, record: Record) -> dict[str, Any]:
    kept = ("onset_s", "detected_s", "size", "size_sd", "unit", "statistic", "threshold", "links")
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
    return found


def overall(fidelity: dict[str, Any], quantity: str) -> dict[str, Any]:
    """Scores of one quantity over all its targets, each target weighing by its number of windows.

    The skill compares summed errors, so that a link that the constant already predicts well cannot
    outweigh the others by the smallness of its own error.
    """
    rows = [r for r in (fidelity.get(quantity) or {}).values() if isinstance(r, dict) and r.get("n")]
    total = sum(row["n"] for row in rows)
    scores: dict[str, Any] = {"n": total}
    for name in ("mae", "nrmse", "ks", "w1", "picp90", "crps"):
        known = [(row["n"], row[name]) for row in rows if _number(row.get(name))]
        weight = sum(n for n, _ in known)
        scores[name] = sum(n * value for n, value in known) / weight if weight else None
    for name in ("skill_constant", "skill_propagation"):
        usable = [
            (row["n"] * row["mae"], row[name]) for row in rows
            if _number(row.get(name)) and _number(row.get("mae")) and row[name] < 1.0
        ]  # fmt: skip
        error = sum(own for own, _ in usable)
        baseline = sum(own / (1.0 - skill) for own, skill in usable)
        scores[name] = 1.0 - error / baseline if baseline else None
    return scores


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and value == value


#: what a deviation of a kind looks like to a twin
_LOOKS_LIKE = {"rain": ("attenuation",), "slow_server": ("slow_server",), "link_down": ("link_down",)}


def _match(
    detections: list[dict[str, Any]], deviations: list[dict[str, Any]], truth: list[Deviation]
) -> None:
    """Lays detections beside deviations: `matches` there, `detected` and `delay_s` here.

    A detection belongs to a deviation it resembles and that was going on; if it came later than the
    bound it is not false, yet the deviation was not detected in time.
    """
    for found in detections:
        found["matches"] = None
        for index, real in enumerate(deviations):
            delay_s = found["detected_s"] - real["start_s"]
            over_s = math.inf if real["end_s"] is None else real["end_s"] + DETECTION_S
            if delay_s < 0.0 or found["detected_s"] > over_s or not _resembles(found, truth[index]):
                continue
            found["matches"] = index
            if real["delay_s"] is None or delay_s < real["delay_s"]:
                real["delay_s"] = delay_s
                real["detected"] = delay_s <= DETECTION_S
            break


def _resembles(found: dict[str, Any], real: Deviation) -> bool:
    if found["kind"] not in _LOOKS_LIKE.get(real.kind, (found["kind"],)):
        return False
    named = {found["where"], found["target"], *str(found["links"] or "").split(",")}
    return any(real.concerns(name) for name in named if name)
