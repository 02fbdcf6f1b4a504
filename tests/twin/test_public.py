"""The scenario as an operator knows it: read from the public document, and run ahead from that alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.errors import BadInput
from testbed.offered import Offered
from testbed.scenario import load
from testbed.twin import public

NAMES = ("laptop", "starlink", "iot-direct", "multilayer")


def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(load("laptop").public()))
    return document


@pytest.mark.parametrize("name", NAMES)
def test_nodes_offer_what_they_offer_in_the_scenario(name: str) -> None:
    scenario = load(name)
    known = public.of_scenario(scenario)
    assert Offered(known, 3).flows() == Offered(scenario, 3).flows()


def test_what_is_known_does_not_depend_on_what_the_plant_hides() -> None:
    hidden = load("laptop", ["deviations=[]", "run.seed=5", "plant.processing_sigma=0.7"])
    assert public.of_scenario(hidden) == public.of_scenario(load("laptop"))


def test_it_is_read_from_the_file_a_twin_is_given(tmp_path: Path) -> None:
    file = tmp_path / "public.json"
    file.write_text(json.dumps(_document()))
    assert public.read(file) == public.of_scenario(load("laptop"))


def test_a_group_stands_for_its_nodes() -> None:
    known = public.of_scenario(load("laptop"))
    assert known.nodes_called("remote") == ("remote-1", "remote-2", "remote-3")
    assert known.nodes_called("edge-sat") == ("edge-sat",)
    assert known.nodes_called("nobody") == ()


def test_satellites_are_known_by_name() -> None:
    assert public.of_scenario(load("laptop")).satellites == {"sat-1", "sat-2", "sat-3", "sat-4"}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("nodes", "sensor-1", "reading_interval_s"), -1, "nodes.sensor-1.reading_interval_s"),
        (("nodes", "sensor-1", "role"), "king", "nodes.sensor-1.role"),
        (("epoch_s",), None, "here"),
    ],
)
def test_a_document_that_cannot_be_is_refused_in_one_sentence(
    path: tuple[str, ...], value: object, said: str
) -> None:
    document = _document()
    table: Any = document
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    with pytest.raises(BadInput) as error:
        public.of_document(document, "here")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_document_of_an_older_run_says_what_is_missing() -> None:
    document = _document()
    del document["epoch_s"]
    with pytest.raises(BadInput, match="epoch_s is missing"):
        public.of_document(document)
