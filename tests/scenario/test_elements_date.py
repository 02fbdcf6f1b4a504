"""Element files of the command line bring their date along, unless another is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.satellites import published_elements
from testbed.scenario import load


@pytest.fixture
def elements(tmp_path: Path) -> Path:
    """The satellites of `laptop`, whose elements are of the first of June 2025 at noon."""
    path = tmp_path / "four.tle"
    path.write_text(published_elements(load("laptop").world_spec()))
    return path


def test_the_run_starts_at_the_elements_own_time(elements: Path) -> None:
    scenario = load("starlink", sets=[f"constellation.elements={elements}"])
    assert scenario.run.start_utc == "2025-06-01T12:00:00Z"


def test_a_start_that_is_asked_for_stands(elements: Path) -> None:
    start = "2025-06-03T00:00:00Z"
    sets = [f"constellation.elements={elements}", f'run.start_utc="{start}"']
    assert load("starlink", sets=sets).run.start_utc == start


def test_without_an_element_file_the_scenario_says_when() -> None:
    assert load("starlink", sets=["run.duration_s=30"]).run.start_utc == "2025-10-01T12:00:00Z"
