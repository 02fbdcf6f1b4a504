"""Packets that have arrived, from the records of packet-hops: who sent what to whom, when.

Only ends of whole ways: what a relay passes on has not arrived yet. Nothing is counted here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from emulator.accounting import DELIVERED
from nodes import wire

#: the packet header as `nodes.wire` packs it
_HEADER: Final = np.dtype(
    [
        ("magic", "<u2"),
        ("version", "u1"),
        ("kind", "u1"),
        ("src", "<u4"),
        ("dst", "<u4"),
        ("via", "<u4"),
        ("number", "<u8"),
        ("sent_ns", "<i8"),
        ("tag", "<u8"),
        ("fragment", "<u2"),
        ("fragments", "<u2"),
        ("traffic_class", "u1"),
        ("flags", "u1"),
        ("_pad", "<u2"),
    ]
)
assert _HEADER.itemsize == wire.HEADER_BYTES


class Arrival(NamedTuple):
    """A packet at its destination. Times are ns of run time; `port` is where it came in.

    `origin_ns`: when what it answers was begun, or itself.
    """

    due_ns: int
    sent_ns: int
    origin_ns: int
    port: int
    src: int
    dst: int
    kind: int
    tag: int
    fragments: int
    size: int


def arrivals(hops: np.ndarray[Any, Any]) -> Iterator[Arrival]:
    """Every packet whose last hop is in `hops` (HOP_RECORD), in order of arrival.

    A packet that a relay has sent on was sent when its source sent it, any other when it came in.
    """
    ended = hops[hops["fate"] == DELIVERED]
    header = np.frombuffer(ended["header"].tobytes(), _HEADER)
    there = header["via"] == 0
    ended, header = ended[there], header[there]
    order = np.argsort(ended["due_ns"], kind="stable")
    ended, header = ended[order], header[order]
    relayed = ended["port"] != header["src"]
    sent_ns = np.where(relayed, header["sent_ns"], ended["ingress_ns"])
    columns = (
        ended["due_ns"], sent_ns, header["sent_ns"], ended["port"], header["src"], header["dst"],
        header["kind"], header["tag"], header["fragments"], ended["size"],
    )  # fmt: skip
    return (Arrival(*row) for row in zip(*(column.tolist() for column in columns), strict=True))
