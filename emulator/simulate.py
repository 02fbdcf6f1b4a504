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
from emulator.jit import kernel, load_acquire, records, store_release
from emulator.layout import (
    LOG_OVERFLOW,
    LOG_READ,
    LOG_WRITTEN,
    READY,
    Network,
)
from emulator.network import (
    advance,
    ingress,
    release,
    write_log,
)

#: one packet entering the network: when, by which port, towards which port, how long
ARRIVAL: Final = np.dtype(
    [
        ("time_ns", "<i8"),
        ("port", "<u4"),
        ("target", "<u4"),
        ("length", "<i4"),
        ("_pad", "<i4"),
        ("header", "<i8", (6,)),
    ]
)


@kernel
def _settle(net: Any) -> None:
    for index in range(net.state[READY]):
        slot = net.ready[index]
        packet = net.packets[slot]
        if packet.fate == DELIVERED:
            net.fates[DELIVERED] += 1
            net.totals[2] += packet.length
            write_log(net, slot, DELIVERED, packet.due_ns, packet.due_ns, packet.link)
        release(net, slot)
    net.state[READY] = 0


@kernel
def run_arrivals(net: Any, arrivals: Any, first: int, until_ns: int, most_records: int) -> int:
    """Advance through arrivals from index `first` up to `until_ns`; the index of the next one.

    Stops early, between arrivals, once `most_records` hop records wait to be read.
    """
    index = first
    while index < arrivals.shape[0] and arrivals[index].time_ns <= until_ns:
        if net.log_words[LOG_WRITTEN] - net.log_words[LOG_READ] >= most_records:
            return index
        arrival = arrivals[index]
        advance(net, arrival.time_ns)
        _settle(net)
        ingress(net, arrival.time_ns, arrival.port, arrival.target, arrival.length, arrival.header)
        _settle(net)
        index += 1
    advance(net, until_ns)
    _settle(net)
    return index


@dataclass(frozen=True)
class Simulated:
    """What became of every packet: hop records in the order they were written, and fates by count."""

    hops: np.ndarray[Any, Any]
    fates: np.ndarray[Any, Any]
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
        fates=net.fates.copy(),
        in_flight=int(net.state[1]),
    )


def drain_log(net: Network) -> np.ndarray[Any, Any]:
    """Take every hop record written since the last call, as HOP_RECORD, oldest first."""
    written = int(load_acquire(net.log_words, LOG_WRITTEN))
    read = int(net.log_words[LOG_READ])
    size = len(net.log)
    first, last = read % size, written % size
    if written == read:
        return np.zeros(0, HOP_RECORD)
    taken = net.log[first:last].copy() if first < last else np.concatenate((net.log[first:], net.log[:last]))
    store_release(net.log_words, LOG_READ, written)
    return taken.view(HOP_RECORD)
