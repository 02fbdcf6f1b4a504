"""Throughput by rain and by hour: medians of a long record against a link that rain fades and others share.

By rain: the clear sky's median is what the link carries; rain takes from it what P.838 and P.618 say of the
path, and a wet antenna, whose loss is bounded (Schleiss, Rieckermann and Berne 2013, IEEE GRSL 10, found
2.3 dB), through the efficiency of DVB-S2X at the SNR that is left. By hour: the mean and three harmonics of
the day. Every second class calibrates, the others are held out; all are judged.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from emulator.radio.modcod import modcod_table
from emulator.radio.rain import slant_attenuation_db
from testbed.errors import BadInput
from testbed.measured.comparison import Comparison, Table
from testbed.measured.measurement import Array
from testbed.measured.ranges import SITE, require
from testbed.measured.readers import Table as Rows
from testbed.measured.readers import read_table
from testbed.report.verdicts import Verdict

#: of the measured median
BOUND: Final = 0.10
_MODCODS: Final = "dvb-s2x"
#: of the day, beside its mean
_HARMONICS: Final = 3
_HOURS: Final = 24
#: an open class such as ">5" stands at so many times its lower end
_OPEN: Final = 1.5
#: bounds of what is calibrated: dB of a wet antenna, and how soon it is wet, per dB of the path
_MOST_WET_DB: Final = 10.0
_SOONEST: Final = 1e4
_LEAST_CLASSES: Final = 4


@dataclass(frozen=True)
class Parameters:
    """The path to the satellites, in the mean, and what the record's rain is."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float = 0.0
    #: of the satellites in use, in the mean
    elevation_deg: float = 60.0
    frequency_ghz: float = 11.7
    #: of the terminal in a clear sky
    clear_snr_db: float = 9.0
    #: over which the record's rain fell, in mm
    rain_h: float = 1.0


@dataclass(frozen=True)
class _Judged:
    """Medians by class: measured, of the model, and of a constant; which classes were held out."""

    name: str
    classes: tuple[str, ...]
    measured: Array
    model: Array
    constant: Array
    held_out: np.ndarray[Any, np.dtype[np.bool_]]

    def errors(self) -> Array:
        return np.abs(self.model / self.measured - 1.0)


def compare(files: Sequence[Path], parameters: Parameters) -> Comparison:
    """Judge medians by rain class (rain_bucket_mm), by hour (hour), or both. Raises `BadInput`."""
    require(
        "throughput-weather",
        parameters,
        {**SITE, "elevation_deg": (5.0, 90.0), "frequency_ghz": (1.0, 100.0),
         "clear_snr_db": (-2.0, 40.0), "rain_h": (0.01, 24.0)},
    )  # fmt: skip
    judged = []
    remarks: list[str] = []
    for path in files:
        table = read_table(path)
        if table.name_of(_RAIN):
            found, told = _by_rain(table, parameters)
            judged.append(found)
            remarks.append(told)
        elif table.name_of(("hour",)):
            judged.append(_by_hour(table))
        else:
            raise BadInput(
                f"{path}: has neither a column {' nor '.join((*_RAIN, 'hour'))}; there are "
                f"{', '.join(table.columns)}"
            )
    return _result(judged, remarks)


_RAIN: Final = ("rain_bucket_mm", "rain_mm", "rain_mm_h")
_MEDIAN: Final = ("median_mbps", "median", "download_mbps")


# --- rain ----------------------------------------------------------------------------------------------


def _by_rain(table: Rows, parameters: Parameters) -> tuple[_Judged, str]:
    names = table.texts(*_RAIN)
    rain_mm = np.array([_middle(table.path, name) for name in names])
    measured = table.numbers(*_MEDIAN, low=0.01)
    dry = np.flatnonzero(rain_mm == 0.0)
    wet = np.flatnonzero(rain_mm > 0.0)
    if len(dry) != 1 or len(wet) < _LEAST_CLASSES - 1 or not np.isfinite(measured).all():
        raise BadInput(
            f"{table.path}: must have medians of one class without rain and {_LEAST_CLASSES - 1} with rain"
        )
    wet = wet[np.argsort(rain_mm[wet])]
    calibrating = wet[::2]
    path_db = _path_db(rain_mm / parameters.rain_h, parameters)
    clear = float(measured[dry[0]])
    wet_db, soon = _calibrated(path_db[calibrating], measured[calibrating] / clear, parameters)
    share = _share(path_db + _wet_db(path_db, wet_db, soon), parameters)
    held_out = np.isin(np.arange(len(names)), np.setdiff1d(wet, calibrating))
    found = _Judged("rain", tuple(names), measured, clear * share, np.full(len(names), clear), held_out)
    return found, (
        f"a wet antenna takes up to {wet_db:.2g} dB; the path alone would take {path_db.max():.2g} dB in the "
        "heaviest class"
    )


def _middle(path: Path, name: str) -> float:
    """The rain of a class, mm: the middle of LOW-HIGH, beyond the end of >LOW, or a number."""
    if found := re.fullmatch(r"\s*([\d.]+)\s*-\s*([\d.]+)\s*", name):
        return (float(found[1]) + float(found[2])) / 2
    if found := re.fullmatch(r"\s*>\s*([\d.]+)\s*", name):
        return float(found[1]) * _OPEN
    try:
        return float(name)
    except ValueError:
        raise BadInput(
            f"{path}: the class of rain {name!r} must be a number, LOW-HIGH or >LOW (mm)"
        ) from None


