"""A larger piece of data over a network that loses, repeats and reorders packets.

The sender cuts the data into fragments, keeps a bounded window of them on the way, learns from
selective acknowledgements which arrived, and gives up by name after bounded tries. The receiver puts
them together and acknowledges every packet. State machines only: the time is passed in, packets are
handed out as `Segment`; no socket, no clock, no application meaning. The round-trip estimate and the
timeout follow Jacobson and Karels (RFC 6298); every acknowledgement carries the stamp of the packet it
answers, so that a retransmitted fragment gives an unambiguous sample too.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from nodes.wire import ACK, FRAGMENT_BYTES

WINDOW_INITIAL: Final = 4
WINDOW_MAX: Final = 32
TRIES_MAX: Final = 8
RTO_INITIAL_NS: Final = 1_000_000_000
RTO_MIN_NS: Final = 200_000_000
#: a measured round trip may lead to RTO_MAX; silence alone doubles the timeout up to RTO_SILENCE only
RTO_MAX_NS: Final = 60_000_000_000
RTO_SILENCE_NS: Final = 4_000_000_000
#: a fragment is taken for lost when this many sent after it have been acknowledged
REORDER_TOLERANCE: Final = 3
#: largest piece of data in one transfer; a receiver does not answer fragments of a larger one
BLOB_MAX_BYTES: Final = 16 * 1024 * 1024
#: transfers a receiver builds up at a time, and finished ones it remembers to answer repeats
INCOMING_MAX: Final = 256
FINISHED_MAX: Final = 4096
#: an unfinished incoming transfer is forgotten after this long without a new packet
IDLE_NS: Final = 60_000_000_000

_ACK = struct.Struct("<BQqHB")  # kind, tag, echoed sent_ns, base, bytes of bitmap
_BITMAP_BYTES: Final = 2 * WINDOW_MAX // 8


class Segment(NamedTuple):
    """A packet to send: to port `dst`, by way of `via` (0: direct)."""

    dst: int
    via: int
    kind: int
    tag: int
    fragment: int
    fragments: int
    payload: bytes
    traffic_class: int = 0


class Acknowledgement(NamedTuple):
    """Which fragments of the message (kind, tag) arrived: all below `base`, and `above` it those named."""

    kind: int
    tag: int
    echo_ns: int
    base: int
    above: frozenset[int]


class Outcome(NamedTuple):
    """The end of a transfer; `cause` is empty when all of it arrived."""

    key: tuple[int, int, int]
    cause: str
    retransmissions: int


class Blob(NamedTuple):
    """A transfer received in whole."""

    src: int
    kind: int
    tag: int
    data: bytes
    traffic_class: int = 0


def pack_ack(ack: Acknowledgement) -> bytes:
    """The payload of an ACK packet; fragments too far above the base are left for a later one."""
    bitmap = bytearray(_BITMAP_BYTES)
    for index in ack.above:
        offset = index - ack.base
        if 0 <= offset < 8 * _BITMAP_BYTES:
            bitmap[offset >> 3] |= 1 << (offset & 7)
    used = len(bytes(bitmap).rstrip(b"\0"))
    return _ACK.pack(ack.kind, ack.tag, ack.echo_ns, ack.base, used) + bytes(bitmap[:used])


def unpack_ack(payload: bytes) -> Acknowledgement | None:
    """The acknowledgement in an ACK packet's payload, or None when it is not one."""
    if len(payload) < _ACK.size:
        return None
    kind, tag, echo_ns, base, used = _ACK.unpack_from(payload)
    bitmap = payload[_ACK.size : _ACK.size + used]
    above = frozenset(base + 8 * i + b for i, byte in enumerate(bitmap) for b in range(8) if byte >> b & 1)
    return Acknowledgement(kind, tag, echo_ns, base, above)


@dataclass
class RoundTrip:
    """Smoothed round-trip time and the timeout that follows from it (RFC 6298), per peer, in ns."""

    mean_ns: float = 0.0
    deviation_ns: float = 0.0
    rto_ns: int = RTO_INITIAL_NS

    def sample(self, rtt_ns: int) -> None:
        if self.mean_ns == 0.0:
            self.mean_ns, self.deviation_ns = float(rtt_ns), rtt_ns / 2
        else:
            self.deviation_ns += (abs(rtt_ns - self.mean_ns) - self.deviation_ns) / 4
            self.mean_ns += (rtt_ns - self.mean_ns) / 8
        self.rto_ns = min(RTO_MAX_NS, max(RTO_MIN_NS, int(self.mean_ns + 4 * self.deviation_ns)))

    def back_off(self) -> None:
        self.rto_ns = max(self.rto_ns, min(RTO_SILENCE_NS, 2 * self.rto_ns))


