"""How closely the twin follows: ages of what it knows, and how many of the planned updates it got.

Age of information is now minus the generation time of the newest observation that entered the belief (Kaul,
Yates, Gruteser: Real-time status, 2012). Age of staleness is the time since a prediction was last seen to be
right within `BOUNDS`. Twin alignment ratio is achieved over planned updates. All of it is kept as sums and
histograms of fixed size. Ages are continuous in time: between two updates an age takes every value from the
one to the other, and has its share of the histogram for that.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np

from nodes.wire import Record, Value
from testbed.twin import age_kernels
from testbed.twin.filters import ForgettingMean

#: sources there is room for at first
_ROWS: Final = 16
_INTERVAL_S: Final = 1.0
#: measurements that nodes report at regular intervals, which are learned
_REGULAR: Final = frozenset({"flow", "node", "clock"})
#: of telemetry that did not come as it should
_COUNTERS: Final = (
    "late",
    "too_late",
    "too_early",
    "duplicated",
    "out_of_order",
    "refused",
    "windows_missed",
)


class Bound(NamedTuple):
    """A prediction is right when it errs by no more than the larger: in its unit, or as a share."""

    absolute: float
    relative: float

    def holds(self, predicted: float, observed: float) -> bool:
        return abs(predicted - observed) <= max(self.absolute, self.relative * abs(observed))


#: quantity -> error bound that staleness is counted against
BOUNDS: Final[dict[str, Bound]] = {
    "delay_ms": Bound(2.0, 0.1),
    "snr_db": Bound(1.0, 0.0),
    "loss": Bound(0.05, 0.0),
    "throughput_bps": Bound(20e3, 0.5),
    "service_rate_hz": Bound(0.0, 0.1),
    "flow_delay_ms": Bound(5.0, 0.2),
    "flow_loss": Bound(0.05, 0.0),
    "flow_throughput_bps": Bound(20e3, 0.5),
    "flow_age_s": Bound(0.5, 0.5),
}


class Ages:
    """Ages of many sources over time, pooled: each grows until an update sets it back. Times in s."""

    def __init__(self) -> None:
        #: time spent in each bin, as `age_kernels` counts it
        self._spent = np.zeros((2, age_kernels.BINS))
        #: source -> its row among the times
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        #: generation time of the newest update, and until when its age has been counted
        self._times = np.full((_ROWS, 2), math.inf)

    def __contains__(self, source: object) -> bool:
        return source in self._rows

    def sources(self) -> list[str]:
        """All that gave an update and still exist."""
        return list(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def update(self, source: str, generated_s: float, now_s: float) -> None:
        """Something generated at `generated_s` was taken in; an older one than the newest changes nothing."""
        row = self._rows.get(source)
        if row is not None:
            age_kernels.update(self._times, self._spent, row, generated_s, now_s)
            return
        row = self._rows[source] = self._free.pop() if self._free else len(self._rows)
        if row == len(self._times):
            self._times = np.concatenate((self._times, np.full_like(self._times, math.inf)))
        self._times[row] = generated_s, now_s

    def end(self, source: str, now_s: float) -> None:
        """The source exists no more: its age does not grow any longer."""
        row = self._rows.pop(source)
        age_kernels.update(self._times, self._spent, row, -math.inf, now_s)
        self._times[row] = math.inf  # counted for ever
        self._free.append(row)

    def flush(self, now_s: float) -> None:
        """Ages up to now are counted."""
        age_kernels.flush(self._times, self._spent, now_s)

    def age_s(self, source: str, now_s: float) -> float:
        """Present age of a source; infinite when nothing ever came from it."""
        row = self._rows.get(source)
        return math.inf if row is None else now_s - self._times.item(row, 0)

    def quantile(self, level: float) -> float:
        """The age that is not exceeded for a share `level` of the time; nan before anything was counted."""
        return age_kernels.quantile(self._spent, level)  # type: ignore[no-any-return]


class _Staleness:
    """How predictions of one quantity fare."""

    def __init__(self) -> None:
        self.ages = Ages()
        self.right = self.compared = 0


class _Stream:
    """All sources of one measurement."""

    def __init__(self, period_s: float | None) -> None:
        self.ages = Ages()
        self.period_s = period_s
        self.planned = self.achieved = 0.0
        self.gap_s = ForgettingMean(64)
        self._generated: dict[str, float] = {}

    def learn_period(self, source: str, generated_s: float) -> None:
        before = self._generated.get(source)
        if before is not None and generated_s > before:
            self.gap_s.add(generated_s - before)
            self.period_s = self.gap_s.value
        self._generated[source] = max(generated_s, before if before is not None else generated_s)


class Synchronisation:
    """Ages and alignment of a twin, told window by window what entered its belief."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._streams = {"link": _Stream(window_s)}
        self._stale: dict[str, _Staleness] = {}
        self._due_s = _INTERVAL_S
        self._before_s: float | None = None
        #: what existed when links that are gone were last looked for
        self._existing: frozenset[str] = frozenset()

    def window(
        self, links: Collection[str], reports: Mapping[str, Record], others: Iterable[Record],
        start_ns: int, now_s: float,
    ) -> None:  # fmt: skip
        """A window was closed at `now_s`: `links` that exist, their `reports`, and other records taken."""
        stream = self._streams["link"]
        for name in [source for source in stream.ages.sources() if source not in links]:
            stream.ages.end(name, now_s)
        for name in links:
            report = reports.get(name)
            # A link that never said anything is not expected to: an idle one, or one without a modem.
            stream.planned += name in stream.ages or report is not None
            if report is not None:
                stream.achieved += 1
                stream.ages.update(name, (report.t_ns - start_ns) / 1e9, now_s)
        passed_s = 0.0 if self._before_s is None else now_s - self._before_s
        self._before_s = now_s
        for name, stream in self._streams.items():
            if name in _REGULAR and stream.period_s:
                stream.planned += len(stream.ages) * passed_s / stream.period_s
        for record in others:
            stream = self._streams.get(record.measurement) or self._new_stream(record.measurement)
            source, generated_s = source_of(record), (record.t_ns - start_ns) / 1e9
            known = source in stream.ages
            stream.ages.update(source, generated_s, now_s)
            if record.measurement in _REGULAR:
                stream.learn_period(source, generated_s)
                stream.achieved += known

    def _new_stream(self, measurement: str) -> _Stream:
        made = self._streams[measurement] = _Stream(None)
        return made

    def missed(self, windows: int) -> None:
        """So many windows were never looked at."""
        stream = self._streams["link"]
        stream.planned += windows * len(stream.ages)

    def compared(
        self, said: Iterable[Record], existing: Collection[str], start_ns: int, now_s: float
    ) -> None:
        """Residuals among what was said about a window; `existing`: what was predicted for it."""
        strange = False
        for record in said:
            if record.measurement != "residual":
                continue
            tags, fields = record.tags, record.fields
            quantity = tags.get("quantity", "")
            bound = BOUNDS.get(quantity)
            if bound is None:
                continue
            stale = self._stale.get(quantity)
            if stale is None:
                stale = self._stale[quantity] = _Staleness()
            target = tags["target"]
            strange = strange or _is_gone(target, existing)
            right = bound.holds(float(fields["predicted"]), float(fields["observed"]))
            stale.compared += 1
            stale.right += right
            if right or target not in stale.ages:
                stale.ages.update(target, (record.t_ns - start_ns) / 1e9 + self._window_s, now_s)
        names = frozenset(existing)
        if names == self._existing and not strange:
            return
        self._existing = names
        for stale in self._stale.values():
            for target in stale.ages.sources():
                if _is_gone(target, names):
                    stale.ages.end(target, now_s)

    def age_s(self, measurement: str, source: str, now_s: float) -> float:
        """Age of information of one source now; infinite when nothing came from it."""
        stream = self._streams.get(measurement)
        return math.inf if stream is None else stream.ages.age_s(source, now_s)

    def staleness_s(self, quantity: str, target: str, now_s: float) -> float:
        """Age of staleness of one prediction now; infinite when it was never compared."""
        stale = self._stale.get(quantity)
        return math.inf if stale is None else stale.ages.age_s(target, now_s)

    def records(self, now_ns: int, now_s: float, counters: Mapping[str, int]) -> list[Record]:
        """`sync` records of the run up to now, once a second.

        Tags `subject` and `of`: ages of a measurement (s, and in its periods) with its alignment ratio;
        staleness of a quantity (s) with the bound; telemetry that did not come as it should.
        """
        if now_s < self._due_s:
            return []
        self._due_s = max(self._due_s + _INTERVAL_S, now_s + 0.5 * _INTERVAL_S)
        out = []

        def say(subject: str, of: str, fields: dict[str, Value]) -> None:
            kept = {k: v for k, v in fields.items() if not (isinstance(v, float) and math.isnan(v))}
            out.append(Record(now_ns, "sync", {"subject": subject, "of": of}, kept))

        for name, stream in sorted(self._streams.items()):
            stream.ages.flush(now_s)
            p50, p99 = stream.ages.quantile(0.5), stream.ages.quantile(0.99)
            fields: dict[str, Value] = {"sources": len(stream.ages), "age_p50_s": p50, "age_p99_s": p99}
            if stream.period_s:
                fields |= {
                    "period_s": stream.period_s, "age_p50_periods": p50 / stream.period_s,
                    "age_p99_periods": p99 / stream.period_s, "planned": round(stream.planned),
                    "achieved": round(stream.achieved),
                }  # fmt: skip
                if stream.planned >= 1.0:
                    fields["alignment"] = min(stream.achieved / stream.planned, 1.0)
            say("age", name, fields)
        for name, stale in sorted(self._stale.items()):
            stale.ages.flush(now_s)
            p50, p99 = stale.ages.quantile(0.5), stale.ages.quantile(0.99)
            bound = BOUNDS[name]
            say("staleness", name, {
                "targets": len(stale.ages), "stale_p50_s": p50, "stale_p99_s": p99,
                "right": stale.right / stale.compared, "bound": bound.absolute, "bound_share": bound.relative,
            })  # fmt: skip
        say("telemetry", "all", {name: counters.get(name, 0) for name in _COUNTERS})
        return out


def _is_gone(target: str, existing: Collection[str]) -> bool:
    """Whether a target is a link that does not exist (any more)."""
    return target not in existing and ">" in target and ":" not in target


def source_of(record: Record) -> str:
    """What a record is about, among those of its measurement: a link, a flow `a>b:name`, or a node."""
    tags = record.tags
    if record.measurement == "link":
        return tags.get("link", "")
    if record.measurement == "flow":
        return f"{tags.get('source', '')}>{tags.get('node', '')}:{tags.get('flow', '')}"
    return tags.get("node", "")


def rehearse() -> None:
    """Has everything compiled, or read from the cache, that ages are counted with."""
    ages = Ages()
    for _ in range(2):
        ages.update("", 0.0, 1.0)
    ages.flush(2.0)
    ages.quantile(0.5)
