"""The command that compares measurements with models: names, parameters, sentences, what it writes."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from testbed.errors import BadInput
from testbed.measured import validate
from testbed.measured.comparison import Comparison, Table
from testbed.measured.readers import read_table
from testbed.report.verdicts import Verdict


@dataclass(frozen=True)
class _Parameters:
    elements: str
    height_m: float = 2.0
    parts: int = 3
    strict: bool = False


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from testbed.cli import main; main()", "validate", *arguments],
        capture_output=True,
        text=True,
    )


def _comparison(holds: bool | None = True, value: float = 1.5) -> Comparison:
    return Comparison(
        "made-up", "one thing against another", {"error_db": value},
        (Verdict("error", holds, value, 2.0, "1.5 dB, bound 2"),),
        (Table("Parts", ("part", "error_db"), (("first", 1.0), ("second", value))),),
        ("little was measured",), lambda figure: figure.subplots().plot([1, 2], [3, 4]),
    )  # fmt: skip


def test_without_a_model_those_there_are_are_listed() -> None:
    done = _command()
    assert done.returncode == 2
    assert "--model is missing" in done.stderr
    for name, about in validate.models().items():
        assert name in done.stdout
        assert about in done.stdout


def test_help_names_every_model() -> None:
    text = _command("--help").stdout
    assert [name for name in validate.models() if name not in text] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["x.csv", "--model", "nothing"], "--model is 'nothing', allowed: "),
        (["x.csv", "--model", "serving-satellite"], "x.csv: no such file"),
        (["--model", "serving-satellite"], "name at least one file of measurements"),
        ([__file__, "--model", "serving-satellite", "--site", "1"], "--site is '1', it must be LAT,LON"),
        ([__file__, "--model", "serving-satellite", "--site", "1,2"], "needs elements (--elements PATH)"),
        ([__file__, "--model", "serving-satellite"], "needs latitude_deg (--site LAT,LON[,ALT])"),
        (
            [__file__, "--model", "serving-satellite", "--calibrate", __file__],
            "has nothing to calibrate from",
        ),
        ([str(Path(__file__).parent), "--model", "rssi-trend"], "is a folder, name the files"),
        (["/dev/null", "--model", "rssi-trend"], "/dev/null: not an ordinary file"),
        ([__file__, "--model", "rssi-trend", "--site", "1,2"], "--site: rssi-trend has no use for it"),
        ([__file__, "--model", "rssi-trend", "--model", "x"], "--model is given 2 times (rssi-trend, x)"),
        ([__file__, "--model", "../x"], "--model is '../x', allowed: "),
        ([__file__, "--model", "readers"], "--model is 'readers', allowed: "),
        (
            [__file__, "--model", "serving-satellite", "--site", "1,2", "--elements", "/no/such"],
            "--elements /no/such: no such file",
        ),
        ([__file__, "--model", "rssi-trend", "--out", __file__], "--out"),
        ([__file__, "--model", "rssi-trend", "--out", "/proc/none"], "--out /proc/none: cannot be written"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_status_2(arguments: list[str], sentence: str) -> None:
    done = _command(*arguments)
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.returncode == 2


@pytest.mark.parametrize("site", ["91,4", "50,999", "50,4,-600", "50,4,1e9", "nan,4", "50,4,nan"])
def test_a_site_that_is_nowhere_on_earth_is_refused_before_the_work(tmp_path: Path, site: str) -> None:
    with pytest.raises(BadInput, match=r"(latitude|longitude|altitude)_\w+ is .*(allowed: |finite)"):
        validate.validate([Path(__file__)], "serving-satellite", [], site, Path(__file__))
    with pytest.raises(BadInput, match=r"(latitude|longitude|altitude)_\w+ is .*(allowed: |finite)"):
        validate.validate([Path(__file__)], "rain-exceedance", ["elevation_deg=30"], site)


def test_nothing_is_left_behind_by_what_is_refused(tmp_path: Path) -> None:
    done = _command(
        "/no/such",
        "--model",
        "rssi-trend",
        "--out",
        str(tmp_path / "a" / "b"),
        "--json",
        str(tmp_path / "c/d"),
    )
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_parameters_are_filled_by_their_types_and_the_last_one_counts() -> None:
    filled = validate.fill(
        _Parameters, "made-up", {"elements": "a.tle"}, ["height_m=3", "parts=4", "strict=true", "parts=5"]
    )
    assert filled == _Parameters("a.tle", 3.0, 5, True)


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        (["height=3"], "made-up has no parameter 'height', allowed: elements, height_m, parts, strict"),
        (["height_m=high"], "height_m is 'high', it must be a number"),
        (["height_m=nan"], "height_m is 'nan', it must be a finite number"),
        (["height_m=-inf"], "height_m is '-inf', it must be a finite number"),
        (["parts=1.5"], "parts is '1.5', it must be a whole number"),
        (["strict=maybe"], "strict is 'maybe', it must be true or false"),
        (["strict"], "--set strict: must be KEY=VALUE"),
        ([], r"made-up needs elements \(--elements PATH\)"),
    ],
)
def test_a_wrong_parameter_gets_one_sentence(sets: list[str], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        validate.fill(_Parameters, "made-up", {}, sets)


@pytest.mark.parametrize(("holds", "status"), [(True, 0), (None, 0), (False, 1)])
def test_a_failed_verdict_is_the_exit_status(holds: bool | None, status: int) -> None:
    assert validate.exit_status(_comparison(holds)) == status


def test_figure_page_and_json_are_written(tmp_path: Path) -> None:
    written = validate.write(_comparison(), tmp_path / "out")
    assert sorted(path.name for path in written) == ["made-up.html", "made-up.json", "made-up.png"]
    content = json.loads((tmp_path / "out" / "made-up.json").read_text())
    assert content.keys() == {"model", "summary", "figures", "verdicts", "tables", "remarks"}
    assert content["tables"][0]["rows"] == [["first", 1.0], ["second", 1.5]]
    page = (tmp_path / "out" / "made-up.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "little was measured" in page
    assert (tmp_path / "out" / "made-up.png").read_bytes()[:4] == b"\x89PNG"


def test_what_is_not_finite_is_null_in_json_and_a_dash_in_print() -> None:
    comparison = _comparison(None, float("nan"))
    assert validate.as_dict(comparison)["figures"]["error_db"] is None
    console = Console(file=io.StringIO(), width=100)
    validate.show(comparison, console)
    shown: Any = console.file
    assert "void" in shown.getvalue()
    assert "nan" not in shown.getvalue()


# --- reading -------------------------------------------------------------------------------------------


def test_a_table_is_read_plain_or_packed(tmp_path: Path) -> None:
    text = "utc,level_db\n2024-07-17T18:00:00Z,1.5\n2024-07-17 18:00:01+00:00,\n"
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("a.csv", "a.csv.gz"):
        table = read_table(tmp_path / name)
        assert table.times_s("utc")[1] - table.times_s("utc")[0] == 1.0
        assert table.numbers("level", "level_db")[0] == 1.5
        assert table.numbers("level_db")[1] != table.numbers("level_db")[1]


def test_times_as_numbers_are_in_the_unit_of_their_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("rx_ms,t\n1500,1.5\n")
    table = read_table(tmp_path / "a.csv")
    assert table.times_s("rx_ms")[0] == table.times_s("t")[0] == 1.5


def _read(path: Path) -> None:
    table = read_table(path)
    table.times_s("utc")
    table.numbers("level_db", low=-10.0, high=10.0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("utc,level_db\n2024-07-17T18:00:00Z,high\n", "line 2: level_db is 'high', it must be a number"),
        ("utc,level_db\nyesterday,1\n", "line 2: utc is 'yesterday', it must be an instant such as"),
        ("utc,level_db\n2024-07-17T18:00:00Z\n", "line 2: the row has not 2 cells"),
        ("utc,level_db\n1e18,1\n", "line 2: utc is '1e18', it must be an instant between the years 1957 and"),
        ("utc,level_db\nnan,1\n", "line 2: utc is 'nan', it must be an instant between the years"),
        ("utc,level_db\n0001-01-01,1\n", "line 2: utc is '0001-01-01', it must be an instant between"),
        ("utc,level_db\n1,1e999\n", "line 2: level_db is '1e999', it must be a finite number"),
        ("utc,level_db\n1,11\n", "line 2: level_db is '11', it must be from -10 to 10"),
        ("utc,power\n2024-07-17T18:00:00Z,1\n", "no column level_db; there are utc, power"),
        ("utc,level_db\n", "holds no rows"),
    ],
)
def test_a_damaged_table_gets_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadInput, match=sentence):
        _read(tmp_path / "a.csv")
