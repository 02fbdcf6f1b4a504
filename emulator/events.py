"""The events of a network in order of time: a binary heap in plain arrays.

An event is the end of a transmission (of a link) or an arrival (of a packet). A change of rate does not
look for the event it makes wrong: that one is stale, told by its generation, and passed over.
"""

from __future__ import annotations

from typing import Any, Final

from emulator.jit import kernel
from emulator.layout import EVENTS, SEQUENCE

TRANSMITTED: Final = 0
ARRIVED: Final = 1


@kernel
def _before(heap: Any, a: int, b: int) -> bool:
    return bool(heap[a, 0] < heap[b, 0] or (heap[a, 0] == heap[b, 0] and heap[a, 1] < heap[b, 1]))


@kernel
def _swap(heap: Any, a: int, b: int) -> None:
    for column in range(3):
        kept = heap[a, column]
        heap[a, column] = heap[b, column]
        heap[b, column] = kept


@kernel
def _rise(heap: Any, here: int) -> None:
    while here > 0:
        above = (here - 1) // 2
        if not _before(heap, here, above):
            break
        _swap(heap, here, above)
        here = above


@kernel
def stale(net: Any, what: int) -> bool:
    """Whether an event is a transmission's end that was overtaken by another rate or a lost link."""
    if what & 1 != TRANSMITTED:
        return False
    link = net.links[(what >> 1) & 0x7FFFFFFF]
    # The generation is kept in 31 bits of the event.
    return bool(link.packets == 0 or (what >> 32) != (link.tx_generation & 0x7FFFFFFF))


@kernel
def _forget_stale(net: Any) -> None:
    """Take the stale events out of the heap: a slow packet leaves one behind at every change of rate."""
    heap = net.heap
    kept = 0
    for index in range(net.state[EVENTS]):
        if stale(net, heap[index, 2]):
            continue
        for column in range(3):
            heap[kept, column] = heap[index, column]
        _rise(heap, kept)
        kept += 1
    net.state[EVENTS] = kept


@kernel
def schedule(net: Any, time_ns: int, what: int, index: int, generation: int) -> None:
    """Let an event of link or packet `index` happen at `time_ns`; equal times keep the order of calls."""
    heap = net.heap
    if net.state[EVENTS] == heap.shape[0]:
        # There is room afterwards: no more than one event a packet in the air and one a transmitter.
        _forget_stale(net)
    here = net.state[EVENTS]
    net.state[EVENTS] = here + 1
    heap[here, 0] = time_ns
    heap[here, 1] = net.state[SEQUENCE]
    heap[here, 2] = (generation << 32) | (index << 1) | what
    net.state[SEQUENCE] += 1
    _rise(heap, here)


@kernel
def pop(net: Any) -> None:
    """Take the earliest event out."""
    heap = net.heap
    last = net.state[EVENTS] - 1
    net.state[EVENTS] = last
    for column in range(3):
        heap[0, column] = heap[last, column]
    here = 0
    while True:
        least = here
        for below in (2 * here + 1, 2 * here + 2):
            if below < last and _before(heap, below, least):
                least = below
        if least == here:
            break
        _swap(heap, here, least)
        here = least
