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
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Final

from testbed.bench import Figures, _campaign_whatif, _whatif_time
from testbed.bench import _campaign_figures as figures
from testbed.bench._campaign import Told, carry_out, ignore_interrupts
from testbed.bench._campaign_runs import KINDS, QUIET_RUN_S, RUN_S, Case, draw, quiet
from testbed.bench._campaign_whatif import Answered, Question
from testbed.errors import BadInput

SEED: Final = 1
RUNS: Final = 200
QUIET_DAYS: Final = 3.5
QUESTIONS: Final = 40
#: the short form
_QUICK_RUNS: Final = 14
_QUICK_RUN_S: Final = 130.0
_QUICK_QUIET_S: Final = 300.0
_QUICK_QUESTIONS: Final = 2

SAVINGS_S: Final = 60.0
_QUICK_SAVINGS_S: Final = 20.0
#: shortest quiet run, s: it has to learn first
_LEAST_QUIET_S: Final = 120.0


@dataclass(frozen=True)
class Savings:
    """Edges and a centre on the laptop scenario, to see what suppression saves."""

    seed: int
    duration_s: float


#: what a run, a question or savings come to
Done = Told | Answered | dict[str, float]

LIMITS: Final = {
    "update_ms_p99": 100.0,
    "cpu_share_at_1000_records_per_s": 0.2,
    "recovery_error_median": 0.02,
    "detection_s_p95": 5.0,
    "attribution_accuracy": 0.95,
    "crps_skill_climatology": 0.3,
    "aoi_periods_p99": 2.0,
    "suppression_bytes_share": 0.1,
    "suppression_error_ratio": 1.2,
    "whatif_s_ten_candidates_60s": 1.0,
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


#: how much of the campaign each of these limits needs: runs, days, questions
_NEEDS: Final = {
    "interval_coverage": ("runs", RUNS),
    "interval_coverage_off": ("runs", RUNS),
    "false_alarms_per_day": ("quiet_days", 3.0),
    "picp90_off": ("quiet_days", 1.0),
    "whatif_sign": ("questions", QUESTIONS),
    "whatif_size_error": ("questions", QUESTIONS),
}
_MOST: Final = {"runs": 100_000, "quiet_days": 366.0, "questions": 100_000, "seed": 2**31 - 1}


def run(
    quick: bool = False,
    runs: int | None = None,
    quiet_days: float | None = None,
    questions: int | None = None,
    seed: int | None = None,
    kinds: str | None = None,
) -> Figures:
    """Carry the campaign out, or a part of it; `quick`: a few short runs and little quiet time.

    `kinds`: what may happen in the runs, comma between; by default everything in turn. An interrupt ends it
    with the figures of what is done. BadInput for a part that cannot be.
    """
    given = {"runs": runs, "quiet_days": quiet_days, "questions": questions, "seed": seed}
    _check(given)
    happening = _kinds_of(kinds)
    chosen: dict[str, float] = (
        {"runs": _QUICK_RUNS, "quiet_days": _QUICK_QUIET_S / 86_400.0, "questions": _QUICK_QUESTIONS}
        if quick
        else {"runs": RUNS, "quiet_days": QUIET_DAYS, "questions": QUESTIONS}
    )
    chosen |= {"seed": SEED} | {name: value for name, value in given.items() if value is not None}
    cases = _cases(chosen, quick, happening)
    measured, done = dict[str, float](), list[Done]()
    interrupted = False
    try:
        measured["whatif_s_ten_candidates_60s"] = _whatif_time.seconds()
        for one in _all(cases):
            done.append(one)
    except KeyboardInterrupt:
        if not done:
            raise
        interrupted = True
    result = _summed_up(done, measured)
    limits = {**LIMITS, **FULL_LIMITS}
    if quick or interrupted or kinds or any(value is not None for value in given.values()):
        # what a part of it cannot tell is shown without a limit
        limits = {
            key: limit
            for key, limit in limits.items()
            if math.isfinite(result[0].get(key, math.nan))
            and not (key in _NEEDS and (interrupted or chosen[_NEEDS[key][0]] < _NEEDS[key][1]))
        }
    return Figures("twin", result[0], limits, at_least=_AT_LEAST, tables=result[1], interrupted=interrupted)


def _check(given: dict[str, Any]) -> None:
    for name, value in given.items():
        option, most = "--" + name.replace("_", "-"), _MOST[name]
        if value is not None and not (math.isfinite(value) and 0 <= value <= most):
            raise BadInput(f"{option} {value:g}: allowed is 0 to {most:g}")
    if [given[name] for name in ("runs", "quiet_days", "questions")] == [0, 0, 0]:
        raise BadInput("--runs, --quiet-days and --questions are all 0: nothing is left to be measured")
    if given["runs"] == 0 and not (given["quiet_days"] or given["questions"]):
        raise BadInput("--runs 0: say with --quiet-days or --questions what is to be measured instead")


def _kinds_of(text: str | None) -> tuple[str, ...]:
    """Kinds as given, comma between."""
    kinds = KINDS if text is None else tuple(name.strip() for name in text.split(","))
    for name in kinds:
        if name not in KINDS:
            raise BadInput(f"--kinds {name!r}: allowed are {', '.join(KINDS)}")
    return kinds


def _cases(chosen: dict[str, float], quick: bool, kinds: tuple[str, ...]) -> list[Case | Question | Savings]:
    seed, run_s = int(chosen["seed"]), _QUICK_RUN_S if quick else RUN_S
    numbers = (number for number in count() if KINDS[number % len(KINDS)] in kinds)
    cases: list[Case | Question | Savings] = [
        draw(number, seed, run_s) for number in islice(numbers, int(chosen["runs"]))
    ]
    quiet_s = chosen["quiet_days"] * 86_400.0
    if quiet_s > 0.0:
        long_s = min(QUIET_RUN_S, max(quiet_s, _LEAST_QUIET_S))
        cases += [quiet(number, seed, long_s) for number in range(max(round(quiet_s / long_s), 1))]
    cases += [_campaign_whatif.draw(number, seed) for number in range(int(chosen["questions"]))]
    return [*cases, Savings(seed, _QUICK_SAVINGS_S if quick else SAVINGS_S)]


def _summed_up(done: list[Done], measured: dict[str, float]) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures and tables of what is done; they are printed too."""
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
    found = {**figures.figures_of(runs, still), **figures.whatif_figures(answers), **measured}
    for saved in (one for one in done if isinstance(one, dict)):
        found |= saved
    return found, tables


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


def _saved(savings: Savings) -> dict[str, float]:
    """What suppression saves on the laptop scenario, and what it costs."""
    from testbed.scenario import load
    from testbed.virtual.savings import suppression

    scenario = load("laptop", [f"run.seed={savings.seed}"], duration_s=savings.duration_s)
    found = suppression(scenario, settled_s=savings.duration_s / 4.0)
    return {
        "suppression_bytes_share": found["byte_share"], "suppression_error_ratio": found["error_ratio"],
    }  # fmt: skip


def _carry_out(case: Case | Question | Savings) -> Done:
    if isinstance(case, Savings):
        return _saved(case)
    return _campaign_whatif.carry_out(case) if isinstance(case, Question) else carry_out(case)


def _all(cases: list[Case | Question | Savings]) -> Iterator[Done]:
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
