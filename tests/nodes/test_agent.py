"""Real node processes over real sockets: the life cycle, and what can go wrong in it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zmq

from nodes import wire
from nodes.agent import on_this_host

Stand = Any  # tests/nodes/conftest.py


def run_node(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nodes", *arguments], capture_output=True, text=True, timeout=30, check=False
    )


def test_sensor_and_gateway_live_a_whole_life(stand: Stand) -> None:
    gateway = stand.node("gateway-1", "gateway")
    sensor = stand.node("sensor-1", "sensor", sink="gateway-1", reading_interval_s=0.02, reading_bytes=100)
    stand.begin("gateway-1", "sensor-1")
    stand.until(lambda: stand.of("flow", node="gateway-1", source="sensor-1"), "a flow record")
    stand.stop("sensor-1")
    assert gateway.wait(10) == 0
    assert sensor.wait(10) == 0
    counters = stand.byes["gateway-1"]
    assert counters["received"] == stand.delivered[stand.ports["gateway-1"]] > 10
    assert (
        counters["readings"] == stand.byes["sensor-1"]["readings"] == stand.entered[stand.ports["sensor-1"]]
    )
    flow = stand.of("flow", node="gateway-1", source="sensor-1", flow="data")[0]
    assert flow.fields["lost"] == 0
    assert 0 < flow.fields["delay_mean_ms"] < 1000
    assert 0 < len(flow.samples) <= 50
    assert flow.fields["bytes"] == flow.fields["packets"] * (100 + wire.HEADER_BYTES)


def test_losses_are_counted_per_flow_and_nowhere_else(stand: Stand) -> None:
    stand.drop = lambda header: header.kind == wire.DATA and header.tag % 4 == 2
    stand.node("gateway-1", "gateway")
    stand.node("sensor-1", "sensor", sink="gateway-1", reading_interval_s=0.02)
    # The sensor's answers to it take numbers that the gateway never sees.
    stand.node("probe-1", "probe", target="sensor-1", ping_interval_s=0.05)
    stand.begin("gateway-1", "sensor-1", "probe-1")
    stand.until(lambda: stand.of("flow", node="gateway-1"), "a flow record")
    stand.stop("sensor-1")
    lost = sum(r.fields["lost"] for r in stand.of("flow", node="gateway-1"))
    received = stand.byes["gateway-1"]["readings"]
    sent = stand.byes["sensor-1"]["readings"]
    # The tail after the last one received leaves no gap.
    assert sent - received - 1 <= lost <= sent - received
    assert lost > 0


def test_nothing_is_sent_before_the_start(stand: Stand) -> None:
    stand.node("gateway-1", "gateway")
    stand.node("sensor-1", "sensor", sink="gateway-1", reading_interval_s=0.01)
    stand.until(lambda: len(stand.ready) == 2, "both ready")
    stand.until(lambda: len(stand.heartbeats["sensor-1"]) >= 2, "heartbeats")
    assert not stand.entered
    t0_ns = stand.begin("gateway-1", "sensor-1", in_ns=200_000_000)
    stand.until(lambda: stand.entered, "a reading")
    assert time.monotonic_ns() >= t0_ns


def test_quiesce_ends_new_traffic_but_pings_are_answered(stand: Stand) -> None:
    stand.node("gateway-1", "gateway")
    stand.node("sensor-1", "sensor", sink="gateway-1", reading_interval_s=0.01)
    stand.node("probe-1", "probe", target="sensor-1", ping_interval_s=0.02)
    stand.begin("gateway-1", "sensor-1", "probe-1")
    stand.until(lambda: stand.of("ping", node="probe-1"), "pings")
    stand.order("sensor-1", wire.Quiesce())
    stand.order("sensor-1", wire.Command(1, "marker", {}, "test"))
    stand.until(lambda: 1 in stand.results, "the order's answer, behind Quiesce")
    assert not stand.results[1].done
    port = stand.ports["gateway-1"]
    before, pings = stand.delivered[port], len(stand.of("ping", node="probe-1"))
    stand.until(lambda: len(stand.of("ping", node="probe-1")) >= pings + 2, "a second more of pings")
    assert stand.delivered[port] <= before + 1
    assert stand.of("ping", node="probe-1")[-1].fields["answered"] > 0


def test_a_signal_ends_a_node_with_its_last_word(stand: Stand) -> None:
    for number, (id, name) in enumerate((("a", "SIGTERM"), ("b", "SIGINT")), start=1):
        process = stand.node(id, "gateway")
        stand.until(lambda number=number: len(stand.ready) == number, "ready")
        process.send_signal(getattr(signal, name))
        assert process.wait(10) == 0
        stand.until(lambda id=id: id in stand.byes, "Bye")


def test_a_silent_supervisor_ends_a_node_with_status_3(stand: Stand) -> None:
    stand.add("gateway-1")
    code = (
        "import sys; from nodes import agent; agent.SILENCE_S = 0.6; from nodes.__main__ import main;"
        f"sys.exit(main(['--id', 'gateway-1', '--role', 'gateway', '--connect', '{stand.endpoint}']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    stand.processes.append(process)
    stand.begin("gateway-1")
    stand.answer_heartbeats = False
    assert process.wait(10) == 3
    assert process.stderr is not None
    assert "nothing was heard" in process.stderr.read()


def test_a_node_outlives_its_channel_and_finds_the_next(stand: Stand) -> None:
    stand.node("gateway-1", "gateway")
    stand.node("sensor-1", "sensor", sink="gateway-1", reading_interval_s=0.02)
    stand.begin("gateway-1", "sensor-1")
    port = stand.ports["gateway-1"]
    stand.until(lambda: stand.delivered[port] > 5, "readings")
    stand.restart_channel()
    before = stand.delivered[port]
    stand.until(lambda: stand.delivered[port] > before + 5, "readings through the new channel")
    stand.stop("sensor-1")
    assert stand.byes["gateway-1"]["readings"] > 10


def test_a_node_may_come_before_its_supervisor(stand: Stand) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as held:
        endpoint = f"tcp://127.0.0.1:{held.bind_to_random_port('tcp://127.0.0.1')}"
        held.unbind(endpoint)
    process = subprocess.Popen(
        [sys.executable, "-m", "nodes", "--id", "gateway-1", "--role", "gateway", "--connect", endpoint]
    )
    stand.processes.append(process)
    # Another node's whole entry is long enough for the first to have tried.
    stand.node("gateway-2", "gateway")
    stand.begin("gateway-2")
    late = type(stand)(endpoint)
    try:
        late.begin("gateway-1")
        late.stop()
        assert process.wait(10) == 0
    finally:
        late.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for a process in /proc")
def test_a_killed_edge_server_leaves_no_process_behind(stand: Stand) -> None:
    edge = stand.node("edge-1", "edge")
    sensor = {"reading_interval_s": 0, "task_interval_s": 0.05, "task_kbytes": 20, "servers": ["edge-1"]}
    stand.node("sensor-1", "sensor", **sensor)
    stand.begin("edge-1", "sensor-1")
    stand.until(lambda: stand.of("task", node="edge-1"), "a task")
    (burner,) = children(edge.pid)
    descriptor = os.pidfd_open(burner)
    edge.kill()
    ended, _, _ = select.select([descriptor], [], [], 10.0)
    os.close(descriptor)
    assert ended
    assert edge.wait(10) == -signal.SIGKILL


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            number, rest = path.read_text().split(" ", 1)
            if int(rest.rpartition(")")[2].split()[1]) == pid:
                found.append(int(number))
    return found


def test_an_edge_server_computes_for_real(stand: Stand) -> None:
    stand.node("edge-1", "edge", service_rate_mhz=3000, cpu_share=0.3)
    sensor = {"task_interval_s": 0.1, "task_megacycles": [90, 90], "task_kbytes": 20, "servers": ["edge-1"]}
    stand.node("sensor-1", "sensor", reading_interval_s=0, **sensor)
    stand.begin("edge-1", "sensor-1")
    stand.until(lambda: len(stand.of("offload", node="sensor-1")) >= 5, "answers")
    stand.order("edge-1", wire.Command(7, "set_speed", {"factor": 0.5}, "test"))
    stand.until(lambda: 7 in stand.results, "the command's result")
    told = len(stand.of("task", node="edge-1"))
    stand.until(lambda: len(stand.of("task", node="edge-1")) >= told + 8, "slower tasks")
    stand.stop("sensor-1")
    assert (stand.results[7].done, stand.results[7].text) == (True, "speed factor 1 -> 0.5")
    assert all(r.fields["ok"] for r in stand.of("offload", node="sensor-1"))
    times = [float(r.fields["service_s"]) for r in stand.of("task", node="edge-1")]
    assert min(times) >= 0.03
    assert min(times[-3:]) >= 0.06
    node = stand.of("node", node="edge-1")[-1]
    assert node.fields["compute_cpu_s"] > 0
    assert node.fields["compute_scheduling"] in ("idle", "nice", "normal")


def test_nobody_there_is_status_3() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as held:
        # A port that is taken by nobody: bound, then given back.
        port = held.bind_to_random_port("tcp://127.0.0.1")
        held.unbind(f"tcp://127.0.0.1:{port}")
        result = run_node(
            "--id", "a", "--role", "gateway", "--connect", f"tcp://127.0.0.1:{port}", "--wait", "0.3"
        )
    assert result.returncode == 3
    assert result.stderr == f"nodes: nobody answered at tcp://127.0.0.1:{port}: is the testbed running?\n"


def test_bad_arguments_are_status_2_and_one_sentence() -> None:
    cases = {
        ("--role", "sensro", "--connect", "tcp://127.0.0.1:1"): "the roles are sensor, edge, gateway",
        ("--role", "sensor", "--connect", "127.0.0.1:1"): "must be an endpoint such as tcp://",
        ("--role", "sensor", "--connect", "tcp://127.0.0.1:99999"): "must be an endpoint such as tcp://",
        ("--role", "sensor", "--connect", "tcp://127.0.0.1:1", "--wait", "-1"): "--wait -1.0 must be",
    }
    for arguments, text in cases.items():
        result = run_node("--id", "a", *arguments)
        assert result.returncode == 2, arguments
        assert text in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_bad_configuration_is_status_2(stand: Stand) -> None:
    process = stand.node("sensor-1", "sensor", sink="gatewya", reading_interval_s=1.0)
    assert process.wait(10) == 2
    assert process.stderr is not None
    assert process.stderr.read() == "nodes: sensor-1: sink 'gatewya' is not in this run (known: sensor-1)\n"


def test_a_refused_node_tells_the_reason(stand: Stand) -> None:
    stand.refuse["x"] = "no place of that name"
    process = stand.node("x", "gateway")
    assert process.wait(10) == 2
    assert process.stderr is not None
    assert "x was refused: no place of that name" in process.stderr.read()


def test_endpoints_of_this_host_share_its_clock() -> None:
    assert on_this_host("tcp://127.0.0.1:5555")
    assert on_this_host("tcp://localhost:5555")
    assert on_this_host("tcp://[::1]:5555")
    assert on_this_host("ipc:///tmp/socket")
    assert not on_this_host("tcp://192.168.1.7:5555")
