"""Fitting a generated process by the simulated method of moments.

What the model's own kernels make at the calibration's sending times is held against the calibration data:
the autocorrelation of medians of 100 ms, and the share of variance of slots. Both sides are computed alike,
so that what a stretch of that length and sampling does to such figures cancels. What differs moves the aim of
the next round. The distribution is then whatever was measured, by the table of quantiles behind the copula.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array
from testbed.measured.models.calibration import Series, gilbert
from testbed.measured.models.generated import KNOTS, LOWEST_SCORE, Generated, Parameters, Segments
from testbed.measured.models.marginal import knots, normal_scores, quantiles_through
from testbed.measured.models.statistics import BIN_S, Bins, autocorrelation, autocovariance, slot_share

#: time constants of the correlated parts, s
TIME_CONSTANTS_S: Final = (0.15, 0.7, 3.0, 12.0)
#: lags in bins at which the autocorrelation is held against the data
LAGS: Final = (1, 2, 4, 7, 10, 15, 20, 30, 50, 80, 110, 150, 225, 300)
_SEEDS: Final = range(101, 109)
_ROUNDS: Final = 8
#: how far the aim moves towards what was missed in one round
_STEP: Final = 0.8
#: fewer slots than this have no distribution: they are played as jitter
_LEAST_SLOTS: Final = 4
#: a slot with fewer samples has no level of its own
_LEAST_IN_SLOT: Final = 5
#: entries of the quantile tables of levels and spreads at most
_TABLE: Final = 65
#: segments of a block at most
_MOST_SEGMENTS: Final = 512
_SPREAD_RANGE: Final = (0.05, 4.0)


@dataclass(frozen=True, eq=False)
class _Levels:
    """What the slots of a series are like, in normal scores."""

    #: [n] slot of each sample, ascending from 0
    slot: NDArray[np.int64]
    #: [slots] mean and standard deviation of the scores, nan where there are too few
    mean: Array
    spread: Array


def fit(series: Series, length_s: float | None, offset_s: float | None) -> Parameters:
    """Parameters of a process with segments of `length_s` (None: without), on a grid or irregular."""
    scores = normal_scores(series.values)
    bins = Bins.of(series.times_s)
    medians = bins.medians(series.values)
    wanted = autocorrelation(medians, LAGS)
    enter, leave = gilbert(series.values)
    base = Parameters((0.0,) * KNOTS, loss_enter=enter, loss_leave=leave, round_trip=series.round_trip)
    share = np.nan
    levels = None
    if length_s is not None and np.ptp(series.times_s) >= _LEAST_SLOTS * length_s:
        levels = _levels(series.times_s, scores, length_s, offset_s or 0.0)
        share = slot_share(medians, bins.middles_s, length_s, offset_s or 0.0)
        base = replace(base, segments=_segments(series, levels, length_s, offset_s))
    aim = _Aim(base, _within(scores, levels), bins, wanted, share)
    best, least = None, np.inf
    for _ in range(_ROUNDS):
        tried = aim.parameters()
        tried, found, found_share, missed = _simulated(tried, series, bins, wanted, share)
        if missed < least:
            best, least = tried, missed
        aim.move(wanted - found, share - found_share)
    assert best is not None
    return best


def _levels(times_s: Array, scores: Array, length_s: float, offset_s: float) -> _Levels:
    slot = np.floor((times_s - offset_s) / length_s).astype(np.int64)
    slot -= slot[0]
    present = np.isfinite(scores)
    count = np.bincount(slot[present], minlength=slot[-1] + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(slot[present], scores[present], len(count)) / count
        square = np.bincount(slot[present], scores[present] ** 2, len(count)) / count
        spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    few = count < _LEAST_IN_SLOT
    mean[few] = spread[few] = np.nan
    return _Levels(slot, mean, spread)


def _within(scores: Array, levels: _Levels | None) -> Array:
    """[n] scores within their slot: of mean 0 and variance 1."""
    if levels is None:
        return scores
    spread = np.maximum(levels.spread, _SPREAD_RANGE[0])
    return np.asarray((scores - levels.mean[levels.slot]) / spread[levels.slot])


def _segments(series: Series, levels: _Levels, length_s: float, offset_s: float | None) -> Segments:
    there = np.isfinite(levels.mean)
    mean, spread = levels.mean[there], np.clip(levels.spread[there], *_SPREAD_RANGE)
    entries = np.linspace(0.0, 1.0, min(_TABLE, len(mean)))
    ranks = np.stack([np.argsort(np.argsort(x)) for x in (mean, spread)]).astype(np.float64)
    agreement = float(np.corrcoef(ranks[0], ranks[1]).item(1)) if len(mean) > 2 else 0.0
    begin_s = float(series.times_s[0])
    if offset_s is not None:
        begin_s = offset_s + length_s * np.floor((begin_s - offset_s) / length_s)
    return Segments(
        length_s,
        None if offset_s is None else float(offset_s % length_s),
        begin_s,
        int(np.clip(len(levels.mean), 1, _MOST_SEGMENTS)),
        tuple(np.quantile(mean, entries).tolist()),
        tuple(np.quantile(spread, entries).tolist()),
        float(np.clip(np.nan_to_num(agreement), -0.99, 0.99).tolist()),
        tuple(
            np.clip(np.nan_to_num(autocorrelation(_filled(levels.mean), (1, 2, 3, 4))), -0.95, 0.99).tolist()
        ),
    )


def _filled(levels: Array) -> Array:
    """Levels with a straight line where there is none."""
    there = np.flatnonzero(np.isfinite(levels))
    return np.interp(np.arange(len(levels)), there, levels[there])


class _Aim:
    """What the next round tries; what the rounds before missed has moved it."""

    def __init__(self, base: Parameters, within: Array, bins: Bins, wanted: Array, share: float) -> None:
        self._base = base
        self._covariance = autocovariance(bins.medians(within), LAGS)
        self._variance = float(np.var(bins.medians(within)))
        self._share = 0.0 if np.isnan(share) else share
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
        return replace(self._base, segments=segments, components=components, white=white)

    def move(self, missed: Array, missed_share: float) -> None:
        """Towards what was missed: autocorrelations [LAGS], and the share of the slots."""
        missed = _STEP * np.nan_to_num(missed)
        segments = self._base.segments
        within = 1.0
        if segments is not None:
            within = max(0.05, 1.0 - self._share)
            if self._share > 0.0:
                change = 1.0 + _STEP * missed_share / max(0.02, self._share)
                self._scale = float(np.clip(self._scale * np.sqrt(np.clip(change, 0.5, 2.0)), 0.1, 5.0))
                for index in range(len(self._correlation)):
                    at = int(np.argmin(np.abs(np.array(LAGS) * BIN_S - (index + 1) * segments.length_s)))
                    if abs(LAGS[at] * BIN_S - (index + 1) * segments.length_s) < 0.5 * segments.length_s:
                        self._correlation[index] += missed[at] / max(0.05, self._share)
        short = np.array(LAGS) * BIN_S < (segments.length_s if segments is not None else np.inf)
        self._covariance = self._covariance + np.where(short, missed, 0.0) * self._variance / within


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


def _simulated(
    tried: Parameters, series: Series, bins: Bins, wanted: Array, share: float
) -> tuple[Parameters, Array, float, float]:
    """The parameters with the measured distribution, what they give, and by how much that misses."""
    present = np.isfinite(series.values)
    # a table of scores, in seconds above the lowest, tells the scores behind the delays
    plain = replace(
        tried, delay_ms=tuple((1e3 * (knots() - LOWEST_SCORE)).tolist()), loss_enter=0.0, round_trip=False
    )
    model = Generated("", plain)
    scores = [1e-3 * model.play(series.times_s, seed) + LOWEST_SCORE for seed in _SEEDS]
    measured = series.values[present]
    table = quantiles_through(np.concatenate(scores), measured)
    found, shares = [], []
    for one in scores:
        values = np.where(present, np.interp(one, knots(), table), np.nan)
        medians = bins.medians(values)
        found.append(autocorrelation(medians, LAGS))
        if tried.segments is not None:
            s = tried.segments
            shares.append(slot_share(medians, bins.middles_s, s.length_s, s.offset_s or 0.0))
    mean = np.nanmean(np.stack(found), axis=0)
    mean_share = float(np.mean(shares)) if shares else np.nan
    missed = float(np.nansum((wanted - mean) ** 2)) + 4.0 * float(np.nan_to_num(share - mean_share)) ** 2
    return replace(tried, delay_ms=tuple(table.tolist())), mean, mean_share, missed
