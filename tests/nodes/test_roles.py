"""Roles on a virtual clock: the same code as over ZeroMQ, without sockets and without waiting."""

from __future__ import annotations

from typing import Any

import pytest

from nodes import roles, wire
from nodes.inprocess import Network
from nodes.node import CommandError, ConfigError
from nodes.roles.probe import Probe
from nodes.wire import Header, Record

MS = 1_000_000
SENSOR = {"sink": "gateway-1", "reading_interval_s": 0.5, "seed": 1}
OFFLOADING = {
    "reading_interval_s": 0,
    "task_interval_s": 2.0,
    "task_kbytes": 50,
    "task_megacycles": [600, 600],
    "servers": ["edge-1"],
    "seed": 1,
}


def records(network: Network, id: str, measurement: str, **tags: str) -> list[Record]:
    return [
        r
        for r in network.nodes[id].records
        if r.measurement == measurement and tags.items() <= r.tags.items()
    ]


def lossy(every: int, *kinds: int) -> Any:
    """A 5 ms network that loses every n-th packet of these kinds."""
    seen = 0

    def travel(header: Header, now_ns: int) -> int | None:
        nonlocal seen
        seen += header.kind in kinds
        return None if header.kind in kinds and seen % every == 0 else 5 * MS

    return travel


def test_every_role_loads_and_an_unknown_one_is_named() -> None:
    for name in roles.ROLES:
        assert roles.load(name).__doc__
    with pytest.raises(
        roles.UnknownRoleError, match=r"role 'senso' is not known; the roles are sensor, edge"
    ):
        roles.load("senso")


def test_readings_reach_their_sink() -> None:
    network = Network({"gateway-1": ("gateway", {}), "sensor-1": ("sensor", SENSOR | {"reading_bytes": 52})})
    network.run(10.2)
    flows = records(network, "gateway-1", "flow")
    assert sum(int(r.fields["packets"]) for r in flows) == 20
    assert {r.fields["delay_mean_ms"] for r in flows} == {5.0}
    assert {r.fields["bytes"] for r in flows} == {200}
    assert network.nodes["gateway-1"].counters()["readings"] == 20


def test_windows_are_whole_seconds_from_the_start_of_the_run() -> None:
    network = Network({"gateway-1": ("gateway", {}), "sensor-1": ("sensor", SENSOR)}, t0_ns=123_456_789)
    network.run(3.5)
    times = [(r.t_ns - 123_456_789) / 1e9 for r in records(network, "gateway-1", "node")]
    assert times == [1.0, 2.0, 3.0]


def test_the_same_seed_gives_the_same_traffic_and_another_one_another() -> None:
    def traffic(seed: int) -> list[tuple[int, int]]:
        sent: list[tuple[int, int]] = []

        def travel(header: Header, now_ns: int) -> int:
            sent.append((now_ns, header.kind))
            return 5 * MS

        config = OFFLOADING | SENSOR | {"seed": seed, "task_megacycles": [100, 1400]}
        network = Network(
            {"gateway-1": ("gateway", {}), "edge-1": ("edge", {}), "sensor-1": ("sensor", config)}, travel
        )
        network.run(10)
        return sent

    assert traffic(1) == traffic(1)
    assert traffic(1) != traffic(2)


def test_sensors_of_the_same_seed_are_out_of_step() -> None:
    network = Network(
        {"gateway-1": ("gateway", {}), "sensor-1": ("sensor", SENSOR), "sensor-2": ("sensor", SENSOR)}
    )
    network.run(1.2)
    first = {r.tags["source"]: r.fields["age_s"] for r in records(network, "gateway-1", "flow")}
    assert len(set(first.values())) == 2


def test_an_offloaded_task_takes_upload_service_and_answer() -> None:
    network = Network({"edge-1": ("edge", {"service_rate_mhz": 3000}), "sensor-1": ("sensor", OFFLOADING)})
    network.run(10)
    offloads, tasks = records(network, "sensor-1", "offload"), records(network, "edge-1", "task")
    assert len(offloads) == len(tasks) == 5
    assert all(r.fields["ok"] for r in offloads)
    assert offloads[0].tags == {"node": "sensor-1", "server": "edge-1"}
    assert tasks[0].tags == {"node": "edge-1", "client": "sensor-1"}
    assert tasks[0].fields["service_s"] == pytest.approx(0.2)
    # 42 fragments in a window that grows from 4: five flights up, one for the answer, 5 ms each.
    assert offloads[0].fields["latency_s"] == pytest.approx(0.2 + 0.05, abs=0.02)


