"""What a receiver can say about the packets of each flow: counts, gaps, repeats, delays, age, values.

A flow is what one source sends to this node under one name ("data", "task", "publish:rain"). Gaps are
counted in the sequence the source numbers this flow's messages with (`Header.tag`), never in
`Header.number`, which counts everything the source sends, to whomever. Clock-free, no I/O.
"""

from __future__ import annotations

import math
from typing import Final

from nodes.wire import Record

#: raw delays kept per flow and window
SAMPLES_MAX: Final = 50
#: flows followed at a time; packets of further ones are counted in `Flows.unfollowed`
FLOWS_MAX: Final = 1_024
#: how far a packet may be behind the newest and still be told from one of a source that began anew
_BEHIND_MAX: Final = 1_024
#: the first packet of a flow may come this late before it means that the source began anew
_REORDER_MAX: Final = 32


class _Gaps:
    """How many numbers of a sequence are missing, in spite of repeats, late arrivals and restarts.

    `repeated` counts the numbers that had come before.
    """

    __slots__ = ("_first", "_highest", "_recent", "_reported", "_seen", "repeated")

    def __init__(self, number: int) -> None:
        self._first = self._highest = number
        self._recent = {number}
        self._seen = 1
        self._reported = 0
        self.repeated = 0

    def began_anew(self, number: int) -> bool:
        """So far behind that the source must have started again."""
        return number < self._highest - _BEHIND_MAX or (number == 1 and self._highest > _REORDER_MAX)

    def take(self, number: int) -> None:
        if number in self._recent:
            self.repeated += 1
            return
        if number < self._first:
            return
        self._recent.add(number)
        self._seen += 1
        self._highest = max(self._highest, number)
        if len(self._recent) > 2 * _BEHIND_MAX:
            self._recent = {n for n in self._recent if n >= self._highest - _BEHIND_MAX}

    @property
    def _missing(self) -> int:
        return self._highest - self._first + 1 - self._seen

    def report(self) -> int:
        """Missing since the last report; one that arrives late after all is set off against later ones."""
        new = self._missing - self._reported
        if new <= 0:
            return 0
        self._reported += new
        return new


class _Flow:
    __slots__ = (
        "bytes", "delay_count", "delay_sum_ms", "delays", "gaps", "newest_ns", "packets",
        "repeated", "value_count", "value_mean", "value_squares",
    )  # fmt: skip

    def __init__(self) -> None:
        self.gaps: _Gaps | None = None
        self.newest_ns: int | None = None
        self.clear()

    def clear(self) -> None:
        self.packets = self.bytes = self.delay_count = self.repeated = self.value_count = 0
        self.delay_sum_ms = self.value_mean = self.value_squares = 0.0
        self.delays: list[float] = []


class Flows:
    """The flows that end at one node."""

    def __init__(self) -> None:
        self.unfollowed = 0
        self._flows: dict[tuple[str, str], _Flow] = {}

    def observe(
        self, source: str, name: str, size: int, now_ns: int, sent_ns: int | None, sequence: int | None
    ) -> None:
        """Take in a packet of `size` bytes.

        `sent_ns` is the sender's stamp on the receiver's own clock (None: another clock, no delay is
        computed); `sequence` its number in the flow (None: the flow repeats packets, gaps say nothing).
        """
        flow = self._flows.get((source, name))
        if flow is None:
            if len(self._flows) >= FLOWS_MAX:
                self.unfollowed += 1
                return
            flow = self._flows[source, name] = _Flow()
        flow.packets += 1
        flow.bytes += size
        if sequence is not None:
            if flow.gaps is None or flow.gaps.began_anew(sequence):
                flow.gaps = _Gaps(sequence)
            else:
                before = flow.gaps.repeated
                flow.gaps.take(sequence)
                flow.repeated += flow.gaps.repeated - before
        if sent_ns is not None:
            delay_ms = (now_ns - sent_ns) / 1e6
            flow.delay_sum_ms += delay_ms
            flow.delay_count += 1
            if len(flow.delays) < SAMPLES_MAX:
                flow.delays.append(delay_ms)
            if flow.newest_ns is None or sent_ns > flow.newest_ns:
                flow.newest_ns = sent_ns

    def observe_value(self, source: str, name: str, value: float) -> None:
        """Take in what a packet of a flow said, where the receiver can read it; only of flows followed."""
        flow = self._flows.get((source, name))
        if flow is None:
            return
        # Welford's running mean and sum of squared differences from it
        flow.value_count += 1
        step = value - flow.value_mean
        flow.value_mean += step / flow.value_count
        flow.value_squares += step * (value - flow.value_mean)

    def report(self, node: str, t_ns: int, own_ns: int | None = None) -> list[Record]:
        """A `flow` record of every flow ever seen, for the window since the last report.

        `t_ns`: the run's time; `own_ns`: the same moment on the clock that the flows were observed on.
        """
        own_ns = t_ns if own_ns is None else own_ns
        records = []
        for (source, name), flow in self._flows.items():
            fields: dict[str, bool | int | float | str] = {"packets": flow.packets, "bytes": flow.bytes}
            if flow.gaps is not None:
                fields["lost"] = flow.gaps.report()
                fields["repeated"] = flow.repeated
            if flow.delay_count:
                fields["delay_mean_ms"] = flow.delay_sum_ms / flow.delay_count
            if flow.newest_ns is not None:
                fields["age_s"] = (own_ns - flow.newest_ns) / 1e9
            if flow.value_count:
                fields["value_mean"] = flow.value_mean
            if flow.value_count > 1:
                fields["value_sd"] = math.sqrt(flow.value_squares / (flow.value_count - 1))
            tags = {"node": node, "source": source, "flow": name}
            records.append(Record(t_ns, "flow", tags, fields, flow.delays))
            flow.clear()
        return records
