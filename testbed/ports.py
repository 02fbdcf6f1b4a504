"""Which port each node has: numbered in the order of the scenario, the same in every process.

Ports behind those of the scenario's nodes are for guests: programs that join with a place of their choice.
Behind all of these stand, in the same order, the ports of the nodes' IP interfaces.
"""

from __future__ import annotations

from typing import Final

from testbed.planned import Planned

GUESTS: Final = 16
#: deviations whose packets come from a port like a guest's
HIDDEN: Final = ("flood", "impostor")


class Ports:
    """The ports of a scenario. `of` maps node id to port; 0 is the channel's own."""

    def __init__(self, scenario: Planned) -> None:
        self.of = {node: port for port, node in enumerate(scenario.nodes, start=1)}
        self.first_guest = len(self.of) + 1
        hidden = any(deviation.kind in HIDDEN for deviation in getattr(scenario, "deviations", ()))
        self.guests = GUESTS if scenario.network.guests or hidden else 0

    @property
    def ip_from(self) -> int:
        """The port of a node's IP interface is the node's own and this."""
        return self.first_guest + self.guests

    @property
    def capacity(self) -> int:
        """Ports there can be, the channel's included."""
        return 2 * self.ip_from
