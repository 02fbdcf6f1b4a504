"""Ages and alignment: what is defined by integrals over time is held against such integrals."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from nodes.wire import Record
from testbed.twin.synchronisation import BOUNDS, Ages, Synchronisation

#: half a bin of the histogram of ages, as a share
BIN = 0.012
#: of a quantile by sampling time a million times
SAMPLING = 0.01


def test_quantiles_of_an_age_are_those_of_its_sawtooth() -> None:
    """Updates at random intervals with random delays, against the age sampled densely in time."""
    choose = random.Random(4)
    ages, now, updates = Ages(), 0.0, []
    for _ in range(400):
        now += choose.expovariate(2.0)
        updates.append((now, now - choose.uniform(0.02, 0.4)))
        ages.update("link", updates[-1][1], now)
    ages.flush(now + 1.0)
    times = np.linspace(updates[0][0], now + 1.0, 1_000_000)
    received = np.array([at for at, _ in updates])
    newest = np.maximum.accumulate([made for _, made in updates])
    sampled = times - newest[np.searchsorted(received, times, side="right") - 1]
    for level in (0.1, 0.5, 0.9, 0.99):
        assert ages.quantile(level) == pytest.approx(np.quantile(sampled, level), rel=BIN + SAMPLING)


def test_an_older_update_does_not_make_the_twin_younger_or_older() -> None:
    ages = Ages()
    ages.update("link", 5.0, 5.1)
    ages.update("link", 3.0, 5.2)
    assert ages.age_s("link", 6.0) == pytest.approx(1.0)


def test_a_source_that_is_gone_by_plan_ages_no_more() -> None:
    ages = Ages()
    ages.update("link", 0.0, 0.1)
    ages.end("link", 1.0)
    ages.flush(1000.0)
    assert ages.quantile(1.0) <= 1.0 + BIN


def said(outcome: Any, subject: str, of: str) -> dict[str, Any]:
    """The last `sync` record about something."""
    return [r.fields for r in outcome.of("sync") if r.tags == {"subject": subject, "of": of}][-1]


def test_a_healthy_run_is_followed_within_two_periods(synthetic: Any) -> None:
    outcome = synthetic.run(30.0)
    links = said(outcome, "age", "link")
    # generated 2 ms after the window, taken in 200 ms after it: ages between 0.198 s and 0.698 s
    assert links["age_p50_s"] == pytest.approx(0.448, rel=0.02)
    assert links["age_p99_s"] == pytest.approx(0.693, rel=0.02)
    assert links["age_p99_periods"] < 2.0
    assert (links["sources"], links["period_s"], links["alignment"]) == (20, 0.5, 1.0)
    assert "period_s" not in said(outcome, "age", "task")  # tasks are events, nothing plans them
    assert said(outcome, "telemetry", "all")["duplicated"] == 0
    seconds = [r.t_ns for r in outcome.of("sync") if r.tags["of"] == "link"]
    assert 28 <= len(seconds) <= 31


def test_lost_reports_lower_the_alignment_by_their_share(synthetic: Any) -> None:
    outcome = synthetic.run(60.0, synthetic.Truth(missing=0.2))
    # of 2,400 reports a fifth is lost: a standard deviation of 0.008
    assert said(outcome, "age", "link")["alignment"] == pytest.approx(0.8, abs=0.03)
    assert said(outcome, "age", "link")["age_p99_periods"] > 1.5


def test_a_prediction_goes_stale_while_it_is_wrong_and_not_while_it_is_right() -> None:
    sync = Synchronisation(0.5)
    start = 10**12
    bound = BOUNDS["snr_db"].absolute
    for window in range(60):
        error = 3.0 * bound if 20 <= window < 40 else 0.5 * bound
        fields: dict[str, bool | int | float | str] = {"predicted": 10.0, "observed": 10.0 + error}
        record = Record(
            start + window * 500_000_000, "residual", {"target": "a>b", "quantity": "snr_db"}, fields
        )
        now_s = (window + 1) * 0.5
        if window == 39:
            assert sync.staleness_s("snr_db", "a>b", now_s) == pytest.approx(10.0)
        sync.compared([record], {"a>b"}, start, now_s)
    assert sync.staleness_s("snr_db", "a>b", 30.0) == 0.0
    (stale,) = [r for r in sync.records(start, 30.0, {}) if r.tags["subject"] == "staleness"]
    assert stale.fields["right"] == pytest.approx(40 / 60)
    # of 29.5 s the age ran from 0 to 10.5 s once, and below half a second otherwise
    assert float(stale.fields["stale_p50_s"]) < 0.5
    assert float(stale.fields["stale_p99_s"]) == pytest.approx(10.5 - 0.01 * 29.5, rel=0.03)


def test_a_twin_that_missed_windows_is_older_and_less_aligned(synthetic: Any) -> None:
    plant, twin = synthetic.Plant(synthetic.Truth()), synthetic.make_twin(60.0)
    twin.predict(0)
    said: list[Record] = []
    for number in range(60):
        records = plant.window(number)
        if 20 <= number < 40:
            continue
        if number == 40:
            twin.miss(40)
            twin.predict(40)
        twin.take(records)
        said = twin.close(number, synthetic.start_ns + (number + 1) * synthetic.window_ns) or said
        twin.predict(number + 1)
    links = [r for r in said if r.measurement == "sync" and r.tags["of"] == "link"][-1].fields
    assert float(links["alignment"]) == pytest.approx(40 / 60, abs=0.01)
    assert float(links["age_p99_s"]) > 8.0


def test_more_sources_than_there_was_room_for_are_told_apart() -> None:
    ages = Ages()
    for number in range(100):
        ages.update(f"link-{number}", float(number), 200.0)
    for number in range(0, 100, 2):
        ages.end(f"link-{number}", 200.0)
    for number in range(100, 150):  # they take the places that have become free
        ages.update(f"link-{number}", float(number), 200.0)
    kept = [*range(1, 100, 2), *range(100, 150)]
    assert sorted(ages.sources()) == sorted(f"link-{number}" for number in kept)
    assert [ages.age_s(f"link-{number}", 200.0) for number in kept] == [200.0 - number for number in kept]
