"""The constellation as users of the library meet it: arrays with units, one sentence for mistakes."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

import emulator
from emulator import Constellation, Site, WorldError
from emulator.orbits.elements import elements_to_text
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec, Geostationary, Place, Waypoint
from tests.emulator.worlds import shared

START = "2025-10-01T12:00:00Z"
#: half of the interval of the difference that velocities are compared with, and how well they compare
half_s, a_millimetre_a_second = 0.5, 1e-3
a_metre_a_second = 1.0

SHELL = Constellation.walker(550.0, 53.0, 144, 12, 5, start_utc=START)
MUNICH = Site(48.1, 11.6, 520.0)


def test_positions_have_the_shape_of_the_times_asked_for() -> None:
    assert SHELL.positions(30.0).shape == (144, 3)
    many = SHELL.positions([0.0, 30.0])
    assert many.shape == (2, 144, 3)
    assert np.array_equal(many[1], SHELL.positions(30.0))
    assert SHELL.velocities(30.0).shape == (144, 3)
    assert SHELL.velocities(np.array([5.0])).shape == (1, 144, 3)
    assert SHELL.velocities([]).shape == (0, 144, 3)


def test_velocities_are_what_positions_change_by() -> None:
    change = (SHELL.positions(100.0 + half_s) - SHELL.positions(100.0 - half_s)) / (2.0 * half_s)
    assert SHELL.velocities(100.0) == pytest.approx(change, abs=a_millimetre_a_second)


def test_satellites_are_at_their_height() -> None:
    latitude, longitude, altitude = SHELL.geodetic([0.0, 2000.0])
    assert altitude.shape == (2, 144)
    assert altitude == pytest.approx(np.full((2, 144), 550e3), abs=30e3)
    assert np.abs(latitude).max() <= 53.3
    assert np.abs(longitude).max() <= 180.0


def test_what_is_seen_comes_highest_first_with_angles_and_ranges() -> None:
    seen = SHELL.look(MUNICH, 0.0, 0.0)
    assert len(seen) > 1
    assert np.all(np.diff(seen["elevation_deg"]) <= 0.0)
    assert np.all((seen["azimuth_deg"] >= 0.0) & (seen["azimuth_deg"] < 360.0))
    assert np.all((seen["slant_range_m"] > 500e3) & (seen["slant_range_m"] < 3000e3))
    assert len(SHELL.look(MUNICH, 0.0)) == np.sum(seen["elevation_deg"] >= MUNICH.min_elevation_deg)


def test_the_range_rate_is_what_the_range_changes_by_from_a_moving_place_too() -> None:
    plane = Place(
        "plane", "aerial", waypoints=(Waypoint(0.0, 48.0, 8.0, 11e3), Waypoint(600.0, 48.0, 10.0, 11e3))
    )
    for place in (MUNICH, plane):
        now, before, after = (SHELL.look(place, 300.0 + dt, -20.0) for dt in (0.0, -half_s, half_s))
        ranges = [dict(zip(s["satellite"], s["slant_range_m"], strict=True)) for s in (before, after)]
        for row in now:
            satellite = row["satellite"]
            if satellite in ranges[0] and satellite in ranges[1]:
                change = (ranges[1][satellite] - ranges[0][satellite]) / (2.0 * half_s)
                assert row["range_rate_m_s"] == pytest.approx(change, abs=a_metre_a_second)


def test_an_approaching_satellite_is_heard_higher() -> None:
    seen = SHELL.look(MUNICH, 0.0, 0.0)
    shift_hz = emulator.doppler_hz(seen["range_rate_m_s"], 20e9)
    assert np.all(np.sign(shift_hz) == -np.sign(seen["range_rate_m_s"]))
    assert np.abs(shift_hz).max() == pytest.approx(20e9 * 6.5e3 / 3e8, rel=0.5)


def test_a_satellite_is_seen_between_the_start_and_the_end_of_its_pass() -> None:
    passes = SHELL.passes(MUNICH, 0.0, 7200.0)
    assert len(passes) > 5
    for row in passes:
        middle = row["culmination_s"]
        assert row["satellite"] in SHELL.look(MUNICH, middle)["satellite"]
        if not row["ends_after"]:
            assert row["satellite"] not in SHELL.look(MUNICH, row["end_s"] + 0.1)["satellite"]


def test_passes_of_several_places_are_told_apart() -> None:
    both = SHELL.passes([MUNICH, Site(-33.9, 18.4)], 0.0, 3600.0, 20.0)
    alone = SHELL.passes(Site(-33.9, 18.4), 0.0, 3600.0, 20.0)
    assert np.array_equal(both[both["place"] == 1]["start_s"], alone["start_s"])


def test_one_satellite_is_followed_at_many_times_as_it_is_seen_at_each() -> None:
    plane = Place(
        "plane", "aerial", waypoints=(Waypoint(0.0, 48.0, 8.0, 11e3), Waypoint(600.0, 48.0, 10.0, 11e3))
    )
    times_s = [400.0, 0.0, 200.0]
    for place in (MUNICH, plane):
        followed = SHELL.follow(place, "sat-03-05", times_s)
        for t_s, row in zip(times_s, followed, strict=True):
            seen = SHELL.look(place, t_s, -90.0)
            assert row == seen[seen["satellite"] == SHELL.index["sat-03-05"]][0]
    assert np.array_equal(SHELL.follow(MUNICH, SHELL.index["sat-03-05"], times_s)["satellite"], [28] * 3)
    assert SHELL.follow(MUNICH, 0, []).shape == (0,)
    assert SHELL.follow(MUNICH, 0, 5.0).shape == (1,)


def test_a_satellite_is_followed_to_where_sgp4_fails_and_not_beyond() -> None:
    falling = """FALLING
