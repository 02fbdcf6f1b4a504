"""What a link is in memory: its parameters of the epoch, its queue, transmitter and flight, its processes.

Layouts only. `LINK` is one row of the network's table; `LINK_UPDATE` is what an epoch says about a row;
`MODEL` is how links of one kind treat packets (`emulator.links.model` writes it), shared by many rows.
"""

from __future__ import annotations

from typing import Final

import numpy as np

#: returned for "no event": later than any run
NEVER: Final = 9_223_372_036_854_775_807
#: traffic classes; the highest goes first
CLASSES: Final = 4

# what the transmitter of a link is doing (`tx_phase`)
IDLE: Final = 0
WAITING: Final = 1  # for the medium; no packet is chosen yet
SENDING: Final = 2
RETRY: Final = 3  # the chosen packet waits to be sent again

_PARAMETERS: Final = [
    ("key", "<u8"),  # identity for random draws
    ("rate_bps", "<f8"),
    ("delay_ns", "<i8"),  # propagation and processing
    ("jitter_ns", "<f8"),  # scale of the jitter: its mean, where the distribution has one
    ("loss", "<f8"),  # independent probability per packet
    ("frame_error", "<f8"),  # probability per code frame of frame_bits
    ("max_bytes", "<i8"),
    ("max_packets", "<i4"),
    ("frame_bits", "<i4"),
    ("from_place", "<i4"),
    ("to_place", "<i4"),
    ("model", "<i4"),  # row of the network's models
    ("medium", "<i4"),  # shared medium on which transmissions collide, -1: none
    ("modcod", "<i2"),
    ("kind", "u1"),
    ("up", "u1"),
]

LINK: Final = np.dtype(
    [
        *_PARAMETERS,
        ("heap_at", "<i4"),  # place in the heap of events, -1: nothing to come
        # queue: one linked list of packet slots a class; packets and bytes count the transmitter's too
        ("head", "<i4", (CLASSES,)),
        ("tail", "<i4", (CLASSES,)),
        ("packets", "<i4"),
        ("flying", "<i4"),  # left the transmitter, not yet arrived
        ("bytes", "<i8"),
        # flight: a list of packet slots in the order in which they arrive
        ("flight_head", "<i4"),
        ("flight_tail", "<i4"),
        ("last_arrival_ns", "<i8"),
        # transmitter: bits still to send at tx_since_ns; what it is doing ends at tx_event_ns
        ("tx_phase", "<i4"),
        ("tx_slot", "<i4"),
        ("tx_bits", "<f8"),
        ("tx_since_ns", "<i8"),
        ("tx_event_ns", "<i8"),
        ("busy_ns", "<i8"),
        # medium access
        ("ready_ns", "<i8"),  # not before (duty cycle, grant)
        ("grant_bytes", "<i8"),
        ("collided", "<i4"),
        ("attempt", "<i4"),
        # CoDel (RFC 8289), one for each line of the queue
        ("codel_above_ns", "<i8", (CLASSES,)),
        ("codel_next_ns", "<i8", (CLASSES,)),
        ("codel_count", "<i4", (CLASSES,)),
        ("codel_last", "<i4", (CLASSES,)),
        ("codel_dropping", "<i4", (CLASSES,)),
        # processes
        ("jitter_at_ns", "<i8"),
        ("jitter_z", "<f8"),
        ("loss_bad", "<i4"),
        # where each trace was read last, and what is left of a delivery opportunity
        ("rate_at", "<i4"),
        ("delay_at", "<i4"),
        ("loss_at", "<i4"),
        ("delivery_bytes", "<i4"),
        ("delivery_ns", "<i8"),
        # generated process (emulator.links.process): times since the start of the run
        ("process_ns", "<i8"),  # 1 + when the last packet came, 0: none has
        ("process_z", "<f8", (4,)),
        ("segment_ns", "<i8"),
        ("segment_end_ns", "<i8"),
        ("level", "<f8"),
        ("spread", "<f8"),
        ("event_ns", "<i8"),
        ("event_end_ns", "<i8"),
        ("outage_ns", "<i8"),
        ("outage_end_ns", "<i8"),
        ("stall_end_ns", "<i8"),
        ("cell_ns", "<i8"),
        ("cell_end_ns", "<i8"),
        ("stray_ns", "<i8"),
        ("stray_outage_end_ns", "<i8"),
        ("stray_end_ns", "<i8"),
    ],
    align=True,
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

#: marks of a packet
CORRUPT: Final = 1  # bits are to be damaged before it is handed over
COPY: Final = 2  # a duplicate: the driver finds the content with `twin`

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
        ("next", "<i4"),  # in a queue, in flight, or in the free list
        ("prev", "<i4"),
        ("fate", "<i4"),
        ("credit_ns", "<i4"),  # substrate delay still to be taken off propagation
        ("credited_ns", "<i4"),  # of it, taken off on the present link
        ("twin", "<i4"),  # a copy's original slot, -1
        ("hop", "u1"),
        ("ttl", "u1"),  # routers it may still pass
        ("traffic_class", "u1"),
        ("marks", "u1"),
        ("header", "<i8", (6,)),
    ],
    align=True,
)

#: how links of one kind treat packets; times in ns. Kinds are the codes of the modules of this package.
MODEL: Final = np.dtype(
    [
        # framing of the layer below
        ("overhead_ns", "<i8"),
        ("overhead_bytes", "<i4"),
        ("mtu_bytes", "<i4"),  # 0: any
        ("queue_kind", "<i4"),
        ("access_kind", "<i4"),
        ("loss_kind", "<i4"),
        ("jitter_kind", "<i4"),
        ("keep_order", "<i4"),
        ("reroute", "<i4"),  # packets queued on a link that is gone look for another way
        # queue: CoDel
        ("codel_target_ns", "<i8"),
        ("codel_interval_ns", "<i8"),
        # medium access
        ("access_period_ns", "<i8"),  # frame or slot
        ("access_offset_ns", "<i8"),
        ("access_grant_ns", "<i8"),
        ("access_frame_bytes", "<i8"),  # of a grant, 0: any
        ("access_duty", "<f8"),
        ("access_window", "<i4"),  # slots of the first back-off
        ("access_attempts", "<i4"),
        # loss
        ("bad_enter", "<f8"),
        ("bad_leave", "<f8"),
        ("bad_loss", "<f8"),
        # jitter
        ("jitter_shape", "<f8"),
        ("jitter_correlation_ns", "<f8"),
        # faults
        ("duplicate", "<f8"),
        ("corrupt", "<f8"),
        # rows of the trace table, -1: none
        ("rate_trace", "<i4"),
        ("delay_trace", "<i4"),
        ("loss_trace", "<i4"),
        ("process", "<i4"),  # first value of a generated process, -1: none
    ],
    align=True,
)

# columns of a trace's entry in `trace_table`
TRACE_FIRST: Final = 0  # index of its first value
TRACE_COUNT: Final = 1
TRACE_PERIOD: Final = 2  # ns after which it begins anew, 0: its last value stays
TRACE_KIND: Final = 3
# kinds of trace
STEPS: Final = 0  # a value holds until the next
LINEAR: Final = 1  # in between, a straight line
DELIVERIES: Final = 2  # each time is an opportunity to deliver so many bytes (Mahimahi)
