"""The twin without its process: predict a window, take what was observed, close the window.

`Twin` is told the time and never asks for it; it opens nothing and sends nothing. It returns records. The
order is kept by construction: `close(k)` needs the predictions of window k, and observations of a window
are held back unread until it is closed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from emulator.orders import Orders
from emulator.spec import WorldSpec
from nodes.wire import Record, Value
from testbed.twin import freeze, parts, snapshot
from testbed.twin.attribution import LINK_DOWN, LinkFall, Size
from testbed.twin.baselines import ConstantBaseline
from testbed.twin.belief import Belief, Estimate
from testbed.twin.channels import Channels
from testbed.twin.detect import Alarm, threshold_for
from testbed.twin.events import Channel, Events
from testbed.twin.floors import SMALLEST_DELAY_MS
from testbed.twin.intake import Intake
from testbed.twin.knowledge import Knowledge
from testbed.twin.links import LinkBelief
from testbed.twin.nominal import NominalLink, NominalNetwork, RadioBelief
from testbed.twin.observations import filter_record, numbers
from testbed.twin.parts import State
from testbed.twin.predict import (
    DELAY,
    LOSS,
    SNR,
    THROUGHPUT,
    Prediction,
    baseline_key,
    predict_link,
    predict_server,
    prediction_records,
    residual_record,
)
from testbed.twin.radio import Phase
from testbed.twin.servers import ServerBelief
from testbed.twin.state import StateTable
from testbed.twin.streaming import Fidelity
from testbed.twin.synchronisation import Synchronisation, source_of
from testbed.twin.tasks import Tasks
from testbed.twin.watching import LinkWatching

#: predictions of so many windows are kept for tasks that are reported late
_KEPT_WINDOWS = 12
#: a factor of the rate this close to 1 is none
_SAME_RATE = 0.002
#: an inter-satellite link without traffic for so many windows is not predicted any more
_IDLE_WINDOWS = 40
#: so many windows without a value empty the memory that looks for periods
_MISSES = 128


class Network(Protocol):
    """What the twin asks of a nominal network."""

    def at(self, t_s: float, isl: frozenset[str]) -> list[NominalLink]: ...

    def attenuation_of_fall(self, place: str, direction: str, fall_db: float) -> float: ...

    def obey(self, orders: Orders) -> None: ...

    def other_rates(self, link: NominalLink, doubt_db: float) -> tuple[float, ...]: ...


class Twin:
    """Belief about the network, and everything that changes it."""

    def __init__(
        self, knowledge: Knowledge, build: Callable[[WorldSpec, RadioBelief], Network] = NominalNetwork
    ) -> None:
        self.knowledge = knowledge
        self._digest = snapshot.digest_of(knowledge)
        self.window_s = knowledge.window_s
        self._window_ns = round(knowledge.window_s * 1e9)
        self.links: dict[str, LinkBelief] = {}
        self.counters: Counter[str] = Counter()
        self.events = Events(knowledge.window_s)
        #: traffic is being ended: silence means nothing, and load is not to be learned from it
        self.quiet = False
        self._network = build(knowledge.world, self)
        self._start_ns = 0
        calibration_s = knowledge.settings.calibration_share * knowledge.duration_s
        self._baseline = ConstantBaseline(calibration_s)
        self._fidelity = Fidelity(knowledge.window_s, calibration_s)
        self._latest: dict[str, str] = {}  # baseline key, or group -> link last seen there
        self._present: set[str] = set()
        self._traffic: dict[str, int] = {}  # link -> last window with packets
        self._intake = Intake(self._window_ns, self.counters)
        self._made: dict[int, dict[str, Prediction]] = {}
        self._closed = -1
        radios = sum(1 for place in knowledge.world.places if place.radio)
        channels = 4 * (2 * radios + len(knowledge.world.links)) + len(knowledge.servers)
        channels += parts.channels(knowledge)
        per_day = 86_400.0 / knowledge.window_s
        run_length = channels * per_day / knowledge.settings.false_alarms_per_day
        #: CUSUM threshold of every channel, from the false-alarm rate that all of them share
        self.threshold = threshold_for(run_length, 1.0)
        self._channels = Channels(knowledge.world, self.threshold, self._network.attenuation_of_fall)
        self.channels = self._channels.all
        self._watching = LinkWatching(self.events, 1.0 / run_length, self.window_s)
        self.servers = {name: ServerBelief(hz, self.threshold) for name, hz in knowledge.servers.items()}
        self._tasks = Tasks(
            self.servers, knowledge.node_places, self.events, self._baseline, self._window_ns, self.counters
        )
        #: what is believed of everything, with versions
        self.table = StateTable()
        self.synchronisation = Synchronisation(self.window_s)
        self.parts = parts.build(knowledge, self.events, self.threshold)
        for part in self.parts:
            self._watching.passes = getattr(part, "passes", self._watching.passes)
        self._wanted = frozenset({"link", "task", "flow"}).union(*(part.measurements for part in self.parts))

    def rehearse(self) -> None:
        """Computes the first window's network once, so that nothing is compiled or read after the start."""
        self._network.at(0.0, frozenset())

    def begin(self, start_ns: int) -> None:
        """The run starts at `start_ns` on the host's monotonic clock."""
        self._start_ns = start_ns
        self._fidelity.begin(start_ns)
        self._intake.begin(start_ns)

    # --- what is known, kept ------------------------------------------------------------------

    def snapshot(self, beside: object | None = None) -> bytes:
        """Everything that is known now, as data from which another twin goes on exactly as this one would.

        `beside`: what is known by who works with it, an object of the twin's classes.
        """
        kept = None if beside is None else freeze.freeze(beside)
        return snapshot.seal(freeze.freeze(self), self._digest, self._closed, self._start_ns, kept)

    def restore(self, data: bytes, beside: object | None = None) -> int:
        """Takes over what another twin of the same public knowledge knew; the last window it had closed.

        To be called on a new twin, after `begin`; `beside` is a new object for what was kept with it.
        SnapshotError, with the twin unchanged, when the data do not fit.
        """
        kept = snapshot.unseal(data, self._digest, self._start_ns)
        if beside is not None and kept.beside is not None:
            freeze.thaw(kept.beside, beside)
        freeze.thaw(kept.data, self)
        getattr(self._network, "resume", lambda: None)()
        return kept.window

    def miss(self, until: int) -> None:
        """The windows after the last closed one and before `until` cannot be observed any more.

        What is believed is as it was, and less certain; nothing is concluded from the silence.
        """
        missed = until - 1 - self._closed
        if missed <= 0:
            return
        seconds = missed * self.window_s
        for channel in self.channels.values():
            channel.bias.advance(seconds)
            channel.fade.advance(seconds)
            channel.noise.skip()
        for belief in self.links.values():
            belief.bias.advance(seconds)
            for _ in range(min(missed, _MISSES)):
                belief.window_work.miss()
                belief.load.miss()
        for server in self.servers.values():
            server.factor_log.advance(seconds)
        for part in self.parts:
            getattr(part, "miss", lambda _seconds: None)(seconds)
        self._watching.gap()
        self._intake.skip(until)
        for old in [window for window in self._made if window < until]:
            del self._made[old]
        self._closed = until - 1
        self.counters["windows_missed"] += missed
        self.synchronisation.missed(missed)

    def fade_db(self, place: str, direction: str) -> float:
        """By how much weather is believed to lower the SNR at a place, dB."""
        channel = self.channels.get((place, direction))
        return 0.0 if channel is None else channel.fade.mean

    def bias_db(self, place: str, direction: str) -> float:
        """How much better than published the modem at a place is believed to be, dB."""
        channel = self.channels.get((place, direction))
        return 0.0 if channel is None else channel.bias.mean

    def along_track_km(self) -> dict[str, float]:
        """By satellite: km by which it is believed to run ahead of its published elements."""
        found = Belief()
        for part in self.parts:
            part.tell(found)
        return {name: value.mean for name, value in found.along_track_km.items()}

    def link_belief(self, link: NominalLink) -> LinkBelief:
        """What is believed of a link, also of one that does not exist yet; not to be changed."""
        known = self.links.get(link.id)
        if known is None:
            donor = self._latest.get(baseline_key(link)) or self._latest.get(link.group)
            known = self.links[donor].inherit() if donor in self.links else LinkBelief()
        return known

    # --- predict ------------------------------------------------------------------------------

    def predict(self, window: int) -> list[Record]:
        """Predictions for a window; windows in rising order."""
        wanted = frozenset(k for k, seen in self._traffic.items() if window - seen <= _IDLE_WINDOWS)
        nominal = self._network.at((window + 0.5) * self.window_s, wanted)
        t_ns = self._start_ns + window * self._window_ns
        made: dict[str, Prediction] = {}
        records = []
        for published in nominal:
            link = published
            belief = self._belief(link)
            channel = None
            if link.place and math.isfinite(link.snr_db):
                channel = self._channels.of(link)
            rate_bps, factor = link.rate_bps, self._watching.rate(link.id).factor
            if abs(factor - 1.0) > _SAME_RATE:
                link = link._replace(rate_bps=factor * rate_bps)
            made[link.id] = predict_link(link, belief, channel)
            made[link.id].modcod_bps = rate_bps
            records += prediction_records(made[link.id], belief, self._baseline, t_ns, self.window_s)
        for name in self._present - made.keys():
            self._watching.end(name)
            if name not in self._latest.values():
                del self.links[name]
        self._present = set(made)
        for name, server in self.servers.items():
            made[name] = predict_server(name, server)
            records += prediction_records(made[name], None, self._baseline, t_ns, self.window_s)
        self._tell_predictions(window, made)
        self._made[window] = made
        self._made.pop(window - _KEPT_WINDOWS, None)
        self._fidelity.take(records)
        return records

    def _tell_predictions(self, window: int, made: dict[str, Prediction]) -> None:
        """Lays what is predicted for a window into the table; links that exist no more leave it."""
        for name in [name for name in self._made.get(window - 1, {}) if name not in made]:
            self.table.drop(name)
        for name, one in made.items():
            for quantity, band in one.bands.items():
                self.table.update(name, quantity, band.mean, band.sd**2)

    def _belief(self, link: NominalLink) -> LinkBelief:
        """The belief about a link; a new one starts from what the terminal's last link taught."""
        key = baseline_key(link)
        if link.id not in self._present:
            donor = self._latest.get(key) or self._latest.get(link.group)
            if donor is not None and donor != link.id:
                self.links[link.id] = self.links[donor].inherit()
            self._watching.begin(link.id, donor)
        return self.links.setdefault(link.id, LinkBelief())

    # --- observe ------------------------------------------------------------------------------

    def take(self, records: Iterable[Record]) -> None:
        """Holds observations until their window is closed; what may not be seen is refused."""
        for raw in records:
            record = filter_record(raw)
            if record is None:
                self.counters["refused"] += 1
            elif record.measurement not in self._wanted:
                self.counters["other"] += 1
            else:
                self._intake.take(record)

    def holds(self, window: int) -> int:
        """Number of link reports held for a window."""
        return self._intake.holds(window)

    def close(self, window: int, now_ns: int) -> list[Record]:
        """Looks at a window's observations: residuals, and what they say about deviations."""
        made = self._made.get(window)
        if made is None:
            raise ValueError(f"window {window} was not predicted")
        self._closed = window
        reports, others = self._intake.close(window)
        now_s = (now_ns - self._start_ns) / 1e9
        begins_s = window * self.window_s
        out: list[Record] = []
        residuals: dict[Channel, list[float]] = {}
        falls: list[LinkFall] = []
        for name, report in reports.items():
            prediction = made.get(name)
            if prediction is None or prediction.link is None:
                self.counters["unpredicted"] += 1
                if numbers(report).get("packets_in", 0.0):
                    # an inter-satellite link comes into use: it is predicted from now on
                    self._traffic[name] = window
                continue
            out += self._link(window, prediction, prediction.link, report, residuals, falls, now_ns)
        alarms: dict[Channel, Alarm] = {}
        for key, values in residuals.items():
            alarm = self.channels[key].observe(values, begins_s, self.window_s)
            if alarm is not None:
                alarms[key] = alarm
        out += self.events.fades(alarms, self.channels, set(residuals), falls, now_ns, now_s)
        if reports and not self.quiet:
            out += self._watching.silence(made, reports, begins_s, now_ns, now_s)
        out += self._watching.conclude(now_ns, now_s)
        for record in others:
            if record.measurement == "task":
                self._tasks.take(record)
        out += self._tasks.close(window, self._made, self._start_ns, now_ns)
        out += self._close_parts(window, made, reports, others, now_ns, now_s)
        out += self.events.estimates(now_ns, now_s)
        self.counters["windows"] += 1
        self.counters["windows_without_reports"] += not reports
        self._fidelity.take((*reports.values(), *(r for r in others if r.measurement == "flow")))
        self._fidelity.take(out)
        self._tell_states(made, reports, others)
        links = [name for name, one in made.items() if one.link is not None]
        self.synchronisation.window(links, reports, others, self._start_ns, now_s)
        self.synchronisation.compared(out, made, self._start_ns, now_s)
        out += self.synchronisation.records(now_ns, now_s, self.counters)
        return out + self._fidelity.records(now_ns)

    def _tell_states(
        self, made: dict[str, Prediction], reports: dict[str, Record], others: list[Record]
    ) -> None:
        """Lays what is believed after a window into the table, with the time of what it rests on."""
        newest: dict[str, float] = {}
        for record in (*reports.values(), *others):
            t_s = (record.t_ns - self._start_ns) / 1e9
            source = source_of(record)
            prediction = made.get(source)
            place = prediction.link.place if prediction is not None and prediction.link is not None else ""
            for target in (source, place):
                newest[target] = max(t_s, newest.get(target, t_s))
        for state in self.states():
            self.table.update(*state, newest.get(state.target, -math.inf))
        for name, one in made.items():
            if name in newest:
                for quantity in one.bands:
                    self.table.observed(name, quantity, newest[name])

    def _close_parts(
        self, window: int, made: dict[str, Prediction], reports: dict[str, Record], others: list[Record],
        now_ns: int, now_s: float,
    ) -> list[Record]:  # fmt: skip
        """Every part's share of a window: what came until its end."""
        if not self.parts:
            return []
        t_ns = self._start_ns + window * self._window_ns
        links = {name: one.link for name, one in made.items() if one.link is not None}
        closed = parts.Window(
            window, t_ns, window * self.window_s, self.window_s, now_ns, now_s, links, reports, self.quiet
        )
        out: list[Record] = []
        for part in self.parts:
            out += part.close(closed, [r for r in others if r.measurement in part.measurements])
        return out

    def _link(
        self,
        window: int,
        prediction: Prediction,
        link: NominalLink,
        report: Record,
        residuals: dict[Channel, list[float]],
        falls: list[LinkFall],
        now_ns: int,
    ) -> list[Record]:
        """One link's report of a window."""
        belief = self.links[link.id]
        t_ns, t_s = self._start_ns + window * self._window_ns, window * self.window_s
        now_s = (now_ns - self._start_ns) / 1e9
        number = numbers(report)
        length_s = number.get("window_s", self.window_s) or self.window_s
        out: list[Record] = []
        belief.windows += 1
        key = baseline_key(link)
        self._latest[key] = self._latest[link.group] = link.id

        def compare(quantity: str, observed: float, z: float) -> None:
            usual = self._baseline.climatology(key, quantity, t_s)
            band = prediction.bands[quantity]
            out.append(residual_record(link.id, quantity, t_ns, band, observed, z, usual))
            self._baseline.add(key, quantity, observed, t_s)

        if SNR in prediction.bands and math.isfinite(number.get("snr_db", math.nan)):
            channel = self.channels[(link.place, link.direction)]
            residual = number["snr_db"] - prediction.bands[SNR].mean
            compare(SNR, number["snr_db"], channel.noise.innovation(residual))
            residuals.setdefault((link.place, link.direction), []).append(residual)
            other = link.sink if link.source == link.place else link.source
            falls.append(LinkFall(link.id, link.place, other, residual, channel.noise.sd))
        if self.quiet:
            return out
        packets_out, lost = number.get("packets_out", 0.0), number.get("lost", 0.0)
        explained = link.place in self._channels.surrounded or self.events.explains(
            link.place, self.channels, now_s
        )
        if number.get("packets_in", 0.0) or packets_out:
            self._traffic[link.id] = window
        if THROUGHPUT in prediction.bands:
            observed = number.get("bytes_out", 0.0) * 8.0 / length_s
            compare(THROUGHPUT, observed, belief.load.learn(observed))
            belief.packets.add(packets_out + lost)
        published = link._replace(rate_bps=prediction.modcod_bps)
        out += self._watching.capacity(
            published, number, self._others(published), explained, t_s, now_ns, now_s
        )  # fmt: skip
        if LOSS in prediction.bands and packets_out + lost > 0:
            band, observed = prediction.bands[LOSS], lost / (packets_out + lost)
            compare(LOSS, observed, (observed - band.mean) / band.sd if band.sd > 0.0 else 0.0)
            if not explained:
                belief.observe_loss(lost, packets_out + lost)
            noticed, turned = self._watching.loss(
                link.id, lost, packets_out + lost, band.mean, explained, t_s, now_ns, now_s
            )  # fmt: skip
            if turned:
                belief.expect_loss(*self._watching.losses(link.id).counts)
            out += noticed
        if DELAY in prediction.bands and packets_out > 0 and (report.samples or "delay_mean_ms" in number):
            samples = report.samples or [number["delay_mean_ms"]]
            observed = number.get("delay_mean_ms", sum(samples) / len(samples))
            compare(DELAY, observed, belief.observe_delays(link, observed, samples, self.window_s))
            busy_s = number.get("busy_s", 0.0)
            noticed, moved_ms = self._watching.floor(
                link, min(samples), busy_s, explained, t_s, now_ns, now_s
            )  # fmt: skip
            if abs(moved_ms) > SMALLEST_DELAY_MS:
                belief.bias.mean += moved_ms
                belief.bias.variance += (0.2 * moved_ms) ** 2
            out += noticed
        else:
            belief.window_work.miss()
        return out

    def _others(self, link: NominalLink) -> tuple[float, ...]:
        """Rates over the believed one of ModCods that a link may be using instead."""
        channel = self.channels.get((link.place, link.direction))
        return self._network.other_rates(link, 0.1 + 3.0 * channel.bias.sd) if channel is not None else ()

    # --- belief -------------------------------------------------------------------------------

    def beliefs(self, now_ns: int) -> list[Record]:
        """The state as records: mean and variance of every parameter that is learned."""
        out = []
        for target, name, mean, variance in self.states():
            fields: dict[str, Value] = {"mean": mean, "variance": variance}
            entry = self.table.get(target, name)
            if entry is not None and math.isfinite(entry.t_s):
                fields |= {"version": entry.version, "age_s": (now_ns - self._start_ns) / 1e9 - entry.t_s}
            out.append(Record(now_ns, "belief", {"target": target, "state": name}, fields))
        return out

    def states(self) -> Iterator[State]:
        """Mean and variance of every parameter that is learned."""
        for (place, direction), channel in self.channels.items():
            if channel.windows:
                yield State(place, f"snr_bias_{direction}_db", channel.bias.mean, channel.bias.variance)
                faded = channel.phase is Phase.FADED
                attenuation = channel.attenuation() if faded else Size(0.0, 0.0, 0.0, 0.0)
                yield State(place, f"attenuation_{direction}_db", attenuation.mean, attenuation.sd**2)
        for name in sorted(self._present):
            belief = self.links[name]
            if belief.windows:
                yield State(name, "delay_bias_ms", belief.bias.mean, belief.bias.variance)
                rate, losses = self._watching.rate(name), self._watching.losses(name)
                yield State(name, "capacity_factor", rate.factor, rate.now[1] ** 2)
                share = belief.lost_share
                yield State(name, "loss_share", *share)
                process = losses.dispersion.process(share[0])
                if process.p11 != process.p01:
                    yield State(name, "loss_p01", process.p01, 0.0)
                    yield State(name, "loss_p11", process.p11, 0.0)
        for name, server in self.servers.items():
            if server.tasks:
                factor = math.exp(server.factor_log.mean)
                yield State(name, "service_factor", factor, factor**2 * server.factor_log.variance)
        for part in self.parts:
            yield from part.states()

    def planned(self) -> list[NominalLink]:
        """The links there are, as predicted for the newest window."""
        newest = self._made.get(max(self._made, default=-1), {})
        return [made.link for made in newest.values() if made.link is not None]

    def obey(self, orders: Orders) -> None:
        """What the network was ordered, so that predictions count on it."""
        self._network.obey(orders)

    def belief(self, now_ns: int) -> Belief:
        """The parameters as they are believed now: what a what-if starts from."""
        belief = Belief((now_ns - self._start_ns) / 1e9)
        for (place, direction), channel in self.channels.items():
            key = f"{place}/{direction}"
            belief.snr_bias_db[key] = Estimate(channel.bias.mean, channel.bias.sd)
            if channel.phase is Phase.FADED:
                belief.attenuation_db[key] = Estimate(*channel.attenuation()[:2])
        for name in sorted(self._present):
            one = self.links[name]
            belief.delay_ms[name] = Estimate(one.bias.mean, one.bias.sd)
            rate = self._watching.rate(name)
            if abs(rate.factor - 1.0) > _SAME_RATE:
                belief.capacity_factor[name] = Estimate(rate.factor, rate.now[1])
            losses = self._watching.losses(name)
            if losses.changed:
                belief.loss[name] = Estimate(*losses.size()[:2])
        for name, server in self.servers.items():
            factor = math.exp(server.factor_log.mean)
            belief.service_factor[name] = Estimate(factor, factor * server.factor_log.sd)
        for event in self.events.active:
            if event.kind == LINK_DOWN:
                belief.down += event.links
        for part in self.parts:
            part.tell(belief)
        return belief
