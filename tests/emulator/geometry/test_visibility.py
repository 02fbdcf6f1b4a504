"""Looking at candidates only: exactly what looking at everything finds, for any orbit, place and time."""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sgp4.api import WGS72, Satrec

from emulator.errors import WorldError
from emulator.geometry import Sky
from emulator.geometry.visibility import MAX_SHIFT_M, Visibility
from emulator.orbits.elements import parse_elements
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.motion import Motion
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec, Place, Waypoint
from tests.emulator.worlds import starlink_text

CLOCK = RunClock("2025-10-01T12:00:00Z")
SHELLS = (
    CircularShell(340.0, 53.0, 240, 20, 1, name="low"),
    CircularShell(1200.0, 87.9, 200, 20, 1, pattern="star", name="polar"),
    CircularShell(8062.0, 0.0, 12, 1, name="meo"),
)


def _eccentric(number: int, perigee_km: float, apogee_km: float, turn: float) -> Any:
    """A satellite between two heights, inclined like Molniya's."""
    semi_major_km = 6378.137 + 0.5 * (perigee_km + apogee_km)
    record = Satrec()
    record.sgp4init(
        WGS72, "i", number, CLOCK.julian_day + CLOCK.day_fraction - 2433281.5, 0.0, 0.0, 0.0,
        0.5 * (apogee_km - perigee_km) / semi_major_km, math.radians(270.0), math.radians(63.4), turn,
        math.sqrt(398600.8 / semi_major_km**3) * 60.0, 2.0 * turn,
    )  # fmt: skip
    return record


@cache
def _ephemeris() -> Ephemeris:
    records = [record for _, record in generate(ConstellationSpec(shells=SHELLS), CLOCK)]
    heights = [(200.0, 900.0), (400.0, 39_800.0), (35_786.0, 35_786.0), (300.0, 35_786.0), (220.0, 2500.0)]
    for k in range(100):
        records.append(_eccentric(90_000 + k, *heights[k % 5], turn=0.37 * k))
    return Ephemeris(records, CLOCK)


PLACES = [
    Place("valley", "ground", 31.5, 35.5, -400.0, min_elevation_deg=25.0),
    Place("pole", "ground", -90.0, 0.0, 2800.0, min_elevation_deg=0.0),
    Place("mid", "ground", 45.0, -100.0, min_elevation_deg=40.0),
    Place("platform", "aerial", 5.0, 179.9, 20e3, min_elevation_deg=-3.0),
    Place("ship", "ship", 0.0, 0.0, min_elevation_deg=10.0, waypoints=(Waypoint(0.0, 0.0, 0.0),)),
    Place(
        "jet", "aerial", min_elevation_deg=10.0,
        # 900 m/s along the equator and over the date line, then on to the north
        waypoints=(
            Waypoint(-600.0, 0.0, 176.0, 1e4),
            Waypoint(600.0, 0.0, -174.0, 1e4),
            Waypoint(1800.0, 9.7, -174.0, 2e4),
        ),
    ),
]  # fmt: skip


def _brute(places: list[Place], t_s: float, shift_s: np.ndarray | None) -> list[tuple[np.ndarray, ...]]:
    ephemeris, motion = _ephemeris(), Motion(places)
    motion.move_to(t_s)
    positions = ephemeris.positions(t_s, shift_s=shift_s)
    sky = Sky(len(positions))
    return [
        sky.visible(motion.position[k], motion.axes[k], positions, place.min_elevation_deg)
        for k, place in enumerate(places)
    ]


def _same(visibility: Visibility, places: list[Place], t_s: float, shift_s: np.ndarray | None = None) -> int:
    """Compare with looking at everything; how many were seen."""
    seen = visibility.at(t_s, shift_s)
    for k, expected in enumerate(_brute(places, t_s, shift_s)):
        row = slice(seen.first[k], seen.first[k + 1])
        found = (seen.satellite, seen.elevation_deg, seen.azimuth_deg, seen.slant_range_m)
        for mine, theirs in zip(found, expected, strict=True):
            assert np.array_equal(mine[row], theirs)
    return len(seen.satellite)


