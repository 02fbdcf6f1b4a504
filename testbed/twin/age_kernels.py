"""Time that ages spend in the bins of a histogram, compiled.

Times are rows of two: when the newest update of a source was generated, and until when its age was counted;
infinite for a row that is not in use. A histogram has two rows: of each bin the time (s) of ages that began
or ended inside it, and of ages that grew through the whole of it their number, as the difference to the bin
below: an age that grew through a hundred bins changes two numbers. All kernels are in this file, as a cached
one is compiled anew when its own file changes.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.jit import kernel

Array = NDArray[np.float64]

#: bins of the histograms: a hundred a decade, from a millisecond to three hours; an age is known to 1.2 %
_PER_DECADE: Final = 100
_EDGES: Final = np.array([1e-3 * 10.0 ** (k / _PER_DECADE) for k in range(7 * _PER_DECADE + 1)])
#: with one below the edges, and one above that ends nowhere and is never crossed
BINS: Final = len(_EDGES) + 1
_PARTLY: Final = 0
_CROSSED: Final = 1


@kernel
def _bin(age_s: float) -> int:
    """The bin of an age: as many edges are not above it."""
    low, high = 0, len(_EDGES)
    while low < high:
        middle = (low + high) // 2
        if age_s < _EDGES[middle]:
            high = middle
        else:
            low = middle + 1
    return low


@kernel
def _count(times: Array, spent: Array, row: int, now_s: float) -> None:
    """Counts the age of one source up to now."""
    newest_s, counted_s = times[row, 0], times[row, 1]
    if now_s <= counted_s:
        return
    times[row, 1] = now_s
    low, high = max(counted_s - newest_s, 0.0), max(now_s - newest_s, 0.0)
    first, last = _bin(low), _bin(high)
    if first == last:
        spent[_PARTLY, first] += high - low
        return
    spent[_PARTLY, first] += _EDGES[first] - low
    spent[_CROSSED, first + 1] += 1.0
    spent[_CROSSED, last] -= 1.0
    spent[_PARTLY, last] += high - _EDGES[last - 1]


@kernel
def update(times: Array, spent: Array, row: int, generated_s: float, now_s: float) -> None:
    """Something of a source that was generated then was taken in now."""
    _count(times, spent, row, now_s)
    times[row, 0] = max(times[row, 0], generated_s)


@kernel
def flush(times: Array, spent: Array, now_s: float) -> None:
    """Counts the ages of all sources up to now."""
    for row in range(len(times)):
        _count(times, spent, row, now_s)


@kernel
def _time_in(spent: Array, index: int, crossed: float) -> float:
    """Time spent in a bin that was crossed so many times, s."""
    time_s = spent[_PARTLY, index]
    if crossed > 0.0:
        time_s += crossed * (_EDGES[index] - (_EDGES[index - 1] if index else 0.0))
    return time_s


@kernel
def quantile(spent: Array, level: float) -> float:
    """The age that is not exceeded for a share `level` of the time, s; nan of no time."""
    total = crossed = 0.0
    for index in range(BINS):
        crossed += spent[_CROSSED, index]
        total += _time_in(spent, index, crossed)
    if total <= 0.0:
        return math.nan
    upto = crossed = 0.0
    for index in range(BINS - 1):
        crossed += spent[_CROSSED, index]
        inside_s = _time_in(spent, index, crossed)
        if upto + inside_s >= level * total:
            if index == 0:
                return _EDGES[0]
            share = (level * total - upto) / max(inside_s, 1e-300)
            return _EDGES[index - 1] + share * (_EDGES[index] - _EDGES[index - 1])
        upto += inside_s
    return _EDGES[BINS - 2]
