"""The connection to InfluxDB 1.x or 2.x: influxdb-client, and what it takes to talk to a 1.x with it.

InfluxDB 1.x has no `/api/v2/write`; there the call is sent to `/write` instead, with the database in the
place of the bucket. Both versions answer InfluxQL at `/query`. Imports influxdb-client, which is slow to
load: `influx` imports this module when it is needed.
"""

from __future__ import annotations

import importlib
import json
from typing import Any, Final

from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from testbed.store.influx_settings import InfluxSettings

CONNECT_TIMEOUT_MS: Final = 2_000
READ_TIMEOUT_MS: Final = 10_000

__all__ = ["ApiException", "Connection", "HTTPError"]

# typed in part only: half of its calls would be errors to a strict type checker
_library: Any = importlib.import_module("influxdb_client")


class Connection:
    """An open client. Its calls raise ApiException (the server's no) or HTTPError (no server)."""

    def __init__(self, settings: InfluxSettings) -> None:
        self.settings = settings
        self._client = _library.InfluxDBClient(
            settings.url,
            token=settings.token or None,
            org=settings.org or "-",  # the client insists on one, a 1.x has none
            timeout=(CONNECT_TIMEOUT_MS, READ_TIMEOUT_MS),
        )
        if not settings.is_v2:
            _write_to_old_api(self._client.api_client, settings)
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)

    def write(self, lines: list[str]) -> None:
        """Store lines of line protocol, in one request; returns when the server has acknowledged them."""
        self._writer.write(bucket=self.settings.bucket or self.settings.database, record="\n".join(lines))

    def query(self, influxql: str, *, post: bool = False) -> list[dict[str, Any]]:
        """The series that answer InfluxQL statements, one after the other; times in ns since 1970."""
        parameters = [
            ("q", influxql),
            ("epoch", "ns"),
            ("db", self.settings.bucket or self.settings.database),
        ]
        response = self._client.api_client.call_api(
            "/query",
            "POST" if post else "GET",
            query_params=[*parameters, *self.settings.login],
            _preload_content=False,
            _return_http_data_only=True,
        )
        series: list[dict[str, Any]] = []
        for result in json.loads(response.data).get("results", []):
            if "error" in result:
                refusal: Any = ApiException
                raise refusal(status=400, reason=result["error"])
            series += result.get("series", [])
        return series

    def prepare(self) -> str:
        """Make the database or the bucket if it is not there; what is there now, in words."""
        s = self.settings
        if not s.is_v2:
            self.query(f"CREATE DATABASE {influxql_name(s.database)}", post=True)
            return f"database {s.database} is there"
        buckets = self._client.buckets_api()
        bucket = buckets.find_bucket_by_name(s.bucket)
        said = f"bucket {s.bucket} is there"
        if bucket is None:
            bucket = buckets.create_bucket(bucket_name=s.bucket, org=s.org)
            said = f"bucket {s.bucket} was created"
        # InfluxQL addresses databases: without a mapping of that name to the bucket dashboards see nothing
        mappings = _library.DBRPsService(self._client.api_client)
        if not mappings.get_dbr_ps(org_id=bucket.org_id, db=s.bucket).content:
            mapping = _library.DBRPCreate(
                org_id=bucket.org_id,
                bucket_id=bucket.id,
                database=s.bucket,
                retention_policy="autogen",
                default=True,
            )
            mappings.post_dbrp(dbrp_create=mapping)
            said += ", and has a name for InfluxQL now"
        return said

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _write_to_old_api(api: Any, settings: InfluxSettings) -> None:
    """Have the client's write call sent where a 1.x server takes it."""
    call = api.call_api

    def call_old(
        path: str, method: str, path_params: Any = None, query_params: Any = None, *more: Any, **named: Any
    ) -> Any:
        if path == "/api/v2/write":
            path = "/write"
            kept = [(name, value) for name, value in query_params if name == "precision"]
            query_params = [("db", settings.database), *kept, *settings.login]
        return call(path, method, path_params, query_params, *more, **named)

    api.call_api = call_old


def influxql_name(name: str) -> str:
    """A name as an InfluxQL identifier."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
