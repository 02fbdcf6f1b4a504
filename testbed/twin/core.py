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
from nodes.wire import Record
from testbed.twin import freeze, parts, snapshot
from testbed.twin.baselines import ConstantBaseline
from testbed.twin.belief import Belief
from testbed.twin.believed import SAME_RATE, Believed
from testbed.twin.channels import Channels
from testbed.twin.detect import Alarm, threshold_for
from testbed.twin.events import Channel, Events
from testbed.twin.forecast import rehearse as rehearse_forecasts
from testbed.twin.intake import Intake
from testbed.twin.knowledge import Knowledge
from testbed.twin.links import LinkBelief
from testbed.twin.nominal import NominalLink, NominalNetwork, RadioBelief
from testbed.twin.observations import filter_record, numbers
from testbed.twin.orbit import Orbits
from testbed.twin.parts import State
from testbed.twin.predict import (
    Prediction,
    predict_link,
    predict_server,
    prediction_records,
)
from testbed.twin.reported import LinkReports, Moment
from testbed.twin.roster import Roster
from testbed.twin.running import rehearse as rehearse_sums
from testbed.twin.servers import ServerBelief
from testbed.twin.streaming import Fidelity
from testbed.twin.synchronisation import Synchronisation
from testbed.twin.synchronisation import rehearse as rehearse_ages
from testbed.twin.tasks import Tasks
from testbed.twin.watching import LinkWatching

