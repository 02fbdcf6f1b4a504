"""Frames on a serial line: COBS, a CRC-32 and a length around each packet, 0x00 between frames.

A frame is COBS(packet + CRC-32) followed by one 0x00. The packet is a CCSDS space packet; of it this
module knows one thing, the length field, which must agree with the number of bytes that arrived.
What is in a packet is the subject of `messages`. No I/O, no clock.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

DELIMITER: Final = b"\x00"
#: largest decoded frame (packet and CRC): COBS then adds exactly one byte, and never a second code byte
MAX_DECODED_BYTES: Final = 254
CRC_BYTES: Final = 4
#: largest packet that fits into a frame
MAX_PACKET_BYTES: Final = MAX_DECODED_BYTES - CRC_BYTES
#: a CCSDS space packet has a primary header of six bytes and at least one byte of data
PRIMARY_HEADER_BYTES: Final = 6
MIN_PACKET_BYTES: Final = PRIMARY_HEADER_BYTES + 1
_MAX_ENCODED_BYTES: Final = MAX_DECODED_BYTES + 2
#: bytes that framing adds to a packet: CRC, the COBS code byte, the delimiter
OVERHEAD_BYTES: Final = CRC_BYTES + 2


class FramingError(ValueError):
    """A packet that cannot be framed, or bytes between delimiters that are no COBS block."""


def cobs_encode(data: bytes) -> bytes:
    """`data` without zero bytes (consistent overhead byte stuffing, Cheshire and Baker 1999)."""
    encoded = bytearray()
    pieces = data.split(b"\x00")
    for last, piece in enumerate(pieces, start=1 - len(pieces)):
        # A full block (code 255) stands for 254 bytes and no zero, so it cannot end a zero-terminated
        # piece; at the very end of the data nothing needs to follow it.
        while len(piece) > 254 or (len(piece) == 254 and last < 0):
            encoded.append(255)
            encoded += piece[:254]
            piece = piece[254:]
        encoded.append(len(piece) + 1)
        encoded += piece
    return bytes(encoded)


def cobs_decode(data: bytes) -> bytes:
    """The bytes that `cobs_encode` turned into `data` (without delimiter); FramingError if there are none."""
    decoded = bytearray()
    position, end = 0, len(data)
    if end == 0:
        raise FramingError("an empty block is no COBS block")
    if DELIMITER in data:
        raise FramingError("a zero byte inside a COBS block")
    while True:
        code = data[position]
        following = position + code
        if following > end:
            raise FramingError(f"COBS code {code} at byte {position} of {end} points outside the block")
        decoded += data[position + 1 : following]
        position = following
        if position == end:
            return bytes(decoded)
        if code != 255:
            decoded.append(0)


def encode_frame(packet: bytes) -> bytes:
    """One frame, delimiter included, from a space packet; FramingError if its length is not as it says."""
    if not MIN_PACKET_BYTES <= len(packet) <= MAX_PACKET_BYTES:
        raise FramingError(
            f"a packet has {MIN_PACKET_BYTES} to {MAX_PACKET_BYTES} bytes, this one has {len(packet)}"
        )
    if not _length_agrees(packet):
        raise FramingError(f"the length field of the packet does not say {len(packet)} bytes")
    return cobs_encode(packet + zlib.crc32(packet).to_bytes(CRC_BYTES, "big")) + DELIMITER


def _length_agrees(packet: bytes) -> bool:
    # CCSDS 133.0-B-2, 4.1.3.5: the field holds the number of bytes after the primary header, minus one.
    return int.from_bytes(packet[4:6], "big") + 1 == len(packet) - PRIMARY_HEADER_BYTES


@dataclass
class FrameCounters:
    """What a deframer has seen. Every stretch of bytes between delimiters is counted once, somewhere."""

    frames: int = 0  # good ones
    damaged_cobs: int = 0  # not a COBS block, or too short for a packet and its CRC
    damaged_crc: int = 0
    damaged_length: int = 0  # the CRC holds, the length field does not
    overlong: int = 0  # more bytes without a delimiter than a frame can have
    bytes_in: int = 0

    @property
    def damaged(self) -> int:
        """Stretches that were no good frame, whatever the cause."""
        return self.damaged_cobs + self.damaged_crc + self.damaged_length + self.overlong


class Deframer:
    """Cuts a byte stream into packets; damage costs the frame it is in (or two, if it hit the delimiter).

    Bytes may arrive in pieces of any size. Memory is bounded: of a stretch that is too long only the
    fact is kept, and the next delimiter starts afresh.
    """

    def __init__(self) -> None:
        self.counters = FrameCounters()
        self._pending = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        """The packets completed by `data`, in order."""
        self.counters.bytes_in += len(data)
        packets = []
        *ends, rest = data.split(DELIMITER)
        for end in ends:
            self._append(end)
            packet = self._finish()
            if packet is not None:
                packets.append(packet)
        self._append(rest)
        return packets

    def reset(self) -> None:
        """Forget an unfinished frame, as after the port was opened again; counters stay."""
        self._pending.clear()
        self._skipping = False

    def _append(self, data: bytes) -> None:
        if self._skipping or not data:
            return
        if len(self._pending) + len(data) > _MAX_ENCODED_BYTES:
            self._skipping = True
            self._pending.clear()
        else:
            self._pending += data

    def _finish(self) -> bytes | None:
        block = bytes(self._pending)
        overlong = self._skipping
        self.reset()
        counters = self.counters
        if overlong:
            counters.overlong += 1
            return None
        if not block:  # two delimiters in a row: the line is kept in step that way, nothing is wrong
            return None
        try:
            decoded = cobs_decode(block)
        except FramingError:
            counters.damaged_cobs += 1
            return None
        if not MIN_PACKET_BYTES + CRC_BYTES <= len(decoded) <= MAX_DECODED_BYTES:
            counters.damaged_cobs += 1
            return None
        packet, crc = decoded[:-CRC_BYTES], decoded[-CRC_BYTES:]
        if zlib.crc32(packet).to_bytes(CRC_BYTES, "big") != crc:
            counters.damaged_crc += 1
            return None
        if not _length_agrees(packet):
            counters.damaged_length += 1
            return None
        counters.frames += 1
        return packet
