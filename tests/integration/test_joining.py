"""Programs that join a run from outside: a user's own, a node started by hand, and those not let in."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nodes import Client
from nodes.agent import RefusedError
from tests.integration import harness


def free_endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def test_a_users_own_program_a_node_by_hand_and_strangers(tmp_path: Path) -> None:
    endpoint = free_endpoint()
    started = harness.start(
        tmp_path,
        *("laptop", "--duration", "10", "--set", f"network.control_endpoint={endpoint}"),
        *("--set", "deviations=[]", "--set", "nodes.sensor-by-hand.role=sensor"),
        *("--set", "nodes.sensor-by-hand.place=board", "--set", "nodes.sensor-by-hand.sink=gateway-1"),
        *("--set", "nodes.sensor-by-hand.external=true"),
    )
    started.until(lambda: any(tmp_path.glob("*/logs/sensor-1.log")), "the first node")
    by_hand = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "testbed",
            "node",
            "--id",
            "sensor-by-hand",
            "--role",
            "sensor",
            "--connect",
            endpoint,
        ]
    )
    started.until_recorded("link")
    with Client(endpoint, id="my-app", place="board") as net:
        net.send("gateway-1", b"hello")
        # Board to satellite to gateway and back: at 1000 km more than 4 x 3.3 ms of propagation.
        rtt_s = net.ping("gateway-1", timeout_s=5.0)
        assert rtt_s is not None
        assert rtt_s > 0.0133
        net.report("temperature", {"value": 21.5})
        with pytest.raises(RefusedError, match="running already"):
            Client(endpoint, id="sensor-2").__enter__()
        with pytest.raises(RefusedError, match="a guest names one of the places"):
            Client(endpoint, id="other", place="nowhere").__enter__()
    ended = started.finish()
    assert by_hand.wait(10) == 0
    info = ended.run.run_info()
    assert info["nodes"]["my-app"]["place"] == "board"
    assert info["nodes"]["my-app"]["status"] == "finished"
    assert info["nodes"]["my-app"]["sent"] >= 2
    assert info["nodes"]["sensor-by-hand"]["status"] == "finished"
    assert ended.report["conservation"]["balanced"] is True
    assert [record.fields["value"] for record in ended.records("temperature")] == [21.5]


def test_a_server_restarted_in_the_middle_of_its_slowness_is_slow_again(tmp_path: Path) -> None:
    endpoint = free_endpoint()
    slow = '[{kind="slow_server", target="edge-sat", at=0.05, for=0.95, factor=0.5}]'
    started = harness.start(
        tmp_path,
        *("laptop", "--duration", "14", "--set", f"network.control_endpoint={endpoint}"),
        *("--set", f"deviations={slow}", "--set", "twin.enabled=false"),
    )
    started.until_recorded("plant_event")
    os.kill(started.pid_of("nodes", "edge-sat"), signal.SIGKILL)
    started.until_event("edge-sat was killed")
    by_hand = subprocess.Popen(
        [sys.executable, "-m", "nodes", "--id", "edge-sat", "--role", "edge", "--connect", endpoint]
    )
    ended = started.finish()
    assert by_hand.wait(10) == 0
    again_ns = max(
        record.t_ns for record in ended.records("event") if "set_speed" in str(record.fields["text"])
    )
    rates = [
        float(record.fields["cycles"]) / float(record.fields["service_s"])
        for record in ended.records("task")
        if record.tags["node"] == "edge-sat" and record.t_ns > again_ns
    ]
    assert rates
    assert all(rate < 0.6 * 3e9 for rate in rates)
    assert ended.run.run_info()["nodes"]["edge-sat"]["status"] == "finished"
    assert ended.report["conservation"]["balanced"] is True
