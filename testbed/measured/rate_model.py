"""A throughput that changes from slot to slot: levels, how they follow each other, noise within, outages.

Calibrated on a recording, it generates one of the same kind at other times, from a seed. Levels and noise
have the distribution that was measured, and the memory of a Gaussian autoregression behind it; between two
slots lies a transition with its own distribution; outages begin and end with a probability a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.measurement import Array, Measurement

#: less than this is an outage, Mbit/s
OUTAGE_MBPS: Final = 1.0
#: changes at a boundary are so many times those elsewhere, or there is none
_PROMINENT: Final = 1.5
#: samples follow one another when they are no further apart than this, in intervals
_NEXT: Final = 1.5
#: of a slot, so that it has a level
_LEAST_SHARE: Final = 0.4
_LEAST_SLOTS: Final = 8
_LEVELS: Final = np.linspace(0.005, 0.995, 100)
#: steps of a bisection: the coefficient to a thousandth
_STEPS: Final = 12
_DRAWS: Final = 20_000
#: transitions may be spread so many times as wide as they were measured; seeds of a trial
_WIDEST: Final = 2.0
_MOST_MEMORY: Final = 0.999
_TRIED_SEEDS: Final = range(1001, 1006)


@dataclass(frozen=True)
class Changes:
    """How much the rate changes from one sample to the next, by the phase of the second of the two."""

    #: [k] in the unit of the rate
    size: Array
    #: [k] s since the beginning of the period, whole
    phase: NDArray[np.int64]

    def by_phase(self, period_s: float) -> Array:
        """Mean size [period in s]; nan where there is none."""
        count = np.bincount(self.phase, minlength=round(period_s))
        with np.errstate(invalid="ignore"):
            return np.bincount(self.phase, self.size, round(period_s)) / count

    def ratio(self, boundary: tuple[int, ...]) -> float:
        """Mean size at the boundary over that elsewhere; nan without either."""
        at = np.isin(self.phase, boundary)
        if not at.any() or at.all() or not self.size[~at].any():
            return math.nan
        return float(self.size[at].mean() / self.size[~at].mean())


def changes(times_s: Array, values: Array, period_s: float) -> Changes:
    """The changes between samples that follow one another; times in POSIX seconds, not descending."""
    steps = np.diff(times_s)
    following = (steps > 0.0) & (steps < _NEXT * float(np.median(steps)))
    phase = np.floor((times_s[1:] + 0.01) % period_s).astype(np.int64) % round(period_s)
    return Changes(np.abs(np.diff(values))[following], phase[following])


def boundary_of(found: Changes, period_s: float) -> tuple[int, ...]:
    """The phases at which changes are prominent, those that lie together with the greatest; none: empty."""
    means = found.by_phase(period_s)
    if not np.isfinite(means).any():
        return ()
    prominent = means > _PROMINENT * float(np.nanmedian(means))
    top = int(np.nanargmax(means))
    if not prominent[top] or prominent.sum() > len(means) // 3:
        return ()
    phases = [top]
    while prominent[(phases[0] - 1) % len(means)]:
        phases.insert(0, (phases[0] - 1) % len(means))
    while prominent[(phases[-1] + 1) % len(means)]:
        phases.append((phases[-1] + 1) % len(means))
    return tuple(phases)


@dataclass(frozen=True)
class RateModel:
    """Frozen parameters; quantile tables [100] at 0.5 to 99.5 %."""

    period_s: float
    #: phases of the boundary, s; the last one begins the slot
    boundary: tuple[int, ...]
    level_mbps: Array
    level_memory: float
    noise_mbps: Array
    noise_memory: float
    #: [transitions] how far each second between two slots is from the last rate before to the first after
    progress: Array
    #: [transitions, 100] its rate, of what that gives
    transition: Array
    #: probabilities a sample
    outage_begins: float
    outage_ends: float

    def generate(self, times_s: Array, seed: int) -> Array:
        """Mbit/s [n] at `times_s` (POSIX seconds, not descending)."""
        draw = np.random.default_rng(seed)
        slot, phase = self._slots(times_s)
        numbers = slot - slot[0]
        states = _autoregression(draw.standard_normal(int(numbers[-1]) + 2), self.level_memory)
        levels = _quantile(self.level_mbps, states)
        noise = _quantile(
            self.noise_mbps, _autoregression(draw.standard_normal(len(times_s)), self.noise_memory)
        )
        values = levels[numbers] + noise
        before, after = _neighbours(values, np.isin(phase, self.boundary[:-1]))
        for index, second in enumerate(self.boundary[:-1]):
            at = phase == second
            shares = np.interp(draw.uniform(size=int(at.sum())), _LEVELS, self.transition[index])
            values[at] = (before[at] + self.progress[index] * (after - before)[at]) * shares
        out = _outages(draw.uniform(size=len(times_s)), self.outage_begins, self.outage_ends)
        return np.where(out, 0.0, np.maximum(values, OUTAGE_MBPS))

    def _slots(self, times_s: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return _slots(times_s, self.period_s, self.boundary)


def calibrate(calibration: Measurement, period_s: float) -> RateModel:
    """The model of a recording. Raises `BadInput` when it has no boundary, or too few slots."""
    times_s, values = calibration.times_s, calibration.values
    interval_s = float(np.median(np.diff(times_s))) if len(values) > 1 else math.inf
    if not interval_s <= period_s / 5:
        raise BadInput(
            f"{calibration.source}: has a sample every {interval_s:.3g} s, it must have one every "
            f"{period_s / 5:g} s at least"
        )
    boundary = boundary_of(changes(times_s, values, period_s), period_s)
    if not boundary:
        raise BadInput(
            f"{calibration.source}: changes of the rate stand out at no second of {period_s:g}; "
            "there is no boundary to calibrate"
        )
    slot, phase = _slots(times_s, period_s, boundary)
    out = values < OUTAGE_MBPS
    steady = ~out & ~np.isin(phase, boundary[:-1])
    least = _LEAST_SHARE * period_s / interval_s
    names = [name for name in np.unique(slot[steady]) if np.count_nonzero(slot[steady] == name) >= least]
    if len(names) < _LEAST_SLOTS:
        raise BadInput(f"{calibration.source}: has {len(names)} whole slots, allowed: {_LEAST_SLOTS} or more")
    level = {int(name): float(values[steady & (slot == name)].mean()) for name in names}
    of_level = np.array([level.get(int(one), math.nan) for one in slot])
    kept = steady & np.isfinite(of_level)
    levels = np.quantile(list(level.values()), _LEVELS)
    rises = [abs(level[name + 1] - level[name]) for name in level if name + 1 in level]
    noise = np.quantile((values - of_level)[kept], _LEVELS)
    pairs = kept[1:] & kept[:-1] & (slot[1:] == slot[:-1]) & (np.diff(times_s) < _NEXT * interval_s)
    target = float(np.abs(np.diff(values))[pairs].mean())
    before, after = _neighbours(np.where(kept, values, math.nan), ~steady & ~out)
    whole = ~out & np.isfinite(before + after)
    passing = [
        _transition(values[at], before[at], after[at])
        for at in (whole & (phase == second) for second in boundary[:-1])
    ]
    model = RateModel(
        period_s,
        boundary,
        levels,
        _memory_for(levels, float(np.mean(rises))) if len(rises) >= _LEAST_SLOTS else 0.0,
        noise,
        _memory_for(noise, target),
        np.array([progress for progress, _ in passing]),
        np.array([shares for _, shares in passing]).reshape(-1, len(_LEVELS)),
        *_outage_rates(out),
    )
    return _matched(model, times_s, changes(times_s, values, period_s).ratio(boundary))


def _matched(model: RateModel, times_s: Array, ratio: float) -> RateModel:
    """The model such that it generates the ratio at boundaries that calibrated it, where it can.

    Transitions are spread more or less widely; where even without a spread of theirs changes at boundaries
    are too great, levels remember more: the mean of a slot holds some noise, which is then counted twice.
    """

    def generated(tried: RateModel) -> float:
        found = (changes(times_s, tried.generate(times_s, seed), model.period_s) for seed in _TRIED_SEEDS)
        return float(np.median([one.ratio(model.boundary) for one in found]))

    centre = np.median(model.transition, axis=1, keepdims=True)

    def spread(by: float) -> RateModel:
        return replace(model, transition=np.maximum(centre + by * (model.transition - centre), 0.0))

    def remembering(by: float) -> RateModel:
        return replace(spread(0.0), level_memory=model.level_memory + by * (1.0 - model.level_memory))

    narrowest = spread(0.0)
    if generated(narrowest) < ratio:
        return spread(_bisected(0.0, _WIDEST, lambda by: generated(spread(by)) < ratio))
    return remembering(_bisected(0.0, _MOST_MEMORY, lambda by: generated(remembering(by)) > ratio))


def _bisected(low: float, high: float, more: Callable[[float], bool]) -> float:
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if more(middle) else (low, middle)
    return (low + high) / 2


def runs_of(out: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Lengths in samples of the stretches in which `out` [n] is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], out.astype(np.int8), [0]))))
    lengths: NDArray[np.int64] = edges[1::2] - edges[::2]
    return lengths


def _slots(
    times_s: Array, period_s: float, boundary: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    at = times_s + 0.01
    slot = np.floor((at - boundary[-1]) / period_s).astype(np.int64)
    return slot, np.floor(at % period_s).astype(np.int64) % round(period_s)


def _neighbours(values: Array, passing: NDArray[np.bool_]) -> tuple[Array, Array]:
    """[n] the last value before and the first after each stretch of `passing` [n]; elsewhere the value."""
    places = np.arange(len(values))
    before = np.maximum.accumulate(np.where(passing, 0, places))
    after = np.minimum.accumulate(np.where(passing, len(values) - 1, places)[::-1])[::-1]
    return values[before], values[after]


def _transition(values: Array, before: Array, after: Array) -> tuple[float, Array]:
    """Progress by least squares, and the quantiles of the rate over what it gives."""
    if len(values) < _LEAST_SLOTS:
        return 0.5, np.ones(len(_LEVELS))
    rise = after - before
    progress = float(np.clip(np.sum((values - before) * rise) / max(np.sum(rise**2), 1e-9), 0.0, 1.0))
    return progress, np.quantile(values / (before + progress * rise), _LEVELS)


def _quantile(table: Array, states: Array) -> Array:
    from scipy.stats import norm

    result: Array = np.interp(norm.cdf(states), _LEVELS, table)
    return result


def _autoregression(draws: Array, memory: float) -> Array:
    from scipy.signal import lfilter

    scaled = draws * math.sqrt(1.0 - memory**2)
    scaled[0] = draws[0]
    result: Array = lfilter([1.0], [1.0, -memory], scaled)
    return result


def _memory_for(table: Array, target: float) -> float:
    """The memory with which values of this distribution change by `target` in the mean."""
    draws = np.random.default_rng(0).standard_normal(_DRAWS)

    def change(memory: float) -> float:
        return float(np.abs(np.diff(_quantile(table, _autoregression(draws, memory)))).mean())

    return _bisected(0.0, _MOST_MEMORY, lambda memory: change(memory) > target)


def _outage_rates(out: NDArray[np.bool_]) -> tuple[float, float]:
    lengths = runs_of(out)
    if not len(lengths):
        return 0.0, 1.0
    return len(lengths) / max(1, int(np.count_nonzero(~out))), len(lengths) / int(lengths.sum())


def _outages(draws: Array, begins: float, ends: float) -> NDArray[np.bool_]:
    out = np.zeros(len(draws), np.bool_)
    state = False
    for index in np.flatnonzero(draws < max(begins, ends)) if begins else ():
        # between two of these nothing begins or ends
        was = state
        state = draws[index] >= ends if state else draws[index] < begins
        if state and not was:
            begun = index
        if was and not state:
            out[begun:index] = True
    if state:
        out[begun:] = True
    return out
