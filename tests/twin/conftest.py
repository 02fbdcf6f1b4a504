"""A synthetic network and plant for the twin's tests: no processes, no World, virtual time.

Seven terminals reach a gateway over two satellites (all change satellites half-way through), the gateway
a data centre over a fixed link; two servers work on tasks. Truth differs from the published values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from emulator.orders import Orders
from emulator.spec import ConstellationSpec, FixedLink, Place, RadioSpec, WorldSpec
from nodes.wire import Record
from testbed.twin.core import Twin
from testbed.twin.knowledge import Knowledge, Settings
from testbed.twin.nominal import NominalLink, RadioBelief

START_NS = 5_000_000_000_000
WINDOW_S = 0.5
WINDOW_NS = 500_000_000
TERMINALS = tuple(f"field-{n}" for n in range(1, 8))
SERVERS = {"edge-ground": 6e9, "edge-sat": 3e9}


def none_db(_place: str, _t_s: float) -> float:
    return 0.0


@dataclass
class Truth:
    """What the plant does that the twin is not told."""

    fade_db: Callable[[str, float], float] = none_db
    server_factor: Callable[[str, float], float] = lambda _name, _t: 1.0
    link_down: Callable[[str, float], bool] = lambda _link, _t: False
    capacity: Callable[[str, float], float] = lambda _link, _t: 1.0
    extra_delay_ms: Callable[[str, float], float] = lambda _link, _t: 0.0
    extra_loss: Callable[[str, float], float] = lambda _link, _t: 0.0
    snr_bias_db: dict[str, float] = field(default_factory=dict)
    processing_factor: float = 1.1
    snr_noise_db: float = 0.3
    snr_phi: float = 0.0
    missing: float = 0.0
    handover_s: float = math.inf


def _efficiency(snr_db: float) -> float:
    return max(0.5, math.floor(2.0 * math.log2(1.0 + 10.0 ** (snr_db / 10.0))) / 2.0)


class SyntheticNetwork:
    """Stands in for the emulator's World: the same answer for the plant and the twin, by their belief."""

    def __init__(self, loss_db: Callable[[str, str], float], handover_s: float) -> None:
        self._loss_db = loss_db
        self._handover_s = handover_s

    def attenuation_of_fall(self, place: str, direction: str, fall_db: float) -> float:
        """Noise does not rise with weather here."""
        return fall_db

    def obey(self, orders: Orders) -> None:
        """Nothing is chosen here."""

    def other_rates(self, link: NominalLink, doubt_db: float) -> tuple[float, ...]:
        """What adaptive coding chooses within the doubt about the SNR."""
        if not math.isfinite(link.snr_db):
            return ()
        rates = {2e6 * _efficiency(link.snr_db + step * doubt_db) for step in (-1.0, 0.0, 1.0)}
        return tuple(rate / link.rate_bps for rate in rates if abs(rate / link.rate_bps - 1.0) > 1e-6)

    def at(self, t_s: float, isl: frozenset[str] = frozenset()) -> list[NominalLink]:
        first, second = ("sat-1", "sat-2") if t_s < self._handover_s else ("sat-3", "sat-2")
        links = []
        for index, place in enumerate(TERMINALS):
            links += self._pair("access", place, first if index % 2 == 0 else second, t_s, 4.0, 12.0)
        for satellite in (first, second):
            links += self._pair("feeder", "gateway-site", satellite, t_s, 2.0, 14.0)
        for name in ("gateway-site>data-centre", "data-centre>gateway-site"):
            source, _, sink = name.partition(">")
            links.append(
                NominalLink(
                    name, source, sink, "fixed", "", "up", f"fixed/{name}", 0.5, 0.5, 0.02, 100e6, math.nan,
                    0.0, 0.0, 0,
                )
            )  # fmt: skip
        return links

    def _pair(
        self, kind: str, place: str, satellite: str, t_s: float, processing_ms: float, snr_db: float
    ) -> Iterator[NominalLink]:
        phase = sum(satellite.encode()) % 7
        range_km = 1300.0 + 300.0 * math.sin(t_s / 200.0 + phase)
        clear = snr_db - 20.0 * math.log10(range_km / 1300.0) - 0.5 * phase
        for direction in ("up", "down"):
            snr = clear - self._loss_db(place, direction)
            efficiency = _efficiency(snr)
            source, sink = (place, satellite) if direction == "up" else (satellite, place)
            flight_ms = range_km / 299.792458
            yield NominalLink(
                f"{source}>{sink}", source, sink, kind, place, direction, f"{kind}/radio/{direction}",
                flight_ms + processing_ms, flight_ms, 0.2, 2e6 * efficiency, snr, 0.0, 0.0, 0,
            )  # fmt: skip


