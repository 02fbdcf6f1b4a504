"""Commands that roles obey while they run: shares of servers, intervals, traffic classes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from nodes import commands, wire
from nodes.inprocess import Network
from nodes.node import CommandError
from nodes.readings import pack_reading, value_of
from nodes.roles.sensor import Turns
from nodes.wire import Header, Record

MS = 1_000_000
SENSOR = {
    "sink": "gateway-1", "reading_interval_s": 0.5, "seed": 1, "task_interval_s": 1.0, "task_kbytes": 1,
    "task_megacycles": [60, 60], "servers": ["edge-1", "edge-2"],
}  # fmt: skip


def network(travel: Any = None, **sensor: object) -> Network:
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "gateway-1": ("gateway", {}), "edge-1": ("edge", {}), "edge-2": ("edge", {}),
        "sensor-1": ("sensor", SENSOR | sensor),
    }  # fmt: skip
    return Network(nodes, travel) if travel else Network(nodes)


def order(net: Network, name: str, arguments: dict[str, Any], node: str = "sensor-1") -> str:
    return commands.obey(net.nodes[node], name, arguments, "twin")


def told(net: Network, node: str = "sensor-1") -> dict[str, wire.Value]:
    """The newest `node` record."""
    return [r for r in net.nodes[node].records if r.measurement == "node"][-1].fields


def offloads(net: Network) -> list[Record]:
    return [r for r in net.nodes["sensor-1"].records if r.measurement == "offload"]


def test_equal_shares_take_turns_in_order() -> None:
    turns = Turns(["a", "b", "c"])
    assert [turns.next() for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_shares_are_kept_and_spread_evenly() -> None:
    turns = Turns(["a", "b", "c"])
    turns.set_shares({"a": 3, "b": 0, "c": 1})
    taken = [turns.next() for _ in range(40)]
    assert Counter(taken) == {"a": 30, "c": 10}
    assert all(Counter(taken[k : k + 4]) == {"a": 3, "c": 1} for k in range(0, 40, 4))


def test_a_server_named_twice_has_twice_the_turns() -> None:
    turns = Turns(["a", "b", "a"])
    assert Counter(turns.next() for _ in range(9)) == {"a": 6, "b": 3}


def test_tasks_go_where_offload_says_from_then_on_and_the_node_tells() -> None:
    net = network()
    net.run(10)
    assert Counter(r.tags["server"] for r in offloads(net)) == {"edge-1": 5, "edge-2": 5}
    assert order(net, "offload", {"servers": {"edge-2": 1}}) == (
        "tasks go to edge-1:0+edge-2:1, before to edge-1:1+edge-2:1"
    )
    before = len(offloads(net))
    net.run(10)
    assert {r.tags["server"] for r in offloads(net)[before + 1 :]} == {"edge-2"}
    assert told(net)["servers"] == "edge-1:0+edge-2:1"


def test_readings_and_tasks_come_at_the_new_pace_from_the_latest_on() -> None:
    sent: list[tuple[int, int]] = []

    def travel(header: Header, now_ns: int) -> int:
        if header.src == 4 and header.kind == wire.DATA:
            sent.append((header.number, now_ns))
        return 5 * MS

    net = network(travel)
    net.run(3.2)
    latest_ns = sent[-1][1]
    order(net, "pace", {"reading_interval_s": 2.0, "task_interval_s": 0.25})
    tasks = net.nodes["sensor-1"].counters()["tasks"]
    del sent[:]
    net.run(8)
    assert [now_ns - latest_ns for _, now_ns in sent] == [k * 2_000 * MS for k in range(1, len(sent) + 1)]
    assert len(sent) in (3, 4)
    assert net.nodes["sensor-1"].counters()["tasks"] - tasks in (32, 33)
    assert told(net)["reading_interval_s"] == 2.0
    assert told(net)["task_interval_s"] == 0.25


def test_a_faster_pace_does_not_make_up_for_what_was_not_sent() -> None:
    net = network(reading_interval_s=100.0)
    net.run(99)
    order(net, "pace", {"reading_interval_s": 0.1})
    before = net.nodes["sensor-1"].counters()["readings"]
    net.run(1.0)
    assert net.nodes["sensor-1"].counters()["readings"] - before in (10, 11)


def test_pace_0_ends_a_series_and_another_begins_it_again() -> None:
    net = network()
    net.run(2)
    order(net, "pace", {"reading_interval_s": 0})
    readings = net.nodes["sensor-1"].counters()["readings"]
    net.run(10)
    assert net.nodes["sensor-1"].counters()["readings"] == readings
    order(net, "pace", {"reading_interval_s": 1.0})
    net.run(10)
    assert net.nodes["sensor-1"].counters()["readings"] - readings in (10, 11)


def test_a_node_that_is_to_be_quiet_stays_so() -> None:
    net = network()
    net.run(2)
    net.quiesce()
    order(net, "pace", {"reading_interval_s": 0.01, "task_interval_s": 0.01})
    readings = net.nodes["sensor-1"].counters()["readings"]
    net.run(5)
    assert net.nodes["sensor-1"].counters()["readings"] == readings


def test_priority_is_the_class_of_what_is_sent_of_its_own_accord() -> None:
    classes: dict[int, set[int]] = {}

    def travel(header: Header, now_ns: int) -> int:
        classes.setdefault(header.src, set()).add(header.traffic_class)
        return 5 * MS

    net = network(travel)
    assert order(net, "priority", {"traffic_class": 2}) == "traffic class 0 -> 2"
    net.run(5)
    assert classes[4] == {2}
    assert classes[2] == {2}  # an answer goes in the class it was asked in
    assert told(net)["traffic_class"] == 2


@pytest.mark.parametrize("role", ["edge", "relay"])
def test_who_sends_nothing_of_its_own_has_no_priority(role: str) -> None:
    net = Network({"n": (role, {})})
    with pytest.raises(CommandError, match="n knows no command 'priority'"):
        order(net, "priority", {"traffic_class": 1}, "n")


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("priority", {}, "priority: traffic_class = None must be a whole number from 0 to 3"),
        ("priority", {"traffic_class": True}, "traffic_class = True must be"),
        ("priority", {"traffic_class": 4}, "traffic_class = 4 must be"),
        ("priority", {"class": 1}, "priority: 'class' is not known, allowed: traffic_class"),
        ("pace", {}, "pace: nothing is given, allowed: reading_interval_s and task_interval_s"),
        ("pace", {"ping_interval_s": 1}, "pace: 'ping_interval_s' is not known"),
        ("pace", {"reading_interval_s": 0.0001}, r"reading_interval_s = 0.0001 must be 0 \(none\) or from"),
        ("pace", {"task_interval_s": float("inf")}, "task_interval_s = inf must be"),
        ("offload", {}, "offload: servers = None must be a share for each server by name"),
        ("offload", {"servers": {"edge-9": 1}}, "server 'edge-9' is not one of edge-1, edge-2"),
        ("offload", {"servers": {"edge-1": 0.5}}, "the share of edge-1 = 0.5 must be a whole number"),
        ("offload", {"servers": {"edge-1": 0}}, "every share is 0, but one at least must be above it"),
        ("reboot", {}, "sensor-1 knows no command 'reboot'"),
    ],
)
def test_wrong_arguments_are_refused_with_one_sentence_and_change_nothing(
    name: str, arguments: dict[str, Any], text: str
) -> None:
    net = network()
    net.run(1.1)
    before = {key: told(net)[key] for key in ("traffic_class", "servers", "reading_interval_s")}
    with pytest.raises(CommandError, match=text):
        order(net, name, arguments)
    net.run(1)
    assert {key: told(net)[key] for key in before} == before


def test_what_a_sensor_has_nothing_for_is_refused() -> None:
    net = network(sink="", reading_interval_s=0, task_interval_s=0, servers=[])
    with pytest.raises(CommandError, match="sensor-1 has neither sink nor broker"):
        order(net, "pace", {"reading_interval_s": 1})
    with pytest.raises(CommandError, match="sensor-1 has no servers"):
        order(net, "pace", {"task_interval_s": 1})
    with pytest.raises(CommandError, match="is not one of none"):
        order(net, "offload", {"servers": {"edge-1": 1}})


# --- readings that a gateway can read --------------------------------------------------------------


def test_a_gateway_tells_mean_and_spread_of_a_sensor_s_readings() -> None:
    net = network()
    net.run(20)
    flows = [r for r in net.nodes["gateway-1"].records if r.measurement == "flow"]
    means = [float(r.fields["value_mean"]) for r in flows if "value_mean" in r.fields]
    assert len(means) >= 18
    # a wave of 5 around 20, and noise of 0.2
    assert all(14.0 < mean < 26.0 for mean in means)
    spreads = [float(r.fields["value_sd"]) for r in flows if "value_sd" in r.fields]
    assert all(0.0 <= sd < 1.5 for sd in spreads)


def test_a_reading_is_read_as_it_was_packed_and_other_bytes_are_none() -> None:
    assert value_of(pack_reading(7, 21.5, 64)) == 21.5
    assert len(pack_reading(7, 21.5, 4)) == 4
    assert value_of(pack_reading(7, 21.5, 8)) is None
    for other in (b"", b"hello", b"hello world, this is text", b"\xff" * 32):
        assert value_of(other) is None
    # a microcontroller's: temperature, battery and a counter in network order, padded
    assert value_of(b"\x08\x34\x0e\x74\x00\x00\x00\x07".ljust(32, b"\0")) is None
