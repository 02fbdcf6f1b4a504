"""Which kind of model to take: the one whose traffic comes closest to calibration data that it has not seen.

The calibration data are cut into stretches in time. Each is held out once: a kind is fitted to the others and
plays several times at the sending times of the one held out. What counts in each measure is the mean distance
from what was held out, less half the mean distance of what was played from itself (the energy score: Gneiting
and Raftery 2007, section 5.1). Without that half, a model that is always the average would be preferred to
one that varies as reality does. One is the score that reality has: half the distance of the stretches from
each other. Of kinds that this does not tell apart, as stretches of a few minutes often do not, the one that
is nearest to all the calibration data is taken. Nothing else is seen, and everything random
follows from stated seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any, Final

import numpy as np

from testbed.errors import BadInput
from testbed.measured.fidelity.grid import find_grid
from testbed.measured.fidelity.measures import Description, Slotting, describe, distances
from testbed.measured.measurement import Array, Measurement
from testbed.measured.models.contract import Fitted, Kind

#: stretches, and seeds with which each model plays at each
_STRETCHES: Final = 3
_SEEDS: Final = (1, 2, 3, 4, 5)
#: samples of a stretch at most, so that days take no longer than hours
_MOST_SAMPLES: Final = 150_000
_LEAST_SAMPLES: Final = 50
#: scores of a measure count up to this: what a model does not have at all is not infinitely far
_MOST: Final = 10.0
#: scores that differ by less are the same: a fifth of that of reality, as much as verdicts allow
_NOTHING: Final = 0.2
#: real stretches that agree better than this in a measure say nothing of how near is near: in the unit of
#: the measure, W1 as a share of the median
_LEAST_FLOOR: Final = {
    "w1": 0.005, "ks": 0.01, "quantiles": 0.005, "acf": 0.01, "slot_share": 0.01, "loss": 0.0005,
    "bursts": 0.02,
}  # fmt: skip


@dataclass(frozen=True)
class ModelScore:
    """How a kind did on what was held out, and on what it was fitted to."""

    name: str
    #: mean over stretches and measures, 1 is that of reality; infinite when the kind could not be fitted
    score: float
    #: the same of each measure
    measures: Mapping[str, float]
    #: the same from the calibration data, fitted to all of them
    own: float
    #: whether what was held out tells it from the best
    worse: bool = True
    #: why it could not be fitted; empty when it could
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        score, own = (value if math.isfinite(value) else None for value in (self.score, self.own))
        return {
            "model": self.name, "score": score, "own": own, "worse": self.worse,
            "measures": dict(self.measures), "reason": self.reason,
        }  # fmt: skip


@dataclass(frozen=True)
class ModelChoice:
    """The kind taken, fitted to all the calibration data, and the scores of all, the best first."""

    name: str
    fitted: Fitted
    scores: tuple[ModelScore, ...]
    #: median distance of the real stretches from each other, by measure
    floor: Mapping[str, float]


def choose(
    calibration: Sequence[Measurement],
    candidates: Mapping[str, Kind] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> ModelChoice:
    """The kind of least score on held-out stretches of the calibration data, of all kinds or of `candidates`.

    `progress` is told what is being fitted. Raises `BadInput` when the data are too few to hold any out, or
    when no kind can be fitted to them.
    """
    if candidates is None:
        from testbed.measured.models import kinds

        candidates = kinds()
    parts = _stretches(calibration)
    grid = find_grid(max(calibration, key=lambda part: part.span_s))
    slotting = Slotting() if grid is None else Slotting(grid.period_s, grid.offset_s)
    floor = _floor([describe(part, slotting) for part in parts])
    tried = []
    for name, kind in candidates.items():
        progress(name)
        tried.append(_try(name, kind, calibration, parts, floor, slotting))
    usable = [entry for entry in tried if entry.fitted is not None]
    if not usable:
        raise BadInput(f"{calibration[0].source}: no model can be fitted to it: {tried[0].reason}")
    best = min(usable, key=lambda entry: float(np.mean(entry.scores)))
    alike = [entry for entry in usable if _not_worse(entry.scores, best.scores)]
    taken = min(alike, key=lambda entry: (entry.own, entry.name))
    assert taken.fitted is not None
    order = sorted(tried, key=lambda entry: (entry is not taken, entry not in alike, entry.score, entry.name))
    scores = tuple(
        ModelScore(entry.name, entry.score, entry.measures, entry.own, entry not in alike, entry.reason)
        for entry in order
    )
    return ModelChoice(taken.name, taken.fitted, scores, floor)


@dataclass(eq=False)
class _Tried:
    """A kind fitted to all the calibration data (none if it could not be), and its scores [stretches]."""

    name: str
    fitted: Fitted | None
    scores: Array
    measures: Mapping[str, float]
    own: float = math.inf
    reason: str = ""

    @property
    def score(self) -> float:
        return float(np.mean(self.scores)) if len(self.scores) else math.inf


def _not_worse(scores: Array, best: Array) -> bool:
    """Whether scores of the same stretches are no worse than the best ones.

    By standard errors of their difference (as Breiman et al. 1984, section 3.4.3), two of them, since there
    are few stretches, or by what is nothing.
    """
    apart = scores - best
    error = float(apart.std(ddof=1)) / math.sqrt(len(apart))
    return float(apart.mean()) <= max(2.0 * error, _NOTHING)


def _stretches(calibration: Sequence[Measurement]) -> list[Measurement]:
    """Stretches of about the same length in time, none of them across two recordings."""
    ordered = sorted(calibration, key=lambda part: part.begin_s)
    each_s = sum(part.span_s for part in ordered) / _STRETCHES
    parts = []
    for recording in ordered:
        count = max(round(recording.span_s / each_s), 1) if each_s > 0.0 else 1
        edges_s = recording.begin_s + recording.span_s * np.arange(count + 1) / count
        edges_s[-1] = math.inf
        for begin_s, end_s in pairwise(edges_s):
            begin, end = np.searchsorted(recording.times_s, (begin_s, end_s))
            kept = slice(int(begin), min(int(end), int(begin) + _MOST_SAMPLES))
            if np.count_nonzero(~np.isnan(recording.values[kept])) >= _LEAST_SAMPLES:
                parts.append(_cut(recording, kept))
    if len(parts) < 2:
        raise BadInput(
            f"{calibration[0].source}: has too few answered samples to hold a part out, at least "
            f"{2 * _LEAST_SAMPLES} are needed to choose a model; name one instead"
        )
    return parts


def _cut(recording: Measurement, kept: slice) -> Measurement:
    return replace(recording, times_s=recording.times_s[kept], values=recording.values[kept])


def _floor(real: Sequence[Description]) -> dict[str, float]:
    """Median distance of the stretches from each other, by measure; what cannot be told is left out."""
    pairs = [distances(one, other) for one, other in combinations(real, 2)]
    middle = float(np.median([one.quantiles[0] for one in real]))
    found = {}
    for name in pairs[0]:
        told = [pair[name] for pair in pairs if math.isfinite(pair[name])]
        if told:
            least = _LEAST_FLOOR.get(name, 0.0) * (max(middle, 1e-9) if name == "w1" else 1.0)
            found[name] = max(float(np.median(told)), least)
    return found


def _try(
    name: str,
    kind: Kind,
    calibration: Sequence[Measurement],
    parts: Sequence[Measurement],
    floor: Mapping[str, float],
    slotting: Slotting,
) -> _Tried:
    """Fit and play a kind on every division of the stretches, and on all of the calibration data."""
    longest = max(calibration, key=lambda part: part.span_s)
    whole = _cut(longest, slice(0, _STRETCHES * _MOST_SAMPLES))
    try:
        held = [
            _energy(kind.fit([part for part in parts if part is not held_out]), held_out, floor, slotting)
            for held_out in parts
        ]
        fitted = kind.fit(calibration)
        own = _energy(fitted, whole, floor, slotting)
    except BadInput as error:
        return _Tried(name, None, np.empty(0), {}, reason=str(error))
    scores = np.array([np.mean(list(each.values())) for each in held])
    measures = {measure: float(np.mean([each[measure] for each in held])) for measure in floor}
    return _Tried(name, fitted, scores, measures, float(np.mean(list(own.values()))))


def _energy(
    fitted: Fitted, real: Measurement, floor: Mapping[str, float], slotting: Slotting
) -> dict[str, float]:
    """Energy score by measure of what a model plays at the times of `real`, in units of that of reality.

    Where reality can be told and the model cannot, such as the autocorrelation of a constant, it is the most.
    """
    told = describe(real, slotting)
    played = []
    for seed in _SEEDS:
        values = fitted.play(real.times_s, seed)
        if np.isnan(values).all():
            return dict.fromkeys(floor, _MOST)
        played.append(describe(replace(real, values=values, stamped="sent"), slotting))
    away = [distances(one, told) for one in played]
    among = [distances(one, other) for one, other in combinations(played, 2)]
    result = {}
    for measure, least in floor.items():
        score = np.mean([each[measure] for each in away]) - 0.5 * np.mean([each[measure] for each in among])
        ratio = float(score) / (0.5 * least)
        result[measure] = min(ratio, _MOST) if math.isfinite(ratio) else _MOST
    return result
