"""Which predictor to take: the one that best forecasts the end of the calibration data from their begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from testbed.errors import BadInput
from testbed.measured.fidelity.grid import find_grid
from testbed.measured.measurement import Measurement
from testbed.measured.models.contract import Predictor
from testbed.measured.prediction.adaptive import Adaptive
from testbed.measured.prediction.baselines import Climatology, Persistence, Regression
from testbed.measured.prediction.scoring import Score, score

#: share of the calibration data, by time, that calibrates while predictors are compared
_CALIBRATES: Final = 0.6
_KINDS: Final = {kind.name: kind for kind in (Adaptive, Climatology, Persistence, Regression)}


@dataclass(frozen=True)
class PredictorChoice:
    """The predictor taken, calibrated on all the calibration data, and the scores that spoke for it."""

    name: str
    predictor: Predictor
    #: each predictor's score on the held-out end of the calibration data
    scores: dict[str, Score]


def predictors() -> tuple[str, ...]:
    """Names of the predictors that there are."""
    return tuple(_KINDS)


def slots_of(calibration: Sequence[Measurement]) -> tuple[float, float] | None:
    """Period and offset in s, by time of sending, of the slots that the longest of the recordings shows."""
    grid = find_grid(max(calibration, key=lambda part: part.span_s))
    return None if grid is None else (grid.period_s, grid.sending_offset_s)


def predictor(
    name: str, calibration: Sequence[Measurement], slots: tuple[float, float] | None = None
) -> Predictor:
    """The predictor of that name, calibrated; slots are looked for in the data unless they are given.

    Raises `BadInput` for a name that there is not, and for too few data.
    """
    if name not in _KINDS:
        raise BadInput(f"the predictor is {name!r}, allowed: {', '.join(_KINDS)}")
    return _KINDS[name](calibration, slots or slots_of(calibration))


def choose_predictor(calibration: Sequence[Measurement], horizon_s: float = 1.0) -> PredictorChoice:
    """The predictor of least CRPS `horizon_s` ahead on the end of each recording, told from its beginning.

    Nothing but `calibration` is seen. Raises `BadInput` when it is too short to be divided.
    """
    begins, ends = [], []
    for part in calibration:
        cut_s = part.begin_s + _CALIBRATES * part.span_s
        begins.append(part.between(part.begin_s, cut_s))
        ends.append(part.between(cut_s, part.end_s + 1.0))
    held_out = max(ends, key=lambda part: part.span_s)
    slots = slots_of(begins)
    scores = {
        name: score(kind(begins, slots).forecasts(held_out, horizon_s), begins, held_out, horizon_s)
        for name, kind in _KINDS.items()
    }
    best = min(scores, key=lambda name: scores[name].crps)
    return PredictorChoice(best, predictor(best, calibration), scores)
