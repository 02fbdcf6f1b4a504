"""Commands about databases and dashboards: influx, dashboards."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from testbed.commands.options import JsonFile, RunPath, write_json
from testbed.errors import BadInput

dashboards = typer.Typer(help="Grafana dashboards as code.", no_args_is_help=True)
influx = typer.Typer(help="The copy of the telemetry in InfluxDB.", no_args_is_help=True)

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
    write_json(json_file, {"done": text})


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
    write_json(json_file, {"done": text})


@dashboards.command("build")
def dashboards_build(json_file: JsonFile = None) -> None:
    """Write the dashboards' JSON files from their code."""
    from dashboards.grafana.build import build

    written = [str(path) for path in build()]
    print("\n".join(written))
    write_json(json_file, {"files": written})


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
    write_json(json_file, {"done": done})
