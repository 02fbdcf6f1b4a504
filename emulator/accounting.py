"""What becomes of packets: fates by name, and the record written for every packet-hop.

Numbers and layouts only. The compiled network counts fates per link and in total; whatever enters is
delivered, dropped under one of these names, or still in flight, and the sums are compared at the end.
"""

from __future__ import annotations

from typing import Final

import numpy as np

FORWARDED: Final = 0  # went on to the next hop
DELIVERED: Final = 1  # handed to its destination's port
# Every fate from here on is a drop.
NO_ROUTE: Final = 2  # no link leads towards the destination now
LINK_DOWN: Final = 3  # was queued on a link, or met one, that is gone or faulted
QUEUE_FULL: Final = 4  # the link's packet or byte bound was reached
RADIO_LOSS: Final = 5  # not decoded: error rate at the present signal-to-noise ratio, or residual loss
HOP_LIMIT: Final = 6  # more hops than any route has: a routing loop
UNKNOWN_DESTINATION: Final = 7  # the header names a port that nobody holds
PEER_GONE: Final = 8  # the destination's process is not connected any more
PEER_FULL: Final = 9  # the destination does not read: its socket's queue is full
MALFORMED: Final = 10  # too short, too long, or not a packet of this version
NO_BUFFER: Final = 11  # the network holds as many packets as it has slots for
QUEUE_DELAY: Final = 12  # waited too long: dropped by active queue management
COLLISION: Final = 13  # sent at the same time as another on a shared medium, and no attempt left
TOO_LONG: Final = 14  # longer than what the link carries in one piece

FATE_NAMES: Final = (
    "forwarded", "delivered", "no_route", "link_down", "queue_full", "radio_loss", "hop_limit",
    "unknown_destination", "peer_gone", "peer_full", "malformed", "no_buffer", "queue_delay", "collision",
    "too_long",
)  # fmt: skip
FATES: Final = len(FATE_NAMES)
DROPS: Final = tuple(range(NO_ROUTE, FATES))

# Columns of the books kept for every link and traffic class; column `BOOK_FATES + fate` counts what left it
# otherwise than at its end. in + copied = out + dropped + rerouted + on it now.
BOOK_IN: Final = 0
BOOK_IN_BYTES: Final = 1
BOOK_OUT: Final = 2
BOOK_OUT_BYTES: Final = 3
BOOK_COPIED: Final = 4  # duplicates made on it
BOOK_REROUTED: Final = 5  # went another way when the link was lost
BOOK_FATES: Final = 6
BOOK_COLUMNS: Final = BOOK_FATES + FATES

#: One packet-hop, 128 bytes. Times are CLOCK_MONOTONIC ns of the channel's host in real time, ns since
#: the start in virtual time. Places index the world's list of places (run.json: "places"); -1: none.
HOP_RECORD: Final = np.dtype(
    [
        ("ingress_ns", "<i8"),  # when the packet entered the network
        ("in_ns", "<i8"),  # when it reached this hop
        ("due_ns", "<i8"),  # when it was due at the end of the hop (drops: when it was dropped)
        ("actual_ns", "<i8"),  # when it really left (last hop: handed to the port)
        ("queue_ns", "<i8"),  # of the hop, spent waiting in the queue
        ("packet", "<u8"),  # number of the packet at the port it came in by
        ("port", "<u4"),  # port it came in by
        ("from_place", "<i4"),
        ("to_place", "<i4"),
        ("link", "<i4"),  # row of the link table
        ("size", "<i4"),  # bytes, header included
        ("hop", "u1"),  # 0 at the first link
        ("fate", "u1"),  # index into FATE_NAMES
        ("modcod", "<i2"),
        ("header", "V48"),  # as it crossed the wire (nodes.wire)
        ("credit_ns", "<i4"),  # substrate delay that was taken off this hop
        ("traffic_class", "u1"),
        ("marks", "u1"),  # emulator.links.state: CORRUPT, COPY
        ("ttl", "u1"),
        ("reserved", "V1"),
    ]
)
assert HOP_RECORD.itemsize == 128
