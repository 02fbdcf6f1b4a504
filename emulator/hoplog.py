"""The record of packet-hops: a ring that the compiled network writes and ordinary Python empties.

One record when a packet has crossed a link, one when it is dropped. A ring that nobody empties loses the
newest records, and counts them; the network never waits for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from emulator.accounting import HOP_RECORD
from emulator.jit import inline_packet_kernel, load_acquire, store_release
from emulator.layout import (
    HEADER_WORDS,
    LOG_OVERFLOW,
    LOG_READ,
    LOG_WRITTEN,
    QUIET,
    Network,
)


@inline_packet_kernel
def write_log(net: Any, slot: int, fate: int, due_ns: int, actual_ns: int, hop_row: int) -> None:
    """Append the record of a packet-hop over link `hop_row` (-1: none); a full ring is counted."""
    if net.state[QUIET] == 0:
        written = net.log_words[LOG_WRITTEN]
        if written - load_acquire(net.log_words, LOG_READ) >= net.log.shape[0]:
            net.log_words[LOG_OVERFLOW] += 1
        else:
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
            record.credit_ns = packet.credited_ns
            record.traffic_class = packet.traffic_class
            record.marks = packet.marks
            record.ttl = packet.ttl
            if hop_row >= 0:
                link = net.links[hop_row]
                record.from_place = link.from_place
                record.to_place = link.to_place
                record.modcod = link.modcod
            else:
                record.from_place = packet.place
                record.to_place = -1
                record.modcod = -1
            for word in range(HEADER_WORDS):
                record.header[word] = packet.header[word]
            store_release(net.log_words, LOG_WRITTEN, written + 1)


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
