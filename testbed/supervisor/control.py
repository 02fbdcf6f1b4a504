"""The control socket: every process of a run is a member that registers, reports and takes orders.

Who may join, with which port, and who has not been heard for how long. What members report is handed on
unread; the course of the run is `run`'s.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import zmq

from nodes import wire
from testbed.errors import BadInput


@dataclass
class Member:
    """A registered process. `state`: registered, ready, said goodbye ("bye")."""

    id: str
    role: str
    pid: int
    identity: bytes
    state: str = "registered"
    heard_s: float = field(default_factory=time.monotonic)
    sent: int = 0
    received: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    #: what processes of this name sent and received before it, and whether each left with its counters
    before: tuple[int, int] = (0, 0)
    counted: bool = True
    #: names of records that it tried to report and may not
    refused: set[str] = field(default_factory=set)

    def totals(self) -> tuple[int, int]:
        """Packets sent and received under this name, as far as is known."""
        sent = self.counters.get("sent", self.sent)
        received = self.counters.get("received", self.received)
        return self.before[0] + sent, self.before[1] + received


class Control:
    """The ROUTER that all members connect to."""

    def __init__(self, endpoint: str, key: str = "network.control_endpoint") -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.set(zmq.MAXMSGSIZE, _LARGEST_MESSAGE)
        self._socket.set(zmq.LINGER, 1000)
        self._socket.set(zmq.ROUTER_HANDOVER, 1)
        # Without this a message to somebody who is gone, or does not read, would vanish uncounted.
        self._socket.set(zmq.ROUTER_MANDATORY, 1)
        for option in (zmq.SNDHWM, zmq.RCVHWM):
            self._socket.set(option, _MOST_MESSAGES)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise BadInput(
                f"{key} = {endpoint!r}: {str(error.strerror).lower()}; "
                "a free port of this host, or * for any, is allowed"
            ) from None
        self.endpoint = str(self._socket.get_string(zmq.LAST_ENDPOINT))
        self.members: dict[str, Member] = {}
        self._by_identity: dict[bytes, Member] = {}
        self.malformed = 0
        self.undelivered = 0
        #: when the message that `poll` gave last was taken from the socket, CLOCK_MONOTONIC ns
        self.heard_ns = 0

    def poll(self, timeout_s: float) -> Iterator[tuple[bytes, Member | None, wire.Message]]:
        """What has come within `timeout_s`: (identity, member if registered, message)."""
        if not self._socket.poll(max(0, round(timeout_s * 1e3))):
            return
        for _ in range(_BURST):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.heard_ns = time.monotonic_ns()
            try:
                if len(frames) != 2:
                    raise wire.WireError("a control message is one frame")
                message = wire.decode(frames[1])
            except wire.WireError:
                self.malformed += 1
                continue
            member = self._by_identity.get(frames[0])
            if member is not None:
                member.heard_s = time.monotonic()
            yield frames[0], member, message

    def admit(self, identity: bytes, message: wire.Register) -> Member:
        """Make the sender a member (again)."""
        old = self.members.get(message.id)
        if old is not None:
            self._by_identity.pop(old.identity, None)
        member = Member(message.id, message.role, message.pid, identity)
        if old is not None:
            member.before = old.totals()
            member.counted = old.counted and bool(old.counters)
        self.members[message.id] = member
        self._by_identity[identity] = member
        return member

    def forget(self, id: str) -> None:
        """The member is gone; its place may be taken again."""
        member = self.members.get(id)
        if member is not None:
            member.state = "gone"
            self._by_identity.pop(member.identity, None)

    def send(self, to: Member | bytes, message: wire.Message) -> None:
        """Send to one member or identity; what cannot be sent at once is counted, not waited for."""
        identity = to if isinstance(to, bytes) else to.identity
        try:
            self._socket.send_multipart([identity, wire.encode(message)], zmq.NOBLOCK)
        except zmq.ZMQError:
            self.undelivered += 1

    def close(self) -> None:
        """Close the socket; what was sent may still leave."""
        self._socket.close(1000)
        self._context.term()


def registered(
    port: int, data_endpoint: str, directory: dict[str, int], config: dict[str, Any]
) -> wire.Registered:
    """The answer to a node that may join."""
    return wire.Registered(port, data_endpoint, directory, config, HEARTBEAT_S)


#: how often members say that they live
HEARTBEAT_S: Final = 1.0
_BURST: Final = 256
_MOST_MESSAGES: Final = 50_000
#: a peer that sends more in one message is cut off
_LARGEST_MESSAGE: Final = 16 << 20
