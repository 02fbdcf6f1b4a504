"""Edge twins of a run: how many there are, what they are given, and what is written down of what they say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes import wire
from nodes.wire import Record
from testbed.errors import BadInput
from testbed.scenario import load
from testbed.supervisor.edges import edge_scopes
from testbed.supervisor.stage import TWIN
from testbed.twin.edge import MOST_EDGES, in_a_run
from testbed.twin.knowledge import Knowledge
from tests.emulator.worlds import gateway, world_spec
from tests.supervisor.desk import Desk, Peer

SITE, SOUTH = "twin:edge-gateway-site", "twin:edge-gateway-south"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, "twin.hierarchy=edges")
    made.run._go()
    yield made
    made.close()


def joined(desk: Desk, name: str) -> Peer:
    peer = Peer(desk, name, "twin")
    peer.hear(wire.Registered)
    peer.send(wire.Ready())
    peer.hear(wire.Start)
    return peer


def telemetry(desk: Desk, *members: Peer) -> None:
    """What members sent has been taken."""
    for peer in members:
        peer.send(wire.Heartbeat(1))
        peer.hear(wire.Heartbeat)
    desk.stage.sinks._writer.flush()  # type: ignore[union-attr]


def test_there_is_one_for_every_gateway_or_as_many_as_are_asked_for() -> None:
    assert list(edge_scopes(load("laptop", ["twin.hierarchy=edges"]))) == [SITE, SOUTH]
    asked = edge_scopes(load("laptop", ["twin.hierarchy=edges", "twin.edges=3"]))
    assert list(asked) == [f"twin:edge-{k}" for k in (1, 2, 3)]


def test_there_is_none_unless_asked_for() -> None:
    assert edge_scopes(load("laptop")) == {}
    assert edge_scopes(load("laptop", ["twin.hierarchy=edges", "twin.enabled=false"])) == {}


def test_too_many_gateways_share_edges() -> None:
    many = world_spec(*[gateway(f"g-{k}", 40.0 + k / 10, 10.0) for k in range(MOST_EDGES + 1)])
    assert in_a_run(Knowledge(many, 60.0, 0.5)) == MOST_EDGES
    assert in_a_run(Knowledge(many, 60.0, 0.5), 3) == 3


@pytest.mark.parametrize(("key", "sentence"), [("twin.edges=17", "16"), ("twin.hierarchy=tree", "central")])
def test_a_hierarchy_that_cannot_be_is_refused(key: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        load("laptop", [key])


def test_edges_see_what_the_central_twin_sees(desk: Desk) -> None:
    twins = [joined(desk, name) for name in (TWIN, SITE, SOUTH)]
    desk.stage.record(
        [Record(1, "task", {"node": "edge-ground"}, {"cycles": 1e8}), Record(1, "plant_link", {}, {})]
    )
    for twin in twins:
        assert [one.measurement for one in twin.hear(wire.Telemetry).records] == ["task"]


def test_what_edges_notice_stands_beside_what_the_central_twin_says(desk: Desk) -> None:
    edge = joined(desk, SITE)
    kinds = ("prediction", "residual", "belief", "detection", "sync")
    edge.send(
        wire.Telemetry([Record(5, kind, {"kind": "rain", "target": "x"}, {"size": 1.0}) for kind in kinds])
    )
    telemetry(desk, edge)
    written = [r for r in desk.folder.records() if r.measurement in (*kinds, "edge")]
    assert [(r.measurement, r.tags["edge"], r.tags["what"]) for r in written] == [
        ("edge", "edge-gateway-site", "detection")
    ]


def test_an_edge_that_died_is_followed_by_one_that_has_its_memory_and_no_other(desk: Desk) -> None:
    first = joined(desk, SITE)
    first.send(wire.Snapshot(1, b"of the site"))
    telemetry(desk, first)
    desk.stage.control.forget(SITE)
    joined(desk, SOUTH)
    again = Peer(desk, SITE, "twin")
    assert again.hear(wire.Snapshot) == wire.Snapshot(1, b"of the site")
    assert not desk.folder.belief_path.exists()  # that file is the central twin's
    assert desk.run._edges[SOUTH]._kept is None
