"""The orbit part on true geometry: ranges of the emulator's world, with errors of modems laid over them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from emulator.spec import AccessSpec, ConstellationSpec, OverRegion, Place, RadioSpec, WorldSpec
from emulator.table import Adjustments
from emulator.world import World
from nodes.wire import Record
from testbed.twin.belief import Belief
from testbed.twin.detect import threshold_for
from testbed.twin.events import Events
from testbed.twin.nominal import NominalNetwork
from testbed.twin.orbit import SMALLEST_KM, Orbits
from testbed.twin.parts import Window

WINDOW_S = 0.5
THRESHOLD = threshold_for(1e8, 1.0)
KM_PER_US = 0.299792458
BIAS_US, NOISE_US = 1.0, 0.5

SITES = ((47.0, 10.0), (44.0, 6.0), (50.0, 14.0), (52.5, 8.0), (43.0, 13.0))
SPEC = WorldSpec(
    "2025-06-01T12:00:00Z", 240.0, 0.1,
    (
        *(
            Place(f"field-{n}", "ground", latitude, longitude, radio="s", access="terminal")
            for n, (latitude, longitude) in enumerate(SITES)
        ),
        Place("gateway", "ground", 48.0, 11.0, radio="s", access="gateway"),
    ),
    ConstellationSpec(over_region=OverRegion(47.0, 10.0, 2000.0, 600.0)),
    (RadioSpec("s", up_frequency_ghz=2.0, down_frequency_ghz=2.2, weather=False),),
)  # fmt: skip


class Sky:
    """A plant's ranges, the nominal network under the part's belief, and the part itself."""

    def __init__(
        self, seed: int, offset_km: Callable[[float], dict[str, float]], spec: WorldSpec = SPEC
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._bias_us = {place.id: self._random.normal(0.0, BIAS_US) for place in spec.places}
        self._offset_km = offset_km
        self._true = World(spec, Adjustments())
        self.events = Events(WINDOW_S)
        self.part = Orbits(self.events, THRESHOLD)
        self._network = NominalNetwork(spec, self)
        self.absurd: dict[int, float] = {}

    def fade_db(self, _place: str, _direction: str) -> float:
        return 0.0

    bias_db = fade_db

    def along_track_km(self) -> dict[str, float]:
        belief = Belief()
        self.part.tell(belief)
        return {name: value.mean for name, value in belief.along_track_km.items()}

    def run(self, windows: range) -> list[Record]:
        said = []
        for number in windows:
            middle_s = (number + 0.5) * WINDOW_S
            links = {link.id: link for link in self._network.at(middle_s)}
            self._true.adjustments.along_track_km = self._offset_km(middle_s)
            now_s = (number + 1) * WINDOW_S
            said += self.part.close(
                Window(
                    number, round(number * WINDOW_S * 1e9), number * WINDOW_S, WINDOW_S, round(now_s * 1e9),
                    now_s, links, self._reports(number, middle_s), False,
                ),
                [],
            )  # fmt: skip
        return said

    def _reports(self, number: int, middle_s: float) -> dict[str, Record]:
        table, places = self._true.epoch(middle_s), self._true.places
        reports = {}
        for src, dst, range_m in zip(
            table.src.tolist(), table.dst.tolist(), table.range_m.tolist(), strict=True
        ):
            error_us = self._bias_us.get(places[src], 0.0) + self._bias_us.get(places[dst], 0.0)
            error_us += self._random.normal(0.0, NOISE_US) + self.absurd.get(number, 0.0)
            name = f"{places[src]}>{places[dst]}"
            fields: dict[str, Any] = {"range_us": range_m / 1e3 / KM_PER_US + error_us}
            reports[name] = Record(round(middle_s * 1e9), "link", {"link": name}, fields)
        return reports


def served(sky: Sky) -> Iterator[str]:
    return (state.target for state in sky.part.states() if state.name == "along_track_km")


def stale(name: str, km: float, from_s: float = 0.0, until_s: float = math.inf) -> Any:
    return lambda t_s: {name: km} if from_s <= t_s < until_s else {}


@pytest.fixture(scope="module")
def satellite() -> str:
    """One that serves in this world."""
    sky = Sky(0, lambda _t: {})
    sky.run(range(2))
    return next(served(sky))


def test_the_sensitivity_of_a_range_is_what_a_small_offset_does_to_it(satellite: str) -> None:
    moved = World(SPEC, Adjustments(along_track_km={satellite: 0.5})).epoch(30.0)
    plain = World(SPEC).epoch(30.0)
    links = [link for link in NominalNetwork(SPEC, Sky(0, lambda _t: {})).at(30.0) if link.sighting]
    names = [f"{a}>{b}" for a, b in zip(moved.src, moved.dst, strict=True)]
    assert len(names) == len(set(names))
    places = World(SPEC).places
    longer_km = {
        f"{places[a]}>{places[b]}": (after - before) / 1e3
        for a, b, after, before in zip(plain.src, plain.dst, moved.range_m, plain.range_m, strict=True)
    }
    seen = 0
    for link in links:
        assert link.sighting is not None
        expected = link.sighting.range_per_km * 0.5 if link.sighting.satellite == satellite else 0.0
        assert longer_km[link.id] == pytest.approx(expected, abs=5e-4)
        assert link.sighting.speed_km_s == pytest.approx(7.56, abs=0.1)
        seen += expected != 0.0
    assert seen >= 4


@pytest.mark.parametrize(("km", "seed"), [(8.0, 1), (-25.0, 2), (40.0, 3)])
def test_a_satellite_that_is_stale_from_the_start_is_found_named_and_measured(
    satellite: str, km: float, seed: int
) -> None:
    sky = Sky(seed, stale(satellite, km))
    said = sky.run(range(240))
    assert [(r.measurement, r.tags["kind"], r.tags["target"]) for r in said] == [
        ("detection", "orbit_error", satellite)
    ]
    assert said[0].fields["detected_s"] < 5.0
    assert said[0].fields["onset_s"] == 0.0
    event = sky.events.active[0]
    assert event.low95 < km < event.high95
    assert event.size == pytest.approx(km, rel=0.02)
    assert event.unit == "km"


def test_an_offset_that_comes_and_goes_is_found_and_seen_to_end(satellite: str) -> None:
    sky = Sky(4, stale(satellite, -12.0, 60.0, 85.0))
    said = sky.run(range(240))
    assert [r.measurement for r in said] == ["detection", "recovery"]
    assert 60.0 < said[0].fields["detected_s"] < 65.0
    assert said[0].fields["onset_s"] == pytest.approx(60.0, abs=1.0)
    assert said[1].fields["size"] == pytest.approx(-12.0, rel=0.05)
    assert said[1].fields["ended_s"] == pytest.approx(85.0, abs=1.0)
    assert sky.events.active == []


@pytest.mark.parametrize("seed", range(5, 9))
def test_satellites_that_are_where_they_should_be_are_not_named(seed: int) -> None:
    sky = Sky(seed, lambda _t: {})
    assert sky.run(range(240)) == []
    for name in served(sky):
        mean, sd = sky.part.offset_km(name)
        assert abs(mean) < 4.0 * sd


def test_a_small_offset_is_no_deviation(satellite: str) -> None:
    sky = Sky(9, stale(satellite, 0.6 * SMALLEST_KM))
    assert sky.run(range(240)) == []


def test_one_absurd_report_is_no_stale_satellite() -> None:
    sky = Sky(10, lambda _t: {})
    sky.absurd = {100: 400.0, 140: -3000.0}
    assert sky.run(range(200)) == []


def test_the_prediction_follows_an_offset_that_was_named(satellite: str) -> None:
    sky = Sky(11, stale(satellite, 30.0))
    sky.run(range(60))
    assert sky.along_track_km()[satellite] == pytest.approx(30.0, abs=1.0)
    (links, true) = sky._network.at(31.0), sky._true.epoch(31.0)
    range_km = {
        f"{sky._true.places[a]}>{sky._true.places[b]}": metres / 1e3
        for a, b, metres in zip(true.src, true.dst, true.range_m, strict=True)
    }
    for link in links:
        assert link.propagation_ms * 1e3 * KM_PER_US == pytest.approx(range_km[link.id], abs=1.0)


def test_biases_of_modems_are_told_from_offsets() -> None:
    sky = Sky(12, lambda _t: {})
    sky.run(range(400))
    learned = {
        s.target: (s.mean, math.sqrt(s.variance)) for s in sky.part.states() if s.name == "range_bias_us"
    }
    assert set(learned) == {place.id for place in SPEC.places}
    for place, (mean, sd) in learned.items():
        assert abs(mean - sky._bias_us[place]) < 4.0 * sd
        assert sd < BIAS_US


def test_old_elements_make_an_offset_less_of_a_surprise() -> None:
    link = next(link for link in NominalNetwork(SPEC, Sky(0, lambda _t: {})).at(1.0) if link.sighting)
    assert link.sighting is not None
    old = link._replace(sighting=link.sighting._replace(elements_age_s=3 * 86_400.0))
    spread = []
    for one in (link, old):
        part = Orbits(Events(WINDOW_S), THRESHOLD)
        report = Record(0, "link", {"link": one.id}, {"range_us": one.propagation_ms * 1e3})
        part.close(Window(0, 0, 0.0, WINDOW_S, 0, 0.5, {one.id: one}, {one.id: report}, False), [])
        spread.append(part.offset_km(link.sighting.satellite)[1])
    assert spread[0] < spread[1]


def test_what_is_not_seen_any_more_is_forgotten_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testbed.twin.orbit._MOST_SATELLITES", 3)
    link = next(link for link in NominalNetwork(SPEC, Sky(0, lambda _t: {})).at(1.0) if link.sighting)
    assert link.sighting is not None
    part = Orbits(Events(WINDOW_S), THRESHOLD)
    for number in range(6):
        sighting = link.sighting._replace(satellite=f"s{number}")
        links = {link.id: link._replace(sighting=sighting)}
        reports = {link.id: Record(0, "link", {"link": link.id}, {"range_us": link.propagation_ms * 1e3})}
        part.close(Window(number, 0, float(number), 1.0, 0, number + 1.0, links, reports, False), [])
    assert [s.target for s in part.states() if s.name == "along_track_km"] == ["s3", "s4", "s5"]


def test_access_by_a_station_says_nothing_of_orbits() -> None:
    spec = dataclasses.replace(
        SPEC,
        places=(SPEC.places[0], Place("cell", "ground", 47.02, 10.0, radio="s", access="station")),
        access=AccessSpec(layers=("station",)),
    )
    assert all(link.sighting is None for link in NominalNetwork(spec, Sky(0, lambda _t: {})).at(10.0))
