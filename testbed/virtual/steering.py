"""Commands to the nodes of a run in virtual time, as far as they change what the nodes send.

The arguments are those of live nodes, checked by the same code (`nodes.commands`). What a server or a clock
is told is not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulator.simulation import Simulation
from emulator.traffic.arrivals import Periodic
from emulator.traffic.flows import Flow
from nodes.commands import class_of, intervals_of, shares_of
from nodes.node import CommandError
from testbed.scenario import Scenario
from testbed.scenario.node_tables import MicrocontrollerNode, SensorNode


class Steering:
    """Changes the flows of a simulation; `flows` are those of the scenario, `ports` by node."""

    def __init__(
        self, scenario: Scenario, simulation: Simulation, flows: tuple[Flow, ...], ports: dict[str, int]
    ) -> None:
        self._nodes = scenario.nodes
        self._simulation = simulation
        self._flows = flows
        self._ports = ports
        #: time between tasks of each sensor, s, and the shares of its servers
        self._tasks = {
            name: (node.task_interval_s, dict.fromkeys(node.servers, 1))
            for name, node in scenario.nodes.items()
            if isinstance(node, SensorNode) and node.servers
        }

    def command(self, node: str, name: str, arguments: dict[str, Any]) -> str:
        """Carry out offload, pace or priority; what was done. CommandError when it cannot be."""
        table = self._nodes[node]
        if name == "priority" and hasattr(table, "traffic_class"):
            traffic_class = class_of(arguments)
            for flow in self._of(node):
                self._simulation.set_class(flow.name, traffic_class)
            return f"traffic class {traffic_class}"
        if name == "offload" and node in self._tasks:
            shares = shares_of(arguments, tuple(self._tasks[node][1]))
            self._tasks[node] = (self._tasks[node][0], shares)
            self._time_tasks(node)
            return ", ".join(f"{server} {share}" for server, share in shares.items())
        if name == "pace" and isinstance(table, SensorNode | MicrocontrollerNode):
            return self._pace(node, table, arguments)
        raise CommandError(f"{node} knows no command {name!r}")

    def _pace(self, node: str, table: SensorNode | MicrocontrollerNode, arguments: dict[str, Any]) -> str:
        allowed = ["reading_interval_s"] + ["task_interval_s"] * isinstance(table, SensorNode)
        given = intervals_of(arguments, allowed)
        if given.get("task_interval_s") and node not in self._tasks:
            raise CommandError(f"pace: {node} has no servers for tasks")
        if "reading_interval_s" in given:
            interval_s = given["reading_interval_s"]
            for flow in self._of(node, "reading", "publication"):
                self._simulation.set_times(flow.name, Periodic(interval_s) if interval_s else None)
        if "task_interval_s" in given and node in self._tasks:
            self._tasks[node] = (given["task_interval_s"], self._tasks[node][1])
            self._time_tasks(node)
        return ", ".join(f"{key} = {value:g}" for key, value in given.items())

    def _time_tasks(self, node: str) -> None:
        """A message to each server as often as its share says."""
        interval_s, shares = self._tasks[node]
        total = sum(shares.values())
        for flow in self._of(node, "task"):
            share = next(share for server, share in shares.items() if f">{server} " in flow.name)
            every_s = interval_s * total / share if share else 0.0
            self._simulation.set_times(flow.name, Periodic(every_s, every_s) if every_s else None)

    def _of(self, node: str, *what: str) -> Iterator[Flow]:
        """The flows that a node begins; names are those of `Offered`: `FROM>TO WHAT`, ` via RELAY` behind."""
        for flow in self._flows:
            kind = flow.name.partition(" via ")[0].partition(" ")[2].partition(" ")[0]
            if flow.port == self._ports[node] and (not what or kind in what):
                yield flow
