"""How one packet crosses the network: from a place onto a link, through its transmitter, into the air, on.

What each step does to a packet is the business of the modules in `emulator.links`; here they are put in
order. Every function is told the time and ends with the link's next event scheduled.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from emulator.accounting import (
    BOOK_COPIED,
    BOOK_FATES,
    BOOK_IN,
    BOOK_IN_BYTES,
    BOOK_OUT,
    BOOK_OUT_BYTES,
    COLLISION,
    DELIVERED,
    FORWARDED,
    HOP_LIMIT,
    LINK_DOWN,
    NO_ROUTE,
    QUEUE_DELAY,
    QUEUE_FULL,
    RADIO_LOSS,
    TOO_LONG,
)
from emulator.events import schedule
from emulator.hoplog import write_log
from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.layout import COPIED, COPIES, FREE, HEADER_WORDS, IN_USE, ORIGIN, PACKET_HOPS, READY, ROUTES
from emulator.links import access
from emulator.links.codel import CODEL, waited_too_long
from emulator.links.faults import is_corrupted, is_duplicated
from emulator.links.flight import land, take_off
from emulator.links.jitter import jitter_ns
from emulator.links.loss import is_lost
from emulator.links.process import process_ns
from emulator.links.queue import can_make_room, dequeue, enqueue, has_room, leave, push_out
from emulator.links.rate import sending_ends_ns
from emulator.links.state import COPY, CORRUPT, IDLE, NEVER, RETRY, SENDING, WAITING
from emulator.links.trace import delay_value, loss_value, sending_ends_on_trace_ns

#: a copy's number: that of its original, and from this bit on which copy of the run it is
COPY_SHIFT: Final = 40
_OWN_NUMBER: Final = (1 << COPY_SHIFT) - 1


@inline_packet_kernel
def hand_out(net: Any, slot: int, fate: int) -> None:
    """Leave a packet to the driver, who owns what the slot carries: delivered, or dropped."""
    net.packets[slot].fate = fate
    net.ready[net.state[READY]] = slot
    net.state[READY] += 1


@packet_kernel
def drop(net: Any, slot: int, fate: int, now_ns: int, row: int) -> None:
    """A packet ends here, under the name `fate`, on link `row` (-1: on none)."""
    packet = net.packets[slot]
    net.fates[packet.traffic_class, fate] += 1
    if row >= 0:
        net.books[row, packet.traffic_class, BOOK_FATES + fate] += 1
    write_log(net, slot, fate, now_ns, now_ns, row)
    hand_out(net, slot, fate)


@inline_packet_kernel
def next_ns(link: Any, packets: Any) -> int:
    """When a link does something next, ns: its transmitter, or the first packet in the air."""
    first = link.tx_event_ns
    if link.flight_head >= 0:
        first = min(first, packets[link.flight_head].due_ns)
    return first


@inline_packet_kernel
def _send(net: Any, row: int, slot: int, now_ns: int) -> None:
    """Put a packet into the idle transmitter."""
    link = net.links[row]
    model = net.models[link.model]
    packet = net.packets[slot]
    packet.tx_ns = now_ns
    link.tx_slot = slot
    link.tx_phase = SENDING
    link.tx_bits = (packet.length + model.overhead_bytes) * 8.0
    link.tx_since_ns = now_ns + model.overhead_ns
    if model.rate_trace >= 0:
        end_ns = sending_ends_on_trace_ns(
            link, net.trace_table, net.trace_ns, net.trace_value, model.rate_trace, net.state[ORIGIN]
        )
    else:
        end_ns = sending_ends_ns(link)
    if model.access_kind != access.NONE:
        access.started(model, link, row, net.links, net.medium, packet.length, now_ns, end_ns)
    link.tx_event_ns = end_ns


@inline_packet_kernel
def _send_next(net: Any, row: int, now_ns: int, backlogged: bool) -> None:
    """Choose the next packet of a link whose transmitter is free, as soon as the medium allows."""
    link = net.links[row]
    model = net.models[link.model]
    link.tx_phase = IDLE
    link.tx_slot = -1
    link.tx_event_ns = NEVER
    start_ns = now_ns
    if model.access_kind != access.NONE:
        start_ns = access.may_start_ns(model, link, now_ns - net.state[ORIGIN], backlogged)
        start_ns += net.state[ORIGIN]
    if start_ns > now_ns:
        link.tx_phase = WAITING
        link.tx_event_ns = start_ns
    else:
        slot = dequeue(link, net.packets)
        while (
            slot >= 0
            and model.queue_kind == CODEL
            and waited_too_long(model, link, net.packets[slot], now_ns)
        ):
            leave(link, net.packets[slot].length)
            net.packets[slot].tx_ns = now_ns
            drop(net, slot, QUEUE_DELAY, now_ns, row)
            slot = dequeue(link, net.packets)
        if slot >= 0:
            _send(net, row, slot, now_ns)


@inline_packet_kernel
def _offer(net: Any, row: int, slot: int, now_ns: int) -> None:
    """A packet reaches a link: into the transmitter, into the queue, or dropped."""
    link = net.links[row]
    model = net.models[link.model]
    packet = net.packets[slot]
    packet.link = row
    packet.in_ns = now_ns
    packet.tx_ns = now_ns
    packet.credited_ns = 0
    size = packet.length
    books = net.books[row, packet.traffic_class]
    books[BOOK_IN] += 1
    books[BOOK_IN_BYTES] += size
    fate = FORWARDED
    if link.up == 0:
        fate = LINK_DOWN
    elif model.mtu_bytes > 0 and size > model.mtu_bytes:
        fate = TOO_LONG
    elif not has_room(link, size):
        if can_make_room(link, net.packets, packet.traffic_class, size):
            while not has_room(link, size):
                victim = push_out(link, net.packets, packet.traffic_class)
                leave(link, net.packets[victim].length)
                net.packets[victim].tx_ns = now_ns
                drop(net, victim, QUEUE_FULL, now_ns, row)
        else:
            fate = QUEUE_FULL
    if fate != FORWARDED:
        drop(net, slot, fate, now_ns, row)
    elif link.tx_phase != IDLE:
        enqueue(link, net.packets, slot)
    elif model.access_kind == access.NONE and model.queue_kind != CODEL:
        link.packets += 1
        link.bytes += size
        _send(net, row, slot, now_ns)
        schedule(net, row, next_ns(link, net.packets))
    else:
        enqueue(link, net.packets, slot)
        _send_next(net, row, now_ns, False)
        schedule(net, row, next_ns(link, net.packets))


@inline_packet_kernel
def route(net: Any, slot: int, now_ns: int, came_by: int) -> None:
    """At its present place: hand over, or on to the next link. `came_by` is the link's row or -1."""
    packet = net.packets[slot]
    if net.port_place[packet.target] == packet.place:
        packet.due_ns = now_ns
        packet.link = came_by
        hand_out(net, slot, DELIVERED)
    else:
        fate = FORWARDED
        if came_by >= 0:
            write_log(net, slot, FORWARDED, now_ns, now_ns, came_by)
            packet.hop += 1
            packet.ttl -= 1
            if packet.ttl == 0:
                fate = HOP_LIMIT
        row = net.mail_routes[net.state[ROUTES], packet.place, net.port_host[packet.target]]
        if fate == FORWARDED and row < 0:
            fate = NO_ROUTE
        if fate == FORWARDED:
            _offer(net, row, slot, now_ns)
        else:
            packet.in_ns = now_ns
            packet.tx_ns = now_ns
            packet.credited_ns = 0
            drop(net, slot, fate, now_ns, -1)


