"""Places that move: by a path and a speed, by a recorded track, or by waypoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emulator.geometry import ecef_from_geodetic
from emulator.spec import Place
from testbed.scenario import ScenarioError, load, shipped

#: a minute of latitude at 54.05 degrees: a (1 - e2) / (1 - e2 sin2)^1.5 of the WGS 84 ellipsoid
MERIDIAN_MINUTE_M = 1855.10
#: straight interpolation between waypoints against the arc
ALONG_M = 1.0

TRACK = """utc,latitude_deg,longitude_deg,altitude_m
2025-06-01T11:59:50Z,54.0,8.0,0
2025-06-01T12:00:10Z,54.1,8.0,0
2025-06-01T12:01:00Z,54.1,8.5,0
"""


def _place(change: str, name: str = "boat") -> Place:
    """A place of the laptop scenario, which starts at 2025-06-01T12:00:00Z and lasts a minute."""
    (place,) = [place for place in load("laptop", [change]).world_spec().places if place.id == name]
    return place


def test_a_path_is_travelled_at_its_speed() -> None:
    speed = MERIDIAN_MINUTE_M / 60
    place = _place(f"places.boat={{kind='ship', path=[[54, 8], [54.1, 8]], speed_m_s={speed}}}")
    first, second = place.waypoints[0], place.waypoints[-1]
    assert (first.at_s, first.latitude_deg, second.latitude_deg) == (0.0, 54.0, 54.1)
    assert second.at_s == pytest.approx(6 * 60, abs=ALONG_M / speed)


def test_a_place_on_a_path_is_at_the_start_of_the_run_where_it_has_come_to() -> None:
    place = _place("places.boat={kind='ship', path=[[54, 8], [55, 8]], speed_m_s=10, start_s=-600}")
    start = ecef_from_geodetic(54.0, 8.0, 0.0)
    here = ecef_from_geodetic(place.latitude_deg, place.longitude_deg, place.altitude_m)
    assert place.waypoints[0].at_s == -600
    assert np.linalg.norm(here - start) == pytest.approx(6000, abs=ALONG_M)


def test_points_without_a_height_are_at_that_of_the_place() -> None:
    change = "{kind='aerial', path=[[54, 8], [55, 8, 9000]], speed_m_s=230, altitude_m=11000}"
    heights = [waypoint.altitude_m for waypoint in _place(f"places.plane={change}", "plane").waypoints]
    assert (heights[0], heights[-1]) == (11_000, 9_000)


def test_a_recorded_track_is_laid_on_the_time_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "cruise.csv"
    path.write_text(TRACK)
    place = _place(f"places.boat={{kind='ship', track='{path}'}}")
    assert [waypoint.at_s for waypoint in place.waypoints] == [-10, 10, 60]
    # half-way between the first two points
    assert (place.latitude_deg, place.longitude_deg) == pytest.approx((54.05, 8.0), abs=1e-9)


def test_a_track_is_found_beside_its_scenario_and_needed_no_more_afterwards(tmp_path: Path) -> None:
    (tmp_path / "cruise.csv").write_text(TRACK)
    (laptop,) = [path for name, _, path in shipped() if name == "laptop"]
    mine = tmp_path / "mine.toml"
    mine.write_text(laptop.read_text() + '\n[places.boat]\nkind = "ship"\ntrack = "cruise.csv"\n')
    scenario = load(mine)
    (tmp_path / "cruise.csv").unlink()
    (tmp_path / "scenario.json").write_text(json.dumps(scenario.resolved()))
    assert load(tmp_path).world_spec() == scenario.world_spec()
    assert scenario.document.places["boat"].track == ""


@pytest.mark.parametrize(
    ("boat", "expected"),
    [
        ("kind='ship', path=[[54, 8], [55, 8]]", "boat.speed_m_s is 0.0, but must be more than 0"),
        ("kind='ship', latitude_deg=5, longitude_deg=5, speed_m_s=5", "boat.speed_m_s is 5.0, but must be"),
        ("kind='ship', latitude_deg=5, longitude_deg=5, start_s=5", "boat.start_s is 5.0, but must be"),
        ("path=[[54, 8], [55, 8]], speed_m_s=5", 'boat.path is given, but must be absent unless kind'),
        ("kind='satellite', satellite='sat-1', path=[[54, 8], [55, 8]], speed_m_s=5", "absent unless kind ="),
        (
            "kind='ship', path=[[54, 8], [55, 8]], speed_m_s=5, waypoints=[{at_s=0, latitude_deg=5, "
            "longitude_deg=5}]",
            "boat.path is given, but must be absent beside waypoints",
        ),
        ("kind='ship', path=[[54, 8], [55, 8]], speed_m_s=5, points=[[1, 1]]", "absent beside points"),
        ("kind='ship', path=[[54, 8], [55, 8]], speed_m_s=5, latitude_deg=5", "absent beside path"),
        ("kind='ship', path=[[54, 8], [95, 8]], speed_m_s=5", "boat.path.1 is [95.0, 8.0], but must be [lat"),
        ("kind='ship', path=[[54, 8], [5, 8, 99e3]], speed_m_s=5", "boat.path.1 is [5.0, 8.0, 99000.0], but"),
        ("kind='ship', path=[[54, 8], [54, 8]], speed_m_s=5", "can be travelled; points 1 and 2 of a path"),
        ("kind='ship', path=[[54, 8]], speed_m_s=5", "can be travelled; a path at a speed has 1 points"),
        ("kind='ship', path=[[54]], speed_m_s=5", "boat.path.0 is [54], but must be a list of at least 2"),
        ("kind='ship', track='/no/such.csv'", "places.boat.track: /no/such.csv: cannot be read (No such"),
        ("kind='ship', track_text='x'", "boat.track_text is given, but must be such that it can be read;"),
    ],
)  # fmt: skip
def test_what_cannot_be_travelled_is_said_in_one_sentence(boat: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load("laptop", [f"places.boat={{{boat}}}"])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_track_is_named_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "cruise.csv"
    path.write_text(TRACK.replace("54.1,8.5", "94.1,8.5"))
    with pytest.raises(ScenarioError, match=r"places\.boat\.track: .*cruise\.csv: line 4: lat"):
        load("laptop", [f"places.boat={{kind='ship', track='{path}'}}"])


def test_a_track_of_another_day_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cruise.csv"
    path.write_text(TRACK.replace("2025-06-01", "2025-06-02"))
    with pytest.raises(ScenarioError, match=r"boat\.track is .*86390 s to 86460 s.* a track that overlaps"):
        load("laptop", [f"places.boat={{kind='ship', track='{path}'}}"])
