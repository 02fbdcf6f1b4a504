"""report.json: the sections of a report as plain data, built from what a run folder holds.

Keys that stay: `run`, `conservation`, `injection`, `links`, `nodes`, `twin`, `verdicts`. Every number is
finite or null, so that any JSON reader takes it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nodes.wire import Record
from testbed.report import verdicts
from testbed.report.balance import conservation
from testbed.report.belief import twin_section
from testbed.report.collect import Array, RunData, values

#: measurements that come from nodes and channel, as against from the twin or the plant
_OBSERVED = ("link", "task", "flow", "offload", "node")


def build(data: RunData) -> dict[str, Any]:
    """The content of report.json of a run."""
    report: dict[str, Any] = {
        "run": _run(data),
        "elements": _elements(data),
        "conservation": conservation(data.info),
        "injection": _injection(data),
        "links": _links(data),
        "nodes": _nodes(data),
        "services": _services(data),
        "flows": _flows(data),
        "handovers": [{**r.tags, **r.fields} for r in data.of("handover")],
        "twin": twin_section(data),
        "telemetry": {
            "records": {name: len(group) for name, group in sorted(data.by_measurement.items())},
            "packet_hops": data.packets_recorded,
            **(data.info.get("telemetry") or {}),
        },
        "problems": data.problems,
    }
    if restarts := report["twin"]["restarts"]:
        times = "once" if restarts == 1 else f"{restarts} times"
        report["problems"] = [*data.problems, f"the twin's process ended and was started again {times}"]
    report["verdicts"] = [verdict.as_dict() for verdict in verdicts.judge(report)]
    failed = [v["name"] for v in report["verdicts"] if v["holds"] is False]
    void = [v["name"] for v in report["verdicts"] if v["holds"] is None]
    report["run"]["headline"] = _headline(len(report["verdicts"]), failed, void)
    return finite(report)  # type: ignore[no-any-return]


def finite(value: Any) -> Any:
    """A value as plain JSON types: numpy scalars unwrapped, what is not finite replaced by None."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def distribution(sample: Array) -> dict[str, float | int | None]:
    """Count, mean and quantiles of a sample; nulls when it is empty."""
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return {"n": 0, "mean": None, "p50": None, "p95": None, "p99": None}
    p50, p95, p99 = np.quantile(sample, (0.50, 0.95, 0.99))
    return {"n": int(sample.size), "mean": sample.mean(), "p50": p50, "p95": p95, "p99": p99}


def _headline(count: int, failed: list[str], void: list[str]) -> str:
    spoken = [name.replace("_", " ") for name in failed]
    if failed:
        text = f"{len(failed)} of {count} verdicts failed: {', '.join(spoken)}"
        return text + (f"; {len(void)} void" if void else "")
    if void:
        return f"{count - len(void)} of {count} verdicts hold, {len(void)} void"
    return f"All {count} verdicts hold"


def _run(data: RunData) -> dict[str, Any]:
    kept = (
        "id", "scenario", "seed", "versions", "status", "start_utc", "t0_ns", "epoch_offset_ns",
        "planned_duration_s", "first_packet_s", "host", "problem",
    )  # fmt: skip
    run = {key: data.info.get(key) for key in kept}
    run["id"] = run["id"] or data.path.name
    run["duration_s"] = data.duration_s
    run["observed_s"] = data.observed_s
    run["folder"] = str(data.path)
    run["observations"] = sum(len(data.of(name)) for name in _OBSERVED)
    return run


def _elements(data: RunData) -> list[str]:
    """What the plant said of the elements: satellites left out and why, and how old the sets are."""
    said = (record.fields.get("text") for record in data.of("event", what="elements"))
    return [text for text in said if isinstance(text, str) and text]


