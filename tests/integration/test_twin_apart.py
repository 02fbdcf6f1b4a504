"""Truth and belief are apart: what the twin's process is given, sent, and can be seen to hold open."""

from __future__ import annotations

import json
import os
from pathlib import Path

from nodes.wire import Record
from testbed.scenario import load
from testbed.twin.observations import OBSERVABLE, filter_record
from tests.integration import harness


def test_the_running_twin_holds_nothing_of_the_run_but_its_log(tmp_path: Path) -> None:
    started = harness.start(tmp_path, "laptop", "--duration", "6")
    started.until_recorded("prediction")
    pid = started.pid_of("testbed.twin")
    process = Path(f"/proc/{pid}")
    run = str(started.folder.path.resolve())
    opened = {os.readlink(link) for link in (process / "fd").iterdir()}
    room = os.readlink(process / "cwd")
    command = (process / "cmdline").read_bytes().decode()
    environment = (process / "environ").read_bytes().decode(errors="replace")
    given = json.loads(Path(room, "public.json").read_bytes())
    listing = os.listdir(room)
    ended = started.finish()
    assert {path for path in opened if path.startswith(run)} == {f"{run}/logs/twin.log"}
    assert listing == ["public.json"]
    assert run not in command
    assert run not in environment
    assert given == ended.run.public()
    assert ended.run.public() == json.loads(json.dumps(load("laptop", duration_s=6).public()))


def test_what_the_twin_is_given_does_not_depend_on_secrets() -> None:
    secrets = [
        "deviations=[]", "run.seed=99", "plant.processing_sigma=0.5", "plant.implementation_loss_sigma_db=2",
        "plant.snr_report_sigma_db=1",
    ]  # fmt: skip
    plain, changed = load("laptop"), load("laptop", sets=secrets)
    assert plain.resolved() != changed.resolved()
    assert json.dumps(plain.public()) == json.dumps(changed.public())


def test_nothing_true_but_hidden_passes_to_the_twin(laptop: harness.Finished) -> None:
    hidden = {"plant_link", "plant_event", "channel", "event"}
    kinds = set()
    for record in laptop.run.records():
        kinds.add(record.measurement)
        passed = filter_record(record)
        if record.measurement in hidden:
            assert passed is None
        elif passed is not None:
            assert set(passed.fields) <= OBSERVABLE[record.measurement]
    assert hidden <= kinds


def test_a_secret_hidden_in_an_observation_is_taken_out() -> None:
    record = Record(0, "link", {"link": "a>b", "seed": "1"}, {"packets_in": 1, "attenuation_db": 8.0}, [1.0])
    passed = filter_record(record)
    assert passed is not None
    assert passed.fields == {"packets_in": 1}
    assert passed.tags == {"link": "a>b"}
