"""The fidelity measures against scipy, closed forms, and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from testbed.twin import compare

values = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40)


@pytest.mark.filterwarnings("ignore:divide by zero")  # in scipy's p-value, which is not used
@given(values, values)
def test_ks_is_that_of_scipy(x: list[float], y: list[float]) -> None:
    assert compare.ks(x, y) == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-12)


@given(values, values)
def test_w1_is_that_of_scipy(x: list[float], y: list[float]) -> None:
    assert compare.w1(x, y) == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-9, abs=1e-9)


@given(st.lists(st.tuples(st.floats(-50, 50), st.integers(1, 4)), min_size=1, max_size=12), values)
def test_weights_count_like_repetitions(weighted: list[tuple[float, int]], y: list[float]) -> None:
    x, weights = zip(*weighted, strict=True)
    repeated = np.repeat(x, weights)
    assert compare.ks(x, y, weights) == pytest.approx(compare.ks(repeated, y), abs=1e-12)
    assert compare.w1(x, y, weights) == pytest.approx(compare.w1(repeated, y), rel=1e-9, abs=1e-9)


def test_crps_of_samples_is_the_integral_of_the_squared_difference() -> None:
    samples, observed = [1.0, 2.0, 4.0], 2.5
    grid = np.linspace(-1.0, 7.0, 800_001)
    model = np.searchsorted(np.sort(samples), grid, "right") / len(samples)
    integral = float(np.sum((model - (grid >= observed)) ** 2) * (grid[1] - grid[0]))
    assert compare.crps_samples([observed], samples) == pytest.approx(integral, abs=1e-4)


def test_crps_of_one_sample_is_the_absolute_error() -> None:
    assert compare.crps_samples([3.0, 5.0], [4.0]) == pytest.approx(1.0)


def test_gaussian_crps_is_the_limit_of_many_samples() -> None:
    samples = stats.norm.ppf((np.arange(4000) + 0.5) / 4000, 2.0, 3.0)
    for observed in (-4.0, 2.0, 6.5):
        by_samples = compare.crps_samples([observed], samples)
        assert compare.crps_gaussian([observed], [2.0], [3.0]) == pytest.approx(by_samples, rel=2e-3)


def test_gaussian_crps_takes_one_sd_for_all() -> None:
    assert compare.crps_gaussian([0.0, 0.0], 0.0, 1.0) == pytest.approx(
        (math.sqrt(2) - 1) / math.sqrt(math.pi)
    )


def test_picp_counts_the_ends_as_inside() -> None:
    assert compare.picp([1.0, 2.0, 3.0, 4.0], [1.0] * 4, [3.0] * 4) == 0.75


def test_interval_score_adds_forty_times_the_miss_at_ninety_five_percent() -> None:
    assert compare.interval_score([5.0], [1.0], [4.0], level=0.95) == pytest.approx(3.0 + 40.0 * 1.0)


def test_the_true_quantiles_have_the_best_interval_score() -> None:
    sample = np.random.default_rng(1).normal(size=20_000)
    z = stats.norm.ppf(0.95)
    scores = [compare.interval_score(sample, np.full(20_000, -w), np.full(20_000, w)) for w in (1.2, z, 2.2)]
    assert scores[1] == min(scores)


def test_correlation_is_centred_and_that_of_scipy() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=50) + 100.0
    y = 0.5 * x + rng.normal(size=50)
    assert compare.correlation(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)
    assert math.isnan(compare.correlation(np.full(50, 3.0), y))


def test_nrmse_is_relative_to_the_mean_of_the_observation() -> None:
    assert compare.nrmse([3.0, 5.0], [2.0, 6.0]) == pytest.approx(0.25)
    assert math.isnan(compare.nrmse([1.0], [0.0]))


def test_quantile_errors_are_absolute_and_relative() -> None:
    observed = np.arange(101.0)
    errors = compare.quantile_errors(observed * 1.1, observed, levels=(0.5,))
    assert errors[0.5] == pytest.approx((5.0, 0.1))


def test_skill_is_one_for_perfect_zero_for_equal_and_undefined_against_perfect() -> None:
    assert compare.skill(0.0, 2.0) == 1.0
    assert compare.skill(2.0, 2.0) == 0.0
    assert math.isnan(compare.skill(0.0, 0.0))


def test_empty_data_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="observed has no values"):
        compare.picp([], [], [])


def test_the_interval_of_a_skill_covers_it_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    truth, inside = 1.0 - 0.8, 0
    for _ in range(200):
        # Errors come in runs of four alike, as neighbouring windows' do.
        own = np.repeat(random.exponential(0.8, 40), 4)
        base = np.repeat(random.exponential(1.0, 40), 4)
        low, high = compare.skill_interval(own, base)
        inside += low <= truth <= high
    assert 0.80 <= inside / 200 <= 0.96


def test_the_interval_of_a_skill_needs_errors() -> None:
    assert np.isnan(compare.skill_interval(np.ones(1), np.ones(1))).all()
    assert np.isnan(compare.skill_interval(np.ones(5), np.zeros(5))).all()
