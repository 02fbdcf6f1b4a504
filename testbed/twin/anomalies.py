"""Traffic that should not be: floods of packets, and impostors who send under another's identity.

A flood is told by what a place offers beyond what it passes on: that does not change when a satellite hands
over, nor when a link gets slower. An impostor is told by message numbers that come twice and readings that do
not continue those before them; either alone is a repeat of the network, a restart, or the weather.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from statistics import NormalDist

from nodes.wire import Record
from testbed.twin.attribution import FLOOD, IMPOSTOR, Event, Size, gaussian_size
from testbed.twin.belief import Belief
from testbed.twin.detect import Alarm, Cusum, Whitener
from testbed.twin.events import Events
from testbed.twin.filters import ForgettingMean, Reservoir
from testbed.twin.observations import numbers
from testbed.twin.parts import State, Window
from testbed.twin.shares import ShareWatch

_NORMAL = NormalDist()

#: a flood below this, Mbit/s, or below this many times what the place offers otherwise, is no news
SMALLEST_FLOOD_MBPS, SMALLEST_FLOOD_TIMES = 0.1, 1.0
#: windows after which a place's load is known; values that are kept of it
_TRAINING, _KEPT = 40, 256
#: worth of a load far beyond all that were seen, in standard deviations; of any load
_FAR, _CLIP = 5.0, 4.0
#: windows of a flood before it is told; of the last windows, those that must be calm before it is over
_LEAST, _LAST, _CALM = 4, 8, 6
#: share of a suspicion with which a congestion is put down to it
_SUSPECT = 0.3

#: share of numbers seen before that is watched for, and that which a network may repeat
_RISEN, _REPEATS = 0.25, 0.02
#: how far a mean reading may be from the one before, and how much its scatter may rise, in its own usual ones
_STRANGE, _WIDER = 5.0, 3.0
#: reports whose readings must be strange, of those with repeats, before they are an impostor's
_STRANGE_REPORTS, _STRANGE_SHARE = 3, 0.5
_MOST_FLOWS = 512


class _Load:
    """What a place offers to the network, Mbit/s, window by window."""

    def __init__(self, threshold: float) -> None:
        self.past = Reservoir(_KEPT)
        self.usual = ForgettingMean(_KEPT)
        self.square = ForgettingMean(_KEPT)
        # Ranks have unit variance by construction; bursts last longer than a window.
        self.noise = Whitener(prior_sd=1.0, floor_sd=1.0, prior_weight=100.0, prior_phi=0.3)
        self.cusum = Cusum(threshold, clip=_CLIP)
        self.since: list[float] = []  # loads since a rise is suspected
        self.last: deque[bool] = deque(maxlen=_LAST)
        self.event: Event | None = None
        self.count, self.total, self.squares = 0, 0.0, 0.0

    def observe(self, mbps: float, begins_s: float) -> Alarm | None:
        """The load of a window; an alarm when it has risen for good."""
        if self.past.count < _TRAINING:
            self._learn(mbps)
            return None
        z = self._score(mbps)
        alarm = self.cusum.add(self.noise.innovation(z), begins_s)
        if self.cusum.level(1) == 0.0:
            self.since = []
        else:
            self.since.append(mbps)
        if self.cusum.level(1) < _SUSPECT:
            self.noise.learn(z)
            self._learn(mbps)
        else:
            self.noise.skip(z)
        if alarm is not None and alarm.sign < 0:
            self.cusum.reset()
            return None
        return alarm

    def _learn(self, mbps: float) -> None:
        self.past.add(mbps)
        self.usual.add(mbps)
        self.square.add(mbps * mbps)

    def _score(self, mbps: float) -> float:
        """The load's rank among the past ones as a standard normal value; `_FAR` when beyond all of them."""
        past = self.past.ordered()
        most, middle = float(past[-1]), float(past[len(past) // 2])
        if mbps > most + 0.5 * (most - middle) + SMALLEST_FLOOD_MBPS:
            return _FAR
        return _NORMAL.inv_cdf(self.past.rank(mbps))

    @property
    def variance(self) -> float:
        """Of a window's load without a flood."""
        return max(self.square.value - self.usual.value**2, 0.0)

    def start_flood(self) -> None:
        """What was suspected is one: its loads count from the onset."""
        self.count, self.total = len(self.since), sum(self.since)
        self.squares = sum(load * load for load in self.since)
        self.since = []
        self.last.clear()
        self.cusum.reset()

    def follow(self, mbps: float) -> bool:
        """A window's load while a flood lasts; whether it is over."""
        size = self.size().mean
        calm = mbps < self.usual.value + 0.5 * size
        self.last.append(calm)
        if not calm:
            self.count, self.total, self.squares = (
                self.count + 1, self.total + mbps, self.squares + mbps * mbps,
            )  # fmt: skip
        return sum(self.last) >= _CALM

    def size(self) -> Size:
        """By how much the load has risen, Mbit/s: mean since the onset beyond the usual one."""
        loads, count = (self.since, len(self.since)) if self.count == 0 else (None, self.count)
        total = sum(loads) if loads is not None else self.total
        squares = sum(load * load for load in loads) if loads is not None else self.squares
        if count == 0:
            return gaussian_size(0.0, math.inf)
        mean = total / count
        variance = max(squares / count - mean * mean, self.variance, 1e-12)
        # correlated windows are worth fewer
        worth = (1.0 - self.noise.phi) / (1.0 + self.noise.phi)
        before = min(self.usual.count, _KEPT)
        sd = math.sqrt((variance / count + self.variance / before) / worth)
        return gaussian_size(mean - self.usual.value, sd)

    def forget_rise(self) -> None:
        """It was no flood: what came is learned."""
        for load in self.since:
            self._learn(load)
        self.since = []
        self.count = 0
        self.cusum.reset()


class Floods:
    """Places that offer far more than they did. Asked by others whether a congestion is a flood's."""

    measurements: frozenset[str] = frozenset()

    def __init__(self, events: Events, threshold: float) -> None:
        self._events = events
        self._threshold = threshold
        self._loads: dict[str, _Load] = {}
        self._reporting: dict[str, int] = {}
        self._offered: dict[str, ForgettingMean] = {}  # by link, Mbit/s
        events.explained_by.append(self)

    def states(self) -> Iterator[State]:
        for place, load in self._loads.items():
            if load.past.count:
                yield State(place, "offered_mbps", load.usual.value, load.variance)

    def tell(self, belief: Belief) -> None:
        """Nothing: traffic is no parameter of the network."""

    def explains(self, kind: str, target: str) -> bool:
        """Whether a congestion of `target` is that of a flood, known or suspected."""
        ends = target.split(">")
        return kind == "congestion" and any(
            (load.event is not None and target in load.event.links)
            or (place == ends[0] and (load.event is not None or load.cusum.level(1) > _SUSPECT))
            for place, load in self._loads.items()
        )

    def close(self, window: Window, records: list[Record]) -> list[Record]:
        if window.quiet or not window.reports:
            return []
        offered, net = self._net(window)
        out: list[Record] = []
        for place, mbps in net.items():
            load = self._loads.get(place)
            if load is None:
                load = self._loads[place] = _Load(self._threshold)
            if load.event is not None:
                out += self._follow(place, load, mbps, window)
                continue
            alarm = load.observe(mbps, window.begins_s)
            if alarm is not None:
                out += self._judge(place, load, alarm, offered, window)
        if not out:
            for name, mbps in offered.items():
                if name.split(">")[0] not in net or self._calm(name.split(">")[0]):
                    self._offered.setdefault(name, ForgettingMean(_KEPT)).add(mbps)
            for name in [name for name in self._offered if name not in window.links]:
                del self._offered[name]
        return out

    def _calm(self, place: str) -> bool:
        load = self._loads[place]
        return load.event is None and load.cusum.level(1) < _SUSPECT

    def _net(self, window: Window) -> tuple[dict[str, float], dict[str, float]]:
        """Mbit/s offered to each link, and by each place beyond what came to it; of places of which all
        links report."""
        offered: dict[str, float] = {}
        net: dict[str, float] = {}
        for name, report in window.reports.items():
            source, _, sink = name.partition(">")
            number = numbers(report)
            scale = 8e-6 / (number.get("window_s", window.window_s) or window.window_s)
            offered[name] = number.get("bytes_in", 0.0) * scale
            net[source] = net.get(source, 0.0) + offered[name]
            net[sink] = net.get(sink, 0.0) - number.get("bytes_out", 0.0) * scale
            self._reporting[name] = window.number
        for name in [name for name in self._reporting if name not in window.links]:
            del self._reporting[name]
        for name, seen in self._reporting.items():
            if seen != window.number:
                for end in name.split(">"):
                    net.pop(end, None)
        return offered, net

    def _judge(
        self, place: str, load: _Load, alarm: Alarm, offered: dict[str, float], window: Window
    ) -> list[Record]:
        size = load.size()
        least = max(SMALLEST_FLOOD_MBPS, SMALLEST_FLOOD_TIMES * abs(load.usual.value))
        if len(load.since) < _LEAST:
            return []
        if size.low95 < least:
            load.forget_rise()
            return []
        own = {name: mbps for name, mbps in offered.items() if name.startswith(f"{place}>")}
        rises = {
            name: mbps - (self._offered[name].value if name in self._offered else 0.0)
            for name, mbps in own.items()
        }
        links = sorted(name for name, rise in rises.items() if rise > 0.3 * size.mean)
        load.start_flood()
        size = load.size()
        load.event = Event(
            FLOOD, place, place, alarm.onset_s, window.now_s, size.mean, size.sd, "Mbit/s",
            alarm.statistic, alarm.threshold, links or sorted(rises, key=lambda n: -rises[n])[:1],
        )  # fmt: skip
        self._events.active.append(load.event)
        return [load.event.record("detection", window.now_ns)]

    def _follow(self, place: str, load: _Load, mbps: float, window: Window) -> list[Record]:
        event = load.event
        assert event is not None
        over = load.follow(mbps)
        event.resize(load.size())
        if not over:
            return []
        load.event, load.count = None, 0
        load.cusum.reset()
        self._events.active.remove(event)
        event.settle()
        ended_s = window.begins_s - (len(load.last) - 1) * window.window_s
        return [event.record("recovery", window.now_ns, ended_s=ended_s, recovered_s=window.now_s)]


class _Identity:
    """What a receiver tells of one flow's numbers and readings."""

    def __init__(self, limit: float) -> None:
        self.repeats = ShareWatch(limit, _RISEN)
        self.share = ForgettingMean(200, 0.5 * _REPEATS)
        self.mean: float | None = None
        self.step = ForgettingMean(60)  # absolute change of the mean reading from report to report
        self.scatter = ForgettingMean(60)
        self.strange = self.reports = 0
        self.event: Event | None = None

    def is_strange(self, mean: float, sd: float) -> bool:
        """Whether readings do not continue those before."""
        if self.mean is None or self.scatter.count < _LEAST:
            return False
        usual = max(self.step.value, self.scatter.value, 1e-9)
        return abs(mean - self.mean) > _STRANGE * usual or sd > _WIDER * max(self.scatter.value, 1e-9)

    def learn(self, mean: float, sd: float) -> None:
        """Readings that are the source's own."""
        if self.mean is not None:
            self.step.add(abs(mean - self.mean))
        self.scatter.add(sd)
        self.mean = mean


class Impostors:
    """Identities that two sources use. `hosts`: the place each node stands at."""

    measurements = frozenset({"flow"})

    def __init__(self, hosts: Mapping[str, str], events: Events, threshold: float) -> None:
        self._hosts = dict(hosts)
        self._events = events
        # The CUSUM's sum has half a log likelihood ratio a unit: z - 1 for a shift of two sigma.
        self._limit = 2.0 * threshold
        self._flows: dict[tuple[str, str, str], _Identity] = {}

    def states(self) -> Iterator[State]:
        for (node, source, flow), one in self._flows.items():
            size = one.repeats.size()
            if one.event is not None:
                yield State(f"{source}>{node}/{flow}", "foreign_share", size.mean, size.sd**2)

    def tell(self, belief: Belief) -> None:
        """Nothing: who sends is no parameter of the network."""

    def close(self, window: Window, records: list[Record]) -> list[Record]:
        out: list[Record] = []
        for record in records:
            number, tags = numbers(record), record.tags
            if "repeated" not in number or not number.get("packets"):
                continue
            key = (tags.get("node", ""), tags.get("source", ""), tags.get("flow", ""))
            one = self._flows.get(key)
            if one is None:
                if len(self._flows) >= _MOST_FLOWS:
                    continue
                one = self._flows[key] = _Identity(self._limit)
            out += self._take(key, one, number, window)
        return out

    def _take(
        self, key: tuple[str, str, str], one: _Identity, number: dict[str, float], window: Window
    ) -> list[Record]:
        repeated, packets = number["repeated"], number["packets"]
        mean, sd = number.get("value_mean", math.nan), number.get("value_sd", 0.0)
        strange = repeated > 0.0 and math.isfinite(mean) and one.is_strange(mean, sd)
        one.reports += repeated > 0.0
        one.strange += strange
        if math.isfinite(mean) and not strange:
            one.learn(mean, sd)
        usual = max(one.share.value, _REPEATS)
        alarm = one.repeats.add(min(repeated, packets), packets, usual, window.begins_s)
        if one.event is not None:
            one.event.resize(one.repeats.size())
            return self._over(one, window)
        if one.repeats.level == 0.0:
            one.strange = one.reports = 0
            one.share.add(repeated / packets)
        if alarm is None:
            return []
        if one.reports < _STRANGE_REPORTS:
            return []
        if one.strange < max(_STRANGE_SHARE * one.reports, _STRANGE_REPORTS):
            # Repeats alone: the network's doing, and usual from now on.
            one.share.value = max(one.share.value, min(one.repeats.size().mean, 1.0))
            one.repeats.start_over()
            one.strange = one.reports = 0
            return []
        node, source, _ = key
        size = one.repeats.size()
        event = Event(
            IMPOSTOR, source, self._hosts.get(source, source), alarm.onset_s, window.now_s, size.mean,
            size.sd, "share", alarm.statistic, alarm.threshold, [f"{source}>{node}"],
        )  # fmt: skip
        event.resize(size)
        one.repeats.adopt()
        one.event = event
        self._events.active.append(event)
        return [event.record("detection", window.now_ns)]

    def _over(self, one: _Identity, window: Window) -> list[Record]:
        event = one.event
        assert event is not None
        if not one.repeats.over:
            return []
        one.repeats.start_over()
        one.event, one.strange, one.reports = None, 0, 0
        self._events.active.remove(event)
        event.settle()
        return [event.record("recovery", window.now_ns, recovered_s=window.now_s)]
