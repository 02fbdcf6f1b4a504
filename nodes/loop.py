"""Waiting for ZeroMQ sockets, a wake-up from outside and a deadline, in one thread.

Time-outs are precise to well below a millisecond: `select` on the sockets' descriptors, where a ZeroMQ poll
counts in whole milliseconds. Nothing here knows what the sockets carry.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import zmq

_HIGH_WATER: Final = 20_000
_BURST: Final = 64
_LINGER_MS: Final = 1000


class Loop:
    """Sockets and what may interrupt the wait for them. `call` and `wake` may be used from any thread."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)

    def dealer(self, routing_id: bytes) -> zmq.Socket[bytes]:
        """A DEALER of this loop, not connected yet; ZeroMQ connects it again when its peer comes back."""
        dealer = self._context.socket(zmq.DEALER)
        dealer.set(zmq.ROUTING_ID, routing_id)
        dealer.set(zmq.LINGER, _LINGER_MS)
        dealer.set(zmq.SNDHWM, _HIGH_WATER)
        dealer.set(zmq.RCVHWM, _HIGH_WATER)
        dealer.set(zmq.RECONNECT_IVL, 100)
        dealer.set(zmq.RECONNECT_IVL_MAX, 1000)
        return dealer

    def call(self, action: Callable[[], None]) -> None:
        """Have `run_calls` call `action` soon."""
        self._calls.append(action)
        self.wake()

    def wake(self) -> None:
        """End the present wait, or the next."""
        with suppress(BlockingIOError, OSError):  # full: it is awake anyway; closed: nobody waits
            self._wake_in.send(b"\0")

    def run_calls(self) -> None:
        """Do what was asked for with `call`."""
        while self._calls:
            self._calls.popleft()()

    def wait(self, sockets: list[zmq.Socket[bytes]], due_s: float) -> None:
        """Return when a socket can be read, when woken, or at `due_s` (monotonic)."""
        # A ZeroMQ descriptor tells of changes only: ask for the state itself before every sleep.
        if self._calls or any(int(s.get(zmq.EVENTS)) & zmq.POLLIN for s in sockets):
            return
        descriptors = [self._wake_out.fileno(), *(int(s.get(zmq.FD)) for s in sockets)]
        ready, _, _ = select.select(descriptors, [], [], max(0.0, due_s - time.monotonic()))
        if descriptors[0] in ready:
            with suppress(BlockingIOError):
                self._wake_out.recv(4096)

    def close(self) -> None:
        """Close everything; what was sent is given a second to leave."""
        self._context.destroy(linger=_LINGER_MS)
        self._wake_in.close()
        self._wake_out.close()


def send(socket: zmq.Socket[bytes], frame: bytes) -> bool:
    """Send without waiting; False when the socket's queue is full or nobody is connected."""
    try:
        socket.send(frame, zmq.NOBLOCK)
    except zmq.Again:
        return False
    return True


def drain(socket: zmq.Socket[bytes], take: Callable[[bytes], None]) -> None:
    """Hand over what has arrived, but not without end: the other sockets get their turn."""
    for _ in range(_BURST):
        try:
            frame = socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
        take(frame)
