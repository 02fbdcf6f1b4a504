"""Commands about runs and measurements: run, report, replay, validate, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.commands.options import JsonFile, RunPath, Sets, writable_folder, write_json
from testbed.errors import BadInput


def run(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A shipped name (testbed scenarios), or a file.")
    ],
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="Length of the run in seconds, 5 or more.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of every random decision, 0 or more.")
    ] = None,
    sets: Sets = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder in which the run's own folder is made.",
            callback=writable_folder,
        ),
    ] = Path("runs"),
    live: Annotated[
        bool, typer.Option("--live", help="Show every event as it happens, not only the progress.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Run a scenario: real processes through the emulated network, the twin beside them."""
    from testbed.scenario import load

    loaded = load(scenario, sets or (), duration, seed)
    from testbed.supervisor import run_scenario  # compiles and opens: only once the scenario is sound

    raise typer.Exit(run_scenario(loaded, out, json_file, live))


def report(path: RunPath, json_file: JsonFile = None) -> None:
    """Print the report of a finished run, and render it anew."""
    from testbed.report import print_summary, render

    rendered = render(path, json_file)
    print_summary(rendered)
    raise typer.Exit(rendered.exit_status)


def replay(path: RunPath, json_file: JsonFile = None) -> None:
    """Run again from the recorded arrivals, in virtual time, and compare."""
    from testbed.replay import replay_run

    raise typer.Exit(replay_run(path, json_file))


def validate(
    measured: Annotated[
        list[Path] | None, typer.Argument(metavar="MEASURED...", help="Files of measurements.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|auto", help="Model or comparison; without one they are listed."),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a parameter of it.")
    ] = None,
    site: Annotated[
        str, typer.Option(metavar="LAT,LON[,ALT]", help="Where it was measured: degrees, m.")
    ] = "",
    elements: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Elements of the satellites: TLE or OMM.")
    ] = None,
    calibrate: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="MEASURED",
            help="Measurements to calibrate the model on; without, the first half of the measurement.",
        ),
    ] = None,
    columns: Annotated[
        str, typer.Option(metavar="MAP", help="Columns of a table: time=COL,value=COL[,seq=COL][,unit=UNIT].")
    ] = "",
    quantity: Annotated[
        str, typer.Option(metavar="NAME", help="Where a file has several: rtt, delay or rate.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where figures, page, JSON and the calibrated model are written.",
            callback=writable_folder,
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Compare recorded measurements with the models.

    Comparisons: fade-statistics, rain-exceedance, rate-changes, rssi-trend, serving-satellite,
    throughput-weather. Models of a path, calibrated on one measurement and tested on another: auto,
    autoregressive, constant, empirical, handovers, slots.
    """
    from testbed.measured import validate as validation

    if len(model or ()) > 1:
        raise BadInput(f"--model is given {len(model or ())} times ({', '.join(model or ())}), give one")
    if not model and not measured:
        for name, about in validation.names().items():
            print(f"{name:<20}{about}")
        raise BadInput("validate: --model is missing, give one of those above")
    name = model[0] if model else validation.AUTO
    if name not in validation.models():
        validation.check_name(name)
        for option, given in (("--set", sets), ("--site", site), ("--elements", elements)):
            if given:
                raise BadInput(f"{option}: {name} has no use for it")
        if not measured:
            raise BadInput(f"validate --model {name}: name at least one file of measurements")
        from testbed.measured.fidelity import command

        study, content = command.validate(
            measured, calibrate or (), name, columns or None, command.quantity_of(quantity)
        )
        command.show(content)
        if out is not None:
            print("\n".join(str(path) for path in command.write(study, content, out)))
        write_json(json_file, content)
        raise typer.Exit(command.exit_status(content))
    for option, given in (("--columns", columns), ("--quantity", quantity)):
        if given:
            raise BadInput(f"{option}: {name} has no use for it")
    result = validation.validate(measured or [], name, sets or (), site, elements, calibrate or ())
    validation.show(result)
    if out is not None:
        print("\n".join(str(path) for path in validation.write(result, out)))
    write_json(json_file, validation.as_dict(result))
    raise typer.Exit(validation.exit_status(result))


def export(
    path: RunPath,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="csv, parquet or lp (line protocol).")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to; default: RUN/export.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Write a run's telemetry in another format."""
    from testbed.store.export import export as write
    from testbed.store.runfile import RunFolder

    written = [str(file) for file in write(RunFolder.open(path), to, out)]
    print("\n".join(written))
    write_json(json_file, {"files": written})
