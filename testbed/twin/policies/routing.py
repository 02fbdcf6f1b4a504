"""Site diversity: traffic goes by another gateway, or around a link, while something is wrong there."""

from __future__ import annotations

from testbed.actions import Route
from testbed.twin.attribution import Event
from testbed.twin.policies.base import Candidate, Cause, View, names_of, ways_back
from testbed.twin.whatif.job import DELAY

#: causes that another way may not have
_KINDS = frozenset({"attenuation", "congestion", "link_down", "flood", "unknown"})


class Routing:
    """Avoids a gateway, or single links, that suffer."""

    name = "route"

    def propose(self, view: View) -> list[Candidate]:
        found = ways_back(view, self.name)
        for event in view.events:
            if event.kind in _KINDS:
                found += [
                    Candidate(self.name, Cause.of(event), DELAY, (action,))
                    for action in self._about(event, view)
                ]
        return found

    def _about(self, event: Event, view: View) -> list[Route]:
        places = view.public.places
        gateways = [name for name, place in places.items() if place.access == "gateway"]
        found: dict[Route, None] = {}
        for name in names_of(event):
            source, arrow, sink = name.partition(">")
            if not arrow:
                if name in gateways and len(gateways) > 1:
                    found[Route(name)] = None
                continue
            terminals = {end for end in (source, sink) if end in places and places[end].access == "terminal"}
            if not terminals:
                found[Route(name)] = None
            if len(gateways) > 1:
                found.update((Route(end), None) for end in (source, sink) if end in gateways)
        return list(found)
