"""Servers in virtual time: first come, first served, by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from nodes import wire
from nodes.wire import Record
from testbed.scenario import Scenario
from testbed.virtual.packets import Arrival
from testbed.virtual.servers import Servers

MS = 1_000_000
CLIENT, SERVER = 1, 5
#: every task has this much to do, so that it takes 100 ms at the nominal rate
CYCLES = 300.0


@pytest.fixture
def servers(make: Callable[..., Scenario]) -> Servers:
    scenario = make(duration_s=5.0)
    nodes = scenario.resolved()["nodes"]
    nodes["sensor"] |= {"task_megacycles": [CYCLES, CYCLES]}
    nodes["edge-1"] |= {"queue_tasks": 2}
    scenario = make(duration_s=5.0, nodes=nodes)
    names = dict(enumerate(scenario.nodes, start=1))
    assert (names[CLIENT], names[SERVER]) == ("sensor-1", "edge-1")
    return Servers(scenario, names)


def _task(due_ms: int, tag: int, sent_ms: int = 0, fragments: int = 1) -> Arrival:
    ports = (CLIENT, CLIENT, SERVER)
    return Arrival(due_ms * MS, sent_ms * MS, *ports, wire.TASK, tag, fragments, 1248)


def _done(records: Iterator[Record] | list[Record]) -> list[tuple[float, ...]]:
    """(done in ms, service in ms, wait in ms) of tasks."""
    return [
        (r.t_ns // MS, *(round(float(r.fields[name]) * 1e3, 6) for name in ("service_s", "queue_s")))
        for r in records
        if r.measurement == "task"
    ]


def test_a_task_waits_for_the_one_before(servers: Servers) -> None:
    said = [*servers.take(_task(10, 1)), *servers.take(_task(40, 2)), *servers.close(1000 * MS)]
    assert _done(said) == [(110, 100.0, 0.0), (210, 100.0, 70.0)]


def test_a_task_begins_when_all_of_it_has_arrived(servers: Servers) -> None:
    assert not list(servers.take(_task(10, 1, fragments=2)))
    list(servers.take(_task(30, 1, fragments=2)))
    assert _done(servers.close(1000 * MS)) == [(130, 100.0, 0.0)]


def test_a_change_of_speed_reaches_the_task_that_runs(servers: Servers) -> None:
    list(servers.take(_task(0, 1)))
    list(servers.set_speed("edge-1", 0.5, 50 * MS))
    # half of it at full speed, the other half takes twice as long
    assert _done(servers.close(1000 * MS)) == [(150, 150.0, 0.0)]


def test_a_full_queue_refuses(servers: Servers) -> None:
    for tag in range(4):
        list(servers.take(_task(0, tag)))
    assert servers.refused["edge-1"] == 1
    assert len(_done(servers.close(1000 * MS))) == 3


def test_the_client_waits_for_the_ways_and_for_the_server(servers: Servers) -> None:
    list(servers.take(_task(30, 1, sent_ms=10)))
    # the answer is on its way at once, and comes 15 ms after the question
    answer = Arrival(45 * MS, 30 * MS, SERVER, SERVER, CLIENT, wire.RESULT, 1, 1, 101)
    list(servers.take(answer))
    (latency,) = [r for r in servers.close(1000 * MS) if r.measurement == "offload"]
    assert latency.tags == {"node": "sensor-1", "server": "edge-1"}
    assert float(latency.fields["latency_s"]) == pytest.approx(0.135)
