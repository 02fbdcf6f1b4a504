"""Finding the format, putting parts together, cutting out a stretch; what is no measurement."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.errors import BadInput
from testbed.measured.formats import open_measurement


def _part(folder: Path, name: str, first: int, count: int, value: float = 20.0) -> Path:
    path = folder / name
    path.write_text("t_s,rtt_ms\n" + "".join(f"{first + n},{value}\n" for n in range(count)))
    return path


def test_parts_are_put_together_in_the_order_of_their_times(tmp_path: Path) -> None:
    later, earlier = _part(tmp_path, "a.csv", 10, 5, 1.0), _part(tmp_path, "b.csv", 0, 5, 2.0)
    read = open_measurement([later, earlier])
    assert read.times_s.tolist() == [*range(5), *range(10, 15)]
    assert read.values.tolist() == [2.0] * 5 + [1.0] * 5
    assert read.found.rows == 10
    assert read.source == f"{earlier} {later}"


def test_parts_that_overlap_are_told(tmp_path: Path) -> None:
    read = open_measurement([_part(tmp_path, "a.csv", 0, 10), _part(tmp_path, "b.csv", 7, 10)])
    assert any("overlap by 2 s" in remark for remark in read.remarks)
    assert read.times_s.tolist() == sorted(read.times_s.tolist())


def test_losses_are_known_only_where_all_parts_know_theirs(tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("t_s,rtt_ms\n0,20\n1,-1\n")
    both = open_measurement([tmp_path / "known.csv", _part(tmp_path, "b.csv", 5, 3)])
    assert not both.losses_known
    assert both.answered.all()


def test_parts_of_different_quantities_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rate.csv").write_text("t_s,mbps\n0,20\n1,10\n")
    with pytest.raises(BadInput, match="must hold the same quantity"):
        open_measurement([tmp_path / "rate.csv", _part(tmp_path, "b.csv", 5, 3)])


def test_a_stretch_is_cut_out(tmp_path: Path) -> None:
    path = _part(tmp_path, "a.csv", 0, 10)
    assert open_measurement(path, begin_s=3.0, end_s=6.0).times_s.tolist() == [3.0, 4.0, 5.0]
    with pytest.raises(BadInput, match=r"holds no samples from 30\.000 to 40\.000 s"):
        open_measurement(path, begin_s=30.0, end_s=40.0)


def test_another_quantity_than_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no column of throughput is known by its name"):
        open_measurement(_part(tmp_path, "a.csv", 0, 3), quantity="rate")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "has no format that is known, which are: "),
        (bytes((37 * n * n + 11) % 256 for n in range(5000)), "has no format that is known"),
        (b"PK\x03\x04" + bytes(50), "is packed with zip, allowed: files that are plain or gzip"),
        ("t_s,rtt_ms\n0,1\n".encode("utf-16"), "is text in UTF-16, allowed: UTF-8"),
        (b"once upon a time\nthere was a satellite\n", "has no format that is known"),
    ],
)
def test_what_is_no_measurement_gets_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(BadInput) as told:
        open_measurement(path)
    assert str(told.value).startswith(f"{path}: {sentence}")
    assert "\n" not in str(told.value)


def test_what_is_no_file_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        open_measurement(tmp_path / "none.csv")
    with pytest.raises(BadInput, match="is not an ordinary file"):
        open_measurement("/dev/null")
    with pytest.raises(BadInput, match="is a folder"):
        open_measurement(tmp_path)
    with pytest.raises(BadInput, match="name at least one file"):
        open_measurement([])
