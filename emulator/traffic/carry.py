"""Carrying traffic through the network: packets of flows and of recorded arrivals, in order of time.

The same `enter` and `advance` as everywhere; what is added is whose packet each slot holds. Where flows
follow others the network is advanced from event to event, since an answer leaves when the question has come.
"""

from __future__ import annotations

from typing import Any

from emulator.accounting import DELIVERED, NO_BUFFER
from emulator.crossing import serve
from emulator.hoplog import write_log
from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.layout import (
    COPIES,
    DELIVERED_BYTES,
    EVENTS,
    HEADER_WORDS,
    LOG_READ,
    LOG_WRITTEN,
    NOW,
    READY,
)
from emulator.links.state import COPY, NEVER
from emulator.mailbox import table_ns, take_table
from emulator.network import MAX_HOPS, enter, release
from emulator.traffic.agenda import go_on, next_ns
from emulator.traffic.arrivals import next_packet_ns
from emulator.traffic.layout import CHAINED, FOLLOWING, HELD, SERVED_ROOM, SERVED_TASKS
from emulator.traffic.servers import finish_task, offer, task_ns
from emulator.traffic.sizes import length_bytes
from emulator.traffic.tally import count_end, count_sent


@inline_packet_kernel
def write_header(flow: Any, number: int, sent_ns: int, message: int, packet: int, header: Any) -> None:
    """The header words (nodes.wire) of a flow's packet; `number` is that of the port's packet."""
    header[0] = flow.word0
    header[1] = flow.word1
    header[2] = number
    header[3] = sent_ns
    header[4] = message
    header[5] = flow.word5 | (packet & 0xFFFF)


@inline_packet_kernel
def _tag_copies(net: Any, traffic: Any) -> None:
    """Duplicates that were made on the way belong to whom their originals belong to."""
    for index in range(net.state[COPIES]):
        slot = net.copies[index]
        original = traffic.tags[net.packets[slot].twin]
        tag = traffic.tags[slot]
        tag.sent_ns = original.sent_ns
        tag.begun_ns = original.begun_ns
        tag.message = original.message
        tag.row = original.row
        tag.flow = original.flow
        tag.packet = original.packet
        tag.window = original.window
        traffic.tally[tag.row].copied += 1
    net.state[COPIES] = 0


@inline_packet_kernel
def _settle(net: Any, traffic: Any, slot: int) -> int:
    """Take a packet that has ended out of the network; the first flow that follows it, -1."""
    packet = net.packets[slot]
    tag = traffic.tags[slot]
    follower = -1
    count_end(traffic, slot, packet.fate, packet.length, packet.due_ns)
    if packet.fate == DELIVERED:
        net.fates[packet.traffic_class, DELIVERED] += 1
        net.totals[DELIVERED_BYTES] += packet.length
        write_log(net, slot, DELIVERED, packet.due_ns, packet.due_ns, packet.link)
        # A duplicate is thrown away by who has had the packet already.
        if tag.flow >= 0 and packet.marks & COPY == 0:
            flow = traffic.flows[tag.flow]
            follower = flow.follower
            if follower >= 0:
                if tag.message != flow.gathered - 1:
                    flow.gathered = tag.message + 1
                    flow.gathered_packets = 0
                flow.gathered_packets += 1
    release(net, slot)
    return follower


@inline_packet_kernel
def _make_room(net: Any, done: int) -> int:
    """Move what is to be settled to the front where no room is left behind it; how much is done then."""
    if net.state[READY] == net.ready.shape[0]:
        for index in range(done, net.state[READY]):
            net.ready[index - done] = net.ready[index]
        net.state[READY] -= done
        done = 0
    return done


