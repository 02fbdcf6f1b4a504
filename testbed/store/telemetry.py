"""The telemetry file: one `nodes.wire.Record` a line as JSON, only ever appended to.

It is the truth of a run's telemetry; every database is a copy that is fed from it. Here are the line
format, the writer that outlives a full disk, and the plain reader. What else a run folder holds is in
`runfile`, reading along while the file grows is in `feed`.

A number that is not finite is written as `null` (JSON has nothing better) and read back as nan.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from nodes.wire import Record
from testbed.errors import BadInput

FLUSH_INTERVAL_S: Final = 0.5
FLUSH_RECORDS: Final = 1_000
#: telemetry held in memory while the disk takes nothing; what comes on top is lost, and counted
MAX_PENDING_BYTES: Final = 64 << 20
#: no run lasts longer than these 146 years, and every database and file format has room for the wall clock
MAX_T_NS: Final = 2**62


def plain(value: object) -> object:
    """The Python value of a numpy scalar; NotImplementedError for anything else."""
    # numpy's scalars, which msgspec does not know, turn themselves into Python's
    if hasattr(value, "item"):
        return value.item()
    raise NotImplementedError(f"a {type(value).__name__} is not a telemetry value")


class _Stored(msgspec.Struct):
    """A record as it may stand in the file: with nulls where numbers were not finite."""

    t_ns: int
    measurement: str
    tags: dict[str, str]
    fields: dict[str, bool | int | float | str | None]
    samples: list[float | None] = []


_encoder = msgspec.json.Encoder(enc_hook=plain)
_record = msgspec.json.Decoder(Record)
_stored = msgspec.json.Decoder(_Stored)
_NAN: Final = float("nan")


def encode_record(record: Record) -> bytes:
    """One line of the file, newline included.

    TypeError or NotImplementedError on a foreign value, ValueError for a time that no clock shows.
    """
    if abs(record.t_ns) > MAX_T_NS:
        raise ValueError(f"t_ns is {record.t_ns}, but must be within {MAX_T_NS} ns")
    return _encoder.encode(record) + b"\n"


def decode_record(line: bytes) -> Record:
    """A record from its line; msgspec.DecodeError when the line is none."""
    try:
        return _record.decode(line)
    except msgspec.ValidationError:
        # only now: the tolerant form costs a second pass over every field
        stored = _stored.decode(line)
    return Record(
        stored.t_ns,
        stored.measurement,
        stored.tags,
        {name: _NAN if value is None else value for name, value in stored.fields.items()},
        [_NAN if value is None else value for value in stored.samples],
    )


def read_records(path: Path) -> Iterator[Record]:
    """The records of a telemetry file, in the order they were written.

    A last line without its newline is what a killed writer leaves: it is passed over. Any other line
    that is not a record raises BadInput with its number, as does a file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield decode_record(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise BadInput(f"{path}, line {number}: not a telemetry record ({error})") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None


@dataclass(frozen=True)
class WriterCounters:
    """What became of the records handed to a TelemetryWriter."""

    written: int = 0  #: records whose whole line the file took
    lost: int = 0  #: records dropped because the pending bound was reached or the run ended unwritten
    refused: int = 0  #: records that cannot be written as JSON, or have a time that no clock shows
    failed_writes: int = 0
    last_error: str = ""
    torn_bytes_removed: int = 0  #: of a half-written last line found at the start

    def sentence(self) -> str:
        """What the reader of a report should know; empty when all is well."""
        parts = []
        if self.lost:
            parts.append(f"{self.lost} records lost")
        if self.refused:
            parts.append(f"{self.refused} records refused (values that are not JSON's, or no time)")
        if self.failed_writes:
            parts.append(f"{self.failed_writes} writes failed, last: {self.last_error}")
        return "telemetry.jsonl: " + "; ".join(parts) if parts else ""


class TelemetryWriter:
    """Appends records to a telemetry file from a thread of its own, a batch at a time.

    A batch goes out every `flush_interval_s` or `flush_records` records, whichever is first; a killed
    process loses what came after the last one and no more. When the disk takes nothing the run goes on:
    the records wait, bounded, and every interval is a new attempt. Safe to call from several threads.
    """

    def __init__(
        self,
        path: Path,
        *,
        flush_interval_s: float = FLUSH_INTERVAL_S,
        flush_records: int = FLUSH_RECORDS,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> None:
        self.path = path
        self._interval_s = flush_interval_s
        self._flush_records = flush_records
        self._max_pending_bytes = max_pending_bytes
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._counters = WriterCounters(torn_bytes_removed=_remove_torn_tail(self._fd))
        self._lock = threading.Lock()  # the counters and the pending lines
        self._wake = threading.Condition(self._lock)
        self._disk = threading.Lock()  # held while writing; taken before _lock, never after
        self._pending: list[bytes] = []
        self._pending_bytes = 0  # those in _pending and in _unwritten
        self._unwritten = memoryview(b"")  # the rest of a batch that the disk took only in part
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="telemetry-writer", daemon=True)
        self._thread.start()

    def append(self, *records: Record) -> None:
        """Take records over; never blocks on the disk, never raises for a record or a full disk."""
        self.extend(records)

    def extend(self, records: Iterable[Record]) -> None:
        """As `append`, from any iterable."""
        lines = []
        refused = 0
        for record in records:
            try:
                lines.append(encode_record(record))
            except (TypeError, ValueError, NotImplementedError):
                refused += 1
        with self._lock:
            lost = 0
            for line in lines:
                if self._closing or self._pending_bytes + len(line) > self._max_pending_bytes:
                    lost += 1
                else:
                    self._pending.append(line)
                    self._pending_bytes += len(line)
            if lost or refused:
                self._count(lost=lost, refused=refused)
            if len(self._pending) >= self._flush_records:
                self._wake.notify()

    def flush(self) -> bool:
        """Write what is pending now; False when the disk did not take all of it."""
        with self._disk:
            while True:
                if not self._unwritten:
                    with self._lock:
                        self._unwritten = memoryview(b"".join(self._pending))
                        self._pending.clear()
                    if not self._unwritten:
                        return True
                try:
                    taken = os.write(self._fd, self._unwritten)
                except OSError as error:
                    with self._lock:
                        self._count(failed_writes=1, last_error=error.strerror or str(error))
                    return False
                # a line counts once its newline is in the file
                written = bytes(self._unwritten[:taken]).count(b"\n")
                self._unwritten = self._unwritten[taken:]
                with self._lock:
                    self._pending_bytes -= taken
                    self._count(written=written)

    @property
    def counters(self) -> WriterCounters:
        """What happened so far."""
        with self._lock:
            return self._counters

    def close(self) -> WriterCounters:
        """Write the rest, once, and end; what the disk still refuses is counted as lost."""
        with self._lock:
            if self._closing:
                return self._counters
            self._closing = True
            self._wake.notify()
        self._thread.join()
        if not self.flush():
            with self._lock:
                self._count(lost=bytes(self._unwritten).count(b"\n") + len(self._pending))
        try:
            os.fsync(self._fd)
        except OSError as error:
            with self._lock:
                self._count(failed_writes=1, last_error=error.strerror or str(error))
        os.close(self._fd)
        return self.counters

    def __enter__(self) -> TelemetryWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _count(self, last_error: str = "", **more: int) -> None:
        c = self._counters
        changes: dict[str, Any] = {name: getattr(c, name) + by for name, by in more.items()}
        self._counters = replace(c, last_error=last_error or c.last_error, **changes)

    def _work(self) -> None:
        due_s = time.monotonic() + self._interval_s
        while True:
            with self._lock:
                while not self._closing and len(self._pending) < self._flush_records:
                    left_s = due_s - time.monotonic()
                    if left_s <= 0:
                        break
                    self._wake.wait(left_s)
                if self._closing:
                    return
            if not self.flush():
                # a disk that refuses is asked again once an interval, however fast records come
                with self._lock:
                    self._wake.wait_for(lambda: self._closing, self._interval_s)
            due_s = time.monotonic() + self._interval_s


def _remove_torn_tail(fd: int) -> int:
    """Cut a last line that lacks its newline, so that what is appended starts a line; bytes removed."""
    size = end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - 65_536)
        at = os.pread(fd, end - start, start).rfind(b"\n")
        if at >= 0:
            end = start + at + 1
            break
        end = start
    if end < size:
        os.ftruncate(fd, end)
    return size - end
