"""The network: packets crossing several links, as one event loop over plain arrays.

This is the compiled heart that both clocks drive: `ingress` puts a packet in, `advance` carries every
event up to a stated time, in the order of time. It reads no clock and does no input or output. The
real-time data plane calls it with the time it is; the virtual-time driver with recorded arrivals; the
same arrivals and link tables give the same fates in both, to the nanosecond.
"""

from __future__ import annotations

from typing import Any, Final

from emulator.accounting import (
    DELIVERED,
    FATES,
    FORWARDED,
    HOP_LIMIT,
    LINK_DOWN,
    NO_BUFFER,
    NO_ROUTE,
    UNKNOWN_DESTINATION,
)
from emulator.events import ARRIVED, TRANSMITTED, pop, schedule, stale
from emulator.jit import kernel, load_acquire, store_release
from emulator.layout import (
    EVENTS,
    FREE,
    HEADER_WORDS,
    IN_USE,
    LATE_UPDATES,
    LOG_OVERFLOW,
    LOG_READ,
    LOG_WRITTEN,
    MAILBOX_SLOTS,
    NOW,
    PACKET_HOPS,
    POSTED,
    READY,
    ROUTES,
    TAKEN,
)
from emulator.links.kernel import (
    NEVER,
    change_rate,
    depart,
    offer,
    start_transmission,
    take_head,
    transmission_end,
)

#: routes longer than this are loops
MAX_HOPS: Final = 32


@kernel
def next_event_ns(net: Any) -> int:
    """When something will happen next (an event or a new link table), ns; NEVER if nothing."""
    time_ns = NEVER
    if net.state[EVENTS] > 0:
        time_ns = net.heap[0, 0]
    taken = net.mailbox[TAKEN]
    if load_acquire(net.mailbox, POSTED) > taken:
        time_ns = min(time_ns, net.mail_time[taken % MAILBOX_SLOTS])
    return time_ns


@kernel
def write_log(net: Any, slot: int, fate: int, due_ns: int, actual_ns: int, hop_row: int) -> None:
    """Append the record of a packet-hop; a full ring is counted, never waited for."""
    written = net.log_words[LOG_WRITTEN]
    if written - load_acquire(net.log_words, LOG_READ) >= net.log.shape[0]:
        net.log_words[LOG_OVERFLOW] += 1
        return
    packet = net.packets[slot]
    record = net.log[written & (net.log.shape[0] - 1)]
    record.ingress_ns = packet.ingress_ns
    record.in_ns = packet.in_ns
    record.due_ns = due_ns
    record.actual_ns = actual_ns
    record.queue_ns = packet.tx_ns - packet.in_ns
    record.packet = packet.number
    record.port = packet.port
    record.length = packet.length
    record.link = hop_row
    record.hop = packet.hop
    record.fate = fate
    if hop_row >= 0:
        record.from_place = net.links[hop_row].from_place
        record.to_place = net.links[hop_row].to_place
        record.modcod = net.links[hop_row].modcod
    else:
        record.from_place = packet.place
        record.to_place = -1
        record.modcod = -1
    for word in range(HEADER_WORDS):
        record.header[word] = packet.header[word]
    store_release(net.log_words, LOG_WRITTEN, written + 1)


@kernel
def release(net: Any, slot: int) -> None:
    """Give a slot back."""
    net.packets[slot].next = net.state[FREE]
    net.state[FREE] = slot
    net.state[IN_USE] -= 1


@kernel
def _drop(net: Any, slot: int, fate: int, now_ns: int, row: int) -> None:
    net.fates[fate] += 1
    if row >= 0:
        net.link_drops[row, fate] += 1
    write_log(net, slot, fate, now_ns, now_ns, row)
    # The driver owns what the slot carries (a message): it sees the drop and frees both.
    net.packets[slot].fate = fate
    net.ready[net.state[READY]] = slot
    net.state[READY] += 1


@kernel
def _begin(net: Any, row: int, now_ns: int) -> None:
    end = start_transmission(net.links, row, net.packets, now_ns)
    if end != NEVER:
        schedule(net, end, TRANSMITTED, row, net.links[row].tx_generation & 0x7FFFFFFF)


@kernel
def _route(net: Any, slot: int, now_ns: int, came_by: int) -> None:
    """At its present place: hand over, or queue on the next link. `came_by` is the link row or -1."""
    packet = net.packets[slot]
    if net.port_place[packet.target] == packet.place:
        packet.fate = DELIVERED
        packet.due_ns = now_ns
        packet.link = came_by
        net.ready[net.state[READY]] = slot
        net.state[READY] += 1
        return
    if came_by >= 0:
        write_log(net, slot, FORWARDED, now_ns, now_ns, came_by)
        packet.hop += 1
    row = net.mail_routes[net.state[ROUTES], packet.place, net.port_host[packet.target]]
    if row < 0:
        packet.in_ns = now_ns
        packet.tx_ns = now_ns
        _drop(net, slot, NO_ROUTE, now_ns, -1)
        return
    if packet.hop >= MAX_HOPS:
        _drop(net, slot, HOP_LIMIT, now_ns, -1)
        return
    fate = offer(net.links, row, net.packets, slot, now_ns)
    if fate != FORWARDED:
        _drop(net, slot, fate, now_ns, row)
    elif net.links[row].packets == 1:
        _begin(net, row, now_ns)


