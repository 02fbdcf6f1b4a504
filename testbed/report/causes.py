"""Why packets are dropped: what each cause says to a reader of the report."""

from __future__ import annotations

from typing import Final

#: name of a drop (`emulator.accounting.FATE_NAMES`) -> what happened to the packet
MEANINGS: Final = {
    "no_route": "no link led towards its destination at that moment",
    "link_down": "waited at a link, or came to one, that was gone",
    "queue_full": "the link's queue had no room: more came than the link could carry",
    "radio_loss": "lost on the way: the signal, the link's own loss, or its process of loss",
    "hop_limit": "its limit of hops was used up, as traceroute wants it, or it went round in circles",
    "unknown_destination": "addressed to what is not in this network",
    "peer_gone": "nobody was there to take it: the program had ended, or none had been started",
    "peer_full": "its receiver did not read fast enough",
    "malformed": "too short, too long, or no packet of this version",
    "no_buffer": "the channel held as many packets as it has room for",
    "queue_delay": "dropped by the queue's CoDel: packets had waited longer than its target for too long",
    "collision": "sent at the same time as another on a shared medium, in its last attempt",
    "too_long": "longer than what the link carries in one piece (mtu_bytes)",
}


def meaning(cause: str) -> str:
    """What a cause says; empty for one that this version does not know."""
    return MEANINGS.get(cause, "")
