"""Whose packet comes next: the flows that have one, in order of time, as a binary heap.

Equal times go in the order of flows. The first entry alone ever changes, so no flow knows its place.
"""

from __future__ import annotations

from typing import Any

from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.links.state import NEVER
from emulator.traffic.arrivals import message_ns, next_packet_ns
from emulator.traffic.layout import AGENDA, FOLLOWING


@inline_packet_kernel
def next_ns(traffic: Any) -> int:
    """When the next packet of any flow comes, ns; NEVER if none."""
    return traffic.agenda_ns[0] if traffic.state[AGENDA] > 0 else NEVER


@inline_packet_kernel
def _sink(traffic: Any, time_ns: int, row: int) -> None:
    """Put an entry in the place of the first one, or below."""
    times, rows = traffic.agenda_ns, traffic.agenda_row
    count = traffic.state[AGENDA]
    here = 0
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
        here = below
    times[here] = time_ns
    rows[here] = row


@inline_packet_kernel
def go_on(traffic: Any) -> None:
    """The packet that was next has been made: when does its flow's next one come?"""
    row = traffic.agenda_row[0]
    time_ns = next_packet_ns(traffic.flows[row], traffic.times_ns)
    if time_ns == NEVER:
        last = traffic.state[AGENDA] - 1
        traffic.state[AGENDA] = last
        time_ns = traffic.agenda_ns[last]
        row = traffic.agenda_row[last]
    _sink(traffic, time_ns, row)


@packet_kernel
def first_ns(traffic: Any, row: int) -> int:
    """When the flow's present message begins, ns, as its times are now; NEVER: there is none."""
    flow = traffic.flows[row]
    flow.begun_ns = message_ns(flow, traffic.times_ns)
    return int(flow.begun_ns)


@packet_kernel
def begin(traffic: Any, flows: int) -> None:
    """Put the first packet of each of the first `flows` flows on the agenda."""
    for row in range(flows):
        flow = traffic.flows[row]
        if flow.kind != FOLLOWING:
            flow.begun_ns = message_ns(flow, traffic.times_ns)
            if flow.begun_ns < NEVER:
                here = traffic.state[AGENDA]
                traffic.state[AGENDA] = here + 1
                while here > 0:
                    above = (here - 1) >> 1
                    if traffic.agenda_ns[above] <= flow.begun_ns:
                        break
                    traffic.agenda_ns[here] = traffic.agenda_ns[above]
                    traffic.agenda_row[here] = traffic.agenda_row[above]
                    here = above
                traffic.agenda_ns[here] = flow.begun_ns
                traffic.agenda_row[here] = row