1 99901U 98067A   25274.50000000  .20000000  00000-0  50000-1 0  9991
2 99901  51.6416 247.4627 0006703 130.5360 325.0288 16.40000000    19
"""
    sky = Constellation.from_text(falling, start_utc=START, duration_s=0.0)
    followed = sky.follow(MUNICH, 0, [0.0, 30.0 * 86400.0])
    assert list(np.isfinite(followed["slant_range_m"])) == [True, False]


def test_a_site_is_a_place_wherever_one_is_asked_for() -> None:
    munich = Site(48.1, 11.6, 520.0, id="munich", radio="ka")
    assert (munich.id, munich.kind, munich.radio, munich.min_elevation_deg) == (
        "munich",
        "ground",
        "ka",
        10.0,
    )
    assert replace(munich, altitude_m=600.0) == Site(48.1, 11.6, 600.0, id="munich", radio="ka")
    assert MUNICH.id == "site"
    assert pickle.loads(pickle.dumps(MUNICH)) == MUNICH


def test_a_constellation_tells_what_it_is() -> None:
    assert repr(SHELL) == "<Constellation of 144 from 2025-10-01T12:00:00Z>"


def test_several_constellations_are_one() -> None:
    geo = Constellation.geostationary(Geostationary("geo", 10.0), start_utc=START)
    whole = Constellation.combined(SHELL, geo)
    assert len(whole) == 145
    assert whole.names[whole.index["geo"]] == "geo"
    assert np.array_equal(whole.positions(60.0)[:144], SHELL.positions(60.0))
    with pytest.raises(WorldError, match="two satellites are called 'geo'"):
        Constellation.combined(geo, geo)
    later = Constellation.geostationary(Geostationary("g", 1.0), start_utc="2025-10-02T00:00:00Z")
    with pytest.raises(WorldError, match="combined begin at 2025-10-01T12:00:00Z, 2025-10-02T00:00:00Z"):
        Constellation.combined(geo, later)


def test_the_same_satellites_come_from_text_as_from_parameters() -> None:
    text = elements_to_text(SHELL.elements)
    again = Constellation.from_text(text, start_utc=START)
    assert again.names == SHELL.names
    assert np.array_equal(again.positions(600.0), SHELL.positions(600.0))


def test_sets_of_several_days_give_the_one_that_counts_and_its_age() -> None:
    shell = ConstellationSpec(shells=(CircularShell(550.0, 53.0, 4, 2),))
    days = [f"2025-10-0{day}T00:00:00Z" for day in (1, 3)]
    text = "".join(elements_to_text(generate(shell, RunClock(day))) for day in days)
    published = Constellation.from_text(text, start_utc="2025-10-02T18:00:00Z")
    nearest = Constellation.from_text(text, start_utc="2025-10-02T18:00:00Z", choice="nearest")
    assert published.ages_s == pytest.approx(np.full(4, 42 * 3600.0), abs=1e-3)
    assert nearest.ages_s == pytest.approx(np.full(4, -6 * 3600.0), abs=1e-3)


def test_real_files_begin_at_their_own_time_and_name_what_is_left_out() -> None:
    path = shared("tle_starlink_daily/starlink_2025-10-01.tle.gz")
    real = Constellation.from_file(path)
    assert real.start_utc.startswith("2025-10-01T")
    assert len(real) + len(real.skipped) == 8389
    assert len(real.ages_s) == len(real)
    late = Constellation.from_file(path, start_utc="2026-10-01T00:00:00Z")
    assert "the satellite has decayed" in late.skipped.values()
    assert not set(late.skipped) & set(late.names)


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (
            lambda: SHELL.look(Site(48.0, 11.0, -900.0), 0.0),
            "altitude is -900 m, it must not be below -500 m",
        ),
        (lambda: SHELL.look(MUNICH, 0.0, 95.0), "min_elevation_deg is 95, allowed: -90 to 90"),
        (lambda: SHELL.look(Place("s", "satellite", satellite="x"), 0.0), "place 's' is on a satellite"),
        (lambda: SHELL.passes(MUNICH, 10.0, 0.0), "the end must be after the start"),
        (lambda: Constellation.of(ConstellationSpec(), START), "names no satellite"),
        (lambda: Constellation.combined(), "names no satellite"),
        (lambda: Constellation.from_text("x\ny\n"), "line 2: expected line 1 of 'x'"),
        (lambda: Constellation.walker(550.0, 53.0, 5, 2, start_utc=START), "5 satellites in 2 planes"),
        (lambda: Constellation.walker(550.0, 53.0, 4, 2, start_utc="noon"), "start_utc is 'noon'"),
        (lambda: Constellation(SHELL.elements, START, duration_s=math.nan), "duration_s is nan"),
        (lambda: Constellation(SHELL.elements, START, duration_s=math.inf), "duration_s is inf, allowed: 0"),
        (lambda: Constellation(SHELL.elements, START, ages_s=[1.0]), r"shape \(1,\), .* one for each of 144"),
        (lambda: Constellation.walker(550.0, 53.0, 4, 2, start_utc=None), "start_utc is None"),  # type: ignore[arg-type]
        (
            lambda: Constellation.walker(550.0, 53.0, 4, 2, start_utc="0001-01-01T00:00:00+09:00"),
            "years 1 to",
        ),
        (
            lambda: SHELL.positions([[0.0, 1.0]]),
            r"run times have shape \(1, 2\), should be a number, or a list",
        ),
        (lambda: SHELL.velocities("soon"), "run time is 'soon', should be a number of seconds"),
        (lambda: SHELL.look(MUNICH, [0.0, 1.0]), r"look: t_s has shape \(2,\), should be one run time"),  # type: ignore[arg-type]
        (lambda: SHELL.look((48.1, 11.6), 0.0), r"\(48.1, 11.6\) is no place: give a Place, or a Site"),  # type: ignore[arg-type]
        (lambda: SHELL.passes((48.1, 11.6), 0.0, 60.0), "48.1 is no place: give a Place"),  # type: ignore[arg-type]
        (
            lambda: SHELL.follow(MUNICH, "sat-99-01", 0.0),
            "no satellite 'sat-99-01', there are 144: sat-01-01",
        ),
        (lambda: SHELL.follow(MUNICH, 5.5, 0.0), "no satellite 5.5"),  # type: ignore[arg-type]
        (lambda: SHELL.follow(MUNICH, 144, 0.0), "no satellite 144, there are 144"),
        (lambda: SHELL.look(Site(95.0, 11.0), 0.0), "latitude is 95 deg, allowed: -90 to 90"),
        (lambda: SHELL.passes(Site(math.nan, 11.0), 0.0, 60.0), "latitude is nan deg"),
        (lambda: SHELL.passes(MUNICH, 0.0, 60.0, math.nan), "min_elevation_deg is nan"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(call: object, complaint: str) -> None:
    with pytest.raises(WorldError, match=complaint):
        call()  # type: ignore[operator]
