"""Where a device's clock stands against the host's: offset, skew and a bound, from TIME exchanges.

An exchange has four stamps: request leaves the host (t1), reaches the device (t2), the answer leaves
the device (t3), reaches the host (t4). Then the device is ahead of the host by

    theta = ((t2 - t1) + (t3 - t4)) / 2,   wrong by at most half of   delta = (t4 - t1) - (t3 - t2),

whatever the two ways took (Mills, RFC 5905, section 8). Of a window of exchanges those of least delta
are kept and a line is fitted through their theta. No I/O and no clock of its own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

#: skew assumed possible while none has been fitted: twice what a cheap crystal may show over its range
UNFITTED_SKEW_PPM: Final = 200.0
#: a fit over a shorter span says more about noise than about skew
MIN_SKEW_SPAN_NS: Final = 2_000_000_000
#: device stamps count whole microseconds
DEVICE_RESOLUTION_NS: Final = 1_000


class Exchange(NamedTuple):
    """One TIME exchange: the host's middle time, device minus host there, and the round trip, all in ns."""

    host_ns: int
    theta_ns: int
    delta_ns: int


@dataclass(frozen=True)
class Fit:
    """Device minus host as a line over host time, and how far it may be off.

    `offset_ns` holds at `host_ns`; `skew` is dimensionless (1e-6 is 1 ppm); `bound_ns` holds within the
    span of the exchanges, `skew_bound` extends it beyond.
    """

    host_ns: int
    offset_ns: float
    skew: float
    bound_ns: float
    skew_bound: float
    last_ns: int

    def offset_at(self, host_ns: int) -> float:
        """Device minus host in ns at a time of the host's clock."""
        return self.offset_ns + self.skew * (host_ns - self.host_ns)

    def bound_at(self, host_ns: int) -> float:
        """How far `offset_at` may be off, in ns; it grows with the time since the last exchange."""
        return self.bound_ns + self.skew_bound * max(0, host_ns - self.last_ns)

    def to_host_ns(self, device_us: int) -> int:
        """A device stamp on the host's clock."""
        device_ns = device_us * 1_000
        # device = host + offset + skew (host - reference), solved for host; the subtraction of two large
        # integers comes first, so that nothing is lost to floating point
        ahead_ns = device_ns - self.host_ns - self.offset_ns
        return self.host_ns + round(ahead_ns / (1.0 + self.skew))


class ClockFit:
    """Collects exchanges and keeps the fit up to date; `window` exchanges are remembered."""

    def __init__(self, window: int = 64) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=window)
        self.fit: Fit | None = None

    def reset(self) -> None:
        """The device booted again: what is known about its clock is void."""
        self._exchanges.clear()
        self.fit = None

    def __len__(self) -> int:
        return len(self._exchanges)

    def add(self, t1_ns: int, t2_us: int, t3_us: int, t4_ns: int) -> Exchange:
        """Take an exchange; ValueError if its stamps contradict each other (a damaged or stale answer)."""
        delta_ns = (t4_ns - t1_ns) - (t3_us - t2_us) * 1_000
        if t3_us < t2_us or t4_ns < t1_ns or delta_ns < -2 * DEVICE_RESOLUTION_NS:
            raise ValueError(f"the stamps of a TIME exchange contradict each other: delta is {delta_ns} ns")
        theta_ns = (t2_us * 1_000 - t1_ns + t3_us * 1_000 - t4_ns) // 2
        exchange = Exchange((t1_ns + t4_ns) // 2, theta_ns, max(0, delta_ns))
        self._exchanges.append(exchange)
        self.fit = _fit(list(self._exchanges))
        return exchange


def _fit(exchanges: list[Exchange]) -> Fit:
    # The best quarter, but at least four where there are as many: a single one gives no skew.
    count = min(len(exchanges), max(4, len(exchanges) // 4))
    best = sorted(exchanges, key=lambda exchange: exchange.delta_ns)[:count]
    reference = best[0].host_ns
    times = [exchange.host_ns - reference for exchange in best]
    last_ns = max(exchange.host_ns for exchange in best)
    span_ns = max(times) - min(times)
    offset, skew = float(best[0].theta_ns), 0.0
    if span_ns >= MIN_SKEW_SPAN_NS:
        offset, skew = _line(times, best)
    # Each kept exchange confines the true offset to theta +- delta/2; the fit is off by no more than its
    # distance from theta plus that, and stamps are whole microseconds.
    bound = DEVICE_RESOLUTION_NS + max(
        abs(exchange.theta_ns - offset - skew * time) + exchange.delta_ns / 2
        for exchange, time in zip(best, times, strict=True)
    )
    # Two points of the span, each off by the bound in opposite directions, tilt the line by this much.
    skew_bound = UNFITTED_SKEW_PPM * 1e-6
    if span_ns >= MIN_SKEW_SPAN_NS:
        skew_bound = min(skew_bound, 2 * bound / span_ns)
    return Fit(reference, offset, skew, bound, skew_bound, last_ns)


def _line(times: list[int], exchanges: list[Exchange]) -> tuple[float, float]:
    # Weighted least squares; the weight is how tightly an exchange confines the offset.
    base = exchanges[0].theta_ns  # keeps the sums small: offsets are of the size of the host's uptime
    weights = [1.0 / (exchange.delta_ns / 2 + DEVICE_RESOLUTION_NS) ** 2 for exchange in exchanges]
    total = sum(weights)
    mean_time = sum(w * t for w, t in zip(weights, times, strict=True)) / total
    mean_theta = sum(w * (e.theta_ns - base) for w, e in zip(weights, exchanges, strict=True)) / total
    spread = sum(w * (t - mean_time) ** 2 for w, t in zip(weights, times, strict=True))
    joint = sum(
        w * (t - mean_time) * (e.theta_ns - base - mean_theta)
        for w, t, e in zip(weights, times, exchanges, strict=True)
    )
    skew = joint / spread
    return base + mean_theta - skew * mean_time, skew
