"""An aerial relay: sends on the packets that are to come by it.

A packet keeps its source, number and stamp, so that its receiver sees the whole way's delay and gaps.
Configuration: `queue_packets`, how many may wait here when the network takes nothing; more are dropped.
"""

from __future__ import annotations

from collections import deque

from nodes.node import Node
from nodes.roles.base import Role
from nodes.timers import Timer
from nodes.wire import Header, Value

_AGAIN_NS = 5_000_000


class Relay(Role):
    """Sends on what comes by it."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._limit = int(self.number("queue_packets", 1000, 1, 1e6))
        self._queue: deque[tuple[Header, bytes]] = deque()
        self._timer: Timer | None = None
        self.forwarded = self.dropped = 0

    def on_transit(self, header: Header, payload: bytes) -> None:
        if len(self._queue) >= self._limit:
            self.dropped += 1
            return
        self._queue.append((header, payload))
        if self._timer is None:
            self._send_on()

    def fields(self) -> dict[str, Value]:
        return {"forwarded": self.forwarded, "dropped": self.dropped, "queue_length": len(self._queue)}

    def counters(self) -> dict[str, int]:
        return super().counters() | {
            "forwarded": self.forwarded,
            "dropped": self.dropped,
            "waiting": len(self._queue),
        }

    def _send_on(self) -> None:
        self._timer = None
        while self._queue:
            if not self.node.forward(*self._queue[0]):
                self._timer = self.node.at(self.node.now_ns() + _AGAIN_NS, self._send_on)
                return
            self._queue.popleft()
            self.forwarded += 1
