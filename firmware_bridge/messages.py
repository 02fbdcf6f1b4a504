"""The messages between bridge and firmware: CCSDS space packets with a time stamp, a type and a fixed body.

All fields are big-endian. A packet is

    6 B  CCSDS primary header (133.0-B-2, 4.1.3): version 0; type 0 from the device, 1 to it; secondary
         header present; APID of the device; unsegmented; 14-bit sequence count of the sender; length
    8 B  sender's clock in microseconds: since boot on a device, CLOCK_MONOTONIC on the bridge
    1 B  type of message
    1 B  schema version
    ...  body, at most `MAX_BODY_BYTES`

Both sides use this module, so the reference firmware in C has one page to agree with. Framing, ports
and time-outs are not its subject.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple, TypeAlias

from firmware_bridge.framing import MAX_PACKET_BYTES, PRIMARY_HEADER_BYTES

PROTOCOL: Final = 1
SCHEMA_VERSION: Final = 1
#: sequence counts run modulo this
SEQUENCE_MODULUS: Final = 1 << 14
#: APID a bridge uses until the device has told its own; never a device's
ANY_APID: Final = 0
MAX_APID: Final = 2046  # 2047 is the CCSDS idle packet
HEADER_BYTES: Final = PRIMARY_HEADER_BYTES + 8 + 2
MAX_BODY_BYTES: Final = MAX_PACKET_BYTES - HEADER_BYTES

# Flows of Data
READINGS_FLOW: Final = 0
ECHO_FLOW: Final = 255

# Commands
SET_INTERVAL: Final = 1  # argument: milliseconds between readings, 0 for none
SET_READING_BYTES: Final = 2  # argument: bytes of a reading's payload
RESET: Final = 3  # boot again, acknowledged first; argument: the boot id that is to end
REPORT_STATUS: Final = 4  # send STATUS now
COMMAND_NAMES: Final = {
    "set_interval": SET_INTERVAL,
    "set_reading_bytes": SET_READING_BYTES,
    "reset": RESET,
    "report_status": REPORT_STATUS,
}

# Results of a command
DONE: Final = 0
UNKNOWN_COMMAND: Final = 1
BAD_ARGUMENT: Final = 2
RESULT_TEXTS: Final = {
    DONE: "done",
    UNKNOWN_COMMAND: "the device does not know the command",
    BAD_ARGUMENT: "the device refuses the argument",
}


class MessageError(ValueError):
    """A packet that is none of this protocol, or a message that does not fit into one."""


class Hello(NamedTuple):
    """Who speaks: sent at boot, and as the answer to a Hello that is no answer itself.

    `boot_id` is random and new at every boot (of a bridge: at every start); a new one resets the
    sequence counts and the clock fit. `unit_id` is the chip's serial number, `buffer_bytes` what the
    receiver can take at once. `schema_hash` must be equal on both sides.
    """

    answer: bool
    protocol: int
    schema_hash: int
    unit_id: int
    boot_id: int
    firmware: tuple[int, int, int]
    buffer_bytes: int


class TimeRequest(NamedTuple):
    """Bridge to device: `t1_us` is the bridge's clock when the request left."""

    t1_us: int


class TimeResponse(NamedTuple):
    """Device to bridge: the request's `t1_us`, the device's clock at its arrival and at this answer."""

    t1_us: int
    t2_us: int
    t3_us: int


class Data(NamedTuple):
    """Application bytes, either way; `number` counts within the sender.

    `flow` tells kinds of data apart: `READINGS_FLOW` is what the device measures, `ECHO_FLOW` comes
    straight back from the device, the others belong to the application.
    """

    flow: int
    number: int
    payload: bytes


class Command(NamedTuple):
    """Bridge to device. A repeated `number` is acknowledged again but not carried out again."""

    number: int
    command: int
    argument: int


class Ack(NamedTuple):
    """Device to bridge: what became of a command."""

    number: int
    result: int


class Status(NamedTuple):
    """Device to bridge: its counters since boot, and the interval between readings in force."""

    frames_in: int
    frames_out: int
    damaged_in: int
    lost_in: int
    readings: int
    readings_dropped: int
    data_in: int
    interval_ms: int


class Log(NamedTuple):
    """Device to bridge: a line for people; `level` as in syslog (RFC 5424, 6.2.1), cut to what fits."""

    level: int
    text: str


Message: TypeAlias = Hello | TimeRequest | TimeResponse | Data | Command | Ack | Status | Log

_STAMP = struct.Struct(">QBB")
_PRIMARY = struct.Struct(">HHH")
#: message class -> (type byte, layout of the fixed part); Data and Log are followed by their bytes
_LAYOUTS: Final[dict[type, tuple[int, struct.Struct]]] = {
    Hello: (1, struct.Struct(">BBIQIBBBH")),
    TimeRequest: (2, struct.Struct(">Q")),
    TimeResponse: (3, struct.Struct(">QQQ")),
    Data: (4, struct.Struct(">BI")),
    Command: (5, struct.Struct(">HBI")),
    Ack: (6, struct.Struct(">HB")),
    Status: (7, struct.Struct(">IIIIIIII")),
    Log: (8, struct.Struct(">B")),
}
_CLASSES: Final = {number: cls for cls, (number, _) in _LAYOUTS.items()}
#: most bytes of application data in one Data message
MAX_PAYLOAD_BYTES: Final = MAX_BODY_BYTES - _LAYOUTS[Data][1].size
#: identifies the layouts above: both sides must have the same
SCHEMA_HASH: Final = zlib.crc32(
    ";".join(
        f"{number} {cls.__name__} {layout.format} {' '.join(cls._fields)}"  # type: ignore[attr-defined]
        for cls, (number, layout) in _LAYOUTS.items()
    ).encode()
)


