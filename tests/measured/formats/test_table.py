"""Tables of samples: columns and units by name, losses, order, and one sentence for what cannot be read."""

from __future__ import annotations

import gzip
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured.formats import open_measurement
from tests.emulator.worlds import shared

START_S = 1_734_544_800.0
#: of a double that holds POSIX seconds, s
STAMP_RESOLUTION_S = 5e-7
#: at the worst moment; a day at 100 Hz, 8.6 million rows, then takes less than 450 MB
BYTES_A_ROW = 50


def _file(folder: Path, text: str, name: str = "measured.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def _values(path: Path, columns: str = "") -> list[float]:
    return open_measurement(path, columns).values.tolist()


def test_nanoseconds_and_ms_are_known_by_the_names_of_their_columns(tmp_path: Path) -> None:
    path = _file(tmp_path, "unix_ns,rtt_ms\n1734544800095465984,91.4\n1734544800106256128,92.0\n")
    read = open_measurement(path)
    assert read.quantity == "rtt"
    assert read.values.tolist() == [91.4, 92.0]
    assert read.times_s == pytest.approx(
        [START_S + 0.095465984, START_S + 0.106256128], abs=STAMP_RESOLUTION_S
    )
    assert not read.losses_known
    assert any("no loss can be told" in remark for remark in read.remarks)


def test_minus_one_is_a_lost_probe_and_makes_losses_known(tmp_path: Path) -> None:
    read = open_measurement(_file(tmp_path, "unix_s,rtt_ms\n100,20\n101,-1\n102,21\n"))
    assert read.losses_known
    assert read.answered.tolist() == [True, False, True]


def test_numbers_that_never_came_are_lost_probes_at_their_times(tmp_path: Path) -> None:
    rows = "".join(f"{START_S + 0.1 * n:.3f},{n},20.5\n" for n in range(10) if n not in (4, 5))
    read = open_measurement(_file(tmp_path, "unix_s,seq,rtt_ms\n" + rows))
    assert np.flatnonzero(~read.answered).tolist() == [4, 5]
    assert read.times_s == pytest.approx(START_S + 0.1 * np.arange(10), abs=STAMP_RESOLUTION_S)
    assert read.found.inferred_losses == 2


def test_a_row_without_a_value_is_no_lost_probe(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n},{'nan' if n == 7 else 20}\n" for n in range(20) if n != 3)
    read = open_measurement(_file(tmp_path, "t_s,seq,rtt_ms\n" + rows))
    assert (read.found.unusable, read.found.inferred_losses) == (1, 1)
    assert 7.0 not in read.times_s
    assert np.isnan(read.values[read.times_s == 3.0]).all()


def test_numbers_that_begin_anew_are_no_losses(tmp_path: Path) -> None:
    numbers = [*range(5000, 5010), *range(1, 11)]
    rows = "".join(f"{second},{number},20\n" for second, number in enumerate(numbers))
    read = open_measurement(_file(tmp_path, "t_s,seq,rtt_ms\n" + rows))
    assert (len(read), read.found.inferred_losses) == (20, 0)
    assert any("begin anew once" in remark for remark in read.remarks)


def test_the_same_probe_twice_counts_once_and_the_first_is_kept(tmp_path: Path) -> None:
    rows = "0,1,20\n1,2,30\n1.2,2,99\n2,3,40\n"
    read = open_measurement(_file(tmp_path, "t_s,seq,rtt_ms\n" + rows))
    assert read.values.tolist() == [20.0, 30.0, 40.0]
    assert read.found.duplicates == 1


def test_the_same_row_twice_counts_once_without_numbers(tmp_path: Path) -> None:
    rows = "".join(f"{n * 0.1:.1f},{n}\n" for n in (0, 1, 2, 2, 3, 4))
    read = open_measurement(_file(tmp_path, "t_s,rtt_ms\n" + rows))
    assert read.values.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert read.found.duplicates == 1


def test_rows_out_of_order_are_sorted_and_counted(tmp_path: Path) -> None:
    read = open_measurement(_file(tmp_path, "t_s,rtt_ms\n0,10\n2,12\n1,11\n3,13\n"))
    assert read.values.tolist() == [10.0, 11.0, 12.0, 13.0]
    assert read.found.reordered == 1


def test_shuffled_rows_are_put_in_order_by_their_numbers(tmp_path: Path) -> None:
    rows = [f"{0.1 * n:.1f},{n},{20 + n}\n" for n in range(5000)]
    shuffled = [rows[n] for n in np.random.default_rng(1).permutation(len(rows))]
    read = open_measurement(_file(tmp_path, "t_s,seq,rtt_ms\n" + "".join(shuffled)))
    assert read.values.tolist() == [20.0 + n for n in range(5000)]
    assert read.times_s == pytest.approx(0.1 * np.arange(5000))
    assert read.found.inferred_losses == 0


def test_a_file_put_behind_itself_counts_once(tmp_path: Path) -> None:
    rows = "".join(f"{0.01 * n:.2f},{20 + n}\n" for n in range(2000))
    read = open_measurement(_file(tmp_path, "t_s,rtt_ms\n" + rows + rows))
    assert len(read) == read.found.duplicates == 2000


def test_probes_that_share_a_coarse_stamp_are_all_kept(tmp_path: Path) -> None:
    rows = "".join(f"{n // 10},{20 + n % 3}\n" for n in range(2000))
    read = open_measurement(_file(tmp_path, "t_s,rtt_ms\n" + rows))
    assert (len(read), read.found.duplicates) == (2000, 0)


def test_the_header_of_a_file_that_was_put_behind_is_passed_over(tmp_path: Path) -> None:
    text = "t_s,rtt_ms\n0,20\n1,21\n"
    read = open_measurement(_file(tmp_path, text + text.replace("0,2", "2,2").replace("1,2", "3,2")))
    assert read.times_s.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_memory_grows_with_the_samples_only(tmp_path: Path) -> None:
    peaks = []
    for count in (200_000, 600_000):
        numbers = np.arange(count)
        rows = "".join(f"{n * 0.01:.2f},{n},{20 + n % 977 / 10:.1f}\n" for n in numbers.tolist() if n % 100)
        path = _file(tmp_path, "t_s,seq,rtt_ms\n" + rows)
        del numbers, rows
        tracemalloc.start()
        try:
            assert len(open_measurement(path)) == count - 1
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 400_000 < BYTES_A_ROW


def test_times_of_arrival_are_found_by_replies_that_pile_up(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    sent_s = START_S + 0.01 * np.arange(2000)
    rtt_s = 0.03 + generator.exponential(0.001, 2000)
    rtt_s[::50] += 0.06
    arrived_s = np.maximum.accumulate(sent_s + rtt_s)
    rtt_ms = (arrived_s - sent_s) * 1e3
    rows = "".join(f"{at * 1e9:.0f},{value:.4f}\n" for at, value in zip(arrived_s, rtt_ms, strict=True))
    read = open_measurement(_file(tmp_path, "unix_ns,rtt_ms\n" + rows))
    assert read.times_s == pytest.approx(sent_s, abs=1e-5)
    told = open_measurement(_file(tmp_path, "unix_ns,rtt_ms\n" + rows), "stamped=sent")
    assert told.times_s == pytest.approx(arrived_s, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("t_s;rtt_ms\n0;20,5\n1;21,5\n", ""),
        ("\ufefft_s,rtt_ms\r\n0,20.5\r\n1,21.5\r\n", ""),
        ("# made by hand\n\nt_s,rtt_ms\n0,20.5\n# a pause\n1,21.5\n", ""),
        ("t_s\trtt_ms\n0\t20.5\n1\t21.5\n", ""),
        ("t_s rtt_ms\n0 20.5\n1   21.5\n", ""),
        ('"t_s","rtt_ms","note"\n0,20.5,"a, b"\n1,21.5,\n', ""),
        ("0,20.5\n1,21.5\n", "time=1,value=2,unit=ms"),
        ("when,what\n0,0.0205\n1,0.0215\n", "time=when,value=what,unit=s"),
        ("t_s,rtt_us\n0,20500\n1,21500\n", ""),
        ("time,rtt_ms\n2024-12-18T18:00:00Z,20.5\n2024-12-18T18:00:01Z,21.5\n", ""),
        ("t_s,rtt_ms\n0,20.5\n1,21.5", ""),
    ],
)
def test_tables_are_read_whatever_stands_between_their_cells(tmp_path: Path, text: str, columns: str) -> None:
    read = open_measurement(_file(tmp_path, text), columns)
    assert read.values == pytest.approx([20.5, 21.5])
    assert read.span_s == pytest.approx(1.0)


def test_blocks_of_numbers_and_blocks_with_texts_agree(tmp_path: Path) -> None:
    rows = [f"{START_S + 0.1 * n:.2f},{n},{20 + n % 7}.5\n" for n in range(3000)]
    plain = open_measurement(_file(tmp_path, "unix_s,seq,rtt_ms\n" + "".join(rows)))
    rows.insert(1500, "# a comment\n")
    mixed = open_measurement(_file(tmp_path, "unix_s,seq,rtt_ms\n" + "".join(rows), "mixed.csv"))
    assert np.array_equal(plain.values, mixed.values)
    assert np.array_equal(plain.times_s, mixed.times_s)


@pytest.mark.parametrize(
    ("instant", "posix_s"),
    [
        ("2024-07-17T18:07:57.25Z", 1721239677.25),
        ("2024-07-17 18:07:57.25", 1721239677.25),
        ("2024-07-17T20:07:57.25+02:00", 1721239677.25),
        ("2024-07-17 13:07:57.25 CDT", 1721239677.25),
        ("2024.07.17_18.07.57", 1721239677.0),
    ],
)
def test_instants_are_read_with_their_zones(tmp_path: Path, instant: str, posix_s: float) -> None:
    read = open_measurement(_file(tmp_path, f"utc,rtt_ms\n{instant},20\n"))
    assert read.begin_s == pytest.approx(posix_s, abs=STAMP_RESOLUTION_S)


def test_throughput_is_known_by_its_unit(tmp_path: Path) -> None:
    read = open_measurement(_file(tmp_path, "t_s,dt_s,download_kbps,rtt_us\n0,1,2000,9\n1,1,0,9\n"))
    assert (read.quantity, read.values.tolist()) == ("rate", [2.0, 0.0])
    other = open_measurement(_file(tmp_path, "t_s,mbps,rtt_us\n0,2,9000\n1,0,9000\n"), quantity="rtt")
    assert (other.quantity, other.values.tolist()) == ("rtt", [9.0, 9.0])


def test_two_stamps_make_a_one_way_delay_with_its_bound(tmp_path: Path) -> None:
    rows = "1,1000000000,1020000000,150\n2,1100000000,0,150\n3,1200000000,1221000000,90\n"
    text = "seq,send_ns,recv_ns,error_us\n" + rows
    read = open_measurement(_file(tmp_path, text), "bound=error_us")
    assert read.quantity == "delay"
    assert read.values == pytest.approx([20.0, math.nan, 21.0], nan_ok=True)
    assert read.clock_bound_ms == pytest.approx(0.15)


LENS = """timestamp,rtt,uplink,downlink
1705744800616897349,0,0,-1
1705744800626565141,120.126123,72.439368,47.68675
1705744800636737402,109.976237,62.295097,47.681199
1705744800646307744,-1,0,0
1705744800656691526,0,-1,0
"""


def test_processed_results_of_lens_mark_losses_in_any_of_their_columns(tmp_path: Path) -> None:
    read = open_measurement(_file(tmp_path, LENS))
    assert read.values == pytest.approx([np.nan, 120.126123, 109.976237, np.nan, np.nan], nan_ok=True)
    assert read.losses_known
    up = open_measurement(_file(tmp_path, LENS), "value=uplink")
    assert (up.quantity, np.nanmax(up.values)) == ("delay", 72.439368)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("unix_ns,rtt_ms\n", "holds no rows"),
        ("t_s,rtt_ms\n0," + 99 * "x", f"line 2: rtt_ms is '{40 * 'x'}...', it must be a number"),
        ("t_s,rtt_ms\n0,x1\n", "line 2: rtt_ms is 'x1', it must be a number"),
        ("t_s,rtt_ms\n0,1\n1,2,3\n2,3\n", "line 3: has 3 cells, it must have 2"),
        ("a,b\n1,2\n", "no column of times is known by its name among a, b"),
        ("t_s,b\n1,2\n", "no column of values is known by its name among t_s, b"),
        ("1,2\n3,4\n", "has no header; say what its 2 columns are"),
        ("t_s,rtt_ms\n0,nan\n1,nan\n", "none of its 2 rows has a round-trip time"),
        ("t_s,rtt_ms\n0,nan\n1,5\n2,5\n", "1 of 3 rows have no round-trip time, allowed: 10%"),
        ("unix_s,rtt_ms\n1734544800,1\n1734544801000,1\n", "line 3: the time is 1.73454e+12 s since"),
        ("unix_ms,rtt_ms\n1734544800000,1\n1734544801,1\n", "line 3: the time jumps from 2024-12-18"),
        ("t_s,rtt_ms\n5,1\n4,1\n3,1\n2,1\n", "the rows run backwards in time (3 of 3 steps)"),
        ("t_s,seq,rtt_ms\n0,1,5\n9,2,5\n1,3,5\n2,4,5\n", "the time goes back by 8 s to 1970-01-01 00:00:01"),
        ("t_s,seq,rtt_ms\n0,1.5,5\n", "line 2: seq is 1.5, it must be a whole number"),
        ("t_s,seq,rtt_ms\n0,1,5\n1,900000000,5\n", "numbers of its probes are no sequence"),
        ("time,rtt_ms\n2024-12-18T18:00:00Z,20\nnoon,21\n", "line 3: time is 'noon', it must be an instant"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_gets_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(BadInput) as told:
        open_measurement(_file(tmp_path, text))
    assert sentence in str(told.value)
    assert str(told.value).startswith(str(tmp_path))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ("time", "--columns time: must be KEY=COLUMN, keys: time, value, seq"),
        ("size=3", "--columns size=3: must be KEY=COLUMN"),
        ("unit=hours", "--columns unit=hours: allowed: s, ms"),
        ("lost=gone", "--columns lost=gone: must be a number, nan or none"),
        ("value=delay", "there is no column 'delay'; there are t_s, rtt_ms"),
        ("unit=mbps", "--columns unit=mbps: is no unit of rtt_ms"),
    ],
)
def test_a_wrong_column_map_gets_one_sentence(tmp_path: Path, columns: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence.replace("(", r"\(")):
        open_measurement(_file(tmp_path, "t_s,rtt_ms\n0,1\n"), columns)


