"""A particle filter: for states that are modes, or have several likely places at once.

Bootstrap filter: particles move by the model's own chance, are weighted by what was observed, and are
resampled when few of them carry the weight. Every draw comes from the generator that is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]

#: particles are resampled when the effective number falls below this share of them
_RESAMPLE_BELOW = 0.5


def systematic(weights: ArrayLike, offset: float) -> NDArray[np.intp]:
    """Indices [n] of the particles that are kept, in rising order; one random `offset` in [0, 1) places all.

    `weights` [n] sum to 1. Particle i is kept floor or ceil of n * weights[i] times. Kitagawa 1996
    (J. Comput. Graph. Stat. 5, appendix); Arulampalam et al. 2002 (IEEE Trans. Signal Process.
    50, algorithm 2).
    """
    shares = np.asarray(weights, dtype=np.float64)
    edges = np.cumsum(shares)
    edges[-1] = 1.0  # rounding must not leave the last position without a particle
    return np.searchsorted(edges, (np.arange(len(shares)) + offset) / len(shares), side="right")


class ParticleFilter:
    """Weighted `particles` [n, ...]; `weights` [n] sum to 1.

    Gordon, Salmond and Smith 1993 (IEE Proc. F 140).
    """

    def __init__(self, particles: ArrayLike, random: np.random.Generator) -> None:
        self.particles = np.array(particles)
        self.weights: Floats = np.full(len(self.particles), 1.0 / len(self.particles))
        self._random = random

    @property
    def effective(self) -> float:
        """How many equally weighted particles would be worth as much."""
        return 1.0 / float(self.weights @ self.weights)

    def advance(
        self, move: Callable[[NDArray[np.generic], np.random.Generator], NDArray[np.generic]]
    ) -> None:
        """Time passes: every particle moves by its own chance; `move` gets and gives all of them [n, ...]."""
        self.particles = move(self.particles, self._random)

    def update(self, log_likelihood: Callable[[NDArray[np.generic]], ArrayLike]) -> float:
        """Takes an observation by its log likelihood [n] under each particle; its log evidence.

        An observation that no particle can explain (all -inf) leaves the weights and returns -inf.
        """
        log_weights = np.asarray(log_likelihood(self.particles), dtype=np.float64)
        most = float(log_weights.max())
        if most == -math.inf:
            return -math.inf
        raw = self.weights * np.exp(log_weights - most)
        total = float(raw.sum())
        self.weights = raw / total
        if self.effective < _RESAMPLE_BELOW * len(self.weights):
            self.particles = self.particles[systematic(self.weights, float(self._random.random()))]
            self.weights = np.full(len(self.particles), 1.0 / len(self.particles))
        return most + math.log(total)

    def mean(self, of: Callable[[NDArray[np.generic]], ArrayLike]) -> float:
        """Expectation of a function of the state; `of` gives its value [n] for all particles."""
        return float(self.weights @ np.asarray(of(self.particles), dtype=np.float64))
