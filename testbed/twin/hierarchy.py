"""Twins over twins: an edge tells a centre what it believes; the centre lays all edges' beliefs together.

Neither side here has a socket or a clock. An edge sends what changed of its state since the version that the
centre last acknowledged: so nothing is queued for a centre that does not answer, what waits is bounded by the
number of states, and the first answer after an outage is enough to be equal again. A centre that lost what it
knew, or an edge that began anew, is told by a boot number, and a whole copy follows.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import msgspec

from nodes.wire import Record
from testbed.twin.state import Delta, Entry, StateTable
from testbed.twin.suppression import Telling

#: a state's mean may differ at the centre by so much of its own standard deviation
BOUND_SDS: Final = 0.75
#: states that grow with time alone, and by how much they may lag
ALLOWED: Final = {"last_heard_s": 5.0}
#: windows after which an edge speaks though nothing changed
HEARTBEAT_WINDOWS: Final = 10
#: windows without an answer after which an edge only knocks
PATIENCE_WINDOWS: Final = 4
#: detections and the like kept for a centre that does not answer; beyond it the oldest are dropped
EVENTS_MAX: Final = 256
#: edges a centre takes
EDGES_MAX: Final = 1_024


class _Message(msgspec.Struct, tag=True, omit_defaults=True, array_like=True):
    pass


class News(_Message):
    """From an edge: what changed since a version of its table; nothing, to show that it lives."""

    edge: str
    boot: int
    t_s: float
    since: int
    version: int
    whole: bool
    #: names of states, and target -> rows of: which of these, mean, variance, time of the newest observation
    #: behind it in ms (-1: none yet)
    names: list[str]
    entries: dict[str, list[tuple[int, float, float, int]]]
    gone: list[str]
    events: list[Record]
    #: number of the first event
    first_event: int


class Answer(_Message):
    """From the centre: the version of the edge's table, and the number of events, that it holds."""

    boot: int  # the centre's
    edge_boot: int
    version: int
    events: int


class Ask(_Message):
    """From anyone: states of all edges laid together, by shell patterns."""

    number: int
    target: str = "*"
    name: str = "*"


class Found(_Message):
    """From the centre: the states that were asked for; of every edge, the run time it spoke of last and the
    version of its table that is held; and how many events are."""

    number: int
    states: list[Entry]
    edges: dict[str, tuple[float, int]]
    events: int


Message: TypeAlias = News | Answer | Ask | Found

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """A message as bytes."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message | None:
    """A message from bytes; None when it is not one."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Uplink:
    """The edge's side. `boot` differs whenever the edge begins anew; windows come in rising order."""

    def __init__(self, edge: str, boot: int, bound_sds: float = BOUND_SDS) -> None:
        self.edge, self.boot = edge, boot
        self._telling = Telling(bound_sds, ALLOWED)
        self._centre = 0  # boot of the centre that answered last
        self._acknowledged = 0
        self._events: deque[Record] = deque(maxlen=EVENTS_MAX)
        self._first_event = 0
        self._spoke = -(10**9)
        self._unanswered: int | None = None  # window of the first message that had no answer yet
        self.dropped_events = 0

    @property
    def told(self) -> StateTable:
        """What the centre knows, or will when the next message has come."""
        return self._telling.told

    def waiting(self) -> int:
        """Number of states and events that the centre does not have yet."""
        return len(self.told.delta(self._acknowledged).entries) + len(self._events)

    def step(self, table: StateTable, window: int, t_s: float, events: Iterable[Record] = ()) -> bytes | None:
        """A window was closed, and `events` said about it: the message to be sent, if any."""
        for event in events:
            if len(self._events) == EVENTS_MAX:
                self._first_event += 1
                self.dropped_events += 1
            self._events.append(event)
        self._telling.look(table)
        heartbeat = window - self._spoke >= HEARTBEAT_WINDOWS
        unheard = self._unheard(window)
        if unheard or self.waiting() == 0:
            if not heartbeat:
                return None
            if unheard:  # knock only: the whole of it follows the first answer
                self._spoke = window
                version = self._acknowledged
                return encode(News(self.edge, self.boot, t_s, version, version, False, [], {}, [], [], 0))
        self._spoke = window
        self._unanswered = window if self._unanswered is None else self._unanswered
        delta = self.told.delta(self._acknowledged)
        names: dict[str, int] = {}
        rows: dict[str, list[tuple[int, float, float, int]]] = {}
        for entry in delta.entries:
            t_ms = round(entry.t_s * 1e3) if entry.t_s >= 0.0 else -1
            which = names.setdefault(entry.name, len(names))
            rows.setdefault(entry.target, []).append((which, entry.mean, entry.variance, t_ms))
        return encode(
            News(
                self.edge, self.boot, t_s, delta.since, delta.version, delta.whole, list(names), rows,
                delta.gone, list(self._events), self._first_event,
            )
        )  # fmt: skip

    def _unheard(self, window: int) -> bool:
        """Whether the centre owes an answer for so long that it must be away."""
        return self._unanswered is not None and window - self._unanswered > PATIENCE_WINDOWS

    def take(self, data: bytes, window: int) -> bool:
        """The centre's answer; whether the centre was found again after a silence."""
        message = decode(data)
        if not isinstance(message, Answer) or message.edge_boot not in (0, self.boot):
            return False
        again = self._unheard(window)
        self._unanswered = None
        if message.boot != self._centre or message.version < self._acknowledged:
            self._centre, self._acknowledged = message.boot, 0  # another centre, or one that missed something
        self._acknowledged = max(self._acknowledged, min(message.version, self.told.version))
        while self._events and self._first_event < message.events:
            self._events.popleft()
            self._first_event += 1
        return again


