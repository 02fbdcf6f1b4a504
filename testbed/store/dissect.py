"""scapy layers for the packets of a run: importing this module teaches scapy link type 147.

    from scapy.utils import rdpcap
    import testbed.store.dissect
    packet = rdpcap("runs/ID/packets.pcap")[0]
    packet.due_ns, packet.link, packet.fate, packet.src, packet.payload.number

Behind the record stands the packet's own header: a WireHeader of what nodes send, or scapy's IP or IPv6 of
what programs behind a node's interface do, as far as 48 bytes go. scapy is slow to import and to iterate: for
whole files use `packets.read_hops`.
"""

from __future__ import annotations

from typing import Any, Final

from scapy.config import conf
from scapy.fields import (
    ByteEnumField,
    ByteField,
    FlagsField,
    LEIntField,
    LELongField,
    LEShortField,
    LESignedIntField,
    LESignedLongField,
    LESignedShortField,
    XLEShortField,
)
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from emulator.accounting import FATE_NAMES, HOP_RECORD
from nodes.wire import HEADER_BYTES, KIND_NAMES, MAGIC, VERSION
from testbed.store.packets import LINKTYPE_USER0

#: where the packet's own header begins in a record, and ends
_HEADER_AT: Final[int] = HOP_RECORD.fields["header"][1]  # type: ignore[index]
_TAIL_AT: Final = _HEADER_AT + HEADER_BYTES
_TAIL_BYTES: Final = HOP_RECORD.itemsize - _TAIL_AT
_IP_LAYERS: Final = {4: IP, 6: IPv6}


class PacketHop(Packet):
    """One packet-hop up to the packet's own header; see `emulator.accounting.HOP_RECORD`."""

    name = "PacketHop"
    fields_desc = [  # noqa: RUF012 - scapy wants it so
        LESignedLongField("ingress_ns", 0),
        LESignedLongField("in_ns", 0),
        LESignedLongField("due_ns", 0),
        LESignedLongField("actual_ns", 0),
        LESignedLongField("queue_ns", 0),
        LELongField("packet", 0),
        LEIntField("port", 0),
        LESignedIntField("from_place", -1),
        LESignedIntField("to_place", -1),
        LESignedIntField("link", -1),
        LESignedIntField("size", 0),
        ByteField("hop", 0),
        ByteEnumField("fate", 0, dict(enumerate(FATE_NAMES))),
        LESignedShortField("modcod", -1),
        # These stand behind the header in the file.
        LESignedIntField("credit_ns", 0),
        ByteField("traffic_class", 0),
        FlagsField("marks", 0, 8, ["corrupt", "copy"]),
        ByteField("ttl", 0),
        ByteField("reserved", 0),
    ]

    @property
    def lateness_ns(self) -> int:
        """Actual minus due time of leaving; of a drop it says nothing."""
        return int(self.actual_ns - self.due_ns)

    def pre_dissect(self, s: bytes) -> bytes:
        """The record's last fields, moved from behind the packet's header to the others."""
        return s[:_HEADER_AT] + s[_TAIL_AT : _TAIL_AT + _TAIL_BYTES] + s[_HEADER_AT:_TAIL_AT]

    def build_done(self, p: bytes) -> bytes:
        """The bytes of the file: those fields again where they were."""
        end = _HEADER_AT + _TAIL_BYTES
        done: bytes = super().build_done(p[:_HEADER_AT] + p[end:] + p[_HEADER_AT:end])
        return done

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """What the header is of: the first bytes of the testbed's own are none of an IP packet."""
        if payload[:2] == MAGIC.to_bytes(2, "little"):
            return WireHeader
        return _IP_LAYERS.get(payload[0] >> 4, Raw) if payload else Raw

    def mysummary(self) -> str:
        """One line for scapy's `summary()`."""
        fate = FATE_NAMES[self.fate] if self.fate < len(FATE_NAMES) else str(self.fate)
        return f"hop {self.hop} {self.from_place}>{self.to_place} link {self.link} {self.size} B {fate}"


class WireHeader(Packet):
    """The header of a packet of the testbed; see `nodes.wire.Header`."""

    name = "WireHeader"
    fields_desc = [  # noqa: RUF012 - scapy wants it so
        XLEShortField("magic", MAGIC),
        ByteField("version", VERSION),
        ByteEnumField("kind", 1, KIND_NAMES),
        LEIntField("src", 0),
        LEIntField("dst", 0),
        LEIntField("via", 0),
        LELongField("number", 0),
        LESignedLongField("sent_ns", 0),
        LELongField("tag", 0),
        LEShortField("fragment", 0),
        LEShortField("fragments", 1),
        ByteField("traffic_class", 0),
        FlagsField("flags", 0, 8, ["host_clock"]),
        LEShortField("reserved", 0),
    ]

    def mysummary(self) -> str:
        """One line for scapy's `summary()`."""
        kind = KIND_NAMES.get(self.kind, str(self.kind))
        return f"{kind} {self.src}>{self.dst} number {self.number}"


def read(path: Any) -> Any:
    """All packets of a file as scapy's PacketList."""
    from scapy.utils import rdpcap

    return rdpcap(str(path))


conf.l2types.register(LINKTYPE_USER0, PacketHop)
