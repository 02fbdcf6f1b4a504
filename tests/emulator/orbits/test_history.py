"""Several sets of one satellite: which counts when, how old it is, and what betrays a manoeuvre."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ElementsError, WorldError
from emulator.orbits.elements import Element, load_elements, parse_elements
from emulator.orbits.frames import RunClock
from emulator.orbits.history import LEAST_SETS, histories, jumps_m, manoeuvres, select
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec
from tests.emulator.worlds import shared

ONE_SATELLITE = ConstellationSpec(shells=(CircularShell(550.0, 53.0, 1, 1),))
DAY_S = 86_400.0
#: an epoch in a TLE is rounded to this, s
epoch_step_s = 1e-8 * DAY_S
#: the published medians of the daily Starlink snapshots are about 9 km after a day, 22 km after three
nine_kilometres, twenty_two_kilometres, within_a_third = 9.1, 22.0, 1.0 / 3.0
#: set epochs lie up to a day before the observations they hold; a run of bad sets follows some manoeuvres
before_days, after_days = 0.5, 1.0


def _sets(*starts: str) -> list[Element]:
    """One satellite, a set at each of the starts."""
    return [element for start in starts for element in generate(ONE_SATELLITE, RunClock(start))]


THREE = ("2025-10-01T00:00:00Z", "2025-10-02T00:00:00Z", "2025-10-04T00:00:00Z")


def _chosen(choice: str, start: str) -> tuple[str, float]:
    """(day of the epoch chosen, its age in s)."""
    sets = _sets(*THREE)
    (element,), (age_s,) = select(sets, RunClock(start).julian(0.0), choice)
    (day,) = (text[8:10] for text, (_, r) in zip(THREE, sets, strict=True) if r is element[1])
    return day, float(age_s)


@pytest.mark.parametrize(
    ("choice", "start", "day", "age_s"),
    [
        ("published", "2025-10-03T23:00:00Z", "02", 47 * 3600.0),
        ("nearest", "2025-10-03T23:00:00Z", "04", -3600.0),
        ("published", "2025-10-02T00:00:00Z", "02", 0.0),
        ("published", "2025-09-30T12:00:00Z", "01", -12 * 3600.0),  # none yet: the earliest
        ("published", "2025-10-09T00:00:00Z", "04", 5 * DAY_S),
    ],
)
def test_the_set_that_counts_at_a_moment(choice: str, start: str, day: str, age_s: float) -> None:
    assert _chosen(choice, start) == (day, pytest.approx(age_s, abs=epoch_step_s))


@given(order=st.permutations(range(3)))
def test_the_order_in_which_sets_are_given_does_not_matter(order: list[int]) -> None:
    sets = _sets(*THREE)
    moment = RunClock("2025-10-03T00:00:00Z").julian(0.0)
    assert select([sets[k] for k in order], moment)[0] == select(sets, moment)[0]


def test_another_choice_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(WorldError, match="elements_choice is 'newest', allowed: published, nearest"):
        select(_sets(THREE[0]), (2460950.0, 0.0), "newest")


def test_the_files_of_several_days_are_one_constellation() -> None:
    paths = [shared(f"tle_starlink_daily/starlink_2025-10-0{day}.tle.gz") for day in (1, 2)]
    sets = load_elements(*paths)
    assert len(sets) == 8389 + 8388
    assert 8389 <= len(histories(sets)) < 8450
    # with the first day alone, nothing is newer than its publication
    chosen, ages_s = select(sets, RunClock("2025-10-02T12:00:00Z").julian(0.0))
    assert len({name for name, _ in chosen}) == len(chosen) == len(ages_s)
    assert 0.0 < float(np.median(ages_s)) < DAY_S


def _aged_km(first: Path, later: Path) -> float:
    """Median distance of the older sets' predictions from the newer sets at their epochs, km."""
    apart = []
    for records in histories(load_elements(first, later)).values():
        if len(records) == 2:
            apart.append(float(np.linalg.norm(jumps_m(records)[0])) / 1e3)
    return float(np.nanmedian(apart))


def test_real_elements_age_as_fast_as_is_known() -> None:
    days = [shared(f"tle_starlink_daily/starlink_2025-10-0{day}.tle.gz") for day in (1, 2, 4)]
    assert _aged_km(days[0], days[1]) == pytest.approx(nine_kilometres, rel=within_a_third)
    assert _aged_km(days[0], days[2]) == pytest.approx(twenty_two_kilometres, rel=within_a_third)


def _confirmed(satellite: str) -> np.ndarray:
    """Julian days of the manoeuvres the operator confirmed."""
    lines = shared(f"tle_history_manoeuvres/manoeuvres_{satellite}.yaml").read_text().splitlines()
    stamps = [datetime.fromisoformat(line[2:].strip()) for line in lines if line.startswith("- ")]
    return np.array(
        [(stamp - datetime(2000, 1, 1, 12)).total_seconds() / DAY_S + 2451545.0 for stamp in stamps]
    )


@pytest.mark.parametrize(
    ("satellite", "least_hits", "most_false_a_year"), [("Jason-3", 38, 4.0), ("Sentinel-3A", 59, 2.5)]
)
def test_confirmed_manoeuvres_are_found_in_the_published_sets(
    satellite: str, least_hits: int, most_false_a_year: float
) -> None:
    packed = shared(f"tle_history_manoeuvres/{satellite}.tle.gz").read_bytes()
    (history,) = histories(parse_elements(gzip.decompress(packed).decode())).values()
    epochs = [record.jdsatepoch + record.jdsatepochF for record in (history[0], history[-1])]
    confirmed = _confirmed(satellite)
    confirmed = confirmed[(confirmed > epochs[0]) & (confirmed < epochs[1])]
    found = manoeuvres(history)
    begin = found["from_julian_day"] - before_days
    end = found["to_julian_day"] + after_days
    meets = (confirmed[:, None] >= begin) & (confirmed[:, None] <= end)
    false_a_year = np.sum(~meets.any(axis=0)) / (epochs[1] - epochs[0]) * 365.25
    assert np.sum(meets.any(axis=1)) >= least_hits
    assert false_a_year <= most_false_a_year


def test_a_satellite_that_keeps_its_orbit_has_no_manoeuvre() -> None:
    # sets of one undisturbed orbit at following moments are not at hand as text: the same set repeated
    # with a later epoch is a new orbit each time, alike in all, so none of its jumps stands out
    history = [record for _, record in _sets(*(f"2025-10-{day:02d}T00:00:00Z" for day in range(1, 21)))]
    assert len(manoeuvres(history)) == 0


def test_a_history_too_short_to_know_its_spread_is_refused() -> None:
    history = [record for _, record in _sets(*THREE)]
    with pytest.raises(ElementsError, match=f"a history of 3 sets .* at least {LEAST_SETS} are needed"):
        manoeuvres(history)
