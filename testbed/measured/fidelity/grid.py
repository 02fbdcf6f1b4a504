"""Finds the grid in time on which a measurement changes its level, without being told period or offset.

At every instant the level of the seconds after is compared with that of the seconds before, in units of the
scatter within both. On a grid these jumps recur. So they are laid over each other at every period, as pulsars
are searched for (Staelin 1969, Proc. IEEE 57), and the highest mean of all phases and periods is held
against what chance would show over as many tries. Ranks take the place of values, so that spikes count no
more than any other high value. Then the boundary is placed where two levels explain the samples best, over
all slots together.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from testbed.measured.fidelity.series import Stretch, halfway_s, interval_s, sent, stretches
from testbed.measured.measurement import Array, Measurement

#: periods that are looked for
SHORTEST_S: Final = 5.0
LONGEST_S: Final = 60.0
#: a grid is told when chance would show one as clear in fewer than this share of measurements without any
FALSE_GRID_RATE: Final = 1e-3
#: a grid must recur at least this often to be one
LEAST_SLOTS: Final = 6
#: levels are compared over so long on either side (short where slots vary within, long where they are noisy),
#: and over at least so many samples
_SIDES_S, _SIDE_SAMPLES = (1.0, 2.0, 4.0), 3
#: added to the variance of ranks within both sides, so that two still sides do not divide by nothing
_STILL = 0.5
#: jumps are laid over each other in phases this wide, each as a share of the mean of this long about it
_PHASE_S, _ABOUT_S = 0.5, 30.0
#: sums of what is hardly skewed are as good as Gaussian
_LEAST_SKEWNESS = 0.1
#: the search takes the first so much of a recording, and goes on with up to so many such parts in vain
_PART_S, _PARTS = 2400.0, 4
#: periods are told apart that drift apart by this over the recording
_DRIFT_S = 0.4
#: schedules are made in round numbers: a period is a multiple of the first if that drifts by no more than the
#: second over the recording, which is what the jumps resolve
_ROUND_S, _RESOLVED_S = 0.5, 2.0
#: a grid n times finer has jumps between the boundaries, within the last of these in s, of at least this
#: share of those at them and this many standard errors
_AS_CLEAR, _ERRORS, _NEAR_S = 0.25, 1.5, 0.5
#: around the boundary expected, it is looked for within this, from samples within that
_REACH_S, _AROUND_S = 1.0, 3.0
_FINE_S = 0.005
#: what explains this little more of the likelihood's range than the best is as good as it
_AS_GOOD = 0.05


@dataclass(frozen=True)
class Grid:
    """Boundaries at offset + k periods since 1970, 0 <= offset < period.

    A boundary is an instant in the world: probes that are half-way then are between old and new.
    """

    period_s: float
    offset_s: float
    #: probes sent this long before a boundary are half-way at it: half the median, 0 of a rate
    lead_s: float
    #: how far the boundary may lie to either side and explain the samples nearly as well
    boundary_uncertainty_ms: float
    #: probability that a measurement without a grid shows one as clear
    significance: float

    @property
    def sending_offset_s(self) -> float:
        """The offset for probes by their time of sending: a boundary is met `lead_s` before it comes."""
        return (self.offset_s - self.lead_s) % self.period_s

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def find_grid(measurement: Measurement) -> Grid | None:
    """The grid of a measurement, or None when it shows none beyond chance (`FALSE_GRID_RATE`)."""
    data = _halfway(measurement)
    usual_s = interval_s(data.times_s)
    if math.isnan(usual_s) or usual_s > SHORTEST_S / 4.0:
        return None
    begins_s = np.arange(data.begin_s, data.end_s, _PART_S)
    # a part may lie in a gap
    ends = np.searchsorted(data.times_s, (begins_s, begins_s + _PART_S))
    begins_s = begins_s[ends[1] > ends[0]]
    for begin_s in begins_s[np.linspace(0, len(begins_s) - 1, min(_PARTS, len(begins_s))).astype(int)]:
        part = data.between(float(begin_s), float(begin_s) + _PART_S + 1e-6)
        chance, about_s = min(_clearest(_jumps(part, usual_s, side_s)) for side_s in _SIDES_S)
        chance *= len(_SIDES_S) * min(_PARTS, len(begins_s))
        if chance > FALSE_GRID_RATE:
            continue
        jumps = _jumps(data, usual_s, _SIDES_S[1])
        if not len(jumps.sizes):
            continue
        period_s, offset_s = _fold(jumps, about_s)
        offset_s, uncertainty_s = _localise(data, usual_s, period_s, offset_s)
        lead_s = 0.0 if data.quantity == "rate" else 0.5e-3 * float(np.median(data.values))
        return Grid(period_s, offset_s % period_s, lead_s, 1e3 * uncertainty_s, chance)
    return None


@dataclass(frozen=True, eq=False)
class _Jumps:
    """How much the level jumps, `sizes` [n] at `times_s` [n], every `step_s` but in long gaps."""

    times_s: Array
    sizes: Array
    step_s: float


def _halfway(measurement: Measurement) -> Measurement:
    """The answered samples in the order in which they were half-way, at those times."""
    data = sent(measurement)
    times_s = halfway_s(data)
    order = np.argsort(times_s, kind="stable")
    return replace(data, times_s=times_s[order], values=data.values[order])


def _ranks(values: Array) -> Array:
    """Normal scores [n] of the values; equal values share one."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return np.asarray(ndtri((rankdata(values) - 0.5) / len(values)), dtype=np.float64)


