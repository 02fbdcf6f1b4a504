"""The plus grid: its neighbours, its seam, and elements that have none."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.orbits.elements import parse_elements
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec
from emulator.topology.isl import plus_grid
from tests.emulator.worlds import REGION, SHELL, starlink_text

CLOCK = RunClock("2025-10-01T12:00:00Z")


def _degrees(pairs: np.ndarray, count: int) -> set[int]:
    found = Counter(pairs.ravel().tolist())
    return {found[k] for k in range(count)}


def test_in_a_delta_shell_every_satellite_has_four_neighbours() -> None:
    elements = generate(SHELL, CLOCK)
    pairs = plus_grid(elements)
    assert len(pairs) == 2 * 1584
    assert _degrees(pairs, 1584) == {4}


def test_neighbours_are_the_nearest_of_the_next_plane() -> None:
    elements = generate(SHELL, CLOCK)
    position = Ephemeris([record for _, record in elements], CLOCK).positions(0.0)
    pairs = plus_grid(elements)
    apart_km = np.linalg.norm(position[pairs[:, 0]] - position[pairs[:, 1]], axis=1) / 1e3
    along = 2 * 6928.0 * np.sin(np.pi / 22)
    assert apart_km.max() < along + 20.0
    assert np.median(apart_km) < along


def test_a_star_shell_has_a_seam() -> None:
    shell = CircularShell(1200.0, 87.9, 32, 4, pattern="star")
    pairs = plus_grid(generate(ConstellationSpec(shells=(shell,)), CLOCK))
    planes = {(a // 8, b // 8) for a, b in pairs.tolist() if a // 8 != b // 8}
    assert planes == {(0, 1), (1, 2), (2, 3)}


def test_two_shells_are_two_grids() -> None:
    shells = (CircularShell(550.0, 53.0, 24, 4, name="a"), CircularShell(570.0, 70.0, 40, 5, name="b"))
    pairs = plus_grid(generate(ConstellationSpec(shells=shells), CLOCK))
    assert _degrees(pairs, 64) == {4}
    assert not any(a < 24 <= b for a, b in pairs.tolist())


def test_small_shells_name_no_pair_twice() -> None:
    for satellites, planes in ((2, 1), (4, 2), (1, 1)):
        shell = CircularShell(550.0, 53.0, satellites, planes)
        pairs = plus_grid(generate(ConstellationSpec(shells=(shell,)), CLOCK))
        assert len({frozenset(pair) for pair in pairs.tolist()}) == len(pairs)
        assert all(a != b for a, b in pairs.tolist())


def test_elements_that_are_no_regular_shell_are_refused() -> None:
    with pytest.raises(WorldError, match='only isl = "none" is available'):
        plus_grid(parse_elements(starlink_text()))
    with pytest.raises(WorldError, match="needs planes all around the Earth, these 2"):
        plus_grid(generate(REGION, CLOCK))
