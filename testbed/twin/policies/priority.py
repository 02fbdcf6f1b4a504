"""Priority: while a link is short of capacity, those who only tell of themselves go before bulk and tasks."""

from __future__ import annotations

from testbed.actions import Priority
from testbed.scenario.node_tables import MicrocontrollerNode, Node, ProbeNode, SensorNode
from testbed.twin.policies.base import Candidate, Cause, View, ways_back
from testbed.twin.whatif.job import DELAY

_KINDS = frozenset({"attenuation", "congestion", "flood"})
_FIRST = 3


class Priorities:
    """Lets nodes whose traffic is thin go first."""

    name = "priority"

    def propose(self, view: View) -> list[Candidate]:
        found = ways_back(view, self.name)
        standing = [action for one in view.in_force for action in one.actions]
        thin = tuple(name for name, node in view.public.nodes.items() if _is_thin(node))
        thick = [name for name, node in view.public.nodes.items() if _is_thick(node)]
        actions = tuple(Priority(name, _FIRST) for name in thin)
        if thin and thick and not all(action in standing for action in actions):
            for event in view.events:
                if event.kind in _KINDS:
                    found.append(Candidate(self.name, Cause.of(event), DELAY, actions, thin))
        return found


def _is_thick(node: Node) -> bool:
    """Whether a node sends many packets at once."""
    if isinstance(node, ProbeNode):
        return bool(node.bulk_interval_s)
    return isinstance(node, SensorNode) and bool(node.task_interval_s)


def _is_thin(node: Node) -> bool:
    return (
        isinstance(node, SensorNode | MicrocontrollerNode | ProbeNode)
        and node.traffic_class < _FIRST
        and not _is_thick(node)
    )
