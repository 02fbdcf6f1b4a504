"""The plus grid of real constellations: element sets of different moments, gaps, satellites going up."""

from __future__ import annotations

import gzip
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sgp4.api import WGS72, Satrec

from emulator.orbits.elements import Element, parse_elements, usable
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec
from emulator.topology.isl import Isl, plus_grid
from emulator.topology.planes import SHELL_CORE, Orbits, grid_of, longest_m, orbits_at, planes_of, shells_of
from tests.emulator.worlds import shared

CLOCK = RunClock("2025-10-01T12:00:00Z")
SHELL = ConstellationSpec(shells=(CircularShell(550.0, 53.0, 576, 24, 13),))
#: zero of the moments that SGP4 records are made with
SGP4_ZERO = 2433281.5
#: a metre: the closed form and a fine search over the orbit
LENGTH_TOLERANCE_M = 1.0
#: what the grid of the real Starlink file of 2025-10-01 reached when it was made, less a little
STARLINK_FOUR_LINKS, STARLINK_LINKED = 0.68, 0.97
#: and, with the links of those on their way, the largest part in which all reach each other
JOINED = 0.99


def _at_another_moment(record: Any, days: float, stray_deg: float = 0.0) -> Any:
    """The same satellite with elements for a moment `days` later."""
    minutes = days * 1440.0
    turn = 2.0 * math.pi
    satellite = Satrec()
    satellite.sgp4init(
        WGS72,
        "i",
        record.satnum,
        record.jdsatepoch + record.jdsatepochF + days - SGP4_ZERO,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        record.inclo,
        (record.mo + record.argpo + (record.mdot + record.argpdot) * minutes + math.radians(stray_deg))
        % turn,
        record.no_kozai,
        (record.nodeo + record.nodedot * minutes) % turn,
    )
    return satellite


def _real(seed: int = 1) -> list[Element]:
    """The shell as an element file would tell it: moments of two days, half a degree out of place."""
    generator = np.random.default_rng(seed)
    return [
        (name, _at_another_moment(record, generator.uniform(-1.0, 1.0), generator.uniform(-0.5, 0.5)))
        for name, record in generate(SHELL, CLOCK)
    ]


def _set(pairs: np.ndarray) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in pairs}


def test_element_sets_of_different_moments_give_the_grid_of_one() -> None:
    assert _set(plus_grid(_real(), julian=CLOCK.julian(0.0))) == _set(plus_grid(generate(SHELL, CLOCK)))


def test_a_missing_satellite_is_passed_by_its_neighbours_along_the_plane() -> None:
    elements = _real()
    without = elements[:30] + elements[31:]
    pairs = plus_grid(without, julian=CLOCK.julian(0.0))
    assert (29, 30) in _set(pairs)  # those that were 29 and 31: one plane, two steps apart
    assert np.bincount(pairs.ravel()).max() <= 4


def test_no_link_spans_a_gap_longer_than_allowed() -> None:
    elements = _real()
    holed = elements[:26] + elements[34:]  # eight in a row of a plane of 24
    pairs = plus_grid(holed, max_range_km=4000.0, julian=CLOCK.julian(0.0))
    assert (25, 26) not in _set(pairs)
    position = Ephemeris([record for _, record in holed], CLOCK).positions(0.0)
    length_km = np.linalg.norm(position[pairs[:, 0]] - position[pairs[:, 1]], axis=1) / 1e3
    assert length_km.max() <= 4000.0


def test_a_satellite_on_its_way_up_is_in_no_shell() -> None:
    elements = _real()
    rising = generate(ConstellationSpec(shells=(CircularShell(400.0, 53.0, 1, 1, name="new"),)), CLOCK)
    pairs = plus_grid(elements + rising, julian=CLOCK.julian(0.0))
    assert len(elements) not in pairs
    assert len(pairs) == 2 * len(elements)


def test_shells_at_like_heights_are_told_apart_by_inclination() -> None:
    shells = (CircularShell(547.0, 53.05, 60, 6, name="a"), CircularShell(547.0, 53.2, 60, 6, name="b"))
    records = [record for _, record in generate(ConstellationSpec(shells=shells), CLOCK)]
    assert [len(shell) for shell in shells_of(records)] == [60, 60]


def test_a_few_satellites_side_by_side_are_no_shell() -> None:
    for count, shells in ((SHELL_CORE, 0), (SHELL_CORE + 1, 1)):
        together = ConstellationSpec(shells=(CircularShell(547.0, 53.0, count, 1),))
        assert len(shells_of([record for _, record in generate(together, CLOCK)])) == shells


