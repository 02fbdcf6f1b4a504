"""Places that stand and move: positions, axes and velocities, and coordinates that no place has."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.geometry import ecef_from_geodetic, enu_axes, geodetic_from_ecef
from emulator.orbits.motion import Motion
from emulator.spec import Place, Waypoint

one_micrometre = 1e-6
one_millimetre_a_second = 1e-3

ACROSS_THE_DATE_LINE = Place(
    "ship",
    "ship",
    waypoints=(Waypoint(10.0, 5.0, 179.9), Waypoint(110.0, 5.5, -179.9), Waypoint(120.0, 5.5, -179.9, 200.0)),
)


def _at(place: Place, t_s: float) -> Motion:
    motion = Motion([place])
    motion.move_to(t_s)
    return motion


def test_a_fixed_place_stands_where_it_is_and_has_no_velocity() -> None:
    motion = _at(Place("rome", "ground", 41.9, 12.5, 30.0), 17.0)
    assert motion.position[0] == pytest.approx(ecef_from_geodetic(41.9, 12.5, 30.0), abs=one_micrometre)
    assert not motion.velocity.any()
    assert len(motion.moving) == 0


@pytest.mark.parametrize(
    ("t_s", "where"),
    [
        (0.0, (5.0, 179.9, 0.0)),
        (10.0, (5.0, 179.9, 0.0)),
        (60.0, (5.25, 180.0, 0.0)),
        (115.0, (5.5, -179.9, 100.0)),
        (999.0, (5.5, -179.9, 200.0)),
    ],
)
def test_a_track_is_followed_over_the_date_line(t_s: float, where: tuple[float, float, float]) -> None:
    motion = _at(ACROSS_THE_DATE_LINE, t_s)
    assert motion.position[0] == pytest.approx(ecef_from_geodetic(*where), abs=one_micrometre)
    assert motion.axes[0] == pytest.approx(enu_axes(where[0], where[1]), abs=1e-12)


@given(t_s=st.floats(0.0, 130.0))
def test_the_velocity_is_the_change_of_the_position(t_s: float) -> None:
    h = 1e-3
    if any(abs(t_s - corner) <= 2.0 * h for corner in (10.0, 110.0, 120.0)):
        return
    place = ACROSS_THE_DATE_LINE
    change = (_at(place, t_s + h).position[0] - _at(place, t_s - h).position[0]) / (2.0 * h)
    assert _at(place, t_s).velocity[0] == pytest.approx(change, abs=one_millimetre_a_second)


def test_climbing_is_a_velocity_upwards() -> None:
    motion = _at(ACROSS_THE_DATE_LINE, 115.0)
    assert motion.axes[0] @ motion.velocity[0] == pytest.approx([0.0, 0.0, 20.0], abs=1e-9)


@pytest.mark.parametrize("kind", ["ground", "ship", "aerial"])
def test_a_place_below_ground_is_refused(kind: str) -> None:
    complaint = r"place 'mine': altitude is -600 m, it must not be below -500 m \(no land is lower\)"
    with pytest.raises(WorldError, match=complaint):
        Motion([Place("mine", kind, 10.0, 10.0, -600.0)])
    Motion([Place("dead-sea", kind, 31.5, 35.5, -430.0)])


@pytest.mark.parametrize(
    ("waypoint", "complaint"),
    [
        (Waypoint(0.0, 95.0, 0.0), "place 'p': waypoint 1: latitude is 95 deg, allowed: -90 to 90"),
        (Waypoint(0.0, 0.0, 400.0), "place 'p': waypoint 1: longitude is 400 deg, allowed: -180 to 360"),
        (Waypoint(0.0, 0.0, 0.0, -501.0), "place 'p': waypoint 1: altitude is -501 m, it must not be below"),
        (Waypoint(0.0, math.nan, 0.0), "place 'p': waypoint 1: latitude is nan deg"),
        (Waypoint(0.0, 0.0, 0.0, math.inf), "waypoint 1: altitude is inf m, should be a finite number"),
        (Waypoint(0.0, 0.0, 0.0, math.nan), "waypoint 1: altitude is nan m, should be a finite number"),
        (Waypoint(math.nan, 0.0, 0.0), "place 'p': waypoint 1: at_s is nan, should be finite"),
    ],
)
def test_a_waypoint_that_is_nowhere_is_refused(waypoint: Waypoint, complaint: str) -> None:
    with pytest.raises(WorldError, match=complaint):
        Motion([Place("p", "aerial", waypoints=(waypoint,))])


def test_waypoints_out_of_order_are_refused() -> None:
    with pytest.raises(WorldError, match="each later than the one before"):
        Motion([Place("p", "ship", waypoints=(Waypoint(5.0, 0.0, 0.0), Waypoint(5.0, 0.0, 1.0)))])


@given(
    latitude=st.floats(-89.0, 89.0), longitude=st.floats(-180.0, 180.0), altitude=st.floats(-500.0, 20_000.0)
)
def test_a_moving_place_is_where_its_coordinates_say(
    latitude: float, longitude: float, altitude: float
) -> None:
    place = Place("p", "aerial", waypoints=(Waypoint(0.0, latitude, longitude, altitude),))
    back = geodetic_from_ecef(_at(place, 1.0).position[0])
    assert np.allclose(back[0], latitude, atol=1e-9)
    assert abs(float(back[2]) - altitude) < 1e-3
