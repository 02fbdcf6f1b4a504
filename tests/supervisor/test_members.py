"""What the supervisor does with its members: over its real socket, with the channel played by the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodes import wire
from testbed.report.balance import conservation
from testbed.supervisor.account import write_run
from testbed.supervisor.processes import Child
from tests.supervisor.desk import Desk, Peer


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def test_damaged_control_frames_are_counted_and_nothing_else(desk: Desk) -> None:
    guest = desk.guest("my-app")
    for frame in (b"", b"\xff" * 40, wire.encode(wire.Bye({"sent": 1}))[:-1], b"\x82\xa4type\xa3B\xe4e"):
        guest.send(frame)
    desk.until(lambda: desk.stage.control.malformed == 4)
    assert desk.stage.control.members["my-app"].state == "ready"


def test_a_message_to_somebody_who_is_gone_is_counted(desk: Desk) -> None:
    desk.stage.control.send(b"nobody", wire.Stop())
    assert desk.stage.control.undelivered == 1


@pytest.mark.parametrize("name", ["plant_event", "link", "channel", "detection", "prediction"])
def test_what_others_alone_may_say_is_refused_to_a_guest(desk: Desk, name: str) -> None:
    guest = desk.guest("my-app")
    fields: dict[str, wire.Value] = {"lateness_us_p99": "?", "ingress": "?"}
    for _ in range(2):
        guest.send(wire.Telemetry([wire.Record(1, name, {}, fields), wire.Record(1, "mine", {}, {"v": 1})]))
    guest.send(wire.Heartbeat(1))
    guest.hear(wire.Heartbeat)
    assert [text for text in desk.events() if "report" in text] == [f"my-app may not report '{name}' records"]
    assert [r.measurement for r in desk.folder.records()].count("mine") == 2
    assert name not in [r.measurement for r in desk.folder.records()]


def test_a_guest_that_comes_again_to_another_place_is_refused(desk: Desk) -> None:
    desk.guest("my-app").send(wire.Bye({"sent": 0}))
    desk.until(lambda: desk.stage.control.members["my-app"].state == "bye")
    again = Peer(desk, "my-app", place="platform")
    assert "stood at 'board'" in again.hear(wire.Refused).reason


def test_a_guest_that_says_goodbye_has_finished_and_a_node_of_the_scenario_has_left(desk: Desk) -> None:
    guest, node = desk.guest("my-app"), Peer(desk, "sensor-1", "sensor")
    node.hear(wire.Registered)
    for peer in (guest, node):
        peer.send(wire.Bye({"sent": 0, "received": 0}))
        desk.until(lambda id=peer.id: desk.stage.control.members[id].state == "bye")
    assert desk.stage.nodes["my-app"]["status"] == "finished"
    assert desk.stage.nodes["sensor-1"]["status"] == "left"
    assert {"my-app left the run", "sensor-1 left the run"} <= set(desk.events())


def _books(desk: Desk, ingress: int) -> dict[str, Any]:
    write_run(desk.stage)
    info = desk.folder.run_info()
    nodes = {"my-app": info["nodes"]["my-app"]}
    counters = {"ingress": ingress, "delivered": ingress, "fates": {}, "in_flight": 0}
    books: dict[str, Any] = conservation({"nodes": nodes, "channel": {"counters": counters, "links": {}}})
    return books


def test_what_a_guest_sent_before_it_came_again_stays_in_the_books(desk: Desk) -> None:
    for sent in (2, 3):
        guest = desk.guest("my-app")
        guest.send(wire.Bye({"sent": sent, "received": 0}))
        desk.until(lambda: desk.stage.control.members["my-app"].state == "bye")
    assert _books(desk, 5)["balanced"] is True
    assert _books(desk, 6)["balanced"] is False


def test_what_a_killed_node_sent_after_its_last_heartbeat_is_a_remainder_also_when_it_came_again(
    desk: Desk,
) -> None:
    guest = desk.guest("my-app")
    guest.send(wire.Heartbeat(1, sent=2))
    guest.hear(wire.Heartbeat)
    desk.stage.control.forget("my-app")
    desk.guest("my-app").send(wire.Bye({"sent": 3, "received": 0}))
    desk.until(lambda: desk.stage.control.members["my-app"].state == "bye")
    assert _books(desk, 7)["balanced"] is True
    assert _books(desk, 4)["balanced"] is False


def test_nobody_takes_the_place_of_a_twin_that_this_run_has_started(desk: Desk) -> None:
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    try:
        log = desk.folder.logs_path / "twin.log"
        desk.stage.children["twin"] = Child("twin", process, log, released=True)
        assert Peer(desk, "twin", "twin").hear(wire.Refused).reason == "this run has started its own twin"
        Peer(desk, "twin", "twin", pid=process.pid).hear(wire.Registered)
    finally:
        process.kill()
        process.communicate()
