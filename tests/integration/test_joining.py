"""Programs that join a run from outside: a user's own, a node started by hand, and those not let in."""

from __future__ import annotations

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
    assert info["nodes"]["my-app"]["sent"] >= 2
    assert info["nodes"]["sensor-by-hand"]["status"] == "finished"
    assert ended.report["conservation"]["balanced"] is True
    assert [record.fields["value"] for record in ended.records("temperature")] == [21.5]
