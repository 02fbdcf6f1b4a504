"""A twin beside a plant in virtual time: told only what it may know, in the order of live runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nodes.wire import Record
from testbed.scenario import Scenario
from testbed.twin.knowledge import Knowledge
from testbed.twin.observations import OBSERVABLE
from testbed.virtual.delivery import Troubles
from testbed.virtual.loop import Step, run
from testbed.virtual.plant import VirtualPlant

Make = Callable[..., Scenario]


class Spy:
    """Stands in for a twin: writes down what it is told."""

    def __init__(self, known: Knowledge) -> None:
        self.known = known
        self.calls: list[tuple[str, int]] = []
        self.taken: list[Record] = []

    def begin(self, start_ns: int) -> None:
        self.start_ns = start_ns

    def predict(self, window: int) -> list[Record]:
        self.calls.append(("predict", window))
        return [Record(self.start_ns, "prediction", {}, {"window": window})]

    def take(self, records: list[Record]) -> None:
        self.calls.append(("take", -1))
        self.taken += records

    def close(self, window: int, now_ns: int) -> list[Record]:
        self.calls.append(("close", window))
        assert now_ns > self.start_ns + (window + 1) * 500_000_000
        return []

    def beliefs(self, now_ns: int) -> list[Record]:
        return [Record(now_ns, "belief", {}, {"mean": 0.0})]


def _spied(scenario: Scenario, **options: Any) -> tuple[Spy, Any]:
    spies: list[Spy] = []

    def make_spy(known: Knowledge) -> Spy:
        spies.append(Spy(known))
        return spies[0]

    outcome = run(scenario, twin_factory=make_spy, **options)
    return spies[0], outcome


def test_each_window_is_predicted_before_anything_of_it_is_taken(make: Make) -> None:
    spy, outcome = _spied(make(duration_s=5.0))
    rounds = [[("take", -1), ("close", k), ("predict", k + 1)] for k in range(10)]
    assert spy.calls == [("predict", 0), *[call for one in rounds for call in one][:-1]]
    assert [r.fields["window"] for r in outcome.of("prediction")] == list(range(10))
    assert len(outcome.of("belief")) == 5


def test_the_twin_is_told_what_can_be_observed_and_nothing_else(make: Make) -> None:
    rain = {"kind": "rain", "target": "gateway-site", "attenuation_db": 3.0}
    spy, outcome = _spied(make(rain, duration_s=5.0))
    assert {record.measurement for record in spy.taken} == set(OBSERVABLE)
    assert all(set(record.fields) <= OBSERVABLE[record.measurement] for record in spy.taken)
    assert outcome.of("plant_event")
    assert outcome.of("plant_link")
    assert "rain" not in repr(spy.known)


def test_lost_telemetry_is_kept_and_not_told(make: Make) -> None:
    lost = {"kind": "lost_telemetry", "target": "gateway-site", "share": 1.0}
    spy, outcome = _spied(make(lost, duration_s=6.0))

    def reports(records: list[Record]) -> set[bool]:
        times_s = [(r.t_ns - spy.start_ns) / 1e9 for r in records
                   if r.measurement == "link" and "gateway-site" in r.tags["link"]]  # fmt: skip
        return {t_s >= 3.0 for t_s in times_s if t_s < 6.0}

    assert reports(outcome.observed) == {False, True}
    assert reports(spy.taken) == {False}


def test_troubles_on_the_way_are_counted(make: Make) -> None:
    spy, outcome = _spied(make(duration_s=5.0), troubles=Troubles(lost=0.5))
    assert outcome.delivered == len(spy.taken) == outcome.delivery["sent"] - outcome.delivery["lost"]
    assert 0.4 < outcome.delivery["lost"] / outcome.delivery["sent"] < 0.6


@pytest.mark.parametrize("share", [{"lost": 1.0}, {"late": 1.0, "late_windows": 10}])
def test_telemetry_that_is_held_up_all_at_once_is_no_deviation(make: Make, share: dict[str, Any]) -> None:
    """Whether what did not come was lost or comes later: no node and no link is named for it."""
    troubles = Troubles(**share, from_window=30, until_window=54)
    outcome = run(make(duration_s=32.0), troubles=troubles, keep=lambda r: r.measurement == "detection")
    assert sum(outcome.delivery[what] for what in share if what in outcome.delivery) > 100
    assert [(r.tags["kind"], r.tags["target"]) for r in outcome.said] == []


def test_a_hook_sees_every_window_and_may_command(make: Make) -> None:
    seen = []

    def act(plant: VirtualPlant, twin: Any, step: Step) -> None:
        seen.append(step.number)
        if step.number == 3:
            plant.command("sensor-1", "pace", {"reading_interval_s": 0})

    _, outcome = _spied(make(duration_s=5.0), hooks=[act], keep=lambda r: r.measurement == "flow")
    assert seen == list(range(10))
    mine = [r for r in outcome.observed if r.tags["source"] == "sensor-1" and r.tags["flow"] == "data"]
    assert mine[-1].fields["packets"] == 0
    assert not outcome.of("prediction")


def test_the_real_twin_names_what_happens(make: Make) -> None:
    slow = {"kind": "slow_server", "target": "edge-1", "factor": 0.5}
    outcome = run(make(slow, duration_s=40.0), keep=lambda r: r.measurement == "detection")
    (found,) = outcome.said
    assert (found.tags["kind"], found.tags["target"]) == ("slow_server", "edge-1")
    assert float(found.fields["size"]) == pytest.approx(0.5, rel=0.05)
