"""What `forecast` computes, compiled: periods, usual values and bands on the numbers of one forecast.

Everything a forecast knows is one vector of float64, laid out below: blocks follow each other, counts and
states are whole numbers in it, nan is what is not known. Kernels change it in place; they know no unit, no
clock and no other module. All of them are in this file, as a cached kernel is compiled anew when its own file
changes.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.jit import kernel

Vector = NDArray[np.float64]

_Z90: Final = 1.6448536269514722

# --- a sample: count, state of its choice, moments, values as they came, values in order -------------
_COUNT, _CHOICE, _MEAN, _SPREAD, _VALUES = range(5)


def sample_length(size: int) -> int:
    """Length of a block that holds a sample of at most `size` values."""
    return _VALUES + 2 * size


# --- a period: where the next value goes, windows since a gap, whether counts matter, the best period; of
# each lag the errors, the usual ones and their number; the values so far; errors of periods believed
LONGEST: Final = 64
LAGS: Final = LONGEST - 1
#: places for past values: more than count, so that they have to be moved now and then only
_KEPT: Final = 4 * LONGEST
_END, _UNBROKEN, _SETTLED, _BEST, _ERRORS = range(5)
_USUAL: Final = _ERRORS + LAGS
_COUNTS: Final = _USUAL + LAGS
_HISTORY: Final = _COUNTS + LAGS
SEASONAL: Final = _HISTORY + _KEPT
SAMPLE: Final = 96
SEASONS_LENGTH: Final = SEASONAL + sample_length(SAMPLE)
#: the best period is to be looked for
_UNKNOWN: Final = -1.0
#: share of the usual error that a period's may have
CONVINCING: Final = 0.5
#: windows compared before a period may be believed, and errors seen before it is used
TRIED: Final = 8
USED: Final = 6
#: errors are averages over so many windows, and forget the older ones
_REMEMBERED: Final = 40

# --- levels of the two ends of a band
LEVELS_LENGTH: Final = 2
PASSED: Final = 0.05
_GAIN: Final = 0.02
_LEAST: Final = 0.001
_MOST: Final = 0.15

# --- a forecast: prior; whitener of its residuals; errors of the usual and of the moved value, with their
# numbers; ends of the next window's band; then the blocks
(
    PRIOR, _SD, _PHI, _PREVIOUS, _FLOOR, _MEMORY, _WEIGHT, _XX, _XY, _USUAL_COUNT, _USUAL_ERROR, _LAST_COUNT,
    _LAST_ERROR, ENDS, _HIGH_END, LEVELS,
) = range(16)  # fmt: skip
PAST: Final = LEVELS + LEVELS_LENGTH
SEASONS: Final = PAST + sample_length(SAMPLE)
LENGTH: Final = SEASONS + SEASONS_LENGTH
_ERROR_MEMORY: Final = 60
#: windows after which a residual's band is taken from residuals instead of from a prior
_ENOUGH: Final = 12
#: windows after which the extremes among them stand for the 5 % and 95 % quantiles
_PLENTY: Final = 30
#: of a whitener, as in `detect`
_CLIPPED_SECOND_MOMENT: Final = 0.9776
_CLIP: Final = 2.5


def new_sample(block: Vector) -> None:
    """Makes a block of zeros an empty sample."""
    block[_CHOICE] = 0x9E3779B9
    block[_MEAN] = math.nan


def new_seasons(block: Vector) -> None:
    """Makes a block of zeros one in which nothing was compared yet."""
    block[_END] = LONGEST + 1
    block[_HISTORY:SEASONAL] = math.nan
    new_sample(block[SEASONAL:])


def new_levels(block: Vector) -> None:
    """Makes a block one of the levels that a band ends at beforehand."""
    block[:] = PASSED


def new_forecast(prior: float, sd: float, floor: float, memory: float, weight: float) -> Vector:
    """The vector of a forecast that nothing was told yet; the numbers but the first are of its whitener."""
    made = np.zeros(LENGTH)
    made[PRIOR] = prior
    made[_SD : _XX + 1] = sd, 0.0, math.nan, floor, memory, weight, weight * sd**2
    made[ENDS : ENDS + 2] = math.nan
    new_levels(made[LEVELS:PAST])
    new_sample(made[PAST:SEASONS])
    new_seasons(made[SEASONS:])
    return made


def renewed(forecast: Vector) -> Vector:
    """A copy that has still to see its first window: no last residual, no band, no errors."""
    made = forecast.copy()
    made[_PREVIOUS] = made[ENDS] = made[_HIGH_END] = math.nan
    made[_USUAL_COUNT : _LAST_ERROR + 1] = 0.0
    return made


# --- samples ----------------------------------------------------------------------------------------


@kernel
def _beyond(one: float, other: float) -> bool:
    """Whether a value comes after another in order; what is no number comes last."""
    return one > other or (one != one and other == other)


@kernel
def sample_add(block: Vector, value: float) -> None:
    """Takes a value in; in a full sample it replaces a random old one, so ages are exponential."""
    size, n = (len(block) - _VALUES) // 2, int(block[_COUNT])
    values, ordered = block[_VALUES : _VALUES + size], block[_VALUES + size :]
    block[_MEAN] = math.nan
    if n < size:
        values[n] = value
        at = n
        block[_COUNT] = n + 1
    else:
        choice = (np.int64(block[_CHOICE]) * 1664525 + 1013904223) & 0xFFFFFFFF
        block[_CHOICE] = choice
        place = (choice >> 8) % size
        old = values[place]
        values[place] = value
        at = 0
        while at < n - 1 and not (ordered[at] == old or (ordered[at] != ordered[at] and old != old)):
            at += 1
        while at < n - 1 and _beyond(value, ordered[at + 1]):
            ordered[at] = ordered[at + 1]
            at += 1
    while at > 0 and _beyond(ordered[at - 1], value):
        ordered[at] = ordered[at - 1]
        at -= 1
    ordered[at] = value


@kernel
def _sum_of_powers(values: Vector, middle: float, power: int) -> float:
    """Sum of (value - middle)^power for a power of 1 or 2, in eight parts, which rounds less than in one."""
    n = len(values)
    parts = np.zeros(8)
    whole = n - n % 8
    for k in range(n):
        off = values[k] - middle
        off = off if power == 1 else off * off
        if k < whole:
            parts[k % 8] += off
        else:
            if k == whole:
                parts[0] = _paired(parts)
            parts[0] += off
    return parts[0] if whole < n else _paired(parts)


@kernel
def _paired(parts: Vector) -> float:
    """Sum of eight numbers."""
    return ((parts[0] + parts[1]) + (parts[2] + parts[3])) + ((parts[4] + parts[5]) + (parts[6] + parts[7]))


@kernel
def _moments(block: Vector) -> tuple[float, float]:
    """Mean and standard deviation (n - 1 in the denominator; 0 of a single value)."""
    if math.isnan(block[_MEAN]):
        size, n = (len(block) - _VALUES) // 2, int(block[_COUNT])
        ordered = block[_VALUES + size : _VALUES + size + n]
        mean = _sum_of_powers(ordered, 0.0, 1) / n
        squares = _sum_of_powers(ordered, mean, 2)
        block[_MEAN], block[_SPREAD] = mean, math.sqrt(squares / max(n - 1, 1))
    return block[_MEAN], block[_SPREAD]


@kernel
def _quantile(block: Vector, level: float) -> float:
    """The `level` quantile with n + 1 in the denominator: honest for the next value when n is small."""
    size, n = (len(block) - _VALUES) // 2, int(block[_COUNT])
    ordered = block[_VALUES + size : _VALUES + size + n]
    position = level * (n + 1) - 1.0
    if position <= 0.0:
        return ordered[0]
    if position >= n - 1:
        return ordered[n - 1]
    low = int(position)
    return ordered[low] + (position - low) * (ordered[low + 1] - ordered[low])


# --- periods ----------------------------------------------------------------------------------------


@kernel
def _look(block: Vector) -> int:
    """The lag whose errors are the smallest share of the usual ones, 0 when none convinces."""
    best, least = 0, math.inf
    for k in range(LAGS):
        lag = k + 2
        if block[_SETTLED] == 0.0 and block[_COUNTS + k] < max(lag, TRIED):
            continue
        usual = block[_USUAL + k]
        share = block[_ERRORS + k] / (usual if usual > 1e-12 else 1e-12)
        if share != share:
            return 0
        if share < least:
            best, least = lag, share
    return best if least < CONVINCING else 0


@kernel
def seasons_expected(block: Vector, steps: int) -> float:
    """The value `steps` windows on by the best period; nan when no convincing one has a value."""
    if block[_BEST] == _UNKNOWN:
        block[_BEST] = _look(block)
    lag = int(block[_BEST])
    if lag == 0:
        return math.nan
    return block[_HISTORY + int(block[_END]) - lag + (steps - 1) % lag]


@kernel
def _step(block: Vector, value: float) -> None:
    end = int(block[_END])
    history = block[_HISTORY:SEASONAL]
    if end == _KEPT:
        end = LONGEST + 1
        for k in range(end):
            history[k] = history[_KEPT - end + k]
    history[end] = value
    block[_END] = end + 1


@kernel
def seasons_learn(block: Vector, value: float, middle: float) -> None:
    """A window's value; `middle` is what would have been said without any period."""
    expected = seasons_expected(block, 1)
    if not math.isnan(expected):
        sample_add(block[SEASONAL:], value - expected)
    end = int(block[_END])
    history = block[_HISTORY:SEASONAL]
    errors, usual = block[_ERRORS:_USUAL], block[_USUAL:_COUNTS]
    off = abs(value - middle)
    if block[_SETTLED] != 0.0 and block[_UNBROKEN] >= LONGEST:
        for k in range(LAGS):
            errors[k] += (abs(value - history[end - 2 - k]) - errors[k]) * (1.0 / _REMEMBERED)
            usual[k] += (off - usual[k]) * (1.0 / _REMEMBERED)
    else:
        counts = block[_COUNTS:_HISTORY]
        fewest = math.inf
        for k in range(LAGS):
            before = history[end - 2 - k]
            if not math.isnan(before):
                counts[k] += 1.0
                weight = 1.0 / min(counts[k], _REMEMBERED)
                errors[k] += (abs(value - before) - errors[k]) * weight
                usual[k] += (off - usual[k]) * weight
            fewest = min(fewest, counts[k])
        block[_SETTLED] = 1.0 if fewest >= LONGEST else 0.0
    block[_UNBROKEN] += 1.0
    block[_BEST] = _UNKNOWN
    _step(block, value)


