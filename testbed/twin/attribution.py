"""From alarms to causes: what several links that change together have in common.

Pure functions and the `Event` they fill in. One cause makes one event, whatever the number of links that
show it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.wire import Record, Value
from testbed.twin.detect import Alarm

ATTENUATION, SLOW_SERVER, LINK_DOWN, UNKNOWN = "attenuation", "slow_server", "link_down", "unknown"


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
    sizes: list[float] = field(default_factory=list)

    def record(self, measurement: str, t_ns: int, **more: Value) -> Record:
        """The event as a `detection` or `recovery` record."""
        fields: dict[str, Value] = {
            "onset_s": self.onset_s, "detected_s": self.detected_s, "size": self.size,
            "size_sd": self.size_sd, "unit": self.unit, "statistic": self.statistic,
            "threshold": self.threshold, "links": ",".join(self.links), **more,
        }  # fmt: skip
        tags = {"kind": self.kind, "target": self.target, "where": self.where}
        return Record(t_ns, measurement, tags, fields)


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


def link_down_event(
    links: list[str], onset_s: float, detected_s: float, windows: int, needed: int, window_s: float
) -> Event:
    """One event for all links that fell silent together; named by their common end when they share one."""
    ends = [set(link.split(">")) for link in links]
    common = set.intersection(*ends)
    pair = all(e == ends[0] for e in ends)
    where = links[0] if pair else (min(common) if common else ",".join(links))
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
