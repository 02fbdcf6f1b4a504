"""Duty cycle: while a link is short of capacity, nodes tell of themselves less often."""

from __future__ import annotations

from testbed.actions import AnyAction, Pace
from testbed.scenario.node_tables import MicrocontrollerNode, SensorNode
from testbed.twin.policies.base import Candidate, Cause, View, ways_back
from testbed.twin.whatif.job import DELAY

_KINDS = frozenset({"attenuation", "congestion", "flood"})
#: by so much longer intervals become
_LONGER = 2.0


class DutyCycle:
    """Doubles the intervals of readings, or those of tasks."""

    name = "duty"

    def propose(self, view: View) -> list[Candidate]:
        found = ways_back(view, self.name)
        if any(one.policy == self.name for one in view.in_force):
            return found
        for event in view.events:
            if event.kind in _KINDS:
                for key in ("reading_interval_s", "task_interval_s"):
                    actions = tuple(self._longer(view, key))
                    if actions:
                        found.append(Candidate(self.name, Cause.of(event), DELAY, actions))
        return found

    def _longer(self, view: View, key: str) -> list[AnyAction]:
        nodes = view.public.nodes
        names = {
            name: _LONGER * value
            for name, node in nodes.items()
            if isinstance(node, SensorNode | MicrocontrollerNode) and (value := getattr(node, key, 0.0))
        }
        called: dict[str, float] = {}
        for group, members in view.public.groups.items():
            if members and all(member in names for member in members):
                called[group] = names[members[0]]
                for member in members:
                    del names[member]
        return [Pace(name, **{key: value}) for name, value in {**called, **names}.items()]
