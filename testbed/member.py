"""A process of a run that has no port of its own: how the plant and the twin speak with the supervisor.

One DEALER to the supervisor's control endpoint: register, heartbeats, telemetry out, orders in. A
supervisor that has fallen silent ends the process. Nodes have their own, richer life cycle (nodes.agent).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Final

import zmq

from nodes import wire
from nodes.agent import SILENCE_S, SILENCE_SETUP_S
from nodes.processes import die_with_parent

#: records sent in one message
_BATCH: Final = 500


class SilenceError(RuntimeError):
    """Nothing was heard from the supervisor for too long."""


class Member:
    """The control side of a process. Not thread-safe: one thread uses it."""

    def __init__(self, endpoint: str, id: str, role: str) -> None:
        die_with_parent()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.set(zmq.ROUTING_ID, f"{id}/{os.getpid()}".encode())
        self._socket.set(zmq.LINGER, 2000)
        self._socket.connect(endpoint)
        self._heard = time.monotonic()
        self._next_heartbeat = 0.0
        self._heartbeat_s = 1.0
        self.started: wire.Start | None = None
        self.send(wire.Register(id, role, os.getpid()))

    def send(self, message: wire.Message) -> None:
        """Send a control message."""
        self._socket.send(wire.encode(message))

    def report(self, records: Iterable[wire.Record]) -> None:
        """Send telemetry."""
        batch = list(records)
        for first in range(0, len(batch), _BATCH):
            self.send(wire.Telemetry(batch[first : first + _BATCH]))

    def event(self, what: str, text: str) -> None:
        """Send an `event` record."""
        self.report([wire.Record(time.monotonic_ns(), "event", {"what": what}, {"text": text})])

    def receive(self, timeout_s: float) -> list[wire.Message]:
        """What has come within `timeout_s`; sends heartbeats. SilenceError when the supervisor is gone."""
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self.send(wire.Heartbeat(time.monotonic_ns()))
            self._next_heartbeat = now + self._heartbeat_s
        messages: list[wire.Message] = []
        wait_ms = max(0, round(min(timeout_s, self._next_heartbeat - now) * 1e3))
        if self._socket.poll(wait_ms):
            while True:
                try:
                    frame = self._socket.recv(zmq.NOBLOCK)
                except zmq.Again:
                    break
                message = wire.decode(frame)
                self._heard = time.monotonic()
                if isinstance(message, wire.Registered):
                    self._heartbeat_s = message.heartbeat_s
                elif isinstance(message, wire.Start):
                    self.started = message
                messages.append(message)
        limit_s = SILENCE_S if self.started else SILENCE_SETUP_S
        if time.monotonic() - self._heard > limit_s:
            raise SilenceError(f"nothing was heard from the supervisor for {limit_s:.0f} s")
        return messages

    def close(self, counters: dict[str, int] | None = None) -> None:
        """Say goodbye and let what was sent leave."""
        self.send(wire.Bye(counters or {}))
        self._socket.close(2000)
        self._context.term()
