"""What the next round of a calibration tries, moved by what the rounds before missed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from testbed.measured.measurement import Array
from testbed.measured.models.generated import Parameters
from testbed.measured.models.statistics import BIN_S, autocovariance

#: time constants of the correlated parts, s
TIME_CONSTANTS_S: Final = (0.15, 0.7, 3.0, 12.0)
#: lags in bins at which the autocorrelation is held against the data
LAGS: Final = (1, 2, 4, 7, 10, 15, 20, 30, 50, 80, 110, 150, 225, 300)
#: how far the aim moves towards what was missed in one round
_STEP: Final = 0.8


@dataclass(frozen=True, eq=False)
class Figures:
    """What is held against the calibration data; of a simulation, the mean over its seeds."""

    #: [LAGS] of medians of 100 ms
    autocorrelation: Array
    #: of the variance, explained by the slots; nan without
    share: float
    #: share of the samples that are lost in outages
    outages: float

    def away(self, other: Figures) -> float:
        """One number for how far two are apart."""
        correlation = float(np.nansum((self.autocorrelation - other.autocorrelation) ** 2))
        share = float(np.nan_to_num(self.share - other.share))
        outages = (self.outages - other.outages) / max(self.outages, other.outages, 1e-9)
        return correlation + 4.0 * share**2 + 0.25 * outages**2


class Aim:
    """What the next round tries; what the rounds before missed has moved it."""

    def __init__(self, base: Parameters, within: Array, wanted: Figures) -> None:
        """`within`: medians [bins] of the scores within slots."""
        self._base = base
        self._covariance = autocovariance(within, LAGS)
        self._variance = float(np.var(within))
        self._wanted = wanted
        self._share = 0.0 if np.isnan(wanted.share) else max(0.0, wanted.share)
        self._chance = base.handovers.chance
        self._scale = 1.0
        self._correlation = np.array(base.segments.correlation) if base.segments else np.zeros(0)

    def parameters(self) -> Parameters:
        components, white = _weights(self._covariance)
        segments = self._base.segments
        if segments is not None:
            level = np.array(segments.level)
            centre = float(level.mean())
            segments = replace(
                segments,
                level=tuple((centre + self._scale * (level - centre)).tolist()),
                correlation=tuple(np.clip(self._correlation, -0.95, 0.99).tolist()),
            )
        handovers = replace(self._base.handovers, chance=self._chance)
        return replace(self._base, segments=segments, components=components, white=white, handovers=handovers)

    def move(self, found: Figures) -> None:
        """Towards what this simulation missed."""
        missed = _STEP * np.nan_to_num(self._wanted.autocorrelation - found.autocorrelation)
        if self._wanted.outages > 0.0 and found.outages > 0.0:
            self._chance = min(1.0, self._chance * self._wanted.outages / found.outages)
        segments = self._base.segments
        within = 1.0
        if segments is not None:
            within = max(0.05, 1.0 - self._share)
            if self._share > 0.0:
                # the variance of levels over that within slots is to be what it is in the data
                change = _odds(self._wanted.share) / _odds(found.share)
                self._scale = float(np.clip(self._scale * np.clip(change, 0.25, 4.0) ** 0.4, 0.1, 5.0))
                for index in range(len(self._correlation)):
                    at = int(np.argmin(np.abs(np.array(LAGS) * BIN_S - (index + 1) * segments.length_s)))
                    if abs(LAGS[at] * BIN_S - (index + 1) * segments.length_s) < 0.5 * segments.length_s:
                        self._correlation[index] += missed[at] / max(0.05, self._share)
        short = np.array(LAGS) * BIN_S < (segments.length_s if segments is not None else np.inf)
        self._covariance = self._covariance + np.where(short, missed, 0.0) * self._variance / within


def _odds(share: float) -> float:
    share = min(max(share, 0.02), 0.98)
    return share / (1.0 - share)


def _weights(covariance: Array) -> tuple[tuple[tuple[float, float], ...], float]:
    """Weights of the correlated parts by least squares, none negative, and what is left for each packet."""
    from scipy.optimize import nnls

    told = np.isfinite(covariance)
    lags_s = np.array(LAGS)[told] * BIN_S
    if not told.any():
        return (), 1.0
    basis = np.exp(-lags_s[:, None] / np.array(TIME_CONSTANTS_S))
    # short lags are known best
    certainty = 1.0 / np.sqrt(1.0 + lags_s)
    power, _ = nnls(basis * certainty[:, None], covariance[told] * certainty)
    if power.sum() > 1.0:
        power = power / power.sum()
    white = float(np.sqrt(max(0.0, 1.0 - power.sum())))
    used = [(s, float(np.sqrt(p))) for s, p in zip(TIME_CONSTANTS_S, power, strict=True) if p > 1e-6]
    return tuple(used), white
