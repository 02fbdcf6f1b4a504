"""What is true in the plant and told to nobody: hidden parameters, and deviations in time.

Hidden parameters are drawn once from the run's seed around the published values, so that a twin that
believes the published ones is honestly wrong. Deviations come and go at their moments, rain of the
scenario's weather (`sky`) as it falls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from emulator.table import Adjustments
from nodes.wire import Record
from testbed.scenario import Scenario
from testbed.scenario.base import Table
from testbed.scenario.node_tables import (
    Capacity,
    ClockOffset,
    Deviation,
    ExtraDelay,
    ExtraLoss,
    Flood,
    Impostor,
    LinkDown,
    LostTelemetry,
    Rain,
    SlowServer,
    StaleOrbit,
)


@dataclass(frozen=True)
class Moment:
    """A deviation with its run times."""

    deviation: Deviation
    start_s: float
    end_s: float

    def active(self, t_s: float) -> bool:
        return self.start_s <= t_s < self.end_s

    def ramp(self, t_s: float, ramp_s: float) -> float:
        """Share of its full size at a time: rises over `ramp_s` from the start, falls after the end."""
        if t_s < self.start_s:
            return 0.0
        if ramp_s <= 0:
            return 1.0 if t_s < self.end_s else 0.0
        rise = min(1.0, (t_s - self.start_s) / ramp_s)
        fall = min(1.0, max(0.0, (t_s - self.end_s) / ramp_s))
        return rise * (1.0 - fall)


def moments(scenario: Scenario) -> list[Moment]:
    """Every deviation of the scenario with its run times."""
    duration_s = scenario.run.duration_s
    return [Moment(d, d.start_s(duration_s), d.end_s(duration_s)) for d in scenario.deviations]


def event(moment: Moment, t_ns: int, what: str) -> Record:
    """The `plant_event` record of a deviation's start or end."""
    deviation = moment.deviation
    fields = {
        name: value
        for name, value in deviation.model_dump(by_alias=True, exclude={"kind", "target"}).items()
        if isinstance(value, bool | int | float | str)
    }
    fields |= {"what": what, "start_s": moment.start_s, "end_s": moment.end_s}
    return Record(t_ns, "plant_event", {"deviation": deviation.kind, "target": deviation.target}, fields)


class Truth:
    """Keeps the world's Adjustments as they are at the present moment of the run."""

    def __init__(self, scenario: Scenario) -> None:
        self._moments = moments(scenario)
        self._rain = [m for m in self._moments if isinstance(m.deviation, Rain)]
        # here, because who only asks for the moments has no use for compiled kernels
        from testbed.plant.sky import rain_of

        self._sky = rain_of(scenario)
        self._scenario = scenario
        self._sites = {place.id: place for place in scenario.world_spec().places} if self._rain else {}
        random = np.random.default_rng([scenario.run.seed, 11])
        plant = scenario.plant
        self.adjustments = Adjustments(
            attenuation_db=self._attenuation_db if self._rain or self._sky else None,
            processing_bias={
                name: float(np.exp(random.normal(0.0, plant.processing_sigma)))
                for name in scenario.document.radios
            },
            implementation_loss_bias_db={
                place: float(random.normal(0.0, plant.implementation_loss_sigma_db))
                for place in scenario.places
            },
            shadowing_seed=scenario.run.seed if plant.shadowing and _surrounded(scenario) else None,
            along_track_km={
                m.deviation.target: m.deviation.along_track_km
                for m in self._moments
                if isinstance(m.deviation, StaleOrbit)
            },
        )

        biases = np.random.default_rng([scenario.run.seed, 12])
        #: by place: what its modem's ranging is off by all the time, us
        self.range_bias_us = {
            place: float(biases.normal(0.0, plant.range_bias_sigma_us)) for place in scenario.places
        }

    def at(self, t_s: float) -> None:
        """Bring the adjustments to run time `t_s`; call it before the world's epoch of that time."""
        now = self.adjustments
        now.link_down.clear()
        now.extra_delay_ms.clear()
        now.extra_loss.clear()
        now.rate_factor.clear()
        for moment in self._moments:
            if not moment.active(t_s):
                continue
            deviation: Any = moment.deviation
            if isinstance(deviation, LinkDown | ExtraDelay | ExtraLoss | Capacity):
                source, _, sink = deviation.target.partition(">")
                if isinstance(deviation, LinkDown):
                    now.link_down.add((source, sink))
                elif isinstance(deviation, ExtraDelay):
                    now.extra_delay_ms[source, sink] = deviation.delay_ms
                elif isinstance(deviation, ExtraLoss):
                    now.extra_loss[source, sink] = deviation.loss
                else:
                    now.rate_factor[source, sink] = deviation.factor

    def _attenuation_db(self, place: str, t_s: float, elevation_deg: float, frequency_ghz: float) -> float:
        total = self._sky(place, t_s, elevation_deg, frequency_ghz) if self._sky is not None else 0.0
        for moment in self._rain:
            rain: Any = moment.deviation
            if place not in self._scenario.places_called(rain.target):
                continue
            share = moment.ramp(t_s, rain.ramp_s)
            if share <= 0.0:
                continue
            if rain.attenuation_db is not None:
                total += share * rain.attenuation_db
            else:
                total += self._from_rate(place, share * rain.rain_rate_mm_h, elevation_deg, frequency_ghz)
        return total

    def _from_rate(self, place: str, rate_mm_h: float, elevation_deg: float, frequency_ghz: float) -> float:
        from emulator.radio.atmosphere import rain_attenuation_db

        return float(rain_attenuation_db(self._sites[place], rate_mm_h, elevation_deg, frequency_ghz))


