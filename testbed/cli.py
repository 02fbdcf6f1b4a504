"""The command line `testbed`: reads arguments, calls the module that does the work, gives the exit status.

Nothing is computed here. Every import of ours is inside its command, so that `testbed node` on a board
stays light. Exit status: 0 all verdicts hold, 1 one failed, 2 bad input, 3 the environment cannot do it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from testbed.errors import BadInput, TestbedError

#: what a mistake in the arguments raises, whichever copy of click typer brings
_UsageError: Any = typer.BadParameter.__bases__[0]

#: our packages: one of theirs that is missing is not a matter of what is installed
_OURS = ("testbed", "emulator", "nodes", "firmware_bridge", "dashboards")

#: the order of the help: from a run to what it needs
_ORDER = (
    "run", "report", "replay", "validate", "bench", "export", "influx", "node", "bridge", "dashboards",
    "doctor", "schema", "scenarios",
)  # fmt: skip


class _InOrder(typer.core.TyperGroup):
    """Lists commands and groups of commands in `_ORDER`; others after them, as they are defined."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(
            super().list_commands(ctx), key=lambda n: _ORDER.index(n) if n in _ORDER else len(_ORDER)
        )


app = typer.Typer(
    cls=_InOrder,
    help="Emulation testbed for digital twins of integrated satellite-terrestrial networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _writable(option: str, path: Path | None, folder: bool = False) -> Path | None:
    """Refuse a file or folder that cannot be written before the work is done, not after it.

    Whatever is made to try it is removed again.
    """
    if path is None:
        return None
    tried = path / f".testbed-{os.getpid()}" if folder else path
    missing = list(itertools.takewhile(lambda one: not one.exists(), tried.parents))
    new = not tried.exists()
    try:
        tried.parent.mkdir(parents=True, exist_ok=True)
        tried.open("ab").close()
        if new:
            tried.unlink()
    except OSError as error:
        reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
        raise BadInput(f"{option} {path}: cannot be written ({reason})") from None
    finally:
        for made in missing:
            with contextlib.suppress(OSError):
                made.rmdir()
    return path


def _writable_file(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    return _writable(parameter.opts[0], path)


def _writable_folder(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    return _writable(parameter.opts[0], path, folder=True)


JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Also write what is printed, as JSON.",
        callback=_writable_file,
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a key: run.duration_s=20, deviations=[]"),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, such as runs/laptop-...")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; ends the process with the exit status."""
    command = typer.main.get_command(app)
    try:
        status = command(None if arguments is None else list(arguments), "testbed", standalone_mode=False)
    except TestbedError as error:
        status = _complain(error, error.exit_status)
    except _UsageError as error:
        status = _complain(error.format_message() or "no command given", 2)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in _OURS:
            raise
        status = _complain(
            f"{error.name} is not installed, and this command needs the full set: "
            "pip install 'istn-testbed[lab]'",
            3,
        )
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    if status == 130:  # typer makes of Ctrl-C an exit of its own
        _complain("interrupted", status)
    sys.exit(status if isinstance(status, int) else 0)


def _complain(text: object, status: int) -> int:
    print(f"testbed: {text}", file=sys.stderr)
    return status


def _write_json(path: Path | None, content: object) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--json {path}: cannot be written ({error.strerror})") from None


# --- runs --------------------------------------------------------------------------------------------


@app.command()
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
            callback=_writable_folder,
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


@app.command()
def report(path: RunPath, json_file: JsonFile = None) -> None:
    """Print the report of a finished run, and render it anew."""
    from testbed.report import print_summary, render

    rendered = render(path, json_file)
    print_summary(rendered)
    raise typer.Exit(rendered.exit_status)


@app.command()
def replay(path: RunPath, json_file: JsonFile = None) -> None:
    """Run again from the recorded arrivals, in virtual time, and compare."""
    from testbed.replay import replay_run

    raise typer.Exit(replay_run(path, json_file))


@app.command()
def validate(
    measured: Annotated[
        list[Path] | None, typer.Argument(metavar="MEASURED...", help="Files of measurements.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Which comparison; without one they are listed.")
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
        list[Path] | None, typer.Option(metavar="MEASURED", help="Measurements to calibrate the model on.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where figure, page and JSON are written.",
            callback=_writable_folder,
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Compare recorded measurements with the models.

    Models: fade-statistics, rain-exceedance, rssi-trend, serving-satellite.
    """
    from testbed.measured import validate as validation

    if not model:
        for name, about in validation.models().items():
            print(f"{name:<20}{about}")
        raise BadInput("validate: --model is missing, give one of those above")
    if len(model) > 1:
        raise BadInput(f"--model is given {len(model)} times ({', '.join(model)}), give one")
    result = validation.validate(measured or [], model[0], sets or (), site, elements, calibrate or ())
    validation.show(result)
    if out is not None:
        print("\n".join(str(path) for path in validation.write(result, out)))
    _write_json(json_file, validation.as_dict(result))
    raise typer.Exit(validation.exit_status(result))


@app.command()
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
    _write_json(json_file, {"files": written})


# --- what there is -----------------------------------------------------------------------------------


@app.command()
def scenarios(json_file: JsonFile = None) -> None:
    """List the scenarios that come with the testbed."""
    from testbed.scenario import shipped

    found = shipped()
    width = max(len(name) for name, _, _ in found)
    for name, about, _ in found:
        print(f"{name:<{width}}  {about}")
    _write_json(json_file, [{"name": n, "about": about, "path": str(path)} for n, about, path in found])


@app.command()
def schema(json_file: JsonFile = None) -> None:
    """Print the JSON Schema of scenario files."""
    from testbed.scenario import json_schema

    content = json_schema()
    print(json.dumps(content, indent=2, ensure_ascii=False))
    _write_json(json_file, content)


@app.command()
def doctor(json_file: JsonFile = None) -> None:
    """Say what this machine can do, and how to get what is missing."""
    from testbed.doctor import examine, status

    findings = examine()
    for finding in findings:
        print(f"{finding.mark:<9}{finding.subject:<20}{finding.text}")
        if finding.remedy:
            print(f"{'':<29}-> {finding.remedy}")
    _write_json(json_file, [finding.as_dict() for finding in findings])
    raise typer.Exit(status(findings))


@app.command()
def bench(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Which one, or `all`; without one they are listed.")
    ] = "",
    elements: Annotated[
        Path | None, typer.Option(metavar="PATH", help="epoch: measure with this TLE or OMM file too.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="epoch: draw how cost grows, as PNG.",
            callback=_writable_file,
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Measure this machine: figures beside the limits they should keep."""
    from testbed.bench import known, run_bench

    if not name:
        for each, about in known().items():
            print(f"{each:<12}{about}")
        raise BadInput("bench: NAME is missing, give one of those above, or all")
    content, holds = run_bench(name, elements=elements, plot=plot)
    _write_json(json_file, content)
    raise typer.Exit(0 if holds else 1)


# --- on a board ----------------------------------------------------------------------------------------

_PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def _become(module: str, arguments: Sequence[str]) -> None:
    """Replace this process by `python -m MODULE`: a node keeps nothing of the command line in memory."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


@app.command(context_settings=_PASS_ON)
def node(context: typer.Context) -> None:
    """Run one node: --id ID --role ROLE --connect ENDPOINT."""
    _become("nodes", context.args)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def bridge(
    context: typer.Context,
    connect: Annotated[str, typer.Option(metavar="ENDPOINT", help="The supervisor, tcp://HOST:PORT.")],
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="Node id of the device, one for each port; default mcu-N."),
    ] = None,
) -> None:
    """Join serial devices: testbed bridge PORT|URL ... --connect ENDPOINT.

    Ports come first. Further options: python -m firmware_bridge bridge --help.
    """
    ports = list(itertools.takewhile(lambda word: not word.startswith("-"), context.args))
    options = context.args[len(ports) :]
    if not ports:
        raise BadInput(
            "bridge: name at least one port, before further options, such as /dev/ttyACM0 or socket://HOST:PORT"
        )
    port = re.fullmatch(r"tcp://\S+:(\d{1,5})|(?:ipc|inproc)://\S+", connect)
    if port is None or not 0 < int(port[1] or 1) < 65_536:
        raise BadInput(f"--connect {connect!r} must be an endpoint such as tcp://127.0.0.1:5555")
    names = ids or [f"mcu-{number}" for number in range(1, len(ports) + 1)]
    if len(names) != len(ports):
        raise BadInput(
            f"--id: given {len(names)} times, but must be given once for each of {len(ports)} ports"
        )
    for each in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,62}", each) or names.count(each) > 1:
            raise BadInput(
                f"--id {each!r}: must be letters, digits, '-' and '_', beginning with a letter, each once"
            )
    commands = [
        ["bridge", "--id", name, "--port", port, "--connect", connect, *options]
        for name, port in zip(names, ports, strict=True)
    ]
    if len(commands) == 1:
        _become("firmware_bridge", commands[0])
    started = [
        subprocess.Popen([sys.executable, "-m", "firmware_bridge", *each, "--with-parent"])
        for each in commands
    ]
    raise typer.Exit(max(process.wait() for process in started))


# --- databases and dashboards ------------------------------------------------------------------------

dashboards = typer.Typer(help="Grafana dashboards as code.", no_args_is_help=True)
influx = typer.Typer(help="The copy of the telemetry in InfluxDB.", no_args_is_help=True)
app.add_typer(dashboards, name="dashboards")
app.add_typer(influx, name="influx")

Url = Annotated[str, typer.Option(metavar="URL", help="Of the server; default: as the run's scenario says.")]
Database = Annotated[str, typer.Option(help="Database of InfluxDB 1.x.")]
Org = Annotated[str, typer.Option(help="Organisation of InfluxDB 2.x.")]
Bucket = Annotated[str, typer.Option(help="Bucket of InfluxDB 2.x; without one the server is 1.x.")]
TokenVariable = Annotated[str, typer.Option(help="Environment variable that holds the token.")]


@influx.command("setup")
def influx_setup(
    url: Annotated[str, typer.Option(metavar="URL", help="Of the server.")] = "http://127.0.0.1:8086",
    database: Database = "testbed",
    org: Org = "",
    bucket: Bucket = "",
    token_variable: TokenVariable = "INFLUX_TOKEN",
    json_file: JsonFile = None,
) -> None:
    """Create the database (1.x) or the bucket (2.x)."""
    from testbed.store.influx import setup
    from testbed.store.influx_settings import InfluxSettings

    table = {"url": url, "database": database, "org": org, "bucket": bucket, "token_variable": token_variable}
    settings = InfluxSettings.from_table(table)
    if settings is None:
        raise BadInput("--url: must be an address such as http://127.0.0.1:8086")
    text = setup(settings)
    print(text)
    _write_json(json_file, {"done": text})


@influx.command("sync")
def influx_sync(
    path: RunPath,
    url: Url = "",
    database: Database = "",
    org: Org = "",
    bucket: Bucket = "",
    token_variable: TokenVariable = "",
    again: Annotated[bool, typer.Option("--again", help="Send everything, not only what is new.")] = False,
    json_file: JsonFile = None,
) -> None:
    """Send a run's telemetry, as far as the server does not have it yet.

    Without --url to the place that the run's scenario names, changed as far as the other options say.
    """
    from testbed.store.influx import sync
    from testbed.store.influx_settings import InfluxSettings
    from testbed.store.runfile import RunFolder

    folder = RunFolder.open(path)
    given = {"url": url, "database": database, "org": org, "bucket": bucket, "token_variable": token_variable}
    table = {} if url else folder.scenario().get("store", {}).get("influxdb", {})
    settings = InfluxSettings.from_table({**table, **{key: value for key, value in given.items() if value}})
    if settings is None:
        raise BadInput(f"{path}: its scenario names no store.influxdb.url; give one with --url")
    text = sync(folder, settings, from_start=again).summary()
    print(text)
    _write_json(json_file, {"done": text})


@dashboards.command("build")
def dashboards_build(json_file: JsonFile = None) -> None:
    """Write the dashboards' JSON files from their code."""
    from dashboards.grafana.build import build

    written = [str(path) for path in build()]
    print("\n".join(written))
    _write_json(json_file, {"files": written})


@dashboards.command("push")
def dashboards_push(
    url: Annotated[str, typer.Option(metavar="URL", help="Of the Grafana server.")] = "http://127.0.0.1:3000",
    influx_url: Annotated[
        str, typer.Option(metavar="URL", help="Of the InfluxDB, as Grafana reaches it.")
    ] = "http://127.0.0.1:8086",
    database: Database = "testbed",
    org: Org = "",
    bucket: Bucket = "",
    influx_token_variable: TokenVariable = "INFLUX_TOKEN",
    token_variable: Annotated[
        str, typer.Option(help="Environment variable: a service token, or user:password.")
    ] = "GRAFANA_TOKEN",
    json_file: JsonFile = None,
) -> None:
    """Put data source, folder and dashboards into a Grafana; doing it again changes nothing."""
    from dashboards.grafana.push import push
    from testbed.store.influx_settings import InfluxSettings

    token, influx_token = (os.environ.get(name, "") for name in (token_variable, influx_token_variable))
    done = push(url, token, InfluxSettings(influx_url, database, org, bucket, influx_token))
    print("\n".join(done))
    _write_json(json_file, {"done": done})
