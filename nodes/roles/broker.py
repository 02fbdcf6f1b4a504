"""A broker on board a satellite: publish and subscribe, with store and forward.

Publications arrive as datagrams or transfers and are kept, in order, until every subscriber of their topic
has acknowledged them. A subscriber repeats its SUBSCRIBE while it is there; when a hand-over fails, the
broker waits for the next of these, which shows that the subscriber is in view again. The first publications
of a topic without any subscriber are kept for the first one that comes.
Configuration: `store_messages` (per topic; the oldest are dropped beyond it), `topics_max`,
`subscriber_timeout_s` (forgotten when silent that long).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from nodes import wire
from nodes.node import Node
from nodes.roles.base import Role
from nodes.roles.topics import TOPIC_MAX_BYTES, unpack_publication
from nodes.transfer import Blob, Outcome
from nodes.wire import Header, Value


@dataclass
class _Subscriber:
    heard_ns: int
    next: int  # number of the next message to hand over
    waiting: bool = False  # a hand-over failed: wait until heard again
    busy: bool = False


@dataclass
class _Topic:
    first: int = 0  # number of the oldest message still stored
    messages: deque[bytes] = field(default_factory=deque)
    subscribers: dict[int, _Subscriber] = field(default_factory=dict)

    @property
    def end(self) -> int:
        return self.first + len(self.messages)


class Broker(Role):
    """Keeps publications until their subscribers have them."""

    initiates = True

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._limit = int(self.number("store_messages", 1000, 1, 1e6))
        self._topics_max = int(self.number("topics_max", 100, 1, 1e5))
        self._timeout_ns = int(self.number("subscriber_timeout_s", 3600.0, 0.1) * 1e9)
        self._topics: dict[str, _Topic] = {}
        self.published = self.forwarded = self.dropped = self.refused = 0

    def on_packet(self, header: Header, payload: bytes) -> None:
        if header.kind == wire.PUBLISH:
            self._publish(payload)
        elif header.kind == wire.SUBSCRIBE and len(payload) <= TOPIC_MAX_BYTES:
            self._subscribe(header.src, payload.decode(errors="replace"))
        else:
            self.misdirected += 1

    def on_blob(self, blob: Blob) -> None:
        if blob.kind == wire.PUBLISH:
            self._publish(blob.data)
        else:
            self.misdirected += 1

    def fields(self) -> dict[str, Value]:
        return {
            "published": self.published,
            "forwarded": self.forwarded,
            "stored": sum(len(topic.messages) for topic in self._topics.values()),
            "dropped": self.dropped,
            "subscribers": sum(len(topic.subscribers) for topic in self._topics.values()),
        }

    def counters(self) -> dict[str, int]:
        return super().counters() | {
            "published": self.published,
            "forwarded": self.forwarded,
            "stored": sum(len(topic.messages) for topic in self._topics.values()),
            "dropped": self.dropped,
            "refused": self.refused,
        }

    def _topic(self, name: str) -> _Topic | None:
        topic = self._topics.get(name)
        if topic is None:
            if len(self._topics) >= self._topics_max:
                self.refused += 1
                return None
            topic = self._topics[name] = _Topic()
        return topic

    def _publish(self, data: bytes) -> None:
        publication = unpack_publication(data)
        topic = self._topic(publication.topic) if publication else None
        if publication is None or topic is None:
            self.misdirected += publication is None
            return
        self.published += 1
        topic.messages.append(data)
        if len(topic.messages) > self._limit:
            topic.messages.popleft()
            topic.first += 1
            self.dropped += 1
        for port in list(topic.subscribers):
            self._hand_over(topic, port)

    def _subscribe(self, port: int, name: str) -> None:
        topic = self._topic(name)
        if topic is None:
            return
        now_ns = self.node.now_ns()
        for other, known in list(topic.subscribers.items()):
            if now_ns - known.heard_ns > self._timeout_ns:
                del topic.subscribers[other]
        subscriber = topic.subscribers.setdefault(port, _Subscriber(now_ns, topic.first))
        subscriber.heard_ns, subscriber.waiting = now_ns, False
        self._hand_over(topic, port)

    def _hand_over(self, topic: _Topic, port: int) -> None:
        """Send the subscriber its next message; the one after follows when it has arrived."""
        subscriber = topic.subscribers.get(port)
        if subscriber is None or subscriber.busy or subscriber.waiting:
            return
        subscriber.next = max(subscriber.next, topic.first)  # dropped meanwhile
        if subscriber.next >= topic.end:
            return
        number = subscriber.next
        subscriber.busy = True

        def ended(outcome: Outcome) -> None:
            subscriber.busy = False
            subscriber.waiting = bool(outcome.cause)
            if not outcome.cause:
                self.forwarded += 1
                subscriber.next = max(subscriber.next, number + 1)
                self._forget_delivered(topic)
            self._hand_over(topic, port)

        self.node.transfer(port, topic.messages[number - topic.first], wire.PUBLISH, 0, None, ended)

    def _forget_delivered(self, topic: _Topic) -> None:
        reached = min((s.next for s in topic.subscribers.values()), default=topic.first)
        while topic.first < reached and topic.messages:
            topic.messages.popleft()
            topic.first += 1
