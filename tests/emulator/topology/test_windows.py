"""Predicted contact windows, against looking every tenth of a second and against Skyfield."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sgp4.api import SatrecArray
from skyfield.api import EarthSatellite, load, wgs84

from emulator.errors import WorldError
from emulator.geometry import elevation_deg
from emulator.orbits.elements import parse_elements
from emulator.orbits.frames import RunClock
from emulator.orbits.motion import Motion
from emulator.orbits.shells import generate
from emulator.orbits.tracks import waypoints_at_speed
from emulator.spec import CircularShell, ConstellationSpec, Geostationary, Place
from emulator.topology import windows
from emulator.topology.windows import contact_windows
from tests.emulator.worlds import verification_text

a_tenth_of_a_second, a_hundredth_of_a_second = 0.1, 0.01
#: Skyfield's horizon follows polar motion and the true equinox, ours the mean sidereal time: 20 m of position
skyfield_s, skyfield_deg = 0.1, 0.01

CLOCK = RunClock("2025-10-01T12:00:00Z")
MUNICH = Place("munich", "ground", 48.1, 11.6, 520.0, min_elevation_deg=25.0)
FLIGHT = Place(
    "flight",
    "aerial",
    min_elevation_deg=10.0,
    waypoints=waypoints_at_speed([(50.0, 8.6, 11_000.0), (60.0, -40.0, 11_000.0)], 250.0, start_s=600.0),
)


def _records(*shells: CircularShell, **more: Any) -> list[Any]:
    return [record for _, record in generate(ConstellationSpec(shells=shells, **more), CLOCK)]


MIXED = _records(
    CircularShell(550.0, 53.0, 12, 4, 1, name="leo"),
    CircularShell(1200.0, 87.9, 4, 2, name="star", pattern="star"),
    CircularShell(8062.0, 0.1, 3, 1, name="meo"),
    geostationary=(
        Geostationary("geo", 20.0),
        Geostationary("far", -150.0),
        Geostationary("tilted", 60.0, 20.0),
    ),
)


def _brute(record: Any, place: Place, times: NDArray[np.float64], clock: RunClock) -> NDArray[np.bool_]:
    """Whether the satellite is in sight at each of the times, by the reference propagator."""
    day, fraction = clock.julian(0.0)
    error, position, _ = SatrecArray([record]).sgp4(np.full(len(times), day), fraction + times / 86_400.0)
    position = np.where(error[0, :, None] == 0, position[0] * 1e3, np.nan)
    angle = np.asarray(clock.sidereal_rad(times))
    x, y = position[:, 0], position[:, 1]
    fixed = np.stack(
        [np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x, position[:, 2]], axis=1
    )
    motion = Motion([place])
    here, up = np.empty((len(times), 3)), np.empty((len(times), 3))
    for k, t_s in enumerate(times if place.waypoints else times[:1]):
        motion.move_to(float(t_s))
        here[k], up[k] = motion.position[0], motion.axes[0, 2]
    if not place.waypoints:
        here[:], up[:] = here[0], up[0]
    return np.asarray(elevation_deg(here, up, fixed) >= place.min_elevation_deg)


def _assert_agrees(
    records: list[Any], place: Place, from_s: float, to_s: float, clock: RunClock = CLOCK
) -> int:
    """Windows and looking every tenth of a second say the same; returns how many windows."""
    found = contact_windows(records, clock, [place], from_s, to_s)
    times = np.arange(from_s, to_s + 0.05, a_tenth_of_a_second)
    for index, record in enumerate(records):
        seen = _brute(record, place, times, clock)
        said = np.zeros(len(times), dtype=bool)
        windows = found[found["satellite"] == index]
        for window in windows:
            said |= (times >= window["start_s"]) & (times <= window["end_s"])
        # between the two, only samples within the tolerance of a start or an end may differ
        ends = np.concatenate([windows["start_s"], windows["end_s"]])
        for t_s in times[seen != said]:
            assert np.abs(ends - t_s).min(initial=math.inf) <= a_tenth_of_a_second, (index, t_s)
        # every rise that is seen is a window, and short ones are not missed
        rises = np.sum(~seen[:-1] & seen[1:]) + seen[0]
        lasting = windows["end_s"] - windows["start_s"] > 2.0 * a_tenth_of_a_second
        assert np.sum(lasting) <= rises <= len(windows)
    return len(found)


def test_windows_of_a_place_are_those_of_looking_every_tenth_of_a_second() -> None:
    assert _assert_agrees(MIXED, MUNICH, 0.0, 4.0 * 3600.0) > 8


def test_windows_of_an_aircraft_follow_its_flight() -> None:
    assert _assert_agrees(MIXED[:16], FLIGHT, 0.0, 3.0 * 3600.0) > 8


def test_windows_begin_at_any_time_of_the_run() -> None:
    assert _assert_agrees(MIXED, MUNICH, -777.7, 2801.3) >= 3


def test_windows_of_eccentric_and_deep_space_orbits_are_right() -> None:
    place = dataclasses.replace(MUNICH, min_elevation_deg=5.0)
    windows = 0
    for _, record in parse_elements(verification_text(), "tle"):
        epoch = np.datetime64(round((record.jdsatepoch + record.jdsatepochF - 2440587.5) * 86_400.0), "s")
        clock = RunClock(f"{epoch}+00:00")
        if record.sgp4(*clock.julian(-900.0))[0] or record.sgp4(*clock.julian(9000.0))[0]:
            continue
        windows += _assert_agrees([record], place, 0.0, 7200.0, clock)
    assert windows >= 5


@settings(max_examples=15, deadline=None)
@given(
    latitude=st.floats(-90.0, 90.0),
    longitude=st.floats(-180.0, 180.0),
    altitude=st.floats(-400.0, 20_000.0),
    least=st.floats(-2.0, 85.0),
)
def test_no_pass_is_missed_wherever_the_place(
    latitude: float, longitude: float, altitude: float, least: float
) -> None:
    place = Place("p", "aerial", latitude, longitude, altitude, min_elevation_deg=least)
    _assert_agrees(MIXED[::2], place, 0.0, 5400.0)


def test_a_pass_that_just_reaches_the_least_elevation_is_found() -> None:
    (whole, *_) = contact_windows(MIXED[:12], CLOCK, [MUNICH], 1000.0, 20_000.0, min_elevation_deg=10.0)
    touching = float(whole["max_elevation_deg"]) - 1e-4
    only = contact_windows(
        [MIXED[whole["satellite"]]], CLOCK, [MUNICH], 1000.0, 20_000.0, min_elevation_deg=touching
    )
    near = only[np.abs(only["culmination_s"] - whole["culmination_s"]) < 1.0]
    assert len(near) == 1
    # by the curvature of a pass, some seconds at most
    assert 0.0 < near["end_s"][0] - near["start_s"][0] < 10.0


@pytest.mark.parametrize("before_s", [0.5, 2.0, 4.0])
def test_a_short_pass_is_found_at_either_end_of_the_interval(before_s: float) -> None:
    (whole, *_) = contact_windows(MIXED[:12], CLOCK, [MUNICH], 1000.0, 20_000.0, min_elevation_deg=10.0)
    record, least = [MIXED[whole["satellite"]]], float(whole["max_elevation_deg"]) - 1e-6
    highest_s = float(whole["culmination_s"])
    for from_s, to_s in (
        (highest_s - before_s, highest_s + 900.0),
        (highest_s - 900.0, highest_s + before_s),
    ):
        found = contact_windows(record, CLOCK, [MUNICH], from_s, to_s, min_elevation_deg=least)
        assert found["culmination_s"] == pytest.approx([highest_s], abs=a_tenth_of_a_second)
        assert not (found["begun_before"] | found["ends_after"]).any()


def test_passes_straight_overhead_are_found_though_shorter_than_the_distance_of_knots() -> None:
    crowd = _records(CircularShell(340.0, 53.0, 120, 12, 1), CircularShell(1200.0, 87.9, 60, 6, 1))
    overhead_deg = 75.0
    wide = contact_windows(crowd, CLOCK, [MUNICH, FLIGHT], 0.0, 43_200.0, min_elevation_deg=20.0)
    high = wide[wide["max_elevation_deg"] > overhead_deg]
    assert len(high) > 50
    found = contact_windows(crowd, CLOCK, [MUNICH, FLIGHT], 0.0, 43_200.0, min_elevation_deg=overhead_deg)
    assert np.median(found["end_s"] - found["start_s"]) < 60.0
    for name in ("place", "satellite"):
        assert np.array_equal(np.sort(found[name]), np.sort(high[name]))


def test_a_pass_is_at_the_same_time_whenever_the_interval_began() -> None:
    """Sidereal time is followed over months, its precession included."""
    last_day = contact_windows(MIXED[:12], CLOCK, [MUNICH], 299.0 * 86_400.0, 300.0 * 86_400.0)
    whole = contact_windows(MIXED[:12], CLOCK, [MUNICH], 200.0 * 86_400.0, 300.0 * 86_400.0)
    assert len(last_day) > 10
    assert whole["culmination_s"][-len(last_day) :] == pytest.approx(
        last_day["culmination_s"], abs=a_hundredth_of_a_second
    )


def test_culmination_is_the_highest_moment() -> None:
    for window in contact_windows(MIXED[:16], CLOCK, [MUNICH], 0.0, 14_400.0):
        times = np.linspace(window["start_s"], window["end_s"], 2001)
        place = dataclasses.replace(MUNICH, min_elevation_deg=float(window["max_elevation_deg"]) + 1e-4)
        assert not _brute(MIXED[window["satellite"]], place, times, CLOCK).any()
        place = dataclasses.replace(MUNICH, min_elevation_deg=float(window["max_elevation_deg"]) - 1e-4)
        at = np.array([window["culmination_s"]])
        assert _brute(MIXED[window["satellite"]], place, at, CLOCK).all()


def test_rises_and_sets_are_those_of_skyfield() -> None:
    scale = load.timescale(builtin=True)
    start, end = scale.utc(2025, 10, 1, 12), scale.utc(2025, 10, 1, 18)
    site = wgs84.latlon(MUNICH.latitude_deg, MUNICH.longitude_deg, MUNICH.altitude_m)
    compared = 0
    found = contact_windows(MIXED[:16], CLOCK, [MUNICH], 0.0, 21_600.0)
    for index, record in enumerate(MIXED[:16]):
        satellite = EarthSatellite.from_satrec(record, scale)

        def altitude_deg(run_s: Any, satellite: Any = satellite) -> Any:
            moment = scale.tt_jd(start.tt + np.asarray(run_s) / 86_400.0)
            return (satellite - site).at(moment).altaz()[0].degrees

        def refined(event_s: float) -> float:
            # find_events itself stops at half a second
            times = event_s + np.arange(-1.0, 1.0, 0.01)
            return float(times[np.argmin(np.abs(altitude_deg(times) - MUNICH.min_elevation_deg))])

        times, events = satellite.find_events(site, start, end, altitude_degrees=MUNICH.min_elevation_deg)
        run_s = (times.tt - start.tt) * 86_400.0
        windows = found[found["satellite"] == index]
        for name, kind, cut in (("start_s", 0, "begun_before"), ("end_s", 2, "ends_after")):
            expected = [refined(float(t)) for t in run_s[events == kind]]
            assert windows[name][~windows[cut]] == pytest.approx(expected, abs=skyfield_s)
            compared += len(expected)
        whole = windows[~windows["begun_before"] & ~windows["ends_after"]]
        assert whole["max_elevation_deg"] == pytest.approx(
            altitude_deg(whole["culmination_s"]), abs=skyfield_deg
        )
    assert compared > 10


def test_passes_in_progress_at_the_ends_are_marked() -> None:
    (whole, *_) = contact_windows(MIXED[:12], CLOCK, [MUNICH], 1000.0, 20_000.0)
    middle = 0.5 * (whole["start_s"] + whole["end_s"])
    record = [MIXED[whole["satellite"]]]
    (late,) = contact_windows(record, CLOCK, [MUNICH], middle, whole["end_s"] + 60.0)
    (early,) = contact_windows(record, CLOCK, [MUNICH], whole["start_s"] - 60.0, middle)
    assert (late["begun_before"], late["ends_after"], late["start_s"]) == (True, False, middle)
    assert (early["begun_before"], early["ends_after"], early["end_s"]) == (False, True, middle)
    assert late["end_s"] == pytest.approx(whole["end_s"], abs=1e-2)
    assert early["start_s"] == pytest.approx(whole["start_s"], abs=1e-2)


def test_a_geostationary_satellite_is_there_all_the_time_or_never() -> None:
    geo, far = MIXED[19:21]
    found = contact_windows([geo, far], CLOCK, [MUNICH], 0.0, 86_400.0)
    assert found[["satellite", "start_s", "end_s", "begun_before", "ends_after"]].tolist() == [
        (0, 0.0, 86_400.0, True, True)
    ]


def test_windows_are_in_order_of_place_and_start_and_progress_is_told() -> None:
    told: list[float] = []
    found = contact_windows(MIXED, CLOCK, [MUNICH, FLIGHT], 0.0, 7200.0, progress=told.append)
    assert [tuple(key) for key in found[["place", "start_s"]].tolist()] == sorted(
        tuple(key) for key in found[["place", "start_s"]].tolist()
    )
    assert set(found["place"]) == {0, 1}
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_satellites_keep_their_numbers_when_they_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = contact_windows(MIXED, CLOCK, [MUNICH, FLIGHT], 0.0, 7200.0)
    assert whole["satellite"].max() > 16
    monkeypatch.setattr(windows, "_BATCH_BYTES", 1.0)
    assert np.array_equal(contact_windows(MIXED, CLOCK, [MUNICH, FLIGHT], 0.0, 7200.0), whole)


def test_a_dip_below_the_least_elevation_shorter_than_a_sample_parts_a_window() -> None:
    tilted = MIXED[21]
    below = Place("below", "ground", 10.0, 60.0, 0.0, min_elevation_deg=0.0)
    low, high = 0.0, 80.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        count = len(contact_windows([tilted], CLOCK, [below], 0.0, 80_000.0, min_elevation_deg=middle))
        low, high = (middle, high) if count == 1 else (low, middle)
    dip = contact_windows([tilted], CLOCK, [below], 0.0, 80_000.0, min_elevation_deg=high)
    assert len(dip) == 2
    assert 0.0 <= dip["start_s"][1] - dip["end_s"][0] < 5.0


def test_nothing_is_found_without_satellites_or_places() -> None:
    assert len(contact_windows([], CLOCK, [MUNICH], 0.0, 100.0)) == 0
    assert len(contact_windows(MIXED, CLOCK, [], 0.0, 100.0)) == 0


@pytest.mark.parametrize(
    ("from_s", "to_s", "least", "complaint"),
    [
        (10.0, 10.0, 5.0, "from 10 to 10 s: the end must be after the start"),
        (0.0, math.nan, 5.0, "the end must be after the start"),
        (0.0, math.inf, 5.0, r"from 0 to inf s: at most 3.16224e\+07 s \(a year\) at a time"),
        (1e12, 2e12, 5.0, r"up to 3.15576e\+09 s \(a hundred years\) from the start"),
        (0.0, 10.0, 91.0, "place 'munich': min_elevation_deg is 91, allowed: -90 to 90"),
    ],
)
def test_an_interval_or_elevation_that_is_none_is_refused(
    from_s: float, to_s: float, least: float, complaint: str
) -> None:
    with pytest.raises(WorldError, match=complaint):
        contact_windows(MIXED, CLOCK, [MUNICH], from_s, to_s, min_elevation_deg=least)


_SMALL = """
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec, Place, Waypoint
from emulator.topology.windows import contact_windows
clock = RunClock("2025-10-01T12:00:00Z")
spec = ConstellationSpec(shells=(CircularShell(550.0, 53.0, 4, 2, 1),))
satellites = [record for _, record in generate(spec, clock)]
ship = Place("s", "ship", waypoints=(Waypoint(0.0, 45.0, 0.0), Waypoint(6000.0, 46.0, 1.0)))
for row in contact_windows(satellites, clock, [Place("g", "ground", 45.0, 0.0), ship], 0.0, 6000.0):
    print([round(value, 2) for value in row.tolist()])
"""


def test_kernels_find_the_same_windows_uncompiled() -> None:
    answers = []
    for disabled in ("0", "1"):
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _SMALL],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        answers.append(result.stdout)
    assert answers[0] == answers[1]
    assert len(answers[0].splitlines()) >= 2
