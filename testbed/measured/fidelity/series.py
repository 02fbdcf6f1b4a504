"""A measurement as a series over time: medians in steps, autocorrelation, Allan deviation.

Recordings are sampled unevenly and have gaps. What needs even steps takes medians of short steps and draws
straight lines over steps without a sample; over a long gap nothing is drawn, and nothing is counted that
would reach across it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array, Measurement

#: width of the steps that medians are taken of
STEP_S: Final = 0.1
#: lags at which the autocorrelation is held against a measurement
LAGS_S: Final = (1.0, 5.0, 15.0, 30.0)
#: averaging times of the Allan deviation, 0.01 to 100 s
TAUS_S: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
#: nothing is drawn over a gap longer than this, nor than this many usual intervals
_LONGEST_GAP_S = 10.0
_LONGEST_GAP_INTERVALS = 5.0
#: pairs of neighbouring averages below which an Allan deviation is not told
_LEAST_PAIRS = 5


@dataclass(frozen=True, eq=False)
class Stretch:
    """Medians [n] in even steps without a gap; the first step begins at `begin_s`, POSIX seconds."""

    begin_s: float
    step_s: float
    values: Array

    @property
    def middles_s(self) -> Array:
        """[n] middle of each step, POSIX seconds."""
        return np.asarray(self.begin_s + (np.arange(len(self.values)) + 0.5) * self.step_s)


def sent(measurement: Measurement) -> Measurement:
    """The answered samples of a measurement at their times of sending.

    A round trip or delay stamped on arrival was sent that much earlier. Losses are left out.
    """
    there = measurement.answered
    times, values = measurement.times_s[there], measurement.values[there]
    if measurement.stamped == "received" and measurement.quantity != "rate":
        times = times - values / 1e3
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
    return Measurement(
        measurement.source, measurement.quantity, times, values, losses_known=False,
        clock_bound_ms=measurement.clock_bound_ms,
    )  # fmt: skip


def halfway_s(data: Measurement) -> Array:
    """When each of the `sent` samples was half-way: POSIX seconds [n].

    A probe that is under way while the path changes meets the old path on the way there and the new one on
    the way back; which of them it shows turns about the middle of its way.
    """
    if data.quantity == "rate":
        return data.times_s
    return np.asarray(data.times_s + 0.5e-3 * data.values, dtype=np.float64)


def interval_s(times_s: Array) -> float:
    """Median time between neighbouring samples that differ in time; nan with fewer than two."""
    steps = np.diff(times_s)
    steps = steps[steps > 0.0]
    return float(np.median(steps)) if steps.size else math.nan


def step_medians(times_s: Array, values: Array, step_s: float) -> tuple[NDArray[np.int64], Array]:
    """Number [m] (ascending) and median [m] of each step that holds a sample.

    Step k holds what lies in [k, k + 1) `step_s` since 1970. `values` [n] are without nan.
    """
    numbers = np.floor(times_s / step_s + 1e-9).astype(np.int64)
    order = np.lexsort((values, numbers))
    ordered = values[order]
    steps, first, count = np.unique(numbers[order], return_index=True, return_counts=True)
    medians: Array = 0.5 * (ordered[first + (count - 1) // 2] + ordered[first + count // 2])
    return steps, medians


def stretches(times_s: Array, values: Array, step_s: float = STEP_S) -> list[Stretch]:
    """Medians in even steps, a `Stretch` between each two long gaps; `values` [n] are without nan."""
    steps, medians = step_medians(times_s, values, step_s)
    usual_s = interval_s(times_s)
    longest_s = max(_LONGEST_GAP_S, _LONGEST_GAP_INTERVALS * (0.0 if math.isnan(usual_s) else usual_s))
    cuts = np.flatnonzero(np.diff(steps) * step_s > longest_s) + 1
    found = []
    for part, known in zip(np.split(steps, cuts), np.split(medians, cuts), strict=True):
        if len(part):
            every = np.arange(part[0], part[-1] + 1)
            found.append(Stretch(float(part[0]) * step_s, step_s, np.interp(every, part, known)))
    return found


def autocorrelation(measurement: Measurement, lags_s: Sequence[float] = LAGS_S) -> Array:
    """Autocorrelation [lags] of medians of 100 ms, about the mean of all of them.

    Box, Jenkins and Reinsel 2008, eq. 2.1.13, with the sum over the pairs that there are divided by the
    number of steps. nan at a lag that is longer than every stretch or shorter than the sampling, and where
    nothing varies.
    """
    data = sent(measurement)
    parts = [part.values for part in stretches(data.times_s, data.values)]
    total = sum(len(part) for part in parts)
    mean = sum(float(part.sum()) for part in parts) / total
    power = sum(float(np.sum((part - mean) ** 2)) for part in parts)
    usual_s = interval_s(data.times_s)
    result = np.full(len(lags_s), math.nan)
    if power <= 1e-12 * total * max(mean * mean, 1e-300):
        return result
    for index, lag_s in enumerate(lags_s):
        lag = round(lag_s / STEP_S)
        pairs = sum(max(len(part) - lag, 0) for part in parts)
        if pairs > 0 and lag_s >= usual_s:
            product = sum(
                float(np.sum((part[lag:] - mean) * (part[:-lag] - mean))) for part in parts if len(part) > lag
            )
            result[index] = product / power
    return result


def allan_deviation(measurement: Measurement, taus_s: Sequence[float] = TAUS_S) -> Array:
    """Allan deviation [taus] in the unit of the values: half the mean square of the difference of
    neighbouring averages over tau, its root (IEEE Std 1139, non-overlapping).

    nan where tau is shorter than the sampling, or fewer than five neighbours have samples.
    """
    data = sent(measurement)
    result = np.full(len(taus_s), math.nan)
    usual_s = interval_s(data.times_s)
    since_s = data.times_s - data.times_s[0]
    for index, tau_s in enumerate(taus_s):
        if tau_s < usual_s or data.span_s < 2.0 * tau_s:
            continue
        numbers, where = np.unique(np.floor(since_s / tau_s).astype(np.int64), return_inverse=True)
        means = np.bincount(where, data.values) / np.bincount(where)
        differences = np.diff(means)[np.diff(numbers) == 1]
        if len(differences) >= _LEAST_PAIRS:
            result[index] = math.sqrt(0.5 * float(np.mean(differences**2)))
    return result
