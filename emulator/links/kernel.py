"""The link kernel: what happens to a packet on one hop, and nothing about routes, ports or clocks.

Each function is told the time; none reads a clock. In order: is the link up, is there room in the
queue, serialisation at the present rate (a rate that changes while a packet is in the transmitter is
honoured from that moment), loss, propagation as at departure, jitter with order kept.
"""

from __future__ import annotations

import math
from typing import Any, Final

from emulator.accounting import FORWARDED, LINK_DOWN, QUEUE_FULL, RADIO_LOSS
from emulator.jit import kernel
from emulator.links.random import JITTER, LOSS, uniform

#: returned for "no event": later than any run
NEVER: Final = 9_223_372_036_854_775_807
#: a transmitter slower than this does not move at all, and waits for a change of rate
_STALLED_BPS: Final = 1e-3


@kernel
def transmission_end(link: Any) -> int:
    """When the packet in the transmitter will have left it at the present rate, ns; NEVER if stalled."""
    if link.rate_bps < _STALLED_BPS:
        return NEVER
    return link.tx_since_ns + int(math.ceil(link.tx_bits / link.rate_bps * 1e9))  # noqa: RUF046 - a float when compiled


@kernel
def start_transmission(links: Any, row: int, packets: Any, now_ns: int) -> int:
    """Put the head of the queue into the idle transmitter; the time it will leave, ns."""
    link = links[row]
    packet = packets[link.head]
    packet.tx_ns = now_ns
    link.tx_bits = packet.length * 8.0
    link.tx_since_ns = now_ns
    link.tx_generation += 1
    return transmission_end(link)


@kernel
def offer(links: Any, row: int, packets: Any, slot: int, now_ns: int) -> int:
    """A packet reaches the link: queue it, or say why not (a fate). FORWARDED means queued."""
    link = links[row]
    packet = packets[slot]
    packet.link = row
    packet.in_ns = now_ns
    packet.tx_ns = now_ns
    link.in_packets += 1
    link.in_bytes += packet.length
    if link.up == 0:
        return LINK_DOWN
    if link.packets >= link.max_packets or link.bytes + packet.length > link.max_bytes:
        return QUEUE_FULL
    packet.next = -1
    if link.packets == 0:
        link.head = slot
    else:
        packets[link.tail].next = slot
    link.tail = slot
    link.packets += 1
    link.bytes += packet.length
    return FORWARDED


@kernel
def take_head(links: Any, row: int, packets: Any) -> int:
    """Remove the head of the queue; its slot."""
    link = links[row]
    slot = link.head
    link.head = packets[slot].next
    link.packets -= 1
    link.bytes -= packets[slot].length
    if link.packets == 0:
        link.head = -1
        link.tail = -1
    return slot


@kernel
def loss_probability(link: Any, size: int) -> float:
    """Probability that a packet of `size` bytes is not decoded: residual loss, or any frame in error."""
    if link.frame_error <= 0.0:
        return link.loss
    frames = max(1.0, math.ceil(size * 8.0 / max(1, link.frame_bits)))
    return 1.0 - (1.0 - link.loss) * (1.0 - link.frame_error) ** frames


@kernel
def depart(links: Any, row: int, packets: Any, slot: int, now_ns: int) -> int:
    """The packet has left the transmitter: is it lost, or when does it arrive? Sets due_ns; a fate."""
    link = links[row]
    packet = packets[slot]
    link.busy_ns += now_ns - packet.tx_ns
    chance = loss_probability(link, packet.length)
    if chance > 0.0 and uniform(link.key, packet.port, packet.number, LOSS) < chance:
        return RADIO_LOSS
    arrival = now_ns + link.delay_ns
    if link.jitter_ns > 0.0:
        draw = uniform(link.key, packet.port, packet.number, JITTER)
        arrival += int(-math.log(1.0 - draw) * link.jitter_ns)
    # Order is kept: a packet does not overtake the one before it on the same link.
    if arrival < link.last_arrival_ns:
        arrival = link.last_arrival_ns
    link.last_arrival_ns = arrival
    packet.due_ns = arrival
    link.flying += 1
    return FORWARDED


@kernel
def change_rate(links: Any, row: int, rate_bps: float, now_ns: int) -> None:
    """A new rate from now on, for the rest of the packet in the transmitter too."""
    link = links[row]
    if link.packets > 0:
        sent = (now_ns - link.tx_since_ns) * 1e-9 * link.rate_bps
        link.tx_bits = max(0.0, link.tx_bits - sent)
        link.tx_since_ns = now_ns
        link.tx_generation += 1
    link.rate_bps = rate_bps
