"""Link tables as the network takes them: from the mailbox without a lock, and into force all at once.

The writer's side is `emulator.epochs`. A table is whole before its number is published, and its slot is not
written again before the next table is in force.
"""

from __future__ import annotations

from typing import Any

from emulator.accounting import BOOK_COLUMNS, BOOK_REROUTED, LINK_DOWN
from emulator.crossing import drop, next_ns, route
from emulator.events import schedule
from emulator.jit import inline_packet_kernel, load_acquire, packet_kernel, store_release
from emulator.layout import LATE_UPDATES, MAILBOX_SLOTS, NOW, POSTED, ROUTES, TAKEN
from emulator.links.access import abandon, on_air
from emulator.links.process import forget_process
from emulator.links.queue import dequeue, leave
from emulator.links.rate import change_rate, sending_ends_ns
from emulator.links.state import CLASSES, IDLE, NEVER, RETRY, SENDING, WAITING


@inline_packet_kernel
def table_ns(net: Any) -> int:
    """When the next link table takes effect, NEVER without one.

    One that comes late does so a moment after all that has happened: the record of the run says that time,
    and a replay then has the same things before it.
    """
    taken = net.mailbox[TAKEN]
    time_ns = NEVER
    if load_acquire(net.mailbox, POSTED) != taken:
        time_ns = max(net.mail_time[taken % MAILBOX_SLOTS], net.state[NOW] + 1)
    return time_ns


@inline_packet_kernel
def _forget_codel(link: Any) -> None:
    for line in range(CLASSES):
        link.codel_above_ns[line] = 0
        link.codel_next_ns[line] = 0
        link.codel_count[line] = 0
        link.codel_last[line] = 0
        link.codel_dropping[line] = 0


@packet_kernel
def _take_over(net: Any, row: int) -> None:
    """The row becomes another link's: its counters and processes begin anew."""
    link = net.links[row]
    link.busy_ns = 0
    link.last_arrival_ns = 0
    link.ready_ns = 0
    link.grant_bytes = 0
    link.attempt = 0
    link.collided = 0
    _forget_codel(link)
    link.jitter_at_ns = 0
    link.jitter_z = 0.0
    link.loss_bad = 0
    link.rate_at = 0
    link.delay_at = 0
    link.loss_at = 0
    link.delivery_bytes = 0
    link.delivery_ns = 0
    forget_process(link)
    for line in range(CLASSES):
        for column in range(BOOK_COLUMNS):
            net.books[row, line, column] = 0


@packet_kernel
def _change_model(net: Any, row: int, before: int, now_ns: int) -> None:
    """The link is of another model than `before` from now on: what only that one understands is forgotten.

    A packet in the transmitter goes out as it began; one that never would have is begun anew.
    """
    link = net.links[row]
    was, model = net.models[before], net.models[link.model]
    if model.access_kind != was.access_kind:
        abandon(link)
        link.ready_ns = 0
        link.grant_bytes = 0
        if link.tx_phase == WAITING:
            link.tx_event_ns = now_ns
    if model.queue_kind != was.queue_kind:
        _forget_codel(link)
    if model.rate_trace != was.rate_trace:
        # Where one recording was read says nothing about another, and may lie beyond its end.
        link.rate_at = 0
        link.delivery_bytes = 0
        link.delivery_ns = 0
        if link.tx_phase == SENDING and link.tx_event_ns == NEVER:
            link.tx_phase = RETRY
            link.tx_event_ns = now_ns
    if model.process != was.process:
        forget_process(link)
    schedule(net, row, next_ns(link, net.packets))


@packet_kernel
def _clear(net: Any, row: int, now_ns: int) -> None:
    """A link is lost: what has not left its transmitter is dropped by that name, or goes another way."""
    link = net.links[row]
    reroute = net.models[link.model].reroute != 0
    slot = link.tx_slot
    link.tx_slot = -1
    link.tx_phase = IDLE
    link.tx_event_ns = NEVER
    abandon(link)
    if slot < 0:
        slot = dequeue(link, net.packets)
    while slot >= 0:
        packet = net.packets[slot]
        leave(link, packet.length)
        if reroute:
            net.books[row, packet.traffic_class, BOOK_REROUTED] += 1
            route(net, slot, now_ns, -1)
        else:
            drop(net, slot, LINK_DOWN, now_ns, row)
        slot = dequeue(link, net.packets)
    schedule(net, row, next_ns(link, net.packets))


@packet_kernel
def take_table(net: Any, now_ns: int) -> None:
    """Put the next table in force: parameters, routes, then what a lost link means for its queue."""
    taken = net.mailbox[TAKEN]
    slot = taken % MAILBOX_SLOTS
    if net.mail_time[slot] < now_ns:
        net.state[LATE_UPDATES] += 1
    for index in range(net.mail_rows[slot]):
        update = net.mail_links[slot, index]
        row = update.row
        link = net.links[row]
        if update.reset != 0:
            _take_over(net, row)
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
        before = link.model
        link.model = update.model
        link.medium = update.medium
        link.up = update.up
        if update.gone != 0:
            link.up = 0
        if link.rate_bps != update.rate_bps:
            change_rate(link, update.rate_bps, now_ns)
            # What a recording has begun ends when that says.
            traced = net.models[before].rate_trace >= 0 or net.models[link.model].rate_trace >= 0
            if link.tx_phase == SENDING and not traced:
                link.tx_event_ns = sending_ends_ns(link)
                if link.medium >= 0:
                    on_air(link, row, net.links, net.medium, now_ns, link.tx_event_ns)
                schedule(net, row, next_ns(link, net.packets))
        if link.model != before:
            _change_model(net, row, before, now_ns)
    net.state[ROUTES] = slot
    for index in range(net.mail_rows[slot]):
        row = net.mail_links[slot, index].row
        if net.links[row].up == 0 and net.links[row].packets > 0:
            _clear(net, row, now_ns)
    net.mail_applied[slot] = now_ns
    store_release(net.mailbox, TAKEN, taken + 1)
