"""Where the InfluxDB is, as scenario files and the command line say it. Opens nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from testbed.errors import BadInput

DEFAULT_TOKEN_VARIABLE = "INFLUX_TOKEN"


def unfit(url: str, org: str = "", bucket: str = "") -> tuple[str, str, str] | None:
    """What cannot work in the address of a server: key, value, what it must be; None when all can."""
    parts = urlsplit(url)
    try:
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, or too large
        sound = False
    if not sound:
        return "url", url, "an address such as http://127.0.0.1:8086"
    if parts.username is not None:
        # an address is written into the run folder and its report
        hidden = url.replace(parts.netloc.rpartition("@")[0], "...")
        return "url", hidden, "an address without a password: that belongs into the token's variable"
    if bucket and not org:
        return "org", org, "the organisation that the bucket (InfluxDB 2.x) belongs to"
    return None


@dataclass(frozen=True)
class InfluxSettings:
    """A server and a place in it. With `bucket` it is a 2.x server, without one a 1.x.

    `token` is a 2.x token, or "user:password" for a 1.x that asks for one; empty: none.
    """

    url: str
    database: str = "testbed"
    org: str = ""
    bucket: str = ""
    token: str = field(default="", repr=False)  # never in a log

    def __post_init__(self) -> None:
        found = unfit(self.url, self.org, self.bucket)
        if found is not None:
            key, value, allowed = found
            raise BadInput(f"store.influxdb.{key}: is {value!r}, but must be {allowed}")

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> InfluxSettings | None:
        """The settings of a `[store.influxdb]` table; None when it gives no url.

        The token is the value of the environment variable that `token_variable` names.
        """
        if not table.get("url"):
            return None
        token = os.environ.get(table.get("token_variable") or DEFAULT_TOKEN_VARIABLE, "")
        names = ("url", "database", "org", "bucket")
        return cls(**{name: table[name] for name in names if table.get(name)}, token=token)

    @property
    def is_v2(self) -> bool:
        """Whether the server is to be spoken to as a 2.x."""
        return bool(self.bucket)

    @property
    def login(self) -> tuple[tuple[str, str], ...]:
        """The query parameters that log in to a 1.x."""
        user, colon, password = self.token.partition(":")
        return (("u", user), ("p", password)) if colon and not self.is_v2 else ()

    @property
    def target(self) -> str:
        """What distinguishes this place from another one, without secrets."""
        return f"{self.url.rstrip('/')} " + (f"{self.org}/{self.bucket}" if self.is_v2 else self.database)
