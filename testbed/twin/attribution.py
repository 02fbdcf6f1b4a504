"""From alarms to causes: what several links that change together have in common.

Pure functions and the `Event` they fill in. One cause makes one event, whatever the number of links that
show it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from nodes.wire import Record, Value
from testbed.twin.detect import Alarm

ATTENUATION, SLOW_SERVER, LINK_DOWN, UNKNOWN = "attenuation", "slow_server", "link_down", "unknown"
CONGESTION = "congestion"
ORBIT_ERROR, CLOCK, LOST_TELEMETRY = "orbit_error", "clock", "lost_telemetry"
FLOOD, IMPOSTOR = "flood", "impostor"

#: two-sided 95 % of a Gaussian, in standard deviations
Z95 = 1.959964


class Size(NamedTuple):
    """How large a deviation is: estimate, standard deviation, 95 % interval; in the unit of its event."""

    mean: float
    sd: float
    low95: float
    high95: float


def pooled_size(sizes: list[Size]) -> Size:
    """One size from several independent estimates of it, each counted by how sharp it is."""
    weights = [1.0 / max(size.sd, 1e-9) ** 2 for size in sizes]
    total = sum(weights)

    def mean(column: int) -> float:
        return sum(w * size[column] for w, size in zip(weights, sizes, strict=True)) / total

    def half(column: int) -> float:
        return math.sqrt(
            sum((w * (size[column] - size.mean)) ** 2 for w, size in zip(weights, sizes, strict=True))
        ) / total  # fmt: skip

    middle = mean(0)
    return Size(middle, math.sqrt(1.0 / total), middle - half(2), middle + half(3))


def gaussian_size(mean: float, sd: float) -> Size:
    """A size whose doubt is Gaussian."""
    return Size(mean, sd, mean - Z95 * sd, mean + Z95 * sd)


@dataclass
class Event:
    """A detected deviation. Times in run time (s); `links` are those that show it."""

    kind: str
    target: str
    where: str
    onset_s: float
    detected_s: float
    size: float
    size_sd: float
    unit: str
    statistic: float
    threshold: float
    links: list[str] = field(default_factory=list)
    #: places whose radio channels take part (attenuation)
    places: set[str] = field(default_factory=set)
    #: 95 % interval of `size`; nan: from `size_sd`
    low95: float = math.nan
    high95: float = math.nan
    #: by link: the size as seen there (link watches)
    members: dict[str, Size] = field(default_factory=dict)
    #: the size as it was known best, for a deviation that is over
    sharpest: Size | None = None
    #: run time of the last `estimate` record
    told_s: float = -math.inf

    def __post_init__(self) -> None:
        if math.isnan(self.low95):
            self.resize(gaussian_size(self.size, self.size_sd))

    def resize(self, size: Size) -> None:
        """The size as it is known now."""
        self.size, self.size_sd, self.low95, self.high95 = size
        if self.sharpest is None or size.sd <= self.sharpest.sd:
            self.sharpest = size

    def settle(self) -> None:
        """The deviation is over: its size is what was known best while it lasted."""
        if self.sharpest is not None:
            self.size, self.size_sd, self.low95, self.high95 = self.sharpest

    def record(self, measurement: str, t_ns: int, **more: Value) -> Record:
        """The event as a `detection` or `recovery` record."""
        fields: dict[str, Value] = {
            "onset_s": self.onset_s, "detected_s": self.detected_s, "size": self.size,
            "size_sd": self.size_sd, "low95": self.low95, "high95": self.high95,
            "unit": self.unit, "statistic": self.statistic, "threshold": self.threshold,
            "links": ",".join(self.links), **more,
        }  # fmt: skip
        return Record(t_ns, measurement, self._tags(), fields)

    def estimate(self, t_ns: int, t_s: float) -> Record:
        """The size as an `estimate` record."""
        fields: dict[str, Value] = {
            "size": self.size, "size_sd": self.size_sd, "low95": self.low95, "high95": self.high95,
            "unit": self.unit, "t_s": t_s,
        }  # fmt: skip
        return Record(t_ns, "estimate", self._tags(), fields)

    def _tags(self) -> dict[str, str]:
        return {"kind": self.kind, "target": self.target, "where": self.where}


@dataclass(frozen=True)
class LinkFall:
    """How one link's SNR report differs from its prediction, dB, and between which ends it runs."""

    link: str
    place: str
    satellite: str
    residual_db: float
    noise_db: float

    @property
    def fell(self) -> bool:
        return self.residual_db < -max(0.5, 2.0 * self.noise_db)


def common_place(places: set[str], falls: list[LinkFall]) -> tuple[str, list[str]]:
    """Where an attenuation seen at `places` acts, and the links that show it.

    Weather hangs over the ground, so ground places are named, joined by commas when several fell
    together; unless all of them look at one satellite, every link there fell (three ends at least), and
    some place among them sees another satellite undimmed or all ends of that satellite are affected.
    """
    links = sorted(fall.link for fall in falls if fall.fell and fall.place in places)
    if len(places) >= 3:
        for satellite in sorted({fall.satellite for fall in falls}):
            there = [fall for fall in falls if fall.satellite == satellite]
            elsewhere = [fall for fall in falls if fall.satellite != satellite and fall.place in places]
            ends = {fall.place for fall in there}
            dimmed = all(fall.fell for fall in there)
            if satellite and dimmed and ends >= places and elsewhere and not any(f.fell for f in elsewhere):
                return satellite, links
    return ",".join(sorted(places)), links


def shared_end(links: list[str]) -> str:
    """What several links have in common: one link or both its directions, an end, or all of them."""
    ends = [set(link.split(">")) for link in links]
    if all(e == ends[0] for e in ends):
        return links[0]
    common = set.intersection(*ends)
    return min(common) if common else ",".join(links)


def link_down_event(
    links: list[str], onset_s: float, detected_s: float, windows: int, needed: int, window_s: float
) -> Event:
    """One event for all links that fell silent together; named by their common end when they share one."""
    where = shared_end(links)
    pair = ">" in where
    return Event(
        LINK_DOWN, links[0] if pair else where, where, onset_s, detected_s, 1.0, 0.0, "share",
        float(windows), float(needed), sorted(links),
    )  # fmt: skip


def server_event(name: str, place: str, alarm: Alarm, factor: float, sd: float, detected_s: float) -> Event:
    """A server that works more slowly than it did (or faster: not a deviation with a name)."""
    return Event(
        SLOW_SERVER if factor < 1.0 else UNKNOWN, name, place or name, alarm.onset_s, detected_s,
        factor, sd, "factor", alarm.statistic, alarm.threshold,
    )  # fmt: skip
