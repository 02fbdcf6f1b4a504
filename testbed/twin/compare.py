"""How close two sets of values are: the fidelity measures, as pure functions of arrays.

Definitions are those of the project's model notes: KS and W1 between empirical distributions (weights
allowed), quantile errors, coverage, interval score, CRPS, NRMSE, centred correlation, skill. Units are
those of the values. Confidence limits and critical values are not here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: two-sided 90 % of a Gaussian, in standard deviations
_Z90 = 1.6448536269514722
#: integral of the squared standard normal distribution function below zero
_HALF = 1.0 / math.sqrt(2.0 * math.pi) - 0.5 / math.sqrt(math.pi)


def _values(data: ArrayLike, what: str) -> Array:
    array = np.asarray(data, dtype=np.float64).ravel()
    if array.size == 0:
        raise ValueError(f"{what} has no values")
    return array


def _steps(x: Array, y: Array, wx: ArrayLike | None, wy: ArrayLike | None) -> tuple[Array, Array, Array]:
    """Both distribution functions on the union of the values."""
    points = np.sort(np.concatenate((x, y)))
    cdfs = []
    for values, weights in ((x, wx), (y, wy)):
        order = np.argsort(values, kind="stable")
        share = np.ones(values.size) if weights is None else np.asarray(weights, dtype=np.float64)[order]
        cumulated = np.concatenate(([0.0], np.cumsum(share)))
        cdfs.append(cumulated[np.searchsorted(values[order], points, "right")] / cumulated[-1])
    return points, cdfs[0], cdfs[1]


def ks(x: ArrayLike, y: ArrayLike, wx: ArrayLike | None = None, wy: ArrayLike | None = None) -> float:
    """Kolmogorov-Smirnov distance, sup |F - G|, 0 to 1; `wx`, `wy` weigh the values."""
    _, f, g = _steps(_values(x, "x"), _values(y, "y"), wx, wy)
    return float(np.max(np.abs(f - g)))


def w1(x: ArrayLike, y: ArrayLike, wx: ArrayLike | None = None, wy: ArrayLike | None = None) -> float:
    """First Wasserstein distance, the integral of |F - G|, in the unit of the values."""
    points, f, g = _steps(_values(x, "x"), _values(y, "y"), wx, wy)
    return float(np.sum(np.abs(f - g)[:-1] * np.diff(points)))


def quantile_errors(
    model: ArrayLike, observed: ArrayLike, levels: Sequence[float] = (0.5, 0.95, 0.99)
) -> dict[float, tuple[float, float]]:
    """For each level: model quantile minus observed one, absolute and relative to the observed one."""
    m, o = np.quantile(_values(model, "model"), levels), np.quantile(_values(observed, "observed"), levels)
    return {
        level: (float(a - b), float((a - b) / b) if b else math.nan)
        for level, a, b in zip(levels, m, o, strict=True)
    }


def picp(observed: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Share of the observations inside their predicted interval (ends included)."""
    o = _values(observed, "observed")
    return float(np.mean((o >= np.asarray(low)) & (o <= np.asarray(high))))


def interval_score(observed: ArrayLike, low: ArrayLike, high: ArrayLike, level: float = 0.9) -> float:
    """Mean interval score (Gneiting and Raftery 2007, eq. 43): width, plus penalties for misses."""
    o = _values(observed, "observed")
    lo, hi = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    miss = np.maximum(lo - o, 0.0) + np.maximum(o - hi, 0.0)
    return float(np.mean(hi - lo + 2.0 / (1.0 - level) * miss))


def crps_samples(observed: ArrayLike, samples: ArrayLike) -> float:
    """Mean CRPS of one forecast, given as equally likely values, for all `observed`.

    E|X - o| - E|X - X'| / 2 with both expectations over the samples.
    """
    o, s = _values(observed, "observed"), np.sort(_values(samples, "samples"))
    n = s.size
    spread = float(np.sum(_ranks(n) * s)) / n**2  # half of E|X - X'|
    return float(np.mean(np.abs(s[None, :] - o[:, None]))) - spread


@functools.lru_cache(maxsize=64)
def _ranks(n: int) -> Array:
    """The weights of `n` ascending values in n^2 / 2 times their mean distance (do not change them)."""
    ranks: Array = 2.0 * np.arange(1, n + 1, dtype=np.float64) - n - 1.0
    return ranks


