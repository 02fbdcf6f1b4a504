"""The twin as a process against a small supervisor: life cycle, isolation, and dependence on input alone."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from emulator.spec import ConstellationSpec, OverRegion, Place, RadioSpec, WorldSpec
from nodes import wire
from nodes.wire import Record
from testbed.scenario import load

WINDOW_S = 0.25
PATIENCE_S = 30.0


def public_document() -> dict[str, object]:
    places = (
        Place("field", "ground", 47.0, 10.0, radio="ka", access="terminal"),
        Place("gateway", "ground", 48.0, 11.0, radio="ka", access="gateway"),
        Place("on-board", "satellite", satellite="sat-1"),
    )
    world = WorldSpec(
        "2025-06-01T12:00:00Z", 20.0, 0.1, places,
        ConstellationSpec(over_region=OverRegion(47.0, 10.0, 2000.0, 1000.0)), (RadioSpec("ka"),),
    )  # fmt: skip
    nodes = {"edge": {"role": "edge", "place": "on-board", "service_rate_mhz": 3000.0}}
    return {
        "window_s": WINDOW_S, "duration_s": 20.0, "world": msgspec.to_builtins(world), "nodes": nodes,
        "twin": {"act": "off"},
    }  # fmt: skip


class Supervisor:
    """The supervisor's side of the control socket, and the twin's process."""

    def __init__(self, room: Path, socket: zmq.Socket[bytes], endpoint: str, public: Path) -> None:
        self._socket = socket
        command = [sys.executable, "-m", "testbed.twin", "--connect", endpoint, "--public", public.name]
        with (room / "log").open("wb") as log:
            self.process = subprocess.Popen(command, cwd=room, stdout=log, stderr=log)
        self._identity = b""
        #: what the twin handed over to be kept
        self.kept: list[wire.Snapshot] = []
        self.records: list[Record] = []
        self.t0_ns = 0

    def receive(self) -> wire.Message:
        deadline = time.monotonic() + PATIENCE_S
        while not self._socket.poll(100):
            assert self.process.poll() is None, "the twin ended"
            assert time.monotonic() < deadline, "the twin says nothing"
        self._identity, data = self._socket.recv_multipart()
        message = wire.decode(data)
        if isinstance(message, wire.Heartbeat):
            self.send(wire.Heartbeat(time.monotonic_ns()))
        elif isinstance(message, wire.Telemetry):
            self.records += message.records
        elif isinstance(message, wire.Snapshot):
            self.kept.append(message)
        return message

    def send(self, message: wire.Message) -> None:
        self._socket.send_multipart([self._identity, wire.encode(message)])

    def expect(self, kind: type[wire.Message]) -> wire.Message:
        while not isinstance(message := self.receive(), kind):
            pass
        return message

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.receive()

    def begin(self, t0_ns: int = 0, kept: bytes = b"") -> None:
        """Starts the run; or lets the twin join one that began at `t0_ns`, with what an earlier one knew."""
        self.expect(wire.Register)
        self.send(wire.Registered(9, "tcp://127.0.0.1:1", {}, {}))
        self.expect(wire.Ready)
        self.t0_ns = t0_ns or time.monotonic_ns() + 200_000_000
        if kept:
            self.send(wire.Snapshot(0, kept))
        self.send(wire.Start(self.t0_ns, 20.0, "2025-06-01T12:00:00Z"))

    def feed(self, windows: int, records_of: Callable[[int, int], list[Record]], first: int = 0) -> None:
        """Sends the observations of each window after the twin has predicted the next one's beginning."""
        window_ns = round(WINDOW_S * 1e9)
        for number in range(first, windows):
            ends = self.t0_ns + (number + 1) * window_ns
            self.until(lambda number=number: self.predicted(number))  # type: ignore[misc]
            while time.monotonic_ns() < ends:
                if self._socket.poll(5):
                    self.receive()
            self.send(wire.Telemetry(records_of(number, ends)))
        self.until(lambda: self.predicted(windows))

    def predicted(self, number: int) -> bool:
        t_ns = self.t0_ns + number * round(WINDOW_S * 1e9)
        return any(r.measurement == "prediction" and r.t_ns == t_ns for r in self.records[-400:])

    def finish(self) -> wire.Bye:
        self.send(wire.Quiesce())
        self.send(wire.Stop())
        bye = self.expect(wire.Bye)
        assert isinstance(bye, wire.Bye)
        assert self.process.wait(PATIENCE_S) == 0
        return bye


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Supervisor]]:
    """Starts a twin in an empty folder of its own; ends it afterwards, whatever happened."""
    context = zmq.Context()
    with contextlib.ExitStack() as stack:

        def make(name: str = "room", document: dict[str, object] | None = None) -> Supervisor:
            room = tmp_path / name
            room.mkdir()
            (room / "public.json").write_bytes(msgspec.json.encode(document or public_document()))
            socket = context.socket(zmq.ROUTER)
            stack.callback(socket.close, 0)
            port = socket.bind_to_random_port("tcp://127.0.0.1")
            supervisor = Supervisor(room, socket, f"tcp://127.0.0.1:{port}", room / "public.json")
            stack.callback(supervisor.process.wait)
            stack.callback(supervisor.process.kill)
            return supervisor

        yield make
    context.term()


