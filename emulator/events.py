"""What happens next: the links that have something to do, in order of time, as an indexed binary heap.

A link is in the heap at most once, with the time of whatever it does next (the end of a transmission, the
first arrival), and moves when that changes: nothing in the heap is ever out of date, and its size is the
number of links at work, however many packets they carry. Equal times go in the order of rows, which is the
same in every run of the same tables.
"""

from __future__ import annotations

from typing import Any

from emulator.jit import inline_packet_kernel
from emulator.layout import EVENTS
from emulator.links.state import NEVER


@inline_packet_kernel
def _rise(net: Any, here: int, time_ns: int, row: int) -> None:
    """Put an entry at `here` or above; what stands below is all later."""
    times, rows, links = net.heap_ns, net.heap_row, net.links
    while here > 0:
        above = (here - 1) >> 1
        if times[above] < time_ns or (times[above] == time_ns and rows[above] < row):
            break
        times[here] = times[above]
        rows[here] = rows[above]
        links[rows[here]].heap_at = here
        here = above
    times[here] = time_ns
    rows[here] = row
    links[row].heap_at = here


@inline_packet_kernel
def _sink(net: Any, here: int, time_ns: int, row: int) -> None:
    """Put an entry at `here` or below; what stands above is all earlier."""
    times, rows, links = net.heap_ns, net.heap_row, net.links
    count = net.state[EVENTS]
    while True:
        below = 2 * here + 1
        if below >= count:
            break
        other = below + 1
        if other < count and (
            times[other] < times[below] or (times[other] == times[below] and rows[other] < rows[below])
        ):
            below = other
        if time_ns < times[below] or (time_ns == times[below] and row < rows[below]):
            break
        times[here] = times[below]
        rows[here] = rows[below]
        links[rows[here]].heap_at = here
        here = below
    times[here] = time_ns
    rows[here] = row
    links[row].heap_at = here


@inline_packet_kernel
def schedule(net: Any, row: int, time_ns: int) -> None:
    """From now on the next thing that link `row` does is at `time_ns`; NEVER: nothing."""
    here = net.links[row].heap_at
    if time_ns == NEVER:
        if here >= 0:
            net.links[row].heap_at = -1
            last = net.state[EVENTS] - 1
            net.state[EVENTS] = last
            if here != last:
                moved_ns, moved = net.heap_ns[last], net.heap_row[last]
                if here > 0 and moved_ns <= net.heap_ns[(here - 1) >> 1]:
                    _rise(net, here, moved_ns, moved)
                else:
                    _sink(net, here, moved_ns, moved)
    elif here < 0:
        last = net.state[EVENTS]
        net.state[EVENTS] = last + 1
        _rise(net, last, time_ns, row)
    elif time_ns < net.heap_ns[here]:
        _rise(net, here, time_ns, row)
    elif time_ns > net.heap_ns[here]:
        _sink(net, here, time_ns, row)