def test_tasks_survive_losses_of_every_kind() -> None:
    travel = lossy(4, wire.TASK, wire.RESULT, wire.ACK)
    network = Network({"edge-1": ("edge", {}), "sensor-1": ("sensor", OFFLOADING)}, travel)
    network.run(20)
    network.quiesce()
    network.run(30)
    offloads = records(network, "sensor-1", "offload")
    assert len(offloads) == 10
    assert all(r.fields["ok"] for r in offloads)
    assert sum(int(r.fields["retransmissions"]) for r in offloads) > 0
    assert network.nodes["edge-1"].counters()["tasks"] == 10


def test_a_dead_server_is_a_failure_by_name() -> None:
    network = Network(
        {"edge-1": ("edge", {}), "sensor-1": ("sensor", OFFLOADING | {"task_timeout_s": 5})},
        lossy(1, wire.TASK),
    )
    network.run(8)
    offloads = records(network, "sensor-1", "offload")
    assert offloads
    assert {(r.fields["ok"], r.fields["cause"]) for r in offloads} == {(False, "timeout")}


def test_an_overloaded_server_refuses() -> None:
    config = OFFLOADING | {"task_interval_s": 0.05}
    network = Network({"edge-1": ("edge", {"queue_tasks": 2}), "sensor-1": ("sensor", config)})
    network.run(2)
    causes = {r.fields.get("cause") for r in records(network, "sensor-1", "offload")}
    assert causes == {None, "refused"}
    assert network.nodes["edge-1"].counters()["refused"] > 0


def test_a_slowed_server_shows_it_in_its_service_times_only() -> None:
    network = Network({"edge-1": ("edge", {"service_rate_mhz": 3000}), "sensor-1": ("sensor", OFFLOADING)})
    network.run(4)
    assert network.nodes["edge-1"].role.on_command("set_speed", {"factor": 0.5}) == "speed factor 1 -> 0.5"
    network.run(4)
    times = [round(float(r.fields["service_s"]), 6) for r in records(network, "edge-1", "task")]
    assert times == [0.2, 0.2, 0.4, 0.4]
    told = {key for r in network.nodes["edge-1"].records for key in r.fields}
    assert not {key for key in told if "speed" in key or "factor" in key or "rate" in key}


@pytest.mark.parametrize("factor", [0, -1, "fast", True, None])
def test_a_senseless_speed_is_refused(factor: object) -> None:
    network = Network({"edge-1": ("edge", {})})
    with pytest.raises(CommandError, match=r"factor = .* must be a number"):
        network.nodes["edge-1"].role.on_command("set_speed", {"factor": factor})


def test_a_relay_sends_on_and_the_receiver_sees_the_whole_way() -> None:
    network = Network(
        {
            "gateway-1": ("gateway", {}),
            "relay-1": ("relay", {}),
            "sensor-1": ("sensor", SENSOR | {"via": "relay-1"}),
        }
    )
    network.run(10.2)
    flow = records(network, "gateway-1", "flow", source="sensor-1")[0]
    assert flow.fields["delay_mean_ms"] == 10.0
    assert flow.fields["lost"] == 0
    assert network.nodes["relay-1"].counters()["forwarded"] == 20
    assert (
        network.nodes["relay-1"].counters()["sent"] == network.nodes["relay-1"].counters()["received"] == 20
    )


def test_a_relay_that_cannot_send_keeps_and_then_drops() -> None:
    network = Network(
        {
            "gateway-1": ("gateway", {}),
            "relay-1": ("relay", {"queue_packets": 3}),
            "sensor-1": ("sensor", SENSOR | {"via": "relay-1"}),
        }
    )
    relay = network.nodes["relay-1"]
    working, relay._transmit = relay._transmit, lambda frame: False
    network.run(5.2)
    assert relay.counters()["waiting"] == 3
    assert relay.counters()["dropped"] == 7
    relay._transmit = working
    network.run(0.2)
    assert relay.counters()["waiting"] == 0
    # And perhaps a reading of these last 0.2 s.
    assert network.nodes["gateway-1"].counters()["readings"] == relay.counters()["forwarded"] >= 3


PUBLISHING = {"broker": "broker-1", "topic": "rain", "reading_interval_s": 0.5, "seed": 1}
SUBSCRIBED = {"broker": "broker-1", "topics": ["rain"], "subscribe_interval_s": 2.0}


