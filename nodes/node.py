"""One node of the network, without its sockets: numbering, dispatch, timers, transfers, telemetry.

A role (nodes.roles) is written against this class. A driver moves its frames and its time: `nodes.agent`
over ZeroMQ and the host's clock, `nodes.inprocess` inside one process on a virtual clock. Not here: the
life cycle and the control messages.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from nodes import wire
from nodes.clock import NodeClock
from nodes.flows import Flows
from nodes.timers import Series, Timer, Timers
from nodes.transfer import Outcome, Transfers
from nodes.wire import Header, Record, Value

if TYPE_CHECKING:
    from nodes.roles.base import Role

#: telemetry records kept for a supervisor that does not take them; beyond it the oldest are dropped
RECORDS_MAX: Final = 10_000
#: pings whose answers are awaited at a time
PINGS_MAX: Final = 1_024
_WINDOW_NS: Final = 1_000_000_000
_NUMBERED: Final = (wire.DATA, wire.PUBLISH, wire.PING, wire.PONG)

PingAnswer: TypeAlias = Callable[[int | None], None]


class ConfigError(ValueError):
    """A node's section of the scenario that its role cannot work with: one sentence."""


class CommandError(ValueError):
    """A command the role does not know or cannot carry out: one sentence."""


def _traffic_class(id: str, config: dict[str, Any]) -> int:
    try:
        return _valid_class(config.get("traffic_class", 0))
    except ValueError as error:
        raise ConfigError(f"{id}: {error}") from None


