"""The copy in a real InfluxDB 1.x: complete in the end, whatever happens to the server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from nodes.wire import Record
from testbed.errors import BadInput, EnvironmentProblem
from testbed.store import influx
from testbed.store.feed import Feeder
from testbed.store.influx_settings import InfluxSettings
from testbed.store.local_influxd import LocalInfluxd, available
from testbed.store.runfile import RunFolder

Until = Callable[[Callable[[], bool]], None]
OFFSET_NS = 1_700_000_000_000_000_000


def record(number: int, **fields: bool | int | float | str) -> Record:
    return Record(number, "link", {"link": "a>b", "kind": "isl"}, fields or {"x": number}, [1.0])


def fill(run: RunFolder, *records: Record) -> None:
    with run.telemetry_writer() as writer:
        writer.append(*records)


def count(settings: InfluxSettings, measurement: str = "link", field: str = "x") -> int:
    series = influx.query(settings, f'SELECT count("{field}") FROM "{measurement}"')
    return int(series[0]["values"][0][1]) if series else 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def settings(influxd: LocalInfluxd, request: pytest.FixtureRequest) -> InfluxSettings:
    return InfluxSettings(influxd.url, database=request.node.name)


def test_every_point_arrives_with_its_run_time_and_tags(run: RunFolder, settings: InfluxSettings) -> None:
    fill(run, *(record(n) for n in range(5000)))
    counters = influx.sync(run, settings)
    assert (counters.stored, counters.refused, counters.behind_bytes) == (5000, 0, 0)
    series = influx.query(settings, 'SELECT "x" FROM "link" GROUP BY *')
    assert [s["tags"] for s in series] == [{"kind": "isl", "link": "a>b", "run": run.id}]
    assert series[0]["values"] == [[OFFSET_NS + n, n] for n in range(5000)]


def test_names_and_text_survive_the_way(run: RunFolder, settings: InfluxSettings) -> None:
    fill(run, Record(1, "odd name,x", {"a b": "c=d, e"}, {"text": 'say "hi" \\ there', "f g": 1, "time": 2}))
    assert influx.sync(run, settings).refused == 0
    (series,) = influx.query(settings, 'SELECT * FROM "odd name,x"')
    row = dict(zip(series["columns"], series["values"][0], strict=True))
    assert row == {
        "time": OFFSET_NS + 1, "a b": "c=d, e", "run": run.id,
        "text": 'say "hi" \\ there', "f g": 1, "time_": 2,
    }  # fmt: skip


def test_a_name_that_begins_like_a_comment_is_stored(run: RunFolder, settings: InfluxSettings) -> None:
    fill(run, Record(1, "#odd", {}, {"x": 1}))
    assert influx.sync(run, settings).stored == 1
    assert influx.query(settings, 'SELECT "x" FROM "_#odd"')[0]["values"] == [[OFFSET_NS + 1, 1]]


def test_a_second_sync_sends_what_is_new_only(run: RunFolder, settings: InfluxSettings) -> None:
    fill(run, *(record(n) for n in range(100)))
    assert influx.sync(run, settings).stored == 100
    fill(run, *(record(n) for n in range(100, 150)))
    assert influx.sync(run, settings).stored == 50
    assert influx.sync(run, settings).stored == 0
    assert count(settings) == 150


def test_a_server_that_lost_its_data_gets_everything_again(run: RunFolder, settings: InfluxSettings) -> None:
    fill(run, *(record(n) for n in range(100)))
    influx.sync(run, settings)
    influx.query(settings, 'DROP MEASUREMENT "link"')
    assert influx.sync(run, settings, from_start=True).stored == 100
    assert count(settings) == 100


def test_another_database_is_filled_from_the_start(run: RunFolder, settings: InfluxSettings) -> None:
    fill(run, *(record(n) for n in range(100)))
    influx.sync(run, settings)
    other = InfluxSettings(settings.url, database="other")
    assert influx.sync(run, other).stored == 100
    assert count(other) == 100


def test_every_place_is_only_sent_what_it_does_not_have(run: RunFolder, settings: InfluxSettings) -> None:
    other = InfluxSettings(settings.url, database="beside")
    fill(run, *(record(n) for n in range(100)))
    assert [influx.sync(run, place).stored for place in (settings, other, settings, other)] == [
        100,
        100,
        0,
        0,
    ]


def test_one_place_written_in_two_ways_is_one_place(run: RunFolder, settings: InfluxSettings) -> None:
    fill(run, record(1))
    assert influx.sync(run, settings).stored == 1
    assert influx.sync(run, replace(settings, url=f"{settings.url}/")).stored == 0


def test_a_damaged_note_of_what_was_sent_means_sending_it_again(
    run: RunFolder, settings: InfluxSettings
) -> None:
    fill(run, record(1))
    influx.sync(run, settings)
    (run.path / influx.PROGRESS_FILE).write_text('["torn')
    assert influx.sync(run, settings).stored == 1


def test_a_number_after_a_whole_number_is_no_conflict(run: RunFolder, settings: InfluxSettings) -> None:
    fill(run, record(1, x=1), record(2, x=1.5), record(3, x=True))
    assert influx.sync(run, settings).refused == 0
    assert count(settings) == 3


def test_a_point_the_server_refuses_for_good_is_counted_and_costs_no_other(
    run: RunFolder, settings: InfluxSettings
) -> None:
    fill(run, *(record(n) for n in range(10)), record(10, x="text"), *(record(n) for n in range(11, 20)))
    counters = influx.sync(run, settings)
    assert (counters.stored, counters.refused) == (19, 1)
    assert "field type conflict" in counters.sentence()
    assert count(settings) == 19


def test_a_line_that_spoils_its_whole_request_costs_no_other(
    run: RunFolder, settings: InfluxSettings
) -> None:
    huge = Record(2**62, "link", {"link": "a>b", "kind": "isl"}, {"x": 1})  # a time beyond the database's
    fill(run, *(record(n) for n in range(10)), huge, *(record(n) for n in range(11, 20)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "epoch_offset_ns", lambda _: 2**62)
        counters = influx.sync(run, settings)
    assert (counters.stored, counters.refused) == (19, 1)
    assert count(settings) == 19


def test_a_server_killed_in_the_middle_of_a_run_has_every_point_in_the_end(
    run: RunFolder, tmp_path: Path, until: Until
) -> None:
    if not available():
        pytest.skip("influxd is not installed (Debian: apt-get install influxdb)")
    (tmp_path / "influxd").mkdir()
    server = LocalInfluxd(tmp_path / "influxd")
    settings = InfluxSettings(server.url)
    server.start()
    try:
        feed = Feeder(
            run.telemetry_path, influx.InfluxSink(run, settings), interval_s=0.02, backoff_max_s=0.1
        )
        feed.start()
        with run.telemetry_writer() as writer:
            writer.extend(record(n) for n in range(1000))
            until(lambda: feed.counters.stored == 1000)
            server.kill()
            writer.extend(record(n) for n in range(1000, 3000))
            until(lambda: feed.counters.failures >= 2)
            assert feed.counters.stored == 1000
            assert server.url in feed.counters.last_error
            server.start()
            writer.extend(record(n) for n in range(3000, 4000))
        counters = feed.finish(timeout_s=60)
        assert counters.behind_bytes == 0
        assert count(settings) == 4000
    finally:
        server.kill()


def test_without_a_server_the_run_is_whole_and_the_report_is_told(run: RunFolder, until: Until) -> None:
    settings = InfluxSettings(f"http://127.0.0.1:{free_port()}")
    feed = influx.feeder(run, settings)
    feed.start()
    fill(run, *(record(n) for n in range(1000)))
    until(lambda: feed.counters.failures > 0)
    before = feed.counters.failures
    counters = feed.finish(timeout_s=60)
    assert counters.failures <= before + 2  # it was not waited for: one attempt, and one that was under way
    assert len(list(run.records())) == 1000
    assert counters.stored == 0
    assert counters.behind_bytes == run.telemetry_path.stat().st_size
    assert f"{counters.behind_bytes} bytes of telemetry.jsonl not in it" in counters.sentence()


def test_a_server_that_hangs_does_not_hold_up_the_end_of_a_run(run: RunFolder) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        feed = influx.feeder(run, InfluxSettings(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        fill(run, record(1))
        feed.start()
        request, _ = silent.accept()  # and nobody answers it
        counters = feed.finish(timeout_s=0.1)
        request.close()
    assert counters.behind_bytes > 0
    assert counters.failures == 0  # the request was still waiting for its answer


def test_commands_say_that_there_is_no_server(run: RunFolder) -> None:
    settings = InfluxSettings(f"http://127.0.0.1:{free_port()}")
    fill(run, record(1))
    for command in (lambda: influx.setup(settings), lambda: influx.sync(run, settings)):
        with pytest.raises(EnvironmentProblem, match="Connection refused"):
            command()


def test_setup_makes_the_database_and_may_be_repeated(settings: InfluxSettings) -> None:
    assert influx.setup(settings) == influx.setup(settings)
    names = influx.query(settings, "SHOW DATABASES")[0]["values"]
    assert [settings.database] in names


def test_settings_come_from_the_scenario_and_the_token_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_TOKEN", "ada:secret")
    table = {"url": "http://db:8086", "database": "d", "org": "", "bucket": "", "token_variable": "MY_TOKEN"}
    settings = InfluxSettings.from_table(table)
    assert settings == InfluxSettings("http://db:8086", database="d", token="ada:secret")
    assert settings.login == (("u", "ada"), ("p", "secret"))
    assert "secret" not in repr(settings)
    assert InfluxSettings.from_table({**table, "url": ""}) is None


@pytest.mark.parametrize(
    ("values", "says"), [({"url": "db:8086"}, "url"), ({"url": "http://x", "bucket": "b"}, "org")]
)
def test_settings_that_cannot_work_are_bad_input(values: dict[str, str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        InfluxSettings(**values)


class TwoServer:
    """What InfluxDB 2.x answers to the calls that are made here, as its API describes them. Not a 2.x."""

    def __init__(self) -> None:
        self.buckets: list[dict[str, Any]] = []
        self.mappings: list[dict[str, Any]] = []
        self.lines: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.refusals: list[int] = []  # statuses to answer the next writes with
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/api/v2/buckets":
                    self.answer(200, {"buckets": server.buckets})
                elif path == "/api/v2/dbrps":
                    self.answer(200, {"content": server.mappings})
                elif path == "/api/v2/orgs":
                    self.answer(200, {"orgs": [{"id": "0123456789abcdef", "name": "lab"}]})
                else:
                    self.answer(404, {"code": "not found", "message": "path not found"})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                path = self.path.partition("?")[0]
                if path == "/api/v2/write" and server.refusals:
                    self.answer(server.refusals.pop(0), {"code": "unavailable", "message": "not now"})
                elif path == "/api/v2/write":
                    server.lines += body.decode().splitlines()
                    self.answer(204, None)
                elif path == "/api/v2/buckets":
                    server.buckets.append({**json.loads(body), "id": "b1", "retentionRules": []})
                    self.answer(201, server.buckets[-1])
                elif path == "/api/v2/dbrps":
                    server.mappings.append({**json.loads(body), "id": "m1"})
                    self.answer(201, server.mappings[-1])
                else:
                    self.answer(404, {"code": "not found", "message": "path not found"})

            def answer(self, status: int, value: Any) -> None:
                server.asked.append((self.path, self.headers["Authorization"]))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                data = b"" if value is None else json.dumps(value).encode()
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=lambda: self.http.serve_forever(poll_interval=0.01), daemon=True).start()


@pytest.fixture
def two() -> Iterator[TwoServer]:
    server = TwoServer()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_a_2x_server_is_written_to_as_its_api_describes(run: RunFolder, two: TwoServer) -> None:
    settings = InfluxSettings(
        f"http://127.0.0.1:{two.http.server_port}", org="lab", bucket="testbed", token="secret"
    )
    assert influx.setup(settings).endswith("bucket testbed was created, and has a name for InfluxQL now")
    assert influx.setup(settings).endswith("bucket testbed is there")
    assert [(m["database"], m["bucketID"]) for m in two.mappings] == [("testbed", "b1")]
    fill(run, record(1), record(2))
    assert influx.sync(run, settings).stored == 2
    assert two.lines == [f"link,kind=isl,link=a>b,run={run.id} x={n}.0 {OFFSET_NS + n}" for n in (1, 2)]
    assert {token for _, token in two.asked} == {"Token secret"}
    (written,) = [path for path, _ in two.asked if path.startswith("/api/v2/write")]
    assert "org=lab" in written
    assert "bucket=testbed" in written
    assert "precision=ns" in written


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_a_server_that_cannot_take_points_now_is_offered_them_again(
    run: RunFolder, two: TwoServer, status: int
) -> None:
    settings = InfluxSettings(f"http://127.0.0.1:{two.http.server_port}", org="lab", bucket="testbed")
    fill(run, record(1), record(2))
    two.refusals = [status]
    with pytest.raises(EnvironmentProblem, match=f"{status} not now"):
        influx.sync(run, settings)
    counters = influx.sync(run, settings)
    assert (counters.stored, counters.refused) == (2, 0)
    assert len(two.lines) == 2
