"""How well the twin notices, names and sizes what it is not told: seeded runs in virtual time, quiet days.

In each run one thing happens from a random moment on: rain, less capacity, loss, delay, a slow server, a
stale orbit, a wrong clock, of random size and place. Quiet runs, in which nothing happens, tell of false
alarms, as does the time before. What an action would change is asked, and tried. The twin is the live one's
core, given filtered telemetry alone. Runs take all cores; the times of updates are measured while they do.
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Iterator
from typing import Any, Final

from testbed.bench import Figures, _campaign_whatif
from testbed.bench import _campaign_figures as figures
from testbed.bench._campaign import Told, carry_out, ignore_interrupts
from testbed.bench._campaign_runs import QUIET_RUN_S, Case, draw, quiet
from testbed.bench._campaign_whatif import Answered, Question

SEED: Final = 1
RUNS: Final = 200
QUIET_DAYS: Final = 3.5
QUESTIONS: Final = 40
#: the short form
_QUICK_RUNS: Final = 14
_QUICK_RUN_S: Final = 130.0
_QUICK_QUIET_S: Final = 300.0
_QUICK_QUESTIONS: Final = 2

LIMITS: Final = {
    "update_ms_p99": 100.0,
    "cpu_share_at_1000_records_per_s": 0.2,
    "recovery_error_median": 0.02,
    "detection_s_p95": 5.0,
    "attribution_accuracy": 0.95,
    "crps_skill_climatology": 0.3,
}
#: what only many runs can show
FULL_LIMITS: Final = {
    "interval_coverage": 0.93,
    "interval_coverage_off": 0.02,
    "false_alarms_per_day": 1.0,
    "picp90_off": 0.02,
    "whatif_sign": 0.99,
    "whatif_size_error": 0.1,
}
_AT_LEAST: Final = frozenset(
    {"attribution_accuracy", "crps_skill_climatology", "interval_coverage", "whatif_sign"}
)


def run(quick: bool = False) -> Figures:
    """Carry the campaign out; `quick`: a few short runs and little quiet time."""
    cases: list[Case | Question]
    if quick:
        cases = [draw(number, SEED, _QUICK_RUN_S) for number in range(_QUICK_RUNS)]
        cases += [quiet(0, SEED, _QUICK_QUIET_S)]
    else:
        cases = [draw(number, SEED) for number in range(RUNS)]
        count = round(QUIET_DAYS * 86_400.0 / QUIET_RUN_S)
        cases += [quiet(number, SEED) for number in range(count)]
    questions = _QUICK_QUESTIONS if quick else QUESTIONS
    cases += [_campaign_whatif.draw(number, SEED) for number in range(questions)]
    done = list(_all(cases))
    answers = [one for one in done if isinstance(one, Answered)]
    told = sorted(
        (one for one in done if isinstance(one, Told)), key=lambda one: (not one.case.kind, one.case.number)
    )
    runs = [one for one in told if one.case.kind]
    still = [one for one in told if not one.case.kind]
    figures.print_tables(runs, still, answers)
    for one in told:
        for text in one.false:
            print(f"false alarm in {'run' if one.case.kind else 'quiet run'} {one.case.number}: {text}")
    tables: dict[str, Any] = {
        "confusion": figures.confusion_of(runs, still),
        "kinds": figures.kinds_of(runs),
        "bands": figures.bands_table(runs, still),
        "runs": [_row(one) for one in runs],
        "whatif": [_answer(one) for one in answers],
    }
    limits = LIMITS if quick else {**LIMITS, **FULL_LIMITS}
    measured = {**figures.figures_of(runs, still), **figures.whatif_figures(answers)}
    return Figures("twin", measured, limits, at_least=_AT_LEAST, tables=tables)


def _row(told: Told) -> dict[str, Any]:
    """A run in the JSON file: what happened, and what was said."""
    numbers = ("delay_s", "sigmas", "estimate", "low95", "high95")
    return {
        **_case(told.case),
        "cause": told.cause,
        "right": told.right,
        **{name: _finite(getattr(told, name)) for name in numbers},
        "others": told.others,
        "false": told.false,
    }


def _answer(answered: Answered) -> dict[str, Any]:
    """A what-if in the JSON file: what was asked, predicted, and came."""
    numbers = ("before_ms", "predicted_ms", "low_ms", "high_ms", "real_ms")
    question = answered.question
    return {
        **_case(question.case),
        "action": question.action,
        "measure": question.measure,
        "at_s": question.at_s,
        **{name: _finite(getattr(answered, name)) for name in numbers},
    }


def _case(case: Case) -> dict[str, Any]:
    return {
        "number": case.number,
        "kind": case.kind,
        "target": case.target,
        "size": case.size,
        "start_s": case.start_s,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _carry_out(case: Case | Question) -> Told | Answered:
    return _campaign_whatif.carry_out(case) if isinstance(case, Question) else carry_out(case)


def _all(cases: list[Case | Question]) -> Iterator[Told | Answered]:
    """Every case carried out, in any order, on all cores, with progress."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("twin"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeRemainingColumn()
    )  # fmt: skip
    context = multiprocessing.get_context("spawn")
    workers = min(len(cases), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    # the longest first, so that no core is left alone with one at the end
    ordered = sorted(cases, key=lambda one: -(one.case if isinstance(one, Question) else one).duration_s)
    with context.Pool(workers, ignore_interrupts) as pool, Progress(*columns, transient=True) as progress:
        task = progress.add_task("", total=len(ordered))
        for told in pool.imap_unordered(_carry_out, ordered):
            progress.advance(task)
            yield told
