"""A model calibrated on some measurements and held against others that it has not seen.

Parameters are frozen before the test data are looked at. The model's traffic is made at the test's own
sending times, with several seeds; every distance is the median over the seeds. What is judged, and how the
result is written, stands in `result`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed.errors import BadInput
from testbed.measured.fidelity.bootstrap import intervals
from testbed.measured.fidelity.floor import Floor, real_floor
from testbed.measured.fidelity.grid import Grid, boundary_apart_ms, find_grid
from testbed.measured.fidelity.measures import MEASURES, Description, Slotting, describe, distances
from testbed.measured.measurement import Array, Measurement, Quantity
from testbed.measured.models.contract import Fitted

if TYPE_CHECKING:
    from testbed.measured.models.choice import ModelChoice
    from testbed.measured.prediction.scoring import Score

#: the model plays the test once with each
SEEDS: Final = (1, 2, 3, 4, 5)
#: recordings with fewer answered samples calibrate and test nothing
LEAST_SAMPLES: Final = 200
#: how far ahead the adaptive model forecasts
HORIZON_S: Final = 1.0
#: the model that is chosen by its score on held-out calibration data
AUTO: Final = "auto"
Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Data:
    """What calibrates and what tests; they share no instant."""

    calibration: tuple[Measurement, ...]
    test: Measurement
    #: whether one recording was divided into both
    divided: bool


@dataclass(frozen=True, eq=False)
class Played:
    """A model's traffic at given sending times, by seed, with the descriptions and the data's own."""

    traffic: tuple[Measurement, ...]
    described: tuple[Description, ...]
    data: Description

    def distances(self) -> dict[str, float]:
        """Each distance from the data, the median over the seeds."""
        rows = [distances(one, self.data) for one in self.described]
        return {name: float(np.median([row[name] for row in rows])) for name in MEASURES}


@dataclass(frozen=True, eq=False)
class Study:
    """All that was found, before anything is judged."""

    data: Data
    model: Fitted
    #: how the model was chosen, where that was asked for
    choice: ModelChoice | None
    grid: Grid | None
    #: the test's own grid, and how much later its boundaries lie than the calibration's
    test_grid: Grid | None
    boundary_ms: float
    #: what of it the two recordings can tell, +-
    boundary_uncertainty_ms: float
    test: Played
    #: the model beside its own calibration data: the longest recording of them
    own: Played
    own_data: Measurement
    intervals: dict[str, tuple[float, float]]
    floor: Floor | None
    ratios: dict[str, float]
    baselines: dict[str, Played]
    forecast: Score | None
    remarks: tuple[str, ...]


def open_data(
    files: Sequence[Path], calibrate: Sequence[Path], columns: str | None, quantity: Quantity | None
) -> Data:
    """Read test and calibration data. Raises `BadInput` where they overlap, differ or are too few."""
    from testbed.measured.formats import open_measurement

    for path in calibrate:
        if any(_same(path, other) for other in files):
            raise BadInput(
                f"--calibrate {path}: is also the test; a model is not tested on what calibrated it"
            )
    names = [str(path) for path in files]
    test = open_measurement(names, columns, quantity)
    if not calibrate:
        middle_s = 0.5 * (test.begin_s + test.end_s)
        first, second = test.between(test.begin_s, middle_s), test.between(middle_s, math.inf)
        data = Data((first,), second, divided=True)
    else:
        read = tuple(open_measurement(str(path), columns, quantity) for path in calibrate)
        data = Data(read, test, divided=False)
        # two captures of one path are one measurement, and neither is one by itself
        parts = len(names) > 1 and test.source != "+".join(names)
        tests = [open_measurement(name, columns, quantity) for name in names] if parts else [test]
        for one in read:
            _check_apart(one, tests)
    for part in (*data.calibration, data.test):
        answered = int(part.answered.sum())
        if part.quantity != data.test.quantity:
            raise BadInput(
                f"--calibrate {part.source}: holds a {part.quantity}, the test a {data.test.quantity}"
            )
        if answered < LEAST_SAMPLES:
            raise BadInput(
                f"{part.source}: {answered} answered samples are too few, allowed: {LEAST_SAMPLES} or more "
                "each to calibrate and to test"
            )
        if part.span_s <= 0.0:
            raise BadInput(f"{part.source}: all its samples are of one instant")
    return data


def _same(path: Path, other: Path) -> bool:
    return str(path) == str(other) or (path.exists() and other.exists() and path.samefile(other))


def _check_apart(calibration: Measurement, tests: Sequence[Measurement]) -> None:
    for test in tests:
        if calibration.begin_s <= test.end_s and test.begin_s <= calibration.end_s:
            shared_s = min(calibration.end_s, test.end_s) - max(calibration.begin_s, test.begin_s)
            raise BadInput(
                f"--calibrate {calibration.source}: overlaps with {test.source} by {shared_s:.3g} s; a model "
                "is not tested on what calibrated it"
            )


def fit(
    name: str, calibration: Sequence[Measurement], tell: Tell = lambda _: None
) -> tuple[Fitted, ModelChoice | None]:
    """The model of that name, its parameters frozen, and how it was chosen (None unless `auto`).

    Names joined by `+` are kinds whose parts are put together.
    Raises `BadInput` for a name that there is not, and for data that cannot calibrate it.
    """
    from testbed.measured import models

    if name == AUTO:
        from testbed.measured.models.choice import choose

        chosen = choose(calibration, progress=lambda kind: tell(f"trying {kind}"))
        return chosen.fitted, chosen
    return models.kind(name).fit(calibration), None


def play(model: Fitted, data: Measurement, seeds: Sequence[int], slotting: Slotting) -> Played:
    """The model's traffic at the sending times of `data`, once for each seed."""
    times_s = data.times_s
    if data.stamped == "received" and data.quantity != "rate":
        # a lost probe was never received; it stands where it would have been
        away = np.where(data.answered, data.values, 0.0) / 1e3
        times_s = np.sort(data.times_s - away)
    traffic = tuple(_as_measurement(model.play(times_s, seed), times_s, data, model.name) for seed in seeds)
    return _described(traffic, data, slotting)


