"""A live copy of a run's telemetry in InfluxDB 1.x or 2.x, for dashboards.

The copy is fed from `telemetry.jsonl`, and how far it has got is kept in the run folder: a server that
dies costs the run nothing and is caught up with when it is back, or later by `sync`. Records arrive at
least once; the same point twice is the same point. Every point carries the tag run=ID, samples are not
copied, times are wall clock (t_ns + epoch_offset_ns of run.json).
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from nodes.wire import Record
from testbed.errors import EnvironmentProblem
from testbed.store.feed import FeedCounters, Feeder, SinkUnavailable
from testbed.store.influx_settings import InfluxSettings
from testbed.store.lineprotocol import lines
from testbed.store.runfile import RunFolder, write_atomically

if TYPE_CHECKING:
    from testbed.store.influx_client import Connection

PROGRESS_FILE: Final = "influx.json"
#: answers that say the data are at fault, not the moment: offering them again would not help
_DATA_REFUSED: Final = (400, 413, 422)
_Answer = TypeVar("_Answer")


class InfluxSink:
    """The writing side, fed by a `Feeder`. Connects when first asked, again after any failure."""

    name = "influxdb"

    def __init__(self, run: RunFolder, settings: InfluxSettings, *, from_start: bool = False) -> None:
        self._run = run
        self._settings = settings
        self._progress = run.path / PROGRESS_FILE
        self._stored = _read_progress(self._progress)
        if from_start:
            self._stored[settings.target] = 0
        self._connection: Connection | None = None
        self.last_refusal = ""  # the server's own words

    def offset(self) -> int:
        """Bytes of the telemetry file that the server has acknowledged."""
        return self._stored.get(self._settings.target, 0)

    def write(self, records: list[Record], next_offset: int) -> int:
        """Send records in one request and note the offset; see `Sink.write`."""
        made = lines(records, self._run.epoch_offset_ns(), {"run": self._run.id})
        refused = self._send(made) if made else 0
        self._stored[self._settings.target] = next_offset
        # a note that is missing or old means that some points are sent twice, which changes nothing
        with contextlib.suppress(OSError):
            write_atomically(self._progress, json.dumps(self._stored, indent=1).encode() + b"\n")
        return refused

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> Connection:
        from testbed.store.influx_client import ApiException, Connection

        if self._connection is None:
            connection = Connection(self._settings)
            # not everyone who may write may create: then somebody else has done it, or the write says so
            with contextlib.suppress(ApiException):
                connection.prepare()
            self._connection = connection
        return self._connection

    def _send(self, batch: list[str]) -> int:
        """Lines the server refuses for good; SinkUnavailable when it took none of the others either."""
        from testbed.store.influx_client import ApiException, HTTPError

        try:
            self._open().write(batch)
        except HTTPError as error:
            self.close()
            raise SinkUnavailable(f"{self._settings.url}: {_reason(error)}") from None
        except ApiException as error:
            if error.status not in _DATA_REFUSED:
                self.close()
                raise SinkUnavailable(f"{self._settings.url}: {error.status} {_words(error)}") from None
            self.last_refusal = _words(error)
            dropped = re.search(r"partial write: .* dropped=([1-9]\d*)", self.last_refusal)
            if dropped:
                return int(dropped[1])  # the others are stored
            if len(batch) == 1:
                return 1
        else:
            return 0
        # one bad line may have cost the whole request: halves, until it stands alone
        half = len(batch) // 2
        return self._send(batch[:half]) + self._send(batch[half:])


def _read_progress(path: Path) -> dict[str, int]:
    """Of every place that was fed from this run: the bytes of the file that are in it."""
    try:
        return {str(target): int(offset) for target, offset in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # none yet, or unreadable: everything is sent again


def _reason(error: Exception) -> str:
    """The heart of a connection error: urllib3 wraps it in a sentence about its own objects."""
    return str(error).rsplit(": ", 1)[-1]


def _words(error: Any) -> str:
    body = error.body or error.reason or ""
    if isinstance(body, bytes):
        body = body.decode(errors="replace")
    try:
        answer = json.loads(body)
        return str(answer.get("error") or answer.get("message") or body)
    except (ValueError, AttributeError):
        return str(body).strip()


def feeder(run: RunFolder, settings: InfluxSettings) -> Feeder:
    """What keeps the copy up to date while the run goes: start it, finish it at the end.

    run.json with `epoch_offset_ns` has to be there before the first point is sent.
    """
    return Feeder(run.telemetry_path, InfluxSink(run, settings))


def sync(run: RunFolder, settings: InfluxSettings, *, from_start: bool = False) -> FeedCounters:
    """Send what the server does not have yet; with `from_start` everything (a server that lost its data).

    EnvironmentProblem when the server does not take it.
    """
    sink = InfluxSink(run, settings, from_start=from_start)
    try:
        return Feeder(run.telemetry_path, sink).drain()
    except SinkUnavailable as error:
        raise EnvironmentProblem(f"InfluxDB took nothing more ({error}); start it and sync again") from None
    finally:
        sink.close()


def setup(settings: InfluxSettings) -> str:
    """Create the database (1.x) or the bucket and its InfluxQL name (2.x); says what is there now.

    EnvironmentProblem when the server cannot be reached or refuses.
    """
    return _ask(settings, lambda connection: f"{settings.url}: {connection.prepare()}")


def query(settings: InfluxSettings, influxql: str) -> list[dict[str, Any]]:
    """The series that answer an InfluxQL query, as the server gives them: name, tags, columns, values.

    EnvironmentProblem when the server cannot be reached or refuses.
    """
    return _ask(settings, lambda connection: connection.query(influxql))


def _ask(settings: InfluxSettings, what: Callable[[Connection], _Answer]) -> _Answer:
    from testbed.store.influx_client import ApiException, Connection, HTTPError

    connection = Connection(settings)
    try:
        return what(connection)
    except HTTPError as error:
        raise EnvironmentProblem(f"InfluxDB at {settings.url} does not answer: {_reason(error)}") from None
    except ApiException as error:
        raise EnvironmentProblem(
            f"InfluxDB at {settings.url} refuses: {error.status} {_words(error)}"
        ) from None
    finally:
        connection.close()
