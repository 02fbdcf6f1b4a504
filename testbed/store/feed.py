"""Feeding a database from the telemetry file, while it grows or afterwards.

The file is the queue: a feeder reads on from where the database says it has got to, so a database that
is dead, locked or full costs no memory and no telemetry, and any copy can be completed or rebuilt later.
What a database is, only the sinks know (`embedded`, `influx`).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from nodes.wire import Record
from testbed.errors import BadInput
from testbed.store.telemetry import decode_record

CHUNK_BYTES: Final = 1 << 20
INTERVAL_S: Final = 0.5
#: the longest wait between two attempts on a database that does not answer
BACKOFF_MAX_S: Final = 5.0


class SinkUnavailable(Exception):  # noqa: N818 - a state of the other side, not a fault of ours
    """The database took nothing now; the same records are to be offered again."""


class Sink(Protocol):
    """A database that remembers how far into the file it has got."""

    name: str
    last_refusal: str  #: why it last refused a record for good

    def offset(self) -> int:
        """Bytes of the file already stored; SinkUnavailable when that cannot be told."""

    def write(self, records: list[Record], next_offset: int) -> int:
        """Store records and the offset behind them; how many it refuses for good, or SinkUnavailable."""

    def close(self) -> None:
        """Let go of files and connections."""


class Chunk(NamedTuple):
    """Whole lines read from the file: their records, the offset behind them, lines that were no record."""

    records: list[Record]
    next_offset: int
    damaged: int


def read_chunk(path: Path, offset: int, max_bytes: int = CHUNK_BYTES) -> Chunk:
    """The records behind `offset`, at most about `max_bytes` of them; none when there is nothing new.

    A line still being written is left for the next call. BadInput when the file is shorter than `offset`.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < offset:
                raise BadInput(f"{path}: has {size} bytes, but {offset} were fed already; it is another file")
            file.seek(offset)
            data = file.read(max_bytes)
            if len(data) == max_bytes and b"\n" not in data:
                data += file.readline()  # one line longer than a chunk
    except FileNotFoundError:
        if offset == 0:
            return Chunk([], 0, 0)  # nothing was measured yet
        raise BadInput(f"{path}: is gone, but {offset} bytes of it were fed already") from None
    end = data.rfind(b"\n") + 1
    records = []
    damaged = 0
    for line in data[:end].splitlines():
        try:
            records.append(decode_record(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            damaged += 1
    return Chunk(records, offset + end, damaged)


@dataclass(frozen=True)
class FeedCounters:
    """What a feeder did. `behind_bytes` of the file are not in the database (yet)."""

    name: str
    stored: int = 0  #: records the database took, in this run of the feeder
    refused: int = 0  #: records the database will never take (it said why: last_error)
    damaged: int = 0  #: lines of the file that are no record
    failures: int = 0  #: attempts that found the database unavailable
    behind_bytes: int = 0
    last_error: str = ""

    def summary(self) -> str:
        """What was done, and what the reader should know besides."""
        return "; ".join(filter(None, [f"{self.name}: {self.stored} records stored", self.sentence()]))

    def sentence(self) -> str:
        """What the reader of a report should know; empty when the copy is complete."""
        parts = []
        if self.refused:
            parts.append(f"{self.refused} records refused")
        if self.damaged:
            parts.append(f"{self.damaged} damaged lines passed over")
        if self.failures:
            parts.append("unavailable " + ("once" if self.failures == 1 else f"{self.failures} times"))
        if self.behind_bytes:
            parts.append(f"{self.behind_bytes} bytes of telemetry.jsonl not in it")
        if not parts:
            return ""
        return (
            f"{self.name}: " + "; ".join(parts) + (f" (last: {self.last_error})" if self.last_error else "")
        )


class Feeder:
    """Moves a telemetry file into a sink: `drain` now and here, or `start` ... `finish` in a thread."""

    def __init__(
        self,
        path: Path,
        sink: Sink,
        *,
        interval_s: float = INTERVAL_S,
        backoff_max_s: float = BACKOFF_MAX_S,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._path = path
        self._sink = sink
        self._interval_s = interval_s
        self._backoff_max_s = backoff_max_s
        self._chunk_bytes = chunk_bytes
        self._counters = FeedCounters(sink.name)
        self._offset = 0
        self._lock = threading.Lock()
        self._finishing = threading.Event()
        self._deadline_s = float("inf")
        self._thread: threading.Thread | None = None

    def step(self) -> bool:
        """Offer one chunk; False when there was nothing to offer. Raises what the sink and the file raise."""
        self._offset = offset = self._sink.offset()
        chunk = read_chunk(self._path, offset, self._chunk_bytes)
        if chunk.next_offset == offset:
            return False
        refused = self._sink.write(chunk.records, chunk.next_offset)
        self._offset = chunk.next_offset
        with self._lock:
            c = self._counters
            self._counters = replace(
                c,
                stored=c.stored + len(chunk.records) - refused,
                refused=c.refused + refused,
                damaged=c.damaged + chunk.damaged,
                last_error=self._sink.last_refusal if refused else c.last_error,
            )
        return True

    def drain(self) -> FeedCounters:
        """Offer everything there is; SinkUnavailable and BadInput pass through."""
        while self.step():
            pass
        return self.counters

    def start(self) -> None:
        """Begin to follow the file in a thread."""
        self._thread = threading.Thread(target=self._work, name=f"feed-{self._sink.name}", daemon=True)
        self._thread.start()

    def finish(self, timeout_s: float = 5.0) -> FeedCounters:
        """Offer the rest for at most `timeout_s`, then leave it; a database that hangs is left behind too.

        One that took nothing at the last attempt before is asked once more and not waited for.
        The writer of the file has to be closed (or flushed) before, or its last batch is not seen.
        """
        self._deadline_s = time.monotonic() + timeout_s
        self._finishing.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self.counters

    @property
    def counters(self) -> FeedCounters:
        """What happened so far."""
        try:
            size = self._path.stat().st_size
        except OSError:
            size = 0
        with self._lock:
            return replace(self._counters, behind_bytes=max(0, size - self._offset))

    def _work(self) -> None:
        wait_s = self._interval_s
        well = True  # before the end began
        try:
            while True:
                finishing = self._finishing.is_set()
                try:
                    more = self.step()
                    wait_s = self._interval_s
                    well = True
                except Exception as error:  # whatever a database does, the run goes on
                    more = False
                    wait_s = min(2 * wait_s, self._backoff_max_s)
                    with self._lock:
                        c = self._counters
                        self._counters = replace(c, failures=c.failures + 1, last_error=str(error))
                    well = well and finishing
                    if well and time.monotonic() < self._deadline_s:
                        time.sleep(min(self._interval_s, max(0.0, self._deadline_s - time.monotonic())))
                        continue
                if not more:
                    if finishing:
                        return
                    self._finishing.wait(wait_s)
                elif finishing and time.monotonic() >= self._deadline_s:
                    return
        finally:
            self._sink.close()
