"""A twin acts beside the plant of the laptop scenario: users are led round the faded gateway, and back."""

from __future__ import annotations

import pytest

from nodes.wire import Record
from testbed.scenario import load
from testbed.virtual import loop
from testbed.virtual.acting import ActingTwin

#: least share of the lost latency that is back once the twin has acted
RECOVERED = 0.9


def _acted(*sets: str) -> ActingTwin:
    hook = ActingTwin()
    scenario = load("laptop", ["deviations.1.at=0.95", "deviations.1.for=0.04", *sets])
    loop.run(scenario, hooks=[hook], keep=lambda record: False)
    return hook


@pytest.fixture(scope="module")
def acted() -> ActingTwin:
    return _acted()


def _one(acted: ActingTwin, step: str, action: str) -> Record:
    found = [r for r in acted.said if r.tags["step"] == step and str(r.fields["action"]) == action]
    assert len(found) == 1, [(r.tags["step"], r.fields["action"]) for r in acted.said]
    return found[0]


def test_users_are_led_round_the_faded_gateway(acted: ActingTwin) -> None:
    verified = _one(acted, "verified", "route:avoid=gateway-site").fields
    assert verified["holds"] is True
    assert float(verified["recovered_share"]) >= RECOVERED
    assert float(verified["observed_ms"]) < 0.1 * float(verified["unchanged_ms"])


def test_and_back_when_the_rain_is_over(acted: ActingTwin) -> None:
    back = _one(acted, "withdrawn", "without route:avoid=gateway-site")
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
