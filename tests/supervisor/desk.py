"""A supervisor whose processes are not started: members are played by the test, over its real socket."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import zmq
from rich.console import Console

from nodes import wire
from testbed.scenario import load
from testbed.store.runfile import RunFolder
from testbed.supervisor.monitor import Monitor
from testbed.supervisor.run import Run

_TURNS = 400
_T = TypeVar("_T", bound=wire.Message)


class Peer:
    """A process of the run, as the supervisor sees one."""

    def __init__(self, desk: Desk, id: str, role: str = "guest", place: str = "", pid: int = 0) -> None:
        self.id, self._desk = id, desk
        self._socket = desk.context.socket(zmq.DEALER)
        self._socket.set(zmq.ROUTING_ID, f"{id}/{os.urandom(4).hex()}".encode())
        self._socket.set(zmq.LINGER, 0)
        self._socket.connect(desk.run._stage.control.endpoint)
        self.send(wire.Register(id, role, pid or os.getpid(), place=place))

    def send(self, message: wire.Message | bytes) -> None:
        self._socket.send(message if isinstance(message, bytes) else wire.encode(message))

    def hear(self, kind: type[_T]) -> _T:
        """The next message of a kind."""
        for _ in range(_TURNS):
            self._desk.run._pump(0.01)
            while self._socket.poll(0):
                message = wire.decode(self._socket.recv())
                if isinstance(message, kind):
                    return message
        raise AssertionError(f"{self.id} heard no {kind.__name__}")


class Desk:
    """A run of the laptop scenario whose processes are not started, and a channel that lets guests in."""

    def __init__(self, out: Path, *sets: str) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.folder = RunFolder.create(out, "laptop")
        monitor = Monitor(console=Console(file=(out / "console").open("w")))
        self.run = Run(load("laptop", ["store.embedded=false", *sets]), self.folder, monitor)
        self.stage = self.run._stage
        self.channel = Peer(self, "channel", "channel")
        self.channel.hear(wire.Registered)
        self.channel.send(wire.Ready("tcp://127.0.0.1:1"))
        self.until(lambda: self.stage.is_ready("channel"))

    def until(self, condition: Callable[[], object]) -> None:
        for _ in range(_TURNS):
            if condition():
                return
            self.run._pump(0.01)
        raise AssertionError("it did not come to that")

    def guest(self, id: str, place: str = "board") -> Peer:
        """A guest that has been let in."""
        known = id in self.stage.nodes
        peer = Peer(self, id, place=place)
        if not known:
            order = self.channel.hear(wire.Command)
            self.channel.send(wire.CommandResult(order.number, True))
        peer.hear(wire.Registered)
        peer.send(wire.Ready())
        self.until(lambda: self.stage.is_ready(id))
        return peer

    def events(self) -> list[str]:
        self.stage.sinks._writer.flush()  # type: ignore[union-attr]
        return [str(r.fields["text"]) for r in self.folder.records() if r.measurement == "event"]

    def close(self) -> None:
        self.run._finish()
        self.context.destroy(linger=0)