@packet_kernel
def _copy(net: Any, row: int, slot: int) -> None:
    """Let a second copy of a packet in the air arrive right behind it. Without a free slot there is none."""
    copy = net.state[FREE]
    if copy >= 0:
        original, made = net.packets[slot], net.packets[copy]
        net.state[FREE] = made.next
        net.state[IN_USE] += 1
        net.totals[COPIED] += 1
        # As one type: a signed and an unsigned word together are a float, which has not all bits.
        own = np.int64(original.number) & _OWN_NUMBER
        made.number = np.uint64(own | (net.totals[COPIED] << COPY_SHIFT))
        made.ingress_ns = original.ingress_ns
        made.in_ns = original.in_ns
        made.tx_ns = original.tx_ns
        made.due_ns = original.due_ns
        made.port = original.port
        made.target = original.target
        made.length = original.length
        made.place = original.place
        made.link = original.link
        made.fate = original.fate
        made.credit_ns = original.credit_ns
        made.credited_ns = original.credited_ns
        made.hop = original.hop
        made.ttl = original.ttl
        made.traffic_class = original.traffic_class
        made.marks = original.marks | COPY
        made.twin = slot
        for word in range(HEADER_WORDS):
            made.header[word] = original.header[word]
        net.copies[net.state[COPIES]] = copy
        net.state[COPIES] += 1
        net.books[row, made.traffic_class, BOOK_COPIED] += 1
        take_off(net.links[row], net.packets, copy)