class Packet(NamedTuple):
    """A message with what its packet adds: the device, the direction, the sender's count and clock."""

    apid: int
    to_device: bool
    sequence: int
    stamp_us: int
    message: Message


def encode(packet: Packet) -> bytes:
    """A space packet; MessageError when a value does not fit its field."""
    message = packet.message
    number, layout = _LAYOUTS[type(message)]
    tail = b""
    values: tuple[object, ...] = message
    if isinstance(message, Hello):
        values = (*message[:5], *message.firmware, message.buffer_bytes)
    elif isinstance(message, Data):
        values, tail = message[:2], message.payload
    elif isinstance(message, Log):
        values, tail = message[:1], _cut_text(message.text, MAX_BODY_BYTES - layout.size)
    if not 0 <= packet.apid <= MAX_APID:
        raise MessageError(f"APID {packet.apid} is not within 0 to {MAX_APID}")
    try:
        body = layout.pack(*values) + tail
        stamp = _STAMP.pack(packet.stamp_us, number, SCHEMA_VERSION)
    except struct.error as error:
        raise MessageError(f"{message} does not fit its layout: {error}") from None
    if len(body) > MAX_BODY_BYTES:
        raise MessageError(f"a message has at most {MAX_BODY_BYTES} bytes, this one has {len(body)}")
    first = packet.to_device << 12 | 1 << 11 | packet.apid
    second = 0b11 << 14 | packet.sequence % SEQUENCE_MODULUS
    return _PRIMARY.pack(first, second, len(stamp) + len(body) - 1) + stamp + body


def decode(data: bytes) -> Packet:
    """The message in a space packet the deframer found whole; MessageError if of another protocol."""
    if len(data) < HEADER_BYTES:
        raise MessageError(f"a packet has at least {HEADER_BYTES} bytes, got {len(data)}")
    first, second, _ = _PRIMARY.unpack_from(data)
    if first >> 13 != 0 or not first >> 11 & 1 or second >> 14 != 0b11:
        raise MessageError(f"not a packet of this protocol: it begins with {data[:4].hex()}")
    stamp_us, number, schema = _STAMP.unpack_from(data, PRIMARY_HEADER_BYTES)
    if schema != SCHEMA_VERSION:
        raise MessageError(f"schema version {schema} is not supported, this is version {SCHEMA_VERSION}")
    cls = _CLASSES.get(number)
    if cls is None:
        raise MessageError(f"unknown message type {number}")
    message = _decode_body(cls, data[HEADER_BYTES:])
    return Packet(first & 0x7FF, bool(first >> 12 & 1), second & (SEQUENCE_MODULUS - 1), stamp_us, message)


def _decode_body(cls: type, body: bytes) -> Message:
    layout = _LAYOUTS[cls][1]
    has_tail = cls in (Data, Log)
    if len(body) < layout.size or (len(body) > layout.size and not has_tail):
        raise MessageError(f"{cls.__name__} has {layout.size} bytes, got {len(body)}")
    values = layout.unpack_from(body)
    tail = body[layout.size :]
    if cls is Hello:
        answer, protocol, schema_hash, unit_id, boot_id, *firmware, buffer_bytes = values
        major, minor, patch = firmware
        return Hello(
            bool(answer), protocol, schema_hash, unit_id, boot_id, (major, minor, patch), buffer_bytes
        )
    if cls is Data:
        return Data(values[0], values[1], tail)
    if cls is Log:
        return Log(values[0], tail.decode("utf-8", "replace"))
    message: Message = cls(*values)
    return message


def _cut_text(text: str, limit_bytes: int) -> bytes:
    # Cutting encoded text may split a character: drop the broken rest of it.
    return text.encode()[:limit_bytes].decode("utf-8", "ignore").encode()


class SequenceTracker:
    """Counts packets that were sent but not received, from the gaps in the peer's 14-bit sequence count."""

    def __init__(self) -> None:
        self.lost = 0
        self._expected: int | None = None

    def reset(self) -> None:
        """The peer booted again: its next packet may carry any count. `lost` stays."""
        self._expected = None

    def see(self, sequence: int) -> int:
        """Take note of a packet; the number of packets missing before it.

        A serial line keeps order, so every difference is a gap; more than half the modulus at once
        cannot be told from a peer that booted without a word and is taken for that (0 missing).
        """
        gap = 0
        if self._expected is not None:
            gap = (sequence - self._expected) % SEQUENCE_MODULUS
            if gap > SEQUENCE_MODULUS // 2:
                gap = 0
        self._expected = (sequence + 1) % SEQUENCE_MODULUS
        self.lost += gap
        return gap
