"""User association: terminals leave a satellite, or station, over which something is wrong."""

from __future__ import annotations

from testbed.actions import Handover
from testbed.twin.attribution import Event
from testbed.twin.policies.base import Candidate, Cause, View, names_of, ways_back
from testbed.twin.whatif.job import DELAY

#: causes that another satellite may not have
_KINDS = frozenset({"attenuation", "congestion", "link_down", "orbit_error", "unknown"})


class Association:
    """Bars a satellite for a terminal whose link to it suffers, or for all when the satellite does."""

    name = "handover"

    def propose(self, view: View) -> list[Candidate]:
        found = ways_back(view, self.name)
        for event in view.events:
            if event.kind in _KINDS:
                found += self._about(event, view)
        return found

    def _about(self, event: Event, view: View) -> list[Candidate]:
        found: dict[Handover, tuple[str, ...]] = {}
        providers = set(view.serving.values())
        for name in names_of(event):
            if name in providers:
                served = {terminal for terminal, on in view.serving.items() if on == name}
                found[Handover(name)] = _nodes_at(served, view)
                continue
            ends = name.split(">")
            for terminal, provider in (ends, ends[::-1]) if len(ends) == 2 else ():
                if view.serving.get(terminal) == provider:
                    found[Handover(provider, terminal)] = _nodes_at({terminal}, view)
        return [
            Candidate(self.name, Cause.of(event), DELAY, (action,), nodes)
            for action, nodes in found.items()
            if nodes
        ]


def _nodes_at(places: set[str], view: View) -> tuple[str, ...]:
    """Nodes that send from these places, or by way of a relay there."""
    nodes = view.public.nodes
    here = {name for name, node in nodes.items() if node.place in places}
    return tuple(name for name, node in nodes.items() if name in here or getattr(node, "via", "") in here)
