"""What crosses the network: the packet header, and the control and telemetry messages.

A packet is one ZeroMQ frame: a fixed little-endian header of `HEADER_BYTES`, then the payload. The
compiled data plane reads the header in place, so its layout is a contract; `VERSION` changes with it.
Control messages are msgpack, one tagged struct a frame. Nothing here opens a socket.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, TypeAlias

import msgspec

MAGIC: Final = 0x1D57
VERSION: Final = 1
HEADER_BYTES: Final = 48
#: largest packet the data plane takes, header included; a longer one is dropped by name
MAX_PACKET_BYTES: Final = 65_535
#: payload bytes of a fragment, so that header and payload stay below an Ethernet-sized frame
FRAGMENT_BYTES: Final = 1_200
#: the port of the channel itself: a packet sent to it comes straight back, undelayed and uncounted
CHANNEL_PORT: Final = 0

# Kinds of packet
HELLO: Final = 0
DATA: Final = 1  # a reading or any application datagram
TASK: Final = 2  # a fragment of a compute task
RESULT: Final = 3  # a fragment of an answer
ACK: Final = 4  # acknowledgement of fragments
PING: Final = 5
PONG: Final = 6
PUBLISH: Final = 7
SUBSCRIBE: Final = 8
KIND_NAMES: Final = {
    HELLO: "hello", DATA: "data", TASK: "task", RESULT: "result", ACK: "ack",
    PING: "ping", PONG: "pong", PUBLISH: "publish", SUBSCRIBE: "subscribe",
}  # fmt: skip

#: flag: `sent_ns` is CLOCK_MONOTONIC of the host the channel runs on
FLAG_HOST_CLOCK: Final = 1
#: highest traffic class; of packets that wait for a link it goes first
TRAFFIC_CLASS_MAX: Final = 3
#: flag: a fragment of a reliable transfer (nodes.transfer); the receiver acknowledges it
FLAG_RELIABLE: Final = 2

_HEADER = struct.Struct("<HBBIIIQqQHHBBH")
assert _HEADER.size == HEADER_BYTES


class Header(NamedTuple):
    """The packet header.

    `src` and `dst` are ports of the sending and the final node; `via` a relaying node's port or 0.
    `number` counts the packets of the source; `sent_ns` is the sender's clock; `tag` names the
    application message the packet belongs to, of which this is `fragment` of `fragments`.
    """

    kind: int
    src: int
    dst: int
    via: int = 0
    number: int = 0
    sent_ns: int = 0
    tag: int = 0
    fragment: int = 0
    fragments: int = 1
    traffic_class: int = 0
    flags: int = 0


class WireError(ValueError):
    """A frame that is not a packet or a message of this version."""


def pack(header: Header, payload: bytes = b"") -> bytes:
    """One frame from a header and a payload."""
    h = header
    return (
        _HEADER.pack(
            MAGIC, VERSION, h.kind, h.src, h.dst, h.via, h.number, h.sent_ns, h.tag,
            h.fragment, h.fragments, h.traffic_class, h.flags, 0,
        )
        + payload
    )  # fmt: skip


def unpack(frame: bytes | memoryview) -> tuple[Header, bytes]:
    """The header and payload of a frame; WireError when it is not one of this version."""
    if len(frame) < HEADER_BYTES:
        raise WireError(f"a packet has at least {HEADER_BYTES} bytes, got {len(frame)}")
    magic, version, *rest = _HEADER.unpack_from(frame)
    if magic != MAGIC:
        raise WireError(f"not a packet: magic is {magic:#06x}, not {MAGIC:#06x}")
    if version != VERSION:
        raise WireError(f"packet version {version} is not supported, this is version {VERSION}")
    return Header(*rest[:-1]), bytes(frame[HEADER_BYTES:])


def routing_id(port: int) -> bytes:
    """The ZeroMQ identity of a port: a non-zero byte, then the port, little-endian."""
    return b"\x01" + port.to_bytes(4, "little")


# --- control and telemetry -------------------------------------------------------------------

Value: TypeAlias = bool | int | float | str


class Record(msgspec.Struct, omit_defaults=True):
    """One telemetry record: what was measured, of what, when.

    `t_ns` is CLOCK_MONOTONIC of the host; `samples` are the raw values behind the fields (they reach
    the twin and the run's own file, not a database).
    """

    t_ns: int
    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    samples: list[float] = []


class _Message(msgspec.Struct, tag=True, omit_defaults=True):
    pass


class Register(_Message):
    """A node introduces itself; answered by Registered or Refused."""

    id: str
    role: str
    pid: int
    protocol: int = VERSION
    #: for a guest (a program the scenario does not name): the place it stands at
    place: str = ""


class Registered(_Message):
    port: int
    data_endpoint: str
    #: node id -> port, of every node of the run
    directory: dict[str, int]
    #: the node's own section of the scenario
    config: dict[str, object]
    heartbeat_s: float = 1.0


class Refused(_Message):
    reason: str


class Ready(_Message):
    """The node is connected to the data plane and can start; the channel says where the data plane is."""

    endpoint: str = ""


class Start(_Message):
    """Begin at `t0_ns` (CLOCK_MONOTONIC of the host), which is `start_utc` in emulated time."""

    t0_ns: int
    duration_s: float
    start_utc: str


class Quiesce(_Message):
    """Offer no new traffic, go on answering."""


class Stop(_Message):
    """End: answer with Bye and leave."""


class Heartbeat(_Message):
    """A sign of life. In the answer to one, `echo_ns` is its `t_ns` and `heard_ns` when it came."""

    t_ns: int
    sent: int = 0
    received: int = 0
    echo_ns: int = 0
    heard_ns: int = 0


class Telemetry(_Message):
    records: list[Record]


class Command(_Message):
    """An order to a node or to the channel; `by` says who asks. Answered by CommandResult."""

    number: int
    name: str
    arguments: dict[str, object]
    by: str


class CommandResult(_Message):
    number: int
    done: bool
    text: str = ""


class Request(_Message):
    """The twin asks that a member be given a command; answered by CommandResult with this number."""

    number: int
    member: str
    name: str
    arguments: dict[str, object]


class Snapshot(_Message):
    """What a member knows, to be kept by the supervisor and given back to one that takes its place."""

    t_ns: int
    data: bytes


class Bye(_Message):
    """The last word of a node, with its counters (packets sent, packets received, and the like)."""

    counters: dict[str, int]


Message: TypeAlias = (
    Register | Registered | Refused | Ready | Start | Quiesce | Stop
    | Heartbeat | Telemetry | Command | CommandResult | Request | Snapshot | Bye
)  # fmt: skip

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """A control message as bytes."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """A control message from bytes; WireError when it is not one."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a control message: {error}") from None
