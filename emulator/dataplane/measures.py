"""What the loop measures of itself: lateness, delay error, substrate delay, hand-over of link tables.

Everything is counted into histograms made beforehand. Links and ports get one of their own when they are
first used, out of a bounded store; those that come after it is used up share one.
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from emulator.accounting import DELIVERED
from emulator.dataplane.histogram import COARSE_WORDS, make_histogram, record, record_coarse, summary_us
from emulator.hoplog import write_log
from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.layout import DELIVERED_BYTES, Network
from nodes.wire import FLAG_HOST_CLOCK

#: links and ports that get histograms of their own; number 0 of the store is shared by all others
OWN_LINKS: Final = 1024
OWN_PORTS: Final = 256

# the two histograms of a link
LATENESS: Final = 0
DELAY_ERROR: Final = 1

# words of `words`
LINKS_GIVEN: Final = 0
PORTS_GIVEN: Final = 1
TYPICAL_LATENESS: Final = 2  # a running median of lateness and sending together, ns
UNMEASURED: Final = 3  # packets of the host's clock whose stamp cannot be: from the future, or hours old
CREDIT: Final = 4  # not zero: what a packet has been late on its way here is taken off its delay

#: most that is taken off a packet's delay; what takes longer was not the substrate
MOST_CREDIT_NS: Final = 1_000_000
#: a stamp older than this is not a pick-up delay
_LONGEST_PICK_UP_NS: Final = 3_600_000_000_000
#: how far one packet moves the running median
_STEP_NS: Final = 8

#: returned for a packet that does not tell when it was sent
UNKNOWN: Final = -1


class Measures(NamedTuple):
    """Histograms of ns and what belongs to them. Made by `make_measures`."""

    words: Any  # int64 [8], see above
    lateness: Any  # release (when its hand-over began) minus due, of all packets handed over
    sending: Any  # from release to when the transport had taken it
    delay_error: Any  # from send to hand-over as it was, off what it should have been by so much
    substrate: Any  # from send to ingress
    in_force: Any  # of link tables: in force minus due
    taking: Any  # of link tables: how long putting one in force kept the loop
    links: Any  # int64 [1 + OWN_LINKS, 2, COARSE_WORDS]
    of_link: Any  # int32 [links]: number in `links`
    link_keys: Any  # uint64 [1 + OWN_LINKS]: whose it is; a row can become another link's
    ports: Any  # int64 [1 + OWN_PORTS, COARSE_WORDS]: substrate delay
    of_port: Any  # int32 [ports]: number in `ports`, -1 before the first packet
    picked_up: Any  # int64 [slots]: from send to ingress, or UNKNOWN, as it is for every free slot
    credit: Any  # int64 [slots]: credit at ingress
    released: Any  # int64 [slots]: when the hand-over began


def make_measures(links: int, ports: int, slots: int) -> Measures:
    """Nothing measured yet, for a network of these sizes."""
    return Measures(
        words=np.zeros(8, np.int64),
        lateness=make_histogram(),
        sending=make_histogram(),
        delay_error=make_histogram(),
        substrate=make_histogram(),
        in_force=make_histogram(),
        taking=make_histogram(),
        links=np.zeros((1 + OWN_LINKS, 2, COARSE_WORDS), np.int64),
        of_link=np.full(links, -1, np.int32),
        link_keys=np.zeros(1 + OWN_LINKS, np.uint64),
        ports=np.zeros((1 + OWN_PORTS, COARSE_WORDS), np.int64),
        of_port=np.full(ports, -1, np.int32),
        picked_up=np.full(slots, UNKNOWN, np.int64),
        credit=np.zeros(slots, np.int64),
        released=np.zeros(slots, np.int64),
    )


@inline_packet_kernel
def pick_up_ns(header: Any, port: int, now_ns: int) -> int:
    """How long a packet of `port` has been on its way here, ns, or UNKNOWN.

    A packet tells when its stamp is of this host's clock and its own sender's: a relayed packet carries
    the stamp of its first sender, not of the relay.
    """
    delay_ns = UNKNOWN
    if ((header[5] >> 40) & FLAG_HOST_CLOCK) != 0 and ((header[0] >> 32) & 0xFFFFFFFF) == port:
        delay_ns = now_ns - header[3]
        if delay_ns < 0 or delay_ns > _LONGEST_PICK_UP_NS:
            delay_ns = UNKNOWN
    return delay_ns


@packet_kernel
def note_pick_up(measures: Any, port: int, delay_ns: int) -> None:
    """Record a packet's substrate delay, in all and for its port."""
    number = measures.of_port[port]
    if number < 0:
        number = 0
        if measures.words[PORTS_GIVEN] < OWN_PORTS:
            measures.words[PORTS_GIVEN] += 1
            number = measures.words[PORTS_GIVEN]
        measures.of_port[port] = number
    record(measures.substrate, delay_ns)
    record_coarse(measures.ports[number], delay_ns)


