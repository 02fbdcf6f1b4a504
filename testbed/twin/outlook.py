"""What the twin expects of the coming half hour: handovers, and SNR, rate and delay of links with bands.

Geometry comes from `horizon`, what is believed from the twin. Beliefs lose certainty as their filters say
they do; a fade goes on as rain does (`fading`); load comes back with its period, or is as usual. Links
are named by place and direction, so that a band is one of what a user sees whichever satellite serves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, Protocol

import numpy as np

from emulator.radio.modcod import ModCodTable, modcod_table
from emulator.spec import RadioSpec, WorldSpec
from nodes.wire import Record, Value
from testbed.twin.fading import Fading
from testbed.twin.filters import Z90, ScalarKalman
from testbed.twin.forecast import Band
from testbed.twin.horizon import Horizon
from testbed.twin.links import LinkBelief
from testbed.twin.nominal import NominalLink
from testbed.twin.radio import RadioChannel

#: how far ahead is told, s
LEADS_S: Final = (10.0, 60.0, 300.0, 900.0, 1800.0)
#: how often, s
EVERY_S: Final = 30.0
#: links that are told of at a time
_MOST_LINKS: Final = 256
#: drift of a bias comes back after this time, s: a random walk of half an hour, which the filters assume from
#: window to window, would be wider than what modems and processing do
_DRIFT_S: Final = 100.0
SNR, RATE, DELAY = "snr_db", "rate_bps", "delay_ms"


class Believed(Protocol):
    """What is asked of the twin."""

    @property
    def channels(self) -> dict[tuple[str, str], RadioChannel]: ...

    def link_belief(self, link: NominalLink) -> LinkBelief: ...


class Outlook:
    """Bands over the horizon of a world."""

    def __init__(self, spec: WorldSpec, horizon: Horizon, window_s: float) -> None:
        self.horizon = horizon
        self._fading = Fading(spec)
        self._window_s = window_s
        self._radios = {radio.name: radio for radio in spec.radios}
        self._tables: dict[str, ModCodTable] = {}

    def bands(self, twin: Believed, link: NominalLink, ahead_s: float) -> dict[str, Band]:
        """SNR as reported, rate and mean delay of a window, of a link in clear sky `ahead_s` from now."""
        ahead_s = max(ahead_s, 0.0)
        made: dict[str, Band] = {}
        slow = fast = middle = link.rate_bps
        channel = twin.channels.get((link.place, link.direction))
        if link.place and math.isfinite(link.snr_db):
            true, reported = self._snr(channel, link, ahead_s)
            made[SNR] = reported
            slow, middle, fast = self._rates(link, true)
            made[RATE] = Band(middle, (fast - slow) / (2.0 * Z90), slow, fast)
        if link.rate_bps > 0.0 and min(slow, middle, fast) > 0.0:
            made[DELAY] = self._delay(twin.link_belief(link), link, ahead_s, (slow, middle, fast))
        return made

    def _snr(self, channel: RadioChannel | None, link: NominalLink, ahead_s: float) -> tuple[Band, Band]:
        """The SNR as it will be, and as it will be reported."""
        if channel is None:
            return (Band(link.snr_db, 1.0, link.snr_db - Z90, link.snr_db + Z90),) * 2
        bias = channel.bias
        sd = _grown_sd(bias, ahead_s)
        levels = (0.95, 0.5, 0.05)
        worst, usual, least = (
            self._fading.quantile_db(
                link.place, link.direction, link.elevation_deg, channel.fade.mean, channel.fade.sd, ahead_s, q
            )
            for q in levels
        )  # fmt: skip
        noise = channel.noise.sd / math.sqrt(1.0 - channel.noise.phi**2)
        centre = link.snr_db + bias.mean - usual
        made = []
        for spread in (sd, math.hypot(sd, noise)):
            below, above = math.hypot(Z90 * spread, worst - usual), math.hypot(Z90 * spread, usual - least)
            made.append(Band(centre, (below + above) / (2.0 * Z90), centre - below, centre + above))
        return made[0], made[1]

    def _rates(self, link: NominalLink, snr: Band) -> tuple[float, float, float]:
        """Rates at the low, middle and high end of an SNR: the low one as on its way up (hysteresis)."""
        radio = self._radios.get([*link.group.split("/"), ""][1])
        if radio is None:
            return (link.rate_bps,) * 3
        # what the network itself has for this link in clear sky is where the ModCod's rate is counted from
        scale = link.rate_bps / self._rate(radio, link.direction, link.snr_db)
        held, middle, high = (
            scale * self._rate(radio, link.direction, snr_db)
            for snr_db in (snr.low - radio.hysteresis_db, snr.mean, snr.high)
        )
        return held, middle, high

    def _rate(self, radio: RadioSpec, direction: str, snr_db: float) -> float:
        table = self._tables.get(radio.modcods)
        if table is None:
            table = self._tables[radio.modcods] = modcod_table(radio.modcods)
        fits = int(np.searchsorted(table.threshold_db, snr_db - radio.margin_db, "right")) - 1
        up = direction in ("up", "over")
        bandwidth_mhz = radio.up_bandwidth_mhz if up else radio.down_bandwidth_mhz
        return float(table.efficiency[max(fits, 0)]) * bandwidth_mhz * 1e6

    def _delay(
        self, belief: LinkBelief, link: NominalLink, ahead_s: float, rates: tuple[float, float, float]
    ) -> Band:
        bias = belief.bias
        sd = _grown_sd(bias, ahead_s)
        steps = 1 + int(ahead_s / self._window_s)
        base, work, low = link.delay_ms + bias.mean, belief.window_work, link.propagation_ms
        slow, middle, fast = (work.band(base, 1e3 / rate, sd, low, steps) for rate in rates)
        below = math.hypot(middle.median - middle.low, max(middle.median - fast.median, 0.0), Z90 * sd)
        above = math.hypot(middle.high - middle.median, max(slow.median - middle.median, 0.0), Z90 * sd)
        return Band(
            middle.mean, middle.sd, max(middle.median - below, low), middle.median + above, middle.median
        )

    # --- what is said ---------------------------------------------------------------------------

    def records(self, twin: Believed, now_ns: int, now_s: float) -> list[Record]:
        """The next handover of every terminal, and bands of their links at `LEADS_S`, as far as is known."""
        out = [self._handover(terminal, now_ns, now_s) for terminal in sorted(self.horizon.serving(now_s))]
        for lead_s in LEADS_S:
            if now_s + lead_s > self.horizon.known_s:
                break
            links = [link for link in self.horizon.links(now_s + lead_s) if link.kind == "access"]
            for link in links[:_MOST_LINKS]:
                bands = self.bands(twin, link, lead_s)
                tags = {"target": f"{link.place}/{link.direction}", "ahead_s": f"{lead_s:g}"}
                out.append(Record(now_ns, "outlook", tags, {"link": link.id, **_fields(bands.items())}))
        return out

    def _handover(self, terminal: str, now_ns: int, now_s: float) -> Record:
        upcoming = self.horizon.next_handover(terminal)
        fields: dict[str, Value] = {
            "serving": self.horizon.serving(now_s).get(terminal, ""),
            "known_until_s": self.horizon.known_s,
            "handovers": sum(1 for one in self.horizon.handovers if one.terminal == terminal),
        }
        if upcoming is not None:
            fields |= {"next_s": upcoming.t_s, "next": upcoming.after}
        return Record(now_ns, "outlook", {"target": terminal}, fields)


def _grown_sd(bias: ScalarKalman, ahead_s: float) -> float:
    """Standard deviation of a bias after a time without observations."""
    return math.sqrt(bias.variance + bias.process_sd**2 * _DRIFT_S * -math.expm1(-ahead_s / _DRIFT_S))


def _fields(bands: Iterable[tuple[str, Band]]) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for name, band in bands:
        fields |= {name: band.median, f"{name}_lo90": band.low, f"{name}_hi90": band.high}
    return fields
