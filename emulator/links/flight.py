"""What is in the air: the packets that have left a link's transmitter, in the order in which they arrive.

A linked list through the packet slots. With order kept every packet goes to the end; where a link may
reorder, it goes before those that arrive later, looked for from the end.
"""

from __future__ import annotations

from typing import Any

from emulator.jit import inline_packet_kernel


@inline_packet_kernel
def take_off(link: Any, packets: Any, slot: int) -> None:
    """Put a packet in flight; its `due_ns` says when it arrives."""
    packet = packets[slot]
    before = link.flight_tail
    while before >= 0 and packets[before].due_ns > packet.due_ns:
        before = packets[before].prev
    after = link.flight_head if before < 0 else packets[before].next
    packet.prev = before
    packet.next = after
    if before < 0:
        link.flight_head = slot
    else:
        packets[before].next = slot
    if after < 0:
        link.flight_tail = slot
    else:
        packets[after].prev = slot
    link.flying += 1


@inline_packet_kernel
def land(link: Any, packets: Any) -> int:
    """Take the packet that arrives first out of the air; its slot. There must be one."""
    slot = link.flight_head
    following = packets[slot].next
    link.flight_head = following
    if following < 0:
        link.flight_tail = -1
    else:
        packets[following].prev = -1
    link.flying -= 1
    return int(slot)
