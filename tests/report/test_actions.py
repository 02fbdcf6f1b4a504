"""What a report says of the twin's actions: steps, and prediction beside outcome."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from testbed import report
from testbed.report import actions
from testbed.report.collect import load

PREDICTED = {"predicted_ms": 35.0, "predicted_low_ms": 26.0, "predicted_high_ms": 44.0, "change_ms": -140.0}
OBSERVED = {
    "during_ms": 175.0, "during_low_ms": 150.0, "during_high_ms": 200.0, "observed_ms": 33.6,
    "observed_low_ms": 28.5, "observed_high_ms": 38.7, "recovered_share": 0.94, "recovered_low": 0.9,
    "recovered_high": 0.97, "recovered_against": "observed",
}  # fmt: skip


def _step(made: Any, t_s: float, number: str, step: str, action: str, **more: Any) -> None:
    tags = {"id": number, "policy": "route", "step": step}
    made.add(t_s, "action", tags, action=action, cause="attenuation at gateway", metric="delay", **more)


@pytest.fixture
def run(folder: Any) -> Path:
    """A run whose twin did one thing and thought of another."""
    made = folder().fill()
    avoid, bar = "route:avoid=gateway", "handover:bar=sat-1"
    _step(made, 8.0, "1", "proposed", avoid)
    _step(made, 8.0, "2", "proposed", bar)
    _step(made, 8.5, "1", "validated", avoid, **PREDICTED)
    _step(made, 8.5, "2", "rejected", bar, why="predicted gain 2%, least allowed 10%", **PREDICTED)
    _step(made, 8.6, "1", "ordered", avoid, **PREDICTED)
    _step(made, 9.0, "1", "applied", avoid, **PREDICTED)
    _step(made, 15.0, "1", "verified", avoid, holds=True, **PREDICTED, **OBSERVED)
    path: Path = made.write()
    return path


def test_every_action_is_told_with_its_steps(run: Path) -> None:
    one, two = actions.actions(load(run))
    assert [step["step"] for step in one["steps"]] == [
        "proposed", "validated", "ordered", "applied", "verified",
    ]  # fmt: skip
    assert one["outcome"] == "verified"
    assert two["outcome"] == "rejected"
    assert two["steps"][-1]["why"] == "predicted gain 2%, least allowed 10%"


def test_prediction_stands_beside_outcome(run: Path) -> None:
    report.render(run)
    one = json.loads((run / "report.json").read_text())["twin"]["actions"][0]
    assert one["predicted"] == [26.0, 35.0, 44.0]
    assert one["observed"] == [28.5, 33.6, 38.7]
    assert one["recovered_share"] == [0.9, 0.94, 0.97]


def test_terminal_and_page_show_what_was_done(run: Path) -> None:
    rendered = report.render(run)
    console = Console(file=io.StringIO(), width=200)
    report.print_summary(rendered, console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    page = (run / "report.html").read_text()
    for text in (said, page):
        assert "route:avoid=gateway" in text
        assert "35 (26 to 44)" in text
        assert "94 % (90 to 97)" in text
    assert "1 more tried" in said
    assert "least allowed 10%" in page
    assert "What the twin did" in page


def test_a_run_without_actions_says_nothing_of_them(folder: Any) -> None:
    path = folder().fill().write()
    report.render(path)
    assert json.loads((path / "report.json").read_text())["twin"]["actions"] == []
    assert "What the twin did" not in (path / "report.html").read_text()


def test_latency_is_drawn_from_what_nodes_told(run: Path) -> None:
    t_s, mean_ms = actions.latency(load(run), "task")
    offloads = load(run).of("offload")
    assert t_s[0] == 0.5
    within = [r for r in offloads if load(run).seconds(r.t_ns) < 1.0]
    assert mean_ms[0] == pytest.approx(1e3 * sum(float(r.fields["latency_s"]) for r in within) / len(within))
