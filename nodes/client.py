"""The network for a user's own program: send, receive and report through the testbed.

A `Client` is a node like any other, so it answers pings, acknowledges transfers, sends heartbeats and
follows the supervisor's orders even while the program is busy elsewhere: a background thread runs the
same `nodes.agent` loop as every role and owns the sockets. Methods hand work to that thread and may be
called from any thread.
"""

from __future__ import annotations

import atexit
import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeVar

from nodes import wire
from nodes.agent import Agent, NetworkError, RefusedError
from nodes.node import ConfigError, Node
from nodes.roles.base import Role
from nodes.tasks import Answer, Task, pack_task, unpack_answer
from nodes.transfer import Blob, Outcome
from nodes.wire import Header, Value

__all__ = ["Client", "NetworkError", "Packet", "RefusedError"]

#: packets and transfers kept for a program that does not receive; beyond it new ones are dropped, counted
INBOX_MAX: Final = 1_000
_ANSWER_S: Final = 5.0
_T = TypeVar("_T")


class Packet(NamedTuple):
    """Something received. `delay_ms` is None when the sender's clock is not this host's."""

    source: str
    payload: bytes
    kind: int
    delay_ms: float | None
    #: of a transfer received in whole: no header of its own, so None
    header: Header | None


class _Guest(Role):
    """Puts what arrives into the client's inbox."""

    initiates = True

    def __init__(self, node: Node, inbox: queue.Queue[Packet | None]) -> None:
        super().__init__(node)
        self.dropped = 0
        self.answers: dict[tuple[int, int], Callable[[Answer], None]] = {}
        self._inbox = inbox

    def on_packet(self, header: Header, payload: bytes) -> None:
        host_clock = header.flags & wire.FLAG_HOST_CLOCK
        delay_ms = (self.node.stamp_ns() - header.sent_ns) / 1e6 if host_clock else None
        self._put(Packet(self.node.name_of(header.src), payload, header.kind, delay_ms, header))

    def on_blob(self, blob: Blob) -> None:
        on_answer = self.answers.pop((blob.src, blob.tag), None) if blob.kind == wire.RESULT else None
        answer = unpack_answer(blob.data) if on_answer else None
        if on_answer and answer:
            on_answer(answer)
        else:
            self._put(Packet(self.node.name_of(blob.src), blob.data, blob.kind, None, None))

    def counters(self) -> dict[str, int]:
        return super().counters() | {"inbox_dropped": self.dropped}

    def _put(self, packet: Packet) -> None:
        try:
            self._inbox.put_nowait(packet)
        except queue.Full:
            self.dropped += 1


