"""Model files: what is wrong in one is told by file and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.errors import BadInput
from testbed.measured.models import file
from testbed.measured.models.generated import KNOTS, Generated, Parameters, Segments

SEGMENTS = Segments(15.0, 12.0, 1.7e9, 4, (-1.0, 0.0, 1.0), (0.2, 0.3), 0.1, (0.5,))
MODEL = Generated("slots", Parameters(tuple(20.0 + 0.1 * n for n in range(KNOTS)), segments=SEGMENTS))


def changed(**changes: Any) -> dict[str, Any]:
    """The model's file as a table with changes by path, dots written as double underscores."""
    table: dict[str, Any] = json.loads(file.text_of(MODEL))
    for path, value in changes.items():
        *parents, last = path.split("__")
        at = table
        for parent in parents:
            at = at[parent]
        at[last] = value
    return table


def test_a_file_says_what_it_is_and_keeps_notes(tmp_path: Path) -> None:
    file.write(MODEL, tmp_path / "m.json", calibrated_on="a.csv")
    table = json.loads((tmp_path / "m.json").read_text())
    assert (table["format"], table["model"], table["calibrated_on"]) == (1, "slots", "a.csv")
    assert file.read(tmp_path / "m.json") == MODEL


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": 2}, "m.json: format is 2, allowed: 1"),
        ({"model": "magic"}, 'm.json: model is "magic", allowed: autoregressive'),
        ({"model": 3}, "m.json: model is 3, allowed"),
        ({"parameters": []}, "m.json: parameters is [], it must be a table"),
        ({"parameters__gain": 1}, "m.json: parameters.gain is no parameter, allowed: delay_ms"),
        ({"parameters__white": "much"}, 'm.json: parameters.white is "much", it must be a finite number'),
        ({"parameters__white": -1}, "m.json: parameters.white is -1, allowed: 0 to 100"),
        ({"parameters__delay_ms": [1.0]}, "m.json: parameters.delay_ms has 1 entries, allowed: 257"),
        ({"parameters__delay_ms": [2.0] * 256 + [1.0]}, "parameters.delay_ms[256] is 1, allowed: from the"),
        ({"parameters__round_trip": 1}, "m.json: parameters.round_trip is 1, it must be true or false"),
        ({"parameters__components": [[1.0]]}, "m.json: parameters.components[0] has 1 entries, allowed: 2"),
        ({"parameters__components": [[0.0, 1]]}, "parameters.components[0][0] is 0, allowed: 1e-06 to"),
        ({"parameters__segments__count": 2.5}, "parameters.segments.count is 2.5, it must be a whole number"),
        ({"parameters__segments__level": []}, "parameters.segments.level has no entries, it must have one"),
        ({"parameters__segments__offset_s": 99}, "parameters.segments.offset_s is 99, allowed: 0 to 15"),
        ({"parameters__handovers__chance": 2}, "parameters.handovers.chance is 2, allowed: 0 to 1"),
        ({"parameters__loss_leave": 0}, "parameters.loss_leave is 0, allowed: 1e-06 to 1"),
    ],
)
def test_what_is_wrong_is_told_by_key(changes: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(changed(**changes)))
    with pytest.raises(BadInput) as error:
        file.read(tmp_path / "m.json")
    assert sentence in str(error.value)
    assert str(error.value).startswith(str(tmp_path))


def test_a_missing_key_is_named() -> None:
    table = changed()
    del table["parameters"]["segments"]["level"]
    with pytest.raises(BadInput, match=r"^here: parameters.segments.level is missing$"):
        file.parse(json.dumps(table), "here")


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"model": "slots"}', "\x00", "[" * 100_000])
def test_what_is_no_model_file_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"^here: (is not JSON|has no keys)"):
        file.parse(text, "here")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    for name in ("none", "b", "."):
        with pytest.raises(BadInput, match="cannot be read"):
            file.read(tmp_path / name)
