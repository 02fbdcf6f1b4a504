"""What a link is in memory: its parameters of the epoch, its queue, its transmitter, its counters.

Layouts only. `LINK` is one row of the network's table; `LINK_UPDATE` is what an epoch says about a row.
"""

from __future__ import annotations

from typing import Final

import numpy as np

_PARAMETERS: Final = [
    ("key", "<u8"),  # identity for random draws
    ("rate_bps", "<f8"),
    ("delay_ns", "<i8"),  # propagation and processing
    ("jitter_ns", "<f8"),  # mean of the exponential jitter
    ("loss", "<f8"),  # independent probability per packet
    ("frame_error", "<f8"),  # probability per code frame of frame_bits
    ("max_bytes", "<i8"),
    ("max_packets", "<i4"),
    ("frame_bits", "<i4"),
    ("from_place", "<i4"),
    ("to_place", "<i4"),
    ("modcod", "<i2"),
    ("kind", "u1"),
    ("up", "u1"),
]

LINK: Final = np.dtype(
    [
        *_PARAMETERS,
        ("_align", "<i4"),
        # queue: a linked list of packet slots, the first being in the transmitter
        ("head", "<i4"),
        ("tail", "<i4"),
        ("packets", "<i4"),
        ("flying", "<i4"),  # left the transmitter, not yet arrived
        ("bytes", "<i8"),
        # transmitter: bits still to send at tx_since_ns; an event of another generation is stale
        ("tx_bits", "<f8"),
        ("tx_since_ns", "<i8"),
        ("tx_generation", "<i8"),
        ("last_arrival_ns", "<i8"),
        # counters
        ("busy_ns", "<i8"),
        ("in_packets", "<i8"),
        ("in_bytes", "<i8"),
        ("out_packets", "<i8"),
        ("out_bytes", "<i8"),
    ]
)

LINK_UPDATE: Final = np.dtype(
    [
        *_PARAMETERS,
        ("row", "<i4"),
        ("gone", "u1"),  # the link does not exist any more
        ("reset", "u1"),  # the row is taken over by another link: clear its counters
        ("_pad", "<u2"),
    ]
)

#: one packet inside the network
PACKET: Final = np.dtype(
    [
        ("number", "<u8"),  # of the packets that came in by its port
        ("ingress_ns", "<i8"),
        ("in_ns", "<i8"),  # reached the present link
        ("tx_ns", "<i8"),  # reached its transmitter
        ("due_ns", "<i8"),
        ("port", "<u4"),
        ("target", "<u4"),  # port it is being carried to
        ("length", "<i4"),
        ("place", "<i4"),
        ("link", "<i4"),
        ("next", "<i4"),  # in a queue or the free list
        ("hop", "<i4"),
        ("fate", "<i4"),
        ("header", "<i8", (6,)),
    ]
)
