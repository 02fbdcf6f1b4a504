"""A ground gateway: takes in readings, sent to it or subscribed to at a broker; answers pings.

Configuration: `broker` and `topics` (subscribe there), `subscribe_interval_s` (subscriptions are
refreshed this often, which also tells the broker that this node is in view).
"""

from __future__ import annotations

from nodes import wire
from nodes.node import ConfigError, Node
from nodes.readings import value_of
from nodes.roles.base import Role
from nodes.roles.topics import Publication, unpack_publication
from nodes.transfer import Blob
from nodes.wire import Header, Value


class Gateway(Role):
    """Takes in readings and publications, and counts them."""

    initiates = True

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._broker = self.port("broker")
        self._topics = self.texts("topics")
        self._interval_ns = int(self.number("subscribe_interval_s", 5.0, 0.1) * 1e9)
        if self._broker and not self._topics:
            raise ConfigError(f"{node.id}: broker is set, so topics must name at least one topic")
        self.readings = 0
        self.publications = 0

    def on_start(self) -> None:
        if self._broker:
            self.node.every(self.node.now_ns(), self._interval_ns, self._subscribe)

    def on_packet(self, header: Header, payload: bytes) -> None:
        publication = unpack_publication(payload) if header.kind == wire.PUBLISH else None
        if header.kind == wire.DATA:
            self.readings += 1
            self._read(self.node.name_of(header.src), wire.KIND_NAMES[wire.DATA], payload)
        elif publication is not None:
            self._take(publication, len(payload))
        else:
            self.misdirected += 1

    def on_blob(self, blob: Blob) -> None:
        publication = unpack_publication(blob.data) if blob.kind == wire.PUBLISH else None
        if blob.kind == wire.DATA:
            self.readings += 1
        elif publication is not None:
            self._take(publication, len(blob.data))
        else:
            self.misdirected += 1

    def fields(self) -> dict[str, Value]:
        return {
            "readings": self.readings,
            "publications": self.publications,
            "traffic_class": self.node.traffic_class,
        }

    def counters(self) -> dict[str, int]:
        return super().counters() | {"readings": self.readings, "publications": self.publications}

    def _subscribe(self) -> None:
        # Refreshed while quiescing too: the broker still has stored readings to hand over.
        for topic in self._topics:
            self.node.send(self._broker, topic.encode(), kind=wire.SUBSCRIBE)

    def _take(self, publication: Publication, size: int) -> None:
        self.publications += 1
        source = self.node.name_of(publication.origin)
        name = f"publish:{publication.topic}"
        self.node.flows.observe(source, name, size, self.node.stamp_ns(), publication.made_ns, None)
        self._read(source, name, publication.data)

    def _read(self, source: str, flow: str, payload: bytes) -> None:
        """Note the value of a reading, if it is one of a form that is known here."""
        if (value := value_of(payload)) is not None:
            self.node.flows.observe_value(source, flow, value)
