"""What actions come to: orders for the network, and settings of nodes, of all actions in force together.

Later actions win over earlier ones about the same subject. The same result is tried in virtual time and, as
commands, carried out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from emulator.orders import Orders
from testbed.actions import AnyAction, Handover, Offload, Pace, Priority, Route
from testbed.scenario.node_tables import Node, SensorNode
from testbed.twin.public import Public

Link = tuple[str, str]


@dataclass
class Plan:
    """Orders and settings; empty: everything as configured."""

    penalty_ms: dict[Link, float] = field(default_factory=dict)
    barred: set[tuple[str, str]] = field(default_factory=set)
    #: node -> server -> share, of every server that it may use
    shares: dict[str, dict[str, int]] = field(default_factory=dict)
    #: node -> keys of its table
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def orders(self) -> Orders:
        """A copy, as a world obeys them."""
        return Orders(dict(self.penalty_ms), set(self.barred))

    def nodes(self, public: Public) -> dict[str, Node]:
        """The tables of the nodes whose settings are changed."""
        return {name: public.nodes[name].model_copy(update=keys) for name, keys in self.settings.items()}

    def shares_of(self, public: Public, node: str) -> dict[str, int]:
        """How the tasks of a node are shared out: as ordered, or as configured."""
        table = public.nodes[node]
        configured = dict(Counter(table.servers)) if isinstance(table, SensorNode) else {}
        return self.shares.get(node) or configured

    def server_load(self, public: Public, factor: dict[str, float]) -> dict[str, float]:
        """Offered load of each server over what it can do at `factor` times its nominal rate."""
        offered: Counter[str] = Counter()
        for name, table in {**public.nodes, **self.nodes(public)}.items():
            if isinstance(table, SensorNode) and table.task_interval_s and table.servers:
                shares = self.shares_of(public, name)
                whole = sum(shares.values())
                megacycles = sum(table.task_megacycles) / 2.0 / table.task_interval_s
                for server, share in shares.items():
                    offered[server] += share / whole * megacycles  # type: ignore[assignment]
        return {
            name: float(offered[name] / (server.service_rate_mhz * server.cores * factor.get(name, 1.0)))
            for name, server in public.servers.items()
        }


def plan_of(actions: Iterable[AnyAction], public: Public) -> Plan:
    """What the actions, all in force together, come to."""
    plan = Plan()
    for action in actions:
        match action:
            case Route(avoid, penalty_ms):
                plan.penalty_ms.update(dict.fromkeys(links_to_avoid(avoid, public), penalty_ms))
            case Handover(bar, terminal):
                terminals = [terminal] if terminal else _terminals(public)
                plan.barred.update((name, bar) for name in terminals)
            case Offload(node, servers):
                for name in public.nodes_called(node):
                    known = getattr(public.nodes[name], "servers", [])
                    plan.shares[name] = {server: servers.get(server, 0) for server in dict.fromkeys(known)}
            case Priority(node, traffic_class):
                for name in public.nodes_called(node):
                    plan.settings.setdefault(name, {})["traffic_class"] = traffic_class
            case Pace(node, reading_interval_s, task_interval_s):
                given = {"reading_interval_s": reading_interval_s, "task_interval_s": task_interval_s}
                for name in public.nodes_called(node):
                    changed = {key: value for key, value in given.items() if value is not None}
                    plan.settings.setdefault(name, {}).update(changed)
    return plan


def links_to_avoid(name: str, public: Public) -> Iterator[Link]:
    """The links that `route:avoid=NAME` is about: one, `a>b`, or those of a place, in both directions.

    Of a place with a radio towards satellites, those: its other lines stay as good as they are, so that what
    ends there can come in by them.
    """
    if ">" in name:
        source, _, sink = name.partition(">")
        yield source, sink
        return
    place = public.places.get(name)
    others: list[str] = []
    if place is None:  # a satellite
        others = [other for other, at in public.places.items() if at.access in ("terminal", "gateway")]
        others += [other for other in sorted(public.satellites) if other != name]
    elif place.access in ("terminal", "gateway"):
        others = sorted(public.satellites)
    else:
        others = [
            b if name == a else a for a, b in ((one.a, one.b) for one in public.world.links) if name in (a, b)
        ]
    for other in others:
        yield from ((name, other), (other, name))


def _terminals(public: Public) -> list[str]:
    return [name for name, place in public.places.items() if place.access == "terminal"]


def turns(shares: dict[str, int]) -> list[str]:
    """Whose turn it is, over one round: in order while shares are equal, else as evenly as they allow."""
    credit = dict.fromkeys(shares, 0)
    whole = sum(shares.values())
    order = []
    for _ in range(whole):
        for name, share in shares.items():
            credit[name] += share
        chosen = max(credit, key=credit.__getitem__)
        credit[chosen] -= whole
        order.append(chosen)
    return order