@kernel
def seasons_miss(block: Vector) -> None:
    """A window without a value."""
    block[_UNBROKEN] = 0.0
    _step(block, math.nan)


# --- levels -----------------------------------------------------------------------------------------


@kernel
def levels_learn(block: Vector, below: bool, above: bool) -> None:
    """Whether a value was below the lower end of its band, or above the upper one."""
    low = block[0] + _GAIN * (PASSED - (1.0 if below else 0.0))
    high = block[1] + _GAIN * (PASSED - (1.0 if above else 0.0))
    block[0] = min(max(low, _LEAST), _MOST)
    block[1] = min(max(high, _LEAST), _MOST)


# --- forecasts --------------------------------------------------------------------------------------


@kernel
def _at_least(value: float, low: float) -> float:
    return low if low > value else value


@kernel
def _averaged(forecast: Vector, count: int, value: float) -> None:
    """A plain average of the first values, then one that forgets; its number stands before it."""
    forecast[count] += 1.0
    forecast[count + 1] += (value - forecast[count + 1]) / min(forecast[count], _ERROR_MEMORY)


@kernel
def forecast_mean(forecast: Vector) -> float:
    """Mean of what was usual."""
    past = forecast[PAST:SEASONS]
    if past[_COUNT] == 0.0:
        return forecast[PRIOR]
    mean, _ = _moments(past)
    return mean