def _surrounded(scenario: Scenario) -> bool:
    return any(radio.environment != "none" for radio in scenario.document.radios.values())


_Kind = TypeVar("_Kind", bound=Table)


def _of_kind(scenario: Scenario, kind: type[_Kind]) -> list[tuple[Moment, _Kind]]:
    return [(m, m.deviation) for m in moments(scenario) if isinstance(m.deviation, kind)]


def slow_servers(scenario: Scenario) -> list[tuple[Moment, SlowServer]]:
    """The deviations that a node carries out, not the channel."""
    return _of_kind(scenario, SlowServer)


def clock_offsets(scenario: Scenario) -> list[tuple[Moment, ClockOffset]]:
    """Clocks that jump: carried out by the node itself."""
    return _of_kind(scenario, ClockOffset)


def impostors(scenario: Scenario) -> list[tuple[Moment, Impostor]]:
    """Identities that are claimed by a second source: carried out by who sends beside the node."""
    return _of_kind(scenario, Impostor)


class FloodWay(NamedTuple):
    """A flood: its packets enter at place `source` and are addressed to node `target`."""

    moment: Moment
    flood: Flood
    source: str
    target: str


def floods(scenario: Scenario) -> list[FloodWay]:
    """Floods with the node that each is addressed to: one at the far end of the link, or the first node to
    which the way from the source may lead over it."""
    return [
        FloodWay(moment, flood, *_way(scenario, *flood.target.split(">")))
        for moment, flood in _of_kind(scenario, Flood)
    ]


def _way(scenario: Scenario, source: str, sink: str) -> tuple[str, str]:
    """Where a flood over a link begins, and the node it is addressed to."""

    def host(place: str) -> str:
        return scenario.places[place].satellite or place

    own = {place for place in scenario.places if host(place) == host(source)}
    others = [node for node, table in scenario.nodes.items() if table.place not in own]
    at_sink = [node for node in others if host(scenario.nodes[node].place) == sink]
    # behind a satellite: where terminals' traffic goes, or from a gateway to whom it serves
    wanted = "gateway" if scenario.places[source].access != "gateway" else "terminal"
    served = [node for node in others if scenario.places[scenario.nodes[node].place].access == wanted]
    return source, next(iter((*at_sink, *served, *others)))


class Withheld:
    """Which records do not reach the twin, by the scenario's deviations; the run's own file keeps them.

    Of a node these are the records it reports itself, of a place those of the links that begin or end there.
    Each record's fate follows from the seed, its content and the time since the start.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._seed = scenario.run.seed
        self._losses = [
            (moment, loss.share, loss.target if loss.target in scenario.nodes else "", places)
            for moment, loss in _of_kind(scenario, LostTelemetry)
            for places in [frozenset(self._hosts(scenario, loss.target))]
        ]

    @staticmethod
    def _hosts(scenario: Scenario, target: str) -> Iterator[str]:
        for place in scenario.places_called(target):
            yield scenario.places[place].satellite or place

    def __bool__(self) -> bool:
        return bool(self._losses)

    def takes(self, record: Record, start_ns: int) -> bool:
        """Whether a record of a run that began at `start_ns` is lost on its way to the twin."""
        t_s = (record.t_ns - start_ns) / 1e9
        tags = record.tags
        for moment, share, node, places in self._losses:
            if not moment.active(t_s):
                continue
            own = bool(node) and tags.get("node") == node
            if record.measurement == "link":
                own = tags.get("from") in places or tags.get("to") in places
            if own and self._draw(record, start_ns) < share:
                return True
        return False

    def _draw(self, record: Record, start_ns: int) -> float:
        tags = ",".join(f"{name}={value}" for name, value in sorted(record.tags.items()))
        text = f"{self._seed}/{record.measurement}/{tags}/{record.t_ns - start_ns}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") / 2.0**64
