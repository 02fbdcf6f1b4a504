"""The plus grid of regular shells: its neighbours, its seam; nearest links; links between layers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec
from emulator.topology.isl import BEGUN_EVERY_S, REMADE_EVERY_S, Isl, plus_grid
from emulator.topology.nearest import nearest_pairs, without_repeats
from tests.emulator.worlds import REGION, SHELL

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


def test_over_a_region_satellites_get_what_is_within_range() -> None:
    elements = generate(REGION, CLOCK)
    wide = Isl(replace(REGION, isl="plus-grid"), elements, Ephemeris([r for _, r in elements], CLOCK))
    wide.advance(0.0)
    assert len(wide.pairs) == 6
    narrow = replace(REGION, isl="plus-grid", isl_max_range_km=100.0)
    assert len(_links(narrow).pairs) == 0


def _links(spec: ConstellationSpec) -> Isl:
    """The links of a constellation at the start."""
    elements = generate(spec, CLOCK)
    isl = Isl(spec, elements, Ephemeris([record for _, record in elements], CLOCK))
    isl.advance(0.0)
    return isl


def test_regular_shells_keep_their_grid_for_the_run() -> None:
    spec = replace(SHELL, isl="plus-grid")
    isl = _links(spec)
    assert np.array_equal(isl.pairs, plus_grid(generate(SHELL, CLOCK)))
    assert not isl.advance(3600.0)


def test_shells_beside_other_satellites_keep_their_grid() -> None:
    shell = CircularShell(1200.0, 60.0, 48, 6, 1)
    both = generate(ConstellationSpec(shells=(shell,)), CLOCK) + generate(REGION, CLOCK)
    alone = plus_grid(both[:48])
    together = plus_grid(both)
    assert np.array_equal(together[together.max(axis=1) < 48], alone)


def test_nearest_gives_no_satellite_more_links_than_it_may_have() -> None:
    isl = _links(replace(SHELL, isl="nearest", isl_neighbours=3))
    degrees = np.bincount(isl.pairs.ravel(), minlength=1584)
    assert degrees.max() == 3
    assert (degrees == 3).mean() > 0.99


def test_links_stay_between_the_instants_at_which_they_are_made() -> None:
    isl = _links(replace(SHELL, isl="nearest"))
    before = isl.pairs
    assert not isl.advance(REMADE_EVERY_S - 0.1)
    assert isl.pairs is before


def test_links_in_range_and_clear_are_kept() -> None:
    spec = replace(SHELL, isl="nearest", isl_max_range_km=1500.0)
    elements = generate(spec, CLOCK)
    ephemeris = Ephemeris([record for _, record in elements], CLOCK)
    isl = Isl(spec, elements, ephemeris)
    isl.advance(0.0)
    before = isl.pairs
    assert isl.advance(4 * REMADE_EVERY_S)
    position = ephemeris.positions(4 * REMADE_EVERY_S)
    length = np.linalg.norm(position[isl.pairs[:, 0]] - position[isl.pairs[:, 1]], axis=1)
    assert length.max() <= 1500e3
    always = np.ones(len(before), dtype=bool)
    for k in range(1, 5):
        at = ephemeris.positions(k * REMADE_EVERY_S)
        always &= np.linalg.norm(at[before[:, 0]] - at[before[:, 1]], axis=1) <= 1500e3
    assert 0 < always.sum() < len(before)
    assert set(map(tuple, before[always].tolist())) <= set(map(tuple, isl.pairs.tolist()))


@pytest.mark.parametrize("isl", ["nearest", "plus-grid"])
def test_callers_at_any_times_see_the_same_links(isl: str) -> None:
    shells = (CircularShell(550.0, 53.0, 90, 9, 1, name="a"), CircularShell(900.0, 80.0, 7, 7, name="b"))
    spec = ConstellationSpec(shells=shells, isl=isl, interlayer="nearest")
    often, once = _links(spec), _links(spec)
    for k in range(1, 300):
        often.advance(k * 1.1)
    once.advance(299 * 1.1)
    assert np.array_equal(often.pairs, once.pairs)


class Asked:
    """An ephemeris that remembers at which instants it was asked."""

    def __init__(self, of: Ephemeris) -> None:
        self._of, self.at_s = of, list[float]()

    def positions(self, t_s: float) -> np.ndarray:
        self.at_s.append(t_s)
        return self._of.positions(t_s)


SMALL = ConstellationSpec(shells=(CircularShell(550.0, 53.0, 90, 9, 1), CircularShell(900.0, 80.0, 7, 7)))


@pytest.mark.parametrize(
    ("kinds", "most"),
    [
        ({"isl": "nearest"}, int(BEGUN_EVERY_S / REMADE_EVERY_S)),
        # nothing is kept: the instant alone counts
        ({"isl": "none", "interlayer": "nearest"}, 1),
    ],
)
def test_who_goes_far_ahead_follows_no_more_than_the_instants_that_count(
    kinds: dict[str, str], most: int
) -> None:
    high = CircularShell(8000.0, 50.0, 12, 3, name="high")
    spec = replace(SMALL, shells=(replace(SMALL.shells[0], name="low"), high), **kinds)
    elements = generate(spec, CLOCK)
    asked = Asked(Ephemeris([record for _, record in elements], CLOCK))
    far, near = Isl(spec, elements, asked), Isl(spec, elements, asked)
    later_s = 5.5 * BEGUN_EVERY_S
    far.advance(0.0)
    asked.at_s.clear()
    far.advance(later_s)
    assert 1 <= len(asked.at_s) <= most
    for t_s in np.arange(0.0, later_s + 1.0, 500.0):
        near.advance(float(t_s))
    near.advance(later_s)
    assert np.array_equal(far.pairs, near.pairs)


def test_links_to_near_satellites_are_begun_from_nothing_now_and_then() -> None:
    spec = replace(SHELL, isl="nearest")
    elements = generate(spec, CLOCK)
    ephemeris = Ephemeris([record for _, record in elements], CLOCK)
    isl = Isl(spec, elements, ephemeris)
    isl.advance(BEGUN_EVERY_S)
    at_once = nearest_pairs(ephemeris.positions(BEGUN_EVERY_S), np.full(1584, 4, dtype=np.int32), 5e6)
    assert np.array_equal(isl.pairs, without_repeats(at_once))


def test_a_satellite_that_comes_down_loses_its_links_and_the_others_find_new_ones() -> None:
    elements = generate(SHELL, CLOCK)
    above = Ephemeris([record for _, record in elements], CLOCK)

    class ComesDown:
        def positions(self, t_s: float) -> np.ndarray:
            position = above.positions(t_s)
            if t_s > 50.0:
                position[7] = np.nan
            return position

    isl = Isl(replace(SHELL, isl="nearest"), elements, ComesDown())
    isl.advance(30.0)
    assert np.count_nonzero(isl.pairs == 7) == 4
    isl.advance(60.0)
    degrees = np.bincount(isl.pairs.ravel(), minlength=1584)
    assert degrees[7] == 0
    assert (degrees == 4).mean() > 0.99


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(WorldError, match="run time is nan s, should be a finite number"):
        _links(replace(SHELL, isl="nearest")).advance(float("nan"))


def test_satellites_of_a_layer_link_to_the_next_layer_there_is() -> None:
    shells = (
        CircularShell(550.0, 53.0, 40, 4, name="low"),
        CircularShell(8000.0, 50.0, 20, 4, name="middle"),
        CircularShell(35786.0, 0.1, 8, 1, name="high"),
    )
    isl = _links(ConstellationSpec(shells=shells, interlayer="nearest"))
    layer = np.repeat([0, 1, 2], [40, 20, 8])
    assert {(int(layer[a]), int(layer[b])) for a, b in isl.pairs} == {(0, 1), (1, 2)}
    two = _links(ConstellationSpec(shells=(shells[0], shells[2]), interlayer="nearest"))
    assert len(two.pairs) == 40
    assert np.bincount(two.pairs[:, 0], minlength=40).tolist() == [1] * 40
    assert len(_links(ConstellationSpec(shells=shells[:1], interlayer="nearest")).pairs) == 0


def test_without_satellites_there_are_no_links() -> None:
    isl = Isl(ConstellationSpec(isl="nearest", interlayer="nearest"), [], Ephemeris([], CLOCK))
    assert not isl.advance(100.0)
    assert isl.pairs.shape == (0, 2)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"isl": "ring"}, "constellation.isl is 'ring', allowed: none, plus-grid, nearest"),
        ({"interlayer": "all"}, "constellation.interlayer is 'all', allowed: none, nearest"),
        ({"isl": "nearest", "isl_neighbours": 0}, "isl_neighbours is 0, allowed: 1 to 64"),
        ({"isl": "nearest", "isl_max_range_km": 0.0}, "isl_max_range_km is 0, it must be above 0 and at"),
        ({"isl": "nearest", "isl_neighbours": 65}, "isl_neighbours is 65, allowed: 1 to 64"),
        ({"isl": "nearest", "isl_max_range_km": 2e5}, "isl_max_range_km is 200000, .* at most 130000"),
        ({"isl": "plus-grid", "isl_max_range_km": float("nan")}, "isl_max_range_km is nan, it must be"),
    ],
)
def test_what_is_not_allowed_is_said_in_a_sentence(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WorldError, match=sentence):
        _links(replace(SHELL, **wrong))
