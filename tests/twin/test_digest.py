"""A distribution in bounded memory against all of its values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.twin import compare
from testbed.twin.digest import CELLS, Digest

#: a distribution function from a digest is off by at most what its heaviest mean holds, and that is
HEAVIEST = 2.0 * math.pi / CELLS

rng = np.random.default_rng(3)
DISTRIBUTIONS = {
    "narrow, far from zero": 25.0 + 1e-3 * rng.standard_normal(40_000),
    "skewed": rng.exponential(2.0, 40_000),
    "two levels": rng.choice([1.0, 1.2], 40_000, p=[0.8, 0.2]) + 1e-6 * rng.standard_normal(40_000),
    "rising": np.sort(rng.normal(0.0, 1.0, 40_000)),
    "heavy tail": rng.pareto(2.5, 40_000),
}


def digest_of(values: np.ndarray, step: int = 700) -> Digest:
    made = Digest()
    for first in range(0, len(values), step):
        made.add(values[first : first + step].tolist())
    return made


@pytest.mark.parametrize("values", DISTRIBUTIONS.values(), ids=list(DISTRIBUTIONS))
def test_a_distribution_is_kept_within_the_stated_error(values: np.ndarray) -> None:
    made = digest_of(values)
    means, weights = made.points()
    assert made.heaviest <= HEAVIEST
    assert compare.ks(means, values, weights) <= made.heaviest
    assert weights.sum() == len(values)
    scale = float(np.std(values))
    assert compare.w1(means, values, weights) < 0.02 * scale
    for level, off in ((0.5, 0.005), (0.95, 0.003), (0.99, 0.001)):
        low, high = np.quantile(values, (level - off, level + off))
        assert low <= made.quantile(level) <= high


def test_memory_does_not_grow_with_the_number_of_values() -> None:
    made = Digest()
    longest = 0
    for _ in range(300):
        made.add(rng.normal(size=500).tolist())
        longest = max(longest, len(made))
    assert longest <= CELLS + 2048


def test_few_values_are_kept_as_they_are() -> None:
    made = Digest()
    made.add([3.0, 1.0, 2.0])
    assert [list(part) for part in made.points()] == [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]]
    assert (made.low, made.high, made.quantile(0.5)) == (1.0, 3.0, 2.0)


def test_weights_count_like_repetitions() -> None:
    weighted, repeated = Digest(), Digest()
    weighted.add([1.0, 4.0], 3.0)
    weighted.add([2.0])
    repeated.add([1.0, 4.0] * 3 + [2.0])
    assert compare.ks(*(weighted.points()[0], repeated.points()[0]), weighted.points()[1]) < 1e-12


def test_what_is_not_finite_is_left_out_and_nothing_has_no_quantile() -> None:
    made = Digest()
    made.add([math.nan, math.inf])
    assert (len(made), made.total) == (0, 0.0)
    assert math.isnan(made.quantile(0.5))


def test_a_shift_and_a_scale_do_the_same_to_the_quantiles() -> None:
    values = rng.exponential(1.0, 20_000)
    plain, moved = digest_of(values), digest_of(1000.0 + 1e-3 * values)
    for level in (0.01, 0.5, 0.99):
        assert moved.quantile(level) == pytest.approx(1000.0 + 1e-3 * plain.quantile(level), abs=1e-9)