def _as_measurement(values: Array, times_s: Array, data: Measurement, name: str) -> Measurement:
    """Values of a model as a recording of the same kind as the data."""
    if not data.losses_known:
        there = ~np.isnan(values)
        times_s, values = times_s[there], values[there]
    return Measurement(f"model {name}", data.quantity, times_s, values, data.losses_known)


def _described(traffic: tuple[Measurement, ...], data: Measurement, slotting: Slotting) -> Played:
    return Played(traffic, tuple(describe(one, slotting) for one in traffic), describe(data, slotting))


def carry_out(data: Data, model_name: str, tell: Tell = lambda _: None) -> Study:
    """Calibrate, play, compare. `tell` is called with what is being done."""
    tell("looking for a grid")
    longest = max(data.calibration, key=lambda part: part.span_s)
    grid = find_grid(longest)
    slotting = Slotting() if grid is None else Slotting(grid.period_s, grid.offset_s)
    tell(f"calibrating {model_name}")
    model, choice = fit(model_name, data.calibration, tell)
    tell("playing the test")
    test = play(model, data.test, SEEDS, slotting)
    tell("playing the calibration data")
    own = play(model, longest, SEEDS, slotting)
    tell("comparing the real world with itself")
    remarks = [*dict.fromkeys(remark for part in (*data.calibration, data.test) for remark in part.remarks)]
    try:
        floor: Floor | None = real_floor((*data.calibration, data.test), data.test.span_s, slotting)
    except BadInput as error:
        floor = None
        remarks.append(f"No floor: {error}.")
    if floor is not None and floor.halved:
        remarks.append(
            f"The data hold fewer than two stretches of the test's length: the floor is of stretches of "
            f"{floor.length_s:.0f} s."
        )
    found = test.distances()
    away_ms, told_ms = math.nan, math.nan
    if grid is not None:
        away_ms, told_ms = boundary_apart_ms(data.test, grid)
        told_ms = max(told_ms, grid.boundary_uncertainty_ms)
    tell("resampling blocks")
    return Study(
        data=data,
        model=model,
        choice=choice,
        grid=grid,
        test_grid=find_grid(data.test),
        boundary_ms=away_ms,
        boundary_uncertainty_ms=told_ms,
        test=test,
        own=own,
        own_data=longest,
        intervals=_intervals(test, data.test, slotting),
        floor=floor,
        ratios=floor.ratios(found) if floor is not None else dict.fromkeys(MEASURES, math.nan),
        baselines=_baselines(data, slotting),
        forecast=_forecast(data, grid, tell, remarks),
        remarks=tuple(remarks),
    )


def _intervals(test: Played, data: Measurement, slotting: Slotting) -> dict[str, tuple[float, float]]:
    found = [intervals(one, data, slotting) for one in test.traffic]
    return {
        name: (
            float(np.median([one[name][0] for one in found])),
            float(np.median([one[name][1] for one in found])),
        )
        for name in found[0]
        if all(name in one for one in found)
    }


def _baselines(data: Data, slotting: Slotting) -> dict[str, Played]:
    """What any model must beat: the training median for every probe, and training values in random order."""
    known = np.concatenate([part.values[part.answered] for part in data.calibration])
    every = np.concatenate([part.values for part in data.calibration])
    test = replace(data.test, values=np.full(len(data.test), float(np.median(known))))
    rng = np.random.default_rng(SEEDS[0])
    pool = every if data.test.losses_known and all(p.losses_known for p in data.calibration) else known
    drawn = replace(data.test, values=rng.choice(pool, len(data.test)))
    return {
        "constant": _described((test,), data.test, slotting),
        "empirical": _described((drawn,), data.test, slotting),
    }


def _forecast(data: Data, grid: Grid | None, tell: Tell, remarks: list[str]) -> Score | None:
    """How well the adaptive model forecasts the test one second ahead."""
    from testbed.measured.prediction.choice import predictor
    from testbed.measured.prediction.scoring import score

    tell("forecasting one second ahead")
    slots = None if grid is None else (grid.period_s, grid.sending_offset_s)
    try:
        adaptive = predictor("adaptive", data.calibration, slots)
        return score(adaptive.forecasts(data.test, HORIZON_S), data.calibration, data.test, HORIZON_S)
    except BadInput as error:
        remarks.append(f"No forecast: {error}.")
        return None