class _Edge:
    """What the centre holds of one edge."""

    def __init__(self, boot: int) -> None:
        self.boot = boot
        self.table = StateTable()
        self.t_s = -math.inf
        self.events = 0


class Centre:
    """The central side: a copy of every edge's told states, and the view over all of them.

    `boot` differs whenever the centre begins anew. `owner` tells which edge a target belongs to (None: no
    particular one): its word counts alone. What several others say of a target is weighted with the inverses
    of their variances.
    """

    def __init__(self, boot: int, owner: Callable[[str], str | None] = lambda _target: None) -> None:
        self._boot, self._owner = boot, owner
        self._edges: dict[str, _Edge] = {}
        #: detections and the like of all edges, newest last
        self.events: deque[tuple[str, Record]] = deque(maxlen=EVENTS_MAX * 4)
        #: number of them so far
        self.heard = 0
        self.refused = 0

    def take(self, data: bytes) -> bytes | None:
        """A message of an edge, or a question; the answer to it."""
        message = decode(data)
        if isinstance(message, Ask):
            edges = {name: (edge.t_s, edge.table.version) for name, edge in self._edges.items()}
            states = self.query(message.target, message.name)
            return encode(Found(message.number, states, edges, len(self.events)))
        if not isinstance(message, News):
            self.refused += 1
            return None
        edge = self._edges.get(message.edge)
        if (edge is None and len(self._edges) >= EDGES_MAX) or (
            edge is not None and message.boot < edge.boot
        ):
            self.refused += 1
            return None
        if edge is None or edge.boot != message.boot:
            edge = self._edges[message.edge] = _Edge(message.boot)
        edge.t_s = max(edge.t_s, message.t_s)
        if message.entries or message.gone or message.whole:
            entries = _entries(message, edge.table)
            if entries is None:
                self.refused += 1
                return None
            edge.table.apply(Delta(message.since, message.version, entries, message.gone, message.whole))
        for number, event in enumerate(message.events, message.first_event):
            if number >= edge.events:
                self.events.append((message.edge, event))
                self.heard += 1
                edge.events = number + 1
        return encode(Answer(self._boot, edge.boot, edge.table.version, edge.events))

    def edges(self) -> dict[str, StateTable]:
        """The copies, by edge."""
        return {name: edge.table for name, edge in self._edges.items()}

    def spoken(self) -> dict[str, tuple[int, float]]:
        """Of every edge its boot, and the run time (s) it spoke of last."""
        return {name: (edge.boot, edge.t_s) for name, edge in self._edges.items()}

    def query(self, target: str = "*", name: str = "*") -> list[Entry]:
        """States of all edges laid together whose target and name match; by target and name."""
        found: dict[tuple[str, str], dict[str, Entry]] = {}
        for edge_name, edge in self._edges.items():
            for entry in edge.table.query(target, name):
                found.setdefault((entry.target, entry.name), {})[edge_name] = entry
        merged = []
        for key in sorted(found):
            said = found[key]
            owner = self._owner(key[0])
            merged.append(said[owner] if owner in said else combined(list(said.values())))
        return merged


def _entries(news: News, held: StateTable) -> list[Entry] | None:
    """What an edge tells, as entries of its table; None when the message contradicts itself."""
    entries = []
    for target, rows in news.entries.items():
        for which, mean, variance, t_ms in rows:
            if not 0 <= which < len(news.names):
                return None
            name = news.names[which]
            before = held.get(target, name)
            updates = 1 if before is None else before.updates + 1
            t_s = t_ms / 1e3 if t_ms >= 0 else -math.inf
            entries.append(Entry(target, name, mean, variance, news.version, updates, t_s))
    return entries


def combined(entries: list[Entry]) -> Entry:
    """One state of several that say something of the same: weighted with the inverses of their variances.

    The weights are those of independent estimates with the least variance; several that are certain count
    alike, and alone.
    """
    if len(entries) == 1:
        return entries[0]
    newest = max(entries, key=lambda entry: entry.t_s)
    certain = [entry for entry in entries if entry.variance <= 0.0]
    if certain:
        return newest._replace(mean=sum(e.mean for e in certain) / len(certain), variance=0.0)
    variance = 1.0 / sum(1.0 / entry.variance for entry in entries)
    mean = variance * sum(entry.mean / entry.variance for entry in entries)
    return newest._replace(
        mean=mean, variance=variance, version=max(e.version for e in entries),
        updates=sum(e.updates for e in entries),
    )  # fmt: skip
