"""Where the next value lies by what was seen last, and how far from it values come, compiled.

Recursive least squares (Ljung 1999, section 11.2) of u on the means of several memories, and a histogram of
what it missed. There is one of each for how much is known of the sample's own slot: nothing yet, less than
a horizon's worth, more.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from testbed.measured.measurement import Array
from testbed.measured.prediction.compiling import kernel
from testbed.measured.prediction.memory import ALL, FORGET_S, ROWS, SLOT, Memory, mean_of

NOTHING, LITTLE, ENOUGH = 0, 1, 2
CASES: Final = 3
#: one, the memories that forget, the present slot, the slot before
FEATURES: Final = 1 + len(FORGET_S) + 2
#: of the memories that forget the one that is believed before anything has been learned
_BELIEVED: Final = 2
#: inverse weight of that belief
_VAGUE: Final = 0.05
#: bins of residuals reach so many standard deviations of the calibration data
_REACH: Final = 6.0
RESIDUALS: Final = 241
#: residuals are forgotten with this half-life, and there must be so many
_HALF_LIFE_S: Final = 300.0
_LEAST: Final = 20.0
#: width of the distribution before, standard deviations of the calibration data
_WIDE: Final = 1.0


class Location(NamedTuple):
    """Weights [cases, features] and their inverse information; residuals [cases, bins] and their number;
    `step` [1]: width of a bin of residuals, in u."""

    weights: Array
    covariance: Array
    residuals: Array
    number: Array
    step: Array


def new_location(deviation: float) -> Location:
    """`deviation`: standard deviation of u in the calibration data."""
    covariance = np.zeros((CASES, FEATURES, FEATURES))
    covariance[:] = np.diag(np.full(FEATURES, _VAGUE))
    covariance[:, 0, 0] = 1.0
    weights = np.zeros((CASES, FEATURES))
    weights[:, _BELIEVED] = 1.0
    return Location(
        weights, covariance, np.zeros((CASES, RESIDUALS)), np.zeros(CASES),
        np.full(1, 2.0 * _REACH * deviation / (RESIDUALS - 1)),
    )  # fmt: skip


@kernel
def features_of(memory: Memory, known: bool, out: Array) -> float:
    """Fill [features], relative to the mean of everything, which is the result."""
    usual = memory.total[ALL] / memory.number[ALL]
    slot = mean_of(memory, SLOT, usual) - usual
    out[0] = 1.0
    for row in range(1, ROWS - 1):
        out[row] = mean_of(memory, row, usual) - usual
    # before anything is known of a slot, the memory's present slot is the one before
    out[ROWS - 1] = slot
    before = 0.0
    if memory.before[1] > 0.0:
        before = memory.before[0] / memory.before[1] - usual
    out[ROWS] = before if known else slot
    return usual


@kernel
def located(location: Location, case: int, features: Array, usual: float) -> float:
    """Expected u."""
    result = usual
    for k in range(FEATURES):
        result += location.weights[case, k] * features[k]
    return result


@kernel
def learn_location(
    location: Location, case: int, features: Array, usual: float, expected: float, u: float, elapsed_s: float
) -> None:
    """What was expected with these features has become known."""
    covariance, weights = location.covariance[case], location.weights[case]
    error = u - usual
    scale = 1.0
    for k in range(FEATURES):
        error -= weights[k] * features[k]
        for m in range(FEATURES):
            scale += features[k] * covariance[k, m] * features[m]
    gain = np.empty(FEATURES)
    for k in range(FEATURES):
        gain[k] = 0.0
        for m in range(FEATURES):
            gain[k] += covariance[k, m] * features[m]
    for k in range(FEATURES):
        weights[k] += gain[k] / scale * error
        for m in range(FEATURES):
            covariance[k, m] -= gain[k] * gain[m] / scale
    keep = 0.5 ** (elapsed_s / _HALF_LIFE_S)
    for b in range(RESIDUALS):
        location.residuals[case, b] *= keep
    location.number[case] = location.number[case] * keep + 1.0
    middle = RESIDUALS // 2
    away = int(np.rint((u - expected) / location.step[0]))
    location.residuals[case, min(max(middle + away, 0), RESIDUALS - 1)] += 1.0


@kernel
def distribution_about(location: Location, case: int, expected: float, edges: Array, out: Array) -> None:
    """Distribution function [bins] at the `edges` of residuals about `expected`, even within a bin."""
    step = location.step[0]
    middle = RESIDUALS // 2
    if location.number[case] < _LEAST:
        wide = _WIDE * step * middle / _REACH
        for b in range(len(out)):
            out[b] = 0.5 + 0.5 * np.tanh(0.8 * (edges[b] - expected) / wide)
        return
    reached, k = 0.0, 0
    for b in range(len(out)):
        place = (edges[b] - expected) / step + middle + 0.5
        while k < RESIDUALS and k + 1.0 <= place:
            reached += location.residuals[case, k]
            k += 1
        part = 0.0
        if k < RESIDUALS and place > k:
            part = (place - k) * location.residuals[case, k]
        out[b] = min((reached + part) / location.number[case], 1.0)
