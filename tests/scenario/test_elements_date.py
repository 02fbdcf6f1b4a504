"""Element files: they bring their date along, and may hold several sets of a satellite."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from emulator.orbits.frames import RunClock
from emulator.satellites import published_elements, satellites_of, usable_satellites
from testbed.scenario import ScenarioError, load
from testbed.scenario.elements import middle_epoch, satellite_names

DAILY = Path(__file__).parents[3] / "shared/data/tle_starlink_daily"
SECONDS_PER_DAY = 86_400.0


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


# --- several sets of a satellite, several sources ------------------------------------------------------


@pytest.fixture
def days(elements: Path) -> Path:
    """The four satellites on three days: elements of the first, second and fourth of June, at noon."""
    text = elements.read_text()
    path = elements.with_name("days.tle")
    sets = [published_elements(load("laptop", [f"run.start_utc=2025-06-0{day}T12:00:00Z"]).world_spec())
            for day in (2, 4)]  # fmt: skip
    path.write_text(text + "".join(sets))
    return path


def test_several_sets_of_a_satellite_make_one_satellite(days: Path) -> None:
    scenario = load("starlink", [f"constellation.elements={days}"])
    world = scenario.world_spec()
    names = satellite_names(scenario.document.constellation)
    assert names == {"sat-1", "sat-2", "sat-3", "sat-4"}
    assert names == set(usable_satellites(world, RunClock(world.start_utc)).names)


def test_the_run_starts_in_the_middle_of_the_days_that_are_given(days: Path) -> None:
    scenario = load("starlink", [f"constellation.elements={days}"])
    assert scenario.run.start_utc == "2025-06-02T12:00:00Z"


@pytest.mark.parametrize(("choice", "age_s"), [("published", 36 * 3600), ("nearest", -12 * 3600)])
def test_which_of_several_sets_counts_is_the_scenarios_choice(days: Path, choice: str, age_s: float) -> None:
    sets = [
        f"constellation.elements={days}",
        f"constellation.elements_choice={choice}",
        "run.start_utc=2025-06-04T00:00:00Z",
    ]
    world = load("starlink", sets).world_spec()
    _, ages_s = satellites_of(world.constellation, RunClock(world.start_utc))
    # a TLE's epoch is given to a millisecond
    assert ages_s == pytest.approx([age_s] * 4, abs=1e-3)


def test_all_sources_together_name_the_satellites_of_the_world(elements: Path) -> None:
    sets = [
        'constellation.geostationary=[{name="geo", longitude_deg=9}]',
        'constellation.shells=[{name="leo", altitude_km=600, inclination_deg=53, satellites=6, planes=3},'
        '{name="meo", altitude_km=8000, inclination_deg=0, satellites=4, planes=1}]',
    ]
    scenario = load("laptop", sets)
    document = scenario.document.constellation.model_copy(
        update={"elements_text": elements.read_text().replace("sat-", "real-"), "elements_format": "tle"}
    )
    names = satellite_names(document)
    assert {"geo", "leo-03-02", "meo-01-04", "sat-1", "real-4"} <= names
    assert len(names) == 1 + 6 + 4 + 4 + 4
    world = scenario.world_spec()
    assert satellite_names(scenario.document.constellation) == set(
        usable_satellites(world, RunClock(world.start_utc)).names
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('constellation.geostationary=[{name="sat-1", longitude_deg=9}]',
         'constellation.over_region is "sat-1", but must be another name: a satellite of geostationary has'),
        ('constellation.shells=[{name="leo", altitude_km=600, inclination_deg=53, satellites=6, planes=3}]',
         'constellation.geostationary is "leo-01-01", but must be another name: a satellite of shells.0 has'),
    ],
)  # fmt: skip
def test_satellites_of_two_sources_do_not_share_a_name(change: str, expected: str) -> None:
    also = 'constellation.geostationary=[{name="leo-01-01", longitude_deg=9}]'
    with pytest.raises(ScenarioError) as caught:
        load("laptop", [also, change])
    assert expected in str(caught.value)


def test_four_days_of_starlink_start_among_their_epochs(tmp_path: Path) -> None:
    files = sorted(DAILY.glob("*.tle.gz"))
    if not files:
        pytest.skip("the measured data set tle_starlink_daily is not beside this checkout")
    # members of gzip one after the other are one gzip file
    path = tmp_path / "days.tle.gz"
    path.write_bytes(b"".join(file.read_bytes() for file in files))
    start = load("starlink", [f"constellation.elements={path}"]).world_spec()
    assert datetime(2025, 10, 1).date() <= datetime.fromisoformat(start.start_utc).date()
    assert datetime.fromisoformat(start.start_utc).date() <= datetime(2025, 10, 4).date()
    found, ages_s = satellites_of(start.constellation, RunClock(start.start_utc))
    assert len({name for name, _ in found}) == len(found) > 8000
    assert abs(np.median(ages_s)) < SECONDS_PER_DAY
    single = gzip.decompress(files[0].read_bytes()).decode()
    assert middle_epoch(single, "tle") < start.start_utc
