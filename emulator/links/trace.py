"""Recorded series that a link replays: delay, rate and loss at any resolution, and delivery opportunities.

`table` is int64 [traces, 4] (emulator.links.state: TRACE_...), `times` int64 ns since the start of the run,
`values` float64, of all traces one after the other. Each link remembers where it read last, so that time
that goes on costs a look at the next value; wherever it jumps to, the place is found by bisection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.links.rate import STALLED_BPS
from emulator.links.state import (
    DELIVERIES,
    LINEAR,
    NEVER,
    STEPS,
    TRACE_COUNT,
    TRACE_FIRST,
    TRACE_KIND,
    TRACE_PERIOD,
)

#: kinds of series by name
KINDS: Final = {"steps": STEPS, "linear": LINEAR, "deliveries": DELIVERIES}
#: a delivery opportunity of Mahimahi: an Ethernet packet with its TUN header, bytes
OPPORTUNITY_BYTES: Final = 1504
#: later than any event that can still be told from NEVER, ns
_TOO_LATE_NS: Final = 4e18


@dataclass(frozen=True, eq=False)
class Series:
    """A recording: `values` at `times_ns` since the start of the run.

    `kind`: "steps" (a value holds until the next), "linear" (a straight line to the next), or "deliveries"
    (at each time so many bytes may leave). `period_ns`: after so long it begins anew, 0: its last value
    stays. Before its first time the first value holds; where it begins anew, what its end leads to does.
    Deliveries always begin anew, by default after their last time, as in Mahimahi.
    """

    times_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    kind: str = "steps"
    period_ns: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "times_ns", np.atleast_1d(np.asarray(self.times_ns)))
        object.__setattr__(self, "values", np.atleast_1d(np.asarray(self.values, np.float64)))
        object.__setattr__(self, "period_ns", int(self.period_ns))
        if self.kind == "deliveries" and self.period_ns == 0 and len(self.times_ns):
            object.__setattr__(self, "period_ns", int(self.times_ns[-1]))

    def check(self, where: str, most: float = math.inf) -> None:
        """WorldError, with `where` before the key, for what cannot be replayed; no value is above `most`."""
        if self.kind not in KINDS:
            raise WorldError(f"{where}kind is {self.kind!r}, allowed: {', '.join(KINDS)}")
        times, values = self.times_ns, self.values
        if times.ndim != 1 or values.shape != times.shape or not len(times):
            raise WorldError(
                f"{where}times_ns and values have shapes {times.shape} and {values.shape}, "
                "allowed: one time for each of at least one value"
            )
        if times.dtype.kind not in "iu":
            raise WorldError(f"{where}times_ns are of type {times.dtype}, allowed: whole nanoseconds")
        if times[0] < 0:
            raise WorldError(f"{where}times_ns begin at {times[0]}, allowed: from 0, the start of the run")
        back = np.flatnonzero(times[1:] < times[:-1])
        if len(back):
            at = int(back[0]) + 1
            raise WorldError(
                f"{where}times_ns[{at}] is {times[at]}, allowed: from the one before, {times[at - 1]}"
            )
        wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0.0) & (values <= most)))
        if len(wrong):
            at = int(wrong[0])
            allowed = "finite numbers from 0" if most == math.inf else f"0 to {most:g}"
            raise WorldError(f"{where}values[{at}] is {values[at]:g}, allowed: {allowed}")
        if self.period_ns != 0 and self.period_ns < times[-1]:
            raise WorldError(
                f"{where}period_ns is {self.period_ns}, allowed: from the last time, {times[-1]}, 0 for none"
            )
        if self.kind == "deliveries":
            if self.period_ns == 0:
                raise WorldError(f"{where}times_ns end at 0, allowed: deliveries that last some time")
            if not (values >= 1.0).any():
                raise WorldError(f"{where}values are all below 1, allowed: deliveries of some bytes")


@dataclass(frozen=True)
class Traces:
    """What a link replays instead of its own figures; None: its own.

    `rate` in bit/s, `delay` (propagation and processing) in ns, `loss` as probabilities; `deliveries` in
    bytes, when packets may leave, instead of a rate.
    """

    limits: ClassVar[dict[str, float]] = {"loss": 1.0}
    rate: Series | None = None
    delay: Series | None = None
    loss: Series | None = None
    deliveries: Series | None = None

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for what cannot be replayed."""
        for field in fields(self):
            series = getattr(self, field.name)
            if series is None:
                continue
            if (series.kind == "deliveries") != (field.name == "deliveries") and series.kind in KINDS:
                allowed = "deliveries" if field.name == "deliveries" else "steps, linear"
                raise WorldError(f"{where}{field.name}.kind is {series.kind!r}, allowed: {allowed}")
            series.check(f"{where}{field.name}.", self.limits.get(field.name, math.inf))
        if self.rate is not None and self.deliveries is not None:
            raise WorldError(
                f"{where}rate and deliveries are both given, allowed: one, it says when packets leave"
            )