class SyntheticPlant:
    """Telemetry of the synthetic network, window by window."""

    def __init__(self, truth: Truth, seed: int = 1) -> None:
        self.truth = truth
        self._now_s = 0.0
        self._rng = np.random.default_rng(seed)
        self._network = SyntheticNetwork(self._loss_db, truth.handover_s)
        self._ar: dict[str, float] = {}
        self._next_task = dict.fromkeys(SERVERS, 0.3)

    def _loss_db(self, place: str, _direction: str) -> float:
        return self.truth.fade_db(place, self._now_s) - self.truth.snr_bias_db.get(place, 0.0)

    def window(self, number: int) -> list[Record]:
        """The records of a window, as the supervisor would forward them after its end."""
        self._now_s = (number + 0.5) * WINDOW_S
        stamp = START_NS + (number + 1) * WINDOW_NS + 2_000_000
        records = []
        for link in self._network.at(self._now_s):
            if self.truth.link_down(link.id, self._now_s) or self._rng.random() < self.truth.missing:
                continue
            records.append(self._link(link, stamp))
        return records + self._tasks((number + 1) * WINDOW_S)

    def _link(self, link: NominalLink, stamp: int) -> Record:
        rng, truth = self._rng, self.truth
        link = link._replace(rate_bps=link.rate_bps * truth.capacity(link.id, self._now_s))
        bits = rng.choice([900.0, 10_000.0], size=rng.poisson(6.0), p=[0.7, 0.3])
        if rng.random() < 0.15:  # a task's fragments arrive together
            bits = np.append(bits, np.full(40, 10_000.0))
            queued = np.concatenate((np.zeros(len(bits) - 40), np.arange(40) * 10_000.0))
        else:
            queued = rng.exponential(2_000.0, len(bits)) * (rng.random(len(bits)) < 0.2)
        processing = (link.delay_ms - link.propagation_ms) * truth.processing_factor
        delays = link.propagation_ms + processing + (bits + queued) / link.rate_bps * 1e3
        delays = delays + rng.exponential(link.jitter_ms, len(bits))
        delays = delays + truth.extra_delay_ms(link.id, self._now_s)
        kept = rng.random(len(bits)) >= truth.extra_loss(link.id, self._now_s)
        out = delays[kept]
        fields: dict[str, bool | int | float | str] = {
            "window_s": WINDOW_S, "packets_in": len(bits), "bytes_in": int(bits.sum() / 8),
            "packets_out": len(out), "bytes_out": int(bits[kept].sum() / 8), "lost": int((~kept).sum()),
            "dropped_queue": 0, "dropped_down": 0, "busy_s": float(bits.sum() / link.rate_bps),
            "queue_packets": 0,
        }  # fmt: skip
        if math.isfinite(link.snr_db):
            phi = truth.snr_phi
            fresh = rng.normal(0.0, truth.snr_noise_db * math.sqrt(1.0 - phi**2))
            self._ar[link.id] = phi * self._ar.get(link.id, 0.0) + fresh
            fields["snr_db"] = link.snr_db + self._ar[link.id]
        if len(out):
            fields["delay_mean_ms"] = float(out.mean())
        tags = {"link": link.id, "from": link.source, "to": link.sink, "kind": link.kind}
        return Record(stamp, "link", tags, fields, out.tolist()[:200])

    def _tasks(self, until_s: float) -> list[Record]:
        records = []
        for name, nominal in SERVERS.items():
            while True:
                begins = self._next_task[name]
                cycles = self._rng.uniform(1e8, 1.4e9)
                rate = nominal * self.truth.server_factor(name, begins)
                service = cycles / rate + abs(self._rng.normal(0.0, 0.001))
                if begins + service > until_s:
                    break
                self._next_task[name] = begins + max(self._rng.exponential(0.8), service)
                done_ns = START_NS + round((begins + service) * 1e9)
                fields: dict[str, bool | int | float | str] = {"cycles": cycles, "service_s": service}
                records.append(Record(done_ns, "task", {"node": name, "client": "field-1"}, fields))
        return records


