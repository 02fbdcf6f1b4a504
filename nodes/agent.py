"""The life of a node: register, connect, start, report, quiesce, stop.

One thread serves the control socket, the data socket and the timers, and hands what happens to a `Node`
and its role. ZeroMQ reconnects the sockets by itself when a peer goes and comes back.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import zmq

from nodes import commands, roles, wire
from nodes.loop import Loop, drain, send
from nodes.node import CommandError, ConfigError, Node
from nodes.roles.base import Role

#: exit statuses, as everywhere in the testbed
DONE: Final = 0
BAD_INPUT: Final = 2
ENVIRONMENT: Final = 3

#: without a word from the supervisor for this long, a node of a running run ends
SILENCE_S: Final = 10.0
#: the same before the run starts, while the supervisor may be busy setting up
SILENCE_SETUP_S: Final = 120.0
_REGISTER_AGAIN_S: Final = 5.0
_HELLO_S: Final = 0.2
_TELEMETRY_S: Final = 0.25
_TELEMETRY_RECORDS: Final = 500
#: at the end: how long to wait for the channel to hand over what is still on its way to this node
_SETTLE_S: Final = 0.5
#: number of the HELLO that asks whether everything has arrived, to tell its echo from earlier ones
_LAST_HELLO: Final = 1


class NetworkError(Exception):
    """The network cannot be used: nobody answers, the supervisor refuses, or the run has ended."""


class RefusedError(NetworkError):
    """The supervisor does not let this node in."""


def on_this_host(endpoint: str) -> bool:
    """Whether an endpoint is on this host, so that both ends read the same monotonic clock."""
    host = endpoint.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    return (
        endpoint.startswith(("ipc://", "inproc://"))
        or host in ("localhost", "::1")
        or host.startswith("127.")
    )


class Agent:
    """Runs one node in this process.

    `make_role` is called with the node once it is registered. `on_phase` hears "ready", "started" and
    "quiesced". `call` may be used from any thread, all else from the one that runs `run`.
    """

    def __init__(
        self,
        id: str,
        role: str,
        endpoint: str,
        make_role: Callable[[Node], Role] | None = None,
        place: str = "",
        wait_s: float = 15.0,
        on_phase: Callable[[str], None] = lambda phase: None,
    ) -> None:
        self.id = id
        self.role_name = role
        self.endpoint = endpoint
        self.place = place
        self.wait_s = wait_s
        self.node: Node | None = None
        self._make_role = make_role or roles.load(role)
        self._on_phase = on_phase
        self._phase = "registering"
        self._start: wire.Start | None = None
        self._signalled = False
        self._finished = False
        self._heartbeat_s = 1.0
        self._heard_s = 0.0
        self._due: dict[str, float] = {}  # the agent's own deadlines, monotonic s
        self._loop = Loop()
        self._control = self._loop.dealer(f"{id}/{os.getpid()}/{os.urandom(3).hex()}".encode())
        # Queue to a live connection only: a Register to nobody must not arrive much later, and twice.
        self._control.set(zmq.IMMEDIATE, 1)
        self._data: zmq.Socket[bytes] | None = None

    def call(self, action: Callable[[], None]) -> None:
        """Have the loop call `action` soon; the one method other threads may use."""
        self._loop.call(action)

    def end_on_signals(self) -> None:
        """End in order, with a Bye, on SIGTERM and SIGINT; only in the main thread."""

        def note(number: int, frame: object) -> None:
            self._signalled = True
            self._loop.wake()

        signal.signal(signal.SIGTERM, note)
        signal.signal(signal.SIGINT, note)

    def run(self) -> None:
        """Live until Stop or a signal.

        NetworkError when nobody answers within `wait_s` or the supervisor falls silent, RefusedError when
        it says no, ConfigError when the role cannot work with its configuration.
        """
        try:
            self._control.connect(self.endpoint)
        except zmq.ZMQError as error:
            raise ConfigError(f"endpoint {self.endpoint!r} cannot be connected to: {error}") from None
        now_s = time.monotonic()
        self._heard_s = now_s
        self._due = {"register": now_s, "give_up": now_s + self.wait_s}
        try:
            while not self._finished:
                self._turn()
        finally:
            self.close()

    def close(self) -> None:
        """Release everything; what was sent is given a second to leave."""
        self._finished = True
        if self.node is not None:
            self.node.role.close()
        self._loop.close()

    # --- the loop ------------------------------------------------------------------------------

    def _turn(self) -> None:
        drain(self._control, self._hear)
        if self._data is not None:
            drain(self._data, self._take)
        self._loop.run_calls()
        if self._signalled:
            self.leave()
        now_s = time.monotonic()
        for name in [name for name, due_s in self._due.items() if due_s <= now_s]:
            if name in self._due:
                del self._due[name]
                getattr(self, f"_on_{name}")(now_s)
        if self.node is not None:
            self.node.run_due()
        if not self._finished:
            self._wait()

    def _wait(self) -> None:
        due_s = min(self._due.values(), default=time.monotonic() + 1.0)
        if self.node is not None and (due_ns := self.node.due_ns) is not None:
            due_s = min(due_s, due_ns / 1e9)
        self._loop.wait([self._control] if self._data is None else [self._control, self._data], due_s)

    def _hear(self, data: bytes) -> None:
        self._heard_s = time.monotonic()
        with suppress(wire.WireError):  # of another version: nothing this node could do with it
            self._handle(wire.decode(data))

    def _take(self, frame: bytes) -> None:
        node = self.node
        assert node is not None
        if len(frame) > 3 and frame[3] == wire.HELLO:
            if self._phase == "connecting":
                self._phase = "ready"
                self._due.pop("hello", None)
                self._tell(wire.Ready())
                self._on_phase("ready")
                if self._start is not None:
                    self._schedule(self._start)
            elif self._phase == "settling" and wire.unpack(frame)[0].number == _LAST_HELLO:
                # The channel answers in order: everything it delivered before has been received.
                self._on_settled(0.0)
        else:
            node.receive(frame)

    # --- control -------------------------------------------------------------------------------

    def _handle(self, message: wire.Message) -> None:
        if isinstance(message, wire.Registered):
            if self.node is None:
                self._join(message)
        elif isinstance(message, wire.Refused):
            if self.node is None:
                raise RefusedError(f"{self.id} was refused: {message.reason}")
        elif isinstance(message, wire.Start):
            if self._phase == "ready":
                self._schedule(message)
            elif self._phase == "connecting":
                self._start = message
        elif isinstance(message, wire.Quiesce):
            self._node.quiesce()
            self._on_phase("quiesced")
        elif isinstance(message, wire.Stop):
            self.leave()
        elif isinstance(message, wire.Command):
            self._tell(self._obey(message))
        elif isinstance(message, wire.Heartbeat):
            self._compare_clocks(message)

    def _join(self, message: wire.Registered) -> None:
        host_clock = bool(message.config.get("host_clock", on_this_host(message.data_endpoint)))
        self._due = {"heartbeat": 0.0, "hello": 0.0, "telemetry": 0.0, "silence": 0.0}
        self._heartbeat_s = message.heartbeat_s
        self._data = self._loop.dealer(wire.routing_id(message.port))
        node = Node(
            self.id, self.role_name, message.port, message.directory, message.config,
            self._transmit, time.monotonic_ns, host_clock,
        )  # fmt: skip
        node.role = self._make_role(node)
        self.node = node
        self._data.connect(message.data_endpoint)
        self._phase = "connecting"

    def _schedule(self, start: wire.Start) -> None:
        self._phase = "waiting"
        # On another host t0 is a time of another clock; Start itself is then the signal.
        t0_ns = start.t0_ns if on_this_host(self.endpoint) else time.monotonic_ns()
        self._node.at(t0_ns, lambda: self._begin(t0_ns))

    def _begin(self, t0_ns: int) -> None:
        self._phase = "running"
        self._node.start(t0_ns)
        self._on_phase("started")

    def _obey(self, command: wire.Command) -> wire.CommandResult:
        try:
            text = commands.obey(self._node, command.name, command.arguments, command.by)
        except CommandError as error:
            return wire.CommandResult(command.number, False, str(error))
        return wire.CommandResult(command.number, True, text)

    def _compare_clocks(self, answer: wire.Heartbeat) -> None:
        """Report one exchange of stamps with the supervisor, which reads the host's clock."""
        if answer.echo_ns and self._phase == "running":
            now_ns = self._node.now_ns()
            fields: dict[str, wire.Value] = {
                "t1_ns": answer.echo_ns,
                "t2_ns": answer.heard_ns,
                "t3_ns": answer.t_ns,
                "t4_ns": self._node.clock.at(now_ns),
            }
            self._node.record("clock", {}, fields, t_ns=now_ns)

    def leave(self) -> None:
        """Send nothing more; wait until all that is on its way here has arrived; then say goodbye."""
        self._signalled = False
        if self.node is None or self._phase == "connecting":
            self._finished = True
        elif self._phase != "settling":
            self._phase = "settling"
            self._due = {"settled": time.monotonic() + _SETTLE_S}
            self._hello(_LAST_HELLO)

    def _tell(self, message: wire.Message) -> bool:
        return send(self._control, wire.encode(message))

    def _transmit(self, frame: bytes) -> bool:
        return self._data is not None and self._phase != "settling" and send(self._data, frame)

    def _hello(self, number: int = 0) -> None:
        port, now_ns = self._node.port, time.monotonic_ns()
        header = wire.Header(wire.HELLO, port, wire.CHANNEL_PORT, number=number, sent_ns=now_ns)
        assert self._data is not None
        send(self._data, wire.pack(header))

    @property
    def _node(self) -> Node:
        if self.node is None:
            raise NetworkError(f"{self.id} was given orders before it was registered")
        return self.node

    # --- the agent's own deadlines, by name ----------------------------------------------------

    def _on_register(self, now_s: float) -> None:
        told = self._tell(wire.Register(self.id, self.role_name, os.getpid(), place=self.place))
        self._due["register"] = now_s + (_REGISTER_AGAIN_S if told else 0.05)

    def _on_give_up(self, now_s: float) -> None:
        raise NetworkError(f"nobody answered at {self.endpoint}: is the testbed running?")

    def _on_hello(self, now_s: float) -> None:
        self._hello()
        self._due["hello"] = now_s + _HELLO_S

    def _on_heartbeat(self, now_s: float) -> None:
        node = self._node
        self._tell(wire.Heartbeat(node.stamp_ns(), node.sent, node.received))
        self._due["heartbeat"] = now_s + self._heartbeat_s

    def _on_telemetry(self, now_s: float) -> None:
        self._due["telemetry"] = now_s + _TELEMETRY_S
        waiting = self._node.records
        while waiting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), _TELEMETRY_RECORDS))]
            if not self._tell(wire.Telemetry(batch)):
                waiting.extendleft(reversed(batch))
                return

    def _on_silence(self, now_s: float) -> None:
        limit_s = SILENCE_SETUP_S if self._phase in ("connecting", "ready") else SILENCE_S
        if now_s - self._heard_s > limit_s:
            raise NetworkError(
                f"nothing was heard from the supervisor at {self.endpoint} for {limit_s:.0f} s"
            )
        self._due["silence"] = now_s + 0.5

    def _on_settled(self, now_s: float) -> None:
        self._node.report()
        self._on_telemetry(now_s)
        self._node.records_dropped += len(self._node.records)
        self._tell(wire.Bye(self._node.counters()))
        self._due.clear()
        self._finished = True
