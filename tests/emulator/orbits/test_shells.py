"""Generated constellations: where their satellites are, and that publishing loses nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.geometry import geodetic_from_ecef
from emulator.orbits.elements import elements_to_text, parse_elements
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec, OverRegion

CLOCK = RunClock("2025-10-01T12:00:00Z")


def test_satellites_stand_over_the_middles_of_the_parts_of_the_region() -> None:
    region = OverRegion(47.0, 10.0, 2000.0, 1000.0, columns=2, rows=2, at_s=30.0)
    elements = generate(ConstellationSpec(over_region=region), CLOCK)
    assert [name for name, _ in elements] == ["sat-1", "sat-2", "sat-3", "sat-4"]
    position = Ephemeris([record for _, record in elements], CLOCK).positions(30.0)
    latitude, longitude, altitude = geodetic_from_ecef(position)
    middle = np.array([np.mean(latitude), np.mean(longitude)])
    assert middle == pytest.approx([47.0, 10.0], abs=0.3)  # parallels are not straight lines
    east_km = math.radians(longitude[1] - longitude[0]) * 6378.0 * math.cos(math.radians(latitude[0]))
    assert east_km == pytest.approx(1000.0, abs=10.0)
    assert math.radians(latitude[0] - latitude[2]) * 6378.0 == pytest.approx(1000.0, abs=10.0)
    assert altitude == pytest.approx(np.full(4, 1e6), abs=25e3)


def test_satellites_over_a_region_fly_in_the_stated_direction() -> None:
    region = OverRegion(10.0, 20.0, 100.0, 600.0, columns=1, rows=1, heading_deg=140.0, at_s=5.0)
    ((_, record),) = generate(ConstellationSpec(over_region=region), CLOCK)
    _, r, v = record.sgp4(*CLOCK.julian(5.0))
    up = np.array(r) / np.linalg.norm(r)
    east = np.cross([0.0, 0.0, 1.0], up)
    north = np.cross(up, east)
    heading = math.degrees(math.atan2(np.dot(v, east), np.dot(v, north)))
    assert heading == pytest.approx(140.0, abs=0.5)


def test_a_walker_shell_has_its_planes_slots_and_height() -> None:
    shell = CircularShell(550.0, 53.0, 12, 3, phasing=1, name="w")
    elements = generate(ConstellationSpec(shells=(shell,)), CLOCK)
    assert [name for name, _ in elements][:5] == ["w-01-01", "w-01-02", "w-01-03", "w-01-04", "w-02-01"]
    nodes = sorted({round(math.degrees(record.nodeo), 3) for _, record in elements})
    assert nodes == [0.0, 120.0, 240.0]
    # the first satellite of the next plane is F x 360/T further along
    assert math.degrees(elements[4][1].mo) == pytest.approx(30.0, abs=1e-3)
    for _, record in elements:
        _, r, _ = record.sgp4(*CLOCK.julian(0.0))
        assert np.linalg.norm(r) == pytest.approx(6378.137 + 550.0, abs=15.0)


def test_a_star_spreads_its_planes_over_half_a_turn() -> None:
    shell = CircularShell(1200.0, 87.9, 8, 4, pattern="star")
    elements = generate(ConstellationSpec(shells=(shell,)), CLOCK)
    assert max(math.degrees(record.nodeo) for _, record in elements) == pytest.approx(135.0, abs=1e-3)


def test_publishing_a_shell_loses_nothing() -> None:
    elements = generate(ConstellationSpec(shells=(CircularShell(550.0, 53.0, 66, 6, 3),)), CLOCK)
    published = parse_elements(elements_to_text(elements))
    for (name, record), (same_name, same) in zip(elements, published, strict=True):
        assert name == same_name
        assert record.sgp4(*CLOCK.julian(100.0)) == same.sgp4(*CLOCK.julian(100.0))


def test_satellites_that_do_not_fill_the_planes_are_refused() -> None:
    with pytest.raises(WorldError, match="10 satellites in 3 planes"):
        generate(ConstellationSpec(shells=(CircularShell(550.0, 53.0, 10, 3),)), CLOCK)
