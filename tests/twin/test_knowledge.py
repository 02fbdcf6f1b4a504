"""Reading public knowledge: what is in it, and sentences for what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.errors import BadInput
from testbed.scenario import load
from testbed.twin import knowledge


def test_the_shipped_scenario_is_understood() -> None:
    known = knowledge.parse(load("laptop").public())
    assert known.servers == {"edge-ground": 6e9, "edge-sat": 3e9}
    assert known.node_places["edge-sat"] == "on-board"
    assert known.window_s == 0.5
    assert known.settings.false_alarms_per_day == 0.1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("[1]", "a table of public knowledge is expected"), ("{", "not JSON"), ("{}", "world is missing"),
     ('{"world": {"start_utc": 3}}', "Expected `str`")],
)  # fmt: skip
def test_a_file_that_is_not_public_knowledge_is_refused_by_name(
    tmp_path: Path, content: str, sentence: str
) -> None:
    path = tmp_path / "public.json"
    path.write_text(content)
    with pytest.raises(BadInput, match=f"public.json: .*{sentence}"):
        knowledge.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent.json: cannot be read"):
        knowledge.load(tmp_path / "absent.json")