def test_a_broker_hands_publications_to_their_subscriber() -> None:
    network = Network(
        {
            "broker-1": ("broker", {}),
            "gateway-1": ("gateway", SUBSCRIBED),
            "sensor-1": ("sensor", PUBLISHING),
        }
    )
    network.run(10.2)
    assert network.nodes["gateway-1"].counters()["publications"] == 20
    flow = records(network, "gateway-1", "flow", source="sensor-1", flow="publish:rain")[0]
    assert flow.fields["delay_mean_ms"] == 10.0
    assert network.nodes["broker-1"].counters()["stored"] == 0


def test_a_broker_keeps_what_a_subscriber_out_of_view_misses() -> None:
    def travel(header: Header, now_ns: int) -> int | None:
        away = 10 <= (now_ns / 1e9 - 1) < 60
        gateway = 2 in (header.src, header.dst)
        return None if away and gateway else 5 * MS

    network = Network(
        {
            "broker-1": ("broker", {}),
            "gateway-1": ("gateway", SUBSCRIBED),
            "sensor-1": ("sensor", PUBLISHING),
        },
        travel,
    )
    network.run(59.9)
    assert network.nodes["gateway-1"].counters()["publications"] == 20
    assert network.nodes["broker-1"].counters()["stored"] > 90
    network.run(20.3)
    counters = network.nodes["gateway-1"].counters()
    assert counters["publications"] == network.nodes["broker-1"].counters()["published"] == 160
    assert network.nodes["broker-1"].counters()["stored"] == 0


def test_a_broker_s_store_is_bounded() -> None:
    network = Network({"broker-1": ("broker", {"store_messages": 5}), "sensor-1": ("sensor", PUBLISHING)})
    network.run(10.2)
    counters = network.nodes["broker-1"].counters()
    assert (counters["published"], counters["stored"], counters["dropped"]) == (20, 5, 15)


def test_a_probe_measures_round_trips_and_throughput() -> None:
    config = {"target": "gateway-1", "ping_interval_s": 0.1, "bulk_interval_s": 5.0, "bulk_kbytes": 100}
    network = Network({"gateway-1": ("gateway", {}), "probe-1": (Probe, config)}, lossy(10, wire.PING))
    network.run(10.05)
    network.quiesce()
    network.run(5)
    pings = records(network, "probe-1", "ping")
    assert {r.fields["rtt_mean_ms"] for r in pings if r.samples} == {10.0}
    assert sum(int(r.fields["sent"]) for r in pings) == 100
    assert sum(int(r.fields["answered"]) for r in pings) == 90
    bulks = records(network, "probe-1", "bulk", target="gateway-1")
    assert [r.fields["ok"] for r in bulks] == [True, True]
    # 84 packets on their way there and back in windows of at most 32: at least three round trips.
    assert 8e5 / 1.0 < float(bulks[0].fields["throughput_bps"]) <= 8e5 / 0.03


@pytest.mark.parametrize(
    ("role", "config", "text"),
    [
        ("sensor", {}, "n: readings need a sink or a broker"),
        ("sensor", {"sink": "x"}, r"n: sink 'x' is not in this run \(known: n\)"),
        ("sensor", {"sink": "n", "reading_interval_s": "1"}, "n: reading_interval_s = '1' must be a number"),
        ("sensor", {"sink": "n", "task_interval_s": 1}, "n: task_interval_s is set, so servers must name"),
        (
            "sensor",
            {"sink": "n", "task_megacycles": [2, 1]},
            r"n: task_megacycles = \[2, 1\] must be \[low, high\]",
        ),
        ("edge", {"service_rate_mhz": 0}, "n: service_rate_mhz = 0 must be a number from 0.001"),
        ("gateway", {"broker": "n"}, "n: broker is set, so topics must name"),
        ("probe", {}, "n: a probe needs a target"),
        ("broker", {"store_messages": 0}, "n: store_messages = 0 must be a number from 1"),
    ],
)
def test_bad_configuration_is_one_precise_sentence(role: str, config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Network({"n": (role, config)})


def test_garbage_from_the_network_is_counted() -> None:
    network = Network({"gateway-1": ("gateway", {})})
    node = network.nodes["gateway-1"]
    node.receive(b"garbage")
    node.receive(wire.pack(Header(wire.DATA, 9, 77)))
    node.receive(wire.pack(Header(wire.PUBLISH, 9, node.port), b"\xff"))
    node.receive(wire.pack(Header(200, 9, node.port)))
    counters = node.counters()
    assert (counters["malformed"], counters["misrouted"], counters["misdirected"]) == (1, 1, 2)