@settings(max_examples=40, deadline=None)
@given(
    start_s=st.floats(-100.0, 86_400.0),
    steps=st.lists(st.floats(-70.0, 70.0), min_size=1, max_size=6),
    least=st.lists(st.floats(-90.0, 89.0), min_size=len(PLACES), max_size=len(PLACES)),
    shift_km=st.floats(-MAX_SHIFT_M / 1e3, MAX_SHIFT_M / 1e3),
)
@example(0.0, [30.0, 0.0, -30.0], [-90.0] + [0.0] * 5, 100.0)
def test_what_is_seen_is_what_looking_at_every_satellite_finds(
    start_s: float, steps: list[float], least: list[float], shift_km: float
) -> None:
    places = [dataclasses.replace(p, min_elevation_deg=e) for p, e in zip(PLACES, least, strict=True)]
    ephemeris = _ephemeris()
    visibility = Visibility(places, ephemeris)
    speed = np.array([ephemeris.speed_km_s(k) for k in range(len(ephemeris.all))])
    shift_s = np.clip(shift_km / speed, -20.0, 20.0)
    _same(visibility, places, start_s, shift_s)
    for step in steps:
        _same(visibility, places, start_s + step, shift_s if step > 0.0 else None)


@pytest.mark.parametrize("valid_s", [1.0, 30.0, 120.0])
def test_lists_hold_until_the_very_end_of_their_time(valid_s: float) -> None:
    visibility = Visibility(PLACES, _ephemeris(), valid_s=valid_s, max_shift_m=0.0)
    for start_s in range(0, 6000, 500):
        visibility.at(float(start_s))
        for share in (0.5, 1.0, -1.0):
            # within the time of the first list: none is made anew
            assert _same(visibility, PLACES, start_s + share * valid_s) > 0


def test_few_are_looked_at() -> None:
    places = [dataclasses.replace(place, min_elevation_deg=25.0) for place in PLACES]
    visibility = Visibility(places, _ephemeris())
    seen = len(visibility.at(0.0).satellite)
    everything = len(places) * len(_ephemeris().all)
    assert seen <= visibility.candidates < 0.25 * everything


def test_only_those_who_watch_are_answered() -> None:
    seen = Visibility(PLACES, _ephemeris(), watching=[3, 0]).at(17.0)
    brute = _brute(PLACES, 17.0, None)
    assert len(seen.first) == 3
    assert np.array_equal(seen.satellite[: seen.first[1]], brute[3][0])
    assert np.array_equal(seen.satellite[seen.first[1] :], brute[0][0])
    assert seen.row_place.tolist() == [0] * len(brute[3][0]) + [1] * len(brute[0][0])
    assert np.array_equal(seen.position_m, _ephemeris().positions(17.0, seen.satellite))


def test_nothing_is_seen_without_satellites_or_places() -> None:
    assert len(Visibility(PLACES, Ephemeris([], CLOCK)).at(0.0).satellite) == 0
    assert len(Visibility([], _ephemeris()).at(0.0).satellite) == 0


def test_an_elevation_that_is_none_is_refused() -> None:
    with pytest.raises(WorldError, match="place 'x': min_elevation_deg is 91, allowed: -90 to 90"):
        Visibility([Place("x", "ground", min_elevation_deg=91.0)], _ephemeris())


def test_real_satellites_are_all_found() -> None:
    elements = parse_elements(starlink_text(), "tle", source="starlink")
    ephemeris = Ephemeris([record for _, record in elements], CLOCK)
    visibility, sky = Visibility(PLACES, ephemeris), Sky(len(elements))
    motion = Motion(PLACES)
    for t_s in (0.0, 15.0, 30.0, 45.0, 3600.0):
        seen = visibility.at(t_s)
        motion.move_to(t_s)
        positions = ephemeris.positions(t_s)
        for k, place in enumerate(PLACES):
            expected = sky.visible(motion.position[k], motion.axes[k], positions, place.min_elevation_deg)[0]
            assert np.array_equal(seen.satellite[seen.first[k] : seen.first[k + 1]], expected)
