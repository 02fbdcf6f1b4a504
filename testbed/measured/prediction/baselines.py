"""Predictors that anyone would try first; what is more elaborate has to beat them.

Climatology is the distribution of the calibration data, whatever comes. Persistence is the value known last,
and as far from it as values of the calibration data were. The regression is a straight line, in logarithms,
on the mean of the last second known, with residuals from the calibration data; where there are slots, it has
a line for samples before which a boundary lies and one for others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array, Measurement
from testbed.measured.prediction.forecasts import LEVELS, Quantiles, Samples, samples_of

#: the regression looks at samples sent within this before what can be known, s
_WINDOW_S: Final = 1.0
#: samples below which a line or its residuals are not told
_LEAST: Final = 10


class Climatology:
    """Every sample is as the calibration data were."""

    name = "climatology"

    def __init__(self, calibration: Sequence[Measurement], slots: tuple[float, float] | None = None) -> None:
        self._quantiles = np.quantile(_values(calibration), LEVELS)

    def forecasts(self, test: Measurement, horizon_s: float) -> Quantiles:
        samples = samples_of(test)
        quantiles = np.tile(self._quantiles.astype(np.float32), (len(samples.values), 1))
        return Quantiles(samples.sent_s, samples.values, LEVELS, quantiles)


class Persistence:
    """Every sample is as the one known last, give or take what calibration samples were away from theirs."""

    name = "persistence"

    def __init__(self, calibration: Sequence[Measurement], slots: tuple[float, float] | None = None) -> None:
        self._calibration = list(calibration)
        self._median = float(np.median(_values(calibration)))

    def forecasts(self, test: Measurement, horizon_s: float) -> Quantiles:
        parts = [samples_of(part) for part in self._calibration]
        away = [part.values - _last(part, horizon_s) for part in parts]
        residuals = np.concatenate(away)
        residuals = residuals[~np.isnan(residuals)]
        if not len(residuals):
            residuals = np.zeros(1)
        samples = samples_of(test)
        last = np.nan_to_num(_last(samples, horizon_s), nan=self._median)
        quantiles = last[:, None] + np.quantile(residuals, LEVELS)
        return Quantiles(samples.sent_s, samples.values, LEVELS, quantiles.astype(np.float32))


class Regression:
    """A line of log(value) on its mean over the last second known; another where a boundary lies between."""

    name = "regression"

    def __init__(self, calibration: Sequence[Measurement], slots: tuple[float, float] | None = None) -> None:
        """`slots`: their period and offset in s, by time of sending since 1970; None where there are none."""
        self._calibration = list(calibration)
        self._slots = slots
        known = _values(calibration)
        self._climatology = np.quantile(known, LEVELS)
        #: a throughput may be zero
        self._least = max(float(known.max()) * 1e-6, 1e-12)

    def forecasts(self, test: Measurement, horizon_s: float) -> Quantiles:
        parts = [samples_of(part) for part in self._calibration]
        means = np.concatenate([self._means(part, horizon_s) for part in parts])
        split = np.concatenate([self._crossed(part, horizon_s) for part in parts])
        logs = np.log(np.maximum(np.concatenate([part.values for part in parts]), self._least))
        samples = samples_of(test)
        ahead, crossed = self._means(samples, horizon_s), self._crossed(samples, horizon_s)
        quantiles = np.tile(self._climatology, (len(samples.values), 1))
        for side in (False, True):
            told = (split == side) & ~np.isnan(means)
            wanted = (crossed == side) & ~np.isnan(ahead)
            if told.sum() < _LEAST or not wanted.any():
                continue
            design = np.column_stack((np.ones(told.sum()), means[told]))
            line = np.linalg.lstsq(design, logs[told], rcond=None)[0]
            residuals = np.quantile(logs[told] - design @ line, LEVELS)
            quantiles[wanted] = np.exp((line[0] + line[1] * ahead[wanted])[:, None] + residuals)
        return Quantiles(samples.sent_s, samples.values, LEVELS, quantiles.astype(np.float32))

    def _means(self, samples: Samples, horizon_s: float) -> Array:
        """[n] mean of log(value) over the last second known, of the last sample if there was none in it."""
        until = samples.known_by(samples.sent_s - horizon_s)
        begin = samples.known_by(samples.sent_s - horizon_s - _WINDOW_S)
        begin = np.minimum(begin, until - 1)
        logs = np.log(np.maximum(samples.values[samples.order], self._least))
        sums = np.concatenate(([0.0], np.cumsum(logs)))
        return np.where(until > 0, (sums[until] - sums[begin]) / np.maximum(until - begin, 1), math.nan)

    def _crossed(self, samples: Samples, horizon_s: float) -> NDArray[np.bool_]:
        """[n] whether a boundary lies between what can be known and the sample."""
        if self._slots is None:
            return np.zeros(len(samples.values), dtype=np.bool_)
        period_s, offset_s = self._slots
        numbers = [np.floor((samples.sent_s - offset_s - by) / period_s) for by in (0.0, horizon_s)]
        return np.asarray(numbers[0] != numbers[1])


def _values(calibration: Sequence[Measurement]) -> Array:
    return np.concatenate([part.values[part.answered] for part in calibration])


def _last(samples: Samples, horizon_s: float) -> Array:
    """[n] the value known last one horizon before each sample, nan before the first."""
    count = samples.known_by(samples.sent_s - horizon_s)
    result: Array = np.concatenate(([math.nan], samples.values[samples.order]))[count]
    return result