def public_world(duration_s: float) -> WorldSpec:
    places = [Place(name, "ground", radio="radio", access="terminal") for name in TERMINALS]
    places.append(Place("gateway-site", "ground", radio="radio", access="gateway"))
    places.append(Place("data-centre", "ground"))
    return WorldSpec(
        "2025-06-01T12:00:00Z", duration_s, 0.1, tuple(places), ConstellationSpec(),
        (RadioSpec("radio"),), (FixedLink("gateway-site", "data-centre"),),
    )  # fmt: skip


@dataclass
class Outcome:
    """All records of a run: the plant's observations and what the twin said, in order."""

    observed: list[Record]
    said: list[Record]
    twin: Twin

    def of(self, measurement: str) -> list[Record]:
        return [record for record in self.said if record.measurement == measurement]

    def detections(self) -> list[tuple[str, str]]:
        return [(r.tags["kind"], r.tags["where"]) for r in self.of("detection")]


def nominal(_spec: WorldSpec, belief: RadioBelief, handover_s: float = math.inf) -> SyntheticNetwork:
    """The network as a twin with a belief takes it to be."""
    return SyntheticNetwork(
        lambda place, direction: belief.fade_db(place, direction) - belief.bias_db(place, direction),
        handover_s,
    )


def make_twin(duration_s: float, handover_s: float = math.inf, false_alarms_per_day: float = 0.1) -> Twin:
    known = Knowledge(
        public_world(duration_s), duration_s, WINDOW_S, dict(SERVERS),
        {"edge-ground": "data-centre", "edge-sat": "on-board"},
        Settings(false_alarms_per_day=false_alarms_per_day),
    )  # fmt: skip

    twin = Twin(known, lambda spec, belief: nominal(spec, belief, handover_s))
    twin.begin(START_NS)
    return twin


def run_twin(duration_s: float, truth: Truth | None = None, seed: int = 1, keep: bool = True) -> Outcome:
    """Runs a twin beside a synthetic plant; `keep` False keeps detections and recoveries only."""
    truth = truth or Truth()
    plant, twin = SyntheticPlant(truth, seed), make_twin(duration_s, truth.handover_s)
    outcome = Outcome([], [], twin)
    wanted = {"detection", "recovery"}
    said = twin.predict(0)
    for number in range(int(duration_s / WINDOW_S)):
        records = plant.window(number)
        twin.take(records)
        now_ns = START_NS + (number + 1) * WINDOW_NS + 200_000_000
        said += twin.close(number, now_ns)
        said += twin.predict(number + 1)
        if number % 2:
            said += twin.beliefs(now_ns)
        outcome.observed += records if keep else []
        outcome.said += said if keep else [r for r in said if r.measurement in wanted]
        said = []
    return outcome


class Synthetic:
    """What tests take from here."""

    Truth, Plant = Truth, SyntheticPlant
    start_ns, window_ns = START_NS, WINDOW_NS
    run = staticmethod(run_twin)
    make_twin = staticmethod(make_twin)
    network = staticmethod(nominal)
    world = staticmethod(public_world)


@pytest.fixture(scope="session")
def synthetic() -> type[Synthetic]:
    return Synthetic
