"""The packets of a capture file, one after the other: when seen, between whom, and what identifies them.

scapy's streaming readers give the frames of pcap and pcapng; here is what of a frame is needed to pair
packets. Of fragments only the first counts.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, NamedTuple

from testbed.errors import BadInput
from testbed.measured.formats.source import Source

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
ICMPV6: Final = 58

_MAGICS: Final = (
    b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a",
)  # fmt: skip
#: offsets at which IP begins, by link type (tcpdump.org/linktypes): Ethernet has its own rule
_IP_AT: Final = {0: 4, 12: 0, 14: 0, 101: 0, 108: 4, 113: 16, 228: 0, 229: 0, 276: 20}
_ETHERNET: Final = 1
_VLAN: Final = (0x8100, 0x88A8)
_IP_TYPES: Final = (0x0800, 0x86DD)
#: IPv6 headers that stand between the packet's own and what it carries
_EXTENSIONS: Final = (0, 43, 60)


class Packet(NamedTuple):
    """One IP packet as it was seen; addresses as bytes, ports 0 where there are none."""

    #: POSIX seconds
    at_s: float
    protocol: int
    source: bytes
    target: bytes
    source_port: int
    target_port: int
    ttl: int
    #: the packet's own number in IPv4, 0 in IPv6
    number: int
    #: from the header of ICMP, TCP or UDP on, as far as it was captured
    body: bytes
    #: bytes of `body` on the wire
    length: int


def recognises(head: bytes) -> bool:
    """Whether it is a capture, pcap or pcapng."""
    return head.startswith(_MAGICS)


class Capture:
    """The IP packets of a capture file. Raises `BadInput` when it is none, or damaged.

    `truncated` afterwards: the last packet broke off. `seen`, `passed_over`: frames, and those without IP.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.truncated = False
        self.seen = self.passed_over = 0

    def __iter__(self) -> Iterator[Packet]:
        from scapy.error import Scapy_Exception
        from scapy.utils import RawPcapReader

        with _quiet(), self._source.open() as plain:
            file = _Watched(plain)
            try:
                # it takes any file that can be read, whatever its types say, and gives pcapng other records
                reader: Any = RawPcapReader(file)  # type: ignore[arg-type]
            except (Scapy_Exception, EOFError, OSError, struct.error) as error:
                raise BadInput(f"{self._source.name}: is a damaged capture ({error})") from None
            of_pcap = hasattr(reader, "nano") and hasattr(reader, "linktype")
            scale = 1e-9 if getattr(reader, "nano", False) else 1e-6
            while True:
                try:
                    frame, about = next(reader)
                except StopIteration:
                    break
                except (Scapy_Exception, struct.error, IndexError, ValueError) as error:
                    raise BadInput(
                        f"{self._source.name}: packet {self.seen + 1} is damaged ({error})"
                    ) from None
                self.seen += 1
                if of_pcap:
                    at_s, linktype = about.sec + about.usec * scale, reader.linktype
                    if len(frame) < min(about.caplen, about.wirelen):
                        break
                elif about.tshigh is None:
                    raise BadInput(f"{self._source.name}: packet {self.seen} has no time")
                else:
                    at_s = ((about.tshigh << 32) + about.tslow) / about.tsresol
                    linktype = about.linktype
                packet = parse(at_s, frame, linktype)
                if packet is None:
                    self.passed_over += 1
                else:
                    yield packet
            if file.error is not None:
                raise self._source.broken(file.error)
            self.truncated = file.short


def parse(at_s: float, frame: bytes, linktype: int) -> Packet | None:
    """The IP packet in a frame; None when there is none, or only a later fragment of one."""
    if linktype == _ETHERNET:
        at, kind = 14, int.from_bytes(frame[12:14], "big")
        while kind in _VLAN:
            kind, at = int.from_bytes(frame[at + 2 : at + 4], "big"), at + 4
        if kind not in _IP_TYPES:
            return None
    elif linktype in _IP_AT:
        at = _IP_AT[linktype]
    else:
        return None
    if len(frame) <= at + 20:
        return None
    version = frame[at] >> 4
    if version == 4:
        header = (frame[at] & 15) * 4
        total, number, fragment, ttl, protocol = struct.unpack_from("!HHHBB", frame, at + 2)
        if fragment & 0x1FFF:
            return None
        source, target = frame[at + 12 : at + 16], frame[at + 16 : at + 20]
        length, at = total - header, at + header
    elif version == 6 and len(frame) > at + 40:
        length, protocol, ttl = struct.unpack_from("!HBB", frame, at + 4)
        number, source, target = 0, frame[at + 8 : at + 24], frame[at + 24 : at + 40]
        at += 40
        while protocol in _EXTENSIONS and len(frame) > at + 8:
            size = (frame[at + 1] + 1) * 8
            protocol, at, length = frame[at], at + size, length - size
    else:
        return None
    if length <= 0:  # left to the network card to fill in
        length = len(frame) - at
    body = frame[at : at + length]
    from_port = to_port = 0
    if protocol in (TCP, UDP) and len(body) >= 8:
        from_port, to_port = struct.unpack_from("!HH", body)
    return Packet(at_s, protocol, source, target, from_port, to_port, ttl, number, body, length)


class _Watched:
    """A file that remembers whether a read came short, and what went wrong; scapy swallows both."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.short = False
        self.error: Exception | None = None
        self.name = "capture"

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._file.read(size)
        except Exception as error:
            self.error = error
            raise
        self.short = self.short or 0 < len(data) < size
        # an end in the middle of a block of pcapng
        self.short = self.short or (not data and size > 0 and self._midway(size))
        return data

    def _midway(self, size: int) -> bool:
        return size not in (4, 16)

    def seek(self, *where: int) -> int:
        return self._file.seek(*where)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        """The one who opened it closes it."""


@contextmanager
def _quiet() -> Iterator[None]:
    """scapy warns of damage on its log; here it becomes a sentence."""
    log = logging.getLogger("scapy.runtime")
    level: Any = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
