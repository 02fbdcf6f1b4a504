"""Measured models in scenarios: on which links they are, from which file, and what a run's folder keeps."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from emulator.links.model import GilbertElliott, LinkModel
from testbed.measured.models import file
from testbed.measured.models.generated import KNOTS, Generated, Parameters, Segments
from testbed.scenario import Scenario, ScenarioError, load

MODEL = Generated(
    "slots",
    Parameters(
        tuple(np.linspace(20.0, 60.0, KNOTS).tolist()),
        loss_enter=0.01,
        loss_leave=0.5,
        segments=Segments(15.0, 12.0, 1.7e9, 4, (-1.0, 0.0, 1.0), (0.2, 0.3)),
    ),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file.write(MODEL, tmp_path / "model.json")
    return tmp_path / "model.json"


def models(scenario: Scenario) -> dict[str, LinkModel]:
    return {model.name: model for model in scenario.world_spec().models}


def same(one: LinkModel, other: LinkModel) -> bool:
    assert one.process is not None
    assert other.process is not None
    return np.array_equal(one.process.packed(), other.process.packed()) and one.loss == other.loss


def test_terminals_play_the_model_and_radios_of_others_do_not(path: Path) -> None:
    scenario = load("laptop", [f"link.model={path}"])
    assert {"measured-forward", "measured-backward"} <= set(models(scenario))
    playing = {n for n, r in scenario.document.radios.items() if r.up_model == "measured-forward"}
    assert all(scenario.document.radios[name].down_model == "measured-backward" for name in playing)
    for place in scenario.document.places.values():
        assert (place.radio in playing) == (place.access == "terminal")
    assert playing


def test_what_varies_is_on_the_way_forward_and_half_the_floor_on_the_way_back(path: Path) -> None:
    scenario = load("laptop", [f"link.model={path}"])
    start_s = datetime.fromisoformat(scenario.document.run.start_utc).timestamp()
    found = models(scenario)
    assert same(found["measured-forward"], MODEL.link_model(start_s))
    assert found["measured-forward"].loss == GilbertElliott(0.01, 0.5)
    assert not found["measured-forward"].keep_order
    backward = found["measured-backward"]
    assert backward.process is not None
    assert set(backward.process.delays_ns.tolist()) == {10e6}


def test_slots_of_a_run_lie_where_those_of_the_measurement_do(path: Path) -> None:
    scenario = load("laptop", [f"link.model={path}", "run.start_utc=2026-01-01T00:00:05Z"])
    process = models(scenario)["measured-forward"].process
    assert process is not None
    # boundaries are at seconds 12, 27, 42 and 57: 8 s after the last one, 7 s before the next
    assert process.phase_ns % 15_000_000_000 == 8_000_000_000


def test_a_named_link_plays_its_own_model(path: Path) -> None:
    sets = [f"models.mine.measured.file={path}", "links.0.model=mine"]
    assert same(
        models(load("laptop", sets))["mine"],
        models(load("laptop", [f"link.model={path}"]))["measured-forward"],
    )


def test_a_runs_folder_needs_no_other_file(path: Path, tmp_path: Path) -> None:
    scenario = load("laptop", [f"link.model={path}"])
    kept = tmp_path / "scenario.json"
    kept.write_text(json.dumps(scenario.document.model_dump(mode="json", by_alias=True)))
    path.unlink()
    again = load(kept)
    assert same(models(again)["measured-forward"], models(scenario)["measured-forward"])


def test_the_twin_is_not_told(path: Path) -> None:
    text = json.dumps(load("laptop", [f"link.model={path}"]).public())
    assert "measured" not in text
    assert "patterns" not in text


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        (["link.model=none.json"], "--set: link.model: none.json: cannot be read"),
        (["link.model=3"], "link.model is 3"),
        (["link.modell=x"], "unknown key link.modell"),
        (["models.m.measured={way='up'}"], 'models.m.measured.way is "up"'),
        (["models.m.measured={}"], 'models.m.measured.file is "", but must be the path of a model'),
        (["models.m.measured={content='x'}"], "models.m.measured.content is given, but must be such that it"),
        (["links.0.back_model=nobody"], 'links.0.back_model is "nobody", but must be a model'),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(sets: list[str], sentence: str) -> None:
    with pytest.raises(ScenarioError) as error:
        load("laptop", sets)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_process_of_loss_beside_a_measured_model_is_refused(path: Path) -> None:
    sets = [
        f"models.mine.measured.file={path}",
        "models.mine.loss={kind='gilbert-elliott', enter=0.1, leave=0.5}",
    ]
    with pytest.raises(ScenarioError, match=r"models.mine.loss is given, but must be absent beside measured"):
        load("laptop", sets)
