"""The present level of a noisy series whose level may change at moments nobody announces.

Bayesian online change points (Adams and MacKay 2007, arXiv:0710.3742): the belief is a mixture over the
length of the present stretch of constant level. A ramp makes short stretches, and a plateau after it
makes a long one that remembers nothing of the ramp. Noise is Gaussian, AR(1) if wanted, of a scale the
caller knows; single wild values are taken for what they are. When a change is worth an alarm is not
decided here (see `detect`).
"""

from __future__ import annotations

import math

#: stretches kept, the likeliest ones, and the least share of one that is kept
_MOST, _LEAST = 16, 1e-7
#: share of wild values, and over how many standard deviations of the noise they spread
_WILD, _WILD_SDS = 0.003, 60.0
#: probability of a change at the n-th value, times n + 2, while that is more than the hazard
_YOUNG = 0.5
_SQRT2PI = math.sqrt(2.0 * math.pi)


class Level:
    """Mixture over stretches, each with share, mean and variance of its level.

    `centre`, `spread_sd`: where a level lies after a change, for all that is known before it is seen;
    `hazard`: probability of a change at each value, once some time has passed since
    the start; 0: there are none.
    """

    __slots__ = ("_centre", "_hazard", "_previous", "_runs", "_seen", "_spread")

    def __init__(self, centre: float, spread_sd: float, hazard: float = 1.0 / 600.0) -> None:
        self._centre, self._spread, self._hazard = centre, spread_sd**2, hazard
        #: (share, mean, variance, values) of each stretch
        self._runs: list[tuple[float, float, float, int]] = [(1.0, centre, spread_sd**2, 0)]
        self._previous: float | None = None
        self._seen = 0

    def add(self, value: float, noise_sd: float, phi: float = 0.0) -> None:
        """One value: level + AR(1) noise of innovation sd `noise_sd` and coefficient `phi`."""
        stationary = noise_sd * noise_sd / (1.0 - phi * phi)
        wild = _WILD / (_WILD_SDS * math.sqrt(stationary))
        previous = self._previous if phi > 0.0 else None
        if previous is None:
            seen, noise, stretch = value, stationary, 1.0
        else:
            # A stretch that goes on sees the innovation, which speaks of the level less sharply.
            stretch = 1.0 - phi
            seen, noise = (value - phi * previous) / stretch, (noise_sd / stretch) ** 2
        self._previous = value
        runs = []
        total = 0.0
        # What has just begun to change may well go on.
        hazard = max(self._hazard, _YOUNG / (self._seen + 2.0)) if self._hazard else 0.0
        self._seen += 1
        begun = self._runs
        if begun[0][3] > 0:
            begun = [*begun, (hazard, self._centre, self._spread, 0)]
        for share, mean, variance, count in begun:
            if count:
                share, off, doubt, scale, odd = share * (1.0 - hazard), seen - mean, noise, stretch, wild
            else:  # what begins a stretch is not wild: it is what the stretch knows
                off, doubt, scale, odd = value - mean, stationary, 1.0, 0.0
            total_variance = variance + doubt
            fits = math.exp(-0.5 * off * off / total_variance) / (
                _SQRT2PI * math.sqrt(total_variance) * scale
            )
            fits = max((1.0 - _WILD) * fits, 1e-300)
            share *= fits + odd
            total += share
            gain = fits / (fits + odd) * variance / total_variance
            runs.append((share, mean + gain * off, variance * (1.0 - gain), count + 1))
        if len(runs) > _MOST:
            runs.sort(key=_share, reverse=True)
            del runs[_MOST:]
            total = sum(run[0] for run in runs)
        least = _LEAST * total
        self._runs = [(s / total, m, v, n) for s, m, v, n in runs if s > least]

    def gap(self) -> None:
        """A value is missing: the next one stands alone."""
        self._previous = None

    @property
    def mean(self) -> float:
        return sum(share * mean for share, mean, _, _ in self._runs)

    @property
    def variance(self) -> float:
        centre = self.mean
        return sum(s * (v + (m - centre) ** 2) for s, m, v, _ in self._runs)

    @property
    def values(self) -> float:
        """Expected number of values that the present level rests on."""
        return sum(share * count for share, _, _, count in self._runs)

    def likeliest(self) -> tuple[float, float, int]:
        """Mean, standard deviation and number of values of the likeliest stretch."""
        _, mean, variance, count = max(self._runs, key=_share)
        return mean, math.sqrt(variance), count

    def quantile(self, probability: float, extra_sd: float = 0.0) -> float:
        """Quantile of the level; `extra_sd`: of a Gaussian doubt to be added."""
        parts = [(s, m, math.sqrt(2.0 * (v + extra_sd**2))) for s, m, v, _ in self._runs]
        low = min(m - 6.0 * w for _, m, w in parts)
        high = max(m + 6.0 * w for _, m, w in parts)
        for _ in range(40):
            middle = 0.5 * (low + high)
            below = sum(0.5 * s * (1.0 + math.erf((middle - m) / w)) for s, m, w in parts)
            low, high = (middle, high) if below < probability else (low, middle)
        return 0.5 * (low + high)


def _share(run: tuple[float, float, float, int]) -> float:
    return run[0]