@inline_packet_kernel
def _locate(times: Any, first: int, count: int, at: int, time_ns: int) -> int:
    """Index within a trace of the last time not after `time_ns`, -1 before all; `at`: the last answer."""
    at = min(max(at, 0), count - 1)
    if times[first + at] > time_ns:
        low, high = -1, at
    else:
        low, step = at, 1
        while low + step < count and times[first + low + step] <= time_ns:
            low += step
            step += step
        high = min(low + step, count)
    while high - low > 1:
        middle = (low + high) >> 1
        if times[first + middle] <= time_ns:
            low = middle
        else:
            high = middle
    return low


@inline_packet_kernel
def _value_at(
    times: Any, values: Any, first: int, count: int, period: int, kind: int, at: int, time_ns: int
) -> float:
    """Value at `time_ns` within a period, `at` being the index of the last time not after it."""
    if period == 0 and at < 0:
        return values[first]
    value = values[first + (at if at >= 0 else count - 1)]
    if kind == LINEAR and (period > 0 or at < count - 1):
        start_ns = times[first + at] if at >= 0 else times[first + count - 1] - period
        after = at + 1 if at < count - 1 else 0
        end_ns = times[first + after] + (period if at == count - 1 else 0)
        if end_ns > start_ns:
            value += (values[first + after] - value) * ((time_ns - start_ns) / (end_ns - start_ns))
    return value


@inline_packet_kernel
def _within(period: int, since_ns: int) -> int:
    """Time within the period, ns."""
    return since_ns % period if period > 0 else since_ns


@inline_packet_kernel
def delay_value(link: Any, table: Any, times: Any, values: Any, trace: int, since_ns: int) -> float:
    """The recorded delay at `since_ns` after the start of the run, ns."""
    first, count, period = table[trace, TRACE_FIRST], table[trace, TRACE_COUNT], table[trace, TRACE_PERIOD]
    time_ns = _within(period, since_ns)
    at = _locate(times, first, count, link.delay_at, time_ns)
    link.delay_at = at
    return _value_at(times, values, first, count, period, table[trace, TRACE_KIND], at, time_ns)


@inline_packet_kernel
def loss_value(link: Any, table: Any, times: Any, values: Any, trace: int, since_ns: int) -> float:
    """The recorded loss probability at `since_ns` after the start of the run."""
    first, count, period = table[trace, TRACE_FIRST], table[trace, TRACE_COUNT], table[trace, TRACE_PERIOD]
    time_ns = _within(period, since_ns)
    at = _locate(times, first, count, link.loss_at, time_ns)
    link.loss_at = at
    return _value_at(times, values, first, count, period, table[trace, TRACE_KIND], at, time_ns)