@inline_packet_kernel
def _depart(net: Any, row: int, slot: int, now_ns: int) -> None:
    """A packet has left the transmitter for good: is it lost, or when does it arrive?"""
    link = net.links[row]
    model = net.models[link.model]
    packet = net.packets[slot]
    leave(link, packet.length)
    since_ns = now_ns - net.state[ORIGIN]
    loss = link.loss
    if model.loss_trace >= 0:
        loss = loss_value(link, net.trace_table, net.trace_ns, net.trace_value, model.loss_trace, since_ns)
    lost = is_lost(model, link, packet, loss)
    generated_ns = 0
    if model.process >= 0:
        # A packet that is lost otherwise moves the process on all the same.
        generated_ns = process_ns(link, packet, net.process_value, model.process, since_ns)
        lost = lost or generated_ns < 0
    if lost:
        drop(net, slot, RADIO_LOSS, now_ns, row)
    else:
        if is_corrupted(model, link, packet):
            packet.marks |= CORRUPT
        flight_ns = link.delay_ns
        if model.delay_trace >= 0:
            flight_ns = int(
                delay_value(link, net.trace_table, net.trace_ns, net.trace_value, model.delay_trace, since_ns)
            )
        if model.process >= 0:
            flight_ns = generated_ns
        else:
            flight_ns += jitter_ns(model, link, packet, now_ns)
        if packet.credit_ns > 0:
            packet.credited_ns = min(packet.credit_ns, flight_ns)
            packet.credit_ns -= packet.credited_ns
            flight_ns -= packet.credited_ns
        due_ns = now_ns + flight_ns
        if model.keep_order != 0:
            # A packet does not overtake the one before it on the same link.
            due_ns = max(due_ns, link.last_arrival_ns)
            link.last_arrival_ns = due_ns
        packet.due_ns = due_ns
        take_off(link, net.packets, slot)
        if is_duplicated(model, link, packet):
            _copy(net, row, slot)


@inline_packet_kernel
def _sent(net: Any, row: int, now_ns: int) -> None:
    """What the transmitter was doing is over."""
    link = net.links[row]
    model = net.models[link.model]
    slot = link.tx_slot
    if link.tx_phase == RETRY:
        _send(net, row, slot, now_ns)
    elif link.tx_phase == WAITING:
        _send_next(net, row, now_ns, True)
    else:
        packet = net.packets[slot]
        link.busy_ns += now_ns - packet.tx_ns
        again_ns = 0
        if model.access_kind != access.NONE:
            again_ns = access.retry_ns(model, link, packet, now_ns - net.state[ORIGIN])
        if again_ns > 0:
            link.tx_phase = RETRY
            link.tx_event_ns = again_ns + net.state[ORIGIN]
        else:
            if again_ns < 0:
                leave(link, packet.length)
                drop(net, slot, COLLISION, now_ns, row)
            else:
                _depart(net, row, slot, now_ns)
            if link.packets > 0:
                _send_next(net, row, now_ns, True)
            else:
                link.tx_phase = IDLE
                link.tx_slot = -1
                link.tx_event_ns = NEVER
                # Nobody is there for what is left of a delivery opportunity.
                link.delivery_ns = 0


@inline_packet_kernel
def serve(net: Any, row: int, now_ns: int) -> None:
    """Do what is due on a link now: packets arrive, then the transmitter goes on."""
    link = net.links[row]
    while link.flight_head >= 0 and net.packets[link.flight_head].due_ns <= now_ns:
        slot = land(link, net.packets)
        packet = net.packets[slot]
        books = net.books[row, packet.traffic_class]
        books[BOOK_OUT] += 1
        books[BOOK_OUT_BYTES] += packet.length
        packet.place = link.to_place
        net.state[PACKET_HOPS] += 1
        route(net, slot, now_ns, row)
    if link.tx_event_ns <= now_ns:
        _sent(net, row, now_ns)
    schedule(net, row, next_ns(link, net.packets))
