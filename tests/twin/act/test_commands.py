"""Commands that lead from one plan to another, and back."""

from __future__ import annotations

from testbed.actions import parse
from testbed.scenario import load
from testbed.twin import public
from testbed.twin.act.commands import Order, commands
from testbed.twin.whatif.plan import Plan, plan_of

KNOWN = public.of_scenario(load("laptop"))


def _plan(*texts: str) -> Plan:
    return plan_of([parse(text) for text in texts], KNOWN)


def _names(orders: list[Order]) -> list[tuple[str, str]]:
    return [(order.member, order.name) for order in orders]


def test_nothing_new_needs_no_command() -> None:
    assert commands(_plan(), _plan(), KNOWN) == []
    assert commands(_plan(), _plan("offload:sensor=edge-ground:1+edge-sat:1"), KNOWN) == []


def test_orders_of_the_network_are_told_as_a_whole() -> None:
    orders = commands(
        _plan("handover:bar=sat-1,terminal=board"), _plan("route:avoid=data-centre>gateway-site"), KNOWN
    )
    assert orders == [
        Order("channel", "orders", {"penalty_ms": {"data-centre>gateway-site": 1000.0}, "barred": []})
    ]


def test_every_node_of_a_group_is_told() -> None:
    orders = commands(_plan(), _plan("offload:remote=edge-ground:3+edge-sat:1"), KNOWN)
    assert _names(orders) == [(f"remote-{n}", "offload") for n in (1, 2, 3)]
    assert orders[0].arguments == {"servers": {"edge-ground": 3, "edge-sat": 1}}


def test_the_way_back_is_to_what_is_configured() -> None:
    there = _plan("pace:sensor-1=task_interval_s:9", "priority:sensor-1=2", "offload:sensor-1=edge-sat:1")
    back = {order.name: order.arguments for order in commands(there, _plan(), KNOWN)}
    assert back == {
        "offload": {"servers": {"edge-ground": 1, "edge-sat": 1}},
        "priority": {"traffic_class": 0},
        "pace": {"task_interval_s": getattr(KNOWN.nodes["sensor-1"], "task_interval_s", None)},
    }
