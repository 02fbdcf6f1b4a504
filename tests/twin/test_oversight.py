"""The central twin over edges: whose states agree, what is told anew after an outage, and what comes late."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import zmq

from nodes.wire import Record
from testbed.errors import BadInput
from testbed.twin.edge import Line
from testbed.twin.hierarchy import Centre, Uplink
from testbed.twin.oversight import EVERY_S, LATE_S, Listening, Oversight, agreement
from testbed.twin.state import StateTable

NS = 1_000_000_000
WINDOW_S = 0.5
#: far beyond what a message on this host takes
PATIENCE_MS = 20_000


def table(**means: float) -> StateTable:
    made = StateTable()
    for name, mean in means.items():
        made.update("a>b", name, mean, 0.01, 1.0)
    return made


@pytest.mark.parametrize(
    ("own", "told", "expected"),
    [
        ({"delay_ms": 5.0}, {"delay_ms": 5.1}, (1, 1)),  # within what both are sure of
        ({"delay_ms": 5.0}, {"delay_ms": 7.0}, (1, 0)),
        ({"delay_ms": 5.0, "loss": 0.0}, {"delay_ms": 5.0}, (1, 1)),  # what only one has counts for nothing
        ({}, {"delay_ms": 5.0}, (0, 0)),
        ({"last_heard_s": 5.0}, {"last_heard_s": 9.0}, (1, 1)),  # grows with time alone, and may lag
    ],
)
def test_states_agree_within_their_doubt(
    own: dict[str, float], told: dict[str, float], expected: tuple[int, int]
) -> None:
    assert agreement(table(**own), table(**told)) == expected


def test_certain_states_agree_when_they_are_the_same() -> None:
    own, told = StateTable(), StateTable()
    for one, mean in ((own, 3.0), (told, 3.001)):
        one.update("a>b", "servers", mean, 0.0, 1.0)
        one.update("a>b", "cores", 2.0, 0.0, 1.0)
    assert agreement(own, told) == (2, 1)


class Edge:
    """An edge's side without a socket."""

    def __init__(self, name: str = "edge-1", boot: int = 1) -> None:
        self.uplink, self.states = Uplink(name, boot), table(delay_ms=5.0)
        self.window = 0

    def speak(self, hear: Callable[[bytes], bytes | None], events: tuple[Record, ...] = ()) -> float:
        """A window: what it says is heard and answered; the run time."""
        self.states.update("a>b", "delay_ms", 5.0 + self.window, 0.01, self.window * WINDOW_S)
        message = self.uplink.step(self.states, self.window, self.window * WINDOW_S, events)
        answer = hear(message) if message is not None else None
        if answer is not None:
            self.uplink.take(answer, self.window)
        self.window += 1
        return (self.window - 1) * WINDOW_S


def said(oversight: Oversight, own: StateTable, t_s: float) -> list[tuple[str, dict[str, object]]]:
    return [
        (record.tags["event"], dict(record.fields)) for record in oversight.step(own, round(t_s * NS), t_s)
    ]


def test_how_an_edge_stands_is_said_now_and_then() -> None:
    edge, oversight = Edge(), Oversight(Centre(1))
    kinds = [said(oversight, edge.states, edge.speak(oversight.take)) for _ in range(9)]
    times = [k * WINDOW_S for k, one in enumerate(kinds) if one]
    assert times == [0.0, EVERY_S, 2 * EVERY_S]
    assert all(one == ("seen", {**one[1], "common": 1, "agreeing": 1}) for some in kinds for one in some)


def test_a_centre_that_began_late_says_what_it_was_told_anew_and_what_it_had_missed() -> None:
    edge, before = Edge(), Oversight(Centre(1))
    for _ in range(3):
        edge.speak(before.take)
    noticed = Record(3 * NS, "detection", {"kind": "slow_server", "target": "server"}, {})
    t_s = edge.speak(lambda data: None, (noticed,))
    while t_s < 3.0 + LATE_S + WINDOW_S:
        t_s = edge.speak(lambda data: None)  # nobody hears it
    after = Oversight(Centre(2))
    after.began_late()
    found: dict[str, list[dict[str, object]]] = {}
    for _ in range(25):
        t_s = edge.speak(after.take)
        for event, fields in said(after, edge.states, t_s):
            found.setdefault(event, []).append(fields)
    assert len(found["reconciled"]) == 1
    assert found["reconciled"][0] == {**found["reconciled"][0], "states": 1, "agreeing": 1, "late_events": 1}
    assert [one["happened_s"] for one in found["late"]] == [pytest.approx(3.0)]


def test_what_is_heard_at_once_is_not_told_as_late() -> None:
    edge, oversight = Edge(), Oversight(Centre(1))
    noticed = Record(0, "detection", {"kind": "slow_server", "target": "server"}, {})
    t_s = edge.speak(oversight.take, (noticed,))
    assert [event for event, _ in said(oversight, edge.states, t_s)] == ["seen"]


def test_an_edge_that_began_anew_is_reconciled_too() -> None:
    oversight, edge = Oversight(Centre(1)), Edge(boot=1)
    assert "reconciled" not in dict(said(oversight, edge.states, edge.speak(oversight.take)))
    again = Edge(boot=2)
    assert "reconciled" in dict(said(oversight, again.states, again.speak(oversight.take)))


def test_edges_are_heard_over_a_socket_and_hear_its_answer() -> None:
    context = zmq.Context()
    listening = Listening(context, "tcp://127.0.0.1:*", Oversight(Centre(1)))
    uplink = Uplink("edge-1", 1)
    line = Line(context, listening.endpoint, uplink)
    try:
        states, window = table(delay_ms=5.0), 0
        while not listening.oversight.standing(states, 0, 0.0):
            line.closed(states, window, window * WINDOW_S, ())
            listening.hear(20)
            window += 1
            assert window < PATIENCE_MS / 20
        assert listening.oversight.standing(states, 0, 0.0)[0].fields["states"] == 1
    finally:
        line.close()
        listening.close()
        context.term()


def test_who_is_over_edges_stays_on_this_host() -> None:
    context = zmq.Context()
    try:
        with pytest.raises(BadInput, match=r"--over tcp://0\.0\.0\.0:5: allowed are"):
            Listening(context, "tcp://0.0.0.0:5", Oversight(Centre(1)))
    finally:
        context.term()
