"""The real-time channel over real sockets: what goes in comes out when due, whatever the transport."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from emulator.accounting import DELIVERED
from emulator.dataplane.channel import Channel, ChannelError
from emulator.links.model import Faults, LinkModel
from emulator.links.state import COPY, CORRUPT
from nodes import wire
from tests.emulator.chain import LEFT, MS, RIGHT, chain
from tests.emulator.live import Live, now_packet, packet, receive

Endpoint = Callable[[], Any]


@pytest.fixture
def live() -> Iterator[Live]:
    with Live() as made:
        yield made


@pytest.fixture(params=["tcp", "ipc", "inproc"])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {"tcp": "tcp://127.0.0.1:*", "ipc": f"ipc://{tmp_path}/channel", "inproc": "inproc://channel"}[
        request.param
    ]


def test_packets_arrive_unchanged_in_order_and_not_before_they_are_due(endpoint: str) -> None:
    with Live(endpoint=endpoint) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        sent = [now_packet(n, payload=b"reading %d" % n) for n in range(50)]
        for frame in sent:
            left.send(frame)
        assert receive(right, 50) == sent
        assert live.settle(50) == {"delivered": 50}
        hops = live.hops()
    last = hops[hops["fate"] == DELIVERED]
    assert (last["actual_ns"] >= last["due_ns"]).all()
    assert (last["due_ns"] - last["ingress_ns"] >= 4 * MS).all()
    sent_ns = [wire.unpack(frame)[0].sent_ns for frame in sent]
    assert (last["ingress_ns"] >= sent_ns).all(), "nothing enters before it was sent"
    assert bytes(last["header"][0]) == sent[0][: wire.HEADER_BYTES]


@pytest.mark.parametrize("size", [wire.HEADER_BYTES, 64, 1_500, wire.MAX_PACKET_BYTES])
def test_packets_of_every_size_arrive_whole(endpoint: str, size: int) -> None:
    payload = bytes(n * 7 & 0xFF for n in range(size - wire.HEADER_BYTES))
    with Live(endpoint=endpoint) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        sent = [packet(n, payload=payload) for n in range(5)]
        for frame in sent:
            left.send(frame)
        assert receive(right, 5) == sent


def test_both_ports_can_be_senders(endpoint: str) -> None:
    with Live(endpoint=endpoint) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        for number in range(20):
            left.send(packet(number))
            right.send(wire.pack(wire.Header(wire.DATA, RIGHT, LEFT, number=number)))
        numbers = [[wire.unpack(frame)[0].number for frame in receive(one, 20)] for one in (left, right)]
    assert numbers == [list(range(20))] * 2


def test_one_channel_can_be_reached_over_several_transports_at_once(tmp_path: Path) -> None:
    with Live(endpoint=["tcp://127.0.0.1:*", f"ipc://{tmp_path}/channel", "inproc://several"]) as live:
        tcp, ipc, inproc = live.channel.endpoints
        assert (live.channel.endpoint, ipc, inproc) == (tcp, f"ipc://{tmp_path}/channel", "inproc://several")
        for one, other in ((tcp, ipc), (ipc, inproc), (inproc, tcp)):
            left, right = live.connect(LEFT, one), live.connect(RIGHT, other)
            left.send(packet(7))
            assert receive(right, 1) == [packet(7)]
            left.close(0)
            right.close(0)


def test_inproc_needs_the_context_of_its_peers() -> None:
    with pytest.raises(ChannelError, match=r"context=\.\.\. is missing"):
        Channel(chain(), "inproc://channel")


def test_a_context_that_was_given_is_not_ended() -> None:
    with zmq.Context() as context:
        with Channel(chain(), "inproc://kept", context=context):
            pass
        assert not context.closed
        context.socket(zmq.PAIR).close(0)


def test_endpoints_and_settings_that_cannot_be_are_one_sentence() -> None:
    with pytest.raises(ChannelError, match="at least one is needed"):
        Channel(chain(), [])
    with pytest.raises(ChannelError, match="'fast' is not known; spin, balanced, economical are"):
        Channel(chain(), latency="fast")


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:*", "tcp://192.0.2.1:5555", "udp://127.0.0.1:1"])
def test_only_loopback_is_bound(endpoint: str) -> None:
    with pytest.raises(ChannelError, match="loopback"):
        Channel(chain(), endpoint)


def test_a_port_in_use_is_one_sentence(live: Live) -> None:
    with pytest.raises(ChannelError, match="cannot be bound: Address already in use"):
        Channel(chain(), live.channel.endpoint)


@pytest.mark.parametrize("latency", ["spin", "balanced", "economical"])
def test_every_setting_of_latency_delivers_and_ends(latency: str) -> None:
    with Live(options={"latency": latency}) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        for number in range(80):
            left.send(packet(number))
        assert len(receive(right, 80)) == 80
        assert live.settle(80) == {"delivered": 80}
        assert live.channel.turns()["turns"] > 0
        assert (live.channel.turns()["sleeps"] == 0) == (latency == "spin")


def test_a_packet_with_via_goes_there_first(live: Live) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT)
    left.send(packet(0, destination=LEFT, via=RIGHT))
    header, _ = wire.unpack(receive(right, 1)[0])
    assert (header.dst, header.via) == (LEFT, RIGHT)


def test_a_packet_to_its_own_place_comes_at_once(live: Live) -> None:
    left = live.connect(LEFT)
    left.send(packet(0, destination=LEFT))
    assert receive(left, 1) == [packet(0, destination=LEFT)]
    assert live.settle(1) == {"delivered": 1}


# --- duplicates and damage --------------------------------------------------------------------


@pytest.mark.parametrize("size", [wire.HEADER_BYTES, 200, 20_000])
def test_duplicates_carry_what_their_originals_carry(size: int) -> None:
    payload = bytes(n * 5 & 0xFF for n in range(size - wire.HEADER_BYTES))
    with Live(LinkModel("twice", faults=Faults(duplicate=1.0)), places=2) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        sent = [packet(n, payload=payload) for n in range(10)]
        for frame in sent:
            left.send(frame)
        assert receive(right, 20) == [frame for frame in sent for _ in range(2)]
        assert live.settle(10) == {"delivered": 20}
        assert live.channel.counters()["copied"] == 10
        assert (live.hops()["marks"] & COPY != 0).sum() == 10


def test_a_damaged_packet_differs_in_one_bit_of_its_payload() -> None:
    with Live(LinkModel("damaging", faults=Faults(corrupt=1.0)), places=2) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        sent = [packet(n, payload=bytes(100)) for n in range(40)]
        for frame in sent:
            left.send(frame)
        got = receive(right, 40)
        assert live.settle(40) == {"delivered": 40}
        assert live.channel.counters()["damaged"] == 40
        assert (live.hops()["marks"] & CORRUPT != 0).all()
    flipped = [
        int.from_bytes(a, "little") ^ int.from_bytes(b, "little") for a, b in zip(sent, got, strict=True)
    ]
    places = [word.bit_length() - 1 for word in flipped]
    assert all(word.bit_count() == 1 for word in flipped)
    assert min(places) >= 8 * wire.HEADER_BYTES
    assert len(set(places)) > 20, "the bit differs from packet to packet"


def test_a_packet_without_payload_arrives_whole_though_marked() -> None:
    with Live(LinkModel("damaging", faults=Faults(corrupt=1.0)), places=2) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        left.send(packet(0, payload=b""))
        assert receive(right, 1) == [packet(0, payload=b"")]
        assert live.settle(1) == {"delivered": 1}
        assert live.hops()["marks"].tolist() == [CORRUPT]


def test_damage_to_a_packet_is_not_damage_to_its_duplicate() -> None:
    # The first hop duplicates, so both share content; on the second some of each are damaged.
    both = LinkModel("both", faults=Faults(duplicate=1.0, corrupt=0.5))
    with Live(both, places=2) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        sent = [packet(n, payload=bytes(2_000)) for n in range(100)]
        for frame in sent:
            left.send(frame)
        got = receive(right, 200)
        live.settle(100)
        hops = live.hops()
    damaged = {
        (int(hop["packet"]) & (1 << 40) - 1, bool(hop["marks"] & COPY)): bool(hop["marks"] & CORRUPT)
        for hop in hops
    }
    for index, frame in enumerate(got):
        number = wire.unpack(frame)[0].number
        bits = sum(octet.bit_count() for octet in frame[wire.HEADER_BYTES :])
        assert bits == int(damaged[number, index % 2 == 1]), "one bit where it says so, none elsewhere"


# --- tables and times -------------------------------------------------------------------------


def test_a_table_takes_effect_at_its_time(live: Live) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT)
    change_ns = time.monotonic_ns() + 200 * MS
    live.post(change_ns, delay_ns=5 * MS)
    number = 0
    while time.monotonic_ns() < change_ns + 50 * MS:
        left.send(packet(number))
        number += 1
        time.sleep(0.002)
    receive(right, number)
    live.settle(number)
    hops = live.hops()
    took = live.updates.took_effect_ns(1)
    assert took is not None
    assert took >= change_ns
    flight_ns = hops["due_ns"] - hops["in_ns"]
    first = hops[hops["hop"] == 0]
    before = first["in_ns"] + 1 * MS < took
    assert before.any()
    assert (~before).any()
    assert (flight_ns[hops["hop"] == 0][before] < 3 * MS).all()
    assert (flight_ns[hops["hop"] == 0][first["in_ns"] > took] >= 5 * MS).all()


def test_times_are_those_of_the_monotonic_clock(live: Live) -> None:
    # Which nobody can set: a step of the wall clock (CLOCK_REALTIME) reaches nothing in the loop.
    left, right = live.connect(LEFT), live.connect(RIGHT)
    before_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    left.send(packet(0))
    receive(right, 1)
    after_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    live.settle(1)
    hops = live.hops()
    for name in ("ingress_ns", "in_ns", "due_ns", "actual_ns"):
        assert (before_ns <= hops[name]).all()
        assert (hops[name] <= after_ns).all()
    started_ns = live.channel.first_packet_ns
    assert started_ns is not None
    assert before_ns <= started_ns <= after_ns
