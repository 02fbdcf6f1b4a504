"""Serialisation: how long a packet is in the transmitter, at a rate that may change while it is there.

What has been sent so far is worked out when the rate changes, and the rest goes at the new rate. Links
that replay a recorded rate ask `trace` instead.
"""

from __future__ import annotations

import math
from typing import Any, Final

from emulator.jit import inline_packet_kernel
from emulator.links.state import NEVER, SENDING

#: a transmitter slower than this does not move at all, and waits for a change of rate
STALLED_BPS: Final = 1e-3


@inline_packet_kernel
def sending_ends_ns(link: Any) -> int:
    """When the packet in the transmitter will have left it at the present rate, ns; NEVER if stalled."""
    if link.rate_bps < STALLED_BPS:
        return NEVER
    return link.tx_since_ns + int(math.ceil(link.tx_bits / link.rate_bps * 1e9))  # noqa: RUF046 - a float when compiled


@inline_packet_kernel
def change_rate(link: Any, rate_bps: float, now_ns: int) -> None:
    """A new rate from now on, for the rest of the packet in the transmitter too."""
    if link.tx_phase == SENDING and now_ns > link.tx_since_ns:
        sent = (now_ns - link.tx_since_ns) * 1e-9 * link.rate_bps
        link.tx_bits = max(0.0, link.tx_bits - sent)
        link.tx_since_ns = now_ns
    link.rate_bps = rate_bps
