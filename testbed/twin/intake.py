"""Observations on their way into the belief: each once, in order of time, and none too late.

Telemetry crosses a network and comes late, twice, out of order, or not at all. What a window's observations
do to the belief must not depend on that, so they are held here unread until the window is closed, and then
given out in an order of their own. What comes after that, or a second time, is counted and left out. What
they say is not looked at here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Final

import msgspec

from nodes.wire import Record
from testbed.twin.observations import window_index

#: records of nodes come in batches: so many windows after their own they are still taken
LATEST_WINDOWS: Final = 12
#: stamps further ahead than this come from a clock that is wrong
EARLIEST_WINDOWS: Final = 600

_encode = msgspec.msgpack.Encoder().encode


class Intake:
    """Records held until their window is closed. `counters` says what was left out:

    `late`: link reports of a closed window; `too_late`: other records more than `LATEST_WINDOWS` older
    than that; `too_early`: stamps that cannot be; `duplicated`; and, though they are used, `out_of_order`.
    """

    def __init__(self, window_ns: int, counters: Counter[str]) -> None:
        self._window_ns = window_ns
        self._start_ns = 0
        self._counters = counters
        self._closed = -1
        self._links: dict[int, dict[str, Record]] = {}
        self._others: list[tuple[int, bytes, Record]] = []
        self._known: dict[int, set[bytes]] = {}  # digests of other records by window
        self._newest: dict[tuple[str, str], int] = {}

    def begin(self, start_ns: int) -> None:
        """The run starts at `start_ns` on the host's monotonic clock."""
        self._start_ns = start_ns

    def take(self, record: Record) -> None:
        """Holds a record, or leaves it out and counts it."""
        if record.measurement == "link":
            self._take_link(record)
            return
        window = (record.t_ns - self._start_ns) // self._window_ns
        if window <= self._closed - LATEST_WINDOWS:
            self._counters["too_late"] += 1
            return
        if window > self._closed + EARLIEST_WINDOWS:
            self._counters["too_early"] += 1
            return
        digest = _digest(record)
        known = self._known.setdefault(window, set())
        if digest in known:
            self._counters["duplicated"] += 1
            return
        known.add(digest)
        self._note_order(record, record.tags.get("node", ""))
        self._others.append((record.t_ns, digest, record))

    def _take_link(self, record: Record) -> None:
        window = window_index(record.t_ns, self._start_ns, self._window_ns)
        link = record.tags.get("link", "")
        if window <= self._closed:
            self._counters["late"] += 1
            return
        if window > self._closed + EARLIEST_WINDOWS:
            self._counters["too_early"] += 1
            return
        held = self._links.setdefault(window, {})
        other = held.get(link)
        if other is not None:
            # Of two reports on one window one counts, whichever came first.
            self._counters["duplicated"] += 1
            held[link] = max(record, other, key=lambda one: (one.t_ns, _digest(one)))
            return
        held[link] = record
        self._note_order(record, link)

    def _note_order(self, record: Record, source: str) -> None:
        key = (record.measurement, source)
        if record.t_ns < self._newest.get(key, record.t_ns):
            self._counters["out_of_order"] += 1
        else:
            self._newest[key] = record.t_ns

    def holds(self, window: int) -> int:
        """Number of link reports held for a window."""
        return len(self._links.get(window, {}))

    def close(self, window: int) -> tuple[dict[str, Record], list[Record]]:
        """Closes a window: what is held for it, reports by link, and other records that are due."""
        reports = self._links.pop(window, {})
        ends_ns = self._start_ns + (window + 1) * self._window_ns
        due = sorted((one for one in self._others if one[0] <= ends_ns), key=lambda one: one[:2])
        self._others = [one for one in self._others if one[0] > ends_ns]
        self.skip(window + 1)
        return dict(sorted(reports.items())), [record for _, _, record in due]

    def skip(self, until: int) -> None:
        """Windows before `until` are over: nothing about their links is taken any more."""
        self._closed = max(self._closed, until - 1)
        for old in [window for window in self._links if window < until]:
            del self._links[old]
        for old in [window for window in self._known if window <= self._closed - LATEST_WINDOWS]:
            del self._known[old]


def _digest(record: Record) -> bytes:
    """Eight bytes that differ between records that differ in anything."""
    return hashlib.blake2b(_encode(record), digest_size=8).digest()
