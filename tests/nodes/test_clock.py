"""A node's own clock: what is stamped with it, what is not, and the exchange that shows it."""

from __future__ import annotations

from typing import Any

import pytest

from nodes import commands, wire
from nodes.clock import NodeClock
from nodes.inprocess import Network
from nodes.node import CommandError
from nodes.wire import Header

MS = 1_000_000
SENSOR = {"sink": "gateway-1", "reading_interval_s": 0.5, "seed": 1}
#: an exchange over sockets of one host takes less than this
EXCHANGE_MS = 200.0

Stand = Any  # tests/nodes/conftest.py


def test_an_offset_grows_with_the_skew_from_when_it_was_set() -> None:
    clock = NodeClock()
    assert clock.at(12_345) == 12_345
    clock.set(20.0, 50.0, 1_000 * MS)
    assert clock.at(1_000 * MS) == 1_020 * MS
    assert clock.at(11_000 * MS) == 11_020 * MS + 500_000  # 50 us more in each of ten seconds


def pair(sensor: float = 0.0, gateway: float = 0.0) -> Network:
    network = Network({"gateway-1": ("gateway", {}), "sensor-1": ("sensor", SENSOR)})
    for id, offset_ms in (("sensor-1", sensor), ("gateway-1", gateway)):
        commands.obey(network.nodes[id], "set_clock", {"offset_ms": offset_ms}, "plant")
    return network


@pytest.mark.parametrize(("sensor", "gateway", "delay_ms"), [(3, 0, 2), (0, 3, 8), (3, 3, 5), (-20, 0, 25)])
def test_one_way_delays_show_both_ends_clocks(sensor: float, gateway: float, delay_ms: float) -> None:
    network = pair(sensor, gateway)
    network.run(3.2)
    flows = [r for r in network.nodes["gateway-1"].records if r.measurement == "flow"]
    assert {r.fields["delay_mean_ms"] for r in flows} == {delay_ms}


def test_neither_traffic_nor_the_stamps_of_records_move_with_the_clock() -> None:
    def run(offset_ms: float) -> list[tuple[int, str]]:
        network = pair(offset_ms, offset_ms)
        network.run(5.2)
        return [(r.t_ns, r.measurement) for node in network.nodes.values() for r in node.records]

    assert run(0.0) == run(700.0)


def test_a_round_trip_takes_as_long_on_a_wrong_clock() -> None:
    network = Network({"gateway-1": ("gateway", {}), "probe-1": ("probe", {"target": "gateway-1"})})
    commands.obey(network.nodes["probe-1"], "set_clock", {"offset_ms": 30}, "plant")
    network.run(5.2)
    pings = [r for r in network.nodes["probe-1"].records if r.measurement == "ping"]
    assert {r.fields["rtt_mean_ms"] for r in pings if r.samples} == {10.0}


def test_transfers_work_over_clocks_that_are_wrong() -> None:
    config = {
        "reading_interval_s": 0, "task_interval_s": 2.0, "task_megacycles": [600, 600], "servers": ["edge-1"],
        "seed": 1,
    }  # fmt: skip
    seen: list[int] = []

    def travel(header: Header, now_ns: int) -> int:
        seen.append(header.sent_ns - now_ns)
        return 5 * MS

    network = Network({"edge-1": ("edge", {}), "sensor-1": ("sensor", config)}, travel)
    commands.obey(network.nodes["sensor-1"], "set_clock", {"offset_ms": -400}, "plant")
    network.run(10)
    offloads = [r for r in network.nodes["sensor-1"].records if r.measurement == "offload"]
    assert [(r.fields["ok"], r.fields["retransmissions"]) for r in offloads] == [(True, 0)] * 5
    assert set(seen) == {0, -400 * MS}
    # what is echoed is a stamp of the wrong clock, and is compared with that clock
    (trip,) = network.nodes["sensor-1"].transfers._trips.values()
    assert trip.mean_ns == 10 * MS


@pytest.mark.parametrize("by", ["twin", "supervisor", ""])
def test_nobody_but_the_plant_makes_a_clock_wrong(by: str) -> None:
    node = pair().nodes["gateway-1"]
    with pytest.raises(CommandError, match="knows no command 'set_clock'"):
        commands.obey(node, "set_clock", {"offset_ms": 1}, by)
    assert node.stamp_ns() == node.now_ns()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"offset_ms": "1"}, "offset_ms = '1' must be a number from"),
        ({"offset_ms": float("nan")}, "offset_ms = nan must be a number from"),
        ({"skew_ppm": 1e6}, "skew_ppm = 1000000.0 must be a number from"),
        ({"offset": 1}, "'offset' is not known, allowed: offset_ms, skew_ppm"),
    ],
)
def test_a_senseless_clock_is_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(CommandError, match=text):
        commands.obey(pair().nodes["gateway-1"], "set_clock", arguments, "plant")


def test_every_heartbeat_that_is_answered_gives_four_stamps_which_show_the_offset(stand: Stand) -> None:
    stand.node("gateway-1", "gateway")
    stand.begin("gateway-1")
    stand.until(lambda: stand.of("clock", node="gateway-1"), "an exchange")
    right = stand.of("clock", node="gateway-1")[0].fields
    assert right["t1_ns"] <= right["t2_ns"] <= right["t3_ns"] <= right["t4_ns"]
    stand.order("gateway-1", wire.Command(1, "set_clock", {"offset_ms": -5000.0}, "plant"))
    stand.until(lambda: 1 in stand.results, "the clock to be set")
    known = len(stand.of("clock"))
    # the exchange that was under way when it was set has stamps of both
    stand.until(lambda: len(stand.of("clock")) > known + 2, "exchanges on the new clock")
    last = stand.of("clock")[-1]
    t1, t2, t3, t4 = (last.fields[name] for name in ("t1_ns", "t2_ns", "t3_ns", "t4_ns"))
    assert ((t2 - t1) + (t3 - t4)) / 2e6 == pytest.approx(5000.0, abs=EXCHANGE_MS)
    assert abs(last.t_ns - t3) / 1e6 < EXCHANGE_MS
