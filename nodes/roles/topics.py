"""What PUBLISH and SUBSCRIBE packets carry, shared by publishers, brokers and subscribers.

A publication keeps who made it and when through every broker, so that its age can be told at the end.
Layout, little-endian: length of the topic (u8), topic (UTF-8), port of the origin (u32), time at the origin
(i64 ns), data. A subscription is the topic alone.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

TOPIC_MAX_BYTES: Final = 255
_ORIGIN = struct.Struct("<Iq")


class Publication(NamedTuple):
    topic: str
    origin: int
    made_ns: int
    data: bytes


def pack_publication(publication: Publication) -> bytes:
    """A publication as bytes; ValueError when the topic is too long."""
    topic = publication.topic.encode()
    if len(topic) > TOPIC_MAX_BYTES:
        raise ValueError(f"a topic has at most {TOPIC_MAX_BYTES} bytes, got {len(topic)}")
    head = bytes([len(topic)]) + topic + _ORIGIN.pack(publication.origin, publication.made_ns)
    return head + publication.data


def unpack_publication(data: bytes) -> Publication | None:
    """The publication in these bytes, or None when there is none."""
    end = 1 + data[0] if data else 0
    if not data or len(data) < end + _ORIGIN.size:
        return None
    origin, made_ns = _ORIGIN.unpack_from(data, end)
    return Publication(data[1:end].decode(errors="replace"), origin, made_ns, data[end + _ORIGIN.size :])