def observations(number: int, ends_ns: int) -> list[Record]:
    """The same for every run: two links at the gateway, and one task a window."""
    records = []
    for link in ("gateway>sat-1", "sat-1>gateway"):
        source, _, sink = link.partition(">")
        fields: dict[str, bool | int | float | str] = {
            "window_s": WINDOW_S, "packets_in": 4, "bytes_in": 2000, "packets_out": 4, "bytes_out": 2000,
            "lost": 0, "dropped_queue": 0, "dropped_down": 0, "busy_s": 0.01,
            "snr_db": 14.0 + number % 3 * 0.2, "delay_mean_ms": 9.0 + number % 2 * 0.1,
        }  # fmt: skip
        tags = {"link": link, "from": source, "to": sink, "kind": "feeder"}
        records.append(Record(ends_ns, "link", tags, fields, [8.9, 9.0, 9.1, 9.2]))
    task: dict[str, bool | int | float | str] = {"cycles": 3e8, "service_s": 0.105, "queue_s": 0.0}
    records.append(Record(ends_ns - 10_000_000, "task", {"node": "edge", "client": "field"}, task))
    return records


def outputs(supervisor: Supervisor) -> list[tuple[object, ...]]:
    """What was said about each window, with times relative to the start."""
    rows = []
    for record in supervisor.records:
        if record.measurement in ("prediction", "residual"):
            at = record.t_ns - supervisor.t0_ns
            rows.append((at, record.measurement, record.tags, record.fields, record.samples))
    return rows


def test_life_cycle_and_order_on_the_wire(start: Callable[..., Supervisor]) -> None:
    twin = start()
    twin.begin()
    twin.feed(6, observations)
    counters = twin.finish().counters
    assert counters.get("late", 0) == 0
    kinds = {record.measurement for record in twin.records}
    assert kinds - {"outlook"} == {"prediction", "residual", "belief", "sync"}
    made = set()
    for record in twin.records:
        key = (record.tags.get("target"), record.tags.get("quantity"), record.t_ns)
        if record.measurement == "prediction":
            made.add(key)
        elif record.measurement == "residual":
            assert key in made


def test_what_it_says_depends_on_what_it_is_sent_and_nothing_else(start: Callable[..., Supervisor]) -> None:
    """Two runs with the same observations say the same, though one is also sent the plant's truth."""
    said = []
    for name in ("first", "second"):
        twin = start(name)
        twin.begin()

        def records_of(number: int, ends: int, name: str = name) -> list[Record]:
            truth = Record(
                ends, "plant_link", {"link": "gateway>sat-1"}, {"attenuation_db": 9.0, "snr_db": 5.0}
            )
            return observations(number, ends) + ([truth] if name == "second" else [])

        twin.feed(5, records_of)
        counters = twin.finish().counters
        assert counters.get("refused", 0) == (5 if name == "second" else 0)
        limit = 5 * round(WINDOW_S * 1e9)
        said.append([row for row in outputs(twin) if row[0] < limit])  # type: ignore[operator]
    assert said[0] == said[1]
    assert len(said[0]) > 50


