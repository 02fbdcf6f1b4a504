"""Flows and nodes: predicted before their reports come, with bands that hold, from their reports alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nodes.wire import Record
from testbed.twin import compare, flows
from testbed.twin.flows import Flows
from testbed.twin.members import Members
from testbed.twin.parts import Window

START_NS, WINDOW_S = 10**12, 0.5
WINDOW_NS = 500_000_000
FLOW = "sensor-1>edge:task"


def window(number: int) -> Window:
    begins_ns = START_NS + number * WINDOW_NS
    now_ns = begins_ns + WINDOW_NS + 100_000_000
    return Window(
        number, begins_ns, number * WINDOW_S, WINDOW_S, now_ns, (now_ns - START_NS) / 1e9, {}, {}, False
    )


def reports(windows: int, seed: int = 1, lost: float = 0.05) -> Iterator[list[Record]]:
    """A flow of Poisson traffic over a skewed, autocorrelated delay."""
    rng = np.random.default_rng(seed)
    level = 0.0
    for number in range(windows):
        level = 0.7 * level + rng.normal(0.0, 1.0)
        packets = int(rng.poisson(10.0))
        missing = int(rng.binomial(packets, lost))
        fields: dict[str, bool | int | float | str] = {
            "packets": packets - missing, "bytes": 200 * (packets - missing), "lost": missing,
            "age_s": float(rng.uniform(0.05, 0.3)),
        }  # fmt: skip
        if packets - missing:
            fields["delay_mean_ms"] = 30.0 + level + float(rng.exponential(2.0))
        t_ns = START_NS + (number + 1) * WINDOW_NS - 40_000_000
        yield [Record(t_ns, "flow", {"node": "edge", "source": "sensor-1", "flow": "task"}, fields)]


def run(part: Flows, windows: int, seed: int = 1) -> list[Record]:
    said = []
    for number, records in enumerate(reports(windows, seed)):
        said += part.close(window(number), records)
    return said


def test_every_report_is_compared_with_what_was_said_before_it_came() -> None:
    made = set()
    for record in run(Flows(), 50):
        key = (record.tags["target"], record.tags["quantity"], record.t_ns)
        if record.measurement == "prediction":
            assert key not in made
            made.add(key)
        else:
            assert record.measurement == "residual"
            assert key in made
    assert {quantity for _, quantity, _ in made} == {
        flows.DELAY, flows.LOSS, flows.THROUGHPUT, flows.AGE,
    }  # fmt: skip


def test_what_a_report_says_does_not_reach_its_own_prediction() -> None:
    said = []
    for wild in (False, True):
        part, predictions = Flows(), []
        for number, records in enumerate(reports(30)):
            if wild and number == 29:
                records[0].fields["delay_mean_ms"] = 900.0
            predictions.append(
                [r for r in part.close(window(number), records) if r.measurement != "residual"]
            )
        said.append(predictions)
    assert said[0][:29] == said[1][:29]
    assert said[0][29] != said[1][29]


def test_bands_hold_nine_tenths_of_what_is_observed() -> None:
    inside: dict[str, list[bool]] = {}
    for seed in range(4):
        for record in run(Flows(), 400, seed)[200:]:
            if record.measurement == "residual":
                inside.setdefault(record.tags["quantity"], []).append(bool(record.fields["inside90"]))
    for quantity in (flows.DELAY, flows.THROUGHPUT, flows.AGE):
        assert 0.85 <= np.mean(inside[quantity]) <= 0.95, quantity
    # counts are discrete: a band of whole numbers holds more
    assert np.mean(inside[flows.LOSS]) >= 0.88


def test_the_state_of_a_flow_is_what_its_reports_have_in_common() -> None:
    part = Flows()
    run(part, 300)
    states = {state.name: state for state in part.states()}
    assert {state.target for state in states.values()} == {FLOW}
    assert states[flows.LOSS].mean == pytest.approx(0.05, abs=0.02)
    assert states[flows.THROUGHPUT].mean == pytest.approx(9.5 * 200 * 8 / 0.5, rel=0.1)
    assert states[flows.DELAY].mean == pytest.approx(32.0, abs=1.5)
    assert all(state.variance > 0.0 for state in states.values())


def test_flows_beyond_the_most_are_counted_and_silent_ones_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "FLOWS_MAX", 2)
    part = Flows()
    many = [
        Record(START_NS + 1, "flow", {"node": "edge", "source": f"s-{n}", "flow": "data"}, {"packets": 1})
        for n in range(5)
    ]
    part.close(window(0), many)
    assert part.unfollowed == 3
    part.close(window(1_000), [])
    assert not list(part.states())


def test_a_twin_predicts_the_flows_its_nodes_report(synthetic: Any) -> None:
    twin = synthetic.make_twin(30.0)
    said = twin.predict(0)
    for number, records in enumerate(reports(20)):
        twin.take([Record(r.t_ns - START_NS + synthetic.start_ns, *_rest(r)) for r in records])
        said += twin.close(number, synthetic.start_ns + (number + 1) * synthetic.window_ns)
        said += twin.predict(number + 1)
    assert [r for r in said if r.measurement == "residual" and r.tags["target"] == FLOW]
    assert {entry.name for entry in twin.table.query(FLOW)} == {
        flows.DELAY, flows.LOSS, flows.THROUGHPUT, flows.AGE,
    }  # fmt: skip
    assert twin.table.get(FLOW, flows.DELAY).t_s == pytest.approx(9.96)
    age = [r for r in said if r.measurement == "sync" and r.tags == {"subject": "age", "of": "flow"}][-1]
    assert age.fields["period_s"] == pytest.approx(0.5)
    assert age.fields["alignment"] > 0.9


def _rest(record: Record) -> tuple[str, dict[str, str], dict[str, Any]]:
    return record.measurement, record.tags, record.fields


def test_nodes_tell_their_queue_their_share_of_the_processor_and_that_they_live() -> None:
    part = Members()
    for number in range(20):
        t_ns = START_NS + (number + 1) * WINDOW_NS - 10_000_000
        fields: dict[str, bool | int | float | str] = {"queue": 3, "cpu_s": 0.2 * number}
        part.close(window(number), [Record(t_ns, "node", {"node": "edge"}, fields)])
    states = {state.name: state for state in part.states()}
    assert states["queue_tasks"].mean == pytest.approx(3.0, abs=0.01)
    assert states["cpu_share"].mean == pytest.approx(0.4, abs=0.01)
    assert states["last_heard_s"].mean == pytest.approx(9.99)
    doubt = states["queue_tasks"].variance
    part.close(window(60), [])
    assert {s.name: s for s in part.states()}["queue_tasks"].variance > doubt + 10.0


def test_a_flow_is_held_against_the_constant_and_the_distribution_of_its_calibration_part() -> None:
    learned = 20  # windows
    said = run(Flows(calibration_s=(learned - 1) * WINDOW_S), 60)
    seen = [
        float(r.fields["observed"]) for r in said
        if r.measurement == "residual" and r.tags["quantity"] == flows.DELAY
    ]  # fmt: skip
    # the first is compared with nothing
    first = next(r for records in reports(1) for r in records).fields["delay_mean_ms"]
    usual = [float(first), *seen[: learned - 1]]
    last = [r for r in said if r.tags["quantity"] == flows.DELAY][-2:]
    constant = next(r for r in last if r.measurement == "prediction").fields["baseline_constant"]
    crps = next(r for r in last if r.measurement == "residual").fields["crps_climatology"]
    assert constant == pytest.approx(np.median(usual))
    assert crps == pytest.approx(compare.crps_samples([seen[-1]], usual))
