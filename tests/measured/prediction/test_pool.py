"""Weights of a pool against a general optimiser, and how its corrections move."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from testbed.measured.prediction.pool import HIGH, LOW, corrected, learn_ends, least_on_simplex, new_pool


def _value(products, targets, weights):
    return weights @ products @ weights - 2.0 * targets @ weights


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_the_least_on_the_simplex(seed):
    random = np.random.default_rng(seed)
    root = random.normal(size=(30, 6))
    products, targets = root.T @ root / 30, random.normal(0.3, 0.5, 6)
    weights = np.full(6, 1 / 6)
    for _ in range(20):
        least_on_simplex(products, targets, weights)
    found = minimize(
        lambda w: _value(products, targets, w), np.full(6, 1 / 6), bounds=[(0, 1)] * 6,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, tol=1e-12,
    )  # fmt: skip
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0)
    assert _value(products, targets, weights) == pytest.approx(found.fun, abs=1e-6)


def test_an_end_that_is_missed_too_often_moves_out():
    pool = new_pool(3)
    for _ in range(30):
        learn_ends(pool, 0.01, 0.02)
    assert pool.ends[0] < LOW
    # what never comes below the lower end lets the upper one in place
    assert pool.ends[1] == pytest.approx(HIGH + 30 * 0.004 * (HIGH - 1.0))
    raw, out = np.array([0.5 * pool.ends[0], pool.ends[0], 0.5, pool.ends[1], 1.0]), np.empty(5)
    corrected(pool, 6, raw, out)
    assert out == pytest.approx([0.5 * LOW, LOW, 0.5, HIGH, 1.0])
