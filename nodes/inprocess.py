"""Nodes without sockets and without waiting: in one process, on a virtual clock.

The same roles as over ZeroMQ. What lies between the nodes is one function that says when a packet arrives;
this is not the emulator, which knows links. For tests of roles, and for trying one out.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

from nodes import roles, wire
from nodes.node import Node
from nodes.roles.base import Role
from nodes.wire import Header


def steady(header: Header, now_ns: int) -> int | None:
    """A network in which every packet takes 5 ms."""
    return 5_000_000


class Network:
    """Nodes given as id -> (role, configuration), each role by name or as a class.

    `travel(header, now_ns)` gives a packet's time on the way in ns, or None when it is lost. `now_ns`
    starts at `t0_ns`.
    """

    def __init__(
        self,
        nodes: dict[str, tuple[str | type[Role], dict[str, Any]]],
        travel: Callable[[Header, int], int | None] = steady,
        t0_ns: int = 1_000_000_000,
    ) -> None:
        self.now_ns = t0_ns
        self.nodes: dict[str, Node] = {}
        self._travel = travel
        self._by_port: dict[int, Node] = {}
        self._packets: list[tuple[int, int, int, bytes]] = []
        self._order = count()
        directory = {id: port for port, id in enumerate(nodes, start=1)}
        for id, (role, config) in nodes.items():
            kind = roles.load(role) if isinstance(role, str) else role
            node = Node(
                id,
                kind.__name__,
                directory[id],
                directory,
                config,
                self._carry,
                lambda: self.now_ns,
                virtual=True,
            )
            node.role = kind(node)
            self.nodes[id] = self._by_port[node.port] = node
        for node in self.nodes.values():
            node.start(t0_ns)

    def run(self, duration_s: float) -> None:
        """Let this much virtual time pass."""
        end_ns = self.now_ns + int(duration_s * 1e9)
        while (due_ns := self._due_ns()) is not None and due_ns <= end_ns:
            self.now_ns = max(self.now_ns, due_ns)
            while self._packets and self._packets[0][0] <= self.now_ns:
                _, _, port, frame = heapq.heappop(self._packets)
                self._by_port[port].receive(frame)
            for node in self.nodes.values():
                node.run_due()
        self.now_ns = end_ns

    def quiesce(self) -> None:
        """Tell every node to offer no new traffic."""
        for node in self.nodes.values():
            node.quiesce()

    def _due_ns(self) -> int | None:
        times = [due for node in self.nodes.values() if (due := node.due_ns) is not None]
        if self._packets:
            times.append(self._packets[0][0])
        return min(times, default=None)

    def _carry(self, frame: bytes) -> bool:
        header, _ = wire.unpack(frame)
        travel_ns = self._travel(header, self.now_ns)
        target = header.via or header.dst
        if travel_ns is not None and target in self._by_port:
            heapq.heappush(self._packets, (self.now_ns + travel_ns, next(self._order), target, frame))
        return True
