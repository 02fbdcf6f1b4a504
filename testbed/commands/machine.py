"""Commands about what there is and what this machine can do: scenarios, schema, doctor, bench."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from testbed.commands.options import JsonFile, readable_file, writable_file, write_json
from testbed.errors import BadInput


def scenarios(json_file: JsonFile = None) -> None:
    """List the scenarios that come with the testbed."""
    from testbed.scenario import shipped

    found = shipped()
    width = max(len(name) for name, _, _ in found)
    for name, about, _ in found:
        print(f"{name:<{width}}  {about}")
    write_json(json_file, [{"name": n, "about": about, "path": str(path)} for n, about, path in found])


def schema(json_file: JsonFile = None) -> None:
    """Print the JSON Schema of scenario files."""
    from testbed.scenario import json_schema

    content = json_schema()
    print(json.dumps(content, indent=2, ensure_ascii=False))
    write_json(json_file, content)


def doctor(json_file: JsonFile = None) -> None:
    """Say what this machine can do, and how to get what is missing."""
    from testbed.doctor import examine, status

    findings = examine()
    for finding in findings:
        print(f"{finding.mark:<9}{finding.subject:<20}{finding.text}")
        if finding.remedy:
            print(f"{'':<29}-> {finding.remedy}")
    write_json(json_file, [finding.as_dict() for finding in findings])
    raise typer.Exit(status(findings))


def bench(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Which one, or `all`; without one they are listed.")
    ] = "",
    elements: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="epoch: measure with this TLE or OMM file too.", callback=readable_file
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="epoch: draw how cost grows, as PNG.",
            callback=writable_file,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="trace: CSV with a time column and rtt_ms or delay_ms.",
            callback=readable_file,
        ),
    ] = None,
    duration: Annotated[float | None, typer.Option(metavar="S", help="soak, trace: how long.")] = None,
    rate: Annotated[float | None, typer.Option(metavar="N", help="soak: messages a second.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="twin: the short form, under a minute.")] = False,
    runs: Annotated[int | None, typer.Option(metavar="N", help="twin: runs in which one happens.")] = None,
    quiet_days: Annotated[float | None, typer.Option(metavar="D", help="twin: days without.")] = None,
    questions: Annotated[int | None, typer.Option(metavar="N", help="twin: what-ifs tried.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="twin: of the campaign.")] = None,
    kinds: Annotated[
        str | None, typer.Option(metavar="KIND,...", help="twin: what may happen in its runs.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Measure this machine: figures beside the limits they should keep."""
    from testbed.bench import known, run_bench

    if not name:
        for each, about in known().items():
            print(f"{each:<12}{about}")
        raise BadInput("bench: NAME is missing, give one of those above, or all")
    content, status = run_bench(
        name, elements=elements, plot=plot, trace=trace, duration=duration, rate=rate, quick=quick or None,
        runs=runs, quiet_days=quiet_days, questions=questions, seed=seed, kinds=kinds,
    )  # fmt: skip
    write_json(json_file, content)
    raise typer.Exit(status)