@inline_packet_kernel
def credit_ns(measures: Any, delay_ns: int) -> int:
    """What is taken off the delay of a packet picked up after `delay_ns`: that, and the usual lateness."""
    credit = 0
    if measures.words[CREDIT] != 0 and delay_ns >= 0:
        credit = min(delay_ns + measures.words[TYPICAL_LATENESS], MOST_CREDIT_NS)
    return credit


@packet_kernel
def _number_of_link(measures: Any, row: int, key: Any) -> int:
    number = measures.of_link[row]
    if number < 0 or (number > 0 and measures.link_keys[number] != key):
        number = 0
        if measures.words[LINKS_GIVEN] < OWN_LINKS:
            measures.words[LINKS_GIVEN] += 1
            number = measures.words[LINKS_GIVEN]
            measures.link_keys[number] = key
        measures.of_link[row] = number
    return number


@inline_packet_kernel
def handed_over(net: Any, measures: Any, slot: int, fate: int, now_ns: int) -> None:
    """Count, log and measure a packet that the network delivered and the driver handed over, or could not.

    `fate`: DELIVERED, PEER_GONE or PEER_FULL; `now_ns`: after it was done, while `measures.released` tells
    when it began. The slot is still to be released.
    """
    packet = net.packets[slot]
    released_ns = measures.released[slot]
    net.fates[packet.traffic_class, fate] += 1
    write_log(net, slot, fate, packet.due_ns, released_ns, packet.link)
    if fate == DELIVERED:
        net.totals[DELIVERED_BYTES] += packet.length
        late_ns = released_ns - packet.due_ns
        whole_ns = now_ns - packet.due_ns
        words = measures.words
        words[TYPICAL_LATENESS] += _STEP_NS if whole_ns > words[TYPICAL_LATENESS] else -_STEP_NS
        record(measures.lateness, late_ns)
        record(measures.sending, now_ns - released_ns)
        number = 0
        if packet.link >= 0:
            number = _number_of_link(measures, packet.link, net.links[packet.link].key)
            record_coarse(measures.links[number, LATENESS], late_ns)
        picked_up_ns = measures.picked_up[slot]
        if picked_up_ns >= 0:
            # Of the credit, the part that has been taken off by now.
            error_ns = abs(whole_ns + picked_up_ns - (measures.credit[slot] - packet.credit_ns))
            record(measures.delay_error, error_ns)
            if packet.link >= 0:
                record_coarse(measures.links[number, DELAY_ERROR], error_ns)
    measures.picked_up[slot] = UNKNOWN


def substrate_us(measures: Measures, port: int | None = None) -> dict[str, Any]:
    """Summary (histogram.summary_us) of the substrate delay of all packets, or of those of one port.

    Ports after the first OWN_PORTS share one histogram, which then is what they all get.
    """
    if port is None:
        return summary_us(measures.substrate)
    number = int(measures.of_port[port])
    return summary_us(measures.ports[number] if number >= 0 else np.zeros(COARSE_WORDS, np.int64))


def per_link(net: Network, measures: Measures) -> dict[tuple[int, int], dict[str, dict[str, Any]]]:
    """`lateness_us` and `delay_error_us` by (from place, to place); (-1, -1): links without their own."""
    found: dict[tuple[int, int], dict[str, dict[str, Any]]] = {}

    def add(link: tuple[int, int], number: int) -> None:
        lateness, error = measures.links[number]
        found[link] = {"lateness_us": summary_us(lateness), "delay_error_us": summary_us(error)}

    for row in np.flatnonzero(measures.of_link > 0).tolist():
        number = int(measures.of_link[row])
        if measures.link_keys[number] == net.links["key"][row]:
            add((int(net.links["from_place"][row]), int(net.links["to_place"][row])), number)
    if measures.links[0, LATENESS].any():
        add((-1, -1), 0)
    return found
