"""Ensemble Kalman inversion against the posterior in closed form, and on a box that bends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from testbed.twin.ensemble import EnsembleError, invert, step

MEMBERS = 4_000
#: of means and covariances estimated from that many members
RELATIVE = 0.1


@pytest.mark.parametrize("steps", [1, 4])
def test_a_linear_box_gives_the_gaussian_posterior(steps: int) -> None:
    random = np.random.default_rng(1)
    design = np.array([[1.0, 0.5], [0.2, -1.0], [1.0, 1.0]])
    prior = np.array([[1.0, 0.3], [0.3, 0.5]])
    noise = np.array([[0.2, 0.05, 0.0], [0.05, 0.1, 0.0], [0.0, 0.0, 0.4]])
    observed = np.array([1.0, -0.7, 0.4])
    precision = np.linalg.inv(prior) + design.T @ np.linalg.solve(noise, design)
    expected = np.linalg.solve(precision, design.T @ np.linalg.solve(noise, observed))
    covariance = np.linalg.inv(precision)
    members = random.multivariate_normal([0.0, 0.0], prior, MEMBERS)
    found = invert(members, lambda theta: theta @ design.T, observed, noise, random, steps)
    sd = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(found.mean(axis=0) - expected) < RELATIVE * sd)
    assert np.all(np.abs(np.cov(found.T) - covariance) < RELATIVE * np.outer(sd, sd))


def test_a_bent_box_is_brought_to_the_parameters_that_made_the_observation() -> None:
    random = np.random.default_rng(2)

    def box(theta: Any) -> Any:
        return np.stack((np.exp(theta[:, 0]), theta[:, 0] * theta[:, 1], theta[:, 1] ** 3), axis=1)

    truth = np.array([[0.7, 1.4]])
    members = random.normal([0.0, 1.0], 0.6, (300, 2))
    found = invert(members, box, box(truth)[0], 1e-3 * np.eye(3), random, steps=8)
    assert np.allclose(found.mean(axis=0), truth[0], atol=0.05)


def test_a_member_whose_run_failed_is_left_out() -> None:
    random = np.random.default_rng(3)
    members = random.normal(0.0, 1.0, (10, 1))
    outcomes = members.copy()
    outcomes[4] = np.nan
    assert step(members, outcomes, [0.5], [[0.1]], random).shape == (9, 1)


def test_two_members_are_no_ensemble() -> None:
    with pytest.raises(EnsembleError, match="2 members gave numbers, at least 3"):
        step(np.zeros((2, 1)), np.zeros((2, 1)), [0.0], [[1.0]], np.random.default_rng(4))
