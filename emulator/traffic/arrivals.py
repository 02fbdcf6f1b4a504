"""When the messages of a flow begin: periodic, Poisson, Pareto on/off, or as recorded.

What a user states and the kernels stand side by side. The times of a flow are a function of its key alone,
whatever else happens in the network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.links.random import uniform
from emulator.links.state import NEVER
from emulator.traffic.errors import TrafficError
from emulator.traffic.layout import EACH, FIXED, ON_OFF, PERIODIC, POISSON, RECORDED

# purposes of draws
_JITTER: Final = 111
_GAP: Final = 112
_ON: Final = 113
_OFF: Final = 114
_BEGINNING: Final = 115
_PHASE: Final = 116

_LONGEST_S: Final = 1e9
_SHORTEST_S: Final = 1e-9


def _seconds(value: float, what: str, least: float = _SHORTEST_S) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= _LONGEST_S:
        raise TrafficError(f"{what} is {value!r}, allowed: {least:g} to {_LONGEST_S:g} s")


@dataclass(frozen=True)
class Periodic:
    """A message every `interval_s` from `phase_s` after the start on, each up to `jitter_s` later, evenly."""

    interval_s: float
    phase_s: float = 0.0
    jitter_s: float = 0.0

    def check(self, where: str) -> None:
        """TrafficError for times that cannot be; jitter longer than the interval would change the order."""
        _seconds(self.interval_s, f"{where}interval_s")
        _seconds(self.phase_s, f"{where}phase_s", 0.0)
        if not 0.0 <= self.jitter_s <= self.interval_s:
            raise TrafficError(
                f"{where}jitter_s is {self.jitter_s!r}, allowed: 0 to interval_s = {self.interval_s:g}"
            )

    def write(self, row: Any) -> None:
        """Into a FLOW row."""
        row["kind"] = PERIODIC
        row["period_ns"] = self.interval_s * 1e9
        row["start_ns"] += round(self.phase_s * 1e9)
        row["jitter_ns"] = self.jitter_s * 1e9


@dataclass(frozen=True)
class Poisson:
    """Messages at `rate_per_s` on average, each independent of all others."""

    rate_per_s: float

    def check(self, where: str) -> None:
        """TrafficError for a rate that cannot be."""
        if not 1.0 / _LONGEST_S <= self.rate_per_s <= 1.0 / _SHORTEST_S:
            raise TrafficError(
                f"{where}rate_per_s is {self.rate_per_s!r}, "
                f"allowed: {1 / _LONGEST_S:g} to {1 / _SHORTEST_S:g}"
            )

    def write(self, row: Any) -> None:
        """Into a FLOW row."""
        row["kind"] = POISSON
        row["period_ns"] = 1e9 / self.rate_per_s


@dataclass(frozen=True)
class ParetoOnOff:
    """A source that is on and off in turn, each for a Pareto time, and sends every `interval_s` while on.

    `on_s`, `off_s`: means of the times; `shape` between 1 and 2, so that they have a mean and no variance:
    many such sources together are self-similar with Hurst parameter (3 - shape) / 2 (Willinger et al., "Self-
    similarity through high-variability", IEEE/ACM Transactions on Networking 5(1), 1997). The source is as
    if it had been running for ever when it starts.
    """

    interval_s: float
    on_s: float
    off_s: float
    shape: float = 1.5

    def check(self, where: str) -> None:
        """TrafficError for times that cannot be, or a shape without mean or with a variance."""
        for name in ("interval_s", "on_s", "off_s"):
            _seconds(getattr(self, name), f"{where}{name}")
        if not 1.0 < self.shape < 2.0:
            raise TrafficError(f"{where}shape is {self.shape!r}, allowed: above 1 and below 2")

    def write(self, row: Any) -> None:
        """Into a FLOW row."""
        row["kind"] = ON_OFF
        row["period_ns"] = self.interval_s * 1e9
        row["on_ns"], row["off_ns"] = self.on_s * 1e9, self.off_s * 1e9
        row["tail"] = self.shape


@dataclass(frozen=True)
class Recorded:
    """Messages at `times_ns` after the start; `lengths_bytes` of each, or None: as the flow says."""

    times_ns: Sequence[int] | np.ndarray[Any, Any]
    lengths_bytes: Sequence[int] | np.ndarray[Any, Any] | None = None

    def check(self, where: str) -> None:
        """TrafficError for times out of order, or lengths that no packet can have."""
        times = np.asarray(self.times_ns, dtype=np.int64)
        if np.any(np.diff(times) < 0) or (len(times) and times[0] < 0):
            raise TrafficError(f"{where}times_ns goes back, allowed: times in order, from 0 on")
        if self.lengths_bytes is not None:
            lengths = np.asarray(self.lengths_bytes)
            if lengths.shape != times.shape:
                raise TrafficError(
                    f"{where}lengths_bytes has {len(lengths)} values, "
                    f"allowed: one for each of {len(times)} times"
                )
            if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= 65_535:
                raise TrafficError(f"{where}lengths_bytes is {lengths.min()}, allowed: 1 to 65535 bytes")

    def write(self, row: Any, times_ns: list[int], lengths: list[int]) -> None:
        """Into a FLOW row and the pools of times and lengths."""
        row["kind"] = RECORDED
        row["first"], row["count"] = len(times_ns), len(self.times_ns)
        times_ns.extend(np.asarray(self.times_ns, dtype=np.int64).tolist())
        if self.lengths_bytes is not None:
            row["size_kind"], row["size_low"] = EACH, len(lengths)
            lengths.extend(np.asarray(self.lengths_bytes, dtype=np.int64).tolist())
        elif row["size_kind"] == EACH:
            row["size_kind"] = FIXED


Times = Periodic | Poisson | ParetoOnOff | Recorded


@packet_kernel
def _sojourn_ns(flow: Any, mean_ns: float, purpose: int) -> float:
    """A Pareto time of the flow's shape."""
    u = 1.0 - uniform(flow.key, 0, flow.sojourn, purpose)
    return float(mean_ns * (flow.tail - 1.0) / flow.tail * u ** (-1.0 / flow.tail))


@packet_kernel
def _rest_of_sojourn_ns(flow: Any, mean_ns: float, purpose: int) -> float:
    """What is left of a Pareto time that has been going on for ever: density (1 - F) / mean."""
    u = uniform(flow.key, 0, flow.sojourn, purpose)
    if u < (flow.tail - 1.0) / flow.tail:
        return float(u * mean_ns)
    least_ns = mean_ns * (flow.tail - 1.0) / flow.tail
    return float(least_ns * (flow.tail * (1.0 - u)) ** (-1.0 / (flow.tail - 1.0)))


@packet_kernel
def _on_off_ns(flow: Any) -> float:
    """When the next message of an on/off flow begins, since its start, ns."""
    left_ns = flow.period_ns
    if flow.message == 0:
        # Which moment of its life the source is in when it starts.
        left_ns *= uniform(flow.key, 0, 0, _PHASE)
        share = flow.on_ns / (flow.on_ns + flow.off_ns)
        if uniform(flow.key, 0, 0, _BEGINNING) < share:
            flow.until_ns = _rest_of_sojourn_ns(flow, flow.on_ns, _ON)
        else:
            flow.at_ns = _rest_of_sojourn_ns(flow, flow.off_ns, _OFF)
            flow.until_ns = flow.at_ns + _sojourn_ns(flow, flow.on_ns, _ON)
    # The interval is time that the source is on, so that the mean rate is what the figures say.
    while flow.until_ns - flow.at_ns < left_ns:
        left_ns -= flow.until_ns - flow.at_ns
        flow.sojourn += 1
        flow.at_ns = flow.until_ns + _sojourn_ns(flow, flow.off_ns, _OFF)
        flow.until_ns = flow.at_ns + _sojourn_ns(flow, flow.on_ns, _ON)
        if flow.at_ns > flow.end_ns - flow.start_ns:
            break
    flow.at_ns += left_ns
    return float(flow.at_ns)


@packet_kernel
def message_ns(flow: Any, times_ns: Any) -> int:
    """When message `flow.message` begins, ns; NEVER after the last. To be asked once for each, in order."""
    since_ns = -1.0
    begins_ns = NEVER
    if flow.kind == PERIODIC:
        since_ns = flow.message * flow.period_ns
        if flow.jitter_ns > 0.0:
            since_ns += uniform(flow.key, 0, flow.message, _JITTER) * flow.jitter_ns
    elif flow.kind == POISSON:
        flow.at_ns -= math.log1p(-uniform(flow.key, 0, flow.message, _GAP)) * flow.period_ns
        since_ns = flow.at_ns
    elif flow.kind == ON_OFF:
        since_ns = _on_off_ns(flow)
    elif flow.kind == RECORDED and flow.message < flow.count:
        begins_ns = flow.start_ns + times_ns[flow.first + flow.message]
    if since_ns >= 0.0 and since_ns < flow.end_ns - flow.start_ns:
        begins_ns = flow.start_ns + int(since_ns + 0.5)
    if begins_ns >= flow.end_ns:
        begins_ns = NEVER
    return int(begins_ns)


@inline_packet_kernel
def next_packet_ns(flow: Any, times_ns: Any) -> int:
    """When the flow's next packet comes, ns; NEVER after the last. To be asked after each packet."""
    flow.made += 1
    flow.packet += 1
    if flow.packet < flow.packets:
        return int(flow.begun_ns + flow.packet * flow.spacing_ns)
    last_ns = flow.begun_ns + (flow.packet - 1) * flow.spacing_ns
    flow.packet = 0
    flow.message += 1
    begins_ns = message_ns(flow, times_ns)
    if begins_ns < NEVER:
        # A message waits for the one before it.
        begins_ns = max(begins_ns, last_ns)
    flow.begun_ns = begins_ns
    return int(begins_ns)
