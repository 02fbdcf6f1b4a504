"""What holds for every decision, whatever the policy, the layers, the stations and the limits."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.geometry import elevation_deg
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.motion import Motion
from emulator.orbits.shells import generate
from emulator.spec import AccessSpec, CircularShell, ConstellationSpec, Geostationary, Place, Waypoint
from emulator.topology.access import Access, Choice
from emulator.topology.offers import LAYERS
from emulator.topology.policies import POLICIES, Nominal
from emulator.topology.stations import Stations

CLOCK = RunClock("2025-10-01T12:00:00Z")
CONSTELLATION = ConstellationSpec(
    shells=(CircularShell(600.0, 53.0, 400, 20, 3), CircularShell(8062.0, 20.0, 20, 4, 1, name="meo")),
    geostationary=(Geostationary("east", 30.0), Geostationary("west", -15.0)),
)


@cache
def _ephemeris() -> Ephemeris:
    return Ephemeris([record for _, record in generate(CONSTELLATION, CLOCK)], CLOCK)


def _snr(place: int, provider: np.ndarray, range_m: np.ndarray, elevation_deg: np.ndarray) -> np.ndarray:
    return 150.0 - 20.0 * np.log10(range_m) + 0.01 * (provider % 7)


def _rate(place: int, provider: np.ndarray, range_m: np.ndarray, elevation_deg: np.ndarray) -> np.ndarray:
    return 1e8 / (1.0 + range_m / 1e6)


NOMINAL = Nominal(_snr, _rate)


def _place(k: int, access: str, least_deg: float, max_links: int, east_deg: float) -> Place:
    """Close to each other, every third on the move: stations are in reach of some terminals at times."""
    longitude = 10.0 + 0.02 * k
    way = (Waypoint(0.0, 47.0, longitude), Waypoint(60.0, 47.0, longitude + east_deg)) if k % 3 == 0 else ()
    return Place(
        f"p{k}", "ground", 47.0, longitude, radio="ka", access=access, min_elevation_deg=least_deg,
        max_links=max_links if access != "terminal" else 0, waypoints=way,
    )  # fmt: skip


@st.composite
def _worlds(draw: Any) -> tuple[AccessSpec, list[Place], bool]:
    kinds = draw(
        st.lists(st.sampled_from(["terminal", "terminal", "station", "gateway"]), min_size=1, max_size=9)
    )
    places = [
        _place(
            k,
            kind,
            draw(st.sampled_from([5.0, 25.0, 40.0])),
            draw(st.integers(0, 2)),
            draw(st.floats(-1.0, 1.0)),
        )
        for k, kind in enumerate(kinds)
    ]
    spec = AccessSpec(
        policy=draw(st.sampled_from(POLICIES)),
        hysteresis_deg=draw(st.sampled_from([0.0, 5.0])),
        min_dwell_s=draw(st.sampled_from([0.0, 25.0])),
        layers=tuple(draw(st.lists(st.sampled_from(LAYERS), unique=True))),
        decision_interval_s=draw(st.sampled_from([1.0, 7.0, 15.0])),
        decision_offset_s=draw(st.sampled_from([0.0, 3.0])),
    )
    return spec, places, draw(st.booleans())


def _chain(spec: AccessSpec, places: list[Place], relayed: bool) -> Access:
    return Access(spec, places, [0], _ephemeris(), CLOCK.second_of_day, relayed, NOMINAL)


def _holds(choice: Choice, places: list[Place], layers: tuple[str, ...]) -> None:
    first, motion = len(places), Motion(places)
    motion.move_to(choice.at_s)
    positions = _ephemeris().positions(choice.at_s)
    stations = Stations(places)
    assert list(choice.serving) == [k for k, place in enumerate(places) if place.access == "terminal"]
    for place, provider in choice.serving.items():
        if provider >= first:
            assert "leo" in layers or "meo" in layers or "geo" in layers or not layers
            high = elevation_deg(motion.position[place], motion.axes[place, 2], positions[provider - first])
            assert high >= places[place].min_elevation_deg - 1e-9
        elif provider >= 0:
            assert "station" in layers or not layers
            pair = np.array([place], dtype=np.int32), np.array([provider], dtype=np.int32)
            assert stations.reaches(*pair, motion)[0]
    load = Counter(choice.serving.values())
    for station in stations.index.tolist():
        assert load[station] <= (places[station].max_links or len(places))
    fed = Counter(gateway for gateway, _ in choice.feeders)
    for gateway, count in fed.items():
        assert count <= (places[gateway].max_links or count)
    assert list(choice.feeders) == sorted(set(choice.feeders))


@settings(max_examples=60, deadline=None)
@given(_worlds())
def test_every_choice_is_in_sight_within_limits_and_the_same_for_who_asks_seldom(
    world: tuple[AccessSpec, list[Place], bool],
) -> None:
    spec, places, relayed = world
    often, seldom = _chain(spec, places, relayed), _chain(spec, places, relayed)
    for t_s in np.arange(0.0, 60.5, 0.5):
        if often.advance(float(t_s)):
            _holds(often.choice, places, spec.layers)
    seldom.advance(60.0)
    assert seldom.choice == often.choice


@pytest.mark.parametrize("policy", POLICIES)
def test_a_place_that_decides_later_does_not_change_what_those_before_it_choose_first(policy: str) -> None:
    places = [_place(3 * k + 1, "terminal", 25.0, 0, 0.0) for k in range(5)]
    spec = AccessSpec(policy=policy, decision_interval_s=15.0)
    more = [*places, dataclasses.replace(places[0], id="late")]
    few, many = _chain(spec, places, True), _chain(spec, more, True)
    few.advance(0.0)
    many.advance(0.0)
    alone = [provider - len(places) for provider in few.choice.serving.values()]
    beside = [provider - len(more) for provider in many.choice.serving.values()]
    assert beside[: len(places)] == alone


class _ComesDown:
    """The ephemeris of which the satellites `gone` have no position from `at_s` on."""

    def __init__(self, gone: list[int], at_s: float) -> None:
        self._of, self._gone, self._at_s = _ephemeris(), gone, at_s
        self.all = self._of.all

    def positions(self, t_s: float, wanted: Any = None, shift_s: Any = None) -> np.ndarray:
        return self._without(self._of.positions(t_s, wanted), t_s, wanted)

    def velocities(self, t_s: float, wanted: Any = None) -> np.ndarray:
        return self._without(self._of.velocities(t_s, wanted), t_s, wanted)

    def _without(self, vectors: np.ndarray, t_s: float, wanted: Any) -> np.ndarray:
        if t_s >= self._at_s:
            vectors[np.isin(self.all if wanted is None else wanted, self._gone)] = np.nan
        return vectors


@pytest.mark.parametrize("relayed", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_satellite_that_comes_down_is_left_before_it_does(policy: str, relayed: bool) -> None:
    places = [_place(1, "terminal", 5.0, 0, 0.0), _place(2, "gateway", 5.0, 0, 0.0)]
    spec = AccessSpec(policy=policy, decision_interval_s=5.0, hysteresis_deg=90.0, min_dwell_s=100.0)
    undisturbed = _chain(spec, places, relayed)
    undisturbed.advance(40.0)
    serving = undisturbed.choice.serving[0]
    down = _ComesDown([serving - len(places)], 42.0)
    access = Access(spec, places, [], down, CLOCK.second_of_day, relayed, NOMINAL)  # type: ignore[arg-type]
    access.advance(39.0)
    assert access.choice.serving[0] == serving
    # the decision at 40 s sees that it does not last until 45 s
    for t_s in (40.0, 45.0, 50.0):
        access.advance(t_s)
        assert access.choice.serving[0] not in (serving, -1)
        assert all(satellite != serving for _, satellite in access.choice.feeders) or t_s < 42.0


@pytest.mark.parametrize("relayed", [False, True])
def test_gateways_without_terminals_feed_satellites_that_carry_places_and_their_own(relayed: bool) -> None:
    places = [_place(1, "gateway", 5.0, 0, 0.0)]
    motion = Motion(places)
    high = elevation_deg(motion.position[0], motion.axes[0, 2], _ephemeris().positions(0.0))
    hosting = int(np.argsort(-high)[2])
    access = Access(AccessSpec(), places, [hosting], _ephemeris(), CLOCK.second_of_day, relayed, NOMINAL)
    access.advance(0.0)
    own = {int(np.argmax(high))} if relayed else set()
    assert {satellite - 1 for _, satellite in access.choice.feeders} == own | {hosting}
    assert access.choice.serving == {}


def test_terminals_without_gateways_are_served_as_if_every_satellite_were_fed() -> None:
    alone = _chain(AccessSpec(), [_place(1, "terminal", 5.0, 0, 0.0)], relayed=False)
    alone.advance(0.0)
    assert alone.choice.serving[0] > 0
    assert alone.choice.feeders == ()


@pytest.mark.parametrize("t_s", [math.nan, math.inf])
def test_a_time_that_is_none_is_refused(t_s: float) -> None:
    with pytest.raises(WorldError, match=f"run time is {t_s} s, should be a finite number"):
        _chain(AccessSpec(), [_place(1, "terminal", 5.0, 0, 0.0)], relayed=True).advance(t_s)