class Client:
    """A guest in a run: a program that the scenario does not name, at one of its places.

    `endpoint` is the control endpoint that `testbed run` shows, `place` one of the scenario's places.
    The constructor returns once the run has begun. It raises NetworkError when nobody answers within
    `wait_s`, or the run does not begin within `start_s` after that; RefusedError, a NetworkError, with the
    supervisor's reason when it does not let the program in.
    """

    def __init__(
        self, endpoint: str, id: str, place: str = "", wait_s: float = 10.0, start_s: float = 120.0
    ) -> None:
        self._inbox: queue.Queue[Packet | None] = queue.Queue(INBOX_MAX)
        self._phases: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._error: Exception | None = None
        self._running = True
        self._agent = Agent(
            id, "guest", endpoint, lambda node: _Guest(node, self._inbox), place, wait_s, self._phases.put
        )
        self._thread = threading.Thread(target=self._live, name=f"nodes.client {id}", daemon=True)
        # A program that ends without `close` says goodbye too.
        atexit.register(self.close)
        self._thread.start()
        for phase, limit_s in (("ready", wait_s + start_s), ("started", start_s)):
            self._await(phase, limit_s)

    # --- traffic -------------------------------------------------------------------------------

    def send(
        self,
        target: str,
        payload: bytes,
        kind: int = wire.DATA,
        via: str = "",
        traffic_class: int | None = None,
    ) -> int:
        """Send one datagram to a node; the number of the packet.

        `traffic_class`: 0 to 3, of waiting packets the highest goes first; None: as the scenario says.
        NetworkError when there is no such node, when the network takes nothing more now, or when the run
        has ended; ValueError when the payload does not fit into one packet.
        """
        node = self._node
        dst, relay = self._port(target), self._port(via) if via else 0
        number = self._do(lambda: node.send(dst, payload, kind, relay, traffic_class=traffic_class))
        if not number:
            raise NetworkError(f"a packet to {target} could not be queued: the channel takes nothing now")
        return number

    def transfer(
        self,
        target: str,
        data: bytes,
        timeout_s: float = 60.0,
        via: str = "",
        traffic_class: int | None = None,
    ) -> int:
        """Send data of any length (up to 16 MiB) reliably; how many packets had to be sent again.

        `traffic_class` as in `send`.
        NetworkError when it did not arrive: by name of the cause, or not within `timeout_s`.
        """
        node = self._node
        dst, relay = self._port(target), self._port(via) if via else 0
        ended: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._do(lambda: node.transfer(dst, data, wire.DATA, relay, None, ended.put, traffic_class))
        outcome = self._get(ended, timeout_s, f"the transfer to {target}")
        if outcome.cause:
            raise NetworkError(f"the transfer to {target} failed: {outcome.cause}")
        return outcome.retransmissions

    def send_task(
        self, server: str, data: bytes, cycles: int, timeout_s: float = 60.0, via: str = ""
    ) -> Answer:
        """Have an edge server work `cycles` cycles on `data`; its answer (see nodes.tasks).

        `Answer.status` says whether it was done or refused. NetworkError as for `transfer`.
        """
        node = self._node
        dst, relay = self._port(server), self._port(via) if via else 0
        ended: queue.SimpleQueue[Answer | Outcome] = queue.SimpleQueue()

        def begin() -> None:
            tag = node.next_tag()
            assert isinstance(node.role, _Guest)
            node.role.answers[dst, tag] = ended.put
            node.transfer(dst, pack_task(Task(cycles, data)), wire.TASK, relay, tag, failed)

        def failed(outcome: Outcome) -> None:
            if outcome.cause:
                ended.put(outcome)

        self._do(begin)
        end = self._get(ended, timeout_s, f"the task for {server}")
        if isinstance(end, Outcome):
            raise NetworkError(f"the task for {server} failed: {end.cause}")
        return end

    def ping(self, target: str, timeout_s: float = 1.0, payload: bytes = b"") -> float | None:
        """The round-trip time to a node in s, or None without an answer within `timeout_s`."""
        node, dst = self._node, self._port(target)
        ended: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._do(lambda: node.ping(dst, ended.put, int(timeout_s * 1e9), payload))
        rtt_ns = self._get(ended, timeout_s + 1.0, f"the ping to {target}")
        return None if rtt_ns is None else rtt_ns / 1e9

    def receive(self, timeout_s: float | None = None) -> Packet | None:
        """The next packet or transfer for this node; None when none came within `timeout_s` (None: ever).

        NetworkError when the run has ended and everything received has been handed out.
        """
        try:
            packet = self._inbox.get(timeout=timeout_s)
        except queue.Empty:
            packet = None
            if self._running:
                return None
        if packet is None:
            with_end = self._inbox.empty()
            if with_end:
                self._inbox.put(None)  # for the next call
            raise self._ended()
        return packet

    def packets(self) -> Iterator[Packet]:
        """Everything received, one after the other, until the run ends."""
        while True:
            try:
                packet = self.receive()
            except NetworkError:
                return
            if packet is not None:
                yield packet

    def report(self, measurement: str, fields: dict[str, Value], tags: dict[str, str] | None = None) -> None:
        """Add a telemetry record of this node, stamped now."""
        node = self._node
        self._do(lambda: node.record(measurement, tags or {}, dict(fields)))

    # --- about the run -------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """The run has not ended."""
        return self._running

    @property
    def quiescing(self) -> bool:
        """The run is about to end: new traffic would not be counted on to arrive."""
        return self._node.quiescing

    @property
    def directory(self) -> dict[str, int]:
        """The ids of the run's nodes, and their ports."""
        return dict(self._node.directory)

    @property
    def config(self) -> dict[str, Any]:
        """What the scenario says about this node, if anything."""
        return dict(self._node.config)

    @property
    def time_s(self) -> float:
        """Run time: seconds since the run's start."""
        return (self._node.now_ns() - self._node.t0_ns) / 1e9

    def close(self) -> None:
        """Say goodbye and leave the run; without effect the second time."""
        if self._running:
            self._agent.call(self._agent.leave)
        self._thread.join(timeout=_ANSWER_S)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- inside --------------------------------------------------------------------------------

    @property
    def _node(self) -> Node:
        assert self._agent.node is not None  # the constructor waited for it
        return self._agent.node

    def _live(self) -> None:
        try:
            self._agent.run()
        except Exception as error:  # handed to whoever calls next, in the program's own thread
            self._error = error
        self._running = False
        atexit.unregister(self.close)
        self._phases.put("ended")
        self._make_room()

    def _make_room(self) -> None:
        while True:
            try:
                self._inbox.put_nowait(None)
                return
            except queue.Full:
                self._inbox.get_nowait()

    def _await(self, phase: str, limit_s: float) -> None:
        try:
            heard = self._phases.get(timeout=limit_s)
        except queue.Empty:
            self.close()
            raise NetworkError(f"the run did not begin within {limit_s:.0f} s") from None
        if heard != phase:
            self._thread.join()
            raise self._ended()

    def _ended(self) -> Exception:
        return self._error or NetworkError("the run has ended")

    def _port(self, id: str) -> int:
        node = self._node
        if id.startswith("port-") and id not in node.directory and id[5:].isdigit():
            return int(id[5:])  # another guest, as named in Packet.source
        try:
            return node.port_of(id)
        except ConfigError as error:
            raise NetworkError(str(error)) from None

    def _do(self, action: Callable[[], _T]) -> _T:
        """Run `action` in the loop's thread; its result or its exception."""
        done: queue.SimpleQueue[tuple[_T | None, Exception | None]] = queue.SimpleQueue()

        def call() -> None:
            try:
                done.put((action(), None))
            except Exception as error:
                done.put((None, error))

        if not self._running:
            raise self._ended()
        self._agent.call(call)
        result, error = self._get(done, _ANSWER_S, "the network thread")
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def _get(self, source: queue.SimpleQueue[_T], timeout_s: float, what: str) -> _T:
        try:
            return source.get(timeout=timeout_s)
        except queue.Empty:
            if not self._running:
                raise self._ended() from None
            raise NetworkError(f"{what} took more than {timeout_s:g} s") from None
