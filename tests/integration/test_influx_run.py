"""Runs with a live copy in InfluxDB: a real server beside a supervised run, killed, or not there at all."""

from __future__ import annotations

import csv
import html
import math
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.grafana.build import dashboards
from dashboards.grafana.queries import PanelQuery, expand, queries
from testbed.errors import EnvironmentProblem
from testbed.store import influx
from testbed.store.influx_settings import InfluxSettings
from testbed.store.local_influxd import LocalInfluxd, available
from testbed.store.runfile import RunFolder
from tests.integration import harness

QUERIES = [query for dashboard in dashboards().values() for query in queries(dashboard)]
#: without a twin no verdict hangs on what the machine makes of eight seconds of statistics
SHORT = ("laptop", "--duration", "8", "--set", "deviations=[]", "--set", "twin.enabled=false")

#: measurement, tags, time in ns since 1970: what makes a point one of its own
Key = tuple[str, frozenset[tuple[str, str]], int]
Points = dict[Key, dict[str, float | str]]


def due(run: RunFolder) -> Points:
    """The points that the database has to hold of a run, made from the run's own file."""
    offset_ns = run.epoch_offset_ns()
    points: Points = {}
    count = 0
    for record in run.records():
        fields = {
            name: value if isinstance(value, str) else float(value)
            for name, value in record.fields.items()
            if isinstance(value, str) or math.isfinite(value)
        }
        if fields:
            count += 1
            tags = {name: value for name, value in record.tags.items() if value} | {"run": run.id}
            points[record.measurement, frozenset(tags.items()), record.t_ns + offset_ns] = fields
    assert len(points) == count, "two records of a run are one point of a database"
    return points


def held(settings: InfluxSettings, run: RunFolder) -> Points:
    """The points that the database holds of a run."""
    points: Points = {}
    for series in influx.query(settings, f"SELECT * FROM /.*/ WHERE \"run\" = '{run.id}' GROUP BY *"):
        tags = frozenset((name, value) for name, value in series["tags"].items() if value)
        for t_ns, *values in series["values"]:
            fields = zip(series["columns"][1:], values, strict=True)
            points[series["name"], tags, t_ns] = {name: value for name, value in fields if value is not None}
    return points


def links_held(settings: InfluxSettings, run: RunFolder) -> int:
    """How many points of links the database holds of a run."""
    try:
        series = influx.query(settings, f'SELECT count("packets_in") FROM link WHERE "run" = \'{run.id}\'')
    except EnvironmentProblem as error:
        if "database not found" not in str(error):
            raise
        return 0  # the run makes it when it has something to store
    return int(series[0]["values"][0][1]) if series else 0


def fills(started: harness.Started, settings: InfluxSettings) -> None:
    """Wait until the database holds points of links of a run that goes on."""
    run = started.folder
    started.until(lambda: links_held(settings, run) > 0, "points of links in the database")
    # more is still to be measured: what is there was not sent after the end only
    size = run.telemetry_path.stat().st_size
    started.until(lambda: run.telemetry_path.stat().st_size > size, "more telemetry")


