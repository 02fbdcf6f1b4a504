"""Exports: every record, in columns that other programs understand."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from nodes.wire import Record
from testbed.errors import BadInput, EnvironmentProblem
from testbed.store import export as module
from testbed.store.export import export
from testbed.store.runfile import RunFolder

OFFSET_NS = 1_700_000_000_000_000_000


@pytest.fixture
def filled(run: RunFolder) -> RunFolder:
    with run.telemetry_writer() as writer:
        writer.append(
            Record(1, "link", {"link": "a>b"}, {"x": 1, "up": True}, [1.0, 2.0]),
            Record(2, "link", {"link": "b>a"}, {"x": 2.5, "note": "é, ok"}),
            Record(3, "task", {"node": "edge"}, {"node": 4, "cycles": 2**40}),
        )
    return run


def test_csv_has_one_file_a_measurement_and_one_row_a_record(filled: RunFolder) -> None:
    paths = export(filled, "csv")
    assert [p.name for p in paths] == ["link.csv", "task.csv"]
    with paths[0].open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["t_ns", "utc_ns", "link", "x", "up", "note"],
            ["1", str(OFFSET_NS + 1), "a>b", "1", "True", ""],
            ["2", str(OFFSET_NS + 2), "b>a", "2.5", "", "é, ok"],
        ]


def test_a_field_called_like_a_tag_has_a_heading_of_its_own(filled: RunFolder) -> None:
    assert export(filled, "csv")[1].read_text().splitlines()[0] == "t_ns,utc_ns,node,node (field),cycles"


def test_parquet_keeps_types_and_samples(
    filled: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    monkeypatch.setattr(module, "ROW_GROUP", 1)
    link, task = export(filled, "parquet", tmp_path / "out")
    rows = parquet.read_table(link, columns=["t_ns", "link", "x", "up", "samples"]).to_pydict()
    assert rows["x"] == [1.0, 2.5]
    assert rows["up"] == [True, None]
    assert rows["samples"] == [[1.0, 2.0], []]
    assert rows["t_ns"] == [1, 2]
    assert str(parquet.read_schema(task).field("cycles").type) == "int64"
    assert str(parquet.read_schema(task).field("utc_ns").type) == "timestamp[ns, tz=UTC]"


def test_parquet_holds_a_whole_number_beyond_its_own_as_a_float(run: RunFolder) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    with run.telemetry_writer() as writer:
        writer.append(Record(1, "big", {}, {"x": 2**63}), Record(2, "big", {}, {"x": 1}))
    (path,) = export(run, "parquet")
    assert parquet.read_table(path)["x"].to_pylist() == [2.0**63, 1.0]


def test_parquet_without_its_package_says_what_to_install(
    filled: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EnvironmentProblem, match="pip install pyarrow"):
        export(filled, "parquet")


def test_line_protocol_is_one_file(filled: RunFolder) -> None:
    (path,) = export(filled, "lp")
    assert path.read_text().splitlines()[0] == f"link,link=a>b,run={filled.id} x=1.0,up=1.0 {OFFSET_NS + 1}"


def test_a_measurement_name_cannot_leave_the_folder(run: RunFolder) -> None:
    with run.telemetry_writer() as writer:
        writer.append(Record(1, "../../x", {}, {"a": 1}))
    assert export(run, "csv") == [run.path / "export" / "%2E%2E%2F%2E%2E%2Fx.csv"]


def test_long_measurement_names_that_begin_alike_have_files_of_their_own(run: RunFolder) -> None:
    names = ["é" * 200, "é" * 200 + "!"]
    with run.telemetry_writer() as writer:
        writer.extend(Record(1, name, {}, {"a": number}) for number, name in enumerate(names))
    assert [path.read_text().splitlines()[1] for path in export(run, "csv")] == [
        f"1,{OFFSET_NS + 1},{number}" for number in range(2)
    ]


def test_an_unknown_format_names_those_that_are_known(filled: RunFolder) -> None:
    with pytest.raises(BadInput, match="csv, parquet, lp"):
        export(filled, "xls")


def test_a_folder_that_cannot_be_written_is_bad_input(filled: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        export(filled, "csv", tmp_path / "file" / "out")
