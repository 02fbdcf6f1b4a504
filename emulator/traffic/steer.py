"""Changing flows while they run: when their messages come, and of which class they are.

What has been sent stays as it is. Nothing here runs for every packet.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from emulator.links.state import CLASSES, NEVER
from emulator.traffic.agenda import first_ns
from emulator.traffic.arrivals import ParetoOnOff, Periodic, Recorded, Times
from emulator.traffic.errors import TrafficError
from emulator.traffic.flows import FlowSet
from emulator.traffic.layout import AGENDA, EACH, FOLLOWING, Traffic

#: steps through all keys (Knuth's MMIX generator)
_MULTIPLIER = 6_364_136_223_846_793_005
_CLASS_SHIFT = 32
_CLASS_BITS = 0xFF << _CLASS_SHIFT


def set_times(traffic: Traffic, flows: FlowSet, name: str, times: Times | None, now_ns: int) -> Traffic:
    """The traffic with messages of flow `name` at `times`, counted from `now_ns`; None: no further ones.

    `flows` is what the traffic was made of. A message of which packets have been sent goes on. TrafficError
    for a flow that follows another, and for times that cannot be.
    """
    index = flows.index(name)
    where = f"flow {name!r}: "
    row = np.asarray(traffic.flows)[index]
    if row["kind"] == FOLLOWING:
        raise TrafficError(f"{where}follows another flow, allowed: times of one that sends of its own accord")
    if isinstance(times, ParetoOnOff):
        # As if it had always been running: that state is drawn once, when the flow begins.
        raise TrafficError(f"{where}times are on and off, allowed: Periodic, Poisson or Recorded")
    lengths = getattr(times, "lengths_bytes", None)
    if times is not None and row["size_kind"] == EACH and lengths is None:
        raise TrafficError(f"{where}each packet has a recorded length, allowed: Recorded with lengths_bytes")
    under_way = bool(row["packet"] > 0)
    number = int(row["message"]) + under_way  # of the first message at the new times
    # A gap that is known to have been long would be drawn again: from here on all draws are new ones.
    row["key"] = (int(row["key"]) * _MULTIPLIER + 1) % (1 << 64)
    if times is None:
        row["end_ns"] = 0
    else:
        times.check(f"{where}times.")
        row["start_ns"], row["at_ns"] = now_ns, 0.0
        if isinstance(times, Recorded):
            traffic = _recorded(traffic, row, times, number)
        else:
            times.write(row)
        if isinstance(times, Periodic):
            # Messages keep their numbers, from which random draws follow; number 0 was at start_ns.
            row["start_ns"] -= math.floor(number * float(row["period_ns"]) + 0.5)
        # The time between start and end is computed with, and has to fit.
        row["end_ns"] = min(int(flows.rows[index]["end_ns"]), NEVER + min(0, int(row["start_ns"])))
    if not under_way:
        _enter(traffic, index, int(first_ns(traffic, index)))
    return traffic


def set_class(traffic: Traffic, flows: FlowSet, name: str, traffic_class: int) -> None:
    """Make what flow `name` sends, and what follows it without a class of its own, of `traffic_class`."""
    if isinstance(traffic_class, bool) or traffic_class not in range(CLASSES):
        raise TrafficError(f"flow {name!r}: traffic_class is {traffic_class!r}, allowed: 0 to {CLASSES - 1}")
    rows = np.asarray(traffic.flows)
    mine = [flows.index(name)]
    for index in mine:
        row = rows[index]
        row["traffic_class"] = traffic_class
        row["word5"] = (int(row["word5"]) & ~_CLASS_BITS) | traffic_class << _CLASS_SHIFT
        follower = int(row["follower"])
        while follower >= 0:
            if flows.inherits[follower]:
                mine.append(follower)
            follower = int(rows[follower]["sibling"])


def _recorded(traffic: Traffic, row: Any, times: Recorded, number: int) -> Traffic:
    """The traffic with these times behind those it has; message `number` is the first of them."""
    times_ns: list[int] = []
    lengths: list[int] = []
    times.write(row, times_ns, lengths)
    row["first"], row["count"] = len(traffic.times_ns) - number, number + len(times_ns)
    if lengths:
        row["size_low"] = len(traffic.lengths) - number
    return traffic._replace(
        times_ns=np.concatenate((traffic.times_ns, np.array(times_ns, np.int64))),
        lengths=np.concatenate((traffic.lengths, np.array(lengths, np.int32))),
    )


def _enter(traffic: Traffic, index: int, time_ns: int) -> None:
    """The next packet of a flow comes at `time_ns`, NEVER for none; a sorted list is a heap."""
    count = int(traffic.state[AGENDA])
    entries = {
        int(row): int(ns)
        for row, ns in zip(traffic.agenda_row[:count], traffic.agenda_ns[:count], strict=True)
    }
    entries.pop(index, None)
    if time_ns < NEVER:
        entries[index] = time_ns
    order = sorted((ns, row) for row, ns in entries.items())
    traffic.state[AGENDA] = len(order)
    for at, (ns, row) in enumerate(order):
        traffic.agenda_ns[at], traffic.agenda_row[at] = ns, row
