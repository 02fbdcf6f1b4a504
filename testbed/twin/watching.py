"""The watches over all links that exist: who is watched, what is explained already, what becomes an event.

The statistics of one watch are in modules of their own (`watch`, `floors`, `losses`, `capacity`), the events
in `events`; here they meet the reports of a window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from nodes.wire import Record
from testbed.twin.attribution import CONGESTION, LINK_DOWN, UNKNOWN
from testbed.twin.capacity import LoadWatch, RateWatch
from testbed.twin.events import Events
from testbed.twin.floors import FloorWatch
from testbed.twin.losses import LossWatch
from testbed.twin.nominal import NominalLink
from testbed.twin.watch import MissingRate, SilenceWatch

#: above this share of a window in use, a link's floor of delay says nothing about the link
_BUSY = 0.5
#: a floor may rise by the time of so many bits when the smallest packets happen to stay away
_PACKET_BITS = 2_000.0
#: doubt about the nominal delay's changes with range and rate, ms
_FLOOR_DOUBT_MS = 0.01
#: links that are gone of which is kept what was usual
_ENDED = 64


class _Watches:
    """The watches over one link while it exists."""

    def __init__(self, log_odds: float) -> None:
        self.silence = SilenceWatch()
        self.floor = FloorWatch(log_odds, _FLOOR_DOUBT_MS)
        self.loss = LossWatch(log_odds)
        self.rate = RateWatch()
        self.load = LoadWatch()
        #: mean size of the packets in the last window, and in the one where it was least, bits
        self.mean_bits = self.smallest_bits = _PACKET_BITS
        #: rate the floor is compared at, and what that moved it by, ms
        self.rate_bps = 0.0
        self.moved_ms = 0.0


class LinkWatching:
    """All links' watches. `chance` is the probability of a false alarm per channel and window."""

    def __init__(self, events: Events, chance: float, window_s: float) -> None:
        self._events = events
        self._chance, self._window_s = chance, window_s
        self._links: dict[str, _Watches] = {}
        #: of links that are gone, the last ones
        self._ended: dict[str, _Watches] = {}
        self._missing = MissingRate()
        #: whether a packet sent after a run time (s) is known to have crossed a link that does not report
        self.passes: Callable[[str, float], bool] | None = None

    def begin(self, link: str, alike: str | None = None) -> None:
        """A link exists from now on; what was known about an earlier one of that name is forgotten.

        `alike`: a link of the same design, from which is taken what is usual.
        """
        self._links[link] = made = _Watches(-math.log(self._chance))
        known = self._links.get(alike or "") or self._ended.get(alike or "")
        if known is not None and alike != link:
            made.floor.inherit(known.floor)
            made.loss.inherit(known.loss)
            made.rate.inherit(known.rate)
            made.smallest_bits, made.rate_bps = known.smallest_bits, known.rate_bps
            made.moved_ms = known.moved_ms

    def end(self, link: str) -> None:
        """The link is gone by plan."""
        ended = self._links.pop(link, None)
        if ended is not None:
            self._ended[link] = ended
            while len(self._ended) > _ENDED:
                del self._ended[next(iter(self._ended))]
        self._events.forget_link(link)

    def rate(self, link: str) -> RateWatch:
        """What is known of the rate that a link serves."""
        return self._links[link].rate

    def losses(self, link: str) -> LossWatch:
        """What is known of a link's losses."""
        return self._links[link].loss

    def gap(self) -> None:
        """Windows are missing for all links."""
        for watches in self._links.values():
            watches.rate.gap()
            watches.floor.pause()

    def capacity(
        self, link: NominalLink, number: Mapping[str, float], others: Sequence[float], explained: bool,
        begins_s: float, now_ns: int, now_s: float,
    ) -> list[Record]:  # fmt: skip
        """Served rate and load in a window.

        `link`: with the rate of the believed ModCod; `others`: rates over it of ModCods that it may be
        instead; `explained`: by a fade, so they are no news.
        """
        watches = self._links[link.id]
        rate, load = watches.rate, watches.load
        if explained:
            rate.gap()
            if not load.changed:
                load.clear()
            return []
        packets, lost = number.get("packets_out", 0.0), number.get("lost", 0.0)
        bits = 8.0 * number.get("bytes_out", 0.0)
        if packets:
            watches.mean_bits = bits / packets
            watches.smallest_bits = min(watches.smallest_bits * 1.001, watches.mean_bits)
            bits *= 1.0 + lost / packets  # what was lost had been sent
        busy_s = number.get("busy_s", 0.0)
        flight_s = (link.delay_ms + 5.0 * link.jitter_ms) / 1e3
        alarm = rate.observe(bits, busy_s, link.rate_bps, flight_s, others, begins_s)
        if alarm is not None:
            rate.adopt(alarm.onset_s)
        out = self._events.link(CONGESTION, "factor", link.id, rate, alarm, now_ns, now_s)
        capable = link.rate_bps * rate.factor * self._window_s
        offered = 8.0 * number.get("bytes_in", 0.0) / capable
        alarm = load.observe(
            offered, busy_s / self._window_s, number.get("queue_packets", 0.0),
            number.get("dropped_queue", 0.0), begins_s,
        )  # fmt: skip
        if alarm is not None:
            load.adopt()
            if rate.suspected or self._claimed(link.id):
                alarm = None
        return out + self._events.link(CONGESTION, "load", link.id, load, alarm, now_ns, now_s)

    def _claimed(self, link: str) -> bool:
        """Whether somebody else knows why a link carries more than it can."""
        return any(one.explains(CONGESTION, link) for one in self._events.explained_by)

    def loss(
        self, link: str, lost: float, sent: float, nominal: float, explained: bool, begins_s: float,
        now_ns: int, now_s: float,
    ) -> tuple[list[Record], bool]:  # fmt: skip
        """Packets lost of those sent in a window, `nominal` of which are by what is published; `explained`:
        by a fade, so they are no news. Also whether more of them have just been noticed, or to be over.
        """
        watch = self._links[link].loss
        if explained:
            if not watch.changed:
                watch.clear()
            return [], False
        before = watch.changed
        alarm = watch.observe(lost, sent, nominal, begins_s)
        if alarm is not None:
            watch.adopt()
        records = self._events.link(UNKNOWN, "loss", link, watch, alarm, now_ns, now_s)
        return records, watch.changed != before

    def floor(
        self, link: NominalLink, floor_ms: float, busy_s: float, explained: bool, begins_s: float,
        now_ns: int, now_s: float,
    ) -> tuple[list[Record], float]:  # fmt: skip
        """The least delay of a window; also by how much it has just been noticed to have moved, ms.

        `link`: with the rate it is believed to serve.
        """
        watches = self._links[link.id]
        watch = watches.floor
        if link.rate_bps != watches.rate_bps:
            if watches.rate_bps:
                # The least packet takes another time now.
                slower_s = 1.0 / link.rate_bps - 1.0 / watches.rate_bps
                watches.moved_ms += watches.smallest_bits * slower_s * 1e3
            watches.rate_bps = link.rate_bps
        busy = busy_s > _BUSY * self._window_s
        if explained or busy or (watches.rate.suspected and not watches.rate.changed):
            if not watch.changed:
                watch.pause()
            return [], 0.0
        packet_ms = _PACKET_BITS / link.rate_bps * 1e3
        risen_ms = watch.risen_ms
        alarm = watch.observe(
            floor_ms - link.delay_ms - watches.moved_ms, begins_s, packet_ms, watches.mean_bits, link.rate_bps
        )
        if alarm is not None:
            watch.adopt()
        records = self._events.link(UNKNOWN, "ms", link.id, watch, alarm, now_ns, now_s)
        return records, watch.risen_ms - risen_ms

    def conclude(self, now_ns: int, now_s: float) -> list[Record]:
        """What the links of a window that raised alarms have in common."""
        return self._events.conclude(now_ns, now_s)

    def silence(
        self, expected: Iterable[str], reports: dict[str, Record], begins_s: float, now_ns: int, now_s: float
    ) -> list[Record]:
        """Which of the links expected in a window gave a sign of life, while others reported."""
        missing = known = 0
        for name in expected:
            if name not in self._links:
                continue
            watch, report = self._links[name].silence, reports.get(name)
            if not watch.down and self._events.find(LINK_DOWN, name) is None:
                known += watch.reports > 0
                missing += watch.reports > 0 and report is None
            if report is None:
                since_s = watch.onset_s if watch.down_windows else begins_s
                if self.passes is not None and self.passes(name, since_s):
                    watch.passed(begins_s)
                else:
                    watch.missing(begins_s)
                continue
            fields = report.fields
            watch.reported(
                begins_s, float(fields.get("packets_out", 0.0)), float(fields.get("dropped_down", 0.0)),
                math.isfinite(float(fields.get("snr_db", math.nan))),
            )  # fmt: skip
        self._missing.add(missing, known)
        needed = self._missing.windows_until(self._chance)
        watches = {name: watches.silence for name, watches in self._links.items()}
        return self._events.silence(watches, needed, now_ns, now_s)
