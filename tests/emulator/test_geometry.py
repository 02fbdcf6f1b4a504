"""What is seen from where: against Skyfield, and against cases with a known answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skyfield.api import EarthSatellite, load, wgs84

from emulator.geometry import (
    Sky,
    clear_of_earth,
    ecef_from_geodetic,
    elevation_deg,
    enu_axes,
    geodetic_from_ecef,
)
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from tests.emulator.worlds import SHELL

one_millimetre_m = 1e-3
# Skyfield's horizon follows polar motion and the true equinox, ours the mean sidereal time
one_arc_second_deg = 1.0 / 3600.0
twenty_metres = 20.0


@pytest.mark.parametrize("altitude_m", [-400.0, 0.0, 20e3, 550e3, 35_786e3])
def test_geodetic_coordinates_survive_the_way_there_and_back(altitude_m: float) -> None:
    latitude, longitude = np.meshgrid(np.linspace(-90.0, 90.0, 37), np.linspace(-175.0, 180.0, 13))
    position = ecef_from_geodetic(latitude, longitude, altitude_m)
    back = geodetic_from_ecef(position)
    assert np.abs(back[0] - latitude).max() < 1e-9
    assert np.abs(back[2] - altitude_m).max() < one_millimetre_m
    assert np.abs(ecef_from_geodetic(*back) - position).max() < one_millimetre_m


def test_the_ellipsoid_has_its_published_axes() -> None:
    assert ecef_from_geodetic(0.0, 90.0, 0.0) == pytest.approx([0.0, 6_378_137.0, 0.0], abs=1e-6)
    assert ecef_from_geodetic(90.0, 0.0, 0.0) == pytest.approx([0.0, 0.0, 6_356_752.3142], abs=1e-4)


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
