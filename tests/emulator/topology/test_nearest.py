"""Nearest links: the same as taking the shortest of all pairs again and again; and the nearest one above."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.geometry import clear_of_earth
from emulator.topology.nearest import nearest_above, nearest_pairs, without_repeats

#: radii of two shells, m
LOW_M, HIGH_M = 6_928_000.0, 7_578_000.0


def _satellites(count: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    direction = generator.normal(size=(count, 3))
    radius = generator.choice([LOW_M, HIGH_M], count)
    return direction / np.linalg.norm(direction, axis=1)[:, None] * radius[:, None]


def _shortest_first(
    position: np.ndarray, spare: np.ndarray, max_range_m: float, wanting: np.ndarray
) -> list[tuple[int, int]]:
    a, b = np.triu_indices(len(position), 1)
    length = np.linalg.norm(position[a] - position[b], axis=1)
    there = (length <= max_range_m) & clear_of_earth(position[a], position[b]) & (wanting[a] | wanting[b])
    a, b, length = a[there], b[there], np.rint(length[there])
    free, taken = spare.copy(), []
    for k in np.lexsort((b, a, length)):
        if free[a[k]] > 0 and free[b[k]] > 0:
            free[a[k]] -= 1
            free[b[k]] -= 1
            taken.append((int(a[k]), int(b[k])))
    return taken


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 120),
    seed=st.integers(0, 1000),
    most=st.integers(1, 5),
    max_range_km=st.sampled_from([200.0, 1500.0, 5000.0, 9000.0]),
    share=st.sampled_from([0.1, 1.0]),
)
def test_the_shortest_pairs_are_taken_first(
    count: int, seed: int, most: int, max_range_km: float, share: float
) -> None:
    generator = np.random.default_rng(seed)
    position = _satellites(count, seed)
    spare = generator.integers(0, most + 1, count).astype(np.int32)
    wanting = generator.random(count) < share
    found = nearest_pairs(position, spare, max_range_km * 1e3, wanting=wanting)
    expected = _shortest_first(position, spare, max_range_km * 1e3, wanting)
    assert [tuple(pair) for pair in found.tolist()] == expected


def test_pairs_that_exist_are_not_named_again() -> None:
    position = _satellites(60, 3)
    spare = np.full(60, 2, dtype=np.int32)
    first = nearest_pairs(position, spare, 5e6)
    second = nearest_pairs(position, spare, 5e6, besides=first[:, ::-1])
    both = set(map(tuple, first.tolist())) & set(map(tuple, second.tolist()))
    assert len(second) > 0
    assert not both


def test_satellites_at_the_same_point_are_the_nearest_of_all() -> None:
    position = _satellites(30, 8)
    position[[4, 9]] = position[2]
    position[9, 0] += 0.4
    found = nearest_pairs(position, np.ones(30, dtype=np.int32), 5e6)
    assert found[0].tolist() == [2, 4]


def test_lengths_that_count_as_equal_are_ordered_by_index_wherever_a_ring_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # three on one line, the lower index a hair further: the ring would end between the two
    monkeypatch.setattr("emulator.topology.nearest._first_ring_m", lambda *_: 100_000.1)
    position = np.array([[LOW_M, 0.0, 100_000.3], [LOW_M, 0.0, 0.0], [LOW_M, 0.0, -100_000.0]])
    found = nearest_pairs(position, np.ones(3, dtype=np.int32), 5e6)
    assert found.tolist() == [[0, 1]]


def test_a_satellite_without_a_position_has_no_link() -> None:
    position = _satellites(20, 4)
    position[7] = np.nan
    assert 7 not in nearest_pairs(position, np.full(20, 3, dtype=np.int32), 9e6)
    assert 7 not in nearest_above(position, np.array([7, 8], dtype=np.int32), np.array([1], dtype=np.int32))
    assert 7 not in nearest_above(position, np.array([8], dtype=np.int32), np.array([7], dtype=np.int32))


def test_of_equally_near_ones_the_lower_index_is_linked() -> None:
    # on one parallel, at equal steps
    turn = np.radians([0.0, 5.0, 10.0])
    position = LOW_M * np.stack([np.cos(turn), np.sin(turn), np.zeros(3)], axis=1)
    found = nearest_pairs(position, np.ones(3, dtype=np.int32), 5e6)
    assert found.tolist() == [[0, 1]]


def test_the_nearest_clear_one_above_is_found() -> None:
    position = _satellites(200, 5)
    lower = np.arange(150, dtype=np.int32)
    upper = np.arange(150, 200, dtype=np.int32)
    position[upper] *= 3.0
    # three of the upper ones are low enough to be behind the Earth for most
    position[upper[:3]] /= 3.0
    found = dict(nearest_above(position, lower, upper).tolist())
    for low in lower.tolist():
        length = np.rint(np.linalg.norm(position[upper] - position[low], axis=1))
        clear = clear_of_earth(np.repeat(position[[low]], len(upper), axis=0), position[upper])
        seen = [(metres, int(one)) for metres, one in zip(length[clear], upper[clear], strict=True)]
        assert found.get(low, -1) == (min(seen)[1] if seen else -1)


def test_the_nearest_one_behind_the_earth_is_passed_over() -> None:
    position = np.array([[LOW_M, 0.0, 0.0], [-LOW_M, 0.0, 0.0], [0.0, 0.0, 6.0 * LOW_M]])
    found = nearest_above(position, np.array([0], dtype=np.int32), np.array([1, 2], dtype=np.int32))
    assert found.tolist() == [[0, 2]]


def test_repeats_are_left_out() -> None:
    pairs = np.array([[5, 2], [2, 5], [1, 3]], dtype=np.int32)
    assert without_repeats(pairs).tolist() == [[1, 3], [2, 5]]
