"""Counting what becomes of the packets of each flow, without allocation, as they end.

Delays count from when the first flow of a chain sent: a packet that a relay sends on has the delay of its
whole way, an answer that of the round trip.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from emulator.accounting import DELIVERED
from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.links.state import NEVER
from emulator.traffic.layout import BUCKETS, OCTAVE, ORIGIN, SAMPLES, UNSAMPLED, WINDOW_NS

_MANTISSA_BITS = 48
_LEAST_EXPONENT = 1026 * OCTAVE


@inline_packet_kernel
def bucket(value_ns: int) -> int:
    """Index of the bucket that a time belongs to: sixteen an octave."""
    if value_ns < OCTAVE:
        return max(0, value_ns)
    # Exponent and first four bits of the mantissa of a double, as one number, are the logarithm.
    logarithm = int(np.float64(value_ns).view(np.int64) >> _MANTISSA_BITS)
    return min(BUCKETS - 1, logarithm - _LEAST_EXPONENT)


@inline_packet_kernel
def count_sent(traffic: Any, slot: int, row: int, size: int, now_ns: int) -> None:
    """A packet of the flow in `row` has been sent; `slot` is -1 where the network had no room."""
    tally = traffic.tally[row]
    tally.sent += 1
    tally.sent_bytes += size
    window = 0
    if traffic.state[WINDOW_NS] > 0:
        window = (now_ns - traffic.state[ORIGIN]) // traffic.state[WINDOW_NS]
        window = max(0, min(window, traffic.windows.shape[1] - 1))
        traffic.windows[row, window].sent += 1
    if slot >= 0:
        traffic.tags[slot].row = row
        traffic.tags[slot].window = window


@inline_packet_kernel
def _sample(traffic: Any, row: int, sent_ns: int, delay_ns: int, fate: int) -> None:
    at = traffic.state[SAMPLES]
    if at < traffic.samples.shape[0] - 1:
        sample = traffic.samples[at]
        sample.sent_ns = sent_ns
        sample.delay_ns = delay_ns
        sample.row = row
        sample.fate = fate
        traffic.state[SAMPLES] = at + 1
    else:
        traffic.state[UNSAMPLED] += 1


@inline_packet_kernel
def _age(tally: Any, sent_ns: int, now_ns: int) -> None:
    """Information of `sent_ns` has come: the age of the newest falls, if this is newer."""
    if tally.first_ns < 0:
        tally.first_ns = now_ns
        tally.aged_ns = now_ns
        tally.newest_ns = sent_ns
    elif sent_ns > tally.newest_ns:
        oldest = float(now_ns - tally.newest_ns)
        youngest = float(tally.aged_ns - tally.newest_ns)
        tally.age_squares += oldest * oldest - youngest * youngest
        tally.age_max_ns = max(tally.age_max_ns, now_ns - tally.newest_ns)
        tally.aged_ns = now_ns
        tally.newest_ns = sent_ns


@inline_packet_kernel
def count_end(traffic: Any, slot: int, fate: int, size: int, now_ns: int) -> None:
    """The packet in `slot` has been delivered or dropped."""
    tag = traffic.tags[slot]
    row = tag.row
    tally = traffic.tally[row]
    traffic.fates[row, fate] += 1
    delay_ns = now_ns - tag.sent_ns
    if fate == DELIVERED:
        tally.delivered += 1
        tally.delivered_bytes += size
        tally.delay_sum_ns += delay_ns
        tally.delay_squares += float(delay_ns) * delay_ns
        tally.delay_min_ns = min(tally.delay_min_ns, delay_ns)
        tally.delay_max_ns = max(tally.delay_max_ns, delay_ns)
        traffic.delays[row, bucket(delay_ns)] += 1
        _age(tally, tag.sent_ns, now_ns)
    if traffic.state[WINDOW_NS] > 0:
        window = traffic.windows[row, tag.window]
        if fate == DELIVERED:
            window.delivered += 1
            window.delivered_bytes += size
            window.delay_sum_ns += delay_ns
            window.delay_max_ns = max(window.delay_max_ns, delay_ns)
        else:
            window.dropped += 1
    if traffic.samples.shape[0] > 1 and row < traffic.tally.shape[0] - 1:
        _sample(traffic, row, tag.sent_ns, delay_ns if fate == DELIVERED else -1, fate)


@packet_kernel
def finish(traffic: Any, end_ns: int) -> None:
    """Carry the age of information on to the end."""
    for row in range(traffic.tally.shape[0]):
        tally = traffic.tally[row]
        if tally.first_ns >= 0 and tally.delay_min_ns < NEVER and end_ns > tally.aged_ns:
            oldest = float(end_ns - tally.newest_ns)
            youngest = float(tally.aged_ns - tally.newest_ns)
            tally.age_squares += oldest * oldest - youngest * youngest
            tally.age_max_ns = max(tally.age_max_ns, end_ns - tally.newest_ns)
            tally.aged_ns = end_ns
