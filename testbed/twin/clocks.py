"""The clocks of nodes: which of them jumped or changed its pace, by how much, and whose delays that explains.

Fed with `clock` records, one an exchange between a node and the host, which never crosses an emulated link.
The statistics of one clock are in `clockfilter`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from nodes.wire import Record
from testbed.twin.attribution import CLOCK, Event
from testbed.twin.belief import Belief, Estimate
from testbed.twin.clockfilter import ClockFilter, exchange
from testbed.twin.detect import Alarm
from testbed.twin.events import Events
from testbed.twin.filters import ForgettingMean
from testbed.twin.observations import numbers
from testbed.twin.parts import State, Window

#: an offset below this is no deviation, ms
SMALLEST_MS = 0.5
#: exchanges within which a change must show its size, or is taken for granted
_PATIENCE = 30
#: exchanges, and standard deviations, before a change is told
_LEAST, _SURE = 3, 4.0
#: flows followed; means of delay behind the usual one, and those that count as new
_MOST_FLOWS, _USUAL, _NEW = 1_024, 60, 4


class _Clock:
    """One node's clock and what is said of it."""

    def __init__(self, threshold: float) -> None:
        self.filter = ClockFilter(threshold)
        self.alarm: Alarm | None = None  # a change that has not shown its size yet
        self.since = 0  # exchanges since the last alarm
        self.event: Event | None = None


class _FlowDelay:
    """One-way delays of a flow: what is usual, and the last ones."""

    def __init__(self) -> None:
        self.usual = ForgettingMean(_USUAL)
        self.scatter = ForgettingMean(_USUAL)
        self.new: list[float] = []

    def add(self, delay_ms: float) -> None:
        self.new.append(delay_ms)
        if len(self.new) > _NEW:
            value = self.new.pop(0)
            self.scatter.add(abs(value - self.usual.value) if self.usual.count else 0.0)
            self.usual.add(value)

    def moved_by(self, shift_ms: float) -> bool:
        """Whether the last delay differs from the usual ones by about `shift_ms`."""
        if not self.new or self.usual.count < _NEW:
            return False
        return (
            abs(self.new[-1] - self.usual.value - shift_ms) < 0.25 * abs(shift_ms) + 2.0 * self.scatter.value
        )


class Clocks:
    """Offset and skew of every node's clock; `places` maps nodes to the places they stand at.

    A change is told when it is surely above `SMALLEST_MS`. A node that is first heard with an offset is off
    by that, unless its clock counts from another epoch altogether.
    """

    measurements = frozenset({"clock", "flow"})

    def __init__(self, places: Mapping[str, str], events: Events, threshold: float) -> None:
        self._places = dict(places)
        self._events = events
        self._threshold = threshold
        self._clocks: dict[str, _Clock] = {}
        self._flows: dict[tuple[str, str, str], _FlowDelay] = {}

    def states(self) -> Iterator[State]:
        for node, clock in self._clocks.items():
            mean, sd = clock.filter.offset()
            yield State(node, "clock_offset_ms", mean, sd**2)
            mean, sd = clock.filter.skew()
            yield State(node, "clock_skew_ppm", mean, sd**2)
            yield State(node, "clock_bound_ms", clock.filter.bound_ms, 0.0)

    def tell(self, belief: Belief) -> None:
        for node, clock in self._clocks.items():
            mean, sd = clock.filter.offset()
            # the way may be longer in one direction by anything up to the bound
            sd = math.sqrt(sd**2 + clock.filter.bound_ms**2 / 3.0)
            belief.clock_offset_ms[node] = Estimate(mean, sd)

    def explains(self, kind: str, target: str) -> bool:
        """Whether `target`, a flow named `source>node`, is late or early for a clock that is off."""
        return any(
            end == node and clock.event is not None
            for node, clock in self._clocks.items()
            for end in target.split(">")
        )

    def close(self, window: Window, records: list[Record]) -> list[Record]:
        touched: dict[str, None] = {}
        for record in records:
            number = numbers(record)
            if record.measurement == "flow":
                self._flow(record, number.get("delay_mean_ms", math.nan))
            elif all(f"t{n}_ns" in number for n in range(1, 5)):
                node = record.tags.get("node", "")
                t_s = window.begins_s + (record.t_ns - window.t_ns) / 1e9
                self._take(node, record, t_s)
                touched[node] = None
        out: list[Record] = []
        for node in touched:
            out += self._judge(node, window)
        return out

    def _flow(self, record: Record, delay_ms: float) -> None:
        key = (record.tags.get("source", ""), record.tags.get("node", ""), record.tags.get("flow", ""))
        if math.isnan(delay_ms) or (key not in self._flows and len(self._flows) >= _MOST_FLOWS):
            return
        self._flows.setdefault(key, _FlowDelay()).add(delay_ms)

    def _take(self, node: str, record: Record, t_s: float) -> None:
        clock = self._clocks.setdefault(node, _Clock(self._threshold))
        # whole numbers: a float has no nanoseconds left in a clock that has run for months
        whole = {name: int(value) for name, value in record.fields.items()}
        alarm = clock.filter.observe(exchange(whole, t_s))
        clock.since += 1
        if alarm is not None:
            clock.alarm, clock.since = alarm, 0

    def _judge(self, node: str, window: Window) -> list[Record]:
        clock = self._clocks[node]
        if not clock.filter.changed:
            return []
        size = clock.filter.change()
        surely = abs(size.mean) - _SURE * size.sd > SMALLEST_MS
        if clock.event is not None:
            clock.event.resize(size)
            if abs(size.mean) + 1.96 * size.sd > SMALLEST_MS or clock.since < _LEAST:
                return []
            return self._over(clock, window)
        if surely and clock.alarm is not None:
            alarm, place = clock.alarm, self._places.get(node, "") or node
            clock.event = Event(
                CLOCK, node, place, clock.filter.onset_s, window.now_s, size.mean, size.sd, "ms",
                alarm.statistic, alarm.threshold, self._late_flows(node, size.mean),
            )  # fmt: skip
            self._events.active.append(clock.event)
            return [clock.event.record("detection", window.now_ns)]
        if clock.since > _PATIENCE:
            clock.filter.settle()
            clock.alarm = None
        return []

    def _over(self, clock: _Clock, window: Window) -> list[Record]:
        event, clock.event, clock.alarm = clock.event, None, None
        assert event is not None
        ended_s = clock.filter.onset_s
        clock.filter.settle()
        self._events.active.remove(event)
        event.settle()
        return [event.record("recovery", window.now_ns, ended_s=ended_s, recovered_s=window.now_s)]

    def _late_flows(self, node: str, ahead_ms: float) -> list[str]:
        """Flows whose one-way delay moved as the clock did, as `source>node`."""
        found = set()
        for (source, receiver, _), delay in self._flows.items():
            if node in (source, receiver) and source != receiver:
                shift_ms = -ahead_ms if source == node else ahead_ms
                if delay.moved_by(shift_ms):
                    found.add(f"{source}>{receiver}")
        return sorted(found)
