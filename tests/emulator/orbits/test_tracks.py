"""Tracks: a path at a speed along great circles, and recorded ones."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.orbits.motion import Motion
from emulator.orbits.tracks import parse_track, read_track, waypoints_at_speed
from emulator.spec import Place, Waypoint

START = "2025-10-01T12:00:00Z"
ten_metres = 10.0
a_thousandth = 1e-3

FRANKFURT, SEATTLE = (50.03, 8.57, 11_000.0), (47.45, -122.31, 11_000.0)


def _positions(track: tuple[Waypoint, ...], times: np.ndarray) -> np.ndarray:
    motion = Motion([Place("p", "aerial", waypoints=track)])
    found = []
    for t in times:
        motion.move_to(float(t))
        found.append(motion.position[0].copy())
    return np.array(found)


def test_a_flight_keeps_its_speed_all_the_way() -> None:
    track = waypoints_at_speed([FRANKFURT, SEATTLE], 250.0, start_s=100.0)
    times = np.linspace(100.0, track[-1].at_s, 5001)
    step_m = np.linalg.norm(np.diff(_positions(track, times), axis=0), axis=1)
    assert step_m / np.diff(times) == pytest.approx(np.full(5000, 250.0), rel=a_thousandth)
    assert track[0].at_s == 100.0
    # 8,200 km between the two airports
    assert (track[-1].at_s - 100.0) * 250.0 == pytest.approx(8.2e6, rel=0.01)


@settings(max_examples=25, deadline=None)
@given(
    a=st.tuples(st.floats(-75.0, 75.0), st.floats(-180.0, 180.0)),
    b=st.tuples(st.floats(-75.0, 75.0), st.floats(-180.0, 180.0)),
)
def test_a_leg_is_a_great_circle(a: tuple[float, float], b: tuple[float, float]) -> None:
    def zenith(latitude: float, longitude: float) -> np.ndarray:
        return np.array([
            math.cos(math.radians(latitude)) * math.cos(math.radians(longitude)),
            math.cos(math.radians(latitude)) * math.sin(math.radians(longitude)),
            math.sin(math.radians(latitude)),
        ])  # fmt: skip

    normal = np.cross(zenith(*a), zenith(*b))
    if np.linalg.norm(normal) < 0.01:  # the same point, or the opposite one
        return
    normal /= np.linalg.norm(normal)
    track = waypoints_at_speed([(*a, 0.0), (*b, 0.0)], 200.0)
    motion = Motion([Place("p", "ship", waypoints=track)])
    for t in np.linspace(0.0, track[-1].at_s, 97):
        motion.move_to(float(t))
        assert abs(motion.axes[0, 2] @ normal) * 6.4e6 < ten_metres


def test_a_path_over_the_pole_goes_on_at_its_speed() -> None:
    track = waypoints_at_speed([(80.0, 20.0, 0.0), (80.0, -160.0, 0.0)], 100.0)
    assert max(point.latitude_deg for point in track) == pytest.approx(90.0, abs=0.001)
    # 2 x 10 degrees of meridian, by the ellipsoid 111.66 km each
    assert track[-1].at_s * 100.0 == pytest.approx(20.0 * 111_660.0, rel=a_thousandth)


def test_climbing_straight_up_is_a_path() -> None:
    track = waypoints_at_speed([(10.0, 10.0, 0.0), (10.0, 10.0, 20_000.0)], 5.0)
    assert track[-1] == Waypoint(pytest.approx(4000.0), 10.0, 10.0, 20_000.0)


@pytest.mark.parametrize(
    ("points", "speed_m_s", "complaint"),
    [
        ([FRANKFURT, SEATTLE], 0.0, "speed_m_s is 0, it must be above 0"),
        ([FRANKFURT, SEATTLE], math.inf, "speed_m_s is inf, it must be above 0 and finite"),
        ([FRANKFURT, (1.0, 2.0)], 10.0, "point 2 has 2 numbers, should have latitude_deg, "),
        ([FRANKFURT], 10.0, "has 1 points, it needs at least 2"),
        ([FRANKFURT, FRANKFURT], 10.0, "points 1 and 2 of a path at a speed are the same"),
        ([(10.0, 20.0, 0.0), (-10.0, -160.0, 0.0)], 10.0, "opposite sides of the Earth"),
        ([FRANKFURT, (91.0, 0.0, 0.0)], 10.0, "point 2: latitude_deg is 91, allowed: -90 to 90"),
        ([FRANKFURT, (1.0, 0.0, -900.0)], 10.0, "point 2: altitude_m is -900, allowed: -500 to"),
    ],
)
def test_a_path_that_cannot_be_travelled_is_refused(
    points: list[tuple[float, float, float]], speed_m_s: float, complaint: str
) -> None:
    with pytest.raises(WorldError, match=complaint):
        waypoints_at_speed(points, speed_m_s)


def test_a_start_of_a_path_that_is_no_time_is_refused() -> None:
    with pytest.raises(WorldError, match="start_s is nan, should be a finite number of seconds"):
        waypoints_at_speed([FRANKFURT, SEATTLE], 250.0, start_s=math.nan)


def test_a_recording_in_utc_is_put_on_the_run_s_clock(tmp_path: Path) -> None:
    path = tmp_path / "ship.csv"
    path.write_text(
        "utc,latitude_deg,longitude_deg,altitude_m,heading\n"
        "2025-10-01T12:00:30Z,54.0,10.0,12.5,90\n2025-10-01T12:01:00Z,54.01,10.0,12.5,91\n"
    )
    assert read_track(path, START) == (Waypoint(30.0, 54.0, 10.0, 12.5), Waypoint(60.0, 54.01, 10.0, 12.5))


def test_a_recording_in_run_time_may_leave_the_altitude_out() -> None:
    text = "t_s, latitude_deg, longitude_deg\n-5,54.0,10.0\n2.5,54.1,10.0\n"
    assert parse_track(text, START) == (Waypoint(-5.0, 54.0, 10.0), Waypoint(2.5, 54.1, 10.0))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("time,lat\n1,2\n", "car.csv: a track needs the columns utc or t_s, .* it has time, lat"),
        ("", "car.csv: a track needs the columns .* it has none"),
        ("t_s,latitude_deg,longitude_deg\n", "car.csv: the track holds no point"),
        ("t_s,latitude_deg,longitude_deg\n0,1,2\n0,1,2\n", "line 3: t_s is 0, it must be later than"),
        ("t_s,latitude_deg,longitude_deg\n0,95,2\n", "line 2: latitude_deg is 95, allowed: -90 to 90"),
        ("t_s,latitude_deg,longitude_deg\n0,x,2\n", "line 2: latitude_deg is 'x', should be a number"),
        ("t_s,latitude_deg,longitude_deg\nnan,1,2\n", "line 2: t_s is 'nan', should be a number of seconds"),
        ("utc,latitude_deg,longitude_deg\nnoon,1,2\n", "line 2: utc is 'noon', should be a time like"),
        ("utc,latitude_deg,longitude_deg\n2025-10-01T12:00:00,1,2\n", "it needs a Z at the end"),
        ("t_s,latitude_deg,longitude_deg,altitude_m\n0,1,2,-700\n", "altitude_m is -700, allowed: -500 to"),
    ],
)
def test_a_recording_that_is_wrong_is_named_by_line(text: str, complaint: str) -> None:
    with pytest.raises(WorldError, match=complaint):
        parse_track(text, START, "car.csv")


def test_a_recording_that_is_not_there_is_named() -> None:
    with pytest.raises(WorldError, match=r"none\.csv: cannot be read \(No such file"):
        read_track("none.csv", START)
