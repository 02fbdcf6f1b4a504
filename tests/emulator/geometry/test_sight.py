"""What is seen from where: against Skyfield, and against cases with a known answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skyfield.api import EarthSatellite, load, wgs84

from emulator.geometry import (
    Sky,
    clear_between,
    clear_of_earth,
    ecef_from_geodetic,
    elevation_deg,
    enu_axes,
)
from emulator.geometry.sight import elevations, ranges
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from emulator.units import WGS84_A_M
from tests.emulator.worlds import SHELL

# Skyfield's horizon follows polar motion and the true equinox, ours the mean sidereal time
one_arc_second_deg = 1.0 / 3600.0
twenty_metres = 20.0
last_digits = 1e-12
hundred_metres = 100.0


def test_the_sky_over_a_place_is_the_one_skyfield_computes() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    elements = generate(SHELL, clock)
    positions = Ephemeris([record for _, record in elements], clock).positions(17.3)
    place, axes = ecef_from_geodetic(47.0, 8.0, 400.0), enu_axes(47.0, 8.0)
    index, elevation, azimuth, slant = Sky(len(elements)).visible(place, axes, positions, 10.0)
    assert len(index) > 10
    scale = load.timescale(builtin=True)
    moment = scale.utc(2025, 10, 1, 12, 0, 17.3)
    topos = wgs84.latlon(47.0, 8.0, 400.0)
    for k, i in enumerate(index):
        satellite = EarthSatellite.from_satrec(elements[i][1], scale)
        altitude, bearing, distance = (satellite - topos).at(moment).altaz()
        assert elevation[k] == pytest.approx(altitude.degrees, abs=one_arc_second_deg)
        across = (azimuth[k] - bearing.degrees + 180.0) % 360.0 - 180.0
        assert abs(across) * math.cos(math.radians(elevation[k])) < one_arc_second_deg
        assert slant[k] == pytest.approx(distance.m, abs=twenty_metres)


def test_a_satellite_overhead_is_at_ninety_degrees_and_the_height_away() -> None:
    place, axes = ecef_from_geodetic(-33.0, 151.0, 0.0), enu_axes(-33.0, 151.0)
    above = ecef_from_geodetic(-33.0, 151.0, 600e3)[None]
    _, elevation, _, slant = Sky(1).visible(place, axes, above, 10.0)
    assert elevation[0] == pytest.approx(90.0, abs=1e-5)
    assert slant[0] == pytest.approx(600e3)
    assert elevation_deg(place, axes[2], above)[0] == pytest.approx(90.0, abs=1e-5)


def test_satellites_below_the_limit_or_lost_are_not_seen() -> None:
    place, axes = ecef_from_geodetic(0.0, 0.0, 0.0), enu_axes(0.0, 0.0)
    positions = np.vstack(
        [
            ecef_from_geodetic(0.0, 180.0, 600e3),  # on the other side
            ecef_from_geodetic(0.0, 5.0, 600e3),
            np.full(3, np.nan),
            ecef_from_geodetic(0.0, 24.0, 600e3),  # just below the horizon
        ]
    )
    assert Sky(4).visible(place, axes, positions, 0.0)[0].tolist() == [1]
    assert Sky(4).visible(place, axes, positions, -90.0)[0].tolist() == [0, 1, 3]


def test_the_earth_blocks_satellites_on_opposite_sides_only() -> None:
    a = np.array([[7e6, 0.0, 0.0]] * 3)
    angle = np.radians([20.0, 60.0, 180.0])
    b = 7e6 * np.stack([np.cos(angle), np.sin(angle), np.zeros(3)], axis=1)
    # the ray's nearest point is at r cos(angle / 2): 6,893 km, 6,062 km, the centre
    assert clear_of_earth(a, b).tolist() == [True, False, False]


def test_a_ray_that_ends_nowhere_is_not_clear() -> None:
    a = np.array([[7e6, 0.0, 0.0], [np.nan, 0.0, 0.0]])
    b = np.array([[np.nan, 0.0, 0.0], [7e6, 0.0, 0.0]])
    assert clear_of_earth(a, b).tolist() == [False, False]


def test_elevations_and_ranges_by_index_are_those_of_their_positions() -> None:
    places = [(47.0, 8.0), (-33.0, 151.0), (0.0, 0.0)]
    position = np.array([ecef_from_geodetic(*place, 100.0) for place in places])
    axes = np.array([enu_axes(*place) for place in places])
    # all around, below the horizon too, and straight above the first place
    target = np.random.default_rng(4).normal(scale=8e6, size=(50, 3))
    target[7] = position[0] + 6e5 * axes[0, 2]
    place, which = np.random.default_rng(5).integers(0, [[3], [50]], (2, 300)).astype(np.int32)
    place[0], which[0] = 0, 7
    out = np.empty(300)
    elevations(position, axes, place, target, which, out)
    expected = elevation_deg(position[place], axes[place, 2], target[which])
    assert out[1:] == pytest.approx(expected[1:], rel=last_digits, abs=last_digits)
    assert out[0] == pytest.approx(90.0, abs=1e-5)
    ranges(target, which, which[::-1], out)
    assert out == pytest.approx(np.linalg.norm(target[which[::-1]] - target[which], axis=1), rel=last_digits)


def test_the_elevation_of_what_is_nowhere_is_not_a_number() -> None:
    out = np.zeros(1)
    first = np.zeros(1, dtype=np.int32)
    elevations(np.ones((1, 3)), np.ones((1, 3, 3)), first, np.full((1, 3), np.nan), first, out)
    assert np.isnan(out[0])


def test_pairs_of_rows_are_judged_as_their_positions_are() -> None:
    positions = np.random.default_rng(5).normal(scale=6e6, size=(60, 3))
    a, b = np.random.default_rng(6).integers(0, 60, (2, 500)).astype(np.int32)
    clear = clear_between(positions, a, b)
    assert np.array_equal(clear, clear_of_earth(positions[a], positions[b]))
    assert 0 < clear.sum() < 500


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height_m=st.floats(0.0, 500e3))
def test_a_ray_is_clear_when_every_point_of_it_is_above_the_grazing_height(
    seed: int, height_m: float
) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, 40, 3))
    radius = WGS84_A_M + random.uniform(0.3e6, 36e6, (2, 40, 1))
    a, b = (radius[k] * v / np.linalg.norm(v, axis=1)[:, None] for k, v in enumerate((a, b)))
    share = np.linspace(0.0, 1.0, 2001)[:, None, None]
    nearest = np.linalg.norm(a + share * (b - a), axis=2).min(axis=0) - WGS84_A_M - height_m
    clear = clear_of_earth(a, b, height_m)
    # between two sample points, 43 km apart at most, the ray dips by less than a hundred metres
    decided = np.abs(nearest) > hundred_metres
    assert np.array_equal(clear[decided], nearest[decided] > 0.0)