def command(*arguments: str | Path) -> str:
    """A command that has to succeed; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "testbed", *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalInfluxd]:
    """A server; tests start and kill it as they need."""
    if not available():
        pytest.skip("influxd is not installed (Debian: apt-get install influxdb)")
    made = LocalInfluxd(tmp_path_factory.mktemp("influxd"))
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def fed(server: LocalInfluxd, tmp_path_factory: pytest.TempPathFactory) -> harness.Finished:
    """The default scenario, long enough for both deviations to be detected, and for an action to be verified.

    While it went on its points were already in the database, or it would not be here.
    """
    settings = InfluxSettings(server.url)
    return harness.run_in_time(
        tmp_path_factory.mktemp("fed"),
        *("laptop", "--duration", "30", "--set", f"store.influxdb.url={server.url}"),
        meanwhile=lambda started: fills(started, settings),
    )


def test_the_database_holds_every_record_of_the_run(fed: harness.Finished, server: LocalInfluxd) -> None:
    wanted = due(fed.run)
    assert len(wanted) > 5_000
    assert held(InfluxSettings(server.url), fed.run) == wanted


def test_a_complete_copy_is_nothing_to_speak_of(fed: harness.Finished) -> None:
    assert fed.report["telemetry"]["influxdb"]["stored"] == len(due(fed.run))
    assert fed.report["problems"] == []


@pytest.mark.parametrize("query", QUERIES, ids=[f"{q.place} {q.letter}".strip() for q in QUERIES])
def test_a_query_of_the_dashboards_has_an_answer(
    fed: harness.Finished, server: LocalInfluxd, query: PanelQuery
) -> None:
    times = [time_ns for _, _, time_ns in due(fed.run)]
    carried: Counter[str] = Counter()
    for record in fed.records("link"):
        # one with a radio: a line has no signal-to-noise ratio
        if "snr_db" in record.fields:
            carried[record.tags["link"]] += int(record.fields["packets_out"])
    text = expand(
        query.text,
        run=fed.run.id,
        link=carried.most_common(1)[0][0],
        start_ns=min(times),
        end_ns=max(times),
    )
    series = influx.query(InfluxSettings(server.url), text)
    rows = [row for one in series for row in one["values"]]
    assert rows
    for column in zip(*rows, strict=True):
        assert any(value is not None for value in column)


def test_another_database_is_set_up_and_filled_by_commands(
    fed: harness.Finished, server: LocalInfluxd
) -> None:
    said = command("influx", "setup", "--url", server.url, "--database", "lab")
    assert said == f"{server.url}: database lab is there\n"
    # the server is the one of the run's scenario
    said = command("influx", "sync", fed.run.path, "--database", "lab")
    wanted = due(fed.run)
    assert said == f"influxdb: {len(wanted)} records stored\n"
    assert held(InfluxSettings(server.url, database="lab"), fed.run) == wanted


def test_a_synchronised_copy_has_nothing_left_to_be_sent(fed: harness.Finished) -> None:
    assert command("influx", "sync", fed.run.path, "--database", "testbed") == "influxdb: 0 records stored\n"


def test_an_export_as_csv_has_a_row_for_every_record(fed: harness.Finished, tmp_path: Path) -> None:
    said = command("export", fed.run.path, "--to", "csv", "--out", tmp_path)
    rows = {}
    for name in said.splitlines():
        with open(name, newline="", encoding="utf-8") as file:
            rows[Path(name).stem] = len(list(csv.DictReader(file)))
    assert rows == Counter(record.measurement for record in fed.run.records())


def test_an_export_as_parquet_has_every_record_with_its_samples(
    fed: harness.Finished, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    said = command("export", fed.run.path, "--to", "parquet", "--out", tmp_path)
    tables = {Path(name).stem: parquet.read_table(name) for name in said.splitlines()}
    assert {name: table.num_rows for name, table in tables.items()} == Counter(
        record.measurement for record in fed.run.records()
    )
    assert tables["link"]["samples"].to_pylist() == [record.samples for record in fed.records("link")]


def test_an_export_as_line_protocol_is_taken_by_the_database_as_it_is(
    fed: harness.Finished, server: LocalInfluxd, tmp_path: Path
) -> None:
    settings = InfluxSettings(server.url, database="imported")
    influx.setup(settings)
    command("export", fed.run.path, "--to", "lp", "--out", tmp_path)
    body = (tmp_path / "telemetry.lp").read_bytes()
    with urllib.request.urlopen(f"{server.url}/write?db=imported&precision=ns", body) as answer:
        assert answer.status == 204
    assert held(settings, fed.run) == due(fed.run)


def assert_told(ended: harness.Finished, *parts: str) -> None:
    """The one sentence about the store stands in report.json, in the terminal and on the page."""
    (problem,) = ended.report["problems"]
    for part in parts:
        assert part in problem
    assert problem in " ".join(ended.output.split())
    assert html.escape(problem) in ended.run.report_html_path.read_text()


def test_a_server_killed_during_a_run_costs_it_nothing_and_is_caught_up_with(tmp_path: Path) -> None:
    if not available():
        pytest.skip("influxd is not installed (Debian: apt-get install influxdb)")
    (tmp_path / "influxd").mkdir()
    server = LocalInfluxd(tmp_path / "influxd")
    settings = InfluxSettings(server.url)

    def kill(started: harness.Started) -> None:
        server.start()
        try:
            fills(started, settings)
        finally:
            server.kill()

    url = f"store.influxdb.url={server.url}"
    ended = harness.run_in_time(tmp_path / "run", *SHORT, "--set", url, meanwhile=kill)
    assert (ended.status, ended.at_fault()) == (ended.status_due, {}), ended.output
    wanted = due(ended.run)
    missing = ended.report["telemetry"]["influxdb"]["behind_bytes"]
    assert_told(ended, "influxdb: unavailable", f"{missing} bytes of telemetry.jsonl not in it")
    server.start()
    try:
        before = held(settings, ended.run)
        assert 0 < len(before) < len(wanted)
        assert before.items() <= wanted.items()
        command("influx", "sync", ended.run.path)
        assert held(settings, ended.run) == wanted
    finally:
        server.kill()


def test_where_no_server_listens_the_run_says_so_and_is_whole(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"  # bound and not listening: nobody else's meanwhile
        ended = harness.run_in_time(tmp_path, *SHORT, "--set", f"store.influxdb.url={url}")
    assert (ended.status, ended.at_fault()) == (ended.status_due, {}), ended.output
    size = ended.run.telemetry_path.stat().st_size
    assert_told(ended, f"{size} bytes of telemetry.jsonl not in it", f"{url}: ", "Connection refused")
    assert ended.report["telemetry"]["embedded store"]["behind_bytes"] == 0