def test_a_twin_that_was_killed_goes_on_from_what_it_had_handed_over(
    start: Callable[..., Supervisor],
) -> None:
    killed = start("first")
    killed.begin()
    killed.feed(16, observations)
    killed.until(lambda: len(killed.kept) >= 2)
    killed.process.kill()
    killed.process.wait()
    window_ns = round(WINDOW_S * 1e9)
    doubt = [r.fields["variance"] for r in killed.records if r.tags.get("state") == "delay_bias_ms"]

    resumed = start("second")
    resumed.begin(killed.t0_ns, killed.kept[-1].data)
    resumed.until(lambda: any(r.measurement == "prediction" for r in resumed.records))
    (told,) = [r for r in resumed.records if r.measurement == "twin"]
    assert told.tags == {"event": "resumed"}
    first = int(told.fields["window"])
    assert first * window_ns >= killed.kept[-1].t_ns - killed.t0_ns - window_ns  # none that is over
    assert int(told.fields["windows_missed"]) > 0
    resumed.feed(first + 8, observations, first)
    said = [r for r in resumed.records if r.measurement in ("prediction", "residual")]
    assert min((r.t_ns - resumed.t0_ns) // window_ns for r in said) == first
    # a twin that began afresh would doubt the bias as much as at first: 0.3 ms
    later = [r.fields["variance"] for r in resumed.records if r.tags.get("state") == "delay_bias_ms"]
    assert later
    assert max(map(float, later)) < 2.0 * float(doubt[-1]) < 0.5 * 0.3**2
    assert resumed.finish().counters["windows"] > 8


def test_its_states_can_be_asked_for(start: Callable[..., Supervisor]) -> None:
    twin = start()
    twin.begin()
    twin.feed(3, observations)

    def ask(**arguments: object) -> wire.CommandResult:
        twin.send(wire.Command(7, "states", dict(arguments), "test"))
        result = twin.expect(wire.CommandResult)
        assert isinstance(result, wire.CommandResult)
        assert result.number == 7
        return result

    rows = msgspec.json.decode(ask(target="gateway>sat-1", name="snr_*").text)
    assert [(row["target"], row["name"]) for row in rows] == [("gateway>sat-1", "snr_db")]
    assert rows[0]["variance"] > 0.0
    assert rows[0]["updates"] >= 3
    newest = max(row["version"] for row in msgspec.json.decode(ask().text))
    assert len(msgspec.json.decode(ask(since_version=newest - 1).text)) >= 1
    wrong = ask(since_version="yesterday")
    assert not wrong.done
    assert "since_version is 'yesterday', allowed are" in wrong.text
    twin.finish()


def test_a_twin_that_is_given_damaged_data_says_so_and_begins_afresh(
    start: Callable[..., Supervisor],
) -> None:
    twin = start()
    twin.begin(kept=b"twin-belief\x00 and something else")
    twin.feed(2, observations)
    (told,) = [r for r in twin.records if r.measurement == "twin"]
    assert told.tags == {"event": "began afresh"}
    assert "damaged" in str(told.fields["text"])
    assert twin.finish().counters["windows"] >= 2


def test_a_twin_that_acts_and_knows_nothing_of_the_one_before_takes_back_what_may_be_in_force(
    start: Callable[..., Supervisor],
) -> None:
    twin = start(document=load("laptop").public())
    twin.begin(time.monotonic_ns() - 2 * 10**9, kept=b"twin-belief\x00 and something else")
    asked = twin.expect(wire.Request)
    assert isinstance(asked, wire.Request)
    assert (asked.member, asked.name) == ("channel", "orders")
    assert asked.arguments == {"penalty_ms": {}, "barred": []}
    assert twin.kept  # before anything is asked for
    twin.finish()


#: put before everything the twin imports: notes each file that its interpreter opens
_AUDIT = """
import os, sys
_log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def _note(event, arguments):
    if event in ("open", "subprocess.Popen", "os.exec"):
        os.write(_log, f"{{event}} {{arguments[0]}}\\n".encode())
sys.addaudithook(_note)
"""


def test_it_opens_the_public_file_and_nothing_else_of_the_run(
    start: Callable[..., Supervisor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for secret in ("scenario.json", "run.json", "telemetry.jsonl"):
        (tmp_path / secret).write_text("truth")
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_AUDIT.format(log=str(hook / "log")))
    monkeypatch.setenv("PYTHONPATH", str(hook))
    twin = start()
    twin.begin()
    twin.feed(2, observations)
    twin.finish()
    noted = (hook / "log").read_text().splitlines()
    opened = {(tmp_path / "room" / line.partition(" ")[2]).resolve() for line in noted}
    assert tmp_path / "room" / "public.json" in opened
    of_the_run = {
        path for path in opened if path.is_relative_to(tmp_path) and hook not in (path, *path.parents)
    }
    of_the_run = {path for path in of_the_run if path.exists()}  # import hooks try names that are no files
    assert of_the_run == {tmp_path / "room" / "public.json"}
    assert not [line for line in noted if line.startswith(("subprocess", "os.exec"))]


@pytest.mark.parametrize(
    ("content", "endpoint", "status", "sentence"),
    [
        ("{}", "tcp://127.0.0.1:9", 2, "world is missing"),
        (None, "tcp://127.0.0.1:9", 2, "public.json: cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, content: str | None, endpoint: str, status: int, sentence: str
) -> None:
    if content is not None:
        (tmp_path / "public.json").write_text(content)
    command = [sys.executable, "-m", "testbed.twin", "--connect", endpoint, "--public", "public.json"]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert ended.returncode == status
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
