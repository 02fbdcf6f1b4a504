"""Reports that do not reach the twin: of a place's links or of a node, told apart from what went silent.

A report that is missing says nothing about the link while packets that need the link still arrive: flows are
reported by the nodes where they end. It says nothing about a node either while most nodes are silent at
once: then it is the way to the twin that holds reports up, or the twin itself. What is late, repeated or out
of order is dealt with in `intake`.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping

from nodes.wire import Record
from testbed.twin.attribution import LINK_DOWN, LOST_TELEMETRY, Event
from testbed.twin.belief import Belief
from testbed.twin.detect import Alarm
from testbed.twin.events import Events
from testbed.twin.observations import numbers
from testbed.twin.parts import State, Window
from testbed.twin.shares import ShareWatch

#: share of reports lost that is watched for, and that which is usual at most before it was counted
_RISEN, _USUAL = 0.3, 0.02
#: a link is expected to report when it has done so this often
_KNOWN_AFTER = 6
#: windows without a report that are believed to be lost ones when the link reports again
_SHORT_GAP = 4
#: a node's reports are waited for so many of their periods, and known after so many
_PATIENCE, _PERIODS = 1.5, 5
#: a node is fresh while its last report is no older than so many periods; that another is silent counts
#: only while more than this share of the others is fresh
_FRESH, _MOST = 1.2, 0.5
#: flows that are followed, and links that are asked about in a window
_MOST_FLOWS, _MOST_LINKS = 256, 32


class _Node:
    """When a node reports."""

    def __init__(self) -> None:
        self.intervals_s: deque[float] = deque(maxlen=9)
        self.last_s = math.nan
        self.due_s = math.inf
        self.overdue = 0  # reports that did not come since the last one, as far as they were overdue

    @property
    def known(self) -> bool:
        """Whether it has reported often enough to be waited for."""
        return len(self.intervals_s) >= _PERIODS

    @property
    def period_s(self) -> float:
        return sorted(self.intervals_s)[len(self.intervals_s) // 2]


class _Gap:
    """Windows in a row in which a link did not report, as far as they are not counted yet."""

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.windows = 0


class Telemetry:
    """Shares of reports lost, by place and by node. `hosts`: the place each node stands at.

    Of the places whose links fail to report, the one is named that misses the largest share.
    """

    measurements = frozenset({"flow", "node"})

    def __init__(self, hosts: Mapping[str, str], events: Events, threshold: float) -> None:
        self._hosts = dict(hosts)
        self._events = events
        # The CUSUM's sum has half a log likelihood ratio a unit: z - 1 for a shift of two sigma.
        self._limit = 2.0 * threshold
        self._known: Counter[str] = Counter()
        self._watches: dict[str, ShareWatch] = {}  # by place, or node
        self._told: dict[str, Event] = {}
        self._missing, self._expected = 1.0, 1.0 / _USUAL
        self._nodes: dict[str, _Node] = {}
        #: (source place, place where it ends) -> when a packet that arrived was sent, s
        self._arrived: dict[tuple[str, str], float] = {}
        self._heard_s: dict[str, float] = {}  # node -> when a packet of it that arrived was sent, s
        self._ways: dict[str, set[str]] = {}
        self._gaps: dict[str, _Gap] = {}

    # --- what is believed ---------------------------------------------------------------------

    def states(self) -> Iterator[State]:
        for name, event in self._told.items():
            yield State(name, "telemetry_lost_share", event.size, event.size_sd**2)

    def tell(self, belief: Belief) -> None:
        """Nothing: what the twin does not hear is no parameter of the network."""

    def passes(self, link: str, since_s: float) -> bool:
        """Whether a packet that was sent after `since_s` arrived and must have crossed `link`."""
        source, _, sink = link.partition(">")
        if sink not in self._ways.get(source, ()):
            return False
        for (start, end), sent_s in self._arrived.items():
            if sent_s > since_s and self._leads(start, end, None) and not self._leads(start, end, link):
                return True
        return False

    def _leads(self, start: str, end: str, without: str | None) -> bool:
        """Whether the predicted links lead from a place to another, without one of them."""
        seen, front = {start}, [start]
        while front:
            at = front.pop()
            if at == end:
                return True
            for other in self._ways.get(at, ()):
                if other not in seen and f"{at}>{other}" != without:
                    seen.add(other)
                    front.append(other)
        return False

    # --- what is observed ---------------------------------------------------------------------

    def close(self, window: Window, records: list[Record]) -> list[Record]:
        self._ways = {}
        for link in window.links.values():
            self._ways.setdefault(link.source, set()).add(link.sink)
        returned: dict[str, tuple[int, float]] = {}
        for record in records:
            t_s = window.begins_s + (record.t_ns - window.t_ns) / 1e9
            if record.measurement == "flow":
                self._flow(record, t_s)
            else:
                self._node(record.tags.get("node", ""), t_s, returned)
        self._missed_until_now(returned)
        if window.quiet:
            return []
        alarms = self._late_nodes(window)
        if window.reports:
            alarms |= self._missing_links(window)
        return self._conclude(alarms, window) + self._over(window)

    def _flow(self, record: Record, t_s: float) -> None:
        number = numbers(record)
        source, node = record.tags.get("source", ""), record.tags.get("node", "")
        if not number.get("packets") or "age_s" not in number:
            return
        sent_s = t_s - number["age_s"]
        self._heard_s[source] = max(self._heard_s.get(source, -math.inf), sent_s)
        ends = self._hosts.get(source, ""), self._hosts.get(node, "")
        if all(ends) and (ends in self._arrived or len(self._arrived) < _MOST_FLOWS):
            self._arrived[ends] = max(self._arrived.get(ends, -math.inf), sent_s)

    def _node(self, name: str, t_s: float, returned: dict[str, tuple[int, float]]) -> None:
        """A node's report; `returned`: how many before it are missing that were not overdue yet, and when."""
        node = self._nodes.setdefault(name, _Node())
        if t_s > node.last_s or math.isnan(node.last_s):
            interval_s = t_s - node.last_s
            if node.known and interval_s > _PATIENCE * node.period_s:
                returned[name] = max(round(interval_s / node.period_s) - 1 - node.overdue, 0), t_s
            elif interval_s > 1e-3:
                node.intervals_s.append(interval_s)
            node.last_s, node.overdue = t_s, 0
        if node.known:
            self._count(name, 0, 1, t_s)
            node.due_s = node.last_s + _PATIENCE * node.period_s

    def _missed_until_now(self, returned: dict[str, tuple[int, float]]) -> None:
        """Reports that were missing before the ones of this window; not when most nodes miss some."""
        missing = [name for name, (missed, _) in returned.items() if missed]
        known = sum(1 for node in self._nodes.values() if node.known)
        if known > 1 and len(missing) > _MOST * known:
            return
        for name in missing:
            missed, t_s = returned[name]
            self._count(name, missed, missed, t_s)

    def _late_nodes(self, window: Window) -> dict[str, Alarm]:
        """Nodes whose report is overdue: by the end of the window, up to which reports have been handed over.

        The moment at which it is closed may be much later, when the twin was held up.
        """
        ends_s = window.begins_s + window.window_s
        late = {name: node for name, node in self._nodes.items() if node.due_s < ends_s}
        if not late:
            return {}
        known = [node for node in self._nodes.values() if node.known]
        fresh = sum(1 for node in known if ends_s - node.last_s <= _FRESH * node.period_s)
        alarms = {}
        for name, node in late.items():
            # of the others: whoever is late is not fresh
            tells = len(known) == 1 or fresh > _MOST * (len(known) - 1)
            while node.due_s < ends_s:
                begins_s = node.due_s - 0.5 * node.period_s
                node.due_s += node.period_s
                node.overdue += 1
                if not tells:
                    continue
                alarm = self._count(name, 1, 1, begins_s)
                heard = self._heard_s.get(name, -math.inf) > self._watches[name].onset_s
                if alarm is not None and heard:
                    alarms[name] = alarm
        return alarms

    def _missing_links(self, window: Window) -> dict[str, Alarm]:
        """Places whose links do not report, though the links are there.

        A missing report counts when it turns out that the link was: it reports again after a short gap, or a
        packet has crossed it meanwhile.
        """
        counts: dict[str, list[int]] = {}
        lost = known = asked = 0
        for name, link in window.links.items():
            gap = self._gaps.get(name)
            there, missed = name in window.reports, 0
            self._known[name] += there
            if self._known[name] < _KNOWN_AFTER:
                continue
            if self._events.find(LINK_DOWN, name) is not None:
                self._gaps.pop(name, None)
                continue
            if there:
                missed = gap.windows if gap is not None and gap.windows <= _SHORT_GAP else 0
                self._gaps.pop(name, None)
            else:
                gap = self._gaps.setdefault(name, _Gap(window.begins_s))
                gap.windows += 1
                asked += 1
                if asked <= _MOST_LINKS and self.passes(name, gap.since_s):
                    missed, gap.windows = gap.windows, 0
            ends = (link.source, link.sink)
            owners = [end for end in ends if end in self._told] or ends
            for end in owners:
                count = counts.setdefault(end, [0, 0])
                count[0] += missed
                count[1] += missed + there
            if owners is ends:
                lost += missed
                known += missed + there
        for name in [name for name in self._known if name not in window.links]:
            del self._known[name]
            self._gaps.pop(name, None)
        if not any(self._watches[place].level > 0.3 for place in counts if place in self._watches):
            self._missing = 0.998 * self._missing + lost
            self._expected = 0.998 * self._expected + known
        alarms = {}
        for place, (hits, trials) in counts.items():
            alarm = self._count(place, hits, trials, window.begins_s)
            if alarm is not None:
                alarms[place] = alarm
        return alarms

    def _count(self, name: str, lost: int, trials: int, begins_s: float) -> Alarm | None:
        watch = self._watches.setdefault(name, ShareWatch(self._limit, _RISEN))
        usual = max(self._missing / self._expected, 1e-3)
        return watch.add(lost, trials, usual, begins_s)

    # --- what is said -------------------------------------------------------------------------

    def _conclude(self, alarms: dict[str, Alarm], window: Window) -> list[Record]:
        """Of the places and nodes that miss reports, those that have them missed by themselves."""
        out: list[Record] = []
        left = set(alarms)
        while left:
            # at a tie the end that fewer links have: a satellite misses what its only terminal does
            name = max(left, key=lambda n: (self._watches[n].size().mean, -self._watches[n].trials, n))
            watch, place = self._watches[name], self._hosts.get(name, name)
            size = watch.size()
            links = sorted(link for link in self._gaps if name in link.split(">"))
            event = Event(
                LOST_TELEMETRY, name, place, watch.onset_s, window.now_s, size.mean, size.sd, "share",
                alarms[name].statistic, alarms[name].threshold, links, low95=size.low95, high95=size.high95,
            )  # fmt: skip
            event.resize(size)
            watch.adopt()
            self._told[name] = event
            self._events.active.append(event)
            out.append(event.record("detection", window.now_ns))
            left.discard(name)
            for other in self._neighbours(name):
                if other not in self._told:
                    self._watches[other].start_over()
                    left.discard(other)
        return out

    def _neighbours(self, name: str) -> Iterable[str]:
        """Places at the other ends of a place's links."""
        ends = set(self._ways.get(name, ()))
        ends |= {source for source, sinks in self._ways.items() if name in sinks}
        return [end for end in sorted(ends) if end in self._watches]

    def _over(self, window: Window) -> list[Record]:
        out = []
        for name, event in list(self._told.items()):
            watch = self._watches[name]
            event.resize(watch.size())
            if not watch.over:
                continue
            watch.start_over()
            del self._told[name]
            self._events.active.remove(event)
            event.settle()
            out.append(event.record("recovery", window.now_ns, recovered_s=window.now_s))
        return out
