"""Telemetry that is late, lost, out of order or duplicated: the belief does not depend on how it came."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodes.wire import Record
from testbed.twin.intake import EARLIEST_WINDOWS, LATEST_WINDOWS, Intake

WINDOWS = 6


def run(synthetic: Any, arrivals: Any, windows: int = WINDOWS, seed: int = 1) -> tuple[list[Record], Any]:
    """What a twin says when a window's records arrive as `arrivals(number, records)` has them."""
    plant, twin = synthetic.Plant(synthetic.Truth(), seed), synthetic.make_twin(30.0)
    said = twin.predict(0)
    for number in range(windows):
        twin.take(arrivals(number, plant.window(number)))
        now_ns = synthetic.start_ns + (number + 1) * synthetic.window_ns + 100_000_000
        said += twin.close(number, now_ns) + twin.predict(number + 1) + twin.beliefs(now_ns)
    # how telemetry came is counted, and said in `sync` records; all else must not depend on it
    return [record for record in said if record.measurement != "sync"], twin


@pytest.fixture(scope="module")
def in_order(synthetic: Any) -> list[Record]:
    return run(synthetic, lambda _number, records: records)[0]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), share=st.floats(0.0, 1.0))
def test_any_order_and_any_repetition_within_the_grace_gives_the_same(
    synthetic: Any, in_order: list[Record], seed: int, share: float
) -> None:
    choose = random.Random(seed)

    def arrivals(_number: int, records: list[Record]) -> list[Record]:
        twice = [record for record in records if choose.random() < share]
        return choose.sample([*records, *twice], len(records) + len(twice))

    said, twin = run(synthetic, arrivals)
    assert said == in_order
    if share == 1.0:
        assert twin.counters["duplicated"] >= 20 * WINDOWS


def test_repetitions_are_counted(synthetic: Any) -> None:
    _, twin = run(synthetic, lambda _number, records: records + records)
    links = 20 * WINDOWS
    assert twin.counters["duplicated"] >= links
    assert twin.counters["out_of_order"] == 0


def test_disorder_is_counted_by_source() -> None:
    counters: Counter[str] = Counter()
    intake = Intake(500_000_000, counters)
    for t_ns, node in ((10, "a"), (30, "a"), (20, "b"), (20, "a"), (40, "a")):
        intake.take(Record(t_ns, "task", {"node": node}, {"cycles": 1.0}))
    assert counters == {"out_of_order": 1}
    assert [record.t_ns for record in intake.close(0)[1]] == [10, 20, 20, 30, 40]


def test_of_two_reports_that_contradict_each_other_the_same_one_counts_in_any_order(synthetic: Any) -> None:
    def other(record: Record) -> Record:
        return Record(record.t_ns, record.measurement, record.tags, {**record.fields, "lost": 3}, [])

    def both(number: int, records: list[Record]) -> list[Record]:
        return [*records, *(other(r) for r in records if r.measurement == "link")] if number == 2 else records

    first, _ = run(synthetic, both)
    second, _ = run(synthetic, lambda number, records: both(number, records)[::-1])
    assert first == second


def test_a_report_that_is_late_is_as_one_that_was_lost(synthetic: Any) -> None:
    held: list[Record] = []

    def lost(number: int, records: list[Record]) -> list[Record]:
        return [r for r in records if not (number == 2 and r.tags.get("link", "").startswith("field-1>"))]

    def late(number: int, records: list[Record]) -> list[Record]:
        kept = lost(number, records)
        held.extend(r for r in records if r not in kept)
        return kept + (held if number == 4 else [])

    without, _ = run(synthetic, lost)
    said, twin = run(synthetic, late)
    assert said == without
    assert len(held) == twin.counters["late"] == 1


def test_a_task_reported_a_little_late_still_counts_and_a_very_late_one_does_not(synthetic: Any) -> None:
    def rate(windows_late: int) -> tuple[int, int]:
        held: list[Record] = []

        def arrivals(number: int, records: list[Record]) -> list[Record]:
            if number == 0:
                task: dict[str, bool | int | float | str] = {"cycles": 6e8, "service_s": 0.1}
                at = synthetic.start_ns + 1
                held.append(Record(at, "task", {"node": "edge-ground"}, task))
            return [r for r in records if r.measurement == "link"] + (held if number == windows_late else [])

        _, twin = run(synthetic, arrivals, windows=LATEST_WINDOWS + 3)
        return twin.servers["edge-ground"].tasks, twin.counters["too_late"]

    assert rate(2) == (1, 0)
    assert rate(LATEST_WINDOWS) == (1, 0)
    assert rate(LATEST_WINDOWS + 1) == (0, 1)


def test_a_stamp_that_cannot_be_is_left_out_and_takes_no_memory(synthetic: Any) -> None:
    far = synthetic.start_ns + (EARLIEST_WINDOWS + 5) * synthetic.window_ns

    def arrivals(_number: int, records: list[Record]) -> list[Record]:
        wrong = [Record(far * 10, r.measurement, r.tags, r.fields) for r in records]
        return records + wrong

    said, twin = run(synthetic, arrivals)
    assert said == run(synthetic, lambda _number, records: records)[0]
    assert twin.counters["too_early"] >= 20 * WINDOWS
