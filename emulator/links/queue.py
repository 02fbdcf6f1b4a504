"""The queue of a link: bounded in packets and bytes, one line for each traffic class, the highest goes first.

The packet in the transmitter counts towards the bounds until it has left. A packet that finds the queue
full takes the place of the newest of the lowest classes below its own, if that makes room for it; else it
is dropped itself (drop-tail) and nobody else. When to drop one that has waited too long is `codel`'s matter.
"""

from __future__ import annotations

from typing import Any

from emulator.jit import inline_packet_kernel
from emulator.links.state import CLASSES


@inline_packet_kernel
def has_room(link: Any, size: int) -> bool:
    """Whether a packet of `size` bytes fits."""
    return bool(link.packets < link.max_packets and link.bytes + size <= link.max_bytes)


@inline_packet_kernel
def enqueue(link: Any, packets: Any, slot: int) -> None:
    """Put a packet at the end of its class's line."""
    packet = packets[slot]
    line = packet.traffic_class
    last = link.tail[line]
    packet.next = -1
    packet.prev = last
    if last < 0:
        link.head[line] = slot
    else:
        packets[last].next = slot
    link.tail[line] = slot
    link.packets += 1
    link.bytes += packet.length


@inline_packet_kernel
def dequeue(link: Any, packets: Any) -> int:
    """Take the first packet of the highest class out of its line; its slot, -1 when all are empty.

    It still counts as in the queue: `leave` ends that.
    """
    slot = -1
    for line in range(CLASSES - 1, -1, -1):
        slot = link.head[line]
        if slot >= 0:
            following = packets[slot].next
            link.head[line] = following
            if following < 0:
                link.tail[line] = -1
            else:
                packets[following].prev = -1
            break
    return slot


@inline_packet_kernel
def can_make_room(link: Any, packets: Any, traffic_class: int, size: int) -> bool:
    """Whether a packet of `size` bytes would fit without packets of the classes below `traffic_class`."""
    count, held = link.packets, link.bytes
    fits = False
    for line in range(traffic_class):
        slot = link.tail[line]
        while slot >= 0 and not fits:
            count -= 1
            held -= packets[slot].length
            fits = bool(count < link.max_packets and held + size <= link.max_bytes)
            slot = packets[slot].prev
    return fits


@inline_packet_kernel
def push_out(link: Any, packets: Any, traffic_class: int) -> int:
    """Take out the newest packet of the lowest class below `traffic_class`; its slot, -1 if there is none.

    It still counts as in the queue: `leave` ends that.
    """
    slot = -1
    for line in range(traffic_class):
        slot = link.tail[line]
        if slot >= 0:
            before = packets[slot].prev
            link.tail[line] = before
            if before < 0:
                link.head[line] = -1
            else:
                packets[before].next = -1
            break
    return slot


@inline_packet_kernel
def leave(link: Any, size: int) -> None:
    """A packet of `size` bytes does not count any more."""
    link.packets -= 1
    link.bytes -= size
