"""Fitting a generated process by the simulated method of moments.

What the model's own kernels make at the calibration's sending times is held against the calibration data:
the autocorrelation of medians of 100 ms, the share of variance of slots, the share lost in outages. Both
sides are computed alike, so that what a stretch of that length and sampling does to such figures cancels.
What differs moves the aim of the next round. The distribution is then whatever was measured outside of
disturbances, by the table of quantiles behind the copula.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array
from testbed.measured.models import disturbances, levels
from testbed.measured.models.aim import LAGS, Aim, Figures
from testbed.measured.models.calibration import Series, gilbert
from testbed.measured.models.generated import (
    KNOTS,
    LOWEST_SCORE,
    Disturbances,
    Generated,
    Parameters,
)
from testbed.measured.models.marginal import knots, normal_scores, quantiles_through
from testbed.measured.models.statistics import Bins, autocorrelation, covered_s, slot_share

_SEEDS: Final = range(101, 109)
_ROUNDS: Final = 8
#: fewer slots than this have no distribution: they are played as jitter
_LEAST_SLOTS: Final = 4
#: where there are no segments, disturbances are looked for about the median of so long
_AROUND_S: Final = 10.0


@dataclass(frozen=True, eq=False)
class _Data:
    """The calibration data, looked at once."""

    series: Series
    bins: Bins
    slot: NDArray[np.int64] | None
    touched: NDArray[np.bool_]
    wanted: Figures

    def figures(self, values: Array) -> Figures:
        """Of values [n] at the times of the series, nan where lost; single losses fall where they fell."""
        alone = np.isnan(self.series.values) & ~self.touched
        outages = float(np.mean(np.isnan(values) & ~alone))
        values = np.where(alone, np.nan, values)
        share = np.nan if self.slot is None else slot_share(values, self.slot)
        return Figures(autocorrelation(self.bins.medians(values), LAGS), share, outages)


def fit(
    series: Series,
    length_s: float | None,
    offset_s: float | None,
    *,
    disturbed: bool = True,
    levelled: bool = True,
    correlated: bool = True,
) -> Parameters:
    """Parameters of a process with segments of `length_s` (None: without), on a grid or irregular.

    `disturbed`: outages and stalls are played as such, not as part of the distribution; `levelled`: segments
    have levels; `correlated`: scores within them are correlated.
    """
    times_s, values = series.times_s, series.values
    span_s = float(np.ptp(times_s))
    if length_s is not None and span_s < _LEAST_SLOTS * length_s:
        length_s = None
    offset = offset_s or 0.0
    if length_s is not None and not levels.told(
        values, levels.slots(times_s, length_s, offset), _LEAST_SLOTS
    ):
        length_s = None
    slot = None if length_s is None else levels.slots(times_s, length_s, offset)
    base = Parameters((0.0,) * KNOTS, round_trip=series.round_trip)
    touched = np.zeros(len(values), bool)
    if disturbed:
        base, touched = _disturbed(base, series, length_s, offset_s)
    enter, leave = gilbert(values[~touched])
    base = replace(base, loss_enter=enter, loss_leave=leave)
    scores = normal_scores(np.where(touched, np.nan, values))
    bins = Bins.of(times_s)
    within = scores
    if length_s is not None and slot is not None:
        found = levels.levels(values, scores, slot)
        segments = levels.segments(float(times_s[0]), found, length_s, offset_s)
        if levelled:
            within = levels.within(scores, found)
        else:
            segments = replace(segments, level=(0.0,), spread=(1.0,), agreement=0.0, correlation=())
        base = replace(base, segments=segments)
    data = _Data(series, bins, slot, touched, Figures(np.zeros(0), np.nan, 0.0))
    data = replace(data, wanted=data.figures(values))
    aim = Aim(base, bins.medians(within), data.wanted)
    if not correlated:
        return _simulated(base, data)[0]
    best, least = base, np.inf
    for _ in range(_ROUNDS):
        tried, found_figures = _simulated(aim.parameters(), data)
        away = data.wanted.away(found_figures)
        if away < least:
            # what outages cannot reach, as they fall between probes, is left to the chance per probe
            lacking = max(0.0, data.wanted.outages - found_figures.outages)
            best, least = replace(tried, loss_enter=min(1.0, enter + lacking * leave)), away
        aim.move(found_figures)
    return best


def _disturbed(
    base: Parameters, series: Series, length_s: float | None, offset_s: float | None
) -> tuple[Parameters, NDArray[np.bool_]]:
    """With the disturbances of a series, and the samples [n] that they touched."""
    times_s, values = series.times_s, series.values
    span_s = max(1e-3, covered_s(times_s))
    around = levels.around(values, levels.slots(times_s, length_s or _AROUND_S, offset_s or 0.0))
    found = disturbances.find(times_s, values, around)
    handovers = base.handovers
    if length_s is not None:
        if offset_s is not None:
            alone = np.isnan(values) & ~found.touched
            gathered = disturbances.gathered_losses(times_s, alone, length_s, offset_s)
            found = disturbances.with_losses(found, times_s, gathered, float(np.median(np.diff(times_s))))
        touched = found.touched
        handovers, found = disturbances.at_boundaries(
            found, length_s, offset_s, int(np.ceil(span_s / length_s))
        )
    else:
        touched = found.touched
    strays, cell_s = disturbances.anywhere(found, span_s)
    return replace(base, handovers=handovers, strays=strays, cell_s=cell_s), touched


def _simulated(tried: Parameters, data: _Data) -> tuple[Parameters, Figures]:
    """The parameters with the measured distribution, and what they give."""
    times_s, values = data.series.times_s, data.series.values
    # a table of scores, in seconds above the lowest, tells the scores behind the delays
    none = Disturbances()
    plain = replace(
        tried,
        delay_ms=tuple((1e3 * (knots() - LOWEST_SCORE)).tolist()),
        loss_enter=0.0,
        handovers=none,
        strays=none,
        round_trip=False,
    )
    clean = np.isfinite(values) & ~data.touched
    scored = Generated("", plain)
    scores = [1e-3 * scored.play(times_s, seed)[clean] + LOWEST_SCORE for seed in _SEEDS]
    table = quantiles_through(np.concatenate(scores), values[clean])
    tried = replace(tried, delay_ms=tuple(table.tolist()))
    model = Generated("", replace(tried, loss_enter=0.0))
    made = [data.figures(model.play(times_s, seed)) for seed in _SEEDS]
    share = float(np.mean([one.share for one in made]))
    outages = float(np.mean([one.outages for one in made]))
    return tried, Figures(np.mean([one.autocorrelation for one in made], axis=0), share, outages)