def _jumps(data: Measurement, usual_s: float, side_s: float) -> _Jumps:
    step_s = max(0.1, usual_s)
    side = round(max(side_s / step_s, _SIDE_SAMPLES))
    parts: list[Stretch] = stretches(data.times_s, _ranks(data.values), step_s)
    times: list[Array] = [np.empty(0)]
    sizes: list[Array] = [np.empty(0)]
    for part in parts:
        if len(part.values) <= 2 * side:
            continue
        sums = np.concatenate(([0.0], np.cumsum(part.values)))
        squares = np.concatenate(([0.0], np.cumsum(part.values**2)))
        at = np.arange(side, len(part.values) - side + 1)
        before, after = (sums[at] - sums[at - side]) / side, (sums[at + side] - sums[at]) / side
        spread = (squares[at + side] - squares[at - side]) / side - before**2 - after**2
        sizes.append(np.abs(after - before) / np.sqrt(np.maximum(0.5 * spread, 0.0) + _STILL))
        times.append(np.asarray(part.begin_s + at * step_s, dtype=np.float64))
    return _Jumps(np.concatenate(times), np.concatenate(sizes), step_s)


def _clearest(jumps: _Jumps) -> tuple[float, float]:
    """Probability by chance (at most 1) and period of the clearest fold; 1 where nothing can be told."""
    if not len(jumps.sizes) or float(np.ptp(jumps.sizes)) <= 0.0:
        return 1.0, LONGEST_S
    width_s = max(_PHASE_S, jumps.step_s)
    cell = np.floor((jumps.times_s - jumps.times_s[0]) / width_s).astype(np.int64)
    count = np.bincount(cell)
    span_s = len(count) * width_s
    if span_s < LEAST_SLOTS * SHORTEST_S:
        return 1.0, LONGEST_S
    there = np.flatnonzero(count)
    size = np.zeros(len(count))
    size[there] = np.bincount(cell, jumps.sizes)[there] / count[there]
    # what comes in bursts lifts all phases of a while alike; roots are less skewed, and tell grids as well
    about = np.ones(min(round(_ABOUT_S / width_s), len(count)) | 1)
    mean = np.convolve(size, about, "same") / np.maximum(np.convolve(count > 0, about, "same"), 1.0)
    scores = np.sqrt(size / np.maximum(mean, 1e-12))[there]
    scores = (scores - scores.mean()) / max(float(scores.std()), 1e-12)
    skewness = max(float(np.mean(scores**3)), _LEAST_SKEWNESS)
    times_s = (there + 0.5) * width_s
    best, tries, period_s = (0.0, LONGEST_S), 0, SHORTEST_S
    while period_s <= min(LONGEST_S, span_s / LEAST_SLOTS):
        phases = int(period_s / width_s)
        phase = ((times_s / period_s) % 1.0 * phases).astype(np.int64)
        alike = np.maximum(np.bincount(phase, minlength=phases), 1)
        clear = np.bincount(phase, scores, phases) / np.sqrt(alike)
        index = int(np.argmax(clear))
        best = max(best, (_surprise(float(clear[index]), float(alike[index]), skewness), period_s))
        tries += phases
        # the next period that is a second apart at the end of the recording
        period_s += period_s / span_s
    return min(tries * math.exp(-best[0]), 1.0), best[1]


def _surprise(clear: float, alike: float, skewness: float) -> float:
    """-ln of the probability that the sum of `alike` jumps is this many of its standard deviations up.

    Jumps are skewed to the right, and so are sums of few: a Gamma distribution of their mean, variance and
    skewness.
    """
    from scipy.special import gammaincc

    shape = 4.0 * alike / skewness**2
    at = shape + clear * math.sqrt(shape)
    chance = float(gammaincc(shape, at)) if at > 0.0 else 1.0
    return -math.log(max(chance, 1e-300))


def _fold(jumps: _Jumps, about_s: float) -> tuple[float, float]:
    """Period and offset at which the jumps, laid over each other, stand out most.

    At a fraction of the period boundaries are diluted, at a multiple they are fewer. When chance makes every
    other boundary the clearer one, the ones between them decide.
    """
    span_s = float(jumps.times_s[-1] - jumps.times_s[0])
    best = (-math.inf, about_s, 0.0)
    for factor in (1.0 / 3.0, 0.5, 1.0, 2.0, 3.0):
        near_s = about_s * factor
        if SHORTEST_S <= near_s <= min(LONGEST_S, span_s / 3.0):
            best = max(best, _clearest_fold(jumps, near_s))
    _, period_s, offset_s = best
    for parts in (4, 3, 2):
        if period_s / parts >= SHORTEST_S and _recurs_between(jumps, period_s, offset_s, parts):
            return period_s / parts, offset_s % (period_s / parts)
    return period_s, offset_s