@kernel
def _foreseen(forecast: Vector) -> float:
    """Expected next residual, from the last one."""
    return 0.0 if math.isnan(forecast[_PREVIOUS]) else forecast[_PHI] * forecast[_PREVIOUS]


@kernel
def _innovation(forecast: Vector, residual: float) -> float:
    """The unforeseen part of a residual, in standard deviations."""
    phi = forecast[_PHI]
    if math.isnan(forecast[_PREVIOUS]):
        return residual * math.sqrt(1.0 - phi * phi) / forecast[_SD]
    return (residual - phi * forecast[_PREVIOUS]) / forecast[_SD]


@kernel
def _whiten(forecast: Vector, residual: float) -> float:
    """Takes a residual into the model of residuals, as `detect.Whitener` does; its unforeseen part."""
    z = _innovation(forecast, residual)
    sd, phi = forecast[_SD], forecast[_PHI]
    forecast[_WEIGHT] = min(forecast[_WEIGHT] + 1.0, forecast[_MEMORY])
    squared = min(z * z, _CLIP**2) / _CLIPPED_SECOND_MOMENT * (sd * sd)
    variance = sd * sd + (squared - sd * sd) / forecast[_WEIGHT]
    if not math.isnan(forecast[_PREVIOUS]):
        limit = _CLIP * (sd / math.sqrt(1.0 - phi * phi))
        x = min(max(forecast[_PREVIOUS], -limit), limit)
        y = min(max(residual, -limit), limit)
        keep = 1.0 - 1.0 / forecast[_MEMORY]
        forecast[_XX] = keep * forecast[_XX] + x * x
        forecast[_XY] = keep * forecast[_XY] + x * y
        forecast[_PHI] = min(max(forecast[_XY] / max(forecast[_XX], 1e-300), 0.0), 0.95)
    forecast[_SD] = max(math.sqrt(variance), forecast[_FLOOR])
    forecast[_PREVIOUS] = residual
    return z


