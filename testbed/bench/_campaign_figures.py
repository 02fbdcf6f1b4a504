"""The figures of the twin's campaign, from what was told of each run; and the tables that are printed.

Pure arithmetic over `Told`. A figure that no run can give is not a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from testbed.bench._campaign import IDENTIFIED, TOLERANCE, Told
from testbed.bench._campaign_runs import KINDS
from testbed.bench._campaign_whatif import Answered
from testbed.twin.matching import NOTHING

_DAY_S: Final = 86_400.0
#: quantities whose values are continuous and uncertain: bands and scores of others say little
CONTINUOUS: Final = ("delay_ms", "snr_db")
#: a deviation is above the noise of one window from here on
ABOVE_SIGMA: Final = 3.0
_CONFIDENCE: Final = 0.95
#: of the tables, characters
_WIDTH: Final = 118
#: a change of so small a share of what there was before has no sign to speak of
_LEAST_CHANGE: Final = 0.01
#: the rate at which records are to be kept up with, 1/s
_RATE_PER_S: Final = 1_000.0


def figures_of(runs: Sequence[Told], quiet: Sequence[Told]) -> dict[str, float]:
    """Figures of all runs; units in the keys."""
    every = [*runs, *quiet]
    detected = [told for told in runs if told.detected]
    identified = [told for told in detected if told.identified]
    named = [told for told in runs if told.cause != NOTHING]
    false = sum(len(told.false) for told in every)
    days = sum(told.quiet_s for told in every) / _DAY_S
    records, cpu_s = sum(told.records for told in every), sum(told.twin_cpu_s for told in every)
    delays_s = [told.delay_s if told.detected else math.inf for told in runs if told.sigmas > ABOVE_SIGMA]
    updates_ms = np.concatenate([np.array(told.update_ms) for told in every] or [np.zeros(0)])
    covered = share(sum(told.covered for told in detected), len(detected))
    bands = bands_of(every)
    inside = [sum(bands[name][k] for name in CONTINUOUS if name in bands) for k in (0, 1)]
    picp90 = share(inside[0], inside[1])
    skills = [told.crps[name] for told in quiet for name in CONTINUOUS if name in told.crps]
    rate = share(records, cpu_s)
    return {
        "runs": float(len(runs)),
        "update_ms_p50": _quantile(updates_ms, 0.5),
        "update_ms_p99": _quantile(updates_ms, 0.99),
        "records_per_s_at_one_core": rate,
        "cpu_share_at_1000_records_per_s": _RATE_PER_S / rate,
        "recovery_error_median": _quantile([told.error for told in identified], 0.5),
        "identified_share": share(len(identified), len(runs)),
        "interval_coverage": covered,
        "interval_coverage_off": abs(covered - 0.95),
        "detected_share": share(len(detected), len(runs)),
        "detection_s_p95": _quantile(delays_s, 0.95),
        "above_three_sigma": float(len(delays_s)),
        "attribution_accuracy": share(sum(told.right for told in named), len(named)),
        "other_detections_per_run": share(sum(len(told.others) for told in runs), len(runs)),
        "virtual_days": days,
        "false_alarms": float(false),
        "false_alarms_per_day": share(false, days),
        "false_alarms_per_day_upper95": upper_rate(false, days),
        "picp90": picp90,
        "picp90_off": abs(picp90 - 0.9),
        "crps_skill_climatology": _quantile(skills, 0.5),
        # of the run where it is worst
        "aoi_periods_p99": max((t.age_periods for t in every if t.age_periods > 0.0), default=math.nan),
    }


def whatif_figures(answers: Sequence[Answered]) -> dict[str, float]:
    """How well changes were predicted that came to more than a hundredth of what there was before."""
    counted = [one for one in answers if abs(one.real_ms) > _LEAST_CHANGE * abs(one.before_ms)]
    right = sum(math.copysign(1.0, one.predicted_ms) == math.copysign(1.0, one.real_ms) for one in counted)
    errors = [abs(one.predicted_ms - one.real_ms) / abs(one.real_ms) for one in counted]
    return {
        "whatif_questions": float(len(counted)),
        "whatif_sign": share(right, len(counted)),
        "whatif_size_error": _quantile(errors, 0.5),
        "whatif_interval90": share(
            sum(one.low_ms <= one.real_ms <= one.high_ms for one in counted), len(counted)
        ),
    }


def share(part: float, whole: float) -> float:
    """A part of a whole; not a number where there is none."""
    return part / whole if whole > 0.0 else math.nan


def _quantile(values: Any, level: float) -> float:
    """A value among those given, the next larger one: an infinite one may be it."""
    values = np.sort(np.asarray(values, dtype=np.float64))
    if not len(values):
        return math.nan
    return float(values[min(len(values) - 1, math.ceil(level * len(values)) - 1)])


def upper_rate(events: int, days: float) -> float:
    """One-sided 95 % upper bound of a Poisson rate, events a day (Garwood, Biometrika 28, 1936)."""
    if days <= 0.0:
        return math.nan
    from scipy.stats import chi2

    return float(chi2.ppf(_CONFIDENCE, 2 * (events + 1))) / 2.0 / days


def bands_of(runs: Sequence[Told]) -> dict[str, tuple[int, int]]:
    """By quantity: observations within their 90 % band, and all."""
    summed: dict[str, tuple[int, int]] = {}
    for told in runs:
        for quantity, (inside, count) in told.inside.items():
            before = summed.get(quantity, (0, 0))
            summed[quantity] = (before[0] + inside, before[1] + count)
    return summed


_CAUSES: Final = {
    "rain": ("attenuation",),
    "capacity": ("congestion",),
    "extra_loss": ("unknown/loss",),
    "extra_delay": ("unknown/ms",),
    "slow_server": ("slow_server",),
    "stale_orbit": ("orbit_error",),
    "clock_offset": ("clock",),
}


def confusion_of(runs: Sequence[Told], quiet: Sequence[Told]) -> dict[str, dict[str, int]]:
    """{what happened: {cause of the first detection: runs}}; false alarms under "nothing"."""
    counts: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    for told in runs:
        cause = told.cause if told.right or told.cause == NOTHING else _wrong(told)
        row = counts[told.case.kind]
        row[cause] = row.get(cause, 0) + 1
    for told in (*runs, *quiet):
        for text in told.false:
            row = counts.setdefault(NOTHING, {})
            cause = text.partition(" ")[0]
            row[cause] = row.get(cause, 0) + 1
    return {kind: row for kind, row in counts.items() if row}


def _wrong(told: Told) -> str:
    """A wrong cause; the right one at a wrong place is told apart."""
    right_cause = told.cause in _CAUSES.get(told.case.kind, ())
    return f"{told.cause}, elsewhere" if right_cause else told.cause


def kinds_of(runs: Sequence[Told]) -> dict[str, dict[str, float | None]]:
    """A row for each kind of deviation."""
    rows: dict[str, dict[str, float | None]] = {}
    for kind in KINDS:
        mine = [told for told in runs if told.case.kind == kind]
        if not mine:
            continue
        found = [told for told in mine if told.detected]
        known = [told for told in found if told.identified]
        named = [told for told in mine if told.cause != NOTHING]
        above = [told.delay_s if told.detected else math.inf for told in mine if told.sigmas > ABOVE_SIGMA]
        row = {
            "runs": float(len(mine)),
            "detected": share(len(found), len(mine)),
            "above_three_sigma": float(len(above)),
            "detection_s_p50": _quantile([told.delay_s for told in found], 0.5),
            "detection_s_p95": _quantile(above, 0.95),
            "attributed": share(sum(told.right for told in named), len(named)),
            "identified": share(len(known), len(mine)),
            "error_median": _quantile([told.error for told in known], 0.5),
            "error_median_all": _quantile([told.error for told in found], 0.5),
            "coverage": share(sum(told.covered for told in found), len(found)),
        }
        rows[kind] = {name: value if math.isfinite(value) else None for name, value in row.items()}
    return rows


def bands_table(runs: Sequence[Told], quiet: Sequence[Told]) -> dict[str, dict[str, float]]:
    """By quantity: coverage of its 90 % bands, and the skill of its CRPS against the climatology."""
    rows = {
        name: {"windows": float(count), "picp90": share(inside, count)}
        for name, (inside, count) in bands_of([*runs, *quiet]).items()
    }
    for name, row in rows.items():
        skills = [told.crps[name] for told in quiet if name in told.crps]
        if skills:
            row["crps_skill_climatology"] = _quantile(skills, 0.5)
    return rows


def print_tables(runs: Sequence[Told], quiet: Sequence[Told], answers: Sequence[Answered]) -> None:
    """Kinds, causes, bands and what-ifs, for a reader."""
    from rich.console import Console

    # a narrower terminal wraps lines, which loses less than leaving columns out
    console = Console(width=max(_WIDTH, Console().width))
    table = _table(
        "what happened, and what the twin said of it",
        ("runs", "seen", "p50 s", "p95 s", "cause", "known", "error", "95 %"),
    )
    for kind, row in kinds_of(runs).items():
        table.add_row(
            kind, f"{row['runs']:.0f}", _percent(row["detected"]), _number(row["detection_s_p50"]),
            _number(row["detection_s_p95"]), _percent(row["attributed"]), _percent(row["identified"]),
            _percent(row["error_median"], 2), _percent(row["coverage"]),
        )  # fmt: skip
    console.print(table)
    console.print(
        "seen: kind and place named; after p50 s, p95 s for those above three sigma of one window; "
        "cause: the first detection names it; known: half of the stated interval is at most "
        f"{IDENTIFIED * TOLERANCE:.0%} of the size (0.2 dB, 0.2 ms); error: median of those; "
        "95 %: the interval holds the truth",
        style="dim",
    )
    confusion = confusion_of(runs, quiet)
    causes = sorted({cause for row in confusion.values() for cause in row})
    table = _table("first cause named, by what happened", causes)
    for kind, counts in confusion.items():
        table.add_row(kind, *(str(counts.get(cause, "")) for cause in causes))
    console.print(table)
    table = _table(
        "one window ahead, nothing happening", ("windows", "in the 90 % band", "CRPS skill over climatology")
    )
    for name, values in bands_table(runs, quiet).items():
        table.add_row(
            name, f"{values['windows']:.0f}", _percent(values["picp90"], 1),
            _number(values.get("crps_skill_climatology"), 2),
        )  # fmt: skip
    console.print(table)
    table = _table("what an action changes, ms", ("before", "predicted", "90 %", "real"))
    for one in sorted(answers, key=lambda one: one.question.case.number):
        table.add_row(
            f"{one.question.case.kind} {one.question.case.target}: {one.question.action}",
            _number(one.before_ms), _number(one.predicted_ms),
            f"{_number(one.low_ms)} to {_number(one.high_ms)}", _number(one.real_ms),
        )  # fmt: skip
    console.print(table)


def _table(title: str, heads: Sequence[str]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right")
    return table


def _percent(value: float | None, digits: int = 0) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}%}"


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
