"""Kalman filters against least squares in one go, and against an independent implementation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from testbed.twin.kalman import Kalman, Unscented

#: two implementations of the same algebra
ROUNDING = 1e-9


def line(random: np.random.Generator, count: int) -> tuple[Any, Any]:
    """Times, and noisy points of a line with offset 3 and slope -0.2."""
    times = np.arange(count, dtype=float)
    return times, 3.0 - 0.2 * times + random.normal(0.0, 0.5, count)


def test_a_constant_state_is_the_least_squares_solution_of_all_its_observations() -> None:
    times, values = line(np.random.default_rng(1), 40)
    kalman = Kalman([0.0, 0.0], np.diag([4.0, 1.0]))
    for t, value in zip(times, values, strict=True):
        kalman.update(value, [[1.0, t]], 0.25)
    design = np.stack((np.ones_like(times), times), axis=1)
    precision = np.diag([0.25, 1.0]) + design.T @ design / 0.25
    expected = np.linalg.solve(precision, design.T @ values / 0.25)
    np.testing.assert_allclose(kalman.mean, expected, rtol=ROUNDING)
    np.testing.assert_allclose(kalman.covariance, np.linalg.inv(precision), rtol=ROUNDING)


def test_a_moving_state_is_followed_as_another_implementation_follows_it() -> None:
    reference = pytest.importorskip("filterpy.kalman").KalmanFilter(dim_x=2, dim_z=2)
    random = np.random.default_rng(2)
    move = np.array([[1.0, 0.5], [0.0, 0.9]])
    noise = np.array([[0.02, 0.01], [0.01, 0.05]])
    design, variance = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([0.3, 0.7])
    kalman = Kalman([1.0, -1.0], np.eye(2))
    reference.x, reference.P = np.array([1.0, -1.0]), np.eye(2)
    reference.F, reference.Q, reference.H, reference.R = move, noise, design, np.diag(variance)
    for _ in range(50):
        observed = random.normal(0.0, 2.0, 2)
        kalman.advance(move, noise)
        found = kalman.update(observed, design, variance)
        reference.predict()
        reference.update(observed)
        np.testing.assert_allclose(kalman.mean, reference.x, rtol=ROUNDING, atol=ROUNDING)
        np.testing.assert_allclose(kalman.covariance, reference.P, rtol=ROUNDING, atol=ROUNDING)
        assert found.log_likelihood == pytest.approx(reference.log_likelihood, rel=ROUNDING)


def test_innovations_of_the_right_model_are_white_and_of_unit_variance() -> None:
    random = np.random.default_rng(3)
    kalman, level, seen = Kalman(0.0, 1.0), 0.0, []
    for _ in range(4000):
        level += random.normal(0.0, 0.1)
        kalman.advance(None, [[0.01]])
        seen.append(kalman.update(level + random.normal(0.0, 1.0), 1.0, 1.0).whitened()[0])
    z = np.array(seen)
    four_sigma = 4.0 / math.sqrt(len(z))
    assert abs(z.mean()) < four_sigma
    assert abs(np.mean(z * z) - 1.0) < four_sigma * math.sqrt(2.0)
    assert abs(np.mean(z[1:] * z[:-1])) < four_sigma


def test_the_unscented_filter_is_the_linear_one_where_nothing_bends() -> None:
    move, noise = np.array([[1.0, 1.0], [0.0, 1.0]]), 0.01 * np.eye(2)
    linear, unscented = Kalman([0.0, 1.0], np.eye(2)), Unscented([0.0, 1.0], np.eye(2))
    for value in np.random.default_rng(4).normal(5.0, 1.0, 20):
        linear.advance(move, noise)
        unscented.advance(lambda x: move @ x, noise)
        one, other = (
            linear.update(value, [[1.0, 0.0]], 1.0),
            unscented.update(value, lambda x: x[:1], [[1.0]]),
        )
        np.testing.assert_allclose(unscented.mean, linear.mean, rtol=ROUNDING)
        np.testing.assert_allclose(unscented.covariance, linear.covariance, rtol=ROUNDING)
        assert other.log_likelihood == pytest.approx(one.log_likelihood)


def test_the_unscented_filter_bends_as_another_implementation_does() -> None:
    filterpy = pytest.importorskip("filterpy.kalman")

    def observe(x: Any) -> Any:
        return np.array([math.hypot(x[0], x[1]), math.atan2(x[1], x[0])])

    def move(x: Any, _dt: float = 1.0) -> Any:
        return np.array([x[0] + 0.1 * x[1] * math.cos(x[0]), 0.95 * x[1]])

    points = filterpy.MerweScaledSigmaPoints(2, alpha=0.5, beta=2.0, kappa=1.0)
    reference = filterpy.UnscentedKalmanFilter(2, 2, 1.0, observe, move, points)
    reference.x, reference.P = np.array([3.0, 4.0]), np.diag([0.5, 0.2])
    reference.Q, reference.R = 0.01 * np.eye(2), np.diag([0.1, 0.01])
    unscented = Unscented([3.0, 4.0], np.diag([0.5, 0.2]), spread=0.5, kappa=1.0)
    reference.predict()
    unscented.advance(move, 0.01 * np.eye(2))
    np.testing.assert_allclose(unscented.mean, reference.x, rtol=ROUNDING)
    np.testing.assert_allclose(unscented.covariance, reference.P, rtol=ROUNDING)
    # Sigma points are drawn anew before an observation, so that process noise spreads them too; the
    # reference keeps its old ones unless it is told to.
    reference.sigmas_f = points.sigma_points(reference.x, reference.P)
    reference.update(np.array([5.3, 0.9]))
    unscented.update([5.3, 0.9], observe, np.diag([0.1, 0.01]))
    np.testing.assert_allclose(unscented.mean, reference.x, rtol=ROUNDING)
    np.testing.assert_allclose(unscented.covariance, reference.P, rtol=ROUNDING)


def test_a_square_is_met_by_the_unscented_filter_in_mean_and_variance() -> None:
    """x ~ N(m, s^2): x^2 has mean m^2 + s^2 and, with kappa = 2, variance 4 m^2 s^2 + 2 s^4."""
    square = Unscented([1.5], [[0.04]], beta=0.0, kappa=2.0)
    square.advance(lambda x: x * x, [[0.0]])
    assert square.mean[0] == pytest.approx(1.5**2 + 0.04)
    assert square.covariance[0, 0] == pytest.approx(4 * 1.5**2 * 0.04 + 2 * 0.04**2)


@pytest.mark.parametrize("kind", [Kalman, Unscented])
def test_means_and_covariance_must_fit(kind: Any) -> None:
    with pytest.raises(ValueError, match="2 means need a covariance"):
        kind([0.0, 1.0], np.eye(3))


def test_sigma_points_need_room() -> None:
    with pytest.raises(ValueError, match="above 0, got"):
        Unscented([0.0], [[1.0]], kappa=-1.0)
