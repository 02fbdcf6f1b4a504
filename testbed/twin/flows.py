"""Belief about flows: delay, loss, throughput and age of what one node receives from another.

A flow is told of by the node where it ends, window by window. What its next report will say is forecast from
those before it, whatever links it takes: a flow's own history knows queues, retransmissions and other paths
that no single link shows. Detecting changes is the business of links and servers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from nodes.wire import Record, Value
from testbed.twin.baselines import ConstantBaseline
from testbed.twin.belief import Belief
from testbed.twin.filters import ForgettingMean
from testbed.twin.forecast import Band, Forecast
from testbed.twin.links import poisson_band
from testbed.twin.observations import numbers
from testbed.twin.parts import State, Window
from testbed.twin.predict import residual_record
from testbed.twin.synchronisation import source_of

DELAY, LOSS, THROUGHPUT, AGE = "flow_delay_ms", "flow_loss", "flow_throughput_bps", "flow_age_s"
#: a flow nobody reports on for so many windows is forgotten
_FORGOTTEN_WINDOWS = 240
#: most flows followed at a time; reports of further ones are counted, no more
FLOWS_MAX = 512
#: weight, in messages, of what is believed of a flow's loss before any was counted
_PRIOR_MESSAGES, _PRIOR_LOSS = 50.0, 0.01


class _Flow:
    """What is believed of one flow."""

    def __init__(self) -> None:
        self.forecasts: dict[str, Forecast] = {}
        self.messages = ForgettingMean(40)
        self.lost = self.sent = 0.0
        self.counts_gaps = False
        self.reported_ns = 0
        self.window = 0
        #: what is predicted for the next report; None: to be worked out anew
        self._bands: dict[str, Band] | None = None

    def learn(self, quantity: str, value: float) -> float:
        """A value of the next window; its deviation from the mean, whitened (0 for the first)."""
        forecast = self.forecasts.get(quantity)
        if forecast is None:
            forecast = self.forecasts[quantity] = Forecast(value, max(0.5 * abs(value), 1e-6))
        self._bands = None
        return forecast.learn(value)

    def miss(self, quantity: str) -> None:
        """The next window has no such value."""
        if quantity in self.forecasts:
            self._bands = None
            self.forecasts[quantity].miss()

    def count(self, packets: float, lost: float) -> None:
        """Messages that came, and that were missing between them; older counts fade."""
        self.counts_gaps, self._bands = True, None
        self.lost, self.sent = 0.99 * self.lost + lost, 0.99 * self.sent + packets + lost
        if packets + lost:
            self.messages.add(packets + lost)

    def bands(self) -> dict[str, Band]:
        """Predictions for the next report (not to be changed)."""
        if self._bands is None:
            self._bands = self._predicted()
        return self._bands

    def _predicted(self) -> dict[str, Band]:
        made = {name: forecast.band(0.0, 1.0, 0.0, low=0.0) for name, forecast in self.forecasts.items()}
        if self.counts_gaps:
            weight = _PRIOR_MESSAGES
            p = min((weight * _PRIOR_LOSS + self.lost) / (weight + self.sent), 1.0)
            expected = max(self.messages.value, 1.0)
            low, high, median = poisson_band(p * expected)
            sd = math.sqrt(p * (1.0 - p) / expected + p / (weight + self.sent))
            made[LOSS] = Band(p, sd, low / expected, min(high / expected, 1.0), min(median / expected, 1.0))
        return made


class Flows:
    """The flows that nodes report on; a part of the twin."""

    measurements = frozenset({"flow"})

    def __init__(self, calibration_s: float = 0.0) -> None:
        """`calibration_s`: run time up to which the trivial predictions are taken from what is reported."""
        self._baseline = ConstantBaseline(calibration_s)
        self._flows: dict[str, _Flow] = {}
        self._made: dict[str, dict[str, Band]] = {}
        self.unfollowed = 0

    def close(self, window: Window, records: list[Record]) -> list[Record]:
        """Residuals of the reports of a window, then predictions for the one after it."""
        out: list[Record] = []
        for record in records:
            name = source_of(record)
            flow = self._flows.get(name)
            if flow is None:
                if len(self._flows) >= FLOWS_MAX:
                    self.unfollowed += 1
                    continue
                flow = self._flows[name] = _Flow()
            if not window.quiet:
                out += self._take(window, name, flow, record)
            flow.reported_ns, flow.window = record.t_ns, window.number
        for name in [n for n, f in self._flows.items() if window.number - f.window > _FORGOTTEN_WINDOWS]:
            del self._flows[name]
            self._baseline.forget(name)
        self._made = {name: flow.bands() for name, flow in self._flows.items()}
        next_ns = window.t_ns + round(window.window_s * 1e9)
        for name, bands in self._made.items():
            for quantity, band in bands.items():
                fields: dict[str, Value] = {
                    "mean": band.mean, "sd": band.sd, "median": band.median, "lo90": band.low,
                    "hi90": band.high, "window_s": window.window_s,
                }  # fmt: skip
                constant = self._baseline.value(name, quantity)
                if constant is not None:
                    fields["baseline_constant"] = constant
                out.append(Record(next_ns, "prediction", {"target": name, "quantity": quantity}, fields))
        return out

    def _take(self, window: Window, name: str, flow: _Flow, record: Record) -> list[Record]:
        number = numbers(record)
        packets, lost = number.get("packets", 0.0), number.get("lost", 0.0)
        made = self._made.pop(name, {})  # of several reports in a window the first is compared
        out: list[Record] = []

        def compare(quantity: str, observed: float, z: float) -> None:
            if quantity in made:
                usual = self._baseline.climatology(name, quantity, window.begins_s)
                out.append(residual_record(name, quantity, window.t_ns, made[quantity], observed, z, usual))
            self._baseline.add(name, quantity, observed, window.begins_s)

        if flow.reported_ns and record.t_ns > flow.reported_ns:
            seconds = (record.t_ns - flow.reported_ns) / 1e9
            rate = number.get("bytes", 0.0) * 8.0 / seconds
            compare(THROUGHPUT, rate, flow.learn(THROUGHPUT, rate))
        if "delay_mean_ms" in number and packets > 0:
            compare(DELAY, number["delay_mean_ms"], flow.learn(DELAY, number["delay_mean_ms"]))
        else:
            flow.miss(DELAY)
        if "age_s" in number:
            compare(AGE, number["age_s"], flow.learn(AGE, number["age_s"]))
        if "lost" in number:
            if packets + lost > 0:
                share = lost / (packets + lost)
                band = made.get(LOSS)
                compare(LOSS, share, (share - band.mean) / band.sd if band is not None and band.sd else 0.0)
            flow.count(packets, lost)
        return out

    def states(self) -> Iterator[State]:
        """What the next report of every flow is expected to say."""
        for name, bands in self._made.items():
            for quantity, band in bands.items():
                yield State(name, quantity, band.mean, band.sd**2)

    def tell(self, belief: Belief) -> None:
        """Nothing: flows follow from links and servers in what a what-if runs."""

    def miss(self, seconds: float) -> None:
        """Time passes without reports: what was said last is no guide to what comes next."""
        for flow in self._flows.values():
            flow.reported_ns = 0
            for quantity in flow.forecasts:
                flow.miss(quantity)
