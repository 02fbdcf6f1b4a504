"""The books of a run: run.json, from the first second on, so that even a killed run can be read."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from typing import Any

import msgspec

from testbed.supervisor.processes import how_it_ended
from testbed.supervisor.stage import CHANNEL, TWIN, Stage
from testbed.twin.edge import MEMBER


def write_run(stage: Stage) -> None:
    """Write run.json as things stand."""
    for name, info in stage.nodes.items():
        member = stage.control.members.get(name)
        if member is not None:
            info["sent"], info["received"] = member.totals()
            info["counted"] = member.counted
            info["counters"] = member.counters
    info = {
        "id": stage.folder.id,
        "scenario": stage.scenario.name,
        "source": stage.scenario.source,
        "seed": stage.scenario.run.seed,
        "versions": _versions(),
        "host": {"machine": platform.machine(), "system": platform.platform()},
        "t0_ns": stage.start.t0_ns if stage.start is not None else None,
        "epoch_offset_ns": stage.epoch_offset_ns,
        "start_utc": stage.scenario.run.start_utc,
        "planned_duration_s": stage.scenario.run.duration_s,
        "duration_s": max(0.0, stage.run_s) if stage.start is not None else 0.0,
        "status": stage.status,
        "problem": stage.problem,
        "ports": stage.ports.of | {n: i["port"] for n, i in stage.nodes.items() if "port" in i},
        "nodes": stage.nodes,
        "twin_enabled": stage.scenario.twin.enabled,
        "twin_status": _fate_of(stage, TWIN),
        "twin_restarts": stage.twin_restarts,
        "edges": {name.removeprefix(MEMBER): _edge(stage, name) for name in stage.edges},
        "channel_status": _fate_of(stage, CHANNEL),
        "control": {"malformed": stage.control.malformed, "undelivered": stage.control.undelivered},
        "telemetry": stage.telemetry,
    }
    channel = _channel_summary(stage)
    if channel:
        info["places"] = channel.pop("places")
        first_ns = channel.get("first_packet_ns")
        info["channel"] = channel
        info["first_packet_s"] = first_ns / 1e9 - stage.began_s if first_ns else None
    try:
        stage.folder.write_run(info)
    except OSError as error:
        stage.monitor.say(f"run.json could not be written: {error.strerror}")


def _edge(stage: Stage, name: str) -> dict[str, Any]:
    """An edge twin: what it answers for, what became of it, and its counters."""
    member = stage.control.members.get(name)
    return {
        "places": sorted(stage.edges[name].places),
        "status": _fate_of(stage, name),
        "restarts": stage.restarts[name],
        "counters": {} if member is None else member.counters,
    }


def _fate_of(stage: Stage, name: str) -> str:
    member, child = stage.control.members.get(name), stage.children.get(name)
    if member is not None and member.state == "bye":
        return "finished"
    if child is None:
        return "not started"
    status = child.exit_status
    return "running" if status is None else how_it_ended(status)


def _channel_summary(stage: Stage) -> dict[str, Any]:
    try:
        summary: dict[str, Any] = msgspec.json.decode((stage.folder.path / "channel.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return summary


def _versions() -> dict[str, str]:
    packages = ("istn-testbed", "numpy", "numba", "pyzmq", "sgp4")
    return {"python": sys.version.split()[0]} | {package: version(package) for package in packages}
