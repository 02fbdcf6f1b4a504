"""Kalman filters over vectors: the linear one, and the unscented one for what is not linear.

Both hold mean and covariance, are told how the state moves and what was observed, and know nothing of what
it means. A scalar random walk needs none of this: see `filters`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]


class Innovation(NamedTuple):
    """The unforeseen part of an observation [m], its covariance [m, m], and its log likelihood."""

    residual: Floats
    covariance: Floats
    log_likelihood: float

    def whitened(self) -> Floats:
        """Uncorrelated standard normal values [m] if the model is right."""
        return np.asarray(np.linalg.solve(np.linalg.cholesky(self.covariance), self.residual))


def _innovation(residual: Floats, covariance: Floats) -> Innovation:
    root = np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, residual)
    log_density = -0.5 * float(white @ white) - float(np.log(np.diag(root)).sum())
    return Innovation(residual, covariance, log_density - 0.5 * len(residual) * math.log(2.0 * math.pi))


class Kalman:
    """A linear Gaussian state: `mean` [n], `covariance` [n, n].

    Raises ValueError when the shapes do not fit. Kalman 1960 (J. Basic Eng. 82); the covariance is updated in
    Joseph's form, which stays symmetric and positive whatever rounding does.
    """

    def __init__(self, mean: ArrayLike, covariance: ArrayLike) -> None:
        self.mean: Floats = np.atleast_1d(np.array(mean, dtype=np.float64))
        self.covariance: Floats = np.atleast_2d(np.array(covariance, dtype=np.float64))
        if self.covariance.shape != 2 * self.mean.shape:
            raise ValueError(f"{len(self.mean)} means need a covariance of that size squared")

    def sd(self, index: int) -> float:
        """Standard deviation of one component."""
        return math.sqrt(max(float(self.covariance[index, index]), 0.0))

    def advance(self, transition: ArrayLike | None = None, noise: ArrayLike | None = None) -> None:
        """Time passes: the state moves by `transition` [n, n] (None: stays) and gains `noise` [n, n]."""
        if transition is not None:
            moved = np.asarray(transition, dtype=np.float64)
            self.mean = moved @ self.mean
            self.covariance = moved @ self.covariance @ moved.T
        if noise is not None:
            self.covariance = self.covariance + np.asarray(noise, dtype=np.float64)

    def foresee(self, observed: ArrayLike, design: ArrayLike, variance: ArrayLike) -> Innovation:
        """How an observation would compare; arguments as for `update`. Changes nothing."""
        design = np.atleast_2d(np.asarray(design, dtype=np.float64))
        noise = np.diag(np.atleast_1d(np.asarray(variance, dtype=np.float64)))
        residual = np.atleast_1d(np.asarray(observed, dtype=np.float64)) - design @ self.mean
        return _innovation(residual, design @ self.covariance @ design.T + noise)

    def update(self, observed: ArrayLike, design: ArrayLike, variance: ArrayLike) -> Innovation:
        """Takes `observed` [m] = `design` [m, n] @ state + noise of `variance` [m]; the innovation."""
        design = np.atleast_2d(np.asarray(design, dtype=np.float64))
        noise = np.atleast_1d(np.asarray(variance, dtype=np.float64))
        found = self.foresee(observed, design, noise)
        gain = np.linalg.solve(found.covariance, design @ self.covariance).T
        self.mean = self.mean + gain @ found.residual
        kept = np.eye(len(self.mean)) - gain @ design
        covariance = kept @ self.covariance @ kept.T + (gain * noise) @ gain.T
        self.covariance = 0.5 * (covariance + covariance.T)
        return found


class Unscented:
    """A state that moves and is observed by functions: `mean` [n], `covariance` [n, n].

    `spread` (alpha), `beta` and `kappa` place and weigh the 2n + 1 sigma points. Wan and van der Merwe 2000
    (The unscented Kalman filter for nonlinear estimation, section 3), noise additive.
    """

    def __init__(
        self,
        mean: ArrayLike,
        covariance: ArrayLike,
        spread: float = 1.0,
        beta: float = 2.0,
        kappa: float = 0.0,
    ) -> None:
        self.mean: Floats = np.atleast_1d(np.array(mean, dtype=np.float64))
        self.covariance: Floats = np.atleast_2d(np.array(covariance, dtype=np.float64))
        n = len(self.mean)
        if self.covariance.shape != (n, n):
            raise ValueError(f"{n} means need a covariance of that size squared")
        scale = spread**2 * (n + kappa)
        if scale <= 0.0:
            raise ValueError(f"sigma points need spread^2 (n + kappa) above 0, got {scale:g}")
        self._reach = scale
        self._mean_weights = np.full(2 * n + 1, 0.5 / scale)
        self._mean_weights[0] = 1.0 - n / scale
        self._weights = self._mean_weights.copy()
        self._weights[0] += 1.0 - spread**2 + beta

    def _points(self) -> Floats:
        root = np.linalg.cholesky(self._reach * self.covariance).T
        return np.concatenate((self.mean[None, :], self.mean + root, self.mean - root))

    def _moments(self, values: Floats) -> tuple[Floats, Floats]:
        mean = self._mean_weights @ values
        off = values - mean
        return mean, off

    def advance(self, move: Callable[[Floats], ArrayLike], noise: ArrayLike) -> None:
        """Time passes: the state [n] becomes move(state) [n] and gains `noise` [n, n]."""
        moved = np.array([np.atleast_1d(np.asarray(move(p), dtype=np.float64)) for p in self._points()])
        self.mean, off = self._moments(moved)
        self.covariance = (off.T * self._weights) @ off + np.asarray(noise, dtype=np.float64)

    def update(
        self, observed: ArrayLike, observe: Callable[[Floats], ArrayLike], noise: ArrayLike
    ) -> Innovation:
        """Takes `observed` [m] = observe(state) [m] + noise of covariance `noise` [m, m]; the innovation."""
        points = self._points()
        seen = np.array([np.atleast_1d(np.asarray(observe(p), dtype=np.float64)) for p in points])
        expected, off = self._moments(seen)
        covariance = (off.T * self._weights) @ off + np.atleast_2d(np.asarray(noise, dtype=np.float64))
        found = _innovation(np.atleast_1d(np.asarray(observed, dtype=np.float64)) - expected, covariance)
        cross = ((points - self.mean).T * self._weights) @ off
        gain = np.linalg.solve(covariance, cross.T).T
        self.mean = self.mean + gain @ found.residual
        updated = self.covariance - gain @ covariance @ gain.T
        self.covariance = 0.5 * (updated + updated.T)
        return found
