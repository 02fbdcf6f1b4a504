"""Commands to the nodes of a run in virtual time, as far as they change what the nodes send.

The arguments are those of live nodes, checked by the same code (`nodes.commands`). What a server or a clock
is told is not here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from emulator.simulation import Simulation
from emulator.traffic.arrivals import Periodic, Recorded
from emulator.traffic.flows import Flow
from nodes.commands import class_of, intervals_of, shares_of
from nodes.node import CommandError
from nodes.roles.sensor import Turns
from testbed.scenario import Scenario
from testbed.scenario.node_tables import MicrocontrollerNode, SensorNode

_READING: Final = "reading"
#: what readings are called on their way
_READINGS: Final = ("reading", "publication")
_TASK: Final = "task"


class _Ticks:
    """When a node begins something: at `anchor_s` and every `interval_s` after; 0: never. Run time, s."""

    def __init__(self, anchor_s: float, interval_s: float) -> None:
        self.anchor_s, self.interval_s = anchor_s, interval_s

    def next_s(self, now_s: float) -> float:
        """The first one from now on."""
        passed = math.ceil((now_s - self.anchor_s) / self.interval_s - 1e-9) if self.interval_s else 0
        return self.anchor_s + max(0, passed) * self.interval_s

    def set_interval(self, interval_s: float, now_s: float) -> None:
        """As a live node does: from the latest one on the next is so much later, and never before now."""
        latest_s = self.next_s(now_s) - self.interval_s if self.interval_s else now_s
        self.anchor_s, self.interval_s = max(now_s, latest_s + interval_s), interval_s


class Steering:
    """Changes the flows of a simulation; `flows` are those of the scenario, `ports` by node."""

    def __init__(
        self, scenario: Scenario, simulation: Simulation, flows: tuple[Flow, ...], ports: dict[str, int]
    ) -> None:
        self._nodes = scenario.nodes
        self._duration_s = scenario.run.duration_s
        self._simulation = simulation
        self._flows = flows
        self._ports = ports
        self._ticks: dict[tuple[str, str], _Ticks] = {}
        self._turns: dict[str, Turns] = {}
        for name, node in scenario.nodes.items():
            if isinstance(node, SensorNode | MicrocontrollerNode) and node.reading_interval_s:
                self._ticks[name, _READING] = self._as_offered(name, _READINGS, node.reading_interval_s)
            if isinstance(node, SensorNode) and node.servers:
                self._turns[name] = Turns(node.servers)
                self._ticks[name, _TASK] = self._as_offered(name, (_TASK,), node.task_interval_s)

    def _as_offered(self, node: str, what: tuple[str, ...], interval_s: float) -> _Ticks:
        phases = [flow.times.phase_s for flow in self._of(node, *what) if isinstance(flow.times, Periodic)]
        return _Ticks(min(phases, default=0.0), interval_s)

    def command(self, node: str, name: str, arguments: dict[str, Any]) -> str:
        """Carry out offload, pace or priority; what was done. CommandError when it cannot be."""
        table = self._nodes[node]
        if name == "priority" and hasattr(table, "traffic_class"):
            traffic_class = class_of(arguments)
            for flow in self._of(node):
                self._simulation.set_class(flow.name, traffic_class)
            return f"traffic class {traffic_class}"
        if name == "offload" and node in self._turns:
            shares = shares_of(arguments, tuple(dict.fromkeys(getattr(table, "servers", ()))))
            self._turns[node].set_shares(shares)
            self._time_tasks(node)
            return f"tasks go to {self._turns[node]}"
        if name == "pace" and isinstance(table, SensorNode | MicrocontrollerNode):
            return self._pace(node, table, arguments)
        raise CommandError(f"{node} knows no command {name!r}")

    def _pace(self, node: str, table: SensorNode | MicrocontrollerNode, arguments: dict[str, Any]) -> str:
        allowed = ["reading_interval_s"] + ["task_interval_s"] * isinstance(table, SensorNode)
        given = intervals_of(arguments, allowed)
        for key, interval_s in given.items():
            if interval_s and (node, key.partition("_")[0]) not in self._ticks:
                raise CommandError(f"pace: {node} has nowhere to send for {key}")
        now_s = self._simulation.now_ns / 1e9
        for key, interval_s in given.items():
            what = key.partition("_")[0]
            ticks = self._ticks.get((node, what))
            if ticks is None:
                continue
            ticks.set_interval(interval_s, now_s)
            if what == _TASK:
                self._time_tasks(node)
                continue
            times = Periodic(interval_s, ticks.next_s(now_s) - now_s) if interval_s else None
            for flow in self._of(node, *_READINGS):
                self._simulation.set_times(flow.name, times)
        return ", ".join(f"{key} = {value:g}" for key, value in given.items())

    def _time_tasks(self, node: str) -> None:
        """Tasks from now on to the end: each at its time, to the server whose turn it then is."""
        ticks, turns = self._ticks[node, _TASK], self._turns[node]
        now_s = self._simulation.now_ns / 1e9
        times_ns: dict[str, list[int]] = {}
        at_s = ticks.next_s(now_s)
        while ticks.interval_s and at_s <= self._duration_s:
            times_ns.setdefault(turns.next(), []).append(round((at_s - now_s) * 1e9))
            at_s += ticks.interval_s
        for flow in self._of(node, _TASK):
            server = flow.name.partition(">")[2].partition(" ")[0]
            times = Recorded(times_ns[server]) if server in times_ns else None
            self._simulation.set_times(flow.name, times)

    def _of(self, node: str, *what: str) -> Iterator[Flow]:
        """The flows that a node begins; names are those of `Offered`: `FROM>TO WHAT`, ` via RELAY` behind."""
        for flow in self._flows:
            kind = flow.name.partition(" via ")[0].partition(" ")[2].partition(" ")[0]
            if flow.port == self._ports[node] and (not what or kind in what):
                yield flow
