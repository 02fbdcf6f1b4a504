"""Bridge and board as real processes, against the stand-in for supervisor and channel."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from nodes import wire

Stand = Any  # tests/nodes/conftest.py
Rung = Any  # tests/firmware_bridge/conftest.py


def bridge_command(endpoint: str, url: str) -> list[str]:
    command = [sys.executable, "-m", "firmware_bridge", "bridge", "--id", "mcu-1", "--with-parent"]
    return [*command, "--port", url, "--connect", endpoint]


class Sink:
    """The node that readings go to: a bare socket at the stand's data plane."""

    def __init__(self, stand: Stand) -> None:
        self.port = stand.add("gateway-1")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.set(zmq.ROUTING_ID, wire.routing_id(self.port))
        self._socket.connect(stand.data_endpoint)
        self.send(wire.HELLO, wire.CHANNEL_PORT, b"")
        assert self.receive()[0].kind == wire.HELLO

    def send(self, kind: int, dst: int, payload: bytes) -> None:
        self._socket.send(wire.pack(wire.Header(kind, self.port, dst), payload))

    def receive(self) -> tuple[wire.Header, bytes]:
        if not self._socket.poll(15_000):
            pytest.fail("nothing came")
        return wire.unpack(self._socket.recv())

    def close(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture
def sink(stand: Stand) -> Iterator[Sink]:
    sink = Sink(stand)
    yield sink
    sink.close()


def start_bridge(stand: Stand, rung: Rung, **config: object) -> subprocess.Popen[str]:
    stand.add("mcu-1", **config)
    process: subprocess.Popen[str] = subprocess.Popen(
        bridge_command(stand.endpoint, rung.url), stderr=subprocess.PIPE, text=True
    )
    stand.processes.append(process)
    stand.begin("mcu-1")
    return process


def happened(stand: Stand, what: str) -> list[str]:
    return [record.fields["text"] for record in stand.of("event", node="mcu-1", what=what)]


def test_readings_reach_the_sink_as_packets_stamped_by_the_device(
    stand: Stand, sink: Sink, pty_rung: Rung
) -> None:
    pty_rung.plug("--interval-s", "0", "--clock-offset-us", "5000000000", "--clock-drift-ppm", "50")
    bridge = start_bridge(stand, pty_rung, sink="gateway-1", reading_interval_s=0.02, reading_bytes=64)
    started_ns = time.monotonic_ns()
    packets = [sink.receive() for _ in range(30)]
    ended_ns = time.monotonic_ns()
    headers = [header for header, _ in packets]
    assert {len(payload) for _, payload in packets} <= {16, 64}  # 16: before the size was set
    assert len(packets[-1][1]) == 64
    assert [header.tag for header in headers] == list(range(1, 31))
    assert all(header.flags & wire.FLAG_HOST_CLOCK for header in headers)
    stamps = [header.sent_ns for header in headers]
    assert started_ns <= min(stamps) <= max(stamps) <= ended_ns
    stand.stop()
    assert bridge.wait(10) == 0
    counters = stand.byes["mcu-1"]
    assert counters["damaged"] == counters["lost_up"] == 0
    assert counters["readings"] >= counters["sent"] >= 30
    assert stand.registered["mcu-1"].role == "microcontroller"
    (record, *_) = reversed(stand.of("node", node="mcu-1", role="microcontroller"))
    assert record.fields["clock_bound_us"] > 0
    assert record.fields["frames_up"] > 30


def test_packets_for_the_node_go_down_to_the_device(stand: Stand, sink: Sink, pty_rung: Rung) -> None:
    pty_rung.plug()
    start_bridge(stand, pty_rung)
    stand.until(lambda: happened(stand, "device_booted"), "the boot")
    for _ in range(5):
        sink.send(wire.DATA, stand.ports["mcu-1"], b"to the device")
    stand.until(lambda: stand.delivered[stand.ports["mcu-1"]] >= 5, "delivery")
    stand.order("mcu-1", wire.Command(1, "report_status", {}, "test"))
    stand.until(
        lambda: [r for r in stand.of("node", node="mcu-1") if r.fields.get("device_data_in") == 5],
        "the device's own count",
    )
    stand.stop()
    assert stand.byes["mcu-1"]["received"] == 5
    assert stand.byes["mcu-1"]["dropped_down"] == 0


def test_a_command_goes_through_to_the_device(stand: Stand, sink: Sink, pty_rung: Rung) -> None:
    pty_rung.plug("--interval-s", "0")
    start_bridge(stand, pty_rung, sink="gateway-1")
    stand.until(lambda: happened(stand, "device_booted"), "the boot")
    stand.order("mcu-1", wire.Command(1, "set_interval", {"seconds": 0.02}, "test"))
    stand.order("mcu-1", wire.Command(2, "set_interval", {"minutes": 1}, "test"))
    stand.order("mcu-1", wire.Command(3, "explode", {}, "test"))
    stand.until(lambda: len(stand.results) == 3, "three answers")
    assert [stand.results[number].done for number in (1, 2, 3)] == [True, False, False]
    assert "takes a number 'seconds'" in stand.results[2].text
    assert "a device knows set_interval" in stand.results[3].text
    assert sink.receive()[0].kind == wire.DATA
    stand.until(lambda: happened(stand, "command_done") == ["set_interval 20: done"], "its end")


def test_a_device_may_vanish_and_return_while_the_node_lives_on(
    stand: Stand, sink: Sink, pty_rung: Rung
) -> None:
    pty_rung.plug()
    bridge = start_bridge(stand, pty_rung, sink="gateway-1", reading_interval_s=0.02)
    sink.receive()
    pty_rung.unplug()
    stand.until(lambda: happened(stand, "device_gone"), "the loss of the device")
    assert "is gone" in happened(stand, "device_gone")[0]
    beats = len(stand.heartbeats["mcu-1"])
    stand.until(lambda: len(stand.heartbeats["mcu-1"]) > beats + 2, "the node to live on")
    pty_rung.plug("--interval-s", "0")  # only what the bridge orders again makes it send
    stand.until(lambda: len(happened(stand, "device_booted")) == 2, "the second boot")
    packets = stand.entered[stand.ports["mcu-1"]]
    stand.until(lambda: stand.entered[stand.ports["mcu-1"]] > packets + 5, "readings again")
    stand.stop()
    assert bridge.wait(10) == 0
    assert stand.byes["mcu-1"]["boots"] == 2
    assert stand.byes["mcu-1"]["port_losses"] == 1


def test_a_device_that_is_absent_is_waited_for(stand: Stand, sink: Sink, pty_rung: Rung) -> None:
    start_bridge(stand, pty_rung, sink="gateway-1", reading_interval_s=0.05)
    stand.until(lambda: happened(stand, "port_unavailable"), "the report of a missing port")
    assert "does not exist" in happened(stand, "port_unavailable")[0]
    pty_rung.plug()
    sink.receive()


def test_after_quiesce_nothing_new_enters_the_network(stand: Stand, sink: Sink, pty_rung: Rung) -> None:
    pty_rung.plug("--interval-s", "0.01")  # would go on by itself
    start_bridge(stand, pty_rung, sink="gateway-1")
    sink.receive()
    stand.everyone(wire.Quiesce())
    beats = len(stand.heartbeats["mcu-1"])
    stand.until(lambda: len(stand.heartbeats["mcu-1"]) > beats + 1, "the order to arrive")
    entered = stand.entered[stand.ports["mcu-1"]]
    stand.until(lambda: len(stand.heartbeats["mcu-1"]) > beats + 4, "time to pass")
    stand.stop()
    assert stand.entered[stand.ports["mcu-1"]] == entered
    assert stand.byes["mcu-1"]["readings_outside_run"] > 0


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["bridge", "--id", "a", "--port", "COM3", "--connect", "tcp://127.0.0.1:1"], 2, "neither a path"),
        (["bridge", "--id", "a", "--port", "/dev/x", "--connect", "here"], 2, "must be an endpoint"),
        (
            ["bridge", "--id", "a", "--port", "/dev/x", "--connect", "tcp://127.0.0.1:1", "--baud", "1"],
            2,
            "baud is 1",
        ),
        (
            ["bridge", "--id", "a", "--port", "/dev/x", "--connect", "tcp://127.0.0.1:1", "--wait", "0.1"],
            3,
            "nobody answered at tcp://127.0.0.1:1: is the testbed running?",
        ),
        (["model", "--reading-bytes", "900"], 2, "reading_bytes is 900, allowed is 1 to 229"),
        (["model", "--baud", "5"], 2, "--baud 5: allowed is"),
        (["model", "--interval-s", "-1"], 2, "--interval-s -1.0: allowed is 0 to 86400"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], status: int, text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "firmware_bridge", *arguments],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == status
    assert text in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a parent's death is told by Linux only")
def test_a_board_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    link = tmp_path / "board"
    board = [sys.executable, "-m", "firmware_bridge", "model", "--with-parent", "--link", str(link)]
    code = f"import subprocess; subprocess.Popen({board!r}).wait()"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline().startswith("/dev/")
    parent.kill()
    # The pipe ends when nobody holds it any more: neither the parent nor the board.
    assert parent.communicate(timeout=15)[0] == ""
    assert not link.is_symlink()


def test_a_link_never_replaces_a_file(tmp_path: Any) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    done = subprocess.run(
        [sys.executable, "-m", "firmware_bridge", "model", "--link", str(file)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "exists and is not a symbolic link" in done.stderr
    assert file.read_text() == "mine"


def test_the_package_is_light() -> None:
    heavy = "numpy numba scipy skyfield pydantic typer"
    code = (
        "import sys, firmware_bridge.__main__, firmware_bridge.bridge, firmware_bridge.boards.pty_model;"
        f"print([m for m in '{heavy}'.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
