"""Which links there are, what is believed of each, and what a new one takes over from one of its design.

Links come and go with satellites; a terminal's next link begins with what its last one taught. What a
single link's belief is made of is in `links`.
"""

from __future__ import annotations

from collections.abc import Iterable

from testbed.twin.links import LinkBelief
from testbed.twin.nominal import NominalLink
from testbed.twin.watching import LinkWatching

#: an inter-satellite link without traffic for so many windows is not predicted any more
_IDLE_WINDOWS = 40


class Roster:
    """The links of a network, by id; `watching` is told of those that begin and end."""

    def __init__(self, watching: LinkWatching) -> None:
        self._watching = watching
        #: also of links that are gone, as long as no other has taken over from them
        self.beliefs: dict[str, LinkBelief] = {}
        #: links of the newest prediction
        self.present: set[str] = set()
        self._latest: dict[str, str] = {}  # end and design, or design -> link last seen there
        self._traffic: dict[str, int] = {}  # link -> last window with packets

    def used(self, window: int) -> frozenset[str]:
        """Links that packets have crossed lately."""
        return frozenset(k for k, seen in self._traffic.items() if window - seen <= _IDLE_WINDOWS)

    def carried(self, link: str, window: int) -> None:
        """Packets were on a link in a window."""
        self._traffic[link] = window

    def reported(self, link: NominalLink) -> None:
        """A link told of itself: the next of its terminal and of its design take over from it."""
        self._latest[_end_and_design(link)] = self._latest[link.group] = link.id

    def meet(self, link: NominalLink) -> LinkBelief:
        """The belief about a link that is to be predicted; a new one starts from what the last one taught."""
        if link.id not in self.present:
            donor = self._donor(link)
            if donor is not None and donor != link.id:
                self.beliefs[link.id] = self.beliefs[donor].inherit()
            self._watching.begin(link.id, donor)
        belief = self.beliefs.get(link.id)
        if belief is None:
            belief = self.beliefs[link.id] = LinkBelief()
        return belief

    def settle(self, names: Iterable[str]) -> None:
        """These are all the links there are now."""
        present = set(names)
        for name in self.present - present:
            self._watching.end(name)
            if name not in self._latest.values():
                del self.beliefs[name]
        self.present = present

    def peek(self, link: NominalLink) -> LinkBelief:
        """What is believed of a link, also of one that does not exist yet; not to be changed."""
        known = self.beliefs.get(link.id)
        if known is None:
            donor = self._donor(link)
            known = self.beliefs[donor].inherit() if donor in self.beliefs else LinkBelief()
        return known

    def _donor(self, link: NominalLink) -> str | None:
        return self._latest.get(_end_and_design(link)) or self._latest.get(link.group)


def _end_and_design(link: NominalLink) -> str:
    """What a link's successor has in common with it: its end and its radio, whatever the satellite.

    Not the end alone: a terminal that goes from a satellite to a station is served by another radio.
    """
    return f"{link.place}/{link.group}" if link.place else link.id
