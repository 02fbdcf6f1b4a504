"""Generated constellations: where their satellites are, and that publishing loses nothing."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.geometry import geodetic_from_ecef
from emulator.orbits.elements import elements_to_text, parse_elements
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from emulator.satellites import satellites_of
from emulator.spec import CircularShell, ConstellationSpec, Geostationary, OverRegion

CLOCK = RunClock("2025-10-01T12:00:00Z")
a_tenth_of_a_degree = 0.1
ten_kilometres = 10.0


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


def _states_km(record: object, hours: np.ndarray) -> np.ndarray:
    day, fraction = CLOCK.julian(0.0)
    error, position, _ = record.sgp4_array(np.full(len(hours), day), fraction + hours / 24.0)  # type: ignore[attr-defined]
    assert not error.any()
    return np.asarray(position)


@pytest.mark.parametrize("longitude_deg", [-105.3, -14.9, 0.0, 19.2, 75.1, 163.0, 359.5])
@pytest.mark.parametrize("inclination_deg", [0.0, 0.05, 3.0])
def test_a_geostationary_satellite_stands_over_its_longitude_for_a_day(
    longitude_deg: float, inclination_deg: float
) -> None:
    spec = ConstellationSpec(geostationary=(Geostationary("geo", longitude_deg, inclination_deg),))
    ((name, record),) = generate(spec, CLOCK)
    assert name == "geo"
    hours = np.arange(0.0, 24.1, 0.25)
    position = _states_km(record, hours)
    turned = np.arctan2(position[:, 1], position[:, 0]) - CLOCK.sidereal_rad(hours * 3600.0)
    off_deg = (np.degrees(turned) - longitude_deg + 180.0) % 360.0 - 180.0
    assert np.abs(off_deg).max() < a_tenth_of_a_degree
    north_deg = np.degrees(np.arcsin(position[:, 2] / np.linalg.norm(position, axis=1)))
    assert np.abs(north_deg).max() == pytest.approx(inclination_deg, abs=a_tenth_of_a_degree)
    assert np.linalg.norm(position, axis=1) == pytest.approx(42_164.0, abs=20.0)


@pytest.mark.parametrize("altitude_km", [550.0, 8062.0, 10_354.0, 20_200.0, 23_222.0])
def test_a_shell_keeps_its_height_for_days_near_the_earth_and_in_deep_space(altitude_km: float) -> None:
    elements = generate(ConstellationSpec(shells=(CircularShell(altitude_km, 55.0, 12, 3, 1),)), CLOCK)
    deep = altitude_km > 5900.0  # 225 minutes and more: SDP4
    for _, record in elements:
        assert record.method == ("d" if deep else "n")
        height = np.linalg.norm(_states_km(record, np.arange(0.0, 72.0, 0.2)), axis=1) - 6378.137
        assert height == pytest.approx(altitude_km, abs=ten_kilometres)


def test_forty_two_thousand_satellites_have_names_numbers_and_published_text() -> None:
    shells = tuple(CircularShell(550.0 + 20.0 * k, 53.0, 10_500, 100, 1, name=f"s{k}") for k in range(4))
    elements = generate(ConstellationSpec(shells=shells), CLOCK)
    assert len({name for name, _ in elements}) == len({record.satnum for _, record in elements}) == 42_000
    published = parse_elements(elements_to_text(elements))
    for (name, record), (same_name, same) in zip(elements[::41], published[::41], strict=True):
        assert name == same_name
        assert record.sgp4(*CLOCK.julian(100.0)) == same.sgp4(*CLOCK.julian(100.0))


def test_numbers_of_real_satellites_are_not_given_to_generated_ones() -> None:
    spec = ConstellationSpec(shells=(CircularShell(550.0, 53.0, 3, 1),))
    assert [record.satnum for _, record in generate(spec, CLOCK, {70_002})] == [70_001, 70_003, 70_004]


def test_shells_geostationary_satellites_and_elements_are_one_constellation() -> None:
    real = elements_to_text(generate(ConstellationSpec(geostationary=(Geostationary("real", 19.2),)), CLOCK))
    spec = ConstellationSpec(
        elements=real,
        shells=(CircularShell(550.0, 53.0, 4, 2), CircularShell(8062.0, 0.0, 2, 1, name="meo")),
        geostationary=(Geostationary("geo", -30.0),),
    )
    elements, ages_s = satellites_of(spec, CLOCK)
    names = [name for name, _ in elements]
    assert names == [
        "real", "sat-01-01", "sat-01-02", "sat-02-01", "sat-02-02", "meo-01-01", "meo-01-02", "geo",
    ]  # fmt: skip
    assert len({record.satnum for _, record in elements}) == len(elements)
    assert ages_s == pytest.approx(np.zeros(8), abs=1e-3)
    assert [name for name, _ in parse_elements(elements_to_text(elements))] == names


def test_two_satellites_of_one_name_are_refused() -> None:
    twice = ConstellationSpec(geostationary=(Geostationary("geo", 0.0), Geostationary("geo", 10.0)))
    with pytest.raises(WorldError, match="two satellites are called 'geo'"):
        satellites_of(twice, CLOCK)


def _region(**values: Any) -> ConstellationSpec:
    return ConstellationSpec(
        over_region=dataclasses.replace(OverRegion(47.0, 10.0, 2000.0, 1000.0), **values)
    )


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (
            ConstellationSpec(geostationary=(Geostationary("g", 400.0),)),
            "longitude 400 deg, allowed: -180 to 360",
        ),
        (
            ConstellationSpec(geostationary=(Geostationary("g", 0.0, -1.0),)),
            "inclination -1 deg, allowed: 0 to 90",
        ),
        (
            ConstellationSpec(shells=(CircularShell(-20.0, 53.0, 4, 2),)),
            "altitude -20 km, it must be above 0",
        ),
        (
            ConstellationSpec(shells=(CircularShell(550.0, 190.0, 4, 2),)),
            "inclination 190 deg, allowed: 0 to 180",
        ),
        (ConstellationSpec(shells=(CircularShell(550.0, 53.0, 4, 2, pattern="x"),)), "allowed: delta, star"),
        (_region(latitude_deg=95.0), "over_region: latitude_deg is 95, allowed: -90 to 90"),
        (_region(altitude_km=-7000.0), "over_region: altitude_km is -7000, allowed: 1 to"),
        (_region(heading_deg=math.nan), "over_region: heading_deg is nan"),
        (_region(at_s=1e12), r"over_region: at_s is 1e\+12"),
        (_region(rows=0), "over_region has 2 columns and 0 rows, each must be at least 1"),
    ],
)
def test_parameters_that_make_no_orbit_are_refused(spec: ConstellationSpec, complaint: str) -> None:
    with pytest.raises(WorldError, match=complaint):
        generate(spec, CLOCK)


@pytest.mark.parametrize("year", [1956, 2057])
def test_a_start_in_a_year_that_a_tle_does_not_tell_is_refused(year: int) -> None:
    late = RunClock(f"{year}-06-01T12:00:00Z")
    with pytest.raises(WorldError, match=f"in the year {year}, allowed: 1957 to 2056"):
        generate(ConstellationSpec(shells=(CircularShell(550.0, 53.0, 4, 2),)), late)


@pytest.mark.parametrize("start", ["1957-01-01T00:00:00Z", "2056-12-31T23:59:59Z"])
def test_the_first_and_the_last_start_that_a_tle_tells_are_kept(start: str) -> None:
    clock = RunClock(start)
    (_, record), *_ = generate(ConstellationSpec(shells=(CircularShell(550.0, 53.0, 4, 2),)), clock)
    epoch = (record.jdsatepoch - clock.julian_day) + (record.jdsatepochF - clock.day_fraction)
    assert abs(epoch) < 1e-7  # a TLE has eight digits of a day
    assert elements_to_text([("one", record)]).startswith("one\n1 ")
