"""What `running` sums up of a window, compiled: errors, scores, moments, and where it stands in its sequence.

Sums and sequences are vectors of float64, laid out below; nan stands for what a window does not have. All
kernels are in this file, as a cached one is compiled anew when its own file changes.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.jit import kernel

Vector = NDArray[np.float64]

_Z90: Final = 1.6448536269514722
#: integral of the squared standard normal distribution function below zero
_HALF: Final = 1.0 / math.sqrt(2.0 * math.pi) - 0.5 / math.sqrt(math.pi)

# --- sums: moments of pairs; absolute errors, CRPS, windows inside the band, interval scores; then pairs of
# the prediction's own and another's error: of the climatology (CRPS), and of each baseline
N, X, Y, XX, XY, YY, ABSOLUTE, CRPS, INSIDE, SCORE, CLIMATOLOGY = range(11)
MOMENTS: Final = YY + 1
BASELINES: Final = CLIMATOLOGY + 2
#: of one with so many baselines
SUMS_LENGTH: Final = BASELINES + 2 * 3

# --- a sequence: number, first value, from which the others are counted, sum and sum of squares; products
# with the value so many windows before, for each lag; the first and the last values
#: lags at which autocorrelations are compared, in windows
LAGS: Final = (1, 2, 4, 8, 16, 32)
_LAGS: Final = np.array(LAGS)
_MOST: Final = LAGS[-1]
_COUNT, _ORIGIN, _SUM, _SQUARE, _CROSS = range(5)
_FIRST: Final = _CROSS + len(LAGS)
_LAST: Final = _FIRST + _MOST
SEQUENCE_LENGTH: Final = _LAST + _MOST


@kernel
def crps_one_side(error: float, near: float, far: float) -> float:
    """As `compare.crps_one_side`."""
    if near <= 1e-12 * error or near <= 0.0:
        return error + _HALF * (far - near)
    z = error / near
    inner = z * math.erf(z / math.sqrt(2.0)) + math.sqrt(2.0 / math.pi) * math.exp(-0.5 * z * z)
    return near * (inner - 1.0 / math.sqrt(math.pi) - _HALF) + _HALF * far


@kernel
def crps_banded(median: float, low: float, high: float, observed: float) -> float:
    """CRPS of a median and a 90 % band, as `compare.crps_banded`."""
    error = observed - median
    above, below = max((high - median) / _Z90, 0.0), max((median - low) / _Z90, 0.0)
    if error >= 0.0:
        return crps_one_side(error, above, below)
    return crps_one_side(-error, below, above)


@kernel
def add_pair(moments: Vector, x: float, y: float) -> None:
    """One pair, by Welford's recurrence."""
    moments[N] += 1.0
    dx, dy = x - moments[X], y - moments[Y]
    moments[X] += dx / moments[N]
    moments[Y] += dy / moments[N]
    moments[XX] += dx * (x - moments[X])
    moments[XY] += dx * (y - moments[Y])
    moments[YY] += dy * (y - moments[Y])


@kernel
def merge_pairs(moments: Vector, other: Vector) -> None:
    """All pairs of another (Chan, Golub and LeVeque 1983, eq. 2.1)."""
    if other[N] == 0.0:
        return
    n = moments[N] + other[N]
    dx, dy, weight = other[X] - moments[X], other[Y] - moments[Y], moments[N] * other[N] / n
    moments[X] += dx * other[N] / n
    moments[Y] += dy * other[N] / n
    moments[XX] += other[XX] + dx * dx * weight
    moments[XY] += other[XY] + dx * dy * weight
    moments[YY] += other[YY] + dy * dy * weight
    moments[N] = n


@kernel
def add(
    sums: Vector,
    mean: float,
    median: float,
    low: float,
    high: float,
    observed: float,
    constant: float,
    propagation: float,
    persistence: float,
    climatology: float,
) -> None:
    """A window: what was predicted and observed, what three baselines said, and the CRPS of a climatology."""
    add_pair(sums, mean, observed)
    error = abs(median - observed)
    crps = crps_banded(median, low, high, observed)
    sums[ABSOLUTE] += error
    sums[CRPS] += crps
    if low <= observed <= high:
        sums[INSIDE] += 1.0
    sums[SCORE] += high - low + 20.0 * max(low - observed, observed - high, 0.0)
    if not math.isnan(climatology):
        sums[CLIMATOLOGY] += crps
        sums[CLIMATOLOGY + 1] += climatology
    at = BASELINES
    for said in (constant, propagation, persistence):
        if math.isfinite(said):
            sums[at] += error
            sums[at + 1] += abs(said - observed)
        at += 2


@kernel
def merge(sums: Vector, other: Vector) -> None:
    """All windows of another."""
    merge_pairs(sums, other)
    for k in range(ABSOLUTE, len(sums)):
        sums[k] += other[k]


@kernel
def follow(sequence: Vector, value: float) -> None:
    """The next value of a sequence."""
    known = int(sequence[_COUNT])
    if known == 0:
        sequence[_ORIGIN] = value
    x = value - sequence[_ORIGIN]
    sequence[_SUM] += x
    sequence[_SQUARE] += x * x
    for k in range(len(_LAGS)):
        lag = _LAGS[k]
        if lag > known:
            break
        sequence[_CROSS + k] += x * sequence[_LAST + (known - lag) % _MOST]
    if known < _MOST:
        sequence[_FIRST + known] = x
    sequence[_LAST + known % _MOST] = x
    sequence[_COUNT] = known + 1


@kernel
def follow_both(sequences: Vector, mean: float, observed: float) -> None:
    """The next values of a prediction and of what is observed, whose sequences follow each other."""
    follow(sequences[:SEQUENCE_LENGTH], mean)
    follow(sequences[SEQUENCE_LENGTH:], observed)


@kernel
def autocorrelations(sequence: Vector, found: Vector) -> None:
    """The autocorrelation at each of `LAGS`; nan where it is not defined."""
    found[:] = math.nan
    n = int(sequence[_COUNT])
    if n == 0:
        return
    mean = sequence[_SUM] / n
    power = sequence[_SQUARE] - n * mean * mean
    if power <= 1e-12 * sequence[_SQUARE]:
        return
    for k in range(len(_LAGS)):
        lag = _LAGS[k]
        if lag >= n:
            continue
        first = last = 0.0
        for back in range(1, lag + 1):
            last += sequence[_LAST + (n - back) % _MOST]
            first += sequence[_FIRST + back - 1]
        early, late = sequence[_SUM] - last, sequence[_SUM] - first
        product = sequence[_CROSS + k] - mean * (early + late) + (n - lag) * mean * mean
        found[k] = product / power


@kernel
def crps_samples(observed: Vector, samples: Vector) -> float:
    """Mean CRPS of one forecast, given as equally likely ascending values, as `compare.crps_samples`."""
    n = len(samples)
    spread = distance = 0.0
    for k in range(n):
        spread += (2.0 * (k + 1) - n - 1.0) * samples[k]
    for value in observed:
        for sample in samples:
            distance += abs(sample - value)
    return distance / (n * len(observed)) - spread / n**2
