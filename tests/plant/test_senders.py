"""Senders of the plant's own, on a virtual clock: what a flood offers, and what an impostor claims."""

from __future__ import annotations

from typing import Any

import pytest

from nodes import wire
from nodes.inprocess import Network
from nodes.node import CommandError
from nodes.wire import Header
from testbed.plant.senders import FLOOD_BYTES, LIE, FloodSender, Impostor

MS = 1_000_000
SENSOR = {"sink": "gateway-1", "reading_interval_s": 0.25, "seed": 1}
CLAIM = {
    "victim": "sensor-1", "sink": "gateway-1", "via": "", "interval_s": 0.25, "bytes": 64, "topic": "",
    "traffic_class": 1,
}  # fmt: skip


class Watched:
    """A network with a sensor, its gateway and one hidden sender, and what crossed it."""

    def __init__(self, role: Any, settings: dict[str, Any], **more: tuple[Any, dict[str, Any]]) -> None:
        self.sent: list[tuple[Header, int]] = []
        self.network = Network(
            {
                "gateway-1": ("gateway", {}),
                "sensor-1": ("sensor", SENSOR),
                **more,
                "hidden-1": (role, settings),
            },
            self._travel,
        )
        self.hidden = self.network.nodes["hidden-1"]

    def _travel(self, header: Header, now_ns: int) -> int:
        self.sent.append((header, now_ns))
        return 5 * MS

    def order(self, name: str) -> None:
        self.hidden.role.on_command(name, {})

    def flows(self) -> list[wire.Record]:
        """What the gateway tells of the sensor's readings."""
        records = self.network.nodes["gateway-1"].records
        return [r for r in records if r.measurement == "flow" and r.tags["source"] == "sensor-1"]


@pytest.mark.parametrize("rate_mbps", [0.002, 0.5, 20.0])
def test_a_flood_offers_its_rate_between_begin_and_end(rate_mbps: float) -> None:
    watched = Watched(FloodSender, {"target": "gateway-1", "rate_mbps": rate_mbps})
    watched.network.run(2.0)
    assert watched.hidden.sent == 0
    watched.order("begin")
    watched.network.run(20.0)
    packets = watched.hidden.sent
    assert packets == pytest.approx(20.0 * rate_mbps * 1e6 / (8 * FLOOD_BYTES), rel=0.01, abs=1)
    watched.order("end")
    watched.network.run(5.0)
    assert watched.hidden.sent == packets


def test_an_impostor_claims_numbers_that_were_used_and_values_that_lie_elsewhere() -> None:
    watched = Watched(Impostor, CLAIM)
    watched.network.run(10.1)
    assert sum(int(r.fields["repeated"]) for r in watched.flows()) == 0
    honest = [float(r.fields["value_mean"]) for r in watched.flows()]
    watched.order("begin")
    watched.network.run(10.0)
    late = watched.flows()[-8:]
    assert {r.fields["repeated"] for r in late} == {4}
    assert {r.fields["lost"] for r in late} == {0}
    assert all(float(r.fields["value_sd"]) > LIE / 3 for r in late)
    # half of them lie, by so much; the wave itself moves by less meanwhile
    assert abs(float(late[0].fields["value_mean"]) - honest[-1] - LIE / 2) < 2.0
    victim = watched.network.nodes["sensor-1"]
    on_the_way = watched.network.nodes["gateway-1"].received - victim.sent - watched.hidden.sent
    assert -1 <= on_the_way <= 0


def test_an_impostor_s_packets_bear_the_other_s_name_and_class_and_their_own_numbers() -> None:
    watched = Watched(Impostor, CLAIM)
    watched.network.run(3.0)
    watched.sent.clear()
    watched.order("begin")
    watched.network.run(3.0)
    claimed = [header for header, _ in watched.sent if header.traffic_class == 1]
    assert [header.number for header in claimed] == list(range(1, len(claimed) + 1))
    assert {header.src for header in claimed} == {watched.network.nodes["sensor-1"].port}
    assert {header.kind for header in claimed} == {wire.DATA}


def test_an_impostor_takes_the_same_relay_and_the_same_broker_as_the_node() -> None:
    relayed = Watched(Impostor, CLAIM | {"via": "relay-1"}, **{"relay-1": ("relay", {})})
    relayed.order("begin")
    relayed.network.run(3.0)
    relayed.order("end")
    relayed.network.run(1.0)
    assert relayed.network.nodes["relay-1"].role.counters()["forwarded"] == relayed.hidden.sent > 5
    published = Watched(
        Impostor, CLAIM | {"sink": "broker-1", "topic": "readings"}, **{"broker-1": ("broker", {})}
    )
    published.order("begin")
    published.network.run(3.0)
    published.order("end")
    published.network.run(1.0)
    assert published.network.nodes["broker-1"].role.counters()["published"] == published.hidden.sent > 5


def test_a_hidden_sender_is_quiet_when_the_run_ends_and_knows_no_other_command() -> None:
    watched = Watched(Impostor, CLAIM)
    watched.order("begin")
    watched.network.quiesce()
    watched.order("begin")
    watched.network.run(3.0)
    assert watched.hidden.sent == 0
    with pytest.raises(CommandError, match="knows begin and end, not 'pace'"):
        watched.hidden.role.on_command("pace", {})
