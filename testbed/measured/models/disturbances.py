"""Finds outages and stalls: stretches without answers, and teeth of a saw that end with a steep way down.

Packets that come while a path is blocked wait, and arrive together when it opens: their delays fall by what
passes between their sendings. Such teeth are taken out of the distribution and out of the levels, and played
as what they are. Isolated losses are left to the chance of loss per packet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array
from testbed.measured.models.generated import Disturbances

#: a tooth rises over the level by so many times the way from the median to the 84th percentile ...
_CLEAR: Final = 4.0
#: ... falls by a second a second of sending, its samples off that line by so much of its height, and has
#: so many samples
_OFF_LINE: Final = 0.25
_LEAST_SAMPLES: Final = 4
#: it lasts until it has come down to this share of its height
_END_SHARE: Final = 0.15
#: longer ones are not waiting
_LONGEST_S: Final = 10.0
#: an outage is played for so long at most: links take no longer ones
_LONGEST_OUTAGE_S: Final = 3600.0
#: around a boundary, where a disturbance belongs to it
_BEFORE_S, _AFTER_S = 0.5, 1.5
#: of the segments, at most so many have one of the largest disturbances where there is no grid
_MOST_SHARE: Final = 0.8
#: entries of a table of quantiles at most
_TABLE: Final = 65
#: losses gather in a phase when so many standard errors more than expected are there, and so many in all
_GATHERED_ERRORS, _LEAST_GATHERED = 6.0, 8
_PHASE_STEP_S: Final = 0.25
#: losses in a row that are an outage by themselves: so many, and for so long
_OUTAGE_SAMPLES, _OUTAGE_S = 4, 0.1


@dataclass(frozen=True, eq=False)
class Found:
    """Disturbances [m] in order of time, and the samples [n] that they touched."""

    start_s: Array
    outage_s: Array
    stall_s: Array
    touched: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.start_s)

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Found:
        """Some of them."""
        return replace(
            self, start_s=self.start_s[which], outage_s=self.outage_s[which], stall_s=self.stall_s[which]
        )


def find(times_s: Array, values: Array, level: Array) -> Found:
    """Disturbances of a series [n] in ms about its `level` [n] (the median of the time around)."""
    excess_s = 1e-3 * (values - level)
    lost = np.isnan(values)
    usual_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0
    upper_s = float(np.nanquantile(excess_s, 0.84))
    clear_s = max(_CLEAR * upper_s, (_LEAST_SAMPLES - 1) * usual_s)
    touched = np.zeros(len(times_s), bool)
    found: list[tuple[float, float, float]] = []
    for first, last in _runs((excess_s > 0.5 * clear_s) | lost):
        part = slice(first, last)
        if lost[part].all():
            height_s, peak = 0.0, last
        else:
            peak = first + int(np.nanargmax(excess_s[part]))
            height_s = float(excess_s[peak])
        end = _end_of_tooth(times_s, excess_s, peak, height_s) if height_s > clear_s else peak
        gone = np.flatnonzero(lost[first:peak])
        before = first + int(gone[0]) if len(gone) else peak
        missing = len(gone)
        outage_s = 0.0
        if missing:
            outage_s = min(float(times_s[first + gone[-1]] - times_s[before]) + usual_s, _LONGEST_OUTAGE_S)
        lasting = missing >= _OUTAGE_SAMPLES and outage_s >= _OUTAGE_S
        if end > peak or lasting:
            start_s = float(times_s[before]) - (0.5 * usual_s if missing else 0.0)
            found.append((start_s, outage_s, height_s if end > peak else 0.0))
            touched[before : max(end, peak)] = True
    columns = np.array(found).reshape(-1, 3)
    return Found(columns[:, 0], columns[:, 1], columns[:, 2], touched)


def _runs(true: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First index and index after the last [m, 2] of each run."""
    edges = np.flatnonzero(np.diff(true.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2)


def _end_of_tooth(times_s: Array, excess_s: Array, peak: int, height_s: float) -> int:
    """Index after the last sample of a tooth whose highest is `peak`; `peak` itself when it is none."""
    if not 0.0 < height_s < _LONGEST_S:
        return peak
    end = int(np.searchsorted(times_s, times_s[peak] + height_s * (1.0 - _END_SHARE), side="right"))
    x, y = times_s[peak:end], excess_s[peak:end]
    there = np.isfinite(y)
    if np.count_nonzero(there) < _LEAST_SAMPLES:
        return peak
    away_s = y[there] - (height_s - (x[there] - times_s[peak]))
    if float(np.sqrt(np.mean(away_s**2))) > _OFF_LINE * height_s:
        return peak
    return int(np.searchsorted(times_s, times_s[peak] + height_s, side="right"))


def at_boundaries(
    found: Found, length_s: float, offset_s: float | None, segments: int
) -> tuple[Disturbances, Found]:
    """Those that segments begin with, of `segments` in the data, and those that are left.

    Without a grid (`offset_s` None) the largest ones, anywhere in a segment.
    """
    if offset_s is not None:
        slot = np.floor((found.start_s + _BEFORE_S - offset_s) / length_s)
        after_s = found.start_s - offset_s - slot * length_s
        near = np.flatnonzero(after_s <= _AFTER_S)
        # one a boundary: the largest
        order = near[np.argsort(-(found.outage_s + found.stall_s)[near], kind="stable")]
        _, first = np.unique(slot[order], return_index=True)
        chosen = np.sort(order[first])
        after = _quantiles(after_s[chosen])
    else:
        most = int(_MOST_SHARE * segments)
        chosen = np.sort(np.argsort(-(found.outage_s + found.stall_s), kind="stable")[:most])
        # the shortest of uneven segments lasts 0.4 of the mean
        after = (0.0, 0.4 * length_s)
    left = np.ones(len(found), bool)
    left[chosen] = False
    if not len(chosen):
        return Disturbances(), found
    these = found.chosen(chosen)
    chance = min(1.0, len(chosen) / max(1, segments))
    return (
        Disturbances(chance, after, _quantiles(these.outage_s), _quantiles(these.stall_s)),
        found.chosen(left),
    )


def anywhere(found: Found, span_s: float) -> tuple[Disturbances, float]:
    """Those that come at any time, and the length of the cells that have one at most each, s."""
    if not len(found):
        return Disturbances(), 1.0
    lasting_s = float(np.max(found.outage_s + found.stall_s))
    cell_s = max(2.0 * lasting_s, min(10.0, 0.25 * span_s / len(found)))
    chance = min(0.9, len(found) * cell_s / span_s)
    after = (0.0, cell_s - lasting_s)
    return Disturbances(chance, after, _quantiles(found.outage_s), _quantiles(found.stall_s)), cell_s


def gathered_losses(
    times_s: Array, lost: NDArray[np.bool_], length_s: float, offset_s: float
) -> NDArray[np.bool_]:
    """[n] losses in the second of the slot in which losses gather; none where they come at any time."""
    phase_s = (times_s - offset_s) % length_s
    parts = round(length_s / _PHASE_STEP_S)
    part = np.minimum((phase_s / length_s * parts).astype(np.int64), parts - 1)
    wide = round(1.0 / _PHASE_STEP_S)
    sums = [np.bincount(part[which], minlength=parts) for which in (lost, ~lost)]
    inside, there = (np.sum([np.roll(s, -n) for n in range(wide)], axis=0) for s in sums)
    expected = (inside + there) * lost.mean()
    clear = (inside - expected) / np.sqrt(np.maximum(expected, 1.0))
    best = int(np.argmax(clear))
    if clear[best] < _GATHERED_ERRORS or inside[best] < _LEAST_GATHERED:
        return np.zeros(len(lost), bool)
    return np.asarray(lost & ((part - best) % parts < wide))


def with_losses(found: Found, times_s: Array, lost: NDArray[np.bool_], usual_s: float) -> Found:
    """Further outages, one for each of the samples [n] that are lost.

    They last three quarters of what a probe is from the next, so that hardly any takes two.
    """
    start_s = np.concatenate((found.start_s, times_s[lost] - 0.375 * usual_s))
    order = np.argsort(start_s, kind="stable")
    outage_s = np.concatenate((found.outage_s, np.full(np.count_nonzero(lost), 0.75 * usual_s)))
    stall_s = np.concatenate((found.stall_s, np.zeros(np.count_nonzero(lost))))
    return Found(start_s[order], outage_s[order], stall_s[order], found.touched | lost)


def _quantiles(values: Array) -> tuple[float, ...]:
    """At the levels (i + 0.5) / n: all of them, or as many as a table has."""
    if len(values) <= _TABLE:
        return tuple(np.sort(values).tolist())
    levels = (np.arange(_TABLE) + 0.5) / _TABLE
    return tuple(np.quantile(values, levels, method="hazen").tolist())