def _clearest_fold(jumps: _Jumps, near_s: float) -> tuple[float, float, float]:
    """How clear, period and offset of the clearest of the periods near `near_s`."""
    span_s = float(jumps.times_s[-1] - jumps.times_s[0])
    reach_s = min(near_s * near_s / min(span_s, _PART_S), 0.2 * near_s)
    parts = max(round(near_s / max(jumps.step_s, 0.2)), 4)
    mean = float(jumps.sizes.mean())

    def clear(period_s: float) -> tuple[float, float, float]:
        part = np.minimum(((jumps.times_s / period_s) % 1.0 * parts).astype(np.int64), parts - 1)
        alike = np.maximum(np.bincount(part, minlength=parts), 1)
        means = np.bincount(part, jumps.sizes, parts) / alike
        index = int(np.argmax(means))
        excess = (float(means[index]) - mean) * math.sqrt(span_s / period_s)
        return excess, period_s, (index + 0.5) / parts * period_s

    tried = 1 + 2 * math.ceil(reach_s * span_s / (_DRIFT_S * near_s))
    best = max(clear(float(period_s)) for period_s in near_s + reach_s * np.linspace(-1.0, 1.0, tried))
    rounded_s = round(best[1] / _ROUND_S) * _ROUND_S
    return clear(rounded_s) if abs(rounded_s - best[1]) * span_s <= _RESOLVED_S * best[1] else best


def _recurs_between(jumps: _Jumps, period_s: float, offset_s: float, parts: int) -> bool:
    """Whether the level also jumps at each 1/`parts` of the period, as a grid so much finer would have it."""
    phase_s = (jumps.times_s - offset_s) % period_s
    mean, excess = float(jumps.sizes.mean()), []
    for part in range(parts):
        away_s = np.abs(phase_s - part * period_s / parts)
        near = np.minimum(away_s, period_s - away_s) <= _NEAR_S
        if not near.any():
            return False
        slots = len(np.unique(np.floor(jumps.times_s[near] / period_s)))
        error = float(jumps.sizes[near].std()) / math.sqrt(slots)
        excess.append((float(jumps.sizes[near].mean()) - mean, error))
    return all(x >= _AS_CLEAR * excess[0][0] and x >= _ERRORS * error for x, error in excess[1:])


def _localise(data: Measurement, usual_s: float, period_s: float, offset_s: float) -> tuple[float, float]:
    """Offset at which two levels, one on either side, explain the samples best; and its uncertainty, s.

    The profile likelihood of one change point common to all slots; slots that do not change do not care.
    Above what is as good as the best, the middle is taken.
    """
    around_s = max(min(_AROUND_S, 0.4 * period_s), 4.0 * usual_s)
    shifts = np.arange(-_REACH_S, _REACH_S + _FINE_S / 2.0, _FINE_S)
    likelihood = np.zeros(len(shifts))
    ranks = _ranks(data.values)
    first = math.ceil((data.begin_s + around_s - offset_s) / period_s)
    last = math.floor((data.end_s - around_s - offset_s) / period_s)
    for number in range(first, last + 1):
        boundary_s = offset_s + number * period_s
        begin, end = np.searchsorted(data.times_s, (boundary_s - around_s, boundary_s + around_s))
        many = int(end - begin)
        if many < 8:
            continue
        values = ranks[begin:end] - ranks[begin:end].mean()
        sums = np.concatenate(([0.0], np.cumsum(values)))
        before = np.searchsorted(data.times_s[begin:end], boundary_s + shifts)
        before = np.clip(before, 2, many - 2)
        total = float(np.sum(values * values))
        if total <= 0.0:
            continue
        explained = sums[before] ** 2 / before + sums[before] ** 2 / (many - before)
        likelihood -= 0.5 * np.log(np.maximum(1.0 - explained / total, 0.0) + 0.02)
    good = shifts[likelihood >= likelihood.max() - _AS_GOOD * np.ptp(likelihood)]
    return offset_s + 0.5 * float(good[0] + good[-1]), 0.5 * float(good[-1] - good[0])


def boundary_apart_ms(measurement: Measurement, grid: Grid) -> tuple[float, float]:
    """How much later than a grid found elsewhere the boundaries of this measurement lie, and to what +- it
    can tell; nan where it has too few samples."""
    data = _halfway(measurement)
    usual_s = interval_s(data.times_s)
    if math.isnan(usual_s) or usual_s > SHORTEST_S / 4.0 or data.span_s < LEAST_SLOTS * grid.period_s:
        return math.nan, math.nan
    offset_s, uncertainty_s = _localise(data, usual_s, grid.period_s, grid.offset_s)
    return 1e3 * (offset_s - grid.offset_s), 1e3 * uncertainty_s
