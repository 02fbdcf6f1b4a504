"""Results of iperf3: throughput by interval, of all streams, as one document or a line an event."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from testbed.errors import BadInput
from testbed.measured.formats import open_measurement

START_S = 1_695_276_600


def _interval(index: int, mbps: float, **more: Any) -> dict[str, Any]:
    return {"start": index * 0.1, "end": index * 0.1 + 0.1, "bits_per_second": mbps * 1e6, **more}


def _start() -> dict[str, Any]:
    return {"version": "iperf 3.12", "timestamp": {"time": "-", "timesecs": START_S}}


def _document(folder: Path, intervals: list[Any], **more: Any) -> Path:
    path = folder / "iperf.json"
    path.write_text(json.dumps({"start": _start(), "intervals": intervals, "end": {}, **more}, indent="\t"))
    return path


def test_throughput_is_that_of_the_sum_at_the_beginning_of_each_interval(tmp_path: Path) -> None:
    intervals = [{"streams": [_interval(n, 3.0)], "sum": _interval(n, 10.0 * n)} for n in range(5)]
    read = open_measurement(_document(tmp_path, intervals))
    assert (read.quantity, read.unit) == ("rate", "Mbit/s")
    assert read.values.tolist() == [0.0, 10.0, 20.0, 30.0, 40.0]
    assert read.times_s == pytest.approx([START_S + 0.1 * n for n in range(5)])


def test_without_a_sum_streams_are_added(tmp_path: Path) -> None:
    intervals = [{"streams": [_interval(n, 3.0), _interval(n, 4.5)]} for n in range(3)]
    assert open_measurement(_document(tmp_path, intervals)).values.tolist() == [7.5] * 3


def test_what_iperf3_was_told_to_omit_is_left_out(tmp_path: Path) -> None:
    intervals = [{"sum": _interval(n, 5.0, omitted=n < 2)} for n in range(5)]
    read = open_measurement(_document(tmp_path, intervals))
    assert len(read) == 3
    assert any("told to omit: 2" in remark for remark in read.remarks)


def test_a_line_an_event_is_read_too(tmp_path: Path) -> None:
    events = [{"event": "start", "data": _start()}]
    events += [{"event": "interval", "data": {"sum": _interval(n, 8.0)}} for n in range(4)]
    path = tmp_path / "stream.json"
    path.write_text("".join(json.dumps(event) + "\n" for event in [*events, {"event": "end", "data": {}}]))
    read = open_measurement(path)
    assert read.values.tolist() == [8.0] * 4
    assert read.begin_s == START_S


@pytest.mark.parametrize(
    ("intervals", "more", "sentence"),
    [
        ([], {"error": "unable to connect"}, r"has no intervals \(iperf3 says: unable to connect\)"),
        ([{"sum": {"start": 0.0}}], {}, r"intervals\[0\] must have sum or streams"),
        ([{"streams": []}], {}, r"intervals\[0\] must have sum or streams"),
    ],
)
def test_a_result_without_throughput_gets_one_sentence(
    tmp_path: Path, intervals: list[Any], more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        open_measurement(_document(tmp_path, intervals, **more))


def test_json_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"satellites": []}')
    with pytest.raises(BadInput, match="is JSON, but neither of irtt"):
        open_measurement(tmp_path / "other.json")


@pytest.mark.skipif(shutil.which("iperf3") is None, reason="needs iperf3 to read what it writes")
def test_what_iperf3_writes_is_read(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = subprocess.Popen(["iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", port, "--forceflush"],
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert server.stdout is not None
        next(line for line in server.stdout if "listening" in line)
        client = ["iperf3", "-c", "127.0.0.1", "-p", port, "-u", "-b", "2M", "-t", "1", "-i", "0.2", "-J"]
        (tmp_path / "real.json").write_bytes(subprocess.run(client, capture_output=True, timeout=30).stdout)
    finally:
        server.kill()
        server.communicate()
    read = open_measurement(tmp_path / "real.json")
    assert read.quantity == "rate"
    assert len(read) >= 3
    assert read.values.max() > 0.0
