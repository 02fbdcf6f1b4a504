"""Forecasts step by step, with the estimators of `filters` and `detect`: the oracle of compiled ones."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.twin.detect import Whitener
from testbed.twin.filters import Z90, ForgettingMean, Reservoir
from testbed.twin.forecast import Band

#: windows after which a residual's band is taken from residuals instead of from a prior
_ENOUGH = 12
#: windows after which the extremes among them stand for the 5 % and 95 % quantiles
_PLENTY = 30
#: longest period looked for, windows
_LONGEST = 64
_LAGS: Final = np.arange(2, _LONGEST + 1)
#: errors are averages over so many windows, and forget the older ones
_REMEMBERED = 40
_LEAST_WEIGHT = 1.0 / _REMEMBERED
#: places for past values: more than count, so that they have to be moved now and then only
_KEPT = 4 * _LONGEST


class PlainSeasons:
    """Looks for a period in a sequence of windows: the lag at which the value was most like now.

    Many periods are tried, so one is believed only when its errors have been much smaller than those of
    the median of all, over as many windows as it is long and at least `TRIED`.
    """

    #: share of the usual error that a period's may have
    CONVINCING = 0.5
    #: windows compared before a period may be believed, and errors seen before it is used
    TRIED = 8
    USED = 6

    def __init__(self) -> None:
        #: the values so far, of which the last `_LONGEST` count, and where the next one goes
        self._history: NDArray[np.float64] = np.full(_KEPT, math.nan)
        self._end = _LONGEST + 1
        # one entry a lag, as in `_LAGS`
        self._errors = np.zeros(len(_LAGS))
        self._usual = np.zeros(len(_LAGS))
        self._counts = np.zeros(len(_LAGS), np.int64)
        #: values since the last gap; whether every lag was compared so often that counts do not matter
        self._unbroken, self._settled = 0, False
        #: the best period, 0 for none; None: to be looked for
        self._best: int | None = 0
        #: errors of the periods that were believed
        self.past = Reservoir(96)

    def expected(self, steps: int = 1) -> float | None:
        """The value `steps` windows on by the best period; None when no convincing one has a value."""
        lag = self._best
        if lag is None:
            lag = self._best = self._look()
        if not lag:
            return None
        value: float = self._history.item(self._end - lag + (steps - 1) % lag)
        return None if math.isnan(value) else value

    def _look(self) -> int:
        share = self._errors / np.maximum(self._usual, 1e-12)
        if not self._settled:
            tried = self._counts >= _NEEDED
            if not tried.any():
                return 0
            share[~tried] = math.inf
        best = int(share.argmin())
        return _LAGS.item(best) if share.item(best) < self.CONVINCING else 0

    def learn(self, value: float, middle: float) -> None:
        """A window's value; `middle` is what would have been said without any period."""
        expected = self.expected()
        if expected is not None:
            self.past.add(value - expected)
        before = self._history[self._end - 2 : self._end - _LONGEST - 1 : -1]
        if self._settled and self._unbroken >= _LONGEST:
            self._errors += (np.abs(value - before) - self._errors) * _LEAST_WEIGHT
            self._usual += (abs(value - middle) - self._usual) * _LEAST_WEIGHT
        else:
            known = ~np.isnan(before)
            counts = self._counts[known] + 1
            weight = 1.0 / np.minimum(counts, _REMEMBERED)
            errors, usual = self._errors[known], self._usual[known]
            self._counts[known] = counts
            self._errors[known] = errors + (np.abs(value - before[known]) - errors) * weight
            self._usual[known] = usual + (abs(value - middle) - usual) * weight
            self._settled = bool(self._counts.min() >= _LONGEST)
        self._unbroken += 1
        self._best = None
        self._step(value)

    def miss(self) -> None:
        """A window without a value."""
        self._unbroken = 0
        self._step(math.nan)

    def _step(self, value: float) -> None:
        if self._end == _KEPT:
            self._end = _LONGEST + 1
            self._history[: self._end] = self._history[-self._end :]
        self._history[self._end] = value
        self._end += 1


#: how often a lag has to be compared before its period may be believed
_NEEDED: Final = np.maximum(_LAGS, PlainSeasons.TRIED)


class PlainLevels:
    """Levels of the quantiles that a band ends at, moved so that each end is passed one time in twenty.

    Adaptive conformal inference (Gibbs and Candes 2021, eq. 2), each end by itself: where the next window is
    not like those before, such as when load comes and goes, quantiles of the past hold less than they say.
    """

    PASSED: Final = 0.05
    _GAIN: Final = 0.02
    _LEAST, _MOST = 0.001, 0.15

    def __init__(self) -> None:
        self.low = self.high = self.PASSED

    def learn(self, below: bool, above: bool) -> None:
        """Whether a value was below the lower end, or above the upper one."""
        self.low = self._moved(self.low, below)
        self.high = self._moved(self.high, above)

    def _moved(self, level: float, passed: bool) -> float:
        return min(max(level + self._GAIN * (self.PASSED - passed), self._LEAST), self._MOST)


