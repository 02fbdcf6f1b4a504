"""The network: packets crossing several links, as one event loop over plain arrays.

This is the compiled heart that both clocks drive: `ingress` puts a packet in, `advance` carries every
event up to a stated time, in the order of time. It reads no clock and does no input or output. The
real-time data plane calls it with the time it is; the virtual-time driver with recorded or generated
arrivals; the same arrivals and link tables give the same fates in both, to the nanosecond.

Everything is compiled into its drivers: a call that passes all these arrays would cost more than a hop.
"""

from __future__ import annotations

from typing import Any, Final

from emulator.accounting import NO_BUFFER, UNKNOWN_DESTINATION
from emulator.crossing import drop, route, serve
from emulator.jit import inline_packet_kernel, load_acquire
from emulator.layout import (
    ENTERED,
    ENTERED_BYTES,
    EVENTS,
    FREE,
    HEADER_WORDS,
    IN_USE,
    MAILBOX_SLOTS,
    NOW,
    POSTED,
    TAKEN,
)
from emulator.links.state import NEVER
from emulator.mailbox import table_ns, take_table

#: routers a packet without a limit of its own may pass. Across a grid of 72 x 22 satellites it may be 47;
#: what goes on for longer than the field can count goes round
MAX_HOPS: Final = 255


@inline_packet_kernel
def next_event_ns(net: Any) -> int:
    """When something will happen next (an event or a new link table), ns; NEVER if nothing."""
    time_ns = NEVER
    if net.state[EVENTS] > 0:
        time_ns = net.heap_ns[0]
    taken = net.mailbox[TAKEN]
    if load_acquire(net.mailbox, POSTED) > taken:
        time_ns = min(time_ns, net.mail_time[taken % MAILBOX_SLOTS])
    return time_ns


@inline_packet_kernel
def release(net: Any, slot: int) -> None:
    """Give a slot back."""
    net.packets[slot].next = net.state[FREE]
    net.state[FREE] = slot
    net.state[IN_USE] -= 1


@inline_packet_kernel
def enter(
    net: Any,
    now_ns: int,
    place: int,
    port: int,
    target: int,
    size: int,
    ttl: int,
    traffic_class: int,
    credit_ns: int,
    header: Any,
) -> int:
    """A packet of port `port` enters at a place for port `target`. Its slot or -1.

    `size` in bytes; `ttl`: routers it may pass; `traffic_class` 0 to 3, the highest goes first; `credit_ns`:
    delay it has had outside the network, taken off its first propagation; `header` is HEADER_WORDS words.
    -1 means the network is full: the packet is counted (NO_BUFFER) and not kept. Call `advance(net,
    now_ns)` first, so that what happened before happens before.
    """
    net.totals[ENTERED] += 1
    net.totals[ENTERED_BYTES] += size
    net.entered[traffic_class] += 1
    number = net.port_packets[port]
    net.port_packets[port] = number + 1
    slot = net.state[FREE]
    if slot < 0:
        net.fates[traffic_class, NO_BUFFER] += 1
    else:
        packet = net.packets[slot]
        net.state[FREE] = packet.next
        net.state[IN_USE] += 1
        packet.number = number
        packet.port = port
        packet.target = target
        packet.length = size
        packet.place = place
        packet.ingress_ns = now_ns
        packet.in_ns = now_ns
        packet.tx_ns = now_ns
        packet.due_ns = now_ns
        packet.credit_ns = credit_ns
        packet.credited_ns = 0
        packet.hop = 0
        packet.ttl = ttl
        packet.traffic_class = traffic_class
        packet.marks = 0
        packet.twin = -1
        packet.link = -1
        for word in range(HEADER_WORDS):
            packet.header[word] = header[word]
        if target < 0 or target >= net.port_place.shape[0] or net.port_place[target] < 0:
            packet.target = 0
            drop(net, slot, UNKNOWN_DESTINATION, now_ns, -1)
        else:
            route(net, slot, now_ns, -1)
    return slot


@inline_packet_kernel
def ingress(
    net: Any,
    now_ns: int,
    port: int,
    target: int,
    size: int,
    traffic_class: int,
    credit_ns: int,
    header: Any,
) -> int:
    """A packet enters at its port's place, without a limit of its own on routers; see `enter`."""
    return enter(
        net,
        now_ns,
        net.port_place[port],
        port,
        target,
        size,
        MAX_HOPS,
        traffic_class,
        credit_ns,
        header,
    )


@inline_packet_kernel
def advance(net: Any, until_ns: int) -> None:
    """Let everything happen that is due up to `until_ns`, in order of time.

    Packets that have reached their destination or were dropped are left in `ready[:state[READY]]`, copies
    made on the way in `copies[:state[COPIES]]`; the driver fills the copies, hands over, records and
    releases before it calls again.
    """
    going = True
    while going:
        event_ns = NEVER
        if net.state[EVENTS] > 0:
            event_ns = net.heap_ns[0]
        tables_ns = table_ns(net)
        if min(event_ns, tables_ns) > until_ns:
            going = False
        elif tables_ns <= event_ns:
            net.state[NOW] = tables_ns
            take_table(net, tables_ns)
        else:
            net.state[NOW] = max(net.state[NOW], event_ns)
            serve(net, net.heap_row[0], event_ns)
    net.state[NOW] = max(net.state[NOW], until_ns)
