"""The command `testbed whatif`: the predicted effect of actions, from what a twin believes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from testbed.commands.options import JsonFile, Sets, write_json
from testbed.errors import BadInput

if TYPE_CHECKING:
    from testbed.twin.public import Public
    from testbed.twin.whatif import Job, Report, Trial

#: candidates from which on worker processes are worth their start
_POOL_FROM = 12
_LONGEST_S = 3600.0


def whatif(
    subject: Annotated[
        str, typer.Argument(metavar="RUN|SCENARIO", help="A run's folder, or a scenario as it is published.")
    ],
    actions: Annotated[
        list[str] | None,
        typer.Option("--action", metavar="ACTION", help="route:avoid=gateway-site; several: all together."),
    ] = None,
    candidates: Annotated[
        list[str] | None,
        typer.Option("--candidate", metavar='"ACTION; ACTION"', help="Another candidate, to be compared."),
    ] = None,
    at: Annotated[
        float | None, typer.Option(metavar="S", help="Run time; default: the last belief, or the start.")
    ] = None,
    horizon: Annotated[float, typer.Option(metavar="S", help="How far ahead, 0.1 to 3600.")] = 20.0,
    scope: Annotated[
        list[str] | None, typer.Option(metavar="NODE", help="Tell of the flows of this node only.")
    ] = None,
    replications: Annotated[int, typer.Option(metavar="N", help="Truths that are tried, 1 to 1000.")] = 6,
    limit: Annotated[float, typer.Option(metavar="S", help="Most time it may take.")] = 60.0,
    sets: Sets = None,
    json_file: JsonFile = None,
) -> None:
    """Predict what an action would change, in virtual time, from a twin's belief."""
    from testbed.twin.whatif import Pool, finish, run

    job, known = _job(
        subject, actions or [], candidates or [], at, horizon, scope or [], replications, limit, sets or []
    )
    if len(job.candidates) < _POOL_FROM:
        report = run(job, known)
    else:
        with Pool(known, nice=0) as pool:
            report = finish(pool.submit(job))
    _show(report, job)
    write_json(json_file, _plain(report))


def _job(
    subject: str,
    actions: list[str],
    candidates: list[str],
    at: float | None,
    horizon: float,
    scope: list[str],
    replications: int,
    limit: float,
    sets: list[str],
) -> tuple[Job, Public]:
    """The job and what is known of the scenario; BadInput, one sentence, for what cannot be."""
    from testbed.actions import parse
    from testbed.twin.whatif import Job, Trial, trial
    from testbed.twin.whatif.job import check

    for option, value, low, high in (
        ("--horizon", horizon, 0.1, _LONGEST_S),
        ("--limit", limit, 0.001, 86_400.0),
        ("--replications", replications, 1, 1000),
    ):
        if not (math.isfinite(value) and low <= value <= high):
            raise BadInput(f"{option} {value:g}: allowed is {low:g} to {high:g}")
    trials = [Trial(tuple(parse(text) for text in actions))] if actions else []
    trials += [trial(text) for text in candidates]
    if not trials or not all(one.actions for one in trials):
        raise BadInput("whatif: --action or --candidate is missing, such as --action route:avoid=PLACE")
    for one in trials:
        _consistent(one)
    job = Job(0.0, trials, scope=scope, horizon_s=horizon, limit_s=limit, replications=replications)
    known = _from_run(Path(subject), job, at, sets) if Path(subject).is_dir() else None
    if known is None:
        from testbed.scenario import load
        from testbed.twin.public import of_scenario

        known = of_scenario(load(subject, sets))
        job.at_s = _within(0.0 if at is None else at, 0.0, known.run.duration_s, "of the run:")
    # The published world goes on after the run's end.
    known = known.until(max(known.run.duration_s, job.at_s + horizon + 1.0))
    return check(job, known), known