@pytest.mark.parametrize(("height_km", "linked"), [(550.0, True), (400.0, False)])
def test_no_link_passes_through_the_air_however_long_links_may_be(height_km: float, linked: bool) -> None:
    # ten in a plane: 4,280 and 4,190 km apart, where rays of 5,016 and 4,116 km graze the air
    shell = ConstellationSpec(shells=(CircularShell(height_km, 53.0, 20, 2),))
    records = [record for _, record in generate(shell, CLOCK)]
    pairs = grid_of(records, orbits_at(records, CLOCK.julian(0.0)), 5e6)
    along = {(a, b) for a, b in _set(pairs) if a // 10 == b // 10}
    assert len(along) == (20 if linked else 0)


def test_a_plane_at_the_zero_of_the_node_is_one_plane() -> None:
    count = 12
    node = np.radians([359.8, 0.1] * (count // 2))
    orbits = Orbits(np.full(count, 7e6), np.full(count, 0.9), node, np.linspace(0.0, 6.0, count))
    planes = planes_of(np.arange(count), orbits)
    assert [plane.tolist() for plane in planes] == [list(range(count))]


def test_where_satellites_are_comes_out_of_their_orbits() -> None:
    records = [record for _, record in _real()]
    orbits = orbits_at(records, CLOCK.julian(0.0))
    towards, after = orbits.axes(np.arange(len(records)))
    along = orbits.along[:, None]
    position = orbits.radius_m[:, None] * (towards * np.cos(along) + after * np.sin(along))
    for k in (0, 100, 575):
        _, expected_km, _ = records[k].sgp4(*CLOCK.julian(0.0))
        np.testing.assert_allclose(position[k], np.array(expected_km) * 1e3, atol=LENGTH_TOLERANCE_M)


def test_satellites_that_sgp4_gives_up_on_are_in_no_pair() -> None:
    elements = generate(SHELL, CLOCK)
    records = [record for _, record in elements]
    orbits = orbits_at(records, CLOCK.julian(0.0))
    orbits.radius_m[:20] = orbits.along[:20] = orbits.node[:20] = np.nan
    pairs = grid_of(records, orbits, 5e6)
    assert pairs.min() == 20
    orbits.radius_m[:] = orbits.along[:] = orbits.node[:] = np.nan
    assert len(grid_of(records, orbits, 5e6)) == 0


angle = st.floats(0.0, 2.0 * math.pi)


@settings(max_examples=100, deadline=None)
@given(
    nodes=st.tuples(angle, angle),
    alongs=st.tuples(angle, angle),
    inclination=st.floats(0.0, math.pi),
    rise_m=st.floats(0.0, 50e3),
)
def test_the_longest_way_between_two_satellites_is_that_of_a_whole_turn(
    nodes: tuple[float, float], alongs: tuple[float, float], inclination: float, rise_m: float
) -> None:
    radius = np.array([7e6, 7e6 + rise_m])
    orbits = Orbits(radius, np.full(2, inclination), np.array(nodes), np.array(alongs))
    towards, after = orbits.axes(np.arange(2))
    turn = np.linspace(0.0, 2.0 * math.pi, 20_001)[:, None]
    at = [
        radius[k] * (towards[k] * np.cos(alongs[k] + turn) + after[k] * np.sin(alongs[k] + turn))
        for k in (0, 1)
    ]
    expected = np.linalg.norm(at[0] - at[1], axis=1).max()
    assert longest_m(orbits, np.array([0]), np.array([1]))[0] == pytest.approx(
        expected, abs=LENGTH_TOLERANCE_M
    )


def _measured(name: str, clock: RunClock) -> list[Element]:
    text = gzip.decompress(shared(name).read_bytes()).decode()
    return usable(parse_elements(text), [clock.julian(0.0), clock.julian(3600.0)])[0]


@pytest.mark.parametrize(
    ("name", "start_utc"),
    [
        ("tle_starlink_daily/starlink_2025-10-01.tle.gz", "2025-10-01T12:00:00Z"),
        ("tle_dated_snapshots/oneweb_2025-03-19_tma25.txt.gz", "2025-03-19T12:00:00Z"),
    ],
)
def test_satellites_that_the_grid_leaves_out_join_it_where_they_are(name: str, start_utc: str) -> None:
    clock = RunClock(start_utc)
    elements = _measured(name, clock)
    spec = ConstellationSpec(elements="given", isl="plus-grid")
    isl = Isl(spec, elements, Ephemeris([record for _, record in elements], clock), clock.julian(0.0))
    assert isl.advance(0.0)
    count = len(elements)
    assert np.bincount(isl.pairs.ravel(), minlength=count).max() <= 4
    net = coo_matrix((np.ones(len(isl.pairs)), isl.pairs.T), shape=(count, count))
    _, part = connected_components(net, directed=False)
    assert np.bincount(part).max() / count >= JOINED


def test_real_starlink_satellites_mostly_have_four_links_for_an_hour() -> None:
    elements = _measured("tle_starlink_daily/starlink_2025-10-01.tle.gz", CLOCK)
    pairs = plus_grid(elements, julian=CLOCK.julian(0.0))
    degrees = np.bincount(pairs.ravel(), minlength=len(elements))
    assert degrees.max() <= 4
    assert (degrees == 4).mean() >= STARLINK_FOUR_LINKS
    assert (degrees > 0).mean() >= STARLINK_LINKED
    position = Ephemeris([record for _, record in elements], CLOCK).positions(3600.0)
    length_km = np.linalg.norm(position[pairs[:, 0]] - position[pairs[:, 1]], axis=1) / 1e3
    assert np.median(length_km) < 1500.0
