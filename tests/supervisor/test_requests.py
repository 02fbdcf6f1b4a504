"""What the twin asks of others: carried out and answered, or refused, and written down either way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodes import wire
from testbed.scenario import load
from testbed.supervisor import requests
from testbed.supervisor.requests import why_not
from tests.supervisor.desk import Desk, Peer

ORDERS: dict[str, Any] = {"penalty_ms": {"a>b": 10.0}, "barred": []}
AUTO = 'twin.act="auto"'


def member(desk: Desk, id: str, role: str) -> Peer:
    """A process of the scenario that is ready."""
    peer = Peer(desk, id, role)
    peer.hear(wire.Registered)
    peer.send(wire.Ready())
    desk.until(lambda: desk.stage.is_ready(id))
    return peer


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, AUTO)
    made.run._go()
    yield made
    made.close()


def test_a_request_becomes_a_logged_command_and_its_result_comes_back_under_the_twin_s_number(
    desk: Desk,
) -> None:
    twin = member(desk, "twin", "twin")
    twin.send(wire.Request(77, "channel", "orders", ORDERS))
    command = desk.channel.hear(wire.Command)
    assert (command.name, command.arguments, command.by) == ("orders", ORDERS, "twin")
    desk.channel.send(wire.CommandResult(command.number, True, "in force from 3.2 s on"))
    assert twin.hear(wire.CommandResult) == wire.CommandResult(77, True, "in force from 3.2 s on")
    events = desk.events()
    assert any(text.startswith("twin orders channel: orders") for text in events)
    assert "in force from 3.2 s on" in events


def test_what_a_node_refuses_is_told_to_the_twin(desk: Desk) -> None:
    twin, sensor = member(desk, "twin", "twin"), member(desk, "sensor-1", "sensor")
    twin.send(wire.Request(3, "sensor-1", "pace", {"reading_interval_s": -1}))
    command = sensor.hear(wire.Command)
    sensor.send(wire.CommandResult(command.number, False, "pace: no"))
    assert twin.hear(wire.CommandResult) == wire.CommandResult(3, False, "pace: no")


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (wire.Request(1, "channel", "add_port", {}), "allowed for 'channel': orders"),
        (wire.Request(1, "sensor-1", "set_speed", {}), "allowed for 'sensor-1': offload, pace, priority"),
        (wire.Request(1, "sensor-1", "set_clock", {}), "allowed for 'sensor-1': offload, pace, priority"),
        (wire.Request(1, "twin", "pace", {}), "allowed for 'twin': nothing"),
        (wire.Request(1, "nobody", "pace", {}), "allowed for 'nobody': nothing"),
        (wire.Request(1, "sensor-2", "pace", {}), "sensor-2 is not there"),
    ],
)
def test_what_is_not_on_the_list_is_refused_and_nobody_is_ordered(
    desk: Desk, request_: wire.Request, why: str
) -> None:
    twin = member(desk, "twin", "twin")
    twin.send(request_)
    assert twin.hear(wire.CommandResult) == wire.CommandResult(1, False, why)
    assert not any("twin orders" in text for text in desk.events())
    assert any(text.endswith(f"refused, {why}") for text in desk.events())


def test_nobody_but_the_twin_may_ask(desk: Desk) -> None:
    guest = desk.guest("my-app")
    guest.send(wire.Request(1, "channel", "orders", ORDERS))
    assert guest.hear(wire.CommandResult) == wire.CommandResult(1, False, "only twin may ask")


def test_a_receiver_that_goes_before_it_answers_has_not_done_it(desk: Desk) -> None:
    twin, sensor = member(desk, "twin", "twin"), member(desk, "sensor-1", "sensor")
    twin.send(wire.Request(5, "sensor-1", "pace", {"reading_interval_s": 1}))
    sensor.hear(wire.Command)
    desk.stage.control.forget("sensor-1")
    desk.run._requests.sweep()
    assert twin.hear(wire.CommandResult) == wire.CommandResult(5, False, "sensor-1 is gone")


def test_so_many_requests_a_minute_and_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_A_MINUTE", 2)
    twin = member(desk, "twin", "twin")
    for number in range(3):
        twin.send(wire.Request(number, "channel", "orders", ORDERS))
    answer = twin.hear(wire.CommandResult)
    assert answer == wire.CommandResult(2, False, "2 requests were carried out within the last minute")


def test_before_the_start_and_while_the_run_ends_nothing_is_carried_out(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AUTO)
    try:
        twin = member(desk, "twin", "twin")
        twin.send(wire.Request(1, "channel", "orders", ORDERS))
        assert twin.hear(wire.CommandResult).text == "the run is not going on"
    finally:
        desk.close()


def test_a_run_in_which_the_twin_only_tells_refuses_everything(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 'twin.act="dry-run"')
    try:
        desk.run._go()
        twin = member(desk, "twin", "twin")
        twin.send(wire.Request(1, "channel", "orders", ORDERS))
        assert twin.hear(wire.CommandResult) == wire.CommandResult(1, False, "twin.act = 'dry-run'")
    finally:
        desk.close()


@pytest.mark.parametrize(
    ("sets", "why"),
    [
        ([], ""),
        (['twin.act="off"'], "twin.act = 'off'"),
        (["nodes.sensor.external=true", "nodes.sensor.count=1"], "hardware is attached (sensor-1)"),
        (['nodes.mcu-1.device="/dev/ttyACM0"'], "hardware is attached (mcu-1)"),
        (['nodes.mine.role="guest"', 'nodes.mine.place="board"'], ""),
    ],
)
def test_hardware_is_not_acted_on(sets: list[str], why: str) -> None:
    found = why_not(load("laptop", [AUTO, *sets]))
    assert found.startswith(why)
    assert bool(found) == bool(why)
