"""Forecasting the next window of a quantity from the windows before it, with a band.

Knows nothing of links: values are in a unit of their own, and the owner maps them to what is predicted. What
is computed is in `forecast_kernels`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from testbed.twin import forecast_kernels as kernels
from testbed.twin.forecast_kernels import Vector


class Seasons:
    """Looks for a period in a sequence of windows: the lag at which the value was most like now.

    Many periods are tried, so one is believed only when its errors have been much smaller than those of
    the median of all, over as many windows as it is long and at least `TRIED`.

    `block`: numbers of which it is a view, as `forecast_kernels` lays them out; its own without any.
    """

    CONVINCING: Final = kernels.CONVINCING
    TRIED: Final = kernels.TRIED
    USED: Final = kernels.USED

    def __init__(self, block: Vector | None = None) -> None:
        if block is None:
            block = np.zeros(kernels.SEASONS_LENGTH)
            kernels.new_seasons(block)
        self._block = block

    def expected(self, steps: int = 1) -> float | None:
        """The value `steps` windows on by the best period; None when no convincing one has a value."""
        value: float = kernels.seasons_expected(self._block, steps)
        return None if math.isnan(value) else value

    def learn(self, value: float, middle: float) -> None:
        """A window's value; `middle` is what would have been said without any period."""
        kernels.seasons_learn(self._block, float(value), float(middle))

    def miss(self) -> None:
        """A window without a value."""
        kernels.seasons_miss(self._block)


@dataclass(slots=True)
class Band:
    """A prediction: mean, standard deviation, 90 % band, and median of the observed value (default: mean).

    The median differs where the quantity is skewed: it is the point with the least absolute error.
    """

    mean: float
    sd: float
    low: float
    high: float
    median: float = math.nan

    def __post_init__(self) -> None:
        if math.isnan(self.median):
            self.median = self.mean

    def holds(self, observed: float) -> bool:
        return self.low <= observed <= self.high


class Levels:
    """Levels of the quantiles that a band ends at, moved so that each end is passed one time in twenty.

    Adaptive conformal inference (Gibbs and Candes 2021, eq. 2), each end by itself: where the next window is
    not like those before, such as when load comes and goes, quantiles of the past hold less than they say.

    `block`: numbers of which it is a view; its own without any.
    """

    PASSED: Final = kernels.PASSED

    def __init__(self, block: Vector | None = None) -> None:
        if block is None:
            block = np.zeros(kernels.LEVELS_LENGTH)
            kernels.new_levels(block)
        self._block = block

    @property
    def low(self) -> float:
        """That of the lower end."""
        return self._block.item(0)

    @property
    def high(self) -> float:
        """That of the upper end, from above."""
        return self._block.item(1)

    def learn(self, below: bool, above: bool) -> None:
        """Whether a value was below the lower end, or above the upper one."""
        kernels.levels_learn(self._block, below, above)


class Forecast:
    """The next window's value of one quantity from those before: usual, last, or one period ago.

    Values are in a unit of their own (bits of work, bit/s of load); `band` maps them by base + scale x
    value. Usual is the empirical distribution of past windows, with forgetting. Where values persist (a
    queue that stays), the distribution moved towards the last one errs less, and is used instead. Where
    they come back (tasks offloaded every few seconds), the value of one period ago is.
    """

    __slots__ = ("_known",)

    def __init__(self, prior: float, prior_sd: float) -> None:
        self._known = kernels.new_forecast(prior, prior_sd, 1e-3 * prior_sd, memory=120.0, weight=4.0)

    @property
    def mean(self) -> float:
        """Mean of what was usual."""
        return float(kernels.forecast_mean(self._known))

    @property
    def seasons(self) -> Seasons:
        """What it knows of periods."""
        return Seasons(self._known[kernels.SEASONS :])

    @property
    def levels(self) -> Levels:
        """Where its bands end."""
        return Levels(self._known[kernels.LEVELS : kernels.PAST])

    @property
    def ends(self) -> tuple[float, float] | None:
        """Ends of the band that the next window's value is held against, in the unit of the values."""
        low, high = self._known[kernels.ENDS : kernels.ENDS + 2].tolist()
        return None if math.isnan(low) else (low, high)

    def band(self, base: float, scale: float, belief_sd: float, low: float, steps: int = 1) -> Band:
        """The prediction of base + scale x value, not below `low`, `steps` windows on.

        `belief_sd` is the doubt about base.
        """
        made = kernels.forecast_band(
            self._known, float(base), float(scale), float(belief_sd), float(low), steps
        )
        return Band(*made)

    def learn(self, value: float) -> float:
        """A window's value; returns its deviation from the mean, whitened."""
        return kernels.forecast_learn(self._known, float(value))  # type: ignore[no-any-return]

    def miss(self) -> None:
        """A window without an observation."""
        kernels.forecast_miss(self._known)

    def copy(self) -> Forecast:
        """The same forecast, for another quantity that goes on alike."""
        other = Forecast.__new__(Forecast)
        other._known = kernels.renewed(self._known)
        return other


def rehearse() -> None:
    """Has everything compiled, or read from the cache, that a forecast is computed with."""
    forecast = Forecast(0.0, 1.0)
    forecast.band(0.0, 1.0, 0.0, 0.0)
    forecast.learn(0.0)
    forecast.miss()