@inline_packet_kernel
def _advance(net: Any, until_ns: int, pausing: bool) -> int:
    """Let everything happen up to `until_ns`, if `pausing` up to the first end of a packet; the time then."""
    while True:
        event_ns = net.heap_ns[0] if net.state[EVENTS] > 0 else NEVER
        tables_ns = table_ns(net)
        if min(event_ns, tables_ns) > until_ns:
            break
        if tables_ns <= event_ns:
            net.state[NOW] = tables_ns
            take_table(net, tables_ns)
        else:
            net.state[NOW] = max(net.state[NOW], event_ns)
            serve(net, net.heap_row[0], event_ns)
        if pausing and net.state[READY] > 0:
            until_ns = min(until_ns, net.state[NOW])
    net.state[NOW] = max(net.state[NOW], until_ns)
    return until_ns


@packet_kernel
def carry(
    net: Any, traffic: Any, arrivals: Any, first: int, until_ns: int, most_records: int, header: Any
) -> int:
    """Advance through arrivals from index `first` and through all flows up to `until_ns`; the next index.

    Stops early, between packets, once `most_records` hop records or SERVED_ROOM finished tasks wait to be
    read: state[HELD] says so. `header` is HEADER_WORDS words to write in. At equal times what follows an
    arrival comes first, then answers of servers, then recorded arrivals, then flows in their order.
    """
    index = first
    chained = traffic.state[CHAINED] != 0
    traffic.state[HELD] = 0
    # One place each where packets enter, where time goes on, where packets leave: compiled once.
    settled = 0
    scheduled = False
    finished = False
    follower = -1
    now_ns = net.state[NOW]
    flow_ns = arrival_ns = NEVER
    port = target = size = ttl = traffic_class = credit_ns = place = 0
    sent_ns = begun_ns = message = packet = came_bytes = came_packet = 0
    came_sent_ns = came_begun_ns = came_message = came_packets = 0
    complete = False
    while True:
        row = -1
        number = -1
        if follower >= 0:
            flow = traffic.flows[follower]
            if flow.server >= 0:
                if complete:
                    offer(traffic, follower, came_message, came_begun_ns, came_bytes, now_ns)
            elif complete or (flow.whole == 0 and came_packets % flow.every == 0):
                row = follower
                sent_ns = came_begun_ns if flow.whole != 0 else came_sent_ns
                begun_ns = came_begun_ns
                message = came_message
                packet = 0 if flow.whole != 0 else came_packet
                size = length_bytes(flow, traffic.lengths, flow.made, packet, came_bytes)
                flow.made += 1
                settled = _make_room(net, settled)
            follower = flow.sibling
        elif settled < net.state[READY]:
            slot = net.ready[settled]
            settled += 1
            follower = _settle(net, traffic, slot)
            if follower >= 0:
                tag = traffic.tags[slot]
                came_sent_ns = tag.sent_ns
                came_begun_ns = tag.begun_ns
                came_message = tag.message
                came_packet = tag.packet
                came_bytes = net.packets[slot].length
                flow = traffic.flows[tag.flow]
                came_packets = flow.gathered_packets
                complete = came_packets == flow.packets
        elif task_ns(traffic) <= now_ns:
            task = traffic.tasks[finish_task(traffic)]
            row = task.row
            sent_ns = begun_ns = task.message_ns
            message = task.message
            packet = 0
            flow = traffic.flows[row]
            size = length_bytes(flow, traffic.lengths, flow.made, packet, task.last_bytes)
            flow.made += 1
            settled = _make_room(net, settled)
        elif scheduled:
            scheduled = False
            settled = 0
            net.state[READY] = 0
            if arrival_ns <= flow_ns:
                number = index
            else:
                row = traffic.agenda_row[0]
                flow = traffic.flows[row]
                sent_ns = now_ns
                begun_ns = flow.begun_ns
                message = flow.message
                packet = flow.packet
                size = length_bytes(flow, traffic.lengths, flow.made, packet, 0)
        else:
            settled = 0
            net.state[READY] = 0
            if finished:
                break
            flow_ns = next_ns(traffic)
            arrival_ns = arrivals[index].time_ns if index < arrivals.shape[0] else NEVER
            now_ns = min(flow_ns, arrival_ns)
            coming = now_ns <= until_ns
            full = net.log_words[LOG_WRITTEN] - net.log_words[LOG_READ] >= most_records
            full = full or traffic.state[SERVED_TASKS] >= SERVED_ROOM
            if full and (coming or chained):
                traffic.state[HELD] = 1
                break
            now_ns = min(now_ns, until_ns)
            # What follows a packet leaves when that has arrived: nothing else may happen in between.
            step_ns = min(now_ns, task_ns(traffic)) if chained else now_ns
            step_ns = _advance(net, step_ns, chained)
            _tag_copies(net, traffic)
            if step_ns == now_ns:
                scheduled = coming
                finished = not coming
            now_ns = step_ns
        if row >= 0 or number >= 0:
            tally = row
            if row >= 0:
                flow = traffic.flows[row]
                port = flow.port
                target = flow.target
                traffic_class = flow.traffic_class
                place = net.port_place[port]
                ttl = MAX_HOPS
                credit_ns = 0
                write_header(flow, net.port_packets[port], sent_ns, message, packet, header)
            else:
                arrival = arrivals[number]
                port = arrival.port
                target = arrival.target
                traffic_class = arrival.traffic_class
                place = arrival.at - 1 if arrival.at > 0 else net.port_place[port]
                ttl = arrival.ttl if arrival.ttl > 0 else MAX_HOPS
                credit_ns = arrival.credit_ns
                size = arrival.length
                sent_ns = begun_ns = now_ns
                message = packet = 0
                tally = traffic.groups[number]
                for word in range(HEADER_WORDS):
                    header[word] = arrival.header[word]
            slot = enter(
                net, now_ns, place, port, target, size, ttl, traffic_class, credit_ns, header
            )  # fmt: skip
            count_sent(traffic, slot, tally, size, now_ns)
            if slot >= 0:
                tag = traffic.tags[slot]
                tag.flow = row
                tag.sent_ns = sent_ns
                tag.begun_ns = begun_ns
                tag.message = message
                tag.packet = packet
            else:
                traffic.fates[tally, NO_BUFFER] += 1
            if number >= 0:
                index += 1
            elif traffic.flows[row].kind != FOLLOWING:
                go_on(traffic)
    return index


