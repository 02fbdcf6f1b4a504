"""Flow statistics at a receiver: gaps in spite of disorder, delays, age."""

from __future__ import annotations

import statistics

import pytest

from nodes.flows import FLOWS_MAX, SAMPLES_MAX, Flows
from nodes.wire import Value

MS = 1_000_000


def report(flows: Flows, now_ns: int = 0) -> dict[str, Value]:
    (record,) = flows.report("b", now_ns)
    assert record.tags == {"node": "b", "source": "a", "flow": "data"}
    return record.fields


def take(flows: Flows, *sequences: int) -> None:
    for sequence in sequences:
        flows.observe("a", "data", 100, 0, 0, sequence)


def test_gaps_are_counted_in_the_window_they_show_in() -> None:
    flows = Flows()
    take(flows, 1, 2, 5)
    assert report(flows)["lost"] == 2
    take(flows, 6, 8)
    assert report(flows)["lost"] == 1


def test_reordering_and_repeats_are_no_losses() -> None:
    flows = Flows()
    take(flows, 1, 3, 2, 2, 5, 4, 4, 1)
    assert report(flows)["lost"] == 0


def test_a_late_arrival_is_set_off_against_later_losses() -> None:
    flows = Flows()
    take(flows, 1, 3)
    assert report(flows)["lost"] == 1
    take(flows, 2, 4, 6)  # 2 was late, 5 is missing
    assert report(flows)["lost"] == 0
    take(flows, 7, 9)
    assert report(flows)["lost"] == 1


def test_numbers_that_come_twice_are_counted_in_the_window_they_come_again_in() -> None:
    flows = Flows()
    take(flows, 1, 2, 2, 3, 1)
    assert report(flows)["repeated"] == 2
    take(flows, 4, 3)
    assert report(flows)["repeated"] == 1
    take(flows, 5)
    assert report(flows)["repeated"] == 0


def test_a_restart_of_the_source_repeats_nothing() -> None:
    flows = Flows()
    take(flows, *range(1, 101))
    report(flows)
    take(flows, *range(1, 50))
    assert report(flows)["repeated"] == 0


def test_values_are_told_by_mean_and_spread_of_their_window() -> None:
    flows = Flows()
    values = [20.0, 21.0, 19.5, 35.0]
    for number, value in enumerate(values, start=1):
        take(flows, number)
        flows.observe_value("a", "data", value)
    told = report(flows)
    assert told["value_mean"] == pytest.approx(statistics.mean(values))
    assert told["value_sd"] == pytest.approx(statistics.stdev(values))
    take(flows, 5)
    flows.observe_value("a", "data", 20.0)
    told = report(flows)
    assert told["value_mean"] == 20.0
    assert "value_sd" not in told
    assert "value_mean" not in report(flows)


def test_a_record_is_stamped_by_the_run_and_aged_by_the_clock_it_was_observed_on() -> None:
    flows = Flows()
    flows.observe("a", "data", 10, 1_050 * MS, 1_040 * MS, 1)
    (record,) = flows.report("b", 100 * MS, 1_100 * MS)
    assert record.t_ns == 100 * MS
    assert record.fields["age_s"] == pytest.approx(0.06)


def test_a_source_that_began_anew_lost_nothing() -> None:
    flows = Flows()
    take(flows, *range(1, 101))
    take(flows, 1, 2, 4)
    assert report(flows)["lost"] == 1


def test_delay_and_age_come_from_the_sender_s_stamps() -> None:
    flows = Flows()
    flows.observe("a", "data", 10, 30 * MS, 10 * MS, 1)
    flows.observe("a", "data", 10, 50 * MS, 40 * MS, 2)
    (record,) = flows.report("b", 140 * MS)
    assert record.fields == {
        "packets": 2, "bytes": 20, "lost": 0, "repeated": 0, "delay_mean_ms": 15.0, "age_s": 0.1
    }  # fmt: skip
    assert record.samples == [20.0, 10.0]


def test_a_silent_flow_is_still_reported_with_growing_age() -> None:
    flows = Flows()
    flows.observe("a", "data", 10, 0, 0, 1)
    report(flows)
    assert report(flows, 1000 * MS) == {"packets": 0, "bytes": 0, "lost": 0, "repeated": 0, "age_s": 1.0}


def test_without_a_common_clock_there_is_no_delay() -> None:
    flows = Flows()
    flows.observe("a", "data", 10, 30, None, None)
    assert report(flows) == {"packets": 1, "bytes": 10}


def test_bounds_are_counted() -> None:
    flows = Flows()
    for number in range(FLOWS_MAX + 2):
        flows.observe(f"a{number}", "data", 1, 0, 0, 1)
    assert flows.unfollowed == 2
    for _ in range(2 * SAMPLES_MAX):
        flows.observe("a0", "data", 1, 0, 0, None)
    assert len(flows.report("b", 0)[0].samples) == SAMPLES_MAX
