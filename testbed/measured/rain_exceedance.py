"""Attenuation exceeded on an Earth-space path, by share of time: ITU-R P.618 against a beacon's record.

Measured: the share of time for which a beacon's excess attenuation (that above a reference without rain)
was beyond each level. Predicted: rain, cloud and scintillation put together without the gases, as the
standard says, with nothing fitted. Beside it, rain alone, the older revision of the standard, a
constant, and what years of synthetic rain (P.1853) exceed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulator.spec import Place
from testbed.errors import BadInput
from testbed.measured.comparison import Comparison, Table
from testbed.measured.ranges import SITE, require
from testbed.measured.readers import read_table
from testbed.report.verdicts import Verdict

Floats = NDArray[np.float64]

#: the prediction is judged at these percentages of time, and may be off by this much
JUDGED_PERCENT: Final = (1.0, 0.1, 0.01)
BOUND: Final = 0.30
#: where the error's root mean square is taken, evenly in the logarithm
_RANGE_PERCENT = np.geomspace(1.0, 0.01, 21)
#: what each model is, as shown
MODELS: Final = {
    "p618-14": "rain, cloud, scintillation, as P.618-14 combines them",
    "p618-13": "rain, cloud, scintillation, as P.618-13 combined them",
    "rain": "rain alone, P.618",
}
_SERIES = "rain in time, P.1853"
_CONSTANT = "constant"
_ROUNDING = 1e-9
_STEP_S = 64.0
_YEAR_S = 365.25 * 86_400.0


@dataclass(frozen=True)
class Parameters:
    """The path of the beacon, and which model is judged."""

    latitude_deg: float
    longitude_deg: float
    elevation_deg: float
    altitude_m: float = 0.0
    #: 0: from the file's name, such as beacon_19.701GHz.csv
    frequency_ghz: float = 0.0
    #: tilt of linear polarisation from the horizontal; 45: circular, or not known
    polarization_deg: float = 45.0
    #: of the receiving antenna, averages scintillation; 0: no averaging
    antenna_diameter_m: float = 0.0
    #: one of `MODELS`
    model: str = "p618-14"
    #: of synthetic rain, and its seed
    years: float = 30.0
    seed: int = 1


@dataclass(frozen=True)
class Measured:
    """A record: levels [n] in dB, rising, and the percentage of time [n] each was exceeded, falling."""

    path: Path
    frequency_ghz: float
    level_db: Floats
    percent: Floats

    def exceeded_db(self, percent: Floats) -> Floats:
        """The level exceeded for each percentage, linear in its logarithm; nan where the record ends."""
        found = np.interp(
            np.log(percent), np.log(self.percent[::-1]), self.level_db[::-1], left=np.nan, right=np.nan
        )
        return np.asarray(found)


def compare(files: Sequence[Path], parameters: Parameters) -> Comparison:
    """Judge the prediction for every file; see the module's first paragraph.

    Raises `BadInput` for files and parameters, `WorldError` for paths the standard does not cover.
    """
    _check(parameters)
    records = sorted((read(path, parameters.frequency_ghz) for path in files), key=lambda r: r.frequency_ghz)
    curves = [_predictions(record, parameters) for record in records]
    figures: dict[str, float] = {}
    verdicts, rows = [], []
    for record, predicted in zip(records, curves, strict=True):
        name = f"{record.frequency_ghz:g}_ghz"
        for percent in JUDGED_PERCENT:
            at = np.array([percent])
            measured = float(record.exceeded_db(at)[0])
            values = {model: float(curve(at)[0]) for model, curve in predicted.items()}
            error = values[parameters.model] / measured - 1.0 if measured > 0.0 else math.nan
            figures[f"error_at_{percent:g}_percent_of_time_{name}_percent"] = 100.0 * error
            verdicts.append(_verdict(record, percent, measured, values[parameters.model]))
            rows.append((record.frequency_ghz, percent, measured, *(values[model] for model in predicted)))
        for model in (parameters.model, *(m for m in predicted if m != parameters.model)):
            key = model.replace("-", "_").replace(" ", "_").replace(",", "").replace(".", "").lower()
            figures[f"rms_error_{key}_{name}_percent"] = 100.0 * _rms(record, predicted[model])
    return Comparison(
        model="rain-exceedance",
        summary=f"Attenuation exceeded: {MODELS[parameters.model]}, against {len(records)} beacons",
        figures=figures,
        verdicts=tuple(verdicts),
        tables=(
            Table(
                "attenuation exceeded, dB",
                ("frequency, GHz", "time, %", "measured", *curves[0]),
                tuple(rows),
            ),
        ),
        remarks=(
            "A year differs from the long-term mean that the standard predicts, by 10 to 30 % as records go.",
            "What a beacon's excess holds depends on the reference it is taken from: clouds that come and go "
            "slowly may pass into the reference, while the prediction has all of them.",
            "A record that falls steeply at its end stops where the receiver loses the beacon.",
        ),
        draw=lambda figure: _draw(figure, records, curves, parameters),
    )


def read(path: Path, frequency_ghz: float = 0.0) -> Measured:
    """A record from a CSV file with the columns attenuation_db and exceeded_percent. Raises `BadInput`."""
    table = read_table(path)
    level, percent = (
        table.numbers("attenuation_db", low=-100.0, high=500.0),
        table.numbers("exceeded_percent"),
    )
    # sums of shares end a rounding beside 0
    allowed = (percent >= -_ROUNDING) & (percent <= 100.0 + _ROUNDING)
    if not allowed.all():
        wrong = percent[~allowed][0]
        raise BadInput(f"{path}: exceeded_percent is {wrong:g}, it must be from 0 to 100")
    if not np.isfinite(level).all():
        raise BadInput(f"{path}: attenuation_db is missing in a row, it must be a number in every one")
    order = np.argsort(level)
    level, percent = level[order], percent[order]
    if (np.diff(percent) > 0.0).any():
        raise BadInput(f"{path}: exceeded_percent rises with attenuation_db, it must fall")
    # of levels exceeded equally long the highest counts; what was never exceeded tells nothing
    seen = (percent > _ROUNDING) & np.append(np.diff(percent) < 0.0, True)
    if seen.sum() < 2:
        raise BadInput(f"{path}: has {seen.sum()} levels that were exceeded, it must have two at least")
    return Measured(path, frequency_ghz or _frequency_of(path), level[seen], percent[seen])


def _frequency_of(path: Path) -> float:
    found = re.search(r"(\d+(?:\.\d+)?) ?GHz", path.name, re.IGNORECASE)
    if found is None:
        raise BadInput(
            f"{path}: its name has no frequency such as 19.701GHz, so give --set frequency_ghz=VALUE"
        )
    return float(found[1])


def _check(parameters: Parameters) -> None:
    if parameters.model not in MODELS:
        raise BadInput(f"rain-exceedance: model is {parameters.model!r}, allowed: {', '.join(MODELS)}")
    allowed = {
        **SITE, "elevation_deg": (5.0, 90.0), "frequency_ghz": (0.0, 1000.0),
        "polarization_deg": (-180.0, 180.0), "antenna_diameter_m": (0.0, 100.0), "years": (1.0, 1000.0),
        "seed": (0, 2**63 - 1),
    }  # fmt: skip
    require("rain-exceedance", parameters, allowed)


def _predictions(record: Measured, parameters: Parameters) -> dict[str, Callable[[Floats], Floats]]:
    """By name, functions from percentages of time to the attenuation in dB exceeded; the judged one first."""
    from emulator.radio.rain_series import RainSeries
    from emulator.radio.slant_path import Attenuation, attenuation

    place = Place("site", "ground", parameters.latitude_deg, parameters.longitude_deg, parameters.altitude_m)

    def standard(percent: Floats, revision: int) -> Attenuation:
        return attenuation(
            place,
            record.frequency_ghz,
            parameters.elevation_deg,
            percent,
            polarization_deg=parameters.polarization_deg,
            diameter_m=parameters.antenna_diameter_m,
            revision=revision,
        )

    series = RainSeries([place], parameters.seed, polarization_deg=parameters.polarization_deg)
    count = round(parameters.years * _YEAR_S / _STEP_S)
    rain_db = np.sort(
        series.series_db("site", 0.0, _STEP_S, count, parameters.elevation_deg, record.frequency_ghz)
    )
    levels = record.exceeded_db(_RANGE_PERCENT)
    levels = levels[levels > 0.0]
    constant = float(np.exp(np.mean(np.log(levels)))) if len(levels) else math.nan
    made: dict[str, Callable[[Floats], Floats]] = {
        "p618-14": lambda percent: standard(percent, 14).excess_db,
        "p618-13": lambda percent: standard(percent, 13).excess_db,
        "rain": lambda percent: standard(percent, 14).rain_db,
        _SERIES: lambda percent: rain_db[np.floor(count * (1.0 - percent / 100.0)).astype(int)],
        # the best that one number can do: the mean of the measured logarithms themselves
        _CONSTANT: lambda percent: np.full(len(percent), constant),
    }
    return {parameters.model: made[parameters.model], **made}


def _rms(record: Measured, curve: Callable[[Floats], Floats]) -> float:
    levels = record.exceeded_db(_RANGE_PERCENT)
    there = levels > 0.0
    if not there.any():
        return math.nan
    errors = curve(_RANGE_PERCENT)[there] / levels[there] - 1.0
    return float(np.sqrt(np.mean(errors**2)))


def _verdict(record: Measured, percent: float, measured_db: float, predicted_db: float) -> Verdict:
    name = f"exceedance_at_{percent:g}_percent_{record.frequency_ghz:g}_ghz"
    if not math.isfinite(measured_db):
        return Verdict(
            name, None, None, BOUND, f"{record.path.name} does not reach {percent:g} % of the time"
        )
    if measured_db <= 0.0:
        return Verdict(name, None, None, BOUND, f"{measured_db:g} dB measured, an error has no share of it")
    error = predicted_db / measured_db - 1.0
    text = f"{predicted_db:.2f} dB predicted, {measured_db:.2f} dB measured: {100 * error:+.0f} %"
    return Verdict(name, abs(error) <= BOUND, error, BOUND, f"{text}, allowed {100 * BOUND:.0f} %")


def _draw(
    figure: Any,
    records: Sequence[Measured],
    curves: Sequence[dict[str, Callable[[Floats], Floats]]],
    parameters: Parameters,
) -> None:
    from testbed.report import style

    axes = figure.subplots(1, len(records), squeeze=False, sharey=True)[0]
    percent = np.geomspace(0.003, 5.0, 120)
    for ax, record, predicted in zip(axes, records, curves, strict=True):
        judged = predicted[parameters.model](percent)
        ax.fill_betweenx(
            percent,
            (1.0 - BOUND) * judged,
            (1.0 + BOUND) * judged,
            color=style.BLUE,
            alpha=0.15,
            lw=0,
            label=f"within {100 * BOUND:.0f} %",
        )
        ax.plot(judged, percent, color=style.BLUE, label=f"predicted, {parameters.model}")
        if parameters.model != "rain":
            ax.plot(predicted["rain"](percent), percent, color=style.GREEN, ls="--", label="rain alone")
        ax.plot(predicted[_SERIES](percent), percent, color=style.PURPLE, ls=":", label=_SERIES)
        ax.plot(record.level_db, record.percent, color=style.ORANGE, label="measured")
        at = np.array(JUDGED_PERCENT)
        ax.plot(record.exceeded_db(at), at, "o", color=style.ORANGE, ms=4)
        ax.set_yscale("log")
        ax.set_ylim(percent[0], percent[-1])
        ax.set_xlim(0.0, 1.05 * float(judged[0] * (1.0 + BOUND)))
        ax.set_title(f"{record.frequency_ghz:g} GHz")
        ax.set_xlabel("excess attenuation, dB")
        ax.yaxis.set_major_formatter("{x:g}")
    axes[0].set_ylabel("exceeded, % of time")
    axes[0].legend(loc="upper right")
