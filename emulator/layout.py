"""What a network is in memory: every array, the words that count and point, and how to make an empty one.

Layouts only; what happens in them is `network`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from emulator.accounting import BOOK_COLUMNS, FATES
from emulator.errors import WorldError
from emulator.jit import records
from emulator.links.state import CLASSES, LINK, LINK_UPDATE, NEVER, PACKET

# words of `state`
FREE: Final = 0  # first free packet slot
IN_USE: Final = 1  # packets in the network
EVENTS: Final = 2  # entries of the heap
ORIGIN: Final = 3  # start of the run: traces and frames are counted from here, ns
NOW: Final = 4  # time of the newest event handled
ROUTES: Final = 5  # which buffer of the mailbox holds the present routes
READY: Final = 6  # packets that have reached their destination and wait to be handed over
LATE_UPDATES: Final = 7  # link tables that came after their time
PACKET_HOPS: Final = 8  # hops completed
QUIET: Final = 9  # not zero: no packet-hop is logged
COPIES: Final = 10  # duplicates whose content the driver has to fill in
_STATE_WORDS: Final = 16

# words of `totals`
ENTERED: Final = 0
ENTERED_BYTES: Final = 1
DELIVERED_BYTES: Final = 2
SERVICE: Final = 3  # packets to the channel itself
COPIED: Final = 4  # duplicates made on the way

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
    books: Any  # int64 [links, CLASSES, BOOK_COLUMNS] (emulator.accounting)
    models: Any  # MODEL [models]
    trace_table: Any  # int64 [traces, 4] (emulator.links.state)
    trace_ns: Any  # int64 [values of all traces]: since ORIGIN
    trace_value: Any  # float64 [values of all traces]
    process_value: Any  # float64: generated processes (emulator.links.process), packed
    medium: Any  # int64 [links, 2]: until when a shared medium is taken, and by which row
    packets: Any  # PACKET [slots]
    heap_ns: Any  # int64 [links]
    heap_row: Any  # int32 [links]
    state: Any  # int64 words, see above
    fates: Any  # int64 [CLASSES, FATES]: of all packets
    entered: Any  # int64 [CLASSES]: packets that came in
    totals: Any  # int64 words, see above
    port_place: Any  # int32 [ports]: where the port is; -1: nobody holds it
    port_host: Any  # int32 [ports]: column of the routes
    port_packets: Any  # int64 [ports]: packets that came in
    ready: Any  # int32 [slots]: slots waiting to be handed to their port
    copies: Any  # int32 [slots]: duplicates made since the driver looked; their originals are their `twin`
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
        ("credit_ns", "<i4"),
        ("traffic_class", "u1"),
        ("marks", "u1"),
        ("ttl", "u1"),
        ("reserved", "u1"),
    ]
)
LOG_WRITTEN: Final = 0
LOG_READ: Final = 8
LOG_OVERFLOW: Final = 16


def make_network(
    places: int,
    hosts: int,
    ports: int,
    *,
    links: int = 4096,
    slots: int = 16384,
    log: int = 65536,
    models: Any = None,
) -> Network:
    """An empty network with room for `links` links and `slots` packets.

    `places` x `hosts` is the size of the route table; `log` is rounded up to a power of two; `models`
    (emulator.links.model.ModelSet) is how links treat packets, the plain model alone by default.
    """
    # Models bring the modules of every impairment with them; most of this module's callers do not.
    from emulator.links.model import ModelSet

    models = models or ModelSet(())
    log = 1 << (max(2, log) - 1).bit_length()
    packets = np.zeros(slots, PACKET)
    packets["next"] = np.arange(1, slots + 1)
    packets["next"][-1] = -1
    table = np.zeros(links, LINK)
    for name in ("head", "tail", "flight_head", "flight_tail", "tx_slot", "heap_at", "medium"):
        table[name] = -1
    table["tx_event_ns"] = NEVER
    state = np.zeros(_STATE_WORDS, np.int64)
    state[NOW] = -NEVER
    routes = np.full((MAILBOX_SLOTS, places, hosts), -1, np.int32)
    ring = np.zeros(log, LOG_RECORD)
    mail = np.zeros((MAILBOX_SLOTS, links), LINK_UPDATE)
    for array in (ring, mail, table, packets):
        # Fresh zeros are pages that do not exist yet: writing makes them now, not under a packet.
        array.view(np.uint8)[:] = array.view(np.uint8)
    # The slot that `ROUTES` points at before the first table is the last one: no routes at all.
    state[ROUTES] = MAILBOX_SLOTS - 1
    return Network(
        links=records(table),
        books=np.zeros((links, CLASSES, BOOK_COLUMNS), np.int64),
        models=records(models.rows.copy()),
        trace_table=models.table,
        trace_ns=models.times_ns,
        trace_value=models.values,
        process_value=models.process_values,
        medium=np.full((links, 2), -1, np.int64),
        packets=records(packets),
        # A link is there at most once.
        heap_ns=np.zeros(links, np.int64),
        heap_row=np.zeros(links, np.int32),
        state=state,
        fates=np.zeros((CLASSES, FATES), np.int64),
        entered=np.zeros(CLASSES, np.int64),
        totals=np.zeros(8, np.int64),
        port_place=np.full(ports, -1, np.int32),
        port_host=np.full(ports, -1, np.int32),
        port_packets=np.zeros(ports, np.int64),
        # copies take slots of their own, so no more wait than there are slots
        ready=np.zeros(slots, np.int32),
        copies=np.zeros(slots, np.int32),
        log=records(ring),
        log_words=np.zeros(24, np.int64),
        mailbox=np.zeros(16, np.int64),
        mail_time=np.zeros(MAILBOX_SLOTS, np.int64),
        mail_applied=np.zeros(MAILBOX_SLOTS, np.int64),
        mail_rows=np.zeros(MAILBOX_SLOTS, np.int64),
        mail_links=records(mail),
        mail_routes=routes,
    )


def network_of(world: Any, ports: Mapping[int, str], *, slots: int = 16384, log: int = 65536) -> Network:
    """An empty network for a `World`, with ports (numbers from 1) at places that it names as hosts.

    WorldError for a port at a place that is no host of the world, or of a number that cannot be.
    """
    rows = 1 << max(8, (world.most_rows() - 1).bit_length())
    hosts = [place.id for place in world.spec.places]
    net = make_network(
        len(world.places),
        len(world.hosts),
        max(ports, default=0) + 1,
        links=rows,
        slots=slots,
        log=log,
        models=world.models,
    )
    for port, place in ports.items():
        if port < 1:
            raise WorldError(f"port {port}, allowed: 1 and above")
        if place not in hosts:
            raise WorldError(f"port {port} is at {place!r}, allowed: {', '.join(hosts[:8])}")
        net.port_host[port] = hosts.index(place)
        net.port_place[port] = int(world.hosts[hosts.index(place)])
    return net