@kernel
def forecast_learn(forecast: Vector, value: float) -> float:
    """A window's value; its deviation from the mean, whitened."""
    past = forecast[PAST:SEASONS]
    mean = forecast_mean(forecast)
    if not math.isnan(forecast[ENDS]):
        levels_learn(forecast[LEVELS:PAST], value < forecast[ENDS], value > forecast[_HIGH_END])
        forecast[ENDS] = forecast[_HIGH_END] = math.nan
    middle = _quantile(past, 0.5) if past[_COUNT] > 0.0 else mean
    seasons_learn(forecast[SEASONS:], value, middle)
    if past[_COUNT] >= _ENOUGH:
        width = math.sqrt(1.0 - forecast[_PHI] * forecast[_PHI])
        moved = mean + _foreseen(forecast) + width * (middle - mean)
        _averaged(forecast, _USUAL_COUNT, abs(value - middle))
        _averaged(forecast, _LAST_COUNT, abs(value - moved))
    z = _whiten(forecast, value - mean)
    sample_add(past, value)
    return z


@kernel
def forecast_miss(forecast: Vector) -> None:
    """A window without an observation."""
    forecast[_PREVIOUS] = math.nan
    seasons_miss(forecast[SEASONS:])


@kernel
def forecast_band(
    forecast: Vector, base: float, scale: float, belief_sd: float, low: float, steps: int
) -> tuple[float, float, float, float, float]:
    """Mean, standard deviation, ends of the 90 % band and median of base + scale x value, `steps` windows on.

    Not below `low`; `belief_sd` is the doubt about base.
    """
    if steps == 1:
        forecast[ENDS] = forecast[_HIGH_END] = math.nan
    past = forecast[PAST:SEASONS]
    lower, upper = forecast[LEVELS], 1.0 - forecast[LEVELS + 1]
    seasons = forecast[SEASONS:]
    errors = seasons[SEASONAL:]
    seasonal = seasons_expected(seasons, steps)
    if not math.isnan(seasonal) and errors[_COUNT] >= USED:
        centre = _at_least(base + scale * seasonal, low)
        _, spread = _moments(errors)
        sd = _at_least(math.hypot(scale * spread, belief_sd), 1e-9)
        first, last = seasonal + _quantile(errors, lower), seasonal + _quantile(errors, upper)
        low90, high90 = base + scale * first, base + scale * last
        if errors[_COUNT] < _PLENTY:
            low90, high90 = min(low90, centre - _Z90 * sd), max(high90, centre + _Z90 * sd)
        elif steps == 1:
            forecast[ENDS], forecast[_HIGH_END] = first, last
        return centre, sd, _at_least(low90, low), _at_least(high90, low), centre
    mean = forecast_mean(forecast)
    shift, width, phi = 0.0, 1.0, forecast[_PHI]
    if past[_COUNT] >= _ENOUGH and forecast[_LAST_ERROR] < 0.97 * forecast[_USUAL_ERROR]:
        kept = math.pow(phi, float(steps - 1))
        shift, width = kept * _foreseen(forecast), math.sqrt(1.0 - (kept * phi) * (kept * phi))
    spread = forecast[_SD]
    if past[_COUNT] > 2.0:
        spread = max(spread, _moments(past)[1])
    sd = _at_least(math.hypot(scale * width * spread, belief_sd), 1e-9)
    centre = _at_least(base + scale * (mean + shift), low)
    below, above = _at_least(centre - _Z90 * sd, low), centre + _Z90 * sd
    if past[_COUNT] < _ENOUGH:
        return centre, sd, below, above, centre
    first = mean + shift + width * (_quantile(past, lower) - mean)
    middle = mean + shift + width * (_quantile(past, 0.5) - mean)
    last = mean + shift + width * (_quantile(past, upper) - mean)
    low90, high90 = _at_least(base + scale * first, low), _at_least(base + scale * last, low)
    if past[_COUNT] < _PLENTY:
        low90, high90 = min(low90, below), max(high90, above)
    elif steps == 1:
        forecast[ENDS], forecast[_HIGH_END] = first, last
    return centre, sd, low90, high90, _at_least(base + scale * middle, low)