def test_where_nan_stands_for_a_lost_probe_it_can_be_said(tmp_path: Path) -> None:
    path = _file(tmp_path, "t_s,rtt_ms\n0,nan\n1,5\n2,5\n")
    assert open_measurement(path, "lost=nan").answered.tolist() == [False, True, True]


def test_a_row_that_broke_off_is_left_out(tmp_path: Path) -> None:
    read = open_measurement(_file(tmp_path, "t_s,seq,rtt_ms\n0,1,20\n1,2,21\n2,3"))
    assert read.values.tolist() == [20.0, 21.0]
    assert read.found.truncated


def test_pauses_are_told(tmp_path: Path) -> None:
    times_s = [0, 1, 2, 3, 4, 100, 101, 102]
    read = open_measurement(_file(tmp_path, "t_s,rtt_ms\n" + "".join(f"{at},5\n" for at in times_s)))
    assert any("1 gap of more than 20 s without a sample, the longest 96 s" in one for one in read.remarks)


def test_gzip_is_read_like_the_plain_file_and_one_that_breaks_off_is_refused(tmp_path: Path) -> None:
    text = "t_s,rtt_ms\n" + "".join(f"{n},{20 + n % 5}\n" for n in range(5000))
    packed = gzip.compress(text.encode())
    (tmp_path / "whole.csv.gz").write_bytes(packed)
    assert _values(tmp_path / "whole.csv.gz") == _values(_file(tmp_path, text))
    (tmp_path / "half.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(BadInput, match=r"is a gzip file that breaks off"):
        open_measurement(tmp_path / "half.csv.gz")
    (tmp_path / "bent.csv.gz").write_bytes(packed[:40] + bytes(40) + packed[80:])
    with pytest.raises(BadInput, match=r"is a damaged gzip file"):
        open_measurement(tmp_path / "bent.csv.gz")


@pytest.mark.parametrize(
    ("name", "samples", "lost", "median_ms"),
    [
        ("rtt_loss_starlink_2h_0p15s/seattle_bentpipe_part1.csv.gz", 24_000, 0.02225, 40.2),
        ("rtt_loss_starlink_2h_0p15s/lagos_isl_part1.csv.gz", 12_000, 0.00808, 131.0),
        ("rtt_oneweb_iowa/oneweb_iowa.csv.gz", 50_000, 0.0, 50.4),
        ("rtt_starlink_victoria_10ms/victoria_3.csv.gz", 60_000, 0.0, 24.6),
    ],
)
def test_public_sets_are_read_with_what_their_makers_say_of_them(
    name: str, samples: int, lost: float, median_ms: float
) -> None:
    folder, _, file = name.partition("/")
    read = open_measurement(shared(folder) / file)
    assert len(read) == samples
    assert np.isnan(read.values).mean() == pytest.approx(lost, abs=5e-6)
    assert np.nanmedian(read.values) == pytest.approx(median_ms, abs=0.05)
    assert np.all(np.diff(read.times_s) >= 0.0)
