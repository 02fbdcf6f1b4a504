"""How much of a measurement's variance its slots explain, and what a slot looks like from begin to end.

A slot is what lies between two boundaries of a grid in time, such as the 15 s between reconfigurations of
some constellations. A sample belongs to the slot in which it was half-way. The grid is given here; `grid`
finds it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from testbed.measured.fidelity.series import halfway_s, sent
from testbed.measured.measurement import Array, Measurement

#: with fewer samples that lie in fewer slots there is no share to tell
_LEAST_SLOTS = 2


def slot_numbers(times_s: Array, period_s: float, offset_s: float) -> NDArray[np.int64]:
    """Number [n] of the slot that each time lies in; slot k begins at offset + k periods since 1970."""
    return np.asarray(np.floor((times_s - offset_s) / period_s), dtype=np.int64)


def slot_medians(values: Array, numbers: NDArray[np.int64]) -> Array:
    """[n] the median of each sample's slot."""
    order = np.lexsort((values, numbers))
    ordered = values[order]
    _, first, count = np.unique(numbers[order], return_index=True, return_counts=True)
    medians = 0.5 * (ordered[first + (count - 1) // 2] + ordered[first + count // 2])
    result = np.empty(len(values))
    result[order] = np.repeat(medians, count)
    return result


def share_of_variance(measurement: Measurement, period_s: float, offset_s: float) -> float:
    """Share of the variance that slots explain: 1 - mean square about the slots' medians / variance.

    About medians, so that a few spikes in a slot do not count as its level. At most 1; nan with fewer than
    two slots, or where nothing varies.
    """
    data = sent(measurement)
    numbers = slot_numbers(halfway_s(data), period_s, offset_s)
    if len(np.unique(numbers)) < _LEAST_SLOTS:
        return math.nan
    total = float(np.sum((data.values - data.values.mean()) ** 2))
    if total <= 0.0:
        return math.nan
    return 1.0 - float(np.sum((data.values - slot_medians(data.values, numbers)) ** 2)) / total


def profile(
    measurement: Measurement, period_s: float, offset_s: float, parts: int = 60
) -> tuple[Array, Array]:
    """Phase [parts] in s since the boundary, middle of each part, and mean deviation [parts] from the
    slot's median, in the unit of the values; nan where a part has no sample."""
    data = sent(measurement)
    numbers = slot_numbers(halfway_s(data), period_s, offset_s)
    phase_s = halfway_s(data) - offset_s - numbers * period_s
    part = np.minimum((phase_s / period_s * parts).astype(np.int64), parts - 1)
    count = np.bincount(part, minlength=parts)
    away = np.bincount(part, data.values - slot_medians(data.values, numbers), parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.arange(parts) + 0.5) * period_s / parts, away / count
