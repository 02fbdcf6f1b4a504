"""The rain that `[weather]` of a scenario makes fall in a run: the plant's, and told to nobody."""

from __future__ import annotations

from collections.abc import Callable

from emulator.radio.rain_record import RainRecord, RecordedRain, parse
from emulator.radio.rain_series import RainSeries
from testbed.scenario import Scenario
from testbed.scenario.checks import rain_targets
from testbed.scenario.weather import rained_on

#: (place id, run time s, elevation deg, frequency GHz) -> dB
Attenuation = Callable[[str, float, float, float], float]


def rain_of(scenario: Scenario) -> Attenuation | None:
    """The attenuation that the scenario's weather makes; None when the sky is clear."""
    table = scenario.document.weather
    if table.rain == "clear":
        return None
    wet = set(rained_on(scenario, rain_targets(scenario)))
    spec = scenario.world_spec()
    places = [place for place in spec.places if place.id in wet]
    if table.rain == "record":
        record = _by_place(parse(table.record_text), scenario)
        return RecordedRain(places, record, spec.start_utc, offset_s=table.offset_s).attenuation_db
    series = RainSeries(places, scenario.run.seed)
    if not table.offset_s:
        return series.attenuation_db

    def shifted(place: str, t_s: float, elevation_deg: float, frequency_ghz: float) -> float:
        return series.attenuation_db(place, t_s + table.offset_s, elevation_deg, frequency_ghz)

    return shifted


def _by_place(record: RainRecord, scenario: Scenario) -> RainRecord:
    """The record with the name of a spread standing for each of its places."""
    times, rates = dict(record.times_s), dict(record.rates_mm_h)
    for name in record.places:
        for place in scenario.places_called(name):
            times.setdefault(place, record.times_s[name])
            rates.setdefault(place, record.rates_mm_h[name])
    return RainRecord(times, rates, record.absolute)
