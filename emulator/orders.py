"""What a network controller has told the network: open orders, unlike the plant's hidden `Adjustments`.

`Orders` change what the world plans: which way packets take, and which satellite a terminal chooses. What
a link does to packets is not here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.table import Link


@dataclass
class Orders:
    """Obeyed from the next epoch on, by name of place or satellite; may be changed between epochs."""

    #: (from, to) -> ms that are added to a link's delay when routes are chosen, and to nothing else
    route_penalty_ms: dict[Link, float] = field(default_factory=dict)
    #: (terminal, satellite or station) that the terminal is not to choose at its next decisions, and leaves
    #: then if it is on it, unless that would cost it its connection: nothing else is in sight, has room, and
    #: leads anywhere
    barred: set[tuple[str, str]] = field(default_factory=set)