def crps_gaussian(observed: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> float:
    """Mean CRPS of Gaussian forecasts (Gneiting and Raftery 2007, eq. 21); `sd` above zero."""
    o = _values(observed, "observed")
    scale = np.broadcast_to(np.asarray(sd, dtype=np.float64), o.shape)
    z = (o - np.asarray(mean, dtype=np.float64)) / scale
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    distribution = 0.5 * (1.0 + np.array([math.erf(v / math.sqrt(2.0)) for v in z]))
    return float(np.mean(scale * (z * (2.0 * distribution - 1.0) + 2.0 * density - 1.0 / math.sqrt(math.pi))))


def crps_banded(observed: ArrayLike, median: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Mean CRPS of forecasts given by a median and a 90 % band, each side of the median half a Gaussian.

    The integral of (F - 1{x >= o})^2 (Gneiting and Raftery 2007, eq. 20) in closed form: the half on the
    other side contributes its own A = phi(0) - 1 / (2 sqrt(pi)) times its scale.
    """
    o, m = _values(observed, "observed"), np.asarray(median, dtype=np.float64)
    below = np.maximum(m - np.asarray(low, dtype=np.float64), 0.0) / _Z90
    above = np.maximum(np.asarray(high, dtype=np.float64) - m, 0.0) / _Z90
    near, far = np.where(o >= m, above, below), np.where(o >= m, below, above)
    return float(np.mean([crps_one_side(*row) for row in np.broadcast(np.abs(o - m), near, far)]))


def crps_one_side(error: float, near: float, far: float) -> float:
    """CRPS of a banded forecast at `error` from its median, on the side of standard deviation `near`."""
    if near <= 1e-12 * error or near <= 0.0:
        return error + _HALF * (far - near)
    z = error / near
    inner = z * math.erf(z / math.sqrt(2.0)) + math.sqrt(2.0 / math.pi) * math.exp(-0.5 * z * z)
    return near * (inner - 1.0 / math.sqrt(math.pi) - _HALF) + _HALF * far


def mae(predicted: ArrayLike, observed: ArrayLike) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(_values(predicted, "predicted") - _values(observed, "observed"))))


def nrmse(predicted: ArrayLike, observed: ArrayLike) -> float:
    """Root mean square error over the mean of the observations; nan when that mean is zero."""
    o = _values(observed, "observed")
    rmse = math.sqrt(float(np.mean((_values(predicted, "predicted") - o) ** 2)))
    mean = float(np.mean(o))
    return rmse / mean if mean else math.nan


def correlation(predicted: ArrayLike, observed: ArrayLike) -> float:
    """Centred correlation coefficient; nan when either side does not vary."""
    p, o = _values(predicted, "predicted"), _values(observed, "observed")
    p, o = p - p.mean(), o - o.mean()
    scale = math.sqrt(float(np.sum(p * p)) * float(np.sum(o * o)))
    return float(np.sum(p * o)) / scale if scale > 0.0 else math.nan


def skill_interval(
    errors: Array, baseline_errors: Array, block: int = 8, share: float = 0.9, resamples: int = 400
) -> tuple[float, float]:
    """Interval that holds the skill with probability `share`: circular block bootstrap.

    Errors are per window, in order of time; blocks of `block` windows keep what neighbours have in common
    (Politis and Romano, 1992).
    """
    n = len(errors)
    if n < 2 or float(np.sum(baseline_errors)) <= 0.0:
        return math.nan, math.nan
    block = max(1, min(block, n // 3))
    starts = np.random.default_rng(1).integers(0, n, (resamples, -(-n // block)))
    chosen = ((starts[:, :, None] + np.arange(block)) % n).reshape(resamples, -1)[:, :n]
    own, other = errors[chosen].sum(axis=1), baseline_errors[chosen].sum(axis=1)
    skills = 1.0 - own / np.maximum(other, 1e-300)
    low, high = np.quantile(skills, ((1.0 - share) / 2.0, (1.0 + share) / 2.0))
    return float(low), float(high)


def skill(error: float, baseline_error: float) -> float:
    """1 - error / error of the baseline: 1 is perfect, below 0 worse; nan at a perfect baseline."""
    return 1.0 - error / baseline_error if baseline_error > 0.0 else math.nan


def autocorrelation(values: ArrayLike, lags: Sequence[int]) -> Array:
    """Autocorrelation at each lag (Box, Jenkins and Reinsel 2008, eq. 2.1.13): about the mean of all values.

    nan at lags that are not shorter than the series, and where nothing varies.
    """
    x = _values(values, "values")
    x = x - x.mean()
    power = float(np.sum(x * x))
    if power <= 0.0:
        return np.full(len(lags), math.nan)
    return np.array([float(np.sum(x[lag:] * x[:-lag])) / power if lag < len(x) else math.nan for lag in lags])


def acf_error(model: ArrayLike, observed: ArrayLike, lags: Sequence[int]) -> float:
    """Mean over the lags of |rho_model - rho_observed|; nan where none is defined for both."""
    difference = np.abs(autocorrelation(model, lags) - autocorrelation(observed, lags))
    known = difference[np.isfinite(difference)]
    return float(known.mean()) if known.size else math.nan


def gilbert(lost: ArrayLike) -> tuple[float, float, float]:
    """p01, p11 and mean burst length of losses, in the order in which packets were sent.

    p01: probability that a packet is lost after one that was not, p11: after one that was. nan where
    there is nothing to count.
    """
    gone = np.asarray(lost, dtype=np.bool_).ravel()
    before, after = gone[:-1], gone[1:]
    begun = int(np.sum(gone[:1])) + int(np.sum(~before & after))
    return (
        float(after[~before].mean()) if (~before).any() else math.nan,
        float(after[before].mean()) if before.any() else math.nan,
        float(gone.sum()) / begun if begun else math.nan,
    )
