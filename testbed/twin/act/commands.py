"""From one plan in force to another: the commands that lead there, and back."""

from __future__ import annotations

from typing import Any, NamedTuple

from testbed.scenario.node_tables import Node
from testbed.twin.public import Public
from testbed.twin.whatif.plan import Plan

#: the member that network orders go to
CHANNEL = "channel"
_PACES = ("reading_interval_s", "task_interval_s")


class Order(NamedTuple):
    """A command for a member of the run."""

    member: str
    name: str
    arguments: dict[str, Any]


def commands(before: Plan, after: Plan, public: Public) -> list[Order]:
    """What has to be said so that `after` is in force instead of `before`; nothing when they are the same."""
    orders = []
    if (before.penalty_ms, before.barred) != (after.penalty_ms, after.barred):
        penalties = {f"{a}>{b}": ms for (a, b), ms in sorted(after.penalty_ms.items())}
        barred = [f"{terminal}>{provider}" for terminal, provider in sorted(after.barred)]
        orders.append(Order(CHANNEL, "orders", {"penalty_ms": penalties, "barred": barred}))
    for node in public.nodes:
        if before.shares_of(public, node) != after.shares_of(public, node):
            orders.append(Order(node, "offload", {"servers": after.shares_of(public, node)}))
        was, will = (plan.settings.get(node, {}) for plan in (before, after))
        changed = {key: _setting(will, key, public.nodes[node]) for key in (*was, *will)}
        changed = {
            key: value for key, value in changed.items() if value != _setting(was, key, public.nodes[node])
        }
        if "traffic_class" in changed:
            orders.append(Order(node, "priority", {"traffic_class": changed.pop("traffic_class")}))
        if changed:
            orders.append(Order(node, "pace", changed))
    return orders


def as_configured(public: Public) -> list[Order]:
    """What has to be said so that nothing is in force, whatever was; a node's settings that it has."""
    orders = [Order(CHANNEL, "orders", {"penalty_ms": {}, "barred": []})]
    configured = Plan()
    for node, table in public.nodes.items():
        if configured.shares_of(public, node):
            orders.append(Order(node, "offload", {"servers": configured.shares_of(public, node)}))
        if hasattr(table, "traffic_class"):
            orders.append(Order(node, "priority", {"traffic_class": table.traffic_class}))
        paces = {key: getattr(table, key, 0.0) for key in _PACES}
        paces = {key: interval_s for key, interval_s in paces.items() if interval_s}
        if paces:
            orders.append(Order(node, "pace", paces))
    return orders


def _setting(settings: dict[str, Any], key: str, table: Node) -> Any:
    """A setting in force: as ordered, or as configured."""
    return settings[key] if key in settings else getattr(table, key)
