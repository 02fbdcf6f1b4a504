"""The rain that `[weather]` of a scenario makes fall in a run: the plant's, and told to nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from testbed.errors import BadInput, EnvironmentProblem
from testbed.scenario import Scenario
from testbed.scenario.checks import rain_targets
from testbed.scenario.weather import rained_on

if TYPE_CHECKING:
    from emulator.radio.rain_record import RainRecord

#: rain that takes this much at the elevation below is a shower worth a note: less than a twin gives a name
SHOWER_DB: Final = 0.5
_ELEVATION_DEG: Final = 45.0
_STEP_S: Final = 1.0

#: (place id, run time s, elevation deg, frequency GHz) -> dB
Attenuation = Callable[[str, float, float, float], float]


def rain_of(scenario: Scenario) -> Attenuation | None:
    """The attenuation that the scenario's weather makes; None when the sky is clear."""
    table = scenario.document.weather
    if table.rain == "clear":
        return None
    from emulator.radio.rain_record import RecordedRain, parse
    from emulator.radio.rain_series import RainSeries

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


@dataclass(frozen=True)
class Shower:
    """Rain at a place that lasts from `start_s` to `end_s` of run time and takes up to `peak_db`."""

    place: str
    start_s: float
    end_s: float
    peak_db: float


def showers(scenario: Scenario) -> list[Shower]:
    """The showers of a run's weather, at the higher frequency of each place's radio and 45 degrees.

    Raises `BadInput` for weather that cannot be, `EnvironmentProblem` when it needs a package that is absent.
    """
    from emulator.errors import MissingPackageError, WorldError

    try:
        rain = rain_of(scenario)
        return [] if rain is None else _showers(scenario, rain)
    except MissingPackageError as error:
        raise EnvironmentProblem(f"weather.rain: {error}") from None
    except WorldError as error:
        raise BadInput(f"weather.rain: {error}") from None


def _showers(scenario: Scenario, rain: Attenuation) -> list[Shower]:
    import numpy as np

    wet = set(rained_on(scenario, rain_targets(scenario)))
    radios = {radio.name: radio for radio in scenario.world_spec().radios}
    times = np.arange(0.0, scenario.run.duration_s + _STEP_S, _STEP_S)
    exposed = {
        place: max(radios[table.radio].up_frequency_ghz, radios[table.radio].down_frequency_ghz)
        for place, table in scenario.places.items()
        if table.radio in radios and place in wet
    }
    # moment by moment: one state of the rain serves all places
    amounts = [
        [rain(place, float(t), _ELEVATION_DEG, frequency) for place, frequency in exposed.items()]
        for t in times
    ]
    found = []
    for place, taken in zip(exposed, np.array(amounts).T, strict=True):
        edges = np.diff(np.concatenate([[0], (taken > SHOWER_DB).astype(int), [0]]))
        for first, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
            end_s = float(times[end]) if end < len(times) else scenario.run.duration_s + _STEP_S
            found.append(Shower(place, float(times[first]), end_s, float(taken[first:end].max())))
    return found


def _by_place(record: RainRecord, scenario: Scenario) -> RainRecord:
    """The record with the name of a spread standing for each of its places."""
    from emulator.radio.rain_record import RainRecord

    times, rates = dict(record.times_s), dict(record.rates_mm_h)
    for name in record.places:
        for place in scenario.places_called(name):
            times.setdefault(place, record.times_s[name])
            rates.setdefault(place, record.rates_mm_h[name])
    return RainRecord(times, rates, record.absolute)
