"""What is true in the plant and told to nobody: hidden parameters, and deviations in time.

Hidden parameters are drawn once from the run's seed around the published values, so that a twin that
believes the published ones is honestly wrong. Deviations come and go at their moments, rain of the
scenario's weather (`sky`) as it falls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from emulator.table import Adjustments
from nodes.wire import Record
from testbed.scenario import Scenario
from testbed.scenario.node_tables import (
    Deviation,
    ExtraDelay,
    ExtraLoss,
    LinkDown,
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

    def at(self, t_s: float) -> None:
        """Bring the adjustments to run time `t_s`; call it before the world's epoch of that time."""
        now = self.adjustments
        now.link_down.clear()
        now.extra_delay_ms.clear()
        now.extra_loss.clear()
        for moment in self._moments:
            if not moment.active(t_s):
                continue
            deviation: Any = moment.deviation
            if isinstance(deviation, LinkDown | ExtraDelay | ExtraLoss):
                source, _, sink = deviation.target.partition(">")
                if isinstance(deviation, LinkDown):
                    now.link_down.add((source, sink))
                elif isinstance(deviation, ExtraDelay):
                    now.extra_delay_ms[source, sink] = deviation.delay_ms
                else:
                    now.extra_loss[source, sink] = deviation.loss

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


def slow_servers(scenario: Scenario) -> list[tuple[Moment, SlowServer]]:
    """The deviations that a node carries out, not the channel."""
    return [(m, m.deviation) for m in moments(scenario) if isinstance(m.deviation, SlowServer)]
