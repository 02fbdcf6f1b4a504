"""Benchmarks by name: which take which options, what `all` does, what is written as JSON."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest

from testbed import bench
from testbed.bench import Figures, run_bench
from testbed.errors import BadInput


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Two benchmarks, one of which takes an option; what each was called with."""
    calls: dict[str, dict[str, Any]] = {}

    def plain() -> Figures:
        calls["plain"] = {}
        return Figures("plain", {"taken_ms": 1.0}, {"taken_ms": 2.0}, {"times": math.inf})

    def open_to(elements: str | None = None) -> Figures:
        calls["open"] = {"elements": elements}
        return Figures("open", {"rate": 3.0}, {"rate": 4.0}, at_least=frozenset({"rate"}))

    runs = {f"{bench.__name__}.plain": plain, f"{bench.__name__}.open": open_to}
    monkeypatch.setattr(bench, "known", lambda: {"open": "One.", "plain": "Another."})
    monkeypatch.setattr(bench.importlib, "import_module", lambda name: SimpleNamespace(run=runs[name]))
    return calls


def test_all_runs_each_and_gives_options_to_those_that_take_them(asked: dict[str, dict[str, Any]]) -> None:
    content, status = run_bench("all", elements="a.tle", plot=None)
    assert asked == {"open": {"elements": "a.tle"}, "plain": {}}
    assert [one["bench"] for one in content] == ["open", "plain"]
    assert status == 1


def test_one_is_an_object_of_four_keys_in_json_that_any_reader_takes(
    asked: dict[str, dict[str, Any]],
) -> None:
    content, status = run_bench("plain")
    assert status == 0
    assert content == {
        "bench": "plain", "figures": {"taken_ms": 1.0}, "limits": {"taken_ms": 2.0},
        "ratios": {"times": None},
    }  # fmt: skip
    json.dumps(content, allow_nan=False)


def test_an_option_that_nobody_takes_is_refused_before_anything_runs(
    asked: dict[str, dict[str, Any]],
) -> None:
    with pytest.raises(BadInput, match="bench all: there is no option --plot for it"):
        run_bench("all", plot="a.png")
    with pytest.raises(BadInput, match="bench plain: there is no option --elements for it"):
        run_bench("plain", elements="a.tle")
    with pytest.raises(BadInput, match="bench other: no such benchmark; there are open, plain and all"):
        run_bench("other")
    assert asked == {}


def test_each_says_in_a_line_what_it_measures() -> None:
    for name, about in bench.known().items():
        assert about, name
        assert about.endswith("."), name


def test_one_that_the_user_ended_is_the_last_and_has_what_was_done(
    asked: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = bench.Figures("open", {"taken_ms": 1.0}, interrupted=True)
    monkeypatch.setattr(bench.importlib, "import_module", lambda name: SimpleNamespace(run=lambda: ended))
    content, status = run_bench("all")
    assert status == 130
    assert [(one["bench"], one["interrupted"]) for one in content] == [("open", True)]
