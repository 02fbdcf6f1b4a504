"""Noticing a change: whitening of residuals, and a two-sided CUSUM with a stated false-alarm rate.

Network residuals are autocorrelated, and a CUSUM fed with them alarms far too often; so every channel is
first whitened with an AR(1) model that it learns itself, robustly, and not while a change is suspected.
What an alarm means is not decided here (see `attribution`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: mean of min(z^2, 2.5^2) for a standard normal z: undoes the shrinkage of the clipped variance
_CLIPPED_SECOND_MOMENT = 0.9776
_CLIP = 2.5


class Whitener:
    """AR(1) model of a residual, learned online; turns residuals into standardised innovations.

    `prior_sd` is the expected standard deviation of an innovation (worth `prior_weight` values), `floor_sd`
    the least one ever believed. The autocorrelation starts at zero and stays within [0, 0.95].
    """

    __slots__ = ("_floor", "_memory", "_weight", "_xx", "_xy", "phi", "previous", "sd")

    def __init__(
        self,
        prior_sd: float,
        floor_sd: float,
        memory: float = 240.0,
        prior_weight: float = 20.0,
        prior_phi: float = 0.0,
    ) -> None:
        self.sd = prior_sd
        self.phi = prior_phi
        self.previous: float | None = None
        self._floor = floor_sd
        self._memory = memory
        self._weight = prior_weight
        self._xx = prior_weight * prior_sd**2
        self._xy = prior_phi * self._xx

    @property
    def memory_phi(self) -> float:
        """The autocorrelation, freed of most of what a short history makes it look smaller by.

        Bias of the estimate: -(1 + 3 phi) / n (Marriott and Pope 1954, Kendall 1954); near zero, where a
        learned value is held back at zero, nothing is added.
        """
        return min(self.phi + (1.0 + 3.0 * self.phi) / self._weight * min(self.phi / 0.3, 1.0), 0.95)

    def forecast(self) -> float:
        """Expected next residual, from the last one."""
        return 0.0 if self.previous is None else self.phi * self.previous

    def innovation(self, residual: float) -> float:
        """The unforeseen part of `residual`, in standard deviations. Changes nothing."""
        if self.previous is None:
            return residual * math.sqrt(1.0 - self.phi**2) / self.sd
        return (residual - self.phi * self.previous) / self.sd

    def learn(self, residual: float) -> None:
        """Take `residual` into the model, clipped, and remember it as the last one."""
        z = self.innovation(residual)
        self._weight = min(self._weight + 1.0, self._memory)
        squared = min(z * z, _CLIP**2) / _CLIPPED_SECOND_MOMENT * self.sd**2
        variance = self.sd**2 + (squared - self.sd**2) / self._weight
        if self.previous is not None:
            scale = self.sd / math.sqrt(1.0 - self.phi**2)
            x = min(max(self.previous, -_CLIP * scale), _CLIP * scale)
            y = min(max(residual, -_CLIP * scale), _CLIP * scale)
            keep = 1.0 - 1.0 / self._memory
            self._xx = keep * self._xx + x * x
            self._xy = keep * self._xy + x * y
            self.phi = min(max(self._xy / max(self._xx, 1e-300), 0.0), 0.95)
        self.sd = max(math.sqrt(variance), self._floor)
        self.previous = residual

    def skip(self, residual: float | None = None) -> None:
        """Learn nothing; `residual` is still the last value seen (None: a gap)."""
        self.previous = residual

    def copy(self) -> Whitener:
        other = Whitener(self.sd, self._floor, self._memory, self._weight)
        other.phi, other._xx, other._xy = self.phi, self._xx, self._xy
        return other


def average_run_length(threshold: float, reference: float) -> float:
    """Mean number of standard normal samples until a two-sided CUSUM alarms without a change.

    Siegmund's approximation (Sequential Analysis, 1985, eq. 2.56) with the overshoot correction 1.166.
    """
    b = threshold + 1.166
    return (math.exp(2.0 * reference * b) - 2.0 * reference * b - 1.0) / (2.0 * reference**2) / 2.0


def threshold_for(run_length: float, reference: float) -> float:
    """CUSUM threshold whose mean number of samples between false alarms is `run_length`."""
    low, high = 0.0, 1.0
    while average_run_length(high, reference) < run_length:
        high *= 2.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if average_run_length(middle, reference) < run_length else (low, middle)
    return high


@dataclass(frozen=True)
class Alarm:
    """A change was noticed: its sign, when it seems to have begun, and how sure that is."""

    sign: int
    onset_s: float
    statistic: float
    threshold: float


class Cusum:
    """Two-sided CUSUM over standardised innovations.

    `reference` (standard deviations) is half the smallest shift worth noticing. Innovations are clipped at
    `clip`; with clip - reference < threshold no single value, however wild, can raise an alarm.
    """

    __slots__ = ("_onset", "_sum", "clip", "reference", "threshold")

    def __init__(self, threshold: float, reference: float = 1.0, clip: float = 4.0) -> None:
        if clip - reference >= threshold:
            raise ValueError(f"a single clipped value ({clip}) could alarm at threshold {threshold:.2f}")
        self.threshold = threshold
        self.reference = reference
        self.clip = clip
        self._sum = [0.0, 0.0]  # downwards, upwards
        self._onset = [0.0, 0.0]

    def add(self, innovation: float, begins_s: float) -> Alarm | None:
        """One innovation of a window that began at `begins_s`; an alarm when a sum passes the threshold."""
        z = min(max(innovation, -self.clip), self.clip)
        for side, sign in ((0, -1), (1, 1)):
            grown = self._sum[side] + sign * z - self.reference
            if grown <= 0.0:
                self._sum[side] = 0.0
                continue
            if self._sum[side] == 0.0:
                self._onset[side] = begins_s
            self._sum[side] = grown
        side = 0 if self._sum[0] >= self._sum[1] else 1
        if self._sum[side] < self.threshold:
            return None
        return Alarm((-1, 1)[side], self._onset[side], self._sum[side], self.threshold)

    def level(self, sign: int = 0) -> float:
        """How far a sum is on its way to the threshold, 0 to 1 and beyond; `sign` 0: the larger one."""
        if sign:
            return self._sum[0 if sign < 0 else 1] / self.threshold
        return max(self._sum) / self.threshold

    def onset_s(self, sign: int) -> float:
        """When the sum of that sign last left zero."""
        return self._onset[0 if sign < 0 else 1]

    def reset(self) -> None:
        self._sum = [0.0, 0.0]
