"""What policies propose, about which causes; and the way back. Nothing is tried or carried out here."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.actions import Handover, Offload, Pace, Priority, Route, parse
from testbed.errors import BadInput
from testbed.scenario import load
from testbed.scenario.node_tables import SensorNode
from testbed.twin import public
from testbed.twin.attribution import Event
from testbed.twin.belief import Belief, Estimate
from testbed.twin.policies import Candidate, Cause, InForce, View, build
from testbed.twin.policies.offloading import mean_latency_s
from testbed.twin.whatif.job import DELAY, TASK

KNOWN = public.of_scenario(load("laptop"))
SERVING = {"field-1": "sat-1", "field-2": "sat-2", "platform": "sat-1", "board": "sat-2"}


def _event(kind: str, target: str) -> Event:
    return Event(kind, target, target, 20.0, 22.0, 1.0, 0.1, "", 1.0, 1.0)


def _view(*events: Event, **more: Any) -> View:
    return View(30.0, KNOWN, more.pop("belief", Belief(30.0)), events, SERVING, **more)


def _proposed(policy: str, view: View) -> list[Candidate]:
    return build([policy])[0].propose(view)


def _actions(policy: str, view: View) -> list[object]:
    return [action for candidate in _proposed(policy, view) for action in candidate.actions]


@pytest.mark.parametrize("policy", ["handover", "route", "offload", "priority", "duty"])
def test_without_a_cause_nothing_is_proposed(policy: str) -> None:
    assert _proposed(policy, _view()) == []


@pytest.mark.parametrize("policy", ["handover", "route", "offload", "priority", "duty"])
def test_a_cause_that_no_action_helps_leads_to_none(policy: str) -> None:
    assert _proposed(policy, _view(_event("clock", "sensor-1"))) == []


@pytest.mark.parametrize("policy", ["handover", "route", "offload", "priority", "duty"])
def test_what_was_done_is_taken_back_when_its_cause_is_over(policy: str) -> None:
    def in_force(over_since_s: float | None) -> InForce:
        cause = Cause("attenuation", "gateway-site", "gateway-site", 20.0)
        return InForce("7", policy, (parse("priority:mcu-1=3"),), cause, DELAY, over_since_s)

    assert [c.withdraws for c in _proposed(policy, _view(in_force=[in_force(20.0)]))] == ["7"]
    assert _proposed(policy, _view(in_force=[in_force(None)])) == []
    assert _proposed(policy, _view(in_force=[in_force(29.0)])) == [], "it may come back at once"


def test_a_terminal_leaves_the_satellite_its_link_suffers_from() -> None:
    found = _proposed("handover", _view(_event("congestion", "field-1>sat-1")))
    assert [c.actions for c in found] == [(Handover("sat-1", "field-1"),)]
    assert found[0].nodes == ("sensor-1",)


def test_all_leave_a_satellite_that_suffers_and_those_behind_a_relay_too() -> None:
    found = _proposed("handover", _view(_event("orbit_error", "sat-1")))
    assert [c.actions for c in found] == [(Handover("sat-1"),)]
    assert set(found[0].nodes) >= {"sensor-1", "relay-1", "remote-1"}


def test_nobody_leaves_a_satellite_that_nobody_is_on() -> None:
    assert _proposed("handover", _view(_event("orbit_error", "sat-4"))) == []


def test_another_gateway_is_taken_where_there_is_one() -> None:
    assert Route("gateway-site") in _actions("route", _view(_event("attenuation", "gateway-site")))
    gateways = [name for name, place in KNOWN.places.items() if place.access == "gateway"]
    assert len(gateways) > 1


def test_a_feeder_link_is_avoided_by_itself_or_with_its_gateway() -> None:
    found = _actions("route", _view(_event("congestion", "sat-3>gateway-site")))
    assert found == [Route("sat-3>gateway-site"), Route("gateway-site")]


def test_tasks_leave_a_slow_server() -> None:
    slow = Belief(30.0, service_factor={"edge-sat": Estimate(0.3, 0.01)})
    best = _proposed("offload", _view(_event("slow_server", "edge-sat"), belief=slow))[0]
    assert best.metric == TASK
    assert {type(action) for action in best.actions} == {Offload}
    shares = [action.servers for action in best.actions if isinstance(action, Offload)]
    assert all(share["edge-ground"] > share["edge-sat"] for share in shares)


def test_what_is_in_force_already_is_not_proposed() -> None:
    slow = Belief(30.0, service_factor={"edge-sat": Estimate(0.3, 0.01)})
    event = _event("slow_server", "edge-sat")
    first = _proposed("offload", _view(event, belief=slow))[0]
    there = InForce("1", "offload", first.actions, first.cause, TASK)
    again = _proposed("offload", _view(event, belief=slow, in_force=[there]))
    assert first.actions not in [candidate.actions for candidate in again]


def test_a_server_that_is_not_known_well_is_trusted_less() -> None:
    view = _view()
    sure = mean_latency_s(0.6, Estimate(0.8, 0.0), 3000.0, 1, view)
    unsure = mean_latency_s(0.6, Estimate(0.8, 0.12), 3000.0, 1, view)
    assert unsure > 1.2 * sure


def test_the_latency_of_a_server_is_that_of_pollaczek_and_khinchine() -> None:
    tables = [node.task_megacycles for node in KNOWN.nodes.values() if isinstance(node, SensorNode)]
    low, high = min(table[0] for table in tables), max(table[1] for table in tables)
    rate, load_of = 3000.0, 0.5
    mean, square = (low + high) / 2.0, (low**2 + low * high + high**2) / 3.0
    arrivals = load_of * rate / mean
    waiting = arrivals * square / rate**2 / (2.0 * (1.0 - load_of))
    assert mean_latency_s(load_of, Estimate(1.0), rate, 1, _view()) == pytest.approx(mean / rate + waiting)


def test_thin_senders_go_first_and_senders_of_tasks_do_not() -> None:
    found = _actions("priority", _view(_event("attenuation", "gateway-site")))
    assert found
    assert {action.node for action in found if isinstance(action, Priority)} == {"mcu-1"}


def test_duty_cycles_are_doubled_group_by_group() -> None:
    found = _proposed("duty", _view(_event("flood", "field-1")))
    readings = {a.node: a.reading_interval_s for a in found[0].actions if isinstance(a, Pace)}
    configured = getattr(KNOWN.nodes["sensor-1"], "reading_interval_s", 0.0)
    assert readings["sensor"] == 2.0 * configured
    assert readings["mcu-1"] == 2.0 * getattr(KNOWN.nodes["mcu-1"], "reading_interval_s", 0.0)


class Mine:
    """A policy as a user writes one."""

    name = "mine"

    def propose(self, view: View) -> list[Candidate]:
        return [Candidate(self.name, Cause.of(e), DELAY, (Route("gateway-site"),)) for e in view.events]


class NoPolicy:
    """Lacks a name."""


def test_a_class_of_the_user_is_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("my_module")
    module.Mine, module.NoPolicy = Mine, NoPolicy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_module", module)
    found = build(["my_module:Mine"])[0].propose(_view(_event("attenuation", "gateway-site")))
    assert found[0].policy == "mine"
    with pytest.raises(BadInput, match="is no policy: it needs a name and a method propose"):
        build(["my_module:NoPolicy"])


@pytest.mark.parametrize("name", ["nothing", "no.such.module:Policy", "testbed.twin.policies.base:NoSuch"])
def test_what_is_no_policy_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(BadInput) as error:
        build([name])
    assert name in str(error.value)
    assert "\n" not in str(error.value)