def _valid_class(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= wire.TRAFFIC_CLASS_MAX:
        raise ValueError(
            f"traffic_class = {given!r} must be a whole number from 0 to {wire.TRAFFIC_CLASS_MAX}"
        )
    return given


class Node:
    """A node's identity and everything its role can do.

    `transmit` hands one frame to the network and returns False when it cannot take it now; `clock` gives
    ns (CLOCK_MONOTONIC of the host in real time). `config` is the node's own section of the scenario.
    """

    def __init__(
        self,
        id: str,
        role: str,
        port: int,
        directory: dict[str, int],
        config: dict[str, Any],
        transmit: Callable[[bytes], bool],
        clock: Callable[[], int],
        host_clock: bool = True,
        virtual: bool = False,
    ) -> None:
        self.id = id
        self.port = port
        self.config = config
        self.directory = directory
        #: the run's time, for timers and telemetry
        self.now_ns = clock
        #: what this node takes for the time; it stamps what it sends, and ages what it receives
        self.clock = NodeClock()
        #: of what this node sends of its own accord; what it answers goes in the class it was asked in
        self.traffic_class = _traffic_class(id, config)
        self.virtual = virtual  # time is simulated: real work would only cost time
        self.t0_ns = 0
        self.quiescing = False
        self.sent = self.received = self.unsent = self.misrouted = self.malformed = 0
        self.records: deque[Record] = deque()
        self.records_dropped = 0
        self.flows = Flows()
        self.transfers = Transfers()
        self.role: Role
        self._role_name = role
        self._transmit = transmit
        self._flags = wire.FLAG_HOST_CLOCK if host_clock else 0
        self._names = {port: name for name, port in directory.items()}
        self._numbers = count(1)
        self._sequences: dict[tuple[int, int], int] = {}
        # Unlike sequences, which show gaps, these must not repeat when a node starts anew.
        self._tags = count(clock())
        self._timers = Timers(clock)
        self._pings: dict[int, tuple[int, PingAnswer, Timer]] = {}
        self._on_outcome: dict[tuple[int, int, int], Callable[[Outcome], None]] = {}

    # --- what roles use ------------------------------------------------------------------------

    def port_of(self, id: str, key: str = "") -> int:
        """The port of a node of this run; ConfigError naming `key` when there is none of that id."""
        try:
            return self.directory[id]
        except KeyError:
            known = ", ".join(sorted(self.directory)) or "none"
            raise ConfigError(
                f"{self.id}: {key or 'node'} {id!r} is not in this run (known: {known})"
            ) from None

    def name_of(self, port: int) -> str:
        """The id of the node at a port; "port-N" when the directory does not hold it (a guest)."""
        return self._names.get(port) or f"port-{port}"

    def next_tag(self) -> int:
        """A number for a message, not given before by this node or by an earlier life of it."""
        return next(self._tags)

    def send(
        self,
        dst: int,
        payload: bytes,
        kind: int = wire.DATA,
        via: int = 0,
        tag: int | None = None,
        sent_ns: int | None = None,
        traffic_class: int | None = None,
    ) -> int:
        """Send one datagram to port `dst`; its number, or 0 when the network took nothing (counted).

        `sent_ns` is for what came into being before, elsewhere: its time on the host's clock.
        `traffic_class`: 0 to 3, the highest goes first; None: the node's own.
        """
        if wire.HEADER_BYTES + len(payload) > wire.MAX_PACKET_BYTES:
            limit = wire.MAX_PACKET_BYTES - wire.HEADER_BYTES
            raise ValueError(
                f"a packet carries at most {limit} bytes, got {len(payload)}; send it as a transfer"
            )
        sequence = 0
        if tag is None:
            tag = sequence = self._sequences.get((dst, kind), 0) + 1
        own = self.traffic_class if traffic_class is None else _valid_class(traffic_class)
        header = Header(kind, self.port, dst, via, sent_ns=sent_ns or 0, tag=tag, traffic_class=own)
        number = self._emit(header, payload)
        if number and sequence:
            self._sequences[dst, kind] = sequence
        return number

    def transfer(
        self,
        dst: int,
        data: bytes,
        kind: int = wire.DATA,
        via: int = 0,
        tag: int | None = None,
        on_outcome: Callable[[Outcome], None] | None = None,
        traffic_class: int | None = None,
    ) -> int:
        """Send `data` reliably to port `dst`; the tag of the message. `on_outcome` hears how it ended.

        `traffic_class` as in `send`.
        """
        tag = self.next_tag() if tag is None else tag
        own = self.traffic_class if traffic_class is None else _valid_class(traffic_class)
        self.transfers.begin(dst, kind, tag, data, via, own)
        if on_outcome:
            self._on_outcome[dst, kind, tag] = on_outcome
        self._flush()
        return tag

    def forward(self, header: Header, payload: bytes, via: int = 0) -> bool:
        """Send a packet on for its source, by way of nobody or of port `via`.

        False when the network took nothing.
        """
        if not self._transmit(wire.pack(header._replace(via=via), payload)):
            return False
        self.sent += 1
        return True

    def ping(
        self, dst: int, on_answer: PingAnswer, timeout_ns: int, payload: bytes = b"", via: int = 0
    ) -> None:
        """Send a PING; `on_answer` gets the round-trip time in ns, or None at the timeout."""
        if len(self._pings) >= PINGS_MAX:
            on_answer(None)
            return
        token = self.next_tag()
        now_ns = self.now_ns()
        timer = self.at(now_ns + timeout_ns, lambda: self._ping_answered(token, None))
        self._pings[token] = (now_ns, on_answer, timer)
        self.send(dst, token.to_bytes(8, "little") + payload, kind=wire.PING, via=via)

    def at(self, t_ns: int, action: Callable[[], None]) -> Timer:
        """Call `action` at a time on the node's clock (at once when it has passed)."""
        return self._timers.at(t_ns, action)

    def every(self, first_ns: int, interval_ns: int, action: Callable[[], None]) -> Timer:
        """Call `action` at first_ns, first_ns + interval_ns, ...; of several instants missed, once."""
        return self._timers.every(first_ns, interval_ns, action)

    def series(self, interval_ns: int, action: Callable[[], None]) -> Series:
        """Call `action` again and again, at an interval that may be changed; it begins when it is started."""
        return Series(self._timers, self.now_ns, interval_ns, action)

    def stamp_ns(self) -> int:
        """The time as this node has it, ns."""
        return self.clock.at(self.now_ns())

    def record(
        self,
        measurement: str,
        tags: dict[str, str],
        fields: dict[str, Value],
        samples: list[float] | None = None,
        t_ns: int | None = None,
    ) -> None:
        """Add a telemetry record; the tag `node` is this node's id."""
        t_ns = self.now_ns() if t_ns is None else t_ns
        self._keep(Record(t_ns, measurement, {"node": self.id, **tags}, fields, samples or []))

    # --- what drivers use ----------------------------------------------------------------------

    def start(self, t0_ns: int) -> None:
        """Begin: the run's time 0 is `t0_ns`."""
        self.t0_ns = t0_ns
        windows = max(0, self.now_ns() - t0_ns) // _WINDOW_NS
        self._at_window(t0_ns + windows * _WINDOW_NS)
        self.role.on_start()

    def quiesce(self) -> None:
        """Offer no new traffic, go on answering."""
        if not self.quiescing:
            self.quiescing = True
            self.role.on_quiesce()

    def receive(self, frame: bytes) -> None:
        """Take in a frame from the network."""
        now_ns = self.now_ns()
        try:
            header, payload = wire.unpack(frame)
        except wire.WireError:
            self.malformed += 1
            return
        self.received += 1
        if header.via == self.port and header.dst != self.port:
            self.role.on_transit(header, payload)
            return
        if header.dst != self.port:
            self.misrouted += 1
            return
        self._observe(header, len(frame), now_ns)
        asked_in = min(header.traffic_class, wire.TRAFFIC_CLASS_MAX)
        if header.kind == wire.ACK:
            # the echoed stamp is of this node's own clock
            self.transfers.on_ack(header.src, payload, self.clock.at(now_ns))
            self._flush()
        elif header.flags & wire.FLAG_RELIABLE:
            blob = self.transfers.on_fragment(
                header.src,
                header.kind,
                header.tag,
                header.fragment,
                header.fragments,
                header.sent_ns,
                payload,
                now_ns,
                asked_in,
            )
            self._flush()
            if blob is not None:
                self.role.on_blob(blob)
        elif header.kind == wire.PING:
            self.send(header.src, payload, kind=wire.PONG, traffic_class=asked_in)
        elif header.kind == wire.PONG:
            self._ping_answered(int.from_bytes(payload[:8], "little"), now_ns)
        else:
            self.role.on_packet(header, payload)

    @property
    def due_ns(self) -> int | None:
        """When `run_due` must be called next, if nothing arrives before."""
        times = (self._timers.due_ns, self.transfers.due_ns)
        return min((t for t in times if t is not None), default=None)

    def run_due(self) -> None:
        """Do what is due: timers, and retransmissions."""
        self._timers.run_due()
        if (due := self.transfers.due_ns) is not None and due <= self.now_ns():
            self._flush()

    def report(self) -> None:
        """Write the `flow` and `node` records of the window that ends now."""
        now_ns = self.now_ns()
        for record in self.flows.report(self.id, now_ns, self.clock.at(now_ns)):
            self._keep(record)
        fields: dict[str, Value] = {"sent": self.sent, "received": self.received, "unsent": self.unsent}
        if not self.virtual:
            fields["cpu_s"] = time.process_time()
        fields |= self.role.fields()
        self.record("node", {"role": self._role_name}, fields, t_ns=now_ns)

    def counters(self) -> dict[str, int]:
        """What the node says of itself at the end; `sent` and `received` count packets at its port."""
        return {
            "sent": self.sent,
            "received": self.received,
            "unsent": self.unsent,
            "misrouted": self.misrouted,
            "malformed": self.malformed,
            "unfinished_transfers": len(self.transfers),
            "refused_packets": self.transfers.refused,
            "duplicates": self.transfers.duplicates,
            "flows_unfollowed": self.flows.unfollowed,
            "records_dropped": self.records_dropped,
            **self.role.counters(),
        }

    # --- inside --------------------------------------------------------------------------------

    def _emit(self, header: Header, payload: bytes) -> int:
        number = next(self._numbers)
        flags = header.flags | self._flags
        sent_ns = self.clock.at(header.sent_ns or self.now_ns())
        frame = wire.pack(header._replace(number=number, sent_ns=sent_ns, flags=flags), payload)
        if not self._transmit(frame):
            self.unsent += 1
            return 0
        self.sent += 1
        return number

    def _flush(self) -> None:
        segments, outcomes = self.transfers.flush(self.now_ns())
        for s in segments:
            flags = 0 if s.kind == wire.ACK else wire.FLAG_RELIABLE
            header = Header(
                s.kind, self.port, s.dst, s.via, 0, 0, s.tag, s.fragment, s.fragments, s.traffic_class, flags
            )
            self._emit(header, s.payload)
        for outcome in outcomes:
            if action := self._on_outcome.pop(outcome.key, None):
                action(outcome)

    def _ping_answered(self, token: int, now_ns: int | None) -> None:
        waiting = self._pings.pop(token, None)
        if waiting is None:
            return
        sent_ns, on_answer, timer = waiting
        timer.cancel()
        on_answer(None if now_ns is None else now_ns - sent_ns)

    def _observe(self, header: Header, size: int, now_ns: int) -> None:
        if header.kind == wire.ACK:
            return
        sent_ns = header.sent_ns if header.flags & self._flags & wire.FLAG_HOST_CLOCK else None
        numbered = header.kind in _NUMBERED and not header.flags & wire.FLAG_RELIABLE
        name = wire.KIND_NAMES.get(header.kind, f"kind-{header.kind}")
        sequence = header.tag if numbered else None
        own_ns = self.clock.at(now_ns)
        self.flows.observe(self.name_of(header.src), name, size, own_ns, sent_ns, sequence)

    def _at_window(self, end_ns: int) -> None:
        # Windows are aligned to t0, so that the records of all nodes cover the same seconds.
        if end_ns > self.t0_ns:
            self.report()
        self.at(end_ns + _WINDOW_NS, lambda: self._at_window(end_ns + _WINDOW_NS))

    def _keep(self, record: Record) -> None:
        if len(self.records) >= RECORDS_MAX:
            self.records.popleft()
            self.records_dropped += 1
        self.records.append(record)
