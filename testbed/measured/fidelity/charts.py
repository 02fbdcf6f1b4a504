"""The figures of a validation, each an SVG element: model (one seed, the first) beside the test data."""

from __future__ import annotations

import numpy as np

from testbed.measured.fidelity.losses import burst_lengths
from testbed.measured.fidelity.series import (
    STEP_S,
    TAUS_S,
    allan_deviation,
    autocorrelation,
    sent,
    stretches,
)
from testbed.measured.fidelity.slots import profile
from testbed.measured.fidelity.study import Study
from testbed.measured.measurement import QUANTITIES, Array, Measurement
from testbed.report import style

_HEIGHT = 3.0
#: points of a curve: enough for any screen
_POINTS = 300
#: time that the series shows
_SHOWN_S = 120.0


def distribution(study: Study) -> str:
    """Distribution functions with the band of the seeds, and quantiles against quantiles."""
    made, (left, right) = style.figure(1, 2, _HEIGHT + 0.4)
    levels = (np.arange(_POINTS) + 0.5) / _POINTS
    observed = np.quantile(study.test.data.ascending, levels)
    seeds = np.array([np.quantile(one.ascending, levels) for one in study.test.described])
    left.fill_betweenx(levels, seeds.min(0), seeds.max(0), color=style.ORANGE, alpha=0.25, lw=0)
    left.plot(np.median(seeds, axis=0), levels, color=style.ORANGE, label="model")
    left.plot(observed, levels, color=style.BLUE, label="measured")
    left.set_xlim(observed[0] - 0.02 * np.ptp(observed), float(observed[int(0.995 * _POINTS)]) * 1.1)
    left.set(xlabel=_axis(study), ylabel="share below", title="Distribution")
    left.legend(loc="lower right")
    ends = [float(observed[0]), float(observed[-1])]
    right.plot(ends, ends, color=style.MUTED, lw=0.8, ls="--")
    for one in seeds:
        right.plot(observed, one, color=style.ORANGE, alpha=0.6, lw=1.0)
    right.set(xlabel=f"measured, {study.data.test.unit}", ylabel="model", title="Quantile against quantile")
    return style.to_svg(made, "distribution", "Distribution functions and quantiles of model and measurement")


def over_time(study: Study) -> str:
    """Medians of 100 ms of the middle of the test, and of the model at the same times."""
    made, axes = style.figure(2, 1, _HEIGHT + 0.8, sharex=True, sharey=True)
    test = study.data.test
    begin_s = max(test.begin_s, 0.5 * (test.begin_s + test.end_s - _SHOWN_S))
    sides = (("Measured", test, style.BLUE), ("Model", study.test.traffic[0], style.ORANGE))
    for axis, (name, side, colour) in zip(axes, sides, strict=True):
        data = sent(side)
        chosen = (data.times_s >= begin_s) & (data.times_s < begin_s + _SHOWN_S)
        parts = stretches(data.times_s[chosen], data.values[chosen]) if chosen.any() else []
        for part in parts:
            axis.plot(part.middles_s - begin_s, part.values, color=colour, lw=0.9)
        if study.grid is not None:
            first = np.ceil((begin_s - study.grid.offset_s) / study.grid.period_s)
            slots = int(_SHOWN_S / study.grid.period_s) + 1
            for number in first + np.arange(slots):
                at_s = study.grid.offset_s + number * study.grid.period_s - begin_s
                if at_s <= _SHOWN_S:
                    axis.axvline(at_s, color=style.GRID, lw=0.8)
        axis.set(ylabel=test.unit, title=f"{name}, medians of {1000 * STEP_S:.0f} ms")
    axes[-1].set_xlabel("s")
    return style.to_svg(made, "overtime", "Measurement and model over time")


def memory(study: Study) -> str:
    """Autocorrelation, and Allan deviation."""
    made, (left, right) = style.figure(1, 2, _HEIGHT)
    lags_s = [0.1 * round(10 * lag) for lag in np.geomspace(0.5, 60.0, 24)]
    test = study.data.test
    for name, side, colour in _sides(test, study.test.traffic[0]):
        left.plot(lags_s, autocorrelation(side, lags_s), color=colour, label=name)
        right.plot(TAUS_S, allan_deviation(side), color=colour, label=name, marker="o", ms=3)
    left.axhline(0.0, color=style.MUTED, lw=0.6)
    left.set(
        xscale="log", xlabel="lag, s", ylabel="autocorrelation", title="Autocorrelation of 100 ms medians"
    )
    left.legend()
    right.set(
        xscale="log", yscale="log", xlabel="averaged over, s", ylabel=test.unit, title="Allan deviation"
    )
    return style.to_svg(made, "memory", "Autocorrelation and Allan deviation of model and measurement")


def slots(study: Study) -> str:
    """Mean deviation from the slot's median by phase; nothing without a grid."""
    if study.grid is None:
        return ""
    made, (axis,) = style.figure(1, 1, _HEIGHT)
    for name, side, colour in _sides(study.data.test, study.test.traffic[0]):
        phase_s, away = profile(side, study.grid.period_s, study.grid.offset_s)
        axis.plot(phase_s, away, color=colour, label=name)
    axis.set(
        xlabel="s after the boundary",
        ylabel=study.data.test.unit,
        title="Mean deviation from the slot's median",
    )
    axis.legend()
    return style.to_svg(made, "slots", "Mean course of a slot, model and measurement")


def bursts(study: Study) -> str:
    """How many probes were lost in a row; nothing where losses are not known or there are none."""
    sides = [
        (name, burst_lengths(side), colour)
        for name, side, colour in _sides(study.data.test, study.test.traffic[0])
        if side.losses_known
    ]
    if not any(lengths for _, lengths, _ in sides):
        return ""
    made, (axis,) = style.figure(1, 1, _HEIGHT)
    for name, lengths, colour in sides:
        if lengths:
            ascending: Array = np.sort(np.array(lengths, dtype=np.float64))
            longer = 1.0 - np.arange(len(ascending)) / len(ascending)
            axis.step(ascending, longer, where="post", color=colour, label=f"{name}, {len(lengths)} bursts")
    axis.set(
        xscale="log", yscale="log", xlabel="probes lost in a row", ylabel="share as long or longer",
        title="Bursts of loss",
    )  # fmt: skip
    axis.legend()
    return style.to_svg(made, "bursts", "Lengths of bursts of loss, model and measurement")


def _sides(test: Measurement, model: Measurement) -> tuple[tuple[str, Measurement, str], ...]:
    return ("measured", test, style.BLUE), ("model", model, style.ORANGE)


def _axis(study: Study) -> str:
    return f"{QUANTITIES[study.data.test.quantity]}, {study.data.test.unit}"
