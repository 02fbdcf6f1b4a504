"""What can go wrong around the channel: each has its outcome, and the books hold."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from emulator.dataplane.channel import LARGEST_MESSAGE
from nodes import wire
from tests.emulator.chain import LEFT, MS, RIGHT
from tests.emulator.live import WAIT_MS, Live, packet, receive, receive_all

#: fast and roomy, so that only what a test is about gives
WIDE: dict[str, Any] = {"queue_packets": 100_000, "queue_bytes": 1 << 40, "rate_bps": 1e12, "delay_ns": 1000}


@pytest.fixture
def live() -> Iterator[Live]:
    with Live() as made:
        yield made


# --- destinations -----------------------------------------------------------------------------


def test_a_destination_that_is_not_connected_is_named(live: Live) -> None:
    left = live.connect(LEFT)
    left.send(packet(0))
    assert live.settle(1) == {"peer_gone": 1, "delivered": 0}


def test_a_destination_that_left_is_named(live: Live) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT)
    left.send(packet(0))
    receive(right, 1)
    right.close(0)
    sent = 1
    deadline = time.monotonic() + WAIT_MS / 1e3
    while live.channel.counters()["fates"]["peer_gone"] == 0 and time.monotonic() < deadline:
        left.send(packet(sent))
        sent += 1
        time.sleep(0.01)
    assert live.settle(sent)["peer_gone"] >= 1


@pytest.mark.parametrize("destination", [5, 7, 8, 4_000_000_000])
def test_a_destination_nobody_holds_is_named(live: Live, destination: int) -> None:
    left = live.connect(LEFT)
    left.send(packet(0, destination=destination))
    assert live.settle(1) == {"unknown_destination": 1, "delivered": 0}


def test_a_port_that_vanishes_takes_what_is_under_way_with_it() -> None:
    with Live(delay_ns=150 * MS) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        for number in range(10):
            left.send(packet(number))
        deadline = time.monotonic() + WAIT_MS / 1e3
        while live.channel.counters()["ingress"] < 10 and time.monotonic() < deadline:
            time.sleep(0.001)
        live.channel.remove_port(RIGHT)
        left.send(packet(10))
        right.send(wire.pack(wire.Header(wire.DATA, RIGHT, LEFT)))
        assert live.settle(11) == {"no_route": 10, "unknown_destination": 1, "delivered": 0}
        assert live.channel.counters()["unknown_peers"] == 1


def test_a_port_that_comes_back_is_served_again(live: Live) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT)
    live.channel.remove_port(RIGHT)
    left.send(packet(0))
    live.wait(1)
    live.channel.add_port(RIGHT, 2, 1)
    left.send(packet(1))
    assert receive(right, 1) == [packet(1)]
    assert live.settle(2) == {"unknown_destination": 1, "delivered": 1}


# --- identities -------------------------------------------------------------------------------


def test_a_node_that_comes_back_takes_its_port_over(live: Live) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT)
    again = live.connect(RIGHT)
    left.send(packet(0))
    assert receive(again, 1) == [packet(0)]
    assert not right.poll(0)


@pytest.mark.parametrize(
    "identity",
    [None, b"\x01abc", b"\x02" + LEFT.to_bytes(4, "little"), wire.routing_id(5), wire.routing_id(0xFFFFFFFF),
     wire.routing_id(wire.CHANNEL_PORT), b"\x01" + bytes(200)],
    ids=["libzmq's own", "too short", "other mark", "nobody's", "beyond all", "the channel's", "too long"],
)  # fmt: skip
def test_an_identity_that_is_no_port_does_not_get_in(live: Live, identity: bytes | None) -> None:
    stranger = live.context.socket(zmq.DEALER)
    stranger.set(zmq.LINGER, 0)
    if identity is not None:
        stranger.set(zmq.ROUTING_ID, identity)
    stranger.connect(live.channel.endpoint)
    stranger.send(packet(0))
    deadline = time.monotonic() + WAIT_MS / 1e3
    while live.channel.counters()["unknown_peers"] == 0 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert live.channel.counters()["unknown_peers"] == 1
    assert live.settle(0) == {"delivered": 0}


# --- messages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [b"", b"short", packet(0)[:47], b"\0\0" + packet(0)[2:], packet(0)[:2] + b"\x09" + packet(0)[3:],
     packet(0, payload=bytes(wire.MAX_PACKET_BYTES)), bytes(LARGEST_MESSAGE)],
    ids=["empty", "garbage", "truncated", "wrong magic", "other version", "too long", "largest message"],
)  # fmt: skip
def test_what_is_not_a_packet_is_counted_as_malformed_and_the_next_is_fine(live: Live, frame: bytes) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT)
    left.send(frame)
    left.send(packet(1))
    assert receive(right, 1) == [packet(1)]
    assert live.settle(2) == {"malformed": 1, "delivered": 1}


@pytest.mark.parametrize("frames", [2, 3, 1_000])
def test_a_message_of_several_frames_is_malformed_and_the_next_is_fine(live: Live, frames: int) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT)
    left.send_multipart([packet(0)] + [b"more"] * (frames - 1))
    left.send(packet(1))
    assert receive(right, 1) == [packet(1)]
    assert live.settle(2) == {"malformed": 1, "delivered": 1}


def test_who_sends_more_than_any_message_may_have_is_cut_off_and_nobody_else(live: Live) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT)
    other = live.connect(LEFT)
    right.send(bytes(LARGEST_MESSAGE + 1))
    # libzmq ends the connection, the peer comes back by itself.
    sent = 0
    deadline = time.monotonic() + WAIT_MS / 1e3
    while not right.poll(5) and time.monotonic() < deadline:
        other.send(packet(sent))
        sent += 1
    assert receive(right, 1)
    assert live.wait(sent)["fates"]["malformed"] == 0
    left.close(0)


# --- too much ---------------------------------------------------------------------------------


def test_a_peer_that_does_not_read_loses_packets_under_that_name() -> None:
    with Live(**WIDE) as live:
        left, right = live.connect(LEFT, SNDHWM=0), live.connect(RIGHT, RCVHWM=1)
        payload = bytes(8000)
        # Past the socket's own queues and the kernel's buffers something must give, and be counted.
        sent = 0
        while live.channel.counters()["fates"]["peer_full"] == 0 and sent < 60_000:
            for _ in range(500):
                left.send(packet(sent, payload=payload))
                sent += 1
            time.sleep(0.02)
        named = live.settle(sent)
        assert named["peer_full"] > 0
        assert named["delivered"] + named["peer_full"] + named.get("no_buffer", 0) == sent
        assert right.poll(0)


def test_others_are_served_while_a_peer_does_not_read() -> None:
    with Live(**WIDE) as live:
        left, right = live.connect(LEFT, SNDHWM=0), live.connect(RIGHT, RCVHWM=1)
        sent = 0
        while live.channel.counters()["fates"]["peer_full"] == 0 and sent < 60_000:
            for _ in range(500):
                left.send(packet(sent, payload=bytes(8000)))
                sent += 1
            live.wait(sent)
        right.send(wire.pack(wire.Header(wire.DATA, RIGHT, LEFT, number=9)))
        assert wire.unpack(receive(left, 1)[0])[0].number == 9


def test_a_flood_fills_the_link_and_is_dropped_there_by_name() -> None:
    with Live(rate_bps=1e6, queue_packets=20) as live:
        left = live.connect(LEFT, SNDHWM=0)
        right = live.connect(RIGHT)
        for number in range(5_000):
            left.send(packet(number))
        named = live.settle(5_000)
        assert set(named) == {"queue_full", "delivered"}
        numbers = [wire.unpack(frame)[0].number for frame in receive_all(right)]
        assert numbers == sorted(numbers)


def test_a_flood_into_a_network_without_free_slots_is_dropped_by_name() -> None:
    with Live(**(WIDE | {"delay_ns": 300 * MS}), sizes={"slots": 64}) as live:
        left = live.connect(LEFT, SNDHWM=0)
        right = live.connect(RIGHT)
        for number in range(1_000):
            left.send(packet(number))
        got = receive(right, 64)
        assert live.settle(1_000) == {"no_buffer": 936, "delivered": 64}
        assert [wire.unpack(frame)[0].number for frame in got] == list(range(64))


def test_two_who_flood_both_get_through() -> None:
    with Live(**WIDE) as live:
        left, right = live.connect(LEFT, SNDHWM=0, RCVHWM=0), live.connect(RIGHT, SNDHWM=0, RCVHWM=0)
        for number in range(3_000):
            left.send(packet(number))
            right.send(wire.pack(wire.Header(wire.DATA, RIGHT, LEFT, number=number)))
        assert len(receive(left, 3_000)) == len(receive(right, 3_000)) == 3_000
        assert live.settle(6_000) == {"delivered": 6_000}


def test_a_log_nobody_empties_loses_records_and_no_packet() -> None:
    with Live(**WIDE, sizes={"log": 64}) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        for number in range(500):
            left.send(packet(number))
        assert len(receive(right, 500)) == 500
        assert live.settle(500) == {"delivered": 500}
        assert len(live.hops()) == 64
        # two hops each
        assert live.channel.counters()["log_overflow"] == 1_000 - 64


def test_a_hello_from_a_peer_that_does_not_read_holds_up_nobody(live: Live) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT, RCVHWM=1)
    hello = wire.pack(wire.Header(wire.HELLO, RIGHT, wire.CHANNEL_PORT), bytes(8_000))
    for _ in range(3_000):
        right.send(hello)
    left.send(packet(0))
    live.wait(1)
    assert re.match(r"tcp://127\.0\.0\.1:\d+", live.channel.endpoint)
    assert live.channel.counters()["ingress"] == 1