@packet_kernel
def _serialised_ns(
    link: Any, times: Any, values: Any, first: int, count: int, period: int, kind: int, since_ns: int
) -> int:
    """When the rate, integrated from `since_ns` on, has carried the packet's bits; NEVER if it never does."""
    bits = link.tx_bits
    time_ns = _within(period, since_ns)
    at = _locate(times, first, count, link.rate_at, time_ns)
    # bits left when a period last began anew, and how often that was
    left, wraps = bits, 0
    while True:
        rate = _value_at(times, values, first, count, period, kind, at, time_ns)
        if at + 1 < count:
            end_ns = times[first + at + 1]
        elif period > 0:
            end_ns = period
        else:
            end_ns = NEVER
        if end_ns == NEVER:
            if rate < STALLED_BPS or bits / rate * 1e9 > _TOO_LATE_NS:
                since_ns = NEVER
            else:
                since_ns += int(math.ceil(bits / rate * 1e9))  # noqa: RUF046 - a float when compiled
            break
        span_s = (end_ns - time_ns) * 1e-9
        slope = 0.0
        if kind == LINEAR and end_ns > time_ns:
            # Just before the end of the segment, where a jump may stand.
            slope = (_value_at(times, values, first, count, period, kind, at, end_ns) - rate) / span_s
        carried = (rate + 0.5 * slope * span_s) * span_s
        if carried >= bits and carried > 0.0:
            # bits = rate t + slope t^2 / 2, solved without cancellation
            root = math.sqrt(max(0.0, rate * rate + 2.0 * slope * bits))
            needed_ns = int(math.ceil(2.0 * bits / (rate + root) * 1e9))  # noqa: RUF046
            since_ns += min(needed_ns, end_ns - time_ns)
            break
        bits -= carried
        since_ns += end_ns - time_ns
        time_ns = end_ns
        at += 1
        if at >= count or (period > 0 and time_ns >= period):
            at, time_ns = -1, 0
            if times[first] == 0:
                at = _locate(times, first, count, 0, 0)
            wraps += 1
            if wraps == 2:
                # All of a period has been seen: what it carries, it carries again.
                a_period = left - bits
                if a_period <= 0.0 or bits / a_period * period + since_ns > _TOO_LATE_NS:
                    since_ns = NEVER
                    break
                skipped = max(0, int(bits / a_period) - 1)
                bits -= skipped * a_period
                since_ns += skipped * period
            left = bits
    link.rate_at = at
    return since_ns


@packet_kernel
def _delivered_ns(
    link: Any, times: Any, values: Any, first: int, count: int, period: int, since_ns: int, goes_on: bool
) -> int:
    """When the delivery opportunities after `since_ns` have taken all of the packet; NEVER if they are empty.

    `goes_on`: it follows the packet before it at once, and begins with what is left of that one's last.
    """
    wanted = max(1, int(math.ceil(link.tx_bits / 8.0)))  # noqa: RUF046 - a float when compiled
    if goes_on:
        at = link.rate_at
        start_ns = since_ns - times[first + at]
        left = link.delivery_bytes
    else:
        # What came until now was wasted, what comes in this very moment too.
        start_ns = since_ns // period * period
        at = _locate(times, first, count, link.rate_at, since_ns - start_ns)
        left = 0
    empty = 0
    while left < wanted and empty <= count:
        wanted -= left
        at += 1
        if at >= count:
            at = 0
            start_ns += period
        left = int(values[first + at])
        empty = empty + 1 if left <= 0 else 0
    link.rate_at = at
    link.delivery_bytes = left - wanted
    return start_ns + times[first + at] if left >= wanted else NEVER


@inline_packet_kernel
def sending_ends_on_trace_ns(
    link: Any, table: Any, times: Any, values: Any, trace: int, origin_ns: int
) -> int:
    """When the packet in the transmitter will have left it at the recorded rate (bit/s), ns; NEVER if never.

    It began at `link.tx_since_ns` with `link.tx_bits` to send; `origin_ns` is the start of the run. Delivery
    opportunities are used as Mahimahi does: several packets share one, a large packet takes several, what
    finds no packet waiting is wasted. Of a transmitter that falls idle, `link.delivery_ns` is set to 0.
    """
    first, count, period = table[trace, TRACE_FIRST], table[trace, TRACE_COUNT], table[trace, TRACE_PERIOD]
    since_ns = link.tx_since_ns - origin_ns
    if table[trace, TRACE_KIND] == DELIVERIES:
        goes_on = link.delivery_ns == link.tx_since_ns and since_ns > 0
        end_ns = _delivered_ns(link, times, values, first, count, period, since_ns, goes_on)
    else:
        end_ns = _serialised_ns(link, times, values, first, count, period, table[trace, TRACE_KIND], since_ns)
    if end_ns != NEVER:
        end_ns += origin_ns
    link.delivery_ns = end_ns
    return end_ns