#: predictions of so many windows are kept for tasks that are reported late
_KEPT_WINDOWS = 12
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
        self.counters: Counter[str] = Counter()
        self.events = Events(knowledge.window_s)
        #: traffic is being ended: silence means nothing, and load is not to be learned from it
        self.quiet = False
        self._network = build(knowledge.world, self)
        self._start_ns = 0
        calibration_s = knowledge.settings.calibration_share * knowledge.duration_s
        self._baseline = ConstantBaseline(calibration_s)
        self._fidelity = Fidelity(knowledge.window_s, calibration_s)
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
        self._roster = Roster(self._watching)
        self.links = self._roster.beliefs
        self._reports = LinkReports(
            self._roster, self._channels, self._watching, self.events, self._baseline, self._network
        )
        self.servers = {name: ServerBelief(hz, self.threshold) for name, hz in knowledge.servers.items()}
        self._tasks = Tasks(
            self.servers, knowledge.node_places, self.events, self._baseline, self._window_ns, self.counters
        )
        self.synchronisation = Synchronisation(self.window_s)
        self.parts = parts.build(knowledge, self.events, self.threshold)
        self._believed = Believed(
            self._channels, self._roster, self._watching, self.servers, self.parts, self.events
        )
        #: what is believed of everything, with versions
        self.table = self._believed.table
        for part in self.parts:
            self._watching.passes = getattr(part, "passes", self._watching.passes)
        self._wanted = frozenset({"link", "task", "flow"}).union(*(part.measurements for part in self.parts))

    def rehearse(self) -> None:
        """Computes the first window's network once, so that nothing is compiled or read after the start."""
        self._network.at(0.0, frozenset())
        rehearse_forecasts()
        rehearse_ages()
        rehearse_sums()

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
            if isinstance(part, Orbits):
                part.tell(found)
        return {name: value.mean for name, value in found.along_track_km.items()}

    def link_belief(self, link: NominalLink) -> LinkBelief:
        """What is believed of a link, also of one that does not exist yet; not to be changed."""
        return self._roster.peek(link)

    # --- predict ------------------------------------------------------------------------------

    def predict(self, window: int) -> list[Record]:
        """Predictions for a window; windows in rising order."""
        nominal = self._network.at((window + 0.5) * self.window_s, self._roster.used(window))
        t_ns = self._start_ns + window * self._window_ns
        made: dict[str, Prediction] = {}
        records = []
        for published in nominal:
            link = published
            belief = self._roster.meet(link)
            channel = None
            if link.place and math.isfinite(link.snr_db):
                channel = self._channels.of(link)
            rate_bps, factor = link.rate_bps, self._watching.rate(link.id).factor
            if abs(factor - 1.0) > SAME_RATE:
                link = link._replace(rate_bps=factor * rate_bps)
            made[link.id] = predict_link(link, belief, channel)
            made[link.id].modcod_bps = rate_bps
            records += prediction_records(made[link.id], belief, self._baseline, t_ns, self.window_s)
        self._roster.settle(made)
        for name, server in self.servers.items():
            made[name] = predict_server(name, server)
            records += prediction_records(made[name], None, self._baseline, t_ns, self.window_s)
        self._believed.predicted(made, self._made.get(window - 1, {}))
        self._made[window] = made
        self._made.pop(window - _KEPT_WINDOWS, None)
        self._fidelity.take(records)
        return records

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
        t_ns, begins_s = self._start_ns + window * self._window_ns, window * self.window_s
        out: list[Record] = []
        at = Moment(window, t_ns, begins_s, self.window_s, now_ns, now_s, self.quiet)
        for name, report in reports.items():
            prediction = made.get(name)
            if prediction is None or prediction.link is None:
                self.counters["unpredicted"] += 1
                if numbers(report).get("packets_in", 0.0):
                    # an inter-satellite link comes into use: it is predicted from now on
                    self._roster.carried(name, window)
                continue
            out += self._reports.take(at, prediction, prediction.link, report)
        alarms: dict[Channel, Alarm] = {}
        for key, values in at.residuals.items():
            alarm = self.channels[key].observe(values, begins_s, self.window_s)
            if alarm is not None:
                alarms[key] = alarm
        out += self.events.fades(alarms, self.channels, set(at.residuals), at.falls, now_ns, now_s)
        if reports and not self.quiet:
            out += self._watching.silence(made, reports, begins_s, now_ns, now_s)
        out += self._watching.conclude(now_ns, now_s)
        for record in others:
            if record.measurement == "task":
                self._tasks.take(record)
        out += self._tasks.close(window, self._made, self._start_ns, now_ns)
        links = {name: one.link for name, one in made.items() if one.link is not None}
        closed = parts.Window(
            window, t_ns, begins_s, self.window_s, now_ns, now_s, links, reports, self.quiet
        )
        for part in self.parts:
            out += part.close(closed, [r for r in others if r.measurement in part.measurements])
        out += self.events.estimates(now_ns, now_s)
        self.counters["windows"] += 1
        self.counters["windows_without_reports"] += not reports
        self._fidelity.take((*reports.values(), *(r for r in others if r.measurement == "flow")))
        self._fidelity.take(out)
        self._believed.learned(made, (*reports.values(), *others), self._start_ns)
        self.synchronisation.window(links, reports, others, self._start_ns, now_s)
        self.synchronisation.compared(out, made, self._start_ns, now_s)
        out += self.synchronisation.records(now_ns, now_s, self.counters)
        return out + self._fidelity.records(now_ns)

    # --- belief -------------------------------------------------------------------------------

    def beliefs(self, now_ns: int) -> list[Record]:
        """The state as records: mean and variance of every parameter that is learned."""
        return self._believed.records(now_ns, (now_ns - self._start_ns) / 1e9)

    def states(self) -> Iterator[State]:
        """Mean and variance of every parameter that is learned."""
        return self._believed.states()

    def planned(self) -> list[NominalLink]:
        """The links there are, as predicted for the newest window."""
        newest = self._made.get(max(self._made, default=-1), {})
        return [made.link for made in newest.values() if made.link is not None]

    def obey(self, orders: Orders) -> None:
        """What the network was ordered, so that predictions count on it."""
        self._network.obey(orders)

    def belief(self, now_ns: int) -> Belief:
        """The parameters as they are believed now: what a what-if starts from."""
        return self._believed.parameters((now_ns - self._start_ns) / 1e9)