class _Flight:
    """One fragment on the way."""

    __slots__ = ("order", "sent_ns", "tries")

    def __init__(self) -> None:
        self.order = 0
        self.sent_ns = 0
        self.tries = 0


class Sending:
    """The sending side of one transfer of `data` (at most BLOB_MAX_BYTES; ValueError above)."""

    def __init__(
        self,
        dst: int,
        kind: int,
        tag: int,
        data: bytes,
        trip: RoundTrip,
        via: int = 0,
        traffic_class: int = 0,
    ) -> None:
        if len(data) > BLOB_MAX_BYTES:
            raise ValueError(f"a transfer holds at most {BLOB_MAX_BYTES} bytes, got {len(data)}")
        self.key = (dst, kind, tag)
        self.via = via
        self.traffic_class = traffic_class
        self.fragments = max(1, -(-len(data) // FRAGMENT_BYTES))
        self.retransmissions = 0
        self.cause = ""
        self.trip = trip
        self._data = data
        self._window = float(WINDOW_INITIAL)
        self._next = 0  # first fragment never sent
        self._flights: dict[int, _Flight] = {}  # unacknowledged fragments, oldest transmission first
        self._order = 0
        self._acknowledged_order = 0
        self._recovery_order = 0  # a loss of a fragment sent before this one has been paid for

    @property
    def done(self) -> bool:
        """All fragments were acknowledged."""
        return self._next == self.fragments and not self._flights

    @property
    def due_ns(self) -> int | None:
        """When `poll` has something to retransmit, if nothing is heard until then."""
        if not self._flights:
            return None
        return min(f.sent_ns for f in self._flights.values()) + self.trip.rto_ns

    def poll(self, now_ns: int) -> list[Segment]:
        """The packets to send now: repeats first, then new ones as the window allows."""
        expired = [i for i, f in self._flights.items() if now_ns - f.sent_ns >= self.trip.rto_ns]
        behind = self._acknowledged_order - REORDER_TOLERANCE
        overtaken = [i for i, f in self._flights.items() if f.order <= behind and i not in expired]
        if any(self._flights[i].order > self._recovery_order for i in (*expired, *overtaken)):
            self._recovery_order = self._order
            self._window = max(2.0, self._window / 2)
            if expired:
                self.trip.back_off()
        segments = []
        for index in (*expired, *overtaken):
            if self._flights[index].tries >= TRIES_MAX:
                self.cause = f"fragment {index} of {self.fragments} unanswered after {TRIES_MAX} tries"
                return []
            self.retransmissions += 1
            segments.append(self._send(index, now_ns))
        while self._next < self.fragments and len(self._flights) < int(self._window):
            segments.append(self._send(self._next, now_ns))
            self._next += 1
        return segments

    def acknowledge(self, ack: Acknowledgement, now_ns: int) -> None:
        """Take in what the receiver has."""
        arrived = [i for i in self._flights if i < ack.base or i in ack.above]
        if not arrived:
            return
        if now_ns - ack.echo_ns > 0:
            self.trip.sample(now_ns - ack.echo_ns)
        for index in arrived:
            self._acknowledged_order = max(self._acknowledged_order, self._flights.pop(index).order)
            # One packet more per acknowledgement at first, one per window after the first loss.
            growth = 1.0 if self._recovery_order == 0 else 1.0 / self._window
            self._window = min(float(WINDOW_MAX), self._window + growth)

    def _send(self, index: int, now_ns: int) -> Segment:
        flight = self._flights.pop(index, None) or _Flight()
        self._order += 1
        flight.order, flight.sent_ns, flight.tries = self._order, now_ns, flight.tries + 1
        self._flights[index] = flight
        dst, kind, tag = self.key
        part = self._data[index * FRAGMENT_BYTES : (index + 1) * FRAGMENT_BYTES]
        return Segment(dst, self.via, kind, tag, index, self.fragments, part, self.traffic_class)


@dataclass
class Receiving:
    """The receiving side of one transfer."""

    fragments: int
    heard_ns: int
    base: int = 0
    parts: dict[int, bytes] = field(default_factory=dict)

    def take(self, fragment: int, payload: bytes, now_ns: int) -> None:
        self.heard_ns = now_ns
        self.parts.setdefault(fragment, payload)
        while self.base in self.parts:
            self.base += 1


class Transfers:
    """All transfers of one node, both directions.

    `flush` gives the packets to send and the transfers that ended; call it after every other method and
    at `due_ns`.
    """

    def __init__(self) -> None:
        self.refused = 0  # packets of incoming transfers beyond the bounds, left unanswered
        self.duplicates = 0
        self._sending: dict[tuple[int, int, int], Sending] = {}
        self._receiving: dict[tuple[int, int, int], Receiving] = {}
        self._finished: OrderedDict[tuple[int, int, int], int] = OrderedDict()
        self._trips: dict[int, RoundTrip] = {}
        self._acks: list[Segment] = []

    def __len__(self) -> int:
        return len(self._sending)

    def begin(self, dst: int, kind: int, tag: int, data: bytes, via: int = 0, traffic_class: int = 0) -> None:
        """Send `data` to port `dst` as message (kind, tag), which must be new between the two."""
        # Its own copy: one transfer's silence must not slow down another's retransmissions.
        trip = replace(self._trips.get(dst, RoundTrip()))
        transfer = Sending(dst, kind, tag, data, trip, via, traffic_class)
        if transfer.key in self._sending:
            raise ValueError(f"a transfer to port {dst} with kind {kind} and tag {tag} is under way")
        self._sending[transfer.key] = transfer

    def on_fragment(
        self,
        src: int,
        kind: int,
        tag: int,
        fragment: int,
        fragments: int,
        sent_ns: int,
        payload: bytes,
        now_ns: int,
        traffic_class: int = 0,
    ) -> Blob | None:
        """Take in a fragment; the whole when this was the last one missing.

        Its acknowledgement travels in the fragment's own class.
        """
        key = (src, kind, tag)
        done = self._finished.get(key)
        if done is not None:
            self.duplicates += 1
            self._answer(key, sent_ns, done, frozenset(), traffic_class)
            return None
        receiving = self._receiving.get(key)
        if receiving is None:
            self._forget_idle(now_ns)
            if (
                len(self._receiving) >= INCOMING_MAX
                or fragments * FRAGMENT_BYTES > BLOB_MAX_BYTES + FRAGMENT_BYTES
            ):
                self.refused += 1
                return None
            receiving = self._receiving[key] = Receiving(fragments, now_ns)
        if fragments != receiving.fragments or fragment >= fragments:
            self.refused += 1
            return None
        self.duplicates += fragment in receiving.parts
        receiving.take(fragment, payload, now_ns)
        above = frozenset(i for i in receiving.parts if i > receiving.base)
        self._answer(key, sent_ns, receiving.base, above, traffic_class)
        if receiving.base < fragments:
            return None
        del self._receiving[key]
        self._finished[key] = fragments
        while len(self._finished) > FINISHED_MAX:
            self._finished.popitem(last=False)
        data = b"".join(receiving.parts[i] for i in range(fragments))
        return Blob(src, kind, tag, data, traffic_class)

    def on_ack(self, src: int, payload: bytes, now_ns: int) -> None:
        """Take in an ACK packet from port `src`; one for a transfer that ended is without effect."""
        ack = unpack_ack(payload)
        transfer = self._sending.get((src, ack.kind, ack.tag)) if ack else None
        if ack and transfer:
            transfer.acknowledge(ack, now_ns)

    @property
    def due_ns(self) -> int | None:
        """When `flush` must be called at the latest."""
        return min((d for t in self._sending.values() if (d := t.due_ns) is not None), default=None)

    def flush(self, now_ns: int) -> tuple[list[Segment], list[Outcome]]:
        """The packets to send now, and the transfers that ended."""
        segments, self._acks = self._acks, []
        outcomes = []
        for key, transfer in list(self._sending.items()):
            if not transfer.done:
                segments += transfer.poll(now_ns)
            if transfer.done or transfer.cause:
                del self._sending[key]
                if transfer.done:
                    self._trips[key[0]] = transfer.trip
                outcomes.append(Outcome(key, transfer.cause, transfer.retransmissions))
        return segments, outcomes

    def _answer(
        self, key: tuple[int, int, int], echo_ns: int, base: int, above: frozenset[int], traffic_class: int
    ) -> None:
        src, kind, tag = key
        payload = pack_ack(Acknowledgement(kind, tag, echo_ns, base, above))
        self._acks.append(Segment(src, 0, ACK, tag, 0, 1, payload, traffic_class))

    def _forget_idle(self, now_ns: int) -> None:
        idle = [key for key, r in self._receiving.items() if now_ns - r.heard_ns > IDLE_NS]
        for key in idle:
            del self._receiving[key]
