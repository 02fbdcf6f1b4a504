"""Which stations a terminal reaches: range, line of sight, and the least elevation for what is in the air."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.orbits.motion import Motion
from emulator.spec import Place
from emulator.topology.stations import STATION_HEIGHT_M, TERMINAL_HEIGHT_M, Stations

#: of a degree of latitude at 48 degrees north, km
KM_PER_DEG = 111.2


def _station(km: float, **more: Any) -> Place:
    """A station north of the terminal."""
    values = {"kind": "ground", "latitude_deg": 48.0 + km / KM_PER_DEG, "longitude_deg": 11.0}
    return Place("station", **{**values, "access": "station", **more})


def _terminal(**more: Any) -> Place:
    values = {"kind": "ground", "latitude_deg": 48.0, "longitude_deg": 11.0, "access": "terminal"}
    return Place("terminal", **{**values, **more})


def _reached(station: Place, terminal: Place | None = None) -> bool:
    places = [terminal or _terminal(), station]
    pair = np.array([0], dtype=np.int32), np.array([1], dtype=np.int32)
    return bool(Stations(places).reaches(*pair, Motion(places))[0])


def test_a_base_station_reaches_as_far_as_it_is_given() -> None:
    assert _reached(_station(4.9, max_range_km=5.0))
    assert not _reached(_station(5.1, max_range_km=5.0))


def test_between_ends_on_the_ground_the_horizon_is_that_of_their_antennas() -> None:
    # tangents to a sphere of 4/3 of the Earth's radius: sqrt(2 R h) for either end
    radius_km = 4.0 / 3.0 * 6371.0
    horizon_km = sum(math.sqrt(2.0 * radius_km * h / 1e3) for h in (STATION_HEIGHT_M, TERMINAL_HEIGHT_M))
    assert horizon_km == pytest.approx(25.7, abs=0.1)
    assert _reached(_station(horizon_km - 0.2))
    assert not _reached(_station(horizon_km + 0.2))
    # a range beyond the horizon does not help
    assert not _reached(_station(horizon_km + 0.2, max_range_km=100.0))


def test_a_station_on_a_mountain_sees_further_and_both_on_a_plateau_do_not() -> None:
    assert _reached(_station(100.0, altitude_m=1000.0))
    assert not _reached(_station(100.0, altitude_m=1000.0), _terminal(altitude_m=1000.0))


def test_stations_on_the_ground_are_not_held_to_the_least_elevation() -> None:
    assert _reached(_station(3.0), _terminal(min_elevation_deg=40.0))


def test_platforms_in_the_air_are() -> None:
    # 20 km up and 20 km away: at 45 degrees
    platform = _station(20.0, kind="aerial", altitude_m=20e3)
    assert _reached(platform, _terminal(min_elevation_deg=44.0))
    assert not _reached(platform, _terminal(min_elevation_deg=46.0))


def test_a_terminal_in_the_air_reaches_down_to_the_ground_and_across() -> None:
    jet = _terminal(kind="aerial", altitude_m=10e3, min_elevation_deg=10.0)
    assert _reached(_station(200.0), jet)
    assert _reached(_station(200.0, kind="aerial", altitude_m=10e3), jet)
    # two horizons of sqrt(2 R h) = 412 km each
    assert _reached(_station(800.0, kind="aerial", altitude_m=10e3), jet)
    assert not _reached(_station(840.0, kind="aerial", altitude_m=10e3), jet)


def test_elevation_and_range_are_those_from_every_terminal_to_every_station() -> None:
    places = [_terminal(), _station(20.0, kind="aerial", altitude_m=20e3), _terminal(), _station(3.0)]
    stations = Stations(places)
    assert stations.index.tolist() == [1, 3]
    terminals = np.array([[0], [2]], dtype=np.int32)
    reached, elevation, range_m = stations.reach(terminals, stations.index, Motion(places))
    assert reached.shape == (2, 2)
    assert elevation[1, 0] == pytest.approx(45.0, abs=0.2)
    assert range_m[1, 0] == pytest.approx(math.sqrt(2.0) * 20e3, rel=2e-3)
    assert range_m[0, 1] == pytest.approx(3e3, rel=2e-3)


def test_without_a_limit_a_station_serves_any_number() -> None:
    assert Stations([_station(1.0)]).capacity[0] > 10**6
    assert Stations([_station(1.0, max_links=3)]).capacity.tolist() == [3]


def test_a_range_below_zero_is_refused() -> None:
    with pytest.raises(WorldError, match="place 'station': max_range_km is -1, it must not be below 0"):
        Stations([_station(1.0, max_range_km=-1.0)])
