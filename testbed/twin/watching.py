"""The watches over all links that exist: who is watched, what is explained already, what becomes an event.

The statistics of one watch are in `watch`, the events in `events`; here they meet the reports of a window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from nodes.wire import Record
from testbed.twin.attribution import LINK_DOWN
from testbed.twin.events import Events
from testbed.twin.nominal import NominalLink
from testbed.twin.observations import numbers
from testbed.twin.watch import FloorWatch, LossWatch, MissingRate, SilenceWatch

#: above this share of a window in use, a link's floor of delay says nothing about the link
_BUSY = 0.5
#: a floor may rise by the time of so many bits when the smallest packets happen to stay away
_PACKET_BITS = 2_000.0
#: a floor learned at a rate is usual for rates within this factor
_SAME_RATE = 1.33


class _Watches:
    """The watches over one link while it exists."""

    def __init__(self, threshold: float, log_odds: float) -> None:
        self.silence = SilenceWatch()
        self.floor = FloorWatch(threshold)
        self.loss = LossWatch(log_odds)
        #: rate at which the floor was learned
        self.rate_bps = 0.0


class LinkWatching:
    """All links' watches. `chance` is the probability of a false alarm per channel and window."""

    def __init__(self, events: Events, threshold: float, chance: float, window_s: float) -> None:
        self._events = events
        self._threshold, self._chance, self._window_s = threshold, chance, window_s
        self._links: dict[str, _Watches] = {}
        self._missing = MissingRate()
        #: whether a packet sent after a run time (s) is known to have crossed a link that does not report
        self.passes: Callable[[str, float], bool] | None = None

    def begin(self, link: str) -> None:
        """A link exists from now on; what was known about an earlier one of that name is forgotten."""
        self._links[link] = _Watches(self._threshold, -math.log(self._chance))

    def end(self, link: str) -> None:
        """The link is gone by plan."""
        self._links.pop(link, None)
        self._events.forget_link(link)

    def loss(
        self, link: str, lost: float, sent: float, predicted: float, explained: bool, begins_s: float,
        now_ns: int, now_s: float,
    ) -> list[Record]:  # fmt: skip
        """Packets lost of those sent in a window; `explained`: by a fade, so they are no news."""
        watch = self._links[link].loss
        if explained:
            if not watch.changed:
                watch.start_over()
            return []
        alarm = watch.observe(lost, sent, predicted, begins_s)
        return self._events.unknown(link, watch, alarm, "loss", now_ns, now_s)

    def floor(
        self, link: NominalLink, floor_ms: float, busy_s: float, explained: bool, begins_s: float,
        now_ns: int, now_s: float,
    ) -> tuple[list[Record], float]:  # fmt: skip
        """The least delay of a window; also how far it rose, ms, if that has just been noticed."""
        watches = self._links[link.id]
        watch = watches.floor
        change = link.rate_bps / (watches.rate_bps or 1.0)
        if not watch.changed and not 1.0 / _SAME_RATE < change < _SAME_RATE:
            # The least packet takes another time now: what was usual has to be learned anew.
            watches.rate_bps = link.rate_bps
            watch.start_over()
        if explained or busy_s > _BUSY * self._window_s:
            watch.pause()
            return [], 0.0
        packet_ms = _PACKET_BITS / link.rate_bps * 1e3
        alarm = watch.observe(floor_ms - link.delay_ms, begins_s, packet_ms)
        rise_ms = watch.size()[0] if alarm is not None else 0.0
        return self._events.unknown(link.id, watch, alarm, "ms", now_ns, now_s), rise_ms

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
            number = numbers(report)
            watch.reported(
                begins_s, number.get("packets_out", 0.0), number.get("dropped_down", 0.0),
                math.isfinite(number.get("snr_db", math.nan)),
            )  # fmt: skip
        self._missing.add(missing, known)
        needed = self._missing.windows_until(self._chance)
        watches = {name: watches.silence for name, watches in self._links.items()}
        return self._events.silence(watches, needed, now_ns, now_s)
