"""One link's report of a window beside what was predicted for it: residuals, and what is learned from them.

Every quantity is compared first and taken into the belief then. What the watches make of a report is in
`watching`, what channels make of the SNR is decided by the twin, once for all links of a place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

from nodes.wire import Record
from testbed.twin.attribution import LinkFall
from testbed.twin.baselines import ConstantBaseline
from testbed.twin.channels import Channels
from testbed.twin.events import Channel, Events
from testbed.twin.floors import SMALLEST_DELAY_MS
from testbed.twin.links import LinkBelief, nominal_loss
from testbed.twin.nominal import NominalLink
from testbed.twin.observations import numbers
from testbed.twin.predict import DELAY, LOSS, SNR, THROUGHPUT, Prediction, baseline_key, residual_record
from testbed.twin.roster import Roster
from testbed.twin.watching import LinkWatching


class Ladders(Protocol):
    """Who knows the ModCods that a link may be using."""

    def other_rates(self, link: NominalLink, doubt_db: float) -> tuple[float, ...]: ...


@dataclass
class Moment:
    """A window that is being closed, and what its link reports have said so far."""

    number: int
    t_ns: int  # when it began
    begins_s: float
    window_s: float
    now_ns: int
    now_s: float
    #: traffic is being ended: load and loss are not to be learned from
    quiet: bool
    #: residuals of the SNR, dB, by channel
    residuals: dict[Channel, list[float]] = field(default_factory=dict)
    falls: list[LinkFall] = field(default_factory=list)


class LinkReports:
    """Takes the reports of links into what is believed of them."""

    def __init__(
        self, roster: Roster, channels: Channels, watching: LinkWatching, events: Events,
        baseline: ConstantBaseline, network: Ladders,
    ) -> None:  # fmt: skip
        self._roster = roster
        self._channels = channels
        self._watching = watching
        self._events = events
        self._baseline = baseline
        self._network = network

    def take(self, at: Moment, prediction: Prediction, link: NominalLink, report: Record) -> list[Record]:
        """One link's report: its residuals, and what the watches conclude from it."""
        belief, bands, out = self._roster.beliefs[link.id], prediction.bands, list[Record]()
        number, key = numbers(report), baseline_key(link)
        belief.windows += 1
        self._roster.reported(link)

        def compare(quantity: str, observed: float, z: float) -> None:
            usual = self._baseline.climatology(key, quantity, at.begins_s)
            out.append(residual_record(link.id, quantity, at.t_ns, bands[quantity], observed, z, usual))
            self._baseline.add(key, quantity, observed, at.begins_s)

        if SNR in bands and math.isfinite(number.get("snr_db", math.nan)):
            name = (link.place, link.direction)
            channel = self._channels.all[name]
            residual = number["snr_db"] - bands[SNR].mean
            compare(SNR, number["snr_db"], channel.noise.innovation(residual))
            at.residuals.setdefault(name, []).append(residual)
            other = link.sink if link.source == link.place else link.source
            at.falls.append(LinkFall(link.id, link.place, other, residual, channel.noise.sd))
        if at.quiet:
            return out
        explained = link.place in self._channels.surrounded or self._events.explains(
            link.place, self._channels.all, at.now_s
        )
        packets_out, lost = number.get("packets_out", 0.0), number.get("lost", 0.0)
        if number.get("packets_in", 0.0) or packets_out:
            self._roster.carried(link.id, at.number)
        if THROUGHPUT in bands:
            length_s = number.get("window_s", at.window_s) or at.window_s
            observed = number.get("bytes_out", 0.0) * 8.0 / length_s
            compare(THROUGHPUT, observed, belief.load.learn(observed))
            belief.packets.add(packets_out + lost)
        published = link._replace(rate_bps=prediction.modcod_bps)
        out += self._watching.capacity(
            published, number, self._others(published), explained, at.begins_s, at.now_ns, at.now_s
        )  # fmt: skip
        if LOSS in bands and packets_out + lost > 0:
            band, observed = bands[LOSS], lost / (packets_out + lost)
            compare(LOSS, observed, (observed - band.mean) / band.sd if band.sd > 0.0 else 0.0)
            out += self._losses(at, link, belief, lost, packets_out + lost, explained)
        if DELAY in bands and packets_out > 0 and (report.samples or "delay_mean_ms" in number):
            samples = report.samples or [number["delay_mean_ms"]]
            observed = number.get("delay_mean_ms", sum(samples) / len(samples))
            compare(DELAY, observed, belief.observe_delays(link, observed, samples, at.window_s))
            out += self._floor(at, link, belief, min(samples), number.get("busy_s", 0.0), explained)
        else:
            belief.window_work.miss()
        return out

    def _losses(
        self, at: Moment, link: NominalLink, belief: LinkBelief, lost: float, sent: float,
        explained: bool,
    ) -> list[Record]:  # fmt: skip
        if not explained:
            belief.observe_loss(lost, sent)
        noticed, turned = self._watching.loss(
            link.id, lost, sent, nominal_loss(link), explained, at.begins_s, at.now_ns, at.now_s
        )
        if turned:
            belief.expect_loss(*self._watching.losses(link.id).counts)
        return noticed

    def _floor(
        self, at: Moment, link: NominalLink, belief: LinkBelief, least_ms: float, busy_s: float,
        explained: bool,
    ) -> list[Record]:  # fmt: skip
        noticed, moved_ms = self._watching.floor(
            link, least_ms, busy_s, explained, at.begins_s, at.now_ns, at.now_s
        )
        if abs(moved_ms) > SMALLEST_DELAY_MS:
            belief.bias.mean += moved_ms
            belief.bias.variance += (0.2 * moved_ms) ** 2
        return noticed

    def _others(self, link: NominalLink) -> tuple[float, ...]:
        """Rates over the believed one of ModCods that a link may be using instead."""
        channel = self._channels.all.get((link.place, link.direction))
        return self._network.other_rates(link, 0.1 + 3.0 * channel.bias.sd) if channel is not None else ()
