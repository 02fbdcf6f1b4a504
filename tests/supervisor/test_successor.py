"""A twin that died: its memory is kept and given back, and it is started again so many times."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes import wire
from testbed.supervisor import successor
from testbed.supervisor.processes import Child
from testbed.supervisor.stage import TWIN
from testbed.supervisor.watch import watch
from tests.supervisor.desk import Desk, Peer


class Launches:
    """Plays the twin's process: one that ends at once with a status."""

    def __init__(self, desk: Desk, code: str) -> None:
        self.count = 0
        self._desk, self._code = desk, code
        self.processes: list[subprocess.Popen[bytes]] = []

    def __call__(self) -> None:
        self.count += 1
        process = subprocess.Popen([sys.executable, "-S", "-c", self._code])
        self.processes.append(process)
        self._desk.stage.children[TWIN] = Child(TWIN, process, self._desk.folder.logs_path / "twin.log")

    def end(self) -> None:
        """Wait for the one that was launched last, and let the supervisor see it."""
        self.processes[-1].wait()
        watch(self._desk.stage)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(successor, "EVERY_S", 0.0)
    made = Desk(tmp_path)
    made.run._go()
    yield made
    made.close()


def launches(desk: Desk, code: str) -> Launches:
    made = Launches(desk, code)
    desk.run._successor._launch = made
    made()
    return made


def test_a_twin_that_ends_is_started_again_but_not_for_ever(desk: Desk) -> None:
    twin = launches(desk, "raise SystemExit(1)")
    for _ in range(successor.MOST_TIMES + 3):
        twin.end()
        desk.run._successor.tick()
    assert twin.count == 1 + successor.MOST_TIMES
    assert desk.stage.twin_restarts == successor.MOST_TIMES
    assert sum("twin is started again" in text for text in desk.events()) == successor.MOST_TIMES


def test_what_a_twin_had_ordered_is_withdrawn_when_it_is_gone_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(successor, "EVERY_S", 0.0)
    monkeypatch.setattr(successor, "MOST_TIMES", 1)
    desk = Desk(tmp_path, 'twin.act="auto"')
    try:
        desk.run._go()
        twin, sensor = Peer(desk, TWIN, "twin"), Peer(desk, "sensor-1", "sensor")
        for peer in (twin, sensor):
            peer.hear(wire.Registered)
            peer.send(wire.Ready())
            peer.hear(wire.Start)
        twin.send(wire.Request(1, "channel", "orders", {"penalty_ms": {"a>b": 9.0}, "barred": []}))
        twin.send(wire.Request(2, "sensor-1", "offload", {"servers": {"edge-ground": 1}}))
        for peer in (desk.channel, sensor):
            peer.hear(wire.Command)
        process = launches(desk, "raise SystemExit(1)")
        process.end()
        desk.run._successor.tick()
        assert not any("is withdrawn" in text for text in desk.events())
        process.end()
        for _ in range(2):
            desk.run._successor.tick()
        order, shares = desk.channel.hear(wire.Command), sensor.hear(wire.Command)
        assert (order.name, order.by) == ("orders", "supervisor")
        assert order.arguments == {"penalty_ms": {}, "barred": []}
        assert (shares.name, shares.arguments) == ("offload", {"servers": {"edge-ground": 1, "edge-sat": 1}})
        texts = [text for text in desk.events() if "is withdrawn" in text]
        assert texts == ["twin is gone for good: what it had ordered is withdrawn (2 told)"]
    finally:
        desk.close()


def test_a_twin_that_cannot_work_with_what_it_is_given_is_not_started_again(desk: Desk) -> None:
    twin = launches(desk, "raise SystemExit(2)")
    twin.end()
    desk.run._successor.tick()
    assert twin.count == 1


def test_some_time_passes_between_two_starts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successor, "EVERY_S", 3600.0)
    twin = launches(desk, "raise SystemExit(1)")
    twin.end()
    desk.run._successor.tick()
    twin.end()
    desk.run._successor.tick()
    assert twin.count == 2


def test_nothing_is_started_while_the_run_ends(desk: Desk) -> None:
    twin = launches(desk, "raise SystemExit(1)")
    twin.end()
    desk.stage.quiescing = True
    desk.run._successor.tick()
    assert twin.count == 1


def test_a_twin_that_fell_silent_is_ended_before_another_starts_and_one_that_sets_up_is_left_alone(
    desk: Desk,
) -> None:
    twin = launches(desk, "import sys; sys.stdin.read()")
    silent = twin.processes[0]
    try:
        Peer(desk, TWIN, "twin", pid=silent.pid).hear(wire.Registered)
        desk.stage.control.forget(TWIN)
        desk.run._successor.tick()
        assert silent.poll() is not None
        desk.run._successor.tick()
        assert twin.count == 2
        assert twin.processes[1].poll() is None
    finally:
        for process in twin.processes:
            process.kill()
            process.wait()


def test_a_successor_hears_the_newest_snapshot_before_it_is_started(desk: Desk) -> None:
    first = Peer(desk, TWIN, "twin")
    first.hear(wire.Registered)
    for number in (1, 2):
        first.send(wire.Snapshot(number, b"belief %d" % number))
    desk.until(
        lambda: desk.folder.belief_path.exists() and desk.folder.belief_path.read_bytes() == b"belief 2"
    )
    desk.stage.control.forget(TWIN)
    second = Peer(desk, TWIN, "twin")
    assert second.hear(wire.Snapshot) == wire.Snapshot(2, b"belief 2")
    second.send(wire.Ready())
    second.hear(wire.Start)


def test_nobody_else_leaves_snapshots_and_one_that_is_too_large_is_not_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(successor, "MOST_BYTES", 10)
    guest = desk.guest("my-app")
    guest.send(wire.Snapshot(1, b"mine"))
    twin = Peer(desk, TWIN, "twin")
    twin.hear(wire.Registered)
    twin.send(wire.Snapshot(2, bytes(11)))
    for peer in (guest, twin):
        peer.send(wire.Heartbeat(1))
        peer.hear(wire.Heartbeat)
    assert not desk.folder.belief_path.exists()
    assert "my-app may not leave snapshots" in desk.events()
    assert any("it has 11 bytes, more than 10" in text for text in desk.events())
