"""Conclusions from replications: paired differences, honest intervals, and what was not reached."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.scenario import load
from testbed.twin import public
from testbed.twin.whatif.job import DELAY, Job, trial
from testbed.twin.whatif.replicate import Measured, Replication
from testbed.twin.whatif.summary import MODEL_SHARE, gain_probability, spread, summarise

KNOWN = public.of_scenario(load("laptop"))
FLOW = "sensor-1>gateway-1 reading"
#: Student's t that holds 90 % with three replications, two-sided
T90_OF_3 = 2.91999
#: of 2,000 intervals for 90 %, give or take three standard deviations
COVERED = (0.88, 0.92)


def _measured(latency_ms: float, loss: float = 0.0) -> Measured:
    row = np.array([100.0, latency_ms, latency_ms, 2 * latency_ms, loss, 1e4])
    return Measured({FLOW: row}, {FLOW: DELAY}, {"edge-sat": 0.5})


def _job(candidates: int = 1, replications: int = 3) -> Job:
    return Job(0.0, [trial("priority:sensor=1")] * candidates, horizon_s=10.0, replications=replications)


def test_the_interval_holds_the_next_outcome_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(2000):
        values = rng.normal(3.0, 2.0, 7)
        found = spread(values[:6])
        held += found.low <= values[6] <= found.high
    assert COVERED[0] < held / 2000 < COVERED[1]


def test_the_probability_of_a_gain_is_as_often_right_as_it_says() -> None:
    rng = np.random.default_rng(2)
    said = came = 0.0
    for _ in range(2000):
        values = rng.normal(-1.0, 1.5, 6)
        said += gain_probability(values[:5])
        came += values[5] < 0.0
    assert said / 2000 == pytest.approx(came / 2000, abs=0.04)


def test_a_change_is_taken_within_a_replication() -> None:
    pairs = [(10.0, 5.0), (100.0, 95.0), (55.0, 50.0)]
    report = summarise(
        _job(), KNOWN, [Replication([_measured(a), _measured(b)], 8.0) for a, b in pairs], took_s=0.1
    )
    change = report.candidates[0].changes[FLOW]
    off = 5.0 * MODEL_SHARE * T90_OF_3
    by = change.latency_ms
    assert (by.mean, by.low, by.high) == pytest.approx((-5.0, -5.0 - off, -5.0 + off))
    assert change.gain_probability == 1.0
    assert report.baseline.flows[FLOW].latency_ms.mean == pytest.approx(55.0)


def test_a_single_replication_does_not_pretend_to_know() -> None:
    report = summarise(
        _job(replications=1), KNOWN, [Replication([_measured(10.0), _measured(5.0)], 8.0)], 0.1
    )
    change = report.candidates[0].changes[DELAY]
    assert change.latency_ms.low < -5.0 < change.latency_ms.high
    assert change.gain_probability < 0.9


def test_what_was_not_reached_in_time_is_named() -> None:
    replications = [Replication([_measured(10.0), _measured(9.0)], 8.0)]
    report = summarise(_job(candidates=2), KNOWN, replications, took_s=1.0)
    assert not report.complete
    assert len(report.candidates) == 1
    assert "no time for priority:sensor=1" in report.sentence


def test_a_prediction_holds_up_to_the_first_change_of_links() -> None:
    replications = [
        Replication([_measured(10.0), _measured(9.0)], unchanged) for unchanged in (8.0, 3.5, 9.0)
    ]
    assert summarise(_job(), KNOWN, replications, 0.1).validity_s == 3.5


def test_nothing_sent_is_no_number_and_no_gain() -> None:
    assert math.isnan(spread(np.array([math.nan])).mean)
    assert gain_probability(np.array([math.nan, math.nan])) == 0.0
