"""Pushing dashboards, against a server of this test that keeps the part of Grafana's API used here.

It is not a Grafana: it answers and refuses as the API's documentation says (404 for what is not there, 409
and 412 for what is there already, 400 for a dashboard whose folder is missing). What a real one does with a
panel is not tested here.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from dashboards.grafana import testbed_run
from dashboards.grafana.panels import DATASOURCE_UID
from dashboards.grafana.push import DATASOURCE_NAME, FOLDER_UID, datasource, push
from testbed.cli import main
from testbed.errors import BadInput, EnvironmentProblem
from testbed.store.influx_settings import InfluxSettings

TOKEN = "glsa_token"
INFLUX_URL = "http://db:8086"
INFLUX = InfluxSettings(INFLUX_URL)
Answer = tuple[int, Any]


class Contract:
    """What there is on the server, and what may be done to it."""

    def __init__(self) -> None:
        self.sources: dict[int, dict[str, Any]] = {}
        self.folders: dict[str, dict[str, Any]] = {}
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []

    def answer(self, method: str, path: str, login: str, body: Any) -> Answer:
        self.calls.append(f"{method} {path}")
        if login not in (f"Bearer {TOKEN}", "Basic " + base64.b64encode(b"admin:secret").decode()):
            return 401, {"message": "Invalid API key"}
        if method == "GET" and (found := re.fullmatch(r"/api/datasources/name/(.+)", path)):
            named = [s for s in self.sources.values() if s["name"] == found[1].replace("%20", " ")]
            return (200, named[0]) if named else (404, {"message": "Data source not found"})
        if method == "POST" and path == "/api/datasources":
            if any(s["name"] == body["name"] for s in self.sources.values()):
                return 409, {"message": "data source with the same name already exists"}
            number = len(self.sources) + 1
            self.sources[number] = {**body, "id": number, "readOnly": False}
            return 200, {"id": number, "message": "Datasource added"}
        if method == "PUT" and (found := re.fullmatch(r"/api/datasources/(\d+)", path)):
            if int(found[1]) not in self.sources:
                return 404, {"message": "Data source not found"}
            if self.sources[int(found[1])]["readOnly"]:
                return 403, {"message": "Cannot update read-only data source"}
            self.sources[int(found[1])] |= body
            return 200, {"message": "Datasource updated"}
        if method == "GET" and (found := re.fullmatch(r"/api/folders/(.+)", path)):
            folder = self.folders.get(found[1])
            return (200, folder) if folder else (404, {"message": "folder not found"})
        if method == "POST" and path == "/api/folders":
            if body["uid"] in self.folders:
                return 412, {"message": "a folder with the same uid exists"}
            self.folders[body["uid"]] = body
            return 200, body
        if method == "POST" and path == "/api/dashboards/db":
            return self._dashboard(body)
        return 404, {"message": "Not found"}

    def _dashboard(self, body: Any) -> Answer:
        uid = body["dashboard"]["uid"]
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found"}
        if uid in self.dashboards and not body.get("overwrite"):
            return 412, {"message": "A dashboard with the same uid already exists"}
        self.dashboards[uid] = body["dashboard"]
        return 200, {"uid": uid, "url": f"/d/{uid}/testbed-run", "status": "success"}


class Server(Contract):
    """The contract over HTTP, on the loopback interface."""

    def __init__(self) -> None:
        super().__init__()
        contract = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                size = int(self.headers["Content-Length"] or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                status, value = contract.answer(self.command, self.path, self.headers["Authorization"], body)
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - the names the base class looks for

            def log_message(self, *_: Any) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=lambda: self.http.serve_forever(poll_interval=0.01), daemon=True).start()


@pytest.fixture
def grafana() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_an_empty_grafana_gets_data_source_folder_and_dashboards(grafana: Server) -> None:
    said = push(grafana.url, TOKEN, InfluxSettings(INFLUX_URL, database="lab"))
    (source,) = grafana.sources.values()
    assert (source["uid"], source["url"], source["jsonData"]["dbName"]) == (DATASOURCE_UID, INFLUX_URL, "lab")
    assert set(grafana.folders) == {FOLDER_UID}
    assert grafana.dashboards == {testbed_run.UID: testbed_run.dashboard()}
    assert f"{grafana.url}/d/{testbed_run.UID}/testbed-run" in said[-1]


def test_a_second_push_changes_what_the_first_one_made(grafana: Server) -> None:
    push(grafana.url, TOKEN, INFLUX)
    push(grafana.url, TOKEN, InfluxSettings("http://elsewhere:8086"))
    (source,) = grafana.sources.values()
    assert source["url"] == "http://elsewhere:8086"
    assert len(grafana.folders) == len(grafana.dashboards) == 1


def test_what_is_needed_comes_before_what_needs_it(grafana: Server) -> None:
    push(grafana.url, TOKEN, INFLUX)
    assert [call.split("?")[0] for call in grafana.calls] == [
        f"GET /api/datasources/name/{DATASOURCE_NAME.replace(' ', '%20')}",
        "POST /api/datasources",
        f"GET /api/folders/{FOLDER_UID}",
        "POST /api/folders",
        "POST /api/dashboards/db",
    ]


def test_a_provisioned_data_source_is_left_alone(grafana: Server) -> None:
    grafana.sources[1] = {
        "name": DATASOURCE_NAME,
        "uid": DATASOURCE_UID,
        "id": 1,
        "readOnly": True,
        "url": "x",
    }
    push(grafana.url, TOKEN, INFLUX)
    assert grafana.sources[1]["url"] == "x"
    assert testbed_run.UID in grafana.dashboards


def test_a_user_with_a_password_may_push(grafana: Server) -> None:
    push(grafana.url, "admin:secret", INFLUX)
    assert testbed_run.UID in grafana.dashboards


def test_a_token_that_is_not_accepted_changes_nothing_and_is_told(grafana: Server) -> None:
    with pytest.raises(EnvironmentProblem, match="does not accept"):
        push(grafana.url, "wrong", INFLUX)
    assert not grafana.sources


def test_a_refusal_is_told_in_the_words_of_the_server(grafana: Server) -> None:
    grafana.sources[1] = {"name": DATASOURCE_NAME, "uid": "another", "id": 1, "readOnly": True}
    with pytest.raises(EnvironmentProblem, match="read-only"):
        push(grafana.url, TOKEN, INFLUX)


def test_no_server_is_told(grafana: Server) -> None:
    grafana.http.shutdown()
    grafana.http.server_close()
    with pytest.raises(EnvironmentProblem, match=r"does not answer.*refused"):
        push(grafana.url, TOKEN, INFLUX)


@pytest.mark.parametrize(
    ("url", "token", "says"), [("localhost:3000", TOKEN, "url"), ("http://x", "", "TOKEN")]
)
def test_input_that_cannot_work_is_bad(url: str, token: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        push(url, token, INFLUX)


def test_the_command_pushes_a_2x_server_with_its_login(
    grafana: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)
    monkeypatch.setenv("INFLUX_TOKEN", "secret")
    options = ["--url", grafana.url, "--influx-url", INFLUX_URL, "--org", "lab", "--bucket", "runs"]
    with pytest.raises(SystemExit, match="0"):
        main(["dashboards", "push", *options])
    (source,) = grafana.sources.values()
    assert source["database"] == "runs"
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token secret"}


def test_a_2x_data_source_logs_in_with_its_token_and_speaks_influxql() -> None:
    source = datasource(InfluxSettings(INFLUX_URL, org="lab", bucket="runs", token="secret"))
    assert source["database"] == "runs"
    assert source["jsonData"]["httpHeaderName1"] == "Authorization"
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token secret"}


def test_a_1x_data_source_logs_in_with_user_and_password() -> None:
    source = datasource(InfluxSettings(INFLUX_URL, token="ada:secret"))
    assert source["user"] == "ada"
    assert source["secureJsonData"] == {"password": "secret"}
