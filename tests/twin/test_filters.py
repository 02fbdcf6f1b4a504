"""The small estimators: Kalman filter, forgetting mean, forgetting sample."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.twin.filters import ForgettingMean, Reservoir, ScalarKalman


def test_a_constant_is_found_with_the_variance_of_its_mean() -> None:
    rng, state = np.random.default_rng(1), ScalarKalman(0.0, sd=100.0, process_sd=0.0)
    values = rng.normal(5.0, 2.0, 400)
    for value in values:
        state.update(value, 2.0)
    assert state.mean == pytest.approx(values.mean(), abs=0.02)
    assert state.sd == pytest.approx(2.0 / math.sqrt(400), rel=1e-3)


def test_its_claimed_uncertainty_holds_for_a_random_walk() -> None:
    rng, state, truth, hits = np.random.default_rng(2), ScalarKalman(0.0, sd=1.0, process_sd=0.1), 0.0, 0
    truth = rng.normal()
    for _ in range(2000):
        truth += rng.normal(0.0, 0.1)
        state.advance(1.0)
        state.update(truth + rng.normal(0.0, 0.5), 0.5)
        hits += abs(state.mean - truth) < 1.645 * state.sd
    assert 0.86 < hits / 2000 < 0.94


def test_an_absurd_observation_moves_it_by_a_bounded_step() -> None:
    state = ScalarKalman(0.0, sd=1.0, process_sd=0.0)
    state.update(1e9, 1.0)
    assert 0.0 < state.mean <= 3.0 * math.sqrt(2.0)


def test_a_forgetting_mean_is_plain_first_and_follows_later() -> None:
    mean = ForgettingMean(10)
    for value in (1.0, 2.0, 3.0):
        mean.add(value)
    assert mean.value == pytest.approx(2.0)
    for _ in range(100):
        mean.add(7.0)
    assert mean.value == pytest.approx(7.0, abs=1e-3)


def test_a_reservoir_holds_what_it_is_given_until_it_is_full() -> None:
    sample = Reservoir(8)
    for value in (3.0, 1.0, 2.0):
        sample.add(value)
    assert sample.ordered().tolist() == [1.0, 2.0, 3.0]


def test_a_reservoir_forgets_exponentially() -> None:
    sample = Reservoir(100)
    for _ in range(100):
        sample.add(0.0)
    for _ in range(100):
        sample.add(1.0)
    # (1 - 1/100)^100 of the old values survive on average: 37 %
    assert float((sample.ordered() == 0.0).mean()) == pytest.approx(math.exp(-1.0), abs=0.12)


def test_its_quantiles_bound_the_next_value_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(3000):
        sample = Reservoir(32)
        for value in rng.exponential(1.0, 32):
            sample.add(value)
        inside += sample.quantile(0.05) <= rng.exponential(1.0) <= sample.quantile(0.95)
    assert inside / 3000 == pytest.approx(0.90, abs=0.02)


def test_ranks_stay_inside_and_ties_are_in_the_middle() -> None:
    sample = Reservoir(4)
    for value in (1.0, 1.0, 1.0, 1.0):
        sample.add(value)
    assert sample.rank(1.0) == pytest.approx(0.5)
    assert 0.0 < sample.rank(-5.0) < 0.5 < sample.rank(5.0) < 1.0


def test_moments_of_what_is_kept_follow_every_value() -> None:
    kept = Reservoir(16)
    for value in np.random.default_rng(4).normal(5.0, 2.0, 60).tolist():
        kept.add(value)
        mean, sd = kept.moments()
        values = kept.ordered()
        assert mean == pytest.approx(float(np.mean(values)), rel=1e-12)
        assert sd == pytest.approx(float(np.std(values, ddof=1)) if len(values) > 1 else 0.0, rel=1e-12)
