"""Ensemble Kalman inversion: calibrates the parameters of a black box that can only be run.

The box is run once for every member of an ensemble of parameters; the covariance between parameters and what
came out takes the place of a derivative. What the box is, is the caller's to say (`inversion` runs networks).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]

#: members of an ensemble with which a covariance says something
_FEWEST = 3


class EnsembleError(ValueError):
    """An inversion that cannot be carried on: too few members, or runs that gave no numbers."""


def step(
    members: ArrayLike,
    outcomes: ArrayLike,
    observed: ArrayLike,
    covariance: ArrayLike,
    random: np.random.Generator,
    inflation: float = 1.0,
) -> Floats:
    """One update of the ensemble `members` [j, d] whose runs gave `outcomes` [j, m]; the new members.

    `observed` [m] has Gaussian errors of `covariance` [m, m]; every member is shown its own draw around it
    (perturbed observations), with the covariance times `inflation`. Members whose outcome is not a number
    are left out, so fewer may come back. Iglesias, Law and Stuart 2013 (Inverse Problems 29, 045001).
    """
    theta = np.asarray(members, dtype=np.float64)
    g = np.asarray(outcomes, dtype=np.float64)
    good = np.isfinite(g).all(axis=1)
    theta, g = theta[good], g[good]
    if len(theta) < _FEWEST:
        raise EnsembleError(f"{len(theta)} members gave numbers, at least {_FEWEST} are needed")
    noise = inflation * np.atleast_2d(np.asarray(covariance, dtype=np.float64))
    shown = np.asarray(observed, dtype=np.float64) + random.multivariate_normal(
        np.zeros(len(noise)), noise, size=len(theta), method="cholesky"
    )
    off_theta, off_g = theta - theta.mean(axis=0), g - g.mean(axis=0)
    cross = off_theta.T @ off_g / (len(theta) - 1)
    own = off_g.T @ off_g / (len(theta) - 1)
    moved: Floats = theta + (cross @ np.linalg.solve(own + noise, (shown - g).T)).T
    return moved


def invert(
    members: ArrayLike,
    run: Callable[[Floats], ArrayLike],
    observed: ArrayLike,
    covariance: ArrayLike,
    random: np.random.Generator,
    steps: int = 4,
) -> Floats:
    """The ensemble after `steps` updates: draws around the parameters that explain `observed` [m].

    `members` [j, d]: draws from what was believed before; `run` gets all members and gives their outcomes
    [j, m]. Each step counts the observation 1/steps (covariance times `steps`), so that it is used once
    altogether: for a linear box the result is the posterior, up to the ensemble's size, and it does not
    shrink to a point. Raises `EnsembleError`. Emerick and Reynolds 2013 (Computers & Geosciences 55),
    equal weights.
    """
    theta = np.array(members, dtype=np.float64)
    for _ in range(steps):
        theta = step(theta, run(theta), observed, covariance, random, inflation=float(steps))
    return theta
