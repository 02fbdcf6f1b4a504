"""The traffic class of what a node sends: its own, and of what it answers that of the question."""

from __future__ import annotations

from typing import Any

import pytest

from nodes import wire
from nodes.inprocess import Network
from nodes.node import ConfigError
from nodes.wire import Header

OFFLOADING = {
    "reading_interval_s": 0,
    "task_interval_s": 2.0,
    "task_kbytes": 5,
    "task_megacycles": [600, 600],
    "servers": ["edge-1"],
    "seed": 1,
}


def classes(
    nodes: dict[str, tuple[str, dict[str, Any]]], run_s: float = 3.0
) -> dict[tuple[int, int], set[int]]:
    """(port, kind) -> traffic classes of all packets that were sent."""
    seen: dict[tuple[int, int], set[int]] = {}

    def travel(header: Header, now_ns: int) -> int:
        seen.setdefault((header.src, header.kind), set()).add(header.traffic_class)
        return 5_000_000

    Network(nodes, travel).run(run_s)
    return seen


def test_readings_go_in_the_class_of_their_sensor() -> None:
    sensor = {"sink": "gateway-1", "reading_interval_s": 0.5, "traffic_class": 2}
    assert classes({"gateway-1": ("gateway", {}), "sensor-1": ("sensor", sensor)}) == {(2, wire.DATA): {2}}


def test_without_a_word_everything_goes_in_the_lowest() -> None:
    seen = classes({"edge-1": ("edge", {}), "sensor-1": ("sensor", OFFLOADING)})
    assert set().union(*seen.values()) == {0}


def test_task_and_answer_and_acknowledgements_share_a_class() -> None:
    seen = classes({"edge-1": ("edge", {}), "sensor-1": ("sensor", OFFLOADING | {"traffic_class": 3})})
    assert seen == {(2, wire.TASK): {3}, (1, wire.ACK): {3}, (1, wire.RESULT): {3}, (2, wire.ACK): {3}}


def test_a_ping_is_answered_in_its_class() -> None:
    probe = {"target": "gateway-1", "traffic_class": 1}
    assert classes({"gateway-1": ("gateway", {"traffic_class": 3}), "probe-1": ("probe", probe)}) == {
        (2, wire.PING): {1},
        (1, wire.PONG): {1},
    }


@pytest.mark.parametrize("kind", [wire.PING, wire.TASK])
def test_an_unknown_class_is_answered_in_the_highest(kind: int) -> None:
    seen: list[int] = []

    def travel(header: Header, now_ns: int) -> int:
        seen.append(header.traffic_class)
        return 5_000_000

    network = Network({"edge-1": ("edge", {})}, travel)
    flags = wire.FLAG_RELIABLE if kind == wire.TASK else 0
    network.nodes["edge-1"].receive(wire.pack(Header(kind, 9, 1, traffic_class=200, flags=flags), b"x"))
    network.run(0.1)
    assert set(seen) == {3}


@pytest.mark.parametrize("given", [-1, 4, 1.0, "high", True])
def test_a_class_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(
        ConfigError, match=r"^gateway-1: traffic_class = .* must be a whole number from 0 to 3$"
    ):
        Network({"gateway-1": ("gateway", {"traffic_class": given})})


def test_a_single_packet_may_go_in_another_class() -> None:
    seen: list[int] = []

    def travel(header: Header, now_ns: int) -> int:
        seen.append(header.traffic_class)
        return 5_000_000

    network = Network({"a": ("gateway", {"traffic_class": 1}), "b": ("gateway", {})}, travel)
    node = network.nodes["a"]
    node.send(2, b"x")
    node.send(2, b"x", traffic_class=0)
    node.transfer(2, b"x", traffic_class=2)
    assert seen == [1, 0, 2]
    with pytest.raises(ValueError, match="traffic_class = 9 must be"):
        node.send(2, b"x", traffic_class=9)