def _injection(data: RunData) -> dict[str, Any]:
    channel = data.info.get("channel") or {}
    kept = (
        "lateness_us", "delay_error_us", "timer_us", "substrate_us", "hand_over_us", "cpu_share", "per_link",
        "epochs", "scheduling", "memory_locked", "latency_mode",
    )  # fmt: skip
    injection = {key: channel.get(key) for key in kept}
    counters = channel.get("counters") or {}
    for key in ("log_overflow", "late_tables", "unknown_peers"):
        injection[key] = counters.get(key, channel.get(key))
    return injection


def _samples(records: list[Record]) -> Array:
    taken = [r.samples for r in records if r.samples]
    return np.concatenate(taken).astype(np.float64) if taken else np.empty(0)


def _total(records: list[Record], name: str) -> float:
    return float(np.nansum(values(records, name))) if records else 0.0


def _mean(sample: Array) -> float | None:
    return float(np.nanmean(sample)) if np.isfinite(sample).any() else None


def _links(data: RunData) -> dict[str, Any]:
    observed, truth = data.by_tag("link", "link"), data.by_tag("plant_link", "link")
    counted = (data.info.get("channel") or {}).get("links") or {}
    links: dict[str, Any] = {}
    for name in sorted({*observed, *truth, *counted}):
        seen, real = observed.get(name, []), truth.get(name, [])
        window_s = _total(seen, "window_s")
        ended = _total(seen, "packets_out") + _total(seen, "lost")
        known = real[:1] or seen[:1]
        links[name] = {
            "kind": known[0].tags.get("kind", "") if known else "",
            **(counted.get(name) or {}),
            "windows": len(seen),
            "delay_ms": distribution(_samples(seen)),
            "throughput_mbps": _total(seen, "bytes_out") * 8e-6 / window_s if window_s else None,
            "busy_share": _total(seen, "busy_s") / window_s if window_s else None,
            "loss": _total(seen, "lost") / ended if ended else None,
            "snr_db": _mean(values(seen, "snr_db")),
            "true_delay_ms": _mean(values(real, "delay_ms")),
            "true_attenuation_db_max": _extreme(values(real, "attenuation_db")),
            "elevation_deg_max": _extreme(values(real, "elevation_deg")),
        }
    return links


def _extreme(sample: Array) -> float | None:
    return float(np.nanmax(sample)) if np.isfinite(sample).any() else None


def _nodes(data: RunData) -> dict[str, Any]:
    ports = data.info.get("ports") or {}
    offloads = data.by_tag("offload", "node")
    nodes: dict[str, Any] = {}
    for name, noted in (data.info.get("nodes") or {}).items():
        nodes[name] = {"port": ports.get(name), **noted}
        if name in offloads:
            done = values(offloads[name], "ok")
            nodes[name]["tasks"] = len(offloads[name])
            nodes[name]["tasks_failed"] = int((done == 0).sum())
            nodes[name]["task_latency_s"] = distribution(values(offloads[name], "latency_s"))
    return nodes


def _services(data: RunData) -> dict[str, Any]:
    services: dict[str, Any] = {}
    for name, tasks in data.by_tag("task", "node").items():
        served = values(tasks, "service_s")
        with np.errstate(divide="ignore", invalid="ignore"):
            rate_mhz = values(tasks, "cycles") / served / 1e6
        services[name] = {
            "tasks": len(tasks),
            "service_s": distribution(served),
            "queue_s": distribution(values(tasks, "queue_s")),
            "service_rate_mhz": distribution(rate_mhz),
        }
    return services


def _flows(data: RunData) -> dict[str, Any]:
    groups: dict[str, list[Record]] = {}
    for record in data.of("flow"):
        name = f"{record.tags.get('source', '')}>{record.tags.get('node', '')}"
        groups.setdefault(f"{name} {record.tags.get('flow', '')}".strip(), []).append(record)
    return {
        name: {
            "packets": int(_total(group, "packets")),
            "lost": int(_total(group, "lost")),
            "delay_ms": distribution(_samples(group)),
            "age_s": distribution(values(group, "age_s")),
        }
        for name, group in sorted(groups.items())
    }
