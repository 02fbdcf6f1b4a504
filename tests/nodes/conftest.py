"""A stand-in for supervisor and channel: the same sockets and messages, no emulation.

It registers whoever comes, starts them when told to or at once, routes packets by their header, and
keeps all it is told, so that real node processes and clients can be tested without the channel.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

import pytest
import zmq

from nodes import wire

#: far more than anything here takes; only a failing test waits this long
PATIENCE_S = 15.0


class Stand:
    """One run's supervisor and channel, in a thread. `configs` and `ports` are set before nodes come."""

    def __init__(self, endpoint: str = "") -> None:
        self.configs: dict[str, dict[str, object]] = {}
        self.ports: dict[str, int] = {}
        self.start_at_once = False
        self._restart = False
        self.refuse: dict[str, str] = {}
        self.drop: Callable[[wire.Header], bool] = lambda header: False
        self.answer_heartbeats = True
        self.registered: dict[str, wire.Register] = {}
        self.ready: set[str] = set()
        self.heartbeats: dict[str, list[wire.Heartbeat]] = defaultdict(list)
        self.byes: dict[str, dict[str, int]] = {}
        self.records: list[wire.Record] = []
        self.results: dict[int, wire.CommandResult] = {}
        self.entered: dict[int, int] = defaultdict(int)
        self.delivered: dict[int, int] = defaultdict(int)
        self.processes: list[subprocess.Popen[str]] = []
        self._identities: dict[str, bytes] = {}
        self._changed = threading.Condition()
        self._orders: SimpleQueue[tuple[str, wire.Message] | None] = SimpleQueue()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._control = self._context.socket(zmq.ROUTER)
        self._data = self._new_channel()
        if endpoint:
            self._control.bind(endpoint)
            self.endpoint = endpoint
        else:
            self.endpoint = f"tcp://127.0.0.1:{self._control.bind_to_random_port('tcp://127.0.0.1')}"
        self.data_endpoint = f"tcp://127.0.0.1:{self._data.bind_to_random_port('tcp://127.0.0.1')}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def node(self, id: str, role: str, *more: str, **config: object) -> subprocess.Popen[str]:
        """Start a node process with this section of the scenario; `add` the others before."""
        self.add(id, **config)
        command = [sys.executable, "-m", "nodes", "--id", id, "--role", role, "--connect", self.endpoint]
        process = subprocess.Popen(
            [*command, "--with-parent", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def add(self, id: str, **config: object) -> int:
        """Give a node a port and a section; its port."""
        self.configs[id] = config
        return self.ports.setdefault(id, len(self.ports) + 1)

    def order(self, id: str, message: wire.Message) -> None:
        self._orders.put((id, message))

    def everyone(self, message: wire.Message) -> None:
        for id in list(self._identities):
            self.order(id, message)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for the condition, looked at after every message."""
        with self._changed:
            if not self._changed.wait_for(condition, PATIENCE_S):
                pytest.fail(f"waited {PATIENCE_S} s for {what}")

    def of(self, measurement: str, **tags: str) -> list[wire.Record]:
        """The records of a measurement whose tags include these."""
        return [
            r for r in list(self.records) if r.measurement == measurement and tags.items() <= r.tags.items()
        ]

    def begin(self, *ids: str, in_ns: int = 0) -> int:
        """Once these are ready, start them at the same t0, which is returned."""
        self.until(lambda: set(ids) <= self.ready, f"{', '.join(ids)} to be ready")
        t0_ns = time.monotonic_ns() + in_ns
        for id in ids:
            self._start(id, t0_ns)
        return t0_ns

    def _start(self, id: str, t0_ns: int) -> None:
        self.order(id, wire.Start(t0_ns, 3600.0, "2026-01-01T00:00:00Z"))

    def stop(self, *first: str) -> None:
        """Quiesce and stop everyone, these first; wait for the last words.

        A node's last word comes after the last packet it sent, so what stops later has received it.
        """
        self.everyone(wire.Quiesce())
        for id in first:
            self.order(id, wire.Stop())
            self.until(lambda id=id: id in self.byes, f"the Bye of {id}")
        for id in set(self._identities) - set(self.byes):
            self.order(id, wire.Stop())
        self.until(lambda: set(self._identities) <= set(self.byes), "every Bye")

    def restart_channel(self) -> None:
        """The channel ends; another takes its place at the same endpoint."""
        self._restart = True
        self.until(lambda: not self._restart, "the channel's restart")

    def _new_channel(self) -> zmq.Socket[bytes]:
        channel = self._context.socket(zmq.ROUTER)
        channel.set(zmq.ROUTER_MANDATORY, 1)
        channel.set(zmq.LINGER, 0)
        return channel

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self._orders.put(None)
        self._thread.join()
        self._context.destroy(linger=0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._control, zmq.POLLIN)
        poller.register(self._data, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(5))
            with self._changed:
                if self._restart:
                    poller.unregister(self._data)
                    self._data.unbind(self.data_endpoint)
                    self._data.close()
                    self._data = self._new_channel()
                    self._bind_again()
                    poller.register(self._data, zmq.POLLIN)
                    self._restart = False
                    ready = {}
                if self._control in ready:
                    self._on_control(*self._control.recv_multipart())
                if self._data in ready:
                    self._on_data(*self._data.recv_multipart())
                try:
                    while (order := self._orders.get_nowait()) is not None:
                        self._control.send_multipart([self._identities[order[0]], wire.encode(order[1])])
                    return
                except Empty:
                    pass
                self._changed.notify_all()

    def _bind_again(self) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            try:
                self._data.bind(self.data_endpoint)
                return
            except zmq.ZMQError:  # the old one is given up in ZeroMQ's own thread, and its own time
                self._control.poll(5)
        raise TimeoutError(f"{self.data_endpoint} did not become free")

    def _on_control(self, identity: bytes, data: bytes) -> None:
        message = wire.decode(data)
        id = next((id for id, known in self._identities.items() if known == identity), "")
        if isinstance(message, wire.Register):
            self.registered[message.id] = message
            if message.id in self.refuse:
                answer: wire.Message = wire.Refused(self.refuse[message.id])
            else:
                self._identities[message.id] = identity
                port = self.ports.get(message.id) or self.add(message.id)
                config = self.configs.get(message.id, {})
                answer = wire.Registered(port, self.data_endpoint, dict(self.ports), config, 0.2)
            self._control.send_multipart([identity, wire.encode(answer)])
        elif isinstance(message, wire.Ready):
            self.ready.add(id)
            if self.start_at_once:
                self._start(id, time.monotonic_ns())
        elif isinstance(message, wire.Heartbeat):
            self.heartbeats[id].append(message)
            if self.answer_heartbeats:
                now_ns = time.monotonic_ns()
                answer = wire.Heartbeat(now_ns, echo_ns=message.t_ns, heard_ns=now_ns)
                self._control.send_multipart([identity, wire.encode(answer)])
        elif isinstance(message, wire.Telemetry):
            self.records += message.records
        elif isinstance(message, wire.CommandResult):
            self.results[message.number] = message
        elif isinstance(message, wire.Bye):
            self.byes[id] = message.counters

    def _on_data(self, identity: bytes, frame: bytes) -> None:
        header, _ = wire.unpack(frame)
        if header.dst == wire.CHANNEL_PORT:
            self._data.send_multipart([identity, frame])
            return
        port = int.from_bytes(identity[1:], "little")
        self.entered[port] += 1
        target = header.via or header.dst
        if not self.drop(header):
            try:
                self._data.send_multipart([wire.routing_id(target), frame])
                self.delivered[target] += 1
            except zmq.ZMQError:  # nobody there (yet, or any more)
                pass


@pytest.fixture
def stand() -> Iterator[Stand]:
    stand = Stand()
    yield stand
    stand.close()
