"""Recordings from files: which columns are taken, in which units, from when on, and what is refused."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.links import series
from emulator.links.series import Columns, parse_csv_series, parse_mahimahi, read_csv_series, read_mahimahi
from tests.emulator.worlds import shared

MS = 1_000_000
#: a value through one multiplication in floating point
ROUNDING = 1e-12
RTT = "t_s,rtt_ms\n0,40\n0.5,50\n2,30\n"


def rows(found: Any) -> list[tuple[int, float]]:
    """(ms, value in ms) of every entry."""
    return [
        (time // MS, value / MS) for time, value in zip(found.times_ns.tolist(), found.values, strict=True)
    ]


# --- columns and units ---------------------------------------------------------------------------


def test_a_delay_is_in_nanoseconds_since_the_first_row() -> None:
    found = parse_csv_series("t_s,delay_ms\n7,1.5\n7.25,2\n", "delay")
    assert (found.times_ns.tolist(), found.values.tolist()) == ([0, 250 * MS], [1.5e6, 2e6])
    assert (found.kind, found.period_ns) == ("steps", 0)
    assert (found.times_ns.dtype.str, found.values.dtype.str) == ("<i8", "<f8")


@pytest.mark.parametrize(
    ("quantity", "column", "given", "expected"),
    [
        ("delay", "delay_ns", "5", 5.0),
        ("delay", "rtt_us", "5", 5e3),
        ("delay", "DELAY_S", "5", 5e9),
        ("rate", "rate_mbps", "5", 5e6),
        ("rate", "mbps", "5", 5e6),
        ("rate", "bandwidth_bps", "5", 5.0),
        ("rate", "gbps", "5", 5e9),
        ("loss", "loss", "0.5", 0.5),
        ("loss", "packet_loss", "0.5", 0.5),
        ("loss", "loss_percent", "5", 0.05),
    ],
)
def test_the_end_of_a_column_s_name_is_its_unit(
    quantity: str, column: str, given: str, expected: float
) -> None:
    found = parse_csv_series(f"t_s,{column}\n0,{given}\n", quantity)
    assert found.values[0] == pytest.approx(expected, rel=ROUNDING)


@pytest.mark.parametrize(
    ("column", "stamps"),
    [
        ("t_s", ("3", "3.000000001")),
        ("t_ms", ("10", "10.000001")),
        ("unix_us", ("1734544800095465", "1734544800095465.001")),
        ("unix_ns", ("1734544800095465984", "1734544800095465985")),
        ("unix_s", ("1694478364.175354000", "1694478364.175354001")),
    ],
)
def test_times_are_exact_to_the_nanosecond(column: str, stamps: tuple[str, str]) -> None:
    found = parse_csv_series(f"{column},delay_ms\n{stamps[0]},1\n{stamps[1]},2\n", "delay")
    assert found.times_ns.tolist() == [0, 1]


def test_times_may_be_dates() -> None:
    text = "utc,delay_ms\n2025-10-01T12:00:00Z,1\n2025-10-01T12:00:00.25Z,2\n"
    assert rows(parse_csv_series(text, "delay")) == [(0, 1), (250, 2)]


def test_other_columns_do_not_matter() -> None:
    text = "seq,unix_s,place,rtt_ms\n1,5,here,40\n2,6,there,41\n"
    assert rows(parse_csv_series(text, "delay")) == [(0, 40), (1000, 41)]


def test_columns_of_any_name_can_be_stated() -> None:
    columns = Columns("when", "ms", "how long", "us")
    found = parse_csv_series("how long,when\n40,5\n50,6\n", "delay", columns)
    assert (found.times_ns.tolist(), found.values.tolist()) == ([0, MS], [40e3, 50e3])


def test_of_several_columns_that_fit_one_must_be_stated() -> None:
    text = "unix_s,rtt_ms,pop_ms\n5,40,7\n"
    with pytest.raises(WorldError, match="must have one column that ends in _ns or _us or _ms or _s, or its"):
        parse_csv_series(text, "delay")
    assert parse_csv_series(text, "delay", Columns(value="pop_ms")).values[0] == 7 * MS


def test_a_factor_makes_a_round_trip_one_way() -> None:
    assert parse_csv_series(RTT, "delay", factor=0.5).values.tolist() == [20e6, 25e6, 15e6]


def test_rows_that_measured_nothing_are_left_out_but_count_as_time() -> None:
    found = parse_csv_series("t_s,rtt_ms\n0,-1\n1,5\n2,-1\n3,6\n", "delay", missing=-1)
    assert rows(found) == [(0, 5), (1000, 5), (3000, 6)]


def test_of_rows_with_one_time_the_last_holds() -> None:
    assert rows(parse_csv_series("t_s,rtt_ms\n3,1\n4,5\n4,6\n", "delay")) == [(0, 1), (1000, 6)]


def test_empty_lines_and_blanks_do_not_matter() -> None:
    assert rows(parse_csv_series("t_s , rtt_ms\n\n0 , 40\n,\n 1, 50 \n\n", "delay")) == [(0, 40), (1000, 50)]


# --- time ----------------------------------------------------------------------------------------


def test_a_run_may_begin_within_the_recording() -> None:
    assert rows(parse_csv_series(RTT, "delay", start_s=0.7)) == [(0, 50), (1300, 30)]
    assert rows(parse_csv_series(RTT, "delay", start_s=0.5)) == [(0, 50), (1500, 30)]
    assert rows(parse_csv_series(RTT, "delay", start_s=2)) == [(0, 30)]


def test_between_rows_a_linear_series_begins_with_the_value_between() -> None:
    found = parse_csv_series(RTT, "delay", interpolation="linear", start_s=0.25)
    assert (rows(found), found.kind) == ([(0, 45), (250, 50), (1750, 30)], "linear")


def test_a_repeated_recording_keeps_its_last_value_for_a_mean_interval() -> None:
    assert parse_csv_series(RTT, "delay", repeat=True).period_ns == 3000 * MS


def test_a_repeated_recording_turns_when_the_run_begins_within_it() -> None:
    found = parse_csv_series(RTT, "delay", repeat=True, start_s=0.7)
    assert rows(found) == [(0, 50), (1300, 30), (2300, 40), (2800, 50)]
    assert found.period_ns == 3000 * MS


def test_a_single_row_holds_for_ever() -> None:
    found = parse_csv_series("t_s,rtt_ms\n4,9\n", "delay", repeat=True)
    assert (rows(found), found.period_ns) == ([(0, 9)], 0)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), min_size=2, max_size=12),
    st.integers(0, 600),
    st.integers(0, 2000),
)
def test_wherever_a_repeated_recording_begins_it_says_the_same(
    steps: list[tuple[int, int]], start_ms: int, later_ms: int
) -> None:
    """The value at a moment of the recording, asked of the whole and of one that begins later."""
    times = np.cumsum([0] + [step for step, _ in steps[1:]])
    text = "t_ms,delay_ms\n" + "".join(f"{t},{v}\n" for t, (_, v) in zip(times, steps, strict=True))
    if start_ms > times[-1]:
        return

    def at(found: Any, time_ns: int) -> float:
        when = time_ns % found.period_ns if found.period_ns else time_ns
        return float(found.values[np.searchsorted(found.times_ns, when, side="right") - 1])

    whole = parse_csv_series(text, "delay", repeat=True)
    part = parse_csv_series(text, "delay", repeat=True, start_s=start_ms / 1000)
    assert part.times_ns[0] == 0
    assert (np.diff(part.times_ns) > 0).all()
    assert part.period_ns == whole.period_ns
    assert at(part, later_ms * MS) == at(whole, (start_ms + later_ms) * MS)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_may_be_packed(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "rtt.csv"
    path.write_bytes(gzip.compress(RTT.encode()) if packed else b"\xef\xbb\xbf" + RTT.encode())
    assert rows(read_csv_series(path, "delay")) == [(0, 40), (500, 50), (2000, 30)]


def test_the_columns_that_are_used_say_all_there_is_to_know() -> None:
    text = "seq,unix_s,place,rtt_ms\n1,5, here,40 \n\n2,6,there,41\n"
    less = series.two_columns(text, "delay", Columns())
    assert less == "unix_s,rtt_ms\n5,40\n6,41\n"
    assert rows(parse_csv_series(less, "delay")) == rows(parse_csv_series(text, "delay"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "r.csv: is empty, but must have a header and rows"),
        ("t_s,rtt_ms\n", "r.csv: has no rows with a value, but must have one at least"),
        ("rtt_ms\n4\n", 'r.csv, line 1: the header is "rtt_ms", but must have one of t_s, t_ms, unix_ns,'),
        ("t_s,rtt\n0,4\n", 'r.csv, line 1: the header is "t_s,rtt", but must have one column that ends in'),
        ("t_s,rtt_ms\n0,4\n1\n", "r.csv, line 3: has 1 fields, but must have 2 as the header has"),
        ("t_s,rtt_ms\n0,4\nx,4\n", 'r.csv, line 3: t_s is "x", but must be a time in s'),
        ("t_s,rtt_ms\n0,4\nnan,4\n", 'r.csv, line 3: t_s is "nan", but must be a time in s'),
        ("t_s,rtt_ms\n0,4\n1e999999,4\n", 'line 3: t_s is "1e999999", but must be a time in s'),
        ("unix_ns,rtt_ms\n0,4\n9e18,4\n", 'line 3: unix_ns is "9e18", but must be a time in ns'),
        (
            "utc,rtt_ms\n2025-10-01 12:00,4\n",
            'line 2: utc is "2025-10-01 12:00", but must be a UTC time such',
        ),
        (
            "t_s,rtt_ms\n5,4\n4.5,4\n",
            "r.csv, line 3: t_s is 4.5, but must not be earlier than the row before",
        ),
        ("t_s,rtt_ms\n0,fast\n", 'r.csv, line 2: rtt_ms is "fast", but must be a number from 0 to 3.6e+06'),
        ("t_s,rtt_ms\n0,\n", 'line 2: rtt_ms is "", but must be a number'),
        ("t_s,rtt_ms\n0,-1\n", 'line 2: rtt_ms is "-1", but must be a number from 0'),
        ("t_s,rtt_ms\n0,nan\n", 'line 2: rtt_ms is "nan", but must be a number from 0'),
        ("t_s,rtt_ms\n0,inf\n", 'line 2: rtt_ms is "inf", but must be a number from 0'),
        ("t_s,rtt_ms\n0," + "x" * 200_000 + "\n", "line 2: is not CSV (field larger than field limit"),
    ],
)
def test_what_is_wrong_with_a_recording_is_one_sentence_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(WorldError) as caught:
        parse_csv_series(text, "delay", source="r.csv")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("quantity", "columns", "changes", "expected"),
    [
        ("delay", Columns(time="when"), {}, 'but must have a column "when", once'),
        ("delay", Columns(value="rtt"), {}, 'but must have a column "rtt", once'),
        ("delay", Columns(time="rtt_ms", time_unit="utc"), {}, "must be a UTC time such as"),
        ("loss", Columns(value="rtt_ms"), {}, 'the unit of "rtt_ms" must be stated, one of share, percent'),
        ("delay", Columns(time="speed", value="rtt_ms"), {}, 'the unit of "speed" must be stated, one of s,'),
        ("loss", Columns(value="rtt_ms", unit="share"), {}, '"40", but must be a number from 0 to 1'),
        ("loss", Columns(value="rtt_ms", unit="percent"), {"factor": 4}, "must be a number from 0 to 25"),
        ("delay", Columns(), {"start_s": 2.5}, "r: start_s is 2.5, but must be from 0 to 2, its end"),
        ("delay", Columns(), {"start_s": -1.0}, "r: start_s is -1, but must be from 0 to 2, its end"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_recording_is_said(
    quantity: str, columns: Columns, changes: dict[str, Any], expected: str
) -> None:
    text = (
        RTT.replace("t_s,", "t_s,speed,")
        .replace("0,40", "0,1,40")
        .replace("5,50", "5,1,50")
        .replace("2,3", "2,1,3")
    )
    with pytest.raises(WorldError) as caught:
        parse_csv_series(text, quantity, columns, source="r", **changes)
    assert expected in str(caught.value)


def test_a_recording_has_a_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(series, "ROWS_MAX", 2)
    with pytest.raises(WorldError, match="line 4: is one row too many, a recording has at most 2"):
        parse_csv_series(RTT, "delay")
    with pytest.raises(WorldError, match="line 3: is one line too many, a recording has at most 2"):
        parse_mahimahi("1\n2\n3\n")
    monkeypatch.setattr(series, "TEXT_BYTES_MAX", 100)
    path = tmp_path / "long.gz"
    path.write_bytes(gzip.compress(b"0\n" * 51))
    with pytest.raises(WorldError, match=r"long\.gz: is too long, a recording has at most 100 bytes of text"):
        read_mahimahi(path)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, "cannot be read (No such file"),
        (gzip.compress(RTT.encode() * 99)[:40], "cannot be read (Compressed file ended before"),
        (b"\xff\xfe\xff", "is not text in UTF-8"),
    ],
)
def test_a_file_that_is_no_text_is_named(tmp_path: Path, raw: bytes | None, expected: str) -> None:
    path = tmp_path / "r.csv"
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(WorldError) as caught:
        series.read_text(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)


# --- Mahimahi ------------------------------------------------------------------------------------


def test_a_line_is_an_opportunity_to_deliver() -> None:
    found = parse_mahimahi("0\n5\n5\n8\n")
    assert rows(found)[:1] == [(0, 1504 / MS)]
    assert (found.times_ns // MS).tolist() == [0, 5, 5, 8]
    assert (found.values.tolist(), found.kind, found.period_ns) == ([1504.0] * 4, "deliveries", 8 * MS)


def test_a_run_may_begin_within_a_packet_delivery_trace() -> None:
    found = parse_mahimahi("0\n5\n5\n8\n", start_s=0.005, opportunity_bytes=99)
    assert (found.times_ns // MS).tolist() == [0, 0, 3, 3]
    assert (set(found.values), found.period_ns) == ({99.0}, 8 * MS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "t: has no lines, but must have one at least"),
        ("\n\n", "t: has no lines"),
        ("1\n\ntwo\n", 't, line 3: is "two", but must be a whole number of milliseconds'),
        ("1.5\n", 't, line 1: is "1.5", but must be a whole'),
        ("-1\n", 't, line 1: is "-1", but must be a whole'),
        ("\u0663\n", 't, line 1: is "\u0663", but must be a whole'),
        ("1" * 50, 't, line 1: is "' + "1" * 37 + '...", but must be a whole'),
        ("3\n4\n2\n", "t, line 3: is 2, but must not be less than the line before"),
        ("0\n0\n", "t: ends at 0 ms, but must end later: there it begins anew"),
    ],
)
def test_what_is_wrong_with_a_packet_delivery_trace_is_one_sentence(text: str, expected: str) -> None:
    with pytest.raises(WorldError) as caught:
        parse_mahimahi(text, source="t")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


# --- recorded elsewhere --------------------------------------------------------------------------


def test_a_measured_trace_has_the_rate_it_is_documented_to_have() -> None:
    found = read_mahimahi(shared("mahimahi_lte/Verizon-LTE-short.down.gz"))
    assert len(found.times_ns) == 58_655
    rate_mbps = found.values.sum() * 8 / (found.period_ns / 1e9) / 1e6
    assert rate_mbps == pytest.approx(5.04, abs=0.005)


def test_measured_round_trips_have_the_quantiles_they_are_documented_to_have() -> None:
    path = shared("rtt_starlink_victoria_10ms/victoria_2.csv.gz")
    found = read_csv_series(path, "delay", factor=0.5)
    with gzip.open(path, "rt") as file:
        stamps = [int(row["unix_ns"]) for row in csv.DictReader(io.StringIO(file.read()))]
    assert found.times_ns.tolist() == [stamp - stamps[0] for stamp in stamps]
    assert 2 * np.median(found.values) / MS == pytest.approx(26.4, abs=0.05)


def test_lost_pings_of_a_measurement_can_be_left_out() -> None:
    path = shared("rtt_loss_starlink_2h_0p15s/seattle_bentpipe_part1.csv.gz")
    with pytest.raises(WorldError, match='rtt_ms is "-1'):
        read_csv_series(path, "delay")
    assert len(read_csv_series(path, "delay", missing=-1).values) == 24_000 - 534