@kernel
def ingress(net: Any, now_ns: int, port: int, target: int, size: int, header: Any) -> int:
    """A packet enters at `port` for port `target`; `header` is HEADER_WORDS words. Its slot or -1.

    -1 means the network is full: the packet is counted (NO_BUFFER) and not kept. Call `advance(net,
    now_ns)` first, so that what happened before happens before.
    """
    net.totals[0] += 1
    net.totals[1] += size
    number = net.port_packets[port]
    net.port_packets[port] = number + 1
    slot = net.state[FREE]
    if slot < 0:
        net.fates[NO_BUFFER] += 1
        return -1
    packet = net.packets[slot]
    net.state[FREE] = packet.next
    net.state[IN_USE] += 1
    packet.number = number
    packet.port = port
    packet.target = target
    packet.length = size
    packet.place = net.port_place[port]
    packet.ingress_ns = now_ns
    packet.in_ns = now_ns
    packet.tx_ns = now_ns
    packet.due_ns = now_ns
    packet.hop = 0
    packet.link = -1
    for word in range(HEADER_WORDS):
        packet.header[word] = header[word]
    if target < 0 or target >= net.port_place.shape[0] or net.port_place[target] < 0:
        packet.target = 0
        _drop(net, slot, UNKNOWN_DESTINATION, now_ns, -1)
    else:
        _route(net, slot, now_ns, -1)
    return slot


@kernel
def _apply(net: Any, slot: int, now_ns: int) -> None:
    """Put a link table in force: parameters, then what a lost link means for its queue."""
    for index in range(net.mail_rows[slot]):
        update = net.mail_links[slot, index]
        row = update.row
        link = net.links[row]
        if update.reset != 0:
            link.in_packets = 0
            link.in_bytes = 0
            link.out_packets = 0
            link.out_bytes = 0
            link.busy_ns = 0
            link.last_arrival_ns = 0
            for fate in range(FATES):
                net.link_drops[row, fate] = 0
        link.key = update.key
        link.from_place = update.from_place
        link.to_place = update.to_place
        link.kind = update.kind
        link.modcod = update.modcod
        link.delay_ns = update.delay_ns
        link.jitter_ns = update.jitter_ns
        link.loss = update.loss
        link.frame_error = update.frame_error
        link.frame_bits = update.frame_bits
        link.max_packets = update.max_packets
        link.max_bytes = update.max_bytes
        link.up = update.up
        if update.up == 0 or update.gone != 0:
            link.up = 0
            while link.packets > 0:
                dropped = take_head(net.links, row, net.packets)
                link.tx_generation += 1
                _drop(net, dropped, LINK_DOWN, now_ns, row)
        if link.rate_bps != update.rate_bps:
            change_rate(net.links, row, update.rate_bps, now_ns)
            if link.packets > 0:
                end = transmission_end(link)
                if end != NEVER:
                    schedule(net, end, TRANSMITTED, row, link.tx_generation & 0x7FFFFFFF)
    net.state[ROUTES] = slot


@kernel
def _table_ns(net: Any) -> int:
    """When the next link table takes effect, NEVER without one.

    One that comes late does so a moment after all that has happened: the record of the run says that time,
    and a replay then has the same things before it.
    """
    taken = net.mailbox[TAKEN]
    if load_acquire(net.mailbox, POSTED) == taken:
        return NEVER
    return max(net.mail_time[taken % MAILBOX_SLOTS], net.state[NOW] + 1)


@kernel
def _take_table(net: Any, now_ns: int) -> None:
    taken = net.mailbox[TAKEN]
    slot = taken % MAILBOX_SLOTS
    if net.mail_time[slot] < now_ns:
        net.state[LATE_UPDATES] += 1
    _apply(net, slot, now_ns)
    net.mail_applied[slot] = now_ns
    store_release(net.mailbox, TAKEN, taken + 1)


@kernel
def advance(net: Any, until_ns: int) -> None:
    """Let everything happen that is due up to `until_ns`, in order of time.

    Packets that have reached their destination or were dropped are left in `ready[:state[READY]]`; the
    driver hands them over, records them and releases their slots before it calls again.
    """
    while True:
        event_ns = NEVER
        if net.state[EVENTS] > 0:
            event_ns = net.heap[0, 0]
        table_ns = _table_ns(net)
        if min(event_ns, table_ns) > until_ns:
            break
        if table_ns <= event_ns:
            net.state[NOW] = table_ns
            _take_table(net, table_ns)
            continue
        what = net.heap[0, 2]
        pop(net)
        net.state[NOW] = max(net.state[NOW], event_ns)
        index = (what >> 1) & 0x7FFFFFFF
        if what & 1 == TRANSMITTED:
            if stale(net, what):
                continue
            link = net.links[index]
            slot = take_head(net.links, index, net.packets)
            fate = depart(net.links, index, net.packets, slot, event_ns)
            if fate == FORWARDED:
                schedule(net, net.packets[slot].due_ns, ARRIVED, slot, 0)
            else:
                _drop(net, slot, fate, event_ns, index)
            if link.packets > 0:
                _begin(net, index, event_ns)
        else:
            packet = net.packets[index]
            link = net.links[packet.link]
            link.flying -= 1
            link.out_packets += 1
            link.out_bytes += packet.length
            packet.place = link.to_place
            net.state[PACKET_HOPS] += 1
            _route(net, index, event_ns, packet.link)
    net.state[NOW] = max(net.state[NOW], until_ns)
