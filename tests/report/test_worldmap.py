"""The map's places that move."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.report import worldmap


def _waypoint(at_s: float, latitude_deg: float, longitude_deg: float) -> dict[str, float]:
    return {"at_s": at_s, "latitude_deg": latitude_deg, "longitude_deg": longitude_deg, "altitude_m": 0.0}


def test_a_moving_place_is_drawn_along_the_part_of_its_track_that_the_run_saw() -> None:
    track = [_waypoint(-100, 50, 8), _waypoint(100, 52, 10)]
    path = worldmap._path(track, shown_s=50.0)
    assert path[0] == pytest.approx([51, 9])
    assert path[-1] == pytest.approx([51.5, 9.5])


def test_a_track_over_the_date_line_does_not_go_round_the_earth() -> None:
    path = worldmap._path([_waypoint(0, 0, 179), _waypoint(10, 0, -179)], shown_s=10.0)
    assert (np.abs(path[:, 1]) >= 179 - 1e-9).all()
