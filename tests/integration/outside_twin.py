"""A twin played by the test: it joins a run that has none of its own, asks as it is told, and listens."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType

import zmq

from nodes import wire

#: far more than anything here takes
PATIENCE_S = 60.0


class OutsideTwin:
    """Registers as the twin at `endpoint`; use as a context, in which `started` and `ask` may be called."""

    def __init__(self, endpoint: str) -> None:
        self.answers: dict[int, wire.CommandResult] = {}
        self.records: list[wire.Record] = []
        self.start: wire.Start | None = None
        self._changed = threading.Condition()
        self._outbox: list[wire.Message] = []
        self._numbers = 0
        self._ending = False
        self._endpoint = endpoint
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> OutsideTwin:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        self._thread.join()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition, looked at after every message."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), f"no {what}"

    def until_s(self, t_s: float) -> None:
        """Wait for a run time, s."""
        self.until(lambda: self.start is not None, "start of the run")
        assert self.start is not None
        start_ns = self.start.t0_ns
        self.until(lambda: time.monotonic_ns() >= start_ns + t_s * 1e9, f"{t_s} s of the run")

    def ask(self, member: str, name: str, arguments: dict[str, object]) -> wire.CommandResult:
        """Ask for a command; the answer."""
        with self._changed:
            self._numbers += 1
            number = self._numbers
            self._outbox.append(wire.Request(number, member, name, arguments))
        self.until(lambda: number in self.answers, f"answer to {name}")
        return self.answers[number]

    def _live(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = context.socket(zmq.DEALER)
        socket.set(zmq.ROUTING_ID, b"outside-twin")
        socket.connect(self._endpoint)
        socket.send(wire.encode(wire.Register("twin", "twin", os.getpid())))
        beat_s = 0.0
        while not self._ending:
            if time.monotonic() >= beat_s:
                socket.send(wire.encode(wire.Heartbeat(time.monotonic_ns())))
                beat_s = time.monotonic() + 0.5
            arrived = socket.poll(20)
            with self._changed:
                while arrived and socket.poll(0):
                    self._hear(socket, wire.decode(socket.recv()))
                for message in self._outbox:
                    socket.send(wire.encode(message))
                self._outbox.clear()
                self._changed.notify_all()
        context.destroy(linger=1000)

    def _hear(self, socket: zmq.Socket[bytes], message: wire.Message) -> None:
        if isinstance(message, wire.Registered):
            socket.send(wire.encode(wire.Ready()))
        elif isinstance(message, wire.Start):
            self.start = message
        elif isinstance(message, wire.CommandResult):
            self.answers[message.number] = message
        elif isinstance(message, wire.Telemetry):
            self.records += message.records
        elif isinstance(message, wire.Stop):
            socket.send(wire.encode(wire.Bye({})))
            self._ending = True