class PlainForecast:
    """The next window's value of one quantity from those before: usual, last, or one period ago.

    Values are in a unit of their own (bits of work, bit/s of load); `band` maps them by base + scale x
    value. Usual is the empirical distribution of past windows, with forgetting. Where values persist (a
    queue that stays), the distribution moved towards the last one errs less, and is used instead. Where
    they come back (tasks offloaded every few seconds), the value of one period ago is.
    """

    def __init__(self, prior: float, prior_sd: float) -> None:
        self.noise = Whitener(prior_sd, 1e-3 * prior_sd, memory=120, prior_weight=4)
        self.past = Reservoir(96)
        self.seasons = PlainSeasons()
        self.prior = prior
        self._error_usual, self._error_last = ForgettingMean(60), ForgettingMean(60)
        self.levels = PlainLevels()
        #: ends of the next window's band, in the unit of the values
        self._ends: tuple[float, float] | None = None

    @property
    def mean(self) -> float:
        """Mean of what was usual."""
        return self.past.moments()[0] if self.past.count else self.prior

    @property
    def _persists(self) -> bool:
        return self.past.count >= _ENOUGH and self._error_last.value < 0.97 * self._error_usual.value

    def band(self, base: float, scale: float, belief_sd: float, low: float, steps: int = 1) -> Band:
        """The prediction of base + scale x value, not below `low`, `steps` windows on.

        `belief_sd` is the doubt about base.
        """
        if steps == 1:
            self._ends = None
        seasonal = self.seasons.expected(steps)
        if seasonal is not None and self.seasons.past.count >= PlainSeasons.USED:
            return self._seasonal_band(seasonal, base, scale, belief_sd, low, steps)
        mean, past = self.mean, self.past
        shift, width = 0.0, 1.0
        if self._persists:
            kept = self.noise.phi ** (steps - 1)
            shift, width = kept * self.noise.forecast(), math.sqrt(1.0 - (kept * self.noise.phi) ** 2)
        spread = max(self.noise.sd, past.moments()[1] if past.count > 2 else 0.0)
        sd = max(math.hypot(scale * width * spread, belief_sd), 1e-9)
        centre = max(base + scale * (mean + shift), low)
        below, above = max(centre - Z90 * sd, low), centre + Z90 * sd
        if past.count < _ENOUGH:
            return Band(centre, sd, below, above)
        ends = tuple(
            mean + shift + width * (past.quantile(q) - mean)
            for q in (self.levels.low, 0.5, 1.0 - self.levels.high)
        )
        low90, median, high90 = (max(base + scale * value, low) for value in ends)
        if past.count < _PLENTY:
            low90, high90 = min(low90, below), max(high90, above)
        elif steps == 1:
            self._ends = ends[0], ends[2]
        return Band(centre, sd, low90, high90, median)

    def _seasonal_band(
        self, seasonal: float, base: float, scale: float, belief_sd: float, low: float, steps: int
    ) -> Band:
        errors = self.seasons.past
        centre = max(base + scale * seasonal, low)
        sd = max(math.hypot(scale * errors.moments()[1], belief_sd), 1e-9)
        levels = self.levels.low, 1.0 - self.levels.high
        ends = seasonal + errors.quantile(levels[0]), seasonal + errors.quantile(levels[1])
        low90, high90 = base + scale * ends[0], base + scale * ends[1]
        if errors.count >= _PLENTY and steps == 1:
            self._ends = ends
        if errors.count < _PLENTY:
            low90, high90 = min(low90, centre - Z90 * sd), max(high90, centre + Z90 * sd)
        return Band(centre, sd, max(low90, low), max(high90, low), centre)

    def learn(self, value: float) -> float:
        """A window's value; returns its deviation from the mean, whitened."""
        mean = self.mean
        if self._ends is not None:
            self.levels.learn(value < self._ends[0], value > self._ends[1])
            self._ends = None
        middle = self.past.quantile(0.5) if self.past.count else mean
        self.seasons.learn(value, middle)
        if self.past.count >= _ENOUGH:
            width = math.sqrt(1.0 - self.noise.phi**2)
            moved = mean + self.noise.forecast() + width * (middle - mean)
            self._error_usual.add(abs(value - middle))
            self._error_last.add(abs(value - moved))
        z = self.noise.innovation(value - mean)
        self.noise.learn(value - mean)
        self.past.add(value)
        return z

    def miss(self) -> None:
        """A window without an observation."""
        self.noise.skip()
        self.seasons.miss()
