"""The virtual-time driver: the same network, run as fast as the processor allows.

Feeds recorded or made-up arrivals and link tables to the compiled network and collects what became of
every packet. A recorded run given its own arrivals and tables yields its own fates again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from emulator.accounting import DELIVERED, HOP_RECORD
from emulator.epochs import LinkUpdates, RecordedTable
from emulator.hoplog import drain_log, write_log
from emulator.jit import inline_packet_kernel, packet_kernel, records
from emulator.layout import (
    COPIES,
    DELIVERED_BYTES,
    IN_USE,
    LOG_OVERFLOW,
    LOG_READ,
    LOG_WRITTEN,
    READY,
    Network,
)
from emulator.network import MAX_HOPS, advance, enter, release

#: one packet entering the network: when, by which port, towards which port, how long
ARRIVAL: Final = np.dtype(
    [
        ("time_ns", "<i8"),
        ("port", "<u4"),
        ("target", "<u4"),
        ("length", "<i4"),
        ("credit_ns", "<i4"),
        ("traffic_class", "u1"),
        ("ttl", "u1"),  # 0: as many hops as any packet may have
        ("_pad", "<u2"),
        ("at", "<i4"),  # 1 + the place where it enters; 0: at its port's
        ("header", "<i8", (6,)),
    ]
)


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


@dataclass(frozen=True)
class Simulated:
    """What became of every packet: hop records in the order they were written, and fates by count."""

    hops: np.ndarray[Any, Any]
    fates: np.ndarray[Any, Any]  # int64 [FATES], all traffic classes together
    in_flight: int


def simulate(
    net: Network, arrivals: np.ndarray[Any, Any], tables: Iterable[RecordedTable], end_ns: int
) -> Simulated:
    """Run `arrivals` (ARRIVAL, in order of time) through `net` under `tables`, up to `end_ns`.

    Each table is put in force at its own time. Times are integers of ns on any one clock. RuntimeError
    when more happened at once than the network's log can hold.
    """
    overflow = int(net.log_words[LOG_OVERFLOW])
    updates = LinkUpdates(net)
    arrivals = records(arrivals)
    hops: list[np.ndarray[Any, Any]] = []
    index = 0

    def carry(until_ns: int) -> None:
        nonlocal index
        while True:
            index = int(run_arrivals(net, arrivals, index, until_ns, len(net.log) // 2))
            hops.append(drain_log(net))
            if index >= len(arrivals) or arrivals["time_ns"][index] > until_ns:
                break

    for table in tables:
        if table.time_ns > end_ns:
            break
        carry(table.time_ns - 1)
        updates.post_recorded(table)
    carry(end_ns)
    if lost := int(net.log_words[LOG_OVERFLOW]) - overflow:
        raise RuntimeError(f"{lost} packet-hops found no room in the log of {len(net.log)}: make it larger")
    return Simulated(
        hops=np.concatenate(hops) if hops else np.zeros(0, HOP_RECORD),
        fates=net.fates.sum(axis=0),
        in_flight=int(net.state[IN_USE]),
    )
