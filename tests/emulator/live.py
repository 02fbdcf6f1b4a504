"""A channel of a few hops over real sockets, for tests: its peers, and what became of their packets."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

import numpy as np
import zmq

from emulator.dataplane.channel import Channel
from emulator.epochs import LinkUpdates, RecordedTable
from emulator.hoplog import drain_log
from emulator.links.model import LinkModel, ModelSet
from nodes import wire
from tests.emulator.chain import LEFT, MS, RIGHT, chain, table

#: long, for where kernels are compiled first
WAIT_MS = 120_000


def packet(number: int, destination: int = RIGHT, payload: bytes = b"x" * 16, **more: int) -> bytes:
    """A packet from LEFT."""
    return wire.pack(wire.Header(wire.DATA, LEFT, destination, number=number, **more), payload)


def now_packet(number: int, payload: bytes = b"x" * 16, **more: int) -> bytes:
    """A packet from LEFT that tells when it is sent."""
    return packet(number, payload=payload, sent_ns=time.monotonic_ns(), flags=wire.FLAG_HOST_CLOCK, **more)


class Live:
    """A running channel with a table in force, and sockets for its two ports. Use as a context manager."""

    def __init__(
        self,
        *models: LinkModel,
        places: int = 3,
        endpoint: Any = "tcp://127.0.0.1:*",
        options: dict[str, Any] | None = None,
        sizes: dict[str, int] | None = None,
        **columns: Any,
    ) -> None:
        made: dict[str, Any] = {"models": ModelSet(models), **(sizes or {})}
        self.net = chain(places, **made)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.channel = Channel(
            self.net, endpoint, context=self.context if "inproc" in str(endpoint) else None, **(options or {})
        )
        self.updates = LinkUpdates(self.net, [f"place-{n}" for n in range(places)], 1)
        self.tables: list[RecordedTable] = []
        self.places = places
        self.columns: dict[str, Any] = {
            "rate_bps": 1e8,
            "delay_ns": 2 * MS,
            "model": int(bool(models)),
        } | columns
        self.post(0)
        self.channel.start()

    def post(self, time_ns: int, **columns: Any) -> None:
        """Post a table of all links, in force at `time_ns`."""
        self.tables.append(self.updates.post(time_ns, table(self.places, **(self.columns | columns))))

    def connect(self, port: int, endpoint: str = "", **options: int) -> zmq.Socket[bytes]:
        """A socket that is a port's, known to the channel."""
        socket = self.context.socket(zmq.DEALER)
        socket.set(zmq.ROUTING_ID, wire.routing_id(port))
        socket.set(zmq.LINGER, 0)
        for name, value in options.items():
            socket.set(getattr(zmq, name), value)
        socket.connect(endpoint or self.channel.endpoint)
        socket.send(wire.pack(wire.Header(wire.HELLO, port, wire.CHANNEL_PORT)))
        assert socket.poll(WAIT_MS), "the channel echoes a hello"
        socket.recv()
        return socket

    def wait(self, ingress: int) -> dict[str, Any]:
        """Wait until `ingress` packets have come and none is under way; the counters."""
        deadline = time.monotonic() + WAIT_MS / 1e3
        while time.monotonic() < deadline:
            counters = self.channel.counters()
            if counters["ingress"] >= ingress and counters["in_flight"] == 0:
                break
            time.sleep(0.002)
        return self.channel.counters()

    def settle(self, ingress: int) -> dict[str, int]:
        """`wait`, then stop; the fates that occurred, whose sum is exact."""
        self.wait(ingress)
        self.channel.stop()
        counters = self.channel.counters()
        named = {name: count for name, count in counters["fates"].items() if count}
        came = counters["ingress"] + counters["copied"]
        assert came == counters["delivered"] + sum(named.values()) + counters["in_flight"]
        return named | {"delivered": counters["delivered"]}

    def hops(self) -> np.ndarray[Any, Any]:
        """Every packet-hop so far that was not taken before."""
        return drain_log(self.net)

    def close(self) -> None:
        self.channel.stop()
        self.context.destroy(linger=0)

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def receive(socket: zmq.Socket[bytes], count: int) -> list[bytes]:
    """The next `count` messages."""
    got: list[bytes] = []
    for _ in range(count):
        assert socket.poll(WAIT_MS), f"{count} messages were to come, {len(got)} have"
        got.append(socket.recv())
    return got


def receive_all(socket: zmq.Socket[bytes], quiet_ms: int = 300) -> list[bytes]:
    """Messages until none comes for a while; for what is handed over already."""
    got = []
    while socket.poll(quiet_ms):
        got.append(socket.recv())
    return got
