"""`testbed validate` with a calibrated model: what it refuses, what it writes, what it exits with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from testbed.cli import main
from testbed.measured.fidelity import study
from testbed.measured.measurement import Measurement
from tests.measured.fidelity.made import measurement, slotted

KEYS = {
    "ks", "w1", "quantile_error", "acf_error", "slot", "loss", "picp90", "crps_skill", "fidelity_ratio",
    "fidelity_ratios", "baselines", "floor", "verdicts", "calibration", "parameters", "remarks", "files",
}  # fmt: skip
RATIOS = {"w1", "ks", "quantiles", "acf", "slot_share", "loss", "bursts"}


def _write(path: Path, made: Measurement, lost: bool = True) -> Path:
    rng = np.random.default_rng(1)
    gone = rng.random(len(made)) < (0.02 if lost else 0.0)
    rows = (
        f"{t:.6f},{n},{-1 if g else round(v, 3)}"
        for n, (t, v, g) in enumerate(zip(made.times_s, made.values, gone, strict=True))
    )
    path.write_text("unix_s,seq,rtt_ms\n" + "\n".join(rows) + "\n")
    return path


def _validate(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["validate", *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = slotted(6, 800.0, 0.1, level_sd=0.3)
    return _write(tmp_path_factory.mktemp("measured") / "path.csv", made)


@pytest.fixture(scope="module")
def result(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("out")
    status = _validate(recording, "--model", "empirical", "--out", out, "--json", out / "result.json")
    return status, json.loads((out / "result.json").read_text()), out


def test_the_keys_of_the_json_stay(result: tuple[int, dict[str, Any], Path]) -> None:
    _, content, _ = result
    assert content.keys() >= KEYS
    assert content["fidelity_ratios"].keys() == RATIOS
    assert content["fidelity_ratio"] == content["fidelity_ratios"]["w1"]
    assert content["slot"].keys() >= {"period_s", "offset_s", "boundary_ms", "share", "significance"}
    assert content["baselines"].keys() >= {"constant", "empirical", "persistence", "propagation"}


def test_the_grid_of_the_calibration_half_is_told(result: tuple[int, dict[str, Any], Path]) -> None:
    _, content, _ = result
    assert content["slot"]["period_s"] == 15.0
    assert content["slot"]["offset_s"] == pytest.approx(12.0, abs=0.05)


def test_the_status_is_1_exactly_when_a_verdict_fails(result: tuple[int, dict[str, Any], Path]) -> None:
    """A model without memory fails by its autocorrelation."""
    status, content, _ = result
    failed = {verdict["name"] for verdict in content["verdicts"] if verdict["holds"] is False}
    assert "fidelity_acf" in failed
    assert status == 1


def test_json_model_and_page_are_written_and_the_page_needs_nothing_else(
    result: tuple[int, dict[str, Any], Path],
) -> None:
    _, content, out = result
    assert json.loads((out / "validation.json").read_text()) == content
    page = (out / "validation.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")
    for figure in ("Distribution", "Quantile against quantile", "Autocorrelation", "Allan", "Bursts", "slot"):
        assert figure in page


def test_the_model_file_is_the_model(result: tuple[int, dict[str, Any], Path]) -> None:
    from testbed.measured.models.file import read

    _, content, out = result
    assert read(out / "model.json").parameters() == content["parameters"]


def test_kinds_joined_by_plus_are_calibrated_as_one() -> None:
    calibration = slotted(6, 100.0, 0.1, level_sd=0.3)
    model, choice = study.fit("empirical+autoregressive", [calibration])
    assert model.name == "empirical+autoregressive"
    assert model.parameters()["components"]
    assert choice is None


def test_lost_probes_without_rows_give_no_loss_and_the_reason(tmp_path: Path) -> None:
    made = slotted(6, 500.0, 0.1)
    rows = (f"{round(t * 1e9)},{v:.3f}" for t, v in zip(made.times_s, made.values, strict=True))
    path = tmp_path / "path.csv"
    path.write_text("unix_ns,rtt_ms\n" + "\n".join(rows) + "\n")
    _validate(path, "--model", "constant", "--json", tmp_path / "result.json")
    content = json.loads((tmp_path / "result.json").read_text())
    assert content["loss"]["rate"] is None
    assert "no loss rate can be told" in content["loss"]["reason"]
    assert content["fidelity_ratios"]["loss"] is None
    assert "no loss rate" in content["reasons"]["fidelity_loss"]
    # the constant has neither memory nor levels, and that is no excuse
    failed = {verdict["name"] for verdict in content["verdicts"] if verdict["holds"] is False}
    assert failed >= {"fidelity_acf", "fidelity_slot_share", "calibration_acf", "calibration_slot_share"}


def test_parts_of_models_can_be_joined(recording: Path, tmp_path: Path) -> None:
    _validate(recording, "--model", "empirical+handovers", "--json", tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text())["model"] == "empirical+handovers"


def test_what_never_changes_has_no_skill_to_judge(tmp_path: Path) -> None:
    made = slotted(6, 200.0, 0.1)
    path = _write(tmp_path / "still.csv", measurement(made.times_s, np.full(len(made), 40.0)))
    _validate(path, "--model", "constant", "--json", tmp_path / "result.json")
    verdicts = json.loads((tmp_path / "result.json").read_text())["verdicts"]
    assert [verdict["holds"] for verdict in verdicts if verdict["name"] == "forecast_skill"] == [None]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{file}", "--calibrate", "{file}"], "is also the test"),
        (["{file}", "--calibrate", "{overlapping}"], "overlaps with"),
        (["{file}", "--calibrate", "/no/such"], "/no/such"),
        (["{file}", "--model", "nothing"], "--model is 'nothing', allowed: "),
        (["{file}", "--model", "empirical", "--site", "1,2"], "--site: empirical has no use for it"),
        (["{file}", "--model", "empirical", "--quantity", "x"], "--quantity is 'x', allowed: rtt"),
        (["--model", "empirical"], "name at least one file of measurements"),
        (["{short}", "--model", "empirical"], "answered samples are too few, allowed: 200 or more"),
        (["{file}", "--model", "rssi-trend", "--columns", "time=a,value=b"], "rssi-trend has no use for it"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2(
    arguments: list[str], sentence: str, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = recording.read_text().splitlines(keepends=True)
    overlapping, short = tmp_path / "overlapping.csv", tmp_path / "short.csv"
    overlapping.write_text(lines[0] + "".join(lines[3000:6000]))
    short.write_text("".join(lines[:100]))
    places = {"file": recording, "overlapping": overlapping, "short": short}
    given = [text.format(**places) for text in arguments]
    if "--model" not in given:
        given += ["--model", "empirical"]
    assert _validate(*given) == 2
    said = capsys.readouterr().err.strip()
    assert sentence in said
    assert len([line for line in said.splitlines() if line.startswith("testbed:")]) == 1
