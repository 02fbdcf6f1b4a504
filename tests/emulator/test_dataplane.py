"""The real-time channel over real sockets: delivery when due, misbehaving peers accounted by name."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import zmq

from emulator.dataplane.channel import Channel, ChannelError
from emulator.epochs import LinkUpdates
from emulator.hoplog import drain_log
from nodes import wire
from tests.emulator.chain import LEFT, MS, RIGHT, chain, table

#: long, for where kernels are compiled first
WAIT_MS = 120_000


class Bench:
    """A channel of two hops with a table in force, and sockets for its two ports."""

    def __init__(self, **columns: object) -> None:
        self.net = chain()
        self.channel = Channel(self.net)
        columns = {"rate_bps": 1e8, "delay_ns": 2 * MS} | columns
        LinkUpdates(self.net, ["a", "b", "c"], 1).post(0, table(**columns))
        self.context = zmq.Context()
        self.channel.start()

    def connect(self, port: int) -> zmq.Socket[bytes]:
        socket = self.context.socket(zmq.DEALER)
        socket.set(zmq.ROUTING_ID, wire.routing_id(port))
        socket.set(zmq.LINGER, 0)
        socket.connect(self.channel.endpoint)
        socket.send(wire.pack(wire.Header(wire.HELLO, port, wire.CHANNEL_PORT)))
        assert socket.poll(WAIT_MS), "the channel echoes a hello"
        socket.recv()
        return socket

    def settle(self, ingress: int) -> dict[str, int]:
        """Wait until `ingress` packets have come and none is under way; the fates that occurred."""
        deadline = time.monotonic() + WAIT_MS / 1e3
        while time.monotonic() < deadline:
            counters = self.channel.counters()
            if counters["ingress"] >= ingress and counters["in_flight"] == 0:
                break
            time.sleep(0.005)
        self.channel.stop()
        counters = self.channel.counters()
        named = {name: count for name, count in counters["fates"].items() if count}
        assert counters["ingress"] == counters["delivered"] + sum(named.values()) + counters["in_flight"]
        return named | {"delivered": counters["delivered"]}

    def close(self) -> None:
        self.channel.stop()
        self.context.destroy(linger=0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def packet(number: int, destination: int = RIGHT, payload: bytes = b"x" * 16, **more: int) -> bytes:
    return wire.pack(wire.Header(wire.DATA, LEFT, destination, number=number, **more), payload)


def test_packets_arrive_unchanged_in_order_and_not_before_they_are_due(bench: Bench) -> None:
    left, right = bench.connect(LEFT), bench.connect(RIGHT)
    sent = [packet(n, payload=b"reading %d" % n, sent_ns=time.monotonic_ns(), flags=1) for n in range(50)]
    for frame in sent:
        left.send(frame)
    got = []
    for _ in sent:
        assert right.poll(WAIT_MS)
        got.append(right.recv())
    assert got == sent
    assert bench.settle(50) == {"delivered": 50}
    hops = drain_log(bench.net)
    last = hops[hops["fate"] == 1]
    assert (last["actual_ns"] >= last["due_ns"]).all()
    assert (last["due_ns"] - last["ingress_ns"] >= 4 * MS).all()
    assert bytes(last["header"][0]) == sent[0][: wire.HEADER_BYTES]
    assert bench.channel.lateness_us()["count"] == 50
    assert bench.channel.delay_error_us()["count"] == 50


def test_a_packet_with_via_goes_there_first(bench: Bench) -> None:
    left, right = bench.connect(LEFT), bench.connect(RIGHT)
    left.send(packet(0, destination=LEFT, via=RIGHT))
    assert right.poll(WAIT_MS)
    header, _ = wire.unpack(right.recv())
    assert (header.dst, header.via) == (LEFT, RIGHT)


def test_a_destination_that_is_not_connected_is_named(bench: Bench) -> None:
    left = bench.connect(LEFT)
    left.send(packet(0))
    assert bench.settle(1) == {"peer_gone": 1, "delivered": 0}


def test_a_destination_that_left_is_named(bench: Bench) -> None:
    left, right = bench.connect(LEFT), bench.connect(RIGHT)
    left.send(packet(0))
    assert right.poll(WAIT_MS)
    right.close(0)
    sent = 1
    deadline = time.monotonic() + WAIT_MS / 1e3
    while bench.channel.counters()["fates"]["peer_gone"] == 0 and time.monotonic() < deadline:
        left.send(packet(sent))
        sent += 1
        time.sleep(0.01)
    assert bench.settle(sent)["peer_gone"] >= 1


def test_a_node_that_comes_back_takes_its_port_over(bench: Bench) -> None:
    left, right = bench.connect(LEFT), bench.connect(RIGHT)
    again = bench.connect(RIGHT)
    left.send(packet(0))
    assert again.poll(WAIT_MS)
    right.close(0)


@pytest.mark.parametrize(
    "frame",
    [b"", b"short", packet(0)[:47], b"\0\0" + packet(0)[2:], packet(0, payload=bytes(wire.MAX_PACKET_BYTES))],
    ids=["empty", "garbage", "truncated", "wrong magic", "too long"],
)
def test_what_is_not_a_packet_is_counted_as_malformed(bench: Bench, frame: bytes) -> None:
    left = bench.connect(LEFT)
    left.send(frame)
    assert bench.settle(1) == {"malformed": 1, "delivered": 0}


def test_a_message_of_several_frames_is_malformed_and_the_next_is_fine(bench: Bench) -> None:
    left, right = bench.connect(LEFT), bench.connect(RIGHT)
    left.send_multipart([packet(0), b"more", b"and more"])
    left.send(packet(1))
    assert right.poll(WAIT_MS)
    assert bench.settle(2) == {"malformed": 1, "delivered": 1}


def test_an_identity_that_is_no_port_does_not_get_in(bench: Bench) -> None:
    stranger = bench.context.socket(zmq.DEALER)
    stranger.set(zmq.LINGER, 0)
    stranger.connect(bench.channel.endpoint)
    stranger.send(packet(0))
    left = bench.connect(LEFT)
    left.send(packet(0, destination=5))
    assert bench.settle(1) == {"unknown_destination": 1, "delivered": 0}
    assert bench.channel.counters()["unknown_peers"] == 1


def test_a_peer_that_does_not_read_loses_packets_under_that_name() -> None:
    bench = Bench(queue_packets=100_000, queue_bytes=1 << 40, rate_bps=1e12, delay_ns=1000)
    try:
        left, right = bench.connect(LEFT), bench.connect(RIGHT)
        right.set(zmq.RCVHWM, 1)
        left.set(zmq.SNDHWM, 0)
        payload = bytes(8000)
        # Past the socket's own queues and the kernel's buffers something must give, and be counted.
        sent = 0
        while bench.channel.counters()["fates"]["peer_full"] == 0 and sent < 60_000:
            for _ in range(500):
                left.send(packet(sent, payload=payload))
                sent += 1
            time.sleep(0.02)
        named = bench.settle(sent)
        assert named["peer_full"] > 0
        assert named["delivered"] + named["peer_full"] + named.get("no_buffer", 0) == sent
    finally:
        bench.close()


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:*", "tcp://192.0.2.1:5555", "udp://127.0.0.1:1"])
def test_only_loopback_is_bound(endpoint: str) -> None:
    with pytest.raises(ChannelError, match="loopback"):
        Channel(chain(), endpoint)


def test_a_port_in_use_is_one_sentence(bench: Bench) -> None:
    with pytest.raises(ChannelError, match="cannot be bound: Address already in use"):
        Channel(chain(), bench.channel.endpoint)
