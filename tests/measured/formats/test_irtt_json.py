"""Results of irtt: round trips by number, losses by direction, one-way delays with a bound for the clocks."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured.formats import open_measurement

START_NS = 1_707_277_440_772_833_721
INTERVAL_NS = 10_000_000
#: of a double that holds POSIX seconds, s
STAMP_RESOLUTION_S = 5e-7


def _trip(number: int, send_ms: float = 10.0, receive_ms: float = 7.0, lost: str = "false") -> dict[str, Any]:
    steady = number * INTERVAL_NS
    trip: dict[str, Any] = {
        "seqno": number, "lost": lost,
        "timestamps": {"client": {"receive": {}, "send": {"wall": START_NS + steady, "monotonic": steady}},
                       "server": {"receive": {}, "send": {}}},
        "delay": {}, "ipdv": {},
    }  # fmt: skip
    if lost == "false":
        trip["delay"] = {"receive": int(receive_ms * 1e6), "rtt": int((send_ms + receive_ms) * 1e6),
                         "send": int(send_ms * 1e6)}  # fmt: skip
    return trip


def _write(folder: Path, trips: list[dict[str, Any]], indent: int | None = 4) -> Path:
    result = {"version": {"irtt": "0.9.0"}, "stats": {"rtt": {"n": len(trips)}}, "round_trips": trips}
    path = folder / "irtt.json"
    path.write_text(json.dumps(result, indent=indent))
    return path


@pytest.mark.parametrize("indent", [4, None])
def test_round_trips_are_read_with_their_losses(tmp_path: Path, indent: int | None) -> None:
    trips = [_trip(0), _trip(1, lost="true"), _trip(2, 11.0), _trip(3, lost="true_up"), _trip(5)]
    read = open_measurement(_write(tmp_path, trips, indent))
    assert read.quantity == "rtt"
    assert read.losses_known
    assert read.values == pytest.approx([17.0, np.nan, 18.0, np.nan, np.nan, 17.0], nan_ok=True)
    assert read.times_s == pytest.approx(START_NS / 1e9 + 0.01 * np.arange(6), abs=STAMP_RESOLUTION_S)
    assert read.found.inferred_losses == 1


def test_one_way_delays_come_with_a_bound_for_the_clocks(tmp_path: Path) -> None:
    path = _write(tmp_path, [_trip(n, 10.0 + n, 7.0 - n) for n in range(4)])
    sent = open_measurement(path, quantity="delay")
    assert (sent.quantity, sent.values.tolist()) == ("delay", [10.0, 11.0, 12.0, 13.0])
    assert sent.clock_bound_ms == pytest.approx(10.0)
    received = open_measurement(path, "value=receive")
    assert received.values.tolist() == [7.0, 6.0, 5.0, 4.0]


def test_a_probe_that_was_lost_on_the_way_back_is_not_lost_on_the_way_there(tmp_path: Path) -> None:
    trips = [*(_trip(n) for n in range(20)), _trip(20, lost="true_down"), _trip(21, lost="true_up")]
    read = open_measurement(_write(tmp_path, trips), quantity="delay")
    assert int(np.isnan(read.values).sum()) == 1
    assert read.found.unusable == 1


def test_clocks_that_were_not_set_alike_are_told(tmp_path: Path) -> None:
    read = open_measurement(
        _write(tmp_path, [_trip(n, 10488.0, -10471.0) for n in range(4)]), quantity="delay"
    )
    assert read.clock_bound_ms == pytest.approx(10488.0)
    assert any("delays are below zero" in remark for remark in read.remarks)


def test_a_wall_clock_that_is_set_does_not_move_the_probes(tmp_path: Path) -> None:
    trips = [_trip(n) for n in range(10)]
    for trip in trips[5:]:
        trip["timestamps"]["client"]["send"]["wall"] -= 3_600_000_000_000
    read = open_measurement(_write(tmp_path, trips))
    assert np.diff(read.times_s) == pytest.approx(0.01, abs=STAMP_RESOLUTION_S)


def test_a_long_result_is_read_piece_by_piece(tmp_path: Path) -> None:
    text = json.dumps({"round_trips": [_trip(n) for n in range(6000)]}, indent=4)
    assert len(text) > 3 << 20
    (tmp_path / "irtt.json.gz").write_bytes(gzip.compress(text.encode(), 1))
    assert len(open_measurement(tmp_path / "irtt.json.gz")) == 6000


def _without(key: str) -> dict[str, Any]:
    trip = _trip(1)
    del trip[key]
    return trip


@pytest.mark.parametrize(
    ("trips", "cut", "sentence"),
    [
        ([_trip(0), _trip(1)], 60, r"round_trips\[1\] breaks off or is damaged"),
        ([_trip(0), _trip(1)], 6, r"round_trips\[2\] is missing: the document breaks off"),
        ([_trip(0), _without("seqno")], 0, r"round_trips\[1\] has no 'seqno'; it must have seqno, lost"),
        ([_trip(0), _without("timestamps")], 0, r"round_trips\[1\] has no 'timestamps'"),
        ([_trip(0), 5], 0, r"round_trips\[1\] is 5, it must be an object"),
        ([], 0, "holds no rows"),
        ([_trip(0, lost="true")] * 3, 0, "holds no|none of"),
    ],
)
def test_a_damaged_result_gets_one_sentence(
    tmp_path: Path, trips: list[Any], cut: int, sentence: str
) -> None:
    path = _write(tmp_path, trips)
    path.write_text(path.read_text()[: -cut or None])
    if "none of" in sentence:
        assert not open_measurement(path).answered.any()
        return
    with pytest.raises(BadInput, match=sentence):
        open_measurement(path)
    with pytest.raises(BadInput, match="value=back: of irtt's delays, allowed: rtt, send, receive"):
        open_measurement(path, "value=back")


@pytest.mark.parametrize(
    "damaged",
    [
        '{"seqno": ' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"seqno": 1e999, "lost": "false", "timestamps": {"client": {"send": {"wall": 1}}}}',
    ],
)
def test_numbers_and_brackets_without_end_get_one_sentence(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "result.json"
    path.write_text('{"version": {"irtt": "0.9"}, "round_trips": [' + damaged + "]}")
    with pytest.raises(BadInput, match=r"round_trips\[0\]"):
        open_measurement(path)
