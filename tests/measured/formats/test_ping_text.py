"""What `ping -D` prints: lost numbers, duplicates, late answers, numbers that wrap, other lines."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured.formats import open_measurement
from tests.emulator.worlds import shared

START_S = 1_723_489_200.0
INTERVAL_S = 0.01
#: a microsecond of the stamp, and a double's of 2024, s
STAMP_RESOLUTION_S = 1.5e-6
HEAD = "PING 100.64.0.1 (100.64.0.1) 56(84) bytes of data.\n"
TAIL = "\n--- 100.64.0.1 ping statistics ---\n9 packets transmitted, 8 received, 11% packet loss, time 90ms\n"


def _answer(number: int, value_ms: float = 30.0, at: int | None = None, more: str = "") -> str:
    sent_s = START_S + INTERVAL_S * (number if at is None else at)
    stamp = f"[{sent_s + value_ms / 1e3:.6f}]"
    return f"{stamp} 64 bytes from 100.64.0.1: icmp_seq={number} ttl=63 time={value_ms:g} ms{more}\n"


def _write(folder: Path, lines: Iterable[str], tail: str = "") -> Path:
    path = folder / "ping.txt"
    path.write_text(HEAD + "".join(lines) + tail)
    return path


def test_probes_lie_at_the_instants_of_sending_and_missing_numbers_are_lost(tmp_path: Path) -> None:
    read = open_measurement(_write(tmp_path, (_answer(n, 30.0 + n) for n in range(1, 9) if n != 4), TAIL))
    assert read.quantity == "rtt"
    assert read.losses_known
    assert read.times_s == pytest.approx(START_S + INTERVAL_S * np.arange(1, 9), abs=STAMP_RESOLUTION_S)
    assert read.values == pytest.approx([31, 32, 33, np.nan, 35, 36, 37, 38], nan_ok=True)
    assert read.found.inferred_losses == 1


def test_lines_that_are_no_answers_are_passed_over(tmp_path: Path) -> None:
    lines = [
        "ping: Warning: source address might be selected on device other than: eth0\n",
        _answer(1), "[1723489200.900000] no answer yet for icmp_seq=2\n",
        "[1723489200.950000] From 10.0.0.1 icmp_seq=2 Destination Host Unreachable\n", _answer(3),
    ]  # fmt: skip
    read = open_measurement(_write(tmp_path, lines))
    assert read.answered.tolist() == [True, False, True]


def test_an_answer_that_came_twice_counts_once(tmp_path: Path) -> None:
    lines = [_answer(1), _answer(2), _answer(2, 55.0, more=" (DUP!)"), _answer(3)]
    read = open_measurement(_write(tmp_path, lines))
    assert read.values == pytest.approx([30.0, 30.0, 30.0])
    assert read.found.duplicates == 1


def test_a_late_answer_belongs_where_it_was_sent(tmp_path: Path) -> None:
    read = open_measurement(_write(tmp_path, [_answer(1), _answer(3), _answer(2, 80.0), _answer(4)]))
    assert read.values == pytest.approx([30.0, 80.0, 30.0, 30.0])
    assert (read.found.reordered, read.found.inferred_losses) == (1, 0)


def test_numbers_wrap_after_65535(tmp_path: Path) -> None:
    sent = [n for n in range(65_530, 65_550) if n not in (65_534, 65_537)]
    sent[5], sent[6] = sent[6], sent[5]
    read = open_measurement(_write(tmp_path, (_answer(n % 65_536, at=n) for n in sent)))
    assert len(read) == 20
    assert np.flatnonzero(~read.answered).tolist() == [4, 7]


def test_an_outage_longer_than_all_numbers_is_told_by_its_length(tmp_path: Path) -> None:
    sent = [*range(1000), *range(100_000, 101_000)]
    read = open_measurement(_write(tmp_path, (_answer(n % 65_536, at=n) for n in sent)))
    assert len(read) == 101_000
    assert read.found.inferred_losses == 99_000


def test_a_program_that_was_started_again_loses_nothing_in_between(tmp_path: Path) -> None:
    lines = [*(_answer(n) for n in range(5000, 5010)), *(_answer(n, at=9000 + n) for n in range(1, 11))]
    read = open_measurement(_write(tmp_path, lines))
    assert (len(read), read.found.inferred_losses) == (20, 0)


def test_seconds_and_a_last_line_that_broke_off(tmp_path: Path) -> None:
    broken = _answer(3)[:60]
    lines = [_answer(1), _answer(2, 1500.0).replace("time=1500 ms", "time=1.5 s"), broken]
    read = open_measurement(_write(tmp_path, lines))
    assert read.values == pytest.approx([30.0, 1500.0])
    assert read.found.truncated


def test_without_instants_the_sentence_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="measure with ping -D, which prints them"):
        open_measurement(_write(tmp_path, (_answer(n).split("] ")[1] for n in range(1, 9))))


def test_lines_with_and_without_instants_are_not_of_one_measurement(tmp_path: Path) -> None:
    lines = [_answer(1), _answer(2), _answer(3).split("] ")[1]]
    with pytest.raises(BadInput, match="line 4: has no instant, as others have"):
        open_measurement(_write(tmp_path, lines))


def test_output_without_a_single_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no answers of ping -D"):
        open_measurement(_write(tmp_path, [], TAIL))


def test_a_public_log_has_the_losses_its_makers_say() -> None:
    folder = shared("rtt_starlink_isl_raw_ping_text")
    read = open_measurement(folder / "ping-example-isl.txt.gz")
    assert np.isnan(read.values).mean() == pytest.approx(0.0326, abs=5e-5)
    assert np.nanmedian(read.values) == pytest.approx(151.0)
    assert int(read.answered.sum()) == 10_000


@pytest.mark.skipif(shutil.which("ping") is None, reason="needs ping to read what it prints")
def test_what_ping_prints_is_read(tmp_path: Path) -> None:
    done = subprocess.run(["ping", "-D", "-n", "-c", "20", "-i", "0.01", "127.0.0.1"], capture_output=True)
    if done.returncode:
        pytest.skip(f"ping may not be used here: {done.stderr.decode().strip()}")
    (tmp_path / "ping.txt").write_bytes(done.stdout)
    read = open_measurement(tmp_path / "ping.txt")
    assert len(read) == 20
    assert read.answered.all()
    assert abs(read.end_s - time.time()) < 3600.0


def test_a_damaged_round_trip_is_none(tmp_path: Path) -> None:
    lines = [_answer(n) for n in range(1, 9)]
    lines[3] = lines[3].replace("time=30 ms", "time=3.0.1 ms")
    read = open_measurement(_write(tmp_path, lines, TAIL))
    assert np.flatnonzero(np.isnan(read.values)).tolist() == [3]
