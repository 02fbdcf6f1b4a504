"""Task offloading: more of the tasks go to the server that is likely to answer sooner.

Decided with the believed service rate and its doubt, paid with the true one: shares are compared by the
latency expected over the belief, not at its mean, so that an uncertain server is not trusted like a known
one. Queue at a server: M/G/1 by Pollaczek and Khinchine (Kleinrock, Queueing Systems I, 5.6), arrivals of
many nodes being taken for Poisson. The way through the network is not in it: the what-if has it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Final

from testbed.actions import AnyAction, Offload
from testbed.scenario.node_tables import SensorNode
from testbed.twin.belief import Estimate
from testbed.twin.policies.base import Candidate, Cause, View, ways_back
from testbed.twin.whatif.job import TASK
from testbed.twin.whatif.plan import plan_of

_KINDS: Final = frozenset({"slow_server", "unknown"})
#: shares that are compared: all splits of so many turns
_TURNS: Final = 4
#: so many of the best are proposed
_PROPOSED: Final = 3
#: standard normal quantiles in the middle of five equal parts: the rates that are reckoned with
_Z: Final = (-1.2816, -0.5244, 0.0, 0.5244, 1.2816)
#: latency of a server that is asked for more than it can do, s
_OVERLOADED_S: Final = 60.0


class Offloading:
    """Shifts tasks between servers while one of them is slow or has too much to do."""

    name = "offload"

    def propose(self, view: View) -> list[Candidate]:
        found = ways_back(view, self.name)
        for event in view.events:
            server = event.target
            if event.kind in _KINDS and server in view.public.servers:
                found += self._about(Cause.of(event), server, view)
        return found

    def _about(self, cause: Cause, server: str, view: View) -> Iterator[Candidate]:
        groups = _groups(view, server)
        if not groups:
            return
        nodes = tuple(node for name in groups for node in view.public.nodes_called(name))
        standing = [action for one in view.in_force for action in one.actions]
        ranked: list[tuple[float, tuple[AnyAction, ...]]] = []
        now = plan_of(standing, view.public)
        for shares in _splits(_servers(view, groups)):
            actions: tuple[AnyAction, ...] = tuple(Offload(name, shares) for name in groups)
            plan = plan_of([*standing, *actions], view.public)
            if any(plan.shares_of(view.public, node) != now.shares_of(view.public, node) for node in nodes):
                ranked.append((self._expected_s(plan.server_load(view.public, {}), view), actions))
        ranked.sort(key=lambda one: one[0])
        for _, actions in ranked[:_PROPOSED]:
            yield Candidate(self.name, cause, TASK, actions, nodes)

    def _expected_s(self, nominal_load: dict[str, float], view: View) -> float:
        """Mean latency of a task at the servers, over the belief; weighted by the work each is given."""
        total = work = 0.0
        for name, load in nominal_load.items():
            if load <= 0.0:
                continue
            table = view.public.servers[name]
            share = load * table.service_rate_mhz * table.cores
            factor = view.belief.service_factor.get(name, Estimate(1.0))
            total += share * mean_latency_s(load, factor, table.service_rate_mhz, table.cores, view)
            work += share
        return total / work if work else math.inf


def mean_latency_s(load: float, factor: Estimate, rate_mhz: float, cores: int, view: View) -> float:
    """Waiting and service of a task at a server, s, averaged over what its rate may be."""
    low, high = _megacycles(view)
    mean, square = (low + high) / 2.0, (low * low + low * high + high * high) / 3.0
    total = 0.0
    for z in _Z:
        believed = max(factor.mean + z * factor.sd, 0.02)
        rho = load / believed
        if rho >= 0.99:
            total += _OVERLOADED_S
            continue
        service_s = mean / (rate_mhz * believed)
        total += service_s + rho / (1.0 - rho) * square / (2.0 * mean) / (rate_mhz * believed) / cores
    return total / len(_Z)


def _megacycles(view: View) -> tuple[float, float]:
    tables = [
        n.task_megacycles for n in view.public.nodes.values() if isinstance(n, SensorNode) and n.servers
    ]
    return min(t[0] for t in tables), max(t[1] for t in tables)


def _groups(view: View, server: str) -> list[str]:
    """What nodes with tasks that may use a server, and another one, are called: groups where there are."""
    using = {
        name
        for name, node in view.public.nodes.items()
        if isinstance(node, SensorNode)
        and node.task_interval_s
        and server in node.servers
        and len(set(node.servers)) > 1
    }
    groups = [name for name, members in view.public.groups.items() if members and set(members) <= using]
    covered = {member for name in groups for member in view.public.groups[name]}
    return groups + sorted(using - covered)


def _servers(view: View, groups: list[str]) -> list[str]:
    """Servers that all of them may use."""
    lists = [view.public.nodes[node] for name in groups for node in view.public.nodes_called(name)]
    tables = [node for node in lists if isinstance(node, SensorNode)]
    return [name for name in dict.fromkeys(tables[0].servers) if all(name in t.servers for t in tables)]


def _splits(servers: list[str]) -> Iterator[dict[str, int]]:
    """All ways to share a few turns out, each by its smallest numbers."""
    seen = set()
    for shares in itertools.product(range(_TURNS + 1), repeat=len(servers)):
        if sum(shares) != _TURNS:
            continue
        divisor = math.gcd(*shares)
        least = tuple(share // divisor for share in shares)
        if least not in seen:
            seen.add(least)
            yield dict(zip(servers, least, strict=True))
