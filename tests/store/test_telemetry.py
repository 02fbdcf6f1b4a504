"""The telemetry file: what is appended is there, whatever happens to the process and the disk."""

from __future__ import annotations

import math
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from nodes.wire import Record
from testbed.errors import BadInput
from testbed.store.embedded import rebuild
from testbed.store.runfile import RunFolder
from testbed.store.telemetry import TelemetryWriter, encode_record, read_records

NEVER_S = 3600.0
Until = Callable[[Callable[[], bool]], None]


def record(number: int) -> Record:
    return Record(
        number,
        "link",
        {"link": "a>b"},
        {"packets_in": number, "delay_mean_ms": 1.5, "up": True, "note": "é\n"},
    )


@contextmanager
def disk_full_after(size: int) -> Iterator[None]:
    """Files of this process cannot grow beyond `size` bytes (Python ignores the signal: write fails)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_records_come_back_as_they_went_in(tmp_path: Path) -> None:
    sent = [record(n) for n in range(2500)]
    sent[7].samples.extend([0.25, 3.0])
    with TelemetryWriter(tmp_path / "t.jsonl") as writer:
        for one in sent:
            writer.append(one)
    assert list(read_records(tmp_path / "t.jsonl")) == sent
    assert writer.counters.written == 2500
    assert writer.counters.sentence() == ""


def test_numbers_that_are_not_finite_come_back_as_nan(tmp_path: Path) -> None:
    with TelemetryWriter(tmp_path / "t.jsonl") as writer:
        writer.append(Record(1, "m", {}, {"a": math.inf, "b": 2.0}, [math.nan, 1.0]))
    (back,) = read_records(tmp_path / "t.jsonl")
    assert math.isnan(float(back.fields["a"]))
    assert back.fields["b"] == 2.0
    assert math.isnan(back.samples[0])
    assert back.samples[1] == 1.0


def test_numpy_scalars_are_written_as_numbers(tmp_path: Path) -> None:
    with TelemetryWriter(tmp_path / "t.jsonl") as writer:
        writer.append(Record(1, "m", {}, {"a": np.float32(0.5), "b": np.int64(3)}))  # type: ignore[dict-item]
    assert next(read_records(tmp_path / "t.jsonl")).fields == {"a": 0.5, "b": 3}


def test_a_record_that_is_no_json_is_refused_and_counted(tmp_path: Path) -> None:
    with TelemetryWriter(tmp_path / "t.jsonl") as writer:
        writer.append(Record(1, "m", {}, {"a": object()}), record(2))  # type: ignore[dict-item]
    assert list(read_records(tmp_path / "t.jsonl")) == [record(2)]
    assert writer.counters.refused == 1
    assert "1 records refused" in writer.counters.sentence()


@pytest.mark.parametrize("t_ns", [2**62 + 1, -(2**63), 2**64 - 1])
def test_a_time_that_no_clock_shows_is_refused_before_it_stops_a_store(run: RunFolder, t_ns: int) -> None:
    with run.telemetry_writer() as writer:
        writer.append(Record(t_ns, "m", {}, {"a": 1}), record(2))
    assert writer.counters.refused == 1
    assert rebuild(run).stored == 1


def test_a_batch_is_on_disk_without_a_flush_once_it_is_large_enough(tmp_path: Path, until: Until) -> None:
    path = tmp_path / "t.jsonl"
    with TelemetryWriter(path, flush_interval_s=NEVER_S, flush_records=10) as writer:
        writer.extend(record(n) for n in range(10))
        until(lambda: writer.counters.written == 10)
        assert len(list(read_records(path))) == 10


def test_a_killed_process_leaves_every_flushed_record(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    code = f"""
import os, signal
from pathlib import Path
from nodes.wire import Record
from testbed.store.telemetry import TelemetryWriter
writer = TelemetryWriter(Path({str(path)!r}), flush_interval_s={NEVER_S})
writer.extend(Record(n, "m", {{}}, {{"n": n}}) for n in range(500))
writer.flush()
writer.extend(Record(n, "m", {{}}, {{"n": n}}) for n in range(500, 600))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code])
    assert done.returncode == -signal.SIGKILL
    assert [r.t_ns for r in read_records(path)] == list(range(500))


def test_a_torn_last_line_is_passed_over_and_cut_when_writing_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    torn = encode_record(record(3))[:25]
    path.write_bytes(encode_record(record(1)) + encode_record(record(2)) + torn)
    assert list(read_records(path)) == [record(1), record(2)]
    with TelemetryWriter(path) as writer:
        writer.append(record(4))
    assert writer.counters.torn_bytes_removed == len(torn)
    assert list(read_records(path)) == [record(1), record(2), record(4)]


def test_damage_inside_the_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(encode_record(record(1)) + b'{"t_ns": "x"}\n' + encode_record(record(2)))
    with pytest.raises(BadInput, match=r"t\.jsonl, line 2"):
        list(read_records(path))


def test_a_full_disk_is_counted_and_the_records_follow_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    sent = [record(n) for n in range(200)]
    with TelemetryWriter(path, flush_interval_s=NEVER_S) as writer:
        writer.extend(sent)
        with disk_full_after(len(encode_record(sent[0])) * 50 + 20):
            assert not writer.flush()
            assert 0 < writer.counters.written < 200
            assert writer.counters.failed_writes == 1
            assert "too large" in writer.counters.last_error
        assert writer.flush()
    assert list(read_records(path)) == sent
    assert writer.counters.written == 200
    assert writer.counters.lost == 0


def test_what_a_full_disk_never_takes_is_counted_as_lost(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    writer = TelemetryWriter(path, flush_interval_s=NEVER_S)
    writer.extend(record(n) for n in range(200))
    with disk_full_after(5000):
        counters = writer.close()
    assert counters.written == len(list(read_records(path)))
    assert counters.written + counters.lost == 200
    assert f"{counters.lost} records lost" in counters.sentence()


def test_memory_is_bounded_while_the_disk_takes_nothing(tmp_path: Path) -> None:
    one = len(encode_record(record(1)))
    writer = TelemetryWriter(tmp_path / "t.jsonl", flush_interval_s=NEVER_S, max_pending_bytes=10 * one)
    with disk_full_after(0):
        for _ in range(5):
            writer.extend(record(1) for _ in range(4))
            assert not writer.flush()
    assert writer.flush()
    writer.extend(record(1) for _ in range(10))  # room again for as many as before
    counters = writer.close()
    assert (counters.written, counters.lost) == (20, 10)
