"""Buffers of IP frames: a bounded pool in three sizes, each frame shared by the packets that point into it.

A frame is what one read of a TUN device gives, perhaps a super-segment of many packets. It is read into the
largest size, and copied to a smaller one when it fits. Pages of buffers that were never used do not exist,
unless the process locks its memory. What is in a frame is `emulator.inet`'s subject.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from emulator.inet.virtio import VIRTIO_BYTES
from emulator.jit import inline_packet_kernel, records

#: room of a frame of each size for the virtio header and the IP packet, octets
SMALL_OCTETS: Final = 2_048 - 16
MIDDLE_OCTETS: Final = 16_384 - 16
#: the longest IPv4 packet, and the longest that Linux makes of IPv6 (65,535 + 10), in whole cache lines
LARGE_OCTETS: Final = 65_600 - 16
SIZES: Final = 3
SMALL: Final = 0
MIDDLE: Final = 1
LARGE: Final = 2
_ROOM: Final = (SMALL_OCTETS, MIDDLE_OCTETS, LARGE_OCTETS)
#: before every virtio header, so that the IP header behind it is aligned
_PAD: Final = 16 - VIRTIO_BYTES

#: numbers are words of 64 bits, so that kernels that take them are compiled for one type only
FRAME: Final = np.dtype(
    [
        ("at", "<i8"),  # where its IP packet begins in the octets of the pool
        ("length", "<i8"),  # of the IP packet
        ("users", "<i4"),  # packets that point into it, and the one who is filling it
        ("next", "<i4"),  # free frame of its size
        ("size", "<i4"),
        ("to_place", "<i4"),  # not zero: it is for the place itself, not for a node there
        # how it divides (emulator.inet.segments.Segments)
        ("packets", "<i8"),
        ("header_bytes", "<i8"),
        ("payload_bytes", "<i8"),
        ("last_payload_bytes", "<i8"),
        # how it enters the network
        ("port", "<i8"),
        ("target", "<i8"),
        ("hop_limit", "<i8"),
        ("traffic_class", "<i8"),
        ("place", "<i4"),
    ],
    align=True,
)


def make_pool(small: int, middle: int, large: int) -> tuple[Any, Any, Any]:
    """Octets, frames and the first free frame of each size, of a pool with so many frames."""
    counts = (small, middle, large)
    frames = np.zeros(sum(counts), FRAME)
    free = np.full(SIZES, -1, np.int64)
    at = first = 0
    for size, (count, room) in enumerate(zip(counts, _ROOM, strict=True)):
        part = frames[first : first + count]
        part["size"] = size
        part["at"] = at + 16 + (room + 16) * np.arange(count)
        part["next"] = np.arange(first + 1, first + count + 1)
        if count:
            part["next"][-1] = -1
            free[size] = first
        first += count
        at += count * (room + 16)
    return np.zeros(max(at, 1), np.uint8), records(frames), free


@inline_packet_kernel
def take_frame(ip: Any, octets: int) -> int:
    """A frame with room for so many octets, virtio header included, with one user; -1: there is none."""
    frame = -1
    if octets <= SMALL_OCTETS:
        frame = ip.free[SMALL]
    if frame < 0 and octets <= MIDDLE_OCTETS:
        frame = ip.free[MIDDLE]
    if frame < 0:
        frame = ip.free[LARGE]
    if frame >= 0:
        ip.free[ip.frames[frame].size] = ip.frames[frame].next
        ip.frames[frame].users = 1
    return frame


@inline_packet_kernel
def leave_frame(ip: Any, frame: int) -> None:
    """One user less; without any the frame is free."""
    ip.frames[frame].users -= 1
    if ip.frames[frame].users == 0:
        size = ip.frames[frame].size
        ip.frames[frame].next = ip.free[size]
        ip.free[size] = frame


def frames_in_use(ip: Any) -> int:
    """How many frames have a user, the one that the next read goes to not counted."""
    return int(np.count_nonzero(ip.frames["users"])) - 1
