"""What a network is in memory: every array, the words that count and point, and how to make an empty one.

Layouts only; what happens in them is `network`'s.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from emulator.accounting import FATES
from emulator.jit import records
from emulator.links.kernel import NEVER
from emulator.links.state import LINK, LINK_UPDATE, PACKET

# words of `state`
FREE: Final = 0  # first free packet slot
IN_USE: Final = 1  # packets in the network
EVENTS: Final = 2  # entries of the heap
SEQUENCE: Final = 3  # events ever scheduled: breaks ties of time in the order of scheduling
NOW: Final = 4  # time of the newest event handled
ROUTES: Final = 5  # which buffer of the mailbox holds the present routes
READY: Final = 6  # packets that have reached their destination and wait to be handed over
LATE_UPDATES: Final = 7  # link tables that came after their time
PACKET_HOPS: Final = 8  # hops completed
_STATE_WORDS: Final = 16

# words of `mailbox`, each on its own cache line
POSTED: Final = 0
TAKEN: Final = 8
#: link tables between the one who computes them and the loop
MAILBOX_SLOTS: Final = 8

#: header words that carry the numbers the network needs (nodes.wire): `src` and `dst`, `via`
HEADER_WORDS: Final = 6


class Network(NamedTuple):
    """Every array of a network. Made by `make_network`; all mutable state is in here."""

    links: Any  # LINK [links]
    link_drops: Any  # int64 [links, FATES]
    packets: Any  # PACKET [slots]
    heap: Any  # int64 [events, 3]: time, sequence, what
    state: Any  # int64 words, see above
    fates: Any  # int64 [FATES]: of all packets
    totals: Any  # int64 [4]: ingress packets, ingress bytes, delivered bytes, service packets
    port_place: Any  # int32 [ports]: where the port is; -1: nobody holds it
    port_host: Any  # int32 [ports]: column of the routes
    port_packets: Any  # int64 [ports]: packets that came in
    ready: Any  # int32 [slots]: slots waiting to be handed to their port
    log: Any  # hop records, a ring
    log_words: Any  # int64: written, read (8 words apart), overflow at 16
    mailbox: Any  # int64 words POSTED and TAKEN
    mail_time: Any  # int64 [MAILBOX_SLOTS]: when the table takes effect
    mail_applied: Any  # int64 [MAILBOX_SLOTS]: when it did
    mail_rows: Any  # int64 [MAILBOX_SLOTS]: rows used
    mail_links: Any  # LINK_UPDATE [MAILBOX_SLOTS, links]
    mail_routes: Any  # int32 [MAILBOX_SLOTS, places, hosts]: row of the next link or -1


#: like accounting.HOP_RECORD, in types a kernel can assign
LOG_RECORD: Final = np.dtype(
    [
        ("ingress_ns", "<i8"),
        ("in_ns", "<i8"),
        ("due_ns", "<i8"),
        ("actual_ns", "<i8"),
        ("queue_ns", "<i8"),
        ("packet", "<u8"),
        ("port", "<u4"),
        ("from_place", "<i4"),
        ("to_place", "<i4"),
        ("link", "<i4"),
        ("length", "<i4"),
        ("hop", "u1"),
        ("fate", "u1"),
        ("modcod", "<i2"),
        ("header", "<i8", (6,)),
        ("reserved", "<u8"),
    ]
)
LOG_WRITTEN: Final = 0
LOG_READ: Final = 8
LOG_OVERFLOW: Final = 16


def make_network(
    places: int, hosts: int, ports: int, *, links: int = 4096, slots: int = 16384, log: int = 65536
) -> Network:
    """An empty network with room for `links` links and `slots` packets.

    `places` x `hosts` is the size of the route table; `log` is rounded up to a power of two.
    """
    log = 1 << (max(2, log) - 1).bit_length()
    packets = np.zeros(slots, PACKET)
    packets["next"] = np.arange(1, slots + 1)
    packets["next"][-1] = -1
    table = np.zeros(links, LINK)
    for name in ("head", "tail"):
        table[name] = -1
    state = np.zeros(_STATE_WORDS, np.int64)
    state[NOW] = -NEVER
    routes = np.full((MAILBOX_SLOTS, places, hosts), -1, np.int32)
    ring = np.zeros(log, LOG_RECORD)
    heap = np.zeros((2 * slots + 4 * links, 3), np.int64)
    mail = np.zeros((MAILBOX_SLOTS, links), LINK_UPDATE)
    for array in (ring, heap, mail, table, packets):
        # Fresh zeros are pages that do not exist yet: writing makes them now, not under a packet.
        array.view(np.uint8)[:] = array.view(np.uint8)
    # The slot that `ROUTES` points at before the first table is the last one: no routes at all.
    state[ROUTES] = MAILBOX_SLOTS - 1
    return Network(
        links=records(table),
        link_drops=np.zeros((links, FATES), np.int64),
        packets=records(packets),
        # One event for every packet in the air, one for every transmitter, and stale ones between.
        heap=heap,
        state=state,
        fates=np.zeros(FATES, np.int64),
        totals=np.zeros(4, np.int64),
        port_place=np.full(ports, -1, np.int32),
        port_host=np.full(ports, -1, np.int32),
        port_packets=np.zeros(ports, np.int64),
        ready=np.zeros(slots, np.int32),
        log=records(ring),
        log_words=np.zeros(24, np.int64),
        mailbox=np.zeros(16, np.int64),
        mail_time=np.zeros(MAILBOX_SLOTS, np.int64),
        mail_applied=np.zeros(MAILBOX_SLOTS, np.int64),
        mail_rows=np.zeros(MAILBOX_SLOTS, np.int64),
        mail_links=records(mail),
        mail_routes=routes,
    )
