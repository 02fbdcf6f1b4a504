"""`testbed whatif`: from a scenario or a run's folder to a table, and one sentence for what cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from nodes.wire import Record
from testbed.cli import main
from testbed.scenario import load
from testbed.twin import told
from testbed.twin.belief import Estimate

T0_NS = 10**12


def _run_folder(path: Path, records: Iterable[Record]) -> Path:
    """A run's folder as far as the command reads it."""
    path.mkdir()
    (path / "run.json").write_text(json.dumps({"t0_ns": T0_NS}))
    (path / "public.json").write_text(json.dumps(load("laptop").public()))
    (path / "telemetry.jsonl").write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in records))
    return path


def _belief(t_s: float, target: str, state: str, mean: float, sd: float = 0.0) -> Record:
    tags = {"target": target, "state": state}
    return Record(T0_NS + round(t_s * 1e9), "belief", tags, {"mean": mean, "variance": sd * sd})


def _refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["whatif", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_a_scenario_is_tried_as_it_is_published(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "testbed", "whatif", "laptop", "--action", "handover:bar=sat-1",
         "--horizon", "5", "--replications", "2", "--json", str(file)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "handover:bar=sat-1" in done.stdout
    assert "all datagrams" in done.stdout
    report = json.loads(file.read_text())
    assert report["t_s"] == 0.0
    assert report["candidates"][0]["changes"]["delay"]["latency_ms"].keys() == {"mean", "low", "high"}


def test_a_run_is_tried_from_its_last_belief(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [
        _belief(2.0, "edge-sat", "service_factor", 1.0),
        *(
            _belief(12.0, f"sat-{n}>{gateway}", "delay_bias_ms", 80.0, 1.0)
            for n in (1, 2, 3, 4)
            for gateway in ("gateway-site", "gateway-south")
        ),
    ]
    folder, file = _run_folder(tmp_path / "run", records), tmp_path / "report.json"
    with pytest.raises(SystemExit) as ended:
        main(
            ["whatif", str(folder), "--candidate", "priority:sensor=1", "--horizon", "5", "--json", str(file)]
        )
    assert ended.value.code == 0
    report = json.loads(file.read_text())
    assert report["t_s"] == 12.0
    assert 90.0 < report["baseline"]["flows"]["delay"]["delay_ms"] < 130.0
    assert "all datagrams" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["laptop"], "--action or --candidate is missing"),
        (["laptop", "--action", "handover:bar=sat-9"], "there is no 'sat-9'"),
        (["laptop", "--action", "fly:up"], "action 'fly:up': allowed are"),
        (["laptop", "--action", "offload:sensor=nobody:1"], "'nobody' takes no tasks"),
        (
            ["laptop", "--action", "handover:bar=sat-1", "--horizon", "4000"],
            "--horizon 4000: allowed is 0.1 to",
        ),
        (["laptop", "--action", "handover:bar=sat-1", "--at", "61"], "--at 61: allowed is"),
        (["laptop", "--action", "handover:bar=sat-1", "--at", "inf"], "is the time of the run: 0 to 60 s"),
        (["laptop", "--action", "handover:bar=sat-1", "--horizon", "nan"], "--horizon nan: allowed is"),
        (["laptop", "--action", "handover:bar=sat-1", "--limit", "0"], "--limit 0: allowed is"),
        (["laptop", "--action", "offload:gateway-1=edge-sat:1"], "gateway-1 offloads no tasks"),
        (
            ["laptop", "--candidate", "offload:sensor=edge-sat:1; offload:sensor=edge-ground:1"],
            "'offload:sensor=edge-sat:1' and 'offload:sensor=edge-ground:1' contradict each other",
        ),
        (["nothing-such", "--action", "handover:bar=sat-1"], "nothing-such"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in _refused(arguments, capsys)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a run folder" in _refused([str(tmp_path), "--action", "handover:bar=sat-1"], capsys)


def test_a_run_without_belief_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _run_folder(tmp_path / "run", [])
    assert "told no belief" in _refused([str(folder), "--action", "handover:bar=sat-1"], capsys)


def test_a_time_at_which_nothing_was_believed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _run_folder(tmp_path / "run", [_belief(2.0, "edge-sat", "service_factor", 1.0)])
    said = _refused([str(folder), "--action", "handover:bar=sat-1", "--at", "30"], capsys)
    assert "--at 30: allowed is the time in which the twin told its belief: 2 to 2 s" in said


def test_the_belief_is_the_newest_that_was_told_by_then() -> None:
    records = [
        _belief(1.0, "gateway-site", "attenuation_up_db", 0.0),
        _belief(5.0, "gateway-site", "attenuation_up_db", 8.0, 0.5),
        _belief(5.0, "gateway-site", "snr_bias_up_db", 0.2),
        _belief(9.0, "gateway-site", "attenuation_up_db", 3.0),
        _belief(1.0, "a>b", "delay_bias_ms", 7.0),
        _belief(1.0, "edge-sat", "service_factor", 0.5, 0.1),
    ]
    belief = told.belief_at(records, T0_NS, 8.0)
    assert belief.attenuation_db == {"gateway-site/up": Estimate(8.0, 0.5)}
    assert belief.snr_bias_db == {"gateway-site/up": Estimate(0.2)}
    assert belief.service_factor["edge-sat"].sd == pytest.approx(0.1)
    assert belief.delay_ms == {}, "a link that was not told for seconds is gone"


def test_links_are_down_from_detection_to_recovery() -> None:
    tags = {"kind": "link_down", "target": "a>b", "where": "a>b"}
    records = [
        Record(T0_NS + 2 * 10**9, "detection", tags, {"links": "a>b,b>a"}),
        Record(T0_NS + 6 * 10**9, "recovery", tags, {}),
    ]
    assert told.belief_at(records, T0_NS, 4.0).down == ["a>b", "b>a"]
    assert told.belief_at(records, T0_NS, 7.0).down == []
