"""Recorded arrivals carried one by one, without flows or results: what `simulate` is held against."""

from __future__ import annotations

from typing import Any

from emulator.accounting import DELIVERED
from emulator.hoplog import write_log
from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.layout import COPIES, DELIVERED_BYTES, LOG_READ, LOG_WRITTEN, READY
from emulator.network import MAX_HOPS, advance, enter, release


@inline_packet_kernel
def settle(net: Any) -> None:
    """Take every packet that has arrived or was dropped out of the network."""
    for index in range(net.state[READY]):
        slot = net.ready[index]
        packet = net.packets[slot]
        if packet.fate == DELIVERED:
            net.fates[packet.traffic_class, DELIVERED] += 1
            net.totals[DELIVERED_BYTES] += packet.length
            write_log(net, slot, DELIVERED, packet.due_ns, packet.due_ns, packet.link)
        release(net, slot)
    net.state[READY] = 0
    net.state[COPIES] = 0


@packet_kernel
def run_arrivals(net: Any, arrivals: Any, first: int, until_ns: int, most_records: int) -> int:
    """Advance through arrivals from index `first` up to `until_ns`; the index of the next one.

    Stops early, between arrivals, once `most_records` hop records wait to be read.
    """
    index = first
    going = True
    while going:
        arriving = index < arrivals.shape[0] and arrivals[index].time_ns <= until_ns
        now_ns = arrivals[index].time_ns if arriving else until_ns
        if arriving and net.log_words[LOG_WRITTEN] - net.log_words[LOG_READ] >= most_records:
            break
        advance(net, now_ns)
        if arriving:
            arrival = arrivals[index]
            place = arrival.at - 1 if arrival.at > 0 else net.port_place[arrival.port]
            ttl = arrival.ttl if arrival.ttl > 0 else MAX_HOPS
            # What has arrived makes room first.
            settle(net)
            enter(
                net, now_ns, place, arrival.port, arrival.target, arrival.length, ttl,
                arrival.traffic_class, arrival.credit_ns, arrival.header,
            )  # fmt: skip
            index += 1
        settle(net)
        going = arriving
    return index
