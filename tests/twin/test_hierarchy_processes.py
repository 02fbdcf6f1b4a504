"""Edges and a centre as processes, over real sockets: the centre is killed for a minute of the run's time."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq

from emulator.spec import ConstellationSpec, OverRegion, Place, RadioSpec, WorldSpec
from nodes import wire
from nodes.wire import Record
from testbed.twin import knowledge
from testbed.twin.edge import EdgeTwin, partition
from testbed.twin.hierarchy import ALLOWED, BOUND_SDS, HEARTBEAT_WINDOWS, Ask, Found, decode, encode
from testbed.twin.nominal import NominalNetwork
from testbed.twin.state import Entry

#: kernels may have to be compiled first, beside other work
PATIENCE_S = 180.0
WINDOW_S, WINDOW_NS, START_NS = 0.5, 500_000_000, 10**12
GRACE_NS = 200_000_000
#: windows before the centre is killed, without it (a minute), and after it was started again
BEFORE, AWAY, AFTER = 16, 120, HEARTBEAT_WINDOWS + 6
#: of the arithmetic of a difference
ROUNDING = 1e-6


def document() -> dict[str, object]:
    places = (
        Place("field", "ground", 47.0, 10.0, radio="ka", access="terminal"),
        Place("gateway", "ground", 48.0, 11.0, radio="ka", access="gateway"),
    )
    world = WorldSpec(
        "2025-06-01T12:00:00Z", 120.0, 0.1, places,
        ConstellationSpec(over_region=OverRegion(47.0, 10.0, 2000.0, 1000.0)), (RadioSpec("ka"),),
    )  # fmt: skip
    nodes = {"server": {"role": "edge", "place": "gateway", "service_rate_mhz": 3000.0}}
    return {"window_s": WINDOW_S, "duration_s": 120.0, "world": msgspec.to_builtins(world), "nodes": nodes}


class _Published:
    def fade_db(self, place: str, direction: str) -> float:
        return 0.0

    def bias_db(self, place: str, direction: str) -> float:
        return 0.0


class Plant:
    """Telemetry of the published network, a modem 0.6 dB better and 3 ms more of processing."""

    def __init__(self, world: WorldSpec) -> None:
        self._network = NominalNetwork(world, _Published())
        self._rng = np.random.default_rng(3)

    def window(self, number: int) -> list[Record]:
        ends_ns = START_NS + (number + 1) * WINDOW_NS
        records = []
        for link in self._network.at((number + 0.5) * WINDOW_S):
            delays = (link.delay_ms + 3.0 + self._rng.exponential(0.3, 5)).tolist()
            fields: dict[str, bool | int | float | str] = {
                "window_s": WINDOW_S, "packets_in": 5, "bytes_in": 2500, "packets_out": 5, "bytes_out": 2500,
                "lost": 0, "dropped_queue": 0, "dropped_down": 0, "busy_s": 0.01,
                "delay_mean_ms": float(np.mean(delays)),
            }  # fmt: skip
            if math.isfinite(link.snr_db):
                fields["snr_db"] = link.snr_db + 0.6 + float(self._rng.normal(0.0, 0.2))
            tags = {"link": link.id, "from": link.source, "to": link.sink, "kind": link.kind}
            records.append(Record(ends_ns, "link", tags, fields, delays))
        task: dict[str, bool | int | float | str] = {"cycles": 3e8, "service_s": 0.125}
        return [*records, Record(ends_ns - 10_000_000, "task", {"node": "server", "client": "x"}, task)]


class Room:
    """The processes of a run, and the supervisor's side of their control socket."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        (folder / "public.json").write_bytes(msgspec.json.encode(document()))
        context = zmq.Context()
        stack.callback(context.term)
        self._context = context
        self._control = context.socket(zmq.ROUTER)
        stack.callback(self._control.close, 0)
        self._endpoint = f"tcp://127.0.0.1:{self._control.bind_to_random_port('tcp://127.0.0.1')}"
        self.centre = f"ipc://{folder}/centre"
        self._predicted: dict[bytes, int] = {}
        self.byes: dict[bytes, dict[str, int]] = {}

    def start(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", module, "--public", "public.json", "--edges", "2", *options]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def start_edges(self) -> list[subprocess.Popen[bytes]]:
        processes = [
            self.start(
                "testbed.twin", "--connect", self._endpoint, "--id", name, "--centre", self.centre,
                "--clock", "told",
            )
            for name in ("edge-1", "edge-2")
        ]  # fmt: skip
        self.until(lambda: len(self._predicted) == 2)
        for name in self._predicted:
            self._send(name, wire.Start(START_NS, 120.0, "2025-06-01T12:00:00Z"))
        return processes

    def _send(self, name: bytes, message: wire.Message) -> None:
        self._control.send_multipart([name, wire.encode(message)])

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            if not self._control.poll(100):
                continue
            name, data = self._control.recv_multipart()
            match wire.decode(data):
                case wire.Register():
                    self._send(name, wire.Registered(9, "tcp://127.0.0.1:1", {}, {}))
                case wire.Ready():
                    self._predicted[name] = -1
                case wire.Telemetry(records):
                    windows = [
                        (r.t_ns - START_NS) // WINDOW_NS for r in records if r.measurement == "prediction"
                    ]
                    self._predicted[name] = max([self._predicted[name], *windows])
                case wire.Bye(counters):
                    self.byes[name] = counters

    def drive(self, windows: range, plant: Plant) -> None:
        """The windows in lock step: the next one begins when every edge has predicted it."""
        for number in windows:
            self.until(lambda number=number: min(self._predicted.values()) >= number)  # type: ignore[misc]
            ends_ns = START_NS + (number + 1) * WINDOW_NS
            records = plant.window(number)
            for name in self._predicted:
                self._send(name, wire.Telemetry(records))
                self._send(name, wire.Heartbeat(ends_ns + GRACE_NS))
        self.until(lambda: min(self._predicted.values()) >= windows.stop)

    def finish(self) -> None:
        for name in self._predicted:
            self._send(name, wire.Stop())
        self.until(lambda: len(self.byes) == 2)

    def ask(self) -> Found:
        """What the centre says when it is asked for everything."""
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        try:
            socket.connect(self.centre)
            socket.send(encode(Ask(1)))
            assert socket.poll(PATIENCE_S * 1000), (self.folder / "log").read_text()
            found = decode(socket.recv())
            assert isinstance(found, Found)
            return found
        finally:
            socket.close()


@pytest.fixture
def room() -> Iterator[Room]:
    """A room with a short name (paths of sockets are short); everything in it ends with the test."""
    with tempfile.TemporaryDirectory(prefix="twin") as folder, contextlib.ExitStack() as stack:
        yield Room(Path(folder), stack)


def uninterrupted(windows: int) -> dict[tuple[str, str], Entry]:
    """States of the same edges on the same telemetry, without processes, sockets, or anything lost."""
    known = knowledge.parse(document())
    twins = [EdgeTwin(known, scope) for scope in partition(known, 2).values()]
    plant = Plant(known.world)
    for twin in twins:
        twin.begin(START_NS)
        twin.predict(0)
    for number in range(windows):
        records = plant.window(number)
        for twin in twins:
            twin.take(records)
            twin.close(number, START_NS + (number + 1) * WINDOW_NS + GRACE_NS)
            last = {(e.target, e.name): e for e in twin.table.query()}
            twin.predict(number + 1)
            twin.last = last  # type: ignore[attr-defined]
    return {key: entry for twin in twins for key, entry in twin.last.items()}  # type: ignore[attr-defined]


def test_a_minute_without_the_centre_costs_nothing(room: Room) -> None:
    plant = Plant(knowledge.parse(document()).world)
    centre = room.start("testbed.twin.central", "--bind", room.centre)
    edges = room.start_edges()
    room.drive(range(BEFORE), plant)
    assert len(room.ask().edges) == 2
    centre.kill()
    centre.wait()
    room.drive(range(BEFORE, BEFORE + AWAY), plant)  # the edges' own loops go on
    room.start("testbed.twin.central", "--bind", room.centre)
    assert room.ask().edges == {}  # it is there, and knows nothing
    windows = BEFORE + AWAY
    deadline = time.monotonic() + PATIENCE_S
    while len(room.ask().edges) < 2:  # edges look for it in real time, and knock every few windows
        assert time.monotonic() < deadline, (room.folder / "log").read_text()
        room.drive(range(windows, windows + AFTER), plant)
        windows += AFTER
    room.drive(range(windows, windows + AFTER), plant)
    windows += AFTER
    room.finish()
    told = {name.decode(): counters["told_version"] for name, counters in room.byes.items()}
    answer = room.ask()
    while {name: version for name, (_, version) in answer.edges.items()} != told:  # words on their way
        assert time.monotonic() < deadline, (answer.edges, told)
        answer = room.ask()
    found = {(entry.target, entry.name): entry for entry in answer.states}
    expected = uninterrupted(windows)
    assert {key[0] for key in expected} >= {"server", "field", "gateway"}
    assert found.keys() == expected.keys()
    for key, entry in expected.items():
        sd = math.sqrt(max(min(entry.variance, found[key].variance), 0.0))
        bound = max(BOUND_SDS * sd, ALLOWED.get(key[1], 0.0))
        assert abs(found[key].mean - entry.mean) <= bound + ROUNDING * (1 + abs(entry.mean)), key
    for counters in room.byes.values():
        assert counters["centre_found_again"] >= 1
        assert counters["waiting"] <= len(expected)
    assert all(process.wait(PATIENCE_S) == 0 for process in edges)


@pytest.mark.parametrize(
    ("module", "options", "sentence"),
    [
        ("testbed.twin.central", ["--bind", "tcp://0.0.0.0:5555"], "--bind tcp://0.0.0.0:5555: allowed are"),
        ("testbed.twin.central", ["--bind", "ipc:///nowhere/at/all"], "cannot be bound"),
        (
            "testbed.twin",
            ["--connect", "tcp://127.0.0.1:9", "--id", "edge-9", "--centre", "ipc://x"],
            "--id edge-9: no edge of that name, allowed are edge-1, edge-2",
        ),
        (
            "testbed.twin",
            ["--connect", "tcp://127.0.0.1:9", "--id", "edge-1", "--centre", "tcp://10.0.0.1:5"],
            "--centre tcp://10.0.0.1:5: allowed are ipc://PATH and tcp://127.0.0.1:PORT",
        ),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, module: str, options: list[str], sentence: str) -> None:
    (tmp_path / "public.json").write_bytes(msgspec.json.encode(document()))
    command = [sys.executable, "-m", module, "--public", "public.json", "--edges", "2", *options]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
