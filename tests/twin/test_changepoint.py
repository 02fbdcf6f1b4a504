"""The level behind noise: exact where it never changes, honest where it does, undisturbed by ramps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.twin.changepoint import Level

SD = 0.3
#: three binomial standard deviations of a share of 0.95 among 400
OF_400 = 3.0 * math.sqrt(0.95 * 0.05 / 400)


def noise(rng: np.random.Generator, phi: float, count: int) -> list[float]:
    """AR(1) noise of stationary standard deviation `SD`."""
    last, values = float(rng.normal(0.0, SD)), []
    for fresh in rng.normal(0.0, SD * math.sqrt(1.0 - phi**2), count).tolist():
        last = phi * last + fresh
        values.append(last)
    return values


def test_without_changes_it_is_the_posterior_of_a_gaussian_mean() -> None:
    values = np.random.default_rng(1).normal(2.0, SD, 50)
    level = Level(0.0, 5.0, hazard=0.0)
    for value in values.tolist():
        level.add(value, SD)
    precision = 1.0 / 5.0**2 + 50 / SD**2
    assert level.variance == pytest.approx(1.0 / precision, rel=0.02)
    assert level.mean == pytest.approx(values.sum() / SD**2 / precision, abs=0.002)
    assert level.likeliest()[2] == 50


def test_under_correlated_noise_it_is_the_generalised_least_squares_mean() -> None:
    values, phi = [2.0 + value for value in noise(np.random.default_rng(2), 0.7, 60)], 0.7
    level = Level(0.0, 50.0, hazard=0.0)
    for value in values:
        level.add(value, SD * math.sqrt(1.0 - phi**2), phi)
    lags = np.abs(np.subtract.outer(np.arange(60), np.arange(60)))
    weights = np.linalg.solve(SD**2 * phi**lags, np.ones(60))
    assert level.mean == pytest.approx(weights @ np.array(values) / weights.sum(), abs=0.02)
    assert level.variance == pytest.approx(1.0 / weights.sum(), rel=0.05)


@pytest.mark.parametrize("phi", [0.0, 0.6])
@pytest.mark.parametrize("values", [10, 120])
def test_its_interval_holds_the_plateau_after_a_ramp_as_often_as_it_says(phi: float, values: int) -> None:
    rng, held, fresh_sd = np.random.default_rng(3), 0, SD * math.sqrt(1.0 - phi**2)
    for _ in range(400):
        plateau, level = float(rng.uniform(1.0, 10.0)), Level(0.0, 8.0)
        for number, disturbance in enumerate(noise(rng, phi, 4 + values)):
            level.add(plateau * min((number + 0.5) / 4, 1.0) + disturbance, fresh_sd, phi)
        held += level.quantile(0.025) <= plateau <= level.quantile(0.975)
    assert held / 400 == pytest.approx(0.95, abs=OF_400)


def test_a_later_change_is_followed_and_what_was_before_is_forgotten() -> None:
    rng, level = np.random.default_rng(4), Level(0.0, 8.0)
    for value in (*rng.normal(6.0, SD, 100), *rng.normal(3.0, SD, 30)):
        level.add(float(value), SD)
    assert level.mean == pytest.approx(3.0, abs=0.25)
    assert level.likeliest()[2] == pytest.approx(30, abs=2)


def test_a_wild_value_moves_nothing() -> None:
    rng, level = np.random.default_rng(5), Level(0.0, 8.0)
    for number, value in enumerate(rng.normal(6.0, SD, 101).tolist()):
        level.add(500.0 if number == 50 else value, SD)
    assert level.mean == pytest.approx(6.0, abs=0.1)
    assert level.values > 90


def test_after_a_gap_a_value_stands_alone() -> None:
    closed, open_ = Level(0.0, 8.0), Level(0.0, 8.0)
    for level in (closed, open_):
        level.add(1.0, 0.1, 0.9)
    open_.gap()
    for level in (closed, open_):
        level.add(1.0, 0.1, 0.9)
    # two values of their own know more than one and what is new in the second
    assert open_.variance < closed.variance
