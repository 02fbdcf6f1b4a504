"""A twin acts beside the plant of the laptop scenario: users are led round the faded gateway, and back."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.wire import Record
from testbed.scenario import Scenario, load
from testbed.twin.act.acting import at_once
from testbed.twin.act.memory import Memory
from testbed.twin.core import Twin
from testbed.twin.knowledge import Knowledge
from testbed.virtual import loop
from testbed.virtual.acting import ActingTwin
from testbed.virtual.plant import VirtualPlant

#: least share of the lost latency that is back once the twin has acted
RECOVERED = 0.9


AROUND, BACK = "route:avoid=gateway-site", "without route:avoid=gateway-site"


def _scenario(*sets: str) -> Scenario:
    return load("laptop", ["deviations.1.at=0.95", "deviations.1.for=0.04", *sets])


def _acted(*sets: str) -> ActingTwin:
    hook = ActingTwin()
    loop.run(_scenario(*sets), hooks=[hook], keep=lambda record: False)
    return hook


@pytest.fixture(scope="module")
def acted() -> ActingTwin:
    return _acted()


def _one(acted: ActingTwin, step: str, action: str) -> Record:
    found = [r for r in acted.said if r.tags["step"] == step and str(r.fields["action"]) == action]
    assert len(found) == 1, [(r.tags["step"], r.fields["action"]) for r in acted.said]
    return found[0]


def test_users_are_led_round_the_faded_gateway(acted: ActingTwin) -> None:
    verified = _one(acted, "verified", AROUND).fields
    assert verified["holds"] is True
    assert float(verified["recovered_share"]) >= RECOVERED
    assert float(verified["observed_ms"]) < 0.1 * float(verified["unchanged_ms"])


def test_and_back_when_the_rain_is_over(acted: ActingTwin) -> None:
    back = _one(acted, "withdrawn", BACK)
    assert back.fields["holds"] is True
    assert acted.acting is not None
    assert acted.acting.engine.in_force == ()


def test_a_dry_run_orders_nothing() -> None:
    said = _acted("twin.act=dry-run").said
    assert {r.tags["step"] for r in said} <= {"proposed", "validated", "refused", "rejected"}
    assert "dry run" in str(next(r for r in said if r.tags["step"] == "refused").fields["why"])


def test_a_twin_that_is_not_to_act_says_nothing() -> None:
    hook = ActingTwin()
    loop.run(load("laptop", ["twin.act=off"], duration_s=6), hooks=[hook], keep=lambda record: False)
    assert hook.acting is None
    assert hook.said == []


class Replaced(ActingTwin):
    """A twin that acts, whose place another one takes once, when a step has been told."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step
        self.replaced_s = 0.0

    def __call__(self, plant: VirtualPlant, twin: Any, step: loop.Step) -> None:
        super().__call__(plant, twin, step)
        told = [record.tags["step"] for record in self.said]
        if self.replaced_s or self._step not in told or self.acting is None:
            return
        self.replaced_s = (step.now_ns - plant.start_ns) / 1e9
        data = twin.snapshot(self.acting.memory(step.now_ns))
        twin.replace()
        memory = Memory()
        twin.restore(data, memory)
        self.acting = at_once(twin, twin.knowledge)
        assert self.acting is not None
        self.acting.begin(plant.start_ns)
        for said in self.acting.resume(memory, step.now_ns):
            assert isinstance(said, Record)
            self.said.append(said)


class Replaceable:
    """Stands for a twin of which another takes the place."""

    def __init__(self, known: Knowledge) -> None:
        self._known, self._start_ns = known, 0
        self.twin = Twin(known)

    def begin(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self.twin.begin(start_ns)

    def replace(self) -> None:
        self.twin = Twin(self._known)
        self.twin.begin(self._start_ns)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.twin, name)


@pytest.mark.parametrize("step", ["applied", "verified"])
def test_a_twin_whose_place_is_taken_acts_on_as_it_would_have(acted: ActingTwin, step: str) -> None:
    """While an effect is watched, and while what was verified is in force until its cause is over."""
    hook = Replaced(step)
    loop.run(_scenario(), hooks=[hook], keep=lambda record: False, twin_factory=Replaceable)
    assert 0.0 < hook.replaced_s < float(_one(hook, "withdrawn", BACK).fields["t_s"])
    assert hook.said == acted.said
