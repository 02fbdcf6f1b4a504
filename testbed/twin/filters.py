"""Small estimators: a scalar Kalman filter, a mean that forgets, a sample that forgets.

Each holds one number (or one set of numbers) with its uncertainty and is told how much time has passed;
none reads a clock. What they estimate is decided by their owners.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

#: two-sided 90 % of a Gaussian, in standard deviations
Z90 = 1.6448536269514722


class ScalarKalman:
    """A random walk observed with noise: mean, variance, and how fast it may wander.

    `process_sd` is the standard deviation of its change over one second, in the unit of the state.
    """

    __slots__ = ("mean", "process_sd", "variance")

    def __init__(self, mean: float, sd: float, process_sd: float) -> None:
        self.mean = mean
        self.variance = sd * sd
        self.process_sd = process_sd

    @property
    def sd(self) -> float:
        return math.sqrt(self.variance)

    def advance(self, seconds: float) -> None:
        """Time passes: the variance grows."""
        self.variance += self.process_sd**2 * seconds

    def update(self, observed: float, noise_sd: float, clip_sds: float = 3.0) -> float:
        """One observation of the state; returns the innovation in its own standard deviations.

        The innovation is limited to `clip_sds`, so that one absurd value moves the mean by a bounded step.
        """
        total = self.variance + noise_sd * noise_sd
        innovation = observed - self.mean
        limit = clip_sds * math.sqrt(total)
        gain = self.variance / total
        self.mean += gain * min(max(innovation, -limit), limit)
        self.variance *= 1.0 - gain
        return innovation / math.sqrt(total)

    def copy(self, extra_sd: float = 0.0) -> ScalarKalman:
        """The same belief for a related quantity, `extra_sd` less certain."""
        return ScalarKalman(self.mean, math.sqrt(self.variance + extra_sd**2), self.process_sd)


class ForgettingMean:
    """Plain average of the first `memory` values, then an exponentially forgetting one."""

    __slots__ = ("count", "memory", "value")

    def __init__(self, memory: int, value: float = 0.0) -> None:
        self.memory = memory
        self.count = 0
        self.value = value

    def add(self, value: float) -> None:
        self.count += 1
        self.value += (value - self.value) / (self.count if self.count < self.memory else self.memory)

    def copy(self) -> ForgettingMean:
        """The same average, still quick to move: it counts as a few values."""
        other = ForgettingMean(self.memory, self.value)
        other.count = min(self.count, self.memory // 4)
        return other


class Reservoir:
    """At most `size` past values; a new one replaces a random old one, so ages are exponential.

    Quantiles of the content are therefore empirical quantiles with exponential forgetting: no shape is
    assumed, which is what skewed queueing delays need. The choice is a fixed sequence: runs repeat.
    """

    __slots__ = ("_moments", "_sorted", "_state", "_values", "count")

    def __init__(self, size: int) -> None:
        self._values: NDArray[np.float64] = np.empty(size)
        self.count = 0
        self._state = 0x9E3779B9
        self._sorted: NDArray[np.float64] | None = None
        self._moments: tuple[float, float] | None = None

    def add(self, value: float) -> None:
        self._sorted = self._moments = None
        if self.count < len(self._values):
            self._values[self.count] = value
            self.count += 1
            return
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        self._values[(self._state >> 8) % len(self._values)] = value

    def ordered(self) -> NDArray[np.float64]:
        """The content in ascending order (a view: do not change it)."""
        if self._sorted is None:
            self._sorted = self._values[: self.count].copy()
            self._sorted.sort()
        return self._sorted

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation (n - 1 in the denominator; 0 of a single value) of the content."""
        if self._moments is None:
            values = self.ordered()
            n = len(values)
            mean = float(np.add.reduce(values)) / n
            off = values - mean
            self._moments = mean, math.sqrt(float(np.add.reduce(off * off)) / max(n - 1, 1))
        return self._moments

    def quantile(self, level: float) -> float:
        """The `level` quantile with n + 1 in the denominator: honest for the *next* value when n is small."""
        values = self.ordered()
        last = len(values) - 1
        position = level * (last + 2) - 1.0
        if position <= 0.0 or position >= last:
            return float(values[0 if position <= 0.0 else last])
        low = int(position)
        below: float = values.item(low)  # a plain number: arithmetic with those of numpy is slow
        return below + (position - low) * (values.item(low + 1) - below)

    def rank(self, value: float) -> float:
        """Share of the content below `value`, in (0, 1); ties count half."""
        values = self.ordered()
        below = int(np.searchsorted(values, value, "left"))
        upto = int(np.searchsorted(values, value, "right"))
        return (0.5 * (below + upto) + 0.5) / (len(values) + 1.0)

    def copy(self) -> Reservoir:
        other = Reservoir(len(self._values))
        other._values[:] = self._values
        other.count, other._state = self.count, self._state
        return other
