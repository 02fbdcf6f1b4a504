"""When a queue drops what has waited too long: never (drop-tail), or as CoDel does (RFC 8289).

Each class has its own line and its own CoDel: one that goes first never waits, and says nothing about the
others. CoDel looks at how long each packet has stood in the queue when it is taken out. Once that has been
above a target for a whole interval it drops at the head, the more often the longer it lasts. What happens
when the queue is full is `queue`'s matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from emulator.jit import inline_packet_kernel
from emulator.links.ranges import duration_ms, ns

DROP_TAIL: Final = 0
CODEL: Final = 1

#: MTU of links that do not state theirs: CoDel does not drop when less than a packet of it is left, bytes
_MTU_BYTES: Final = 1500
#: an episode that begins within so many intervals after the last drop begins at the rate it ended with
_RECENT_INTERVALS: Final = 16

# `codel_dropping`: RFC 8289's dropping state, and whether the control law is to be asked first
_PASSING: Final = 0
_DROPPING: Final = 1
_DROPPED: Final = 2  # this dequeue has dropped a packet in the dropping state


@dataclass(frozen=True)
class DropTail:
    """A queue that drops nothing before it is full."""

    kind: ClassVar[str] = "drop-tail"

    def check(self, where: str) -> None:
        """There is nothing to be wrong."""

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        row["queue_kind"] = DROP_TAIL


@dataclass(frozen=True)
class CoDel:
    """A queue that keeps the time packets wait near `target_ms` (RFC 8289, section 4)."""

    kind: ClassVar[str] = "codel"
    target_ms: float = 5.0
    interval_ms: float = 100.0

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no queue can have."""
        duration_ms(self, where, "target_ms", "interval_ms")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        row["queue_kind"] = CODEL
        row["codel_target_ns"] = ns(self.target_ms)
        row["codel_interval_ns"] = ns(self.interval_ms)


@inline_packet_kernel
def _next_drop_ns(model: Any, after_ns: int, count: int) -> int:
    """The control law: drops come closer with the square root of how many there were."""
    return after_ns + int(model.codel_interval_ns / math.sqrt(count))


@inline_packet_kernel
def _stands(model: Any, link: Any, packet: Any, now_ns: int) -> bool:
    """Whether the queue has stood above the target for an interval."""
    stands = False
    line = packet.traffic_class
    mtu_bytes = model.mtu_bytes if model.mtu_bytes > 0 else _MTU_BYTES
    # The packet itself still counts in the queue's bytes.
    if now_ns - packet.in_ns < model.codel_target_ns or link.bytes - packet.length <= mtu_bytes:
        link.codel_above_ns[line] = 0
    elif link.codel_above_ns[line] == 0:
        link.codel_above_ns[line] = now_ns + model.codel_interval_ns
    else:
        stands = now_ns >= link.codel_above_ns[line]
    return stands


@inline_packet_kernel
def waited_too_long(model: Any, link: Any, packet: Any, now_ns: int) -> bool:
    """Whether the packet just taken out of the queue is to be dropped; call again with the next one then.

    RFC 8289, sections 5.5 and 5.6: its loop over the packets of one dequeue, turned inside out. A packet is
    dropped only while others wait, so there is a next one. The packet still counts in `link.bytes`.
    """
    stands = _stands(model, link, packet, now_ns)
    drop = False
    line = packet.traffic_class
    phase = link.codel_dropping[line]
    if phase == _PASSING:
        if stands:
            drop = True
            since_last = link.codel_count[line] - link.codel_last[line]
            recently = now_ns - link.codel_next_ns[line] < _RECENT_INTERVALS * model.codel_interval_ns
            link.codel_count[line] = since_last if since_last > 1 and recently else 1
            # It lies ahead, so the packet that comes next in this dequeue is let through.
            link.codel_next_ns[line] = _next_drop_ns(model, now_ns, link.codel_count[line])
            link.codel_last[line] = link.codel_count[line]
            link.codel_dropping[line] = _DROPPING
    elif not stands:
        link.codel_dropping[line] = _PASSING
    else:
        if phase == _DROPPED:
            link.codel_next_ns[line] = _next_drop_ns(model, link.codel_next_ns[line], link.codel_count[line])
        link.codel_dropping[line] = _DROPPING
        if now_ns >= link.codel_next_ns[line]:
            drop = True
            link.codel_count[line] += 1
            link.codel_dropping[line] = _DROPPED
    return drop