def _path_db(rate_mm_h: Array, parameters: Parameters) -> Array:
    from emulator.radio.itur_calls import rain_height_km

    height_km = rain_height_km(parameters.latitude_deg, parameters.longitude_deg)
    return np.array(
        [
            slant_attenuation_db(
                float(rate), parameters.frequency_ghz, parameters.elevation_deg, parameters.latitude_deg,
                height_km, parameters.altitude_m / 1e3,
            )
            for rate in rate_mm_h
        ]
    )  # fmt: skip


def _wet_db(path_db: Array, wet_db: float, soon: float) -> Array:
    return wet_db * -np.expm1(-soon * path_db)


def _share(attenuation_db: Array, parameters: Parameters) -> Array:
    """What is left of the clear sky's rate: the efficiency at the SNR that is left, between ModCods linearly.

    Over months the SNR of a class is spread more widely than ModCods lie apart.
    """
    table = modcod_table(_MODCODS)
    snr_db = np.append(parameters.clear_snr_db - attenuation_db, parameters.clear_snr_db)
    # a faster ModCod of a higher threshold only
    efficiency = np.maximum.accumulate(table.efficiency)
    left = np.interp(snr_db, table.threshold_db, efficiency, left=0.0)
    result: Array = left[:-1] / left[-1]
    return result


def _calibrated(path_db: Array, shares: Array, parameters: Parameters) -> tuple[float, float]:
    """dB of a wet antenna, and how soon it is wet, by least squares over the logarithm of the shares."""
    from scipy.optimize import least_squares

    def missed(tried: Array) -> Array:
        made = _share(path_db + _wet_db(path_db, tried[0], math.exp(tried[1])), parameters)
        return np.log(np.maximum(made, 1e-3) / shares)

    found = least_squares(
        missed, (1.0, math.log(10.0)), bounds=((0.0, math.log(1e-2)), (_MOST_WET_DB, math.log(_SOONEST)))
    )
    return float(found.x[0]), math.exp(float(found.x[1]))


# --- hours ---------------------------------------------------------------------------------------------


def _by_hour(table: Rows) -> _Judged:
    hours = table.numbers("hour", low=0.0, high=_HOURS)
    measured = table.numbers(*_MEDIAN, low=0.01)
    calibrating = np.arange(len(hours)) % 2 == 0
    if not np.isfinite(measured + hours).all() or calibrating.sum() <= 2 * _HARMONICS + 1:
        raise BadInput(f"{table.path}: must have medians of {4 * _HARMONICS + 3} hours or more")
    terms = _day(hours)
    weights, *_ = np.linalg.lstsq(terms[calibrating], measured[calibrating], rcond=None)
    constant = np.full(len(hours), np.median(measured[calibrating]))
    names = tuple(f"{hour:g}" for hour in hours)
    return _Judged("hour", names, measured, terms @ weights, constant, ~calibrating)


def _day(hours: Array) -> Array:
    angle = 2.0 * np.pi * hours[:, None] / _HOURS * np.arange(1, _HARMONICS + 1)
    return np.hstack([np.ones((len(hours), 1)), np.cos(angle), np.sin(angle)])


# --- result --------------------------------------------------------------------------------------------


def _result(judged: list[_Judged], remarks: list[str]) -> Comparison:
    figures: dict[str, float] = {}
    verdicts = []
    tables = []
    for one in judged:
        errors, held = one.errors(), one.held_out
        of_constant = np.abs(one.constant / one.measured - 1.0)
        figures[f"{one.name}_greatest_error"] = float(errors.max())
        figures[f"{one.name}_greatest_error_held_out"] = float(errors[held].max())
        figures[f"{one.name}_greatest_error_of_constant"] = float(of_constant.max())
        worst = one.classes[int(errors.argmax())]
        text = (
            f"at most {errors.max():.1%} off (class {worst}), held out {errors[held].max():.1%}, bound "
            f"{BOUND:.0%}; a constant {of_constant.max():.0%}"
        )
        greatest = float(errors.max())
        verdicts.append(Verdict(f"medians_by_{one.name}", greatest <= BOUND, greatest, BOUND, text))
        tables.append(
            Table(
                f"Median throughput by {one.name}, Mbit/s",
                (one.name, "measured", "model", "error", "role"),
                tuple(
                    (name, float(a), float(b), float(error), "held out" if out else "calibrating")
                    for name, a, b, error, out in zip(
                        one.classes, one.measured, one.model, errors, held, strict=True
                    )
                ),
            )
        )
    count = sum(len(one.classes) for one in judged)
    return Comparison(
        "throughput-weather",
        f"{count} medians, {sum(int(one.held_out.sum()) for one in judged)} of them held out, against rain "
        "on path and antenna and the harmonics of the day",
        figures,
        tuple(verdicts),
        tuple(tables),
        (*remarks, "medians of classes tell nothing of how the rate moves within them"),
        lambda figure: _draw(figure, judged),
    )


def _draw(figure: Any, judged: list[_Judged]) -> None:
    from testbed.report import style

    for axes, one in zip(np.atleast_1d(figure.subplots(1, len(judged))), judged, strict=True):
        places = np.arange(len(one.classes))
        axes.plot(places, one.measured, "o", color=style.INK, label="measured")
        axes.plot(places, one.model, "-", color=style.BLUE, label="model")
        axes.plot(places[one.held_out], one.model[one.held_out], "D", color=style.BLUE, label="held out")
        axes.set_xticks(places[:: 1 + len(places) // 12], one.classes[:: 1 + len(places) // 12])
        axes.set_ylim(0.0, 1.1 * float(max(one.measured.max(), one.model.max())))
        axes.set_xlabel({"rain": "rain, mm", "hour": "hour, h"}[one.name])
        axes.set_ylabel("median throughput, Mbit/s")
        axes.legend(frameon=False)
