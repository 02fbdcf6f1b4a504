"""What slots have in common, compiled: the course of values about a boundary, and slots that are alike.

Some networks reconfigure on a grid in time. Just after a boundary delays rise and drain in much the same way
each time; and a slot's distribution often resembles that of one seen before. Both are learned here from
past slots; where the grid lies is given.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array
from testbed.measured.prediction.compiling import copy_to, fill, kernel

#: bins of time about a boundary: 10 ms from `_FINE_FROM_S` to `_FINE_TO_S`, then ever wider
_FINE_FROM_S: Final = -0.1
_FINE_TO_S: Final = 0.3
_FINE_S: Final = 0.01
_FINE_BINS: Final = 40
_COARSE_BINS: Final = 12
PHASES: Final = _FINE_BINS + 2 * _COARSE_BINS
#: samples that a phase must have seen
_LEAST_AT_PHASE: Final = 5.0
#: past slots that are kept; the oldest makes room
KEPT: Final = 256
#: samples that a slot must have to be kept
LEAST_IN_SLOT: Final = 10
#: a kept slot's histogram is smoothed with a triangle of this half width, bins
_SMOOTH: Final = 3
#: neighbouring samples tell much the same; the logarithm of the likelihood counts by this
_TEMPERED: Final = 0.5
#: share of any distribution that is not of the slot itself
_FOREIGN: Final = 0.05
#: slots less probable than this beside the best are passed over
_NEGLIGIBLE: Final = 1e-3


class Slots(NamedTuple):
    """`phases` [phases, bins] and `seen` [phases]; `kept` [slots, bins], each row adding up to one;
    `evidence` [slots] of the present slot's samples; `number` [1] of slots kept so far."""

    phases: Array
    seen: Array
    kept: Array
    evidence: Array
    number: NDArray[np.int64]


def new_slots(bins: int) -> Slots:
    return Slots(
        np.zeros((PHASES, bins)), np.zeros(PHASES), np.zeros((KEPT, bins)), np.zeros(KEPT),
        np.zeros(1, np.int64),
    )  # fmt: skip


@kernel
def phase_bin(away_s: float) -> int:
    """The bin of a time since the nearest boundary, negative before it, s."""
    if away_s < _FINE_FROM_S:
        return max(_COARSE_BINS - 1 - int(2.0 * np.log(away_s / _FINE_FROM_S)), 0)
    if away_s < _FINE_TO_S:
        return _COARSE_BINS + min(int((away_s - _FINE_FROM_S) / _FINE_S), _FINE_BINS - 1)
    return min(_COARSE_BINS + _FINE_BINS + int(4.0 * np.log(away_s / _FINE_TO_S)), PHASES - 1)


@kernel
def keep_slot(slots: Slots, histogram: Array, count: float) -> None:
    """The slot with this histogram is over."""
    fill(slots.evidence, 0.0)
    if count < LEAST_IN_SLOT:
        return
    row = slots.number[0] % KEPT
    slots.number[0] += 1
    bins = len(histogram)
    fill(slots.kept[row], 0.0)
    inside = 0.0
    for b in range(bins):
        if histogram[b] > 0.0:
            for by in range(-_SMOOTH, _SMOOTH + 1):
                if 0 <= b + by < bins:
                    share = histogram[b] * (_SMOOTH + 1 - abs(by))
                    slots.kept[row, b + by] += share
                    inside += share
    for b in range(bins):
        slots.kept[row, b] /= inside


@kernel
def learn_phase(slots: Slots, away_s: float, bin_: int) -> None:
    """A sample sent `away_s` after the nearest boundary fell into `bin_`."""
    phase = phase_bin(away_s)
    slots.phases[phase, bin_] += 1.0
    slots.seen[phase] += 1.0


@kernel
def learn_alike(slots: Slots, bin_: int, usual: float) -> None:
    """A sample of the present slot fell into `bin_`, whose share of everything seen is `usual`."""
    floor = _FOREIGN * (0.5 * usual + 0.5 / slots.kept.shape[1])
    for row in range(min(slots.number[0], KEPT)):
        share = (1.0 - _FOREIGN) * slots.kept[row, bin_] + floor
        slots.evidence[row] += _TEMPERED * np.log(share)


@kernel
def distribution_at_phase(slots: Slots, away_s: float, otherwise: Array, out: Array) -> None:
    """Distribution function [bins] of samples sent at this phase; `otherwise` where too few were."""
    middle = phase_bin(away_s)
    whole = 0.0
    for by in range(-1, 2):
        if 0 <= middle + by < PHASES:
            whole += (2 - abs(by)) * slots.seen[middle + by]
    if whole < _LEAST_AT_PHASE:
        copy_to(otherwise, out)
        return
    fill(out, 0.0)
    for by in range(-1, 2):
        if 0 <= middle + by < PHASES:
            weight = (2 - abs(by)) / whole
            for b in range(len(out)):
                out[b] += weight * slots.phases[middle + by, b]
    _add_up(out)


@kernel
def distribution_of_alike(slots: Slots, known: bool, otherwise: Array, out: Array) -> None:
    """Distribution function [bins] of past slots, each by its probability of being like the present one.

    All the same where nothing of the slot is `known` yet, and `otherwise` where no slot has been kept.
    """
    rows = min(slots.number[0], KEPT)
    if rows == 0:
        copy_to(otherwise, out)
        return
    best = slots.evidence[0]
    for row in range(1, rows):
        best = max(best, slots.evidence[row])
    fill(out, 0.0)
    whole = 0.0
    for row in range(rows):
        weight = np.exp(slots.evidence[row] - best) if known else 1.0
        if weight < _NEGLIGIBLE:
            continue
        whole += weight
        for b in range(len(out)):
            out[b] += weight * slots.kept[row, b]
    for b in range(len(out)):
        out[b] /= whole
    _add_up(out)


@kernel
def _add_up(out: Array) -> None:
    reached = 0.0
    for b in range(len(out)):
        reached += out[b]
        out[b] = min(reached, 1.0)