@packet_kernel
def generate(traffic: Any, numbers: Any, made: Any, until_ns: int) -> int:
    """Write the packets of all flows up to `until_ns` as ARRIVAL into `made`, as many as it holds; how many.

    `numbers` int64 [ports]: packets of each port so far. What follows on arrival is not made: that depends
    on the network.
    """
    count = 0
    while count < made.shape[0] and next_ns(traffic) <= until_ns:
        row = traffic.agenda_row[0]
        flow = traffic.flows[row]
        arrival = made[count]
        arrival.time_ns = next_ns(traffic)
        arrival.port = flow.port
        arrival.target = flow.target
        arrival.length = length_bytes(flow, traffic.lengths, flow.made, flow.packet, 0)
        arrival.traffic_class = flow.traffic_class
        write_header(flow, numbers[flow.port], arrival.time_ns, flow.message, flow.packet, arrival.header)
        numbers[flow.port] += 1
        count += 1
        go_on(traffic)
    return count


@packet_kernel
def draw(flow: Any, lengths: Any, times_ns: Any, made_ns: Any, made_bytes: Any) -> int:
    """The next packets of one flow, as many as there is room for: times ns, lengths; how many there were.

    The flow stands at its first message (`agenda.begin`) or where this left it.
    """
    count = 0
    now_ns = flow.begun_ns + flow.packet * flow.spacing_ns if flow.begun_ns < NEVER else NEVER
    while count < made_ns.shape[0] and now_ns < NEVER:
        made_ns[count] = now_ns
        made_bytes[count] = length_bytes(flow, lengths, flow.made, flow.packet, 0)
        now_ns = next_packet_ns(flow, times_ns)
        count += 1
    return count