def _consistent(trial: Trial) -> None:
    """BadInput when two actions of a candidate say different things of the same subject."""
    from testbed.actions import Handover, Route, text_of

    said: dict[tuple[object, ...], Any] = {}
    for action in trial.actions:
        match action:
            case Route(avoid):
                subject: tuple[object, ...] = (Route, avoid)
            case Handover():
                continue  # a terminal may be barred from several
            case _:
                subject = (type(action), action.node)
        before = said.setdefault(subject, action)
        if before != action:
            raise BadInput(
                f"candidate {trial.text!r}: {text_of(before)!r} and {text_of(action)!r} contradict each "
                "other, allowed is one of a kind for a node or a place"
            )


def _from_run(path: Path, job: Job, at: float | None, sets: list[str]) -> Public:
    """Completes the job from what the twin of a run said, and tells what it was given."""
    from testbed.store.runfile import RunFolder
    from testbed.twin import told
    from testbed.twin.public import of_document

    if sets:
        raise BadInput("--set goes with a scenario; a run is as it was")
    folder = RunFolder.open(path)
    known = of_document(folder.public(), f"{path}/public.json")
    t0_ns = folder.run_info().get("t0_ns")
    records = [r for r in folder.records() if r.measurement in ("belief", "detection", "recovery", "action")]
    times = told.belief_times_s(records, t0_ns) if isinstance(t0_ns, int) else None
    if times is None or not isinstance(t0_ns, int):
        raise BadInput(f"{path}: the run's twin told no belief, so nothing can be predicted from it")
    first_s, last_s = (math.floor(t * 10) / 10 for t in times)
    job.at_s = _within(last_s if at is None else at, first_s, last_s, "in which the twin told its belief:")
    job.belief = told.belief_at(records, t0_ns, job.at_s + 0.1)
    job.standing = told.standing_at(records, t0_ns, job.at_s)
    return known


def _within(at_s: float, first_s: float, last_s: float, whose: str) -> float:
    if not (math.isfinite(at_s) and first_s <= at_s <= last_s):
        raise BadInput(f"--at {at_s:g}: allowed is the time {whose} {first_s:g} to {last_s:g} s")
    return at_s


def _plain(report: Report) -> Any:
    """The report as JSON: what is no number is null."""
    import msgspec

    from testbed.report.document import finite

    return finite(msgspec.to_builtins(report))


def _show(report: Report, job: Job) -> None:
    from rich.console import Console
    from rich.table import Table

    from testbed.twin.whatif import DELAY, TASK

    console = Console()
    console.print(
        f"at {report.t_s:g} s, {report.horizon_s:g} s ahead, {report.replications} replications in "
        f"{report.took_s:.1f} s; holds for {report.validity_s:g} s, until links change",
        highlight=False,
    )
    if report.sentence:
        console.print(f"not all: {report.sentence}", style="yellow", highlight=False)
    brief = len(report.candidates) > 3 and not job.scope
    titles = {DELAY: "all datagrams", TASK: "all tasks"}
    for candidate in report.candidates:
        table = Table(
            title=candidate.text, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0)
        )
        table.add_column("latency, ms", no_wrap=True)
        for column in ("as it is", "with it", "change, 90 %", "loss, %", "gain?"):
            table.add_column(column, justify="right", no_wrap=True)
        for name, measures in candidate.flows.items():
            change = candidate.changes.get(name)
            if change is None or (brief and name not in titles):
                continue
            before, by = report.baseline.flows[name], change.latency_ms
            table.add_row(
                titles.get(name, name.replace(" reading", "")),
                f"{before.latency_ms.mean:.1f}",
                f"{measures.latency_ms.mean:.1f}",
                f"{by.mean:+.1f} ({by.low:+.1f} to {by.high:+.1f})",
                f"{before.loss * 100:.1f} > {measures.loss * 100:.1f}",
                f"{change.gain_probability:.0%}",
            )
        console.print(table)
        loads = ", ".join(
            f"{name} {report.baseline.server_load[name]:.0%} > {load:.0%}"
            for name, load in candidate.server_load.items()
        )
        if loads:
            console.print(f"load of servers: {loads}", style="dim", highlight=False)
