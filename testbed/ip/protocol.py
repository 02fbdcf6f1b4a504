"""What `testbed exec` and the plant say to each other over a Unix stream socket.

A message is its length in four bytes (big-endian) and so many bytes of MessagePack. The conversation:

    Attach(node)         ->
                        <-  Granted(..., join_pid=0) or Refused
    Handover + a TUN's descriptor (SCM_RIGHTS)  ->
                        <-  Attached or Refused

With a `join_pid` the node's namespaces exist already: the program enters those of that process and says
`Joined` in place of `Handover`. The connection then stays open for as long as the program runs; its end is
the program's, or the run's.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import msgspec

#: the most bytes a client's message may have, and a server's (the names of some 100,000 places)
LARGEST_REQUEST: Final = 4096
LARGEST_ANSWER: Final = 64 << 20
LENGTH: Final = struct.Struct(">I")


class Host(NamedTuple):
    """A name of the emulated network: a node or a place, with its two addresses as text."""

    name: str
    ipv4: str
    ipv6: str


class Attach(msgspec.Struct, frozen=True, tag=True):
    """A program wants to run behind a node's interface."""

    node: str


class Handover(msgspec.Struct, frozen=True, tag=True):
    """The descriptor of the node's new TUN comes with this message."""


class Joined(msgspec.Struct, frozen=True, tag=True):
    """The program is in the namespaces that were there."""


class Granted(msgspec.Struct, frozen=True, tag=True):
    """The node is there. `mtu` in bytes; `join_pid`: whose namespaces to enter, 0 to make new ones."""

    ipv4: str
    ipv6: str
    mtu: int
    hosts: list[Host]
    join_pid: int = 0


class Attached(msgspec.Struct, frozen=True, tag=True):
    """Packets flow."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """It cannot be; a sentence, and the exit status that the command should end with."""

    reason: str
    exit_status: int = 3


Request = Attach | Handover | Joined
Answer = Granted | Attached | Refused

_requests: Final[msgspec.msgpack.Decoder[Request]] = msgspec.msgpack.Decoder(Request)
_answers: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)
_encoder: Final = msgspec.msgpack.Encoder()


class ProtocolError(ValueError):
    """What came is no message of this protocol."""


def encode(message: Request | Answer) -> bytes:
    """A message as it crosses the socket, its length in front."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def request_in(received: bytearray) -> Request | None:
    """Take the first request out of what has been received; None while it is incomplete."""
    body = _first(received, LARGEST_REQUEST)
    try:
        return None if body is None else _requests.decode(body)
    except msgspec.DecodeError as error:
        raise ProtocolError(str(error)) from None


def answer_in(received: bytearray) -> Answer | None:
    """Take the first answer out of what has been received; None while it is incomplete."""
    body = _first(received, LARGEST_ANSWER)
    try:
        return None if body is None else _answers.decode(body)
    except msgspec.DecodeError as error:
        raise ProtocolError(str(error)) from None


def _first(received: bytearray, largest: int) -> bytes | None:
    if len(received) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack_from(received)
    if size > largest:
        raise ProtocolError(f"a message of {size} bytes; {largest} are allowed")
    end = LENGTH.size + size
    if len(received) < end:
        return None
    body = bytes(received[LENGTH.size : end])
    del received[:end]
    return body
