"""IP interfaces of the loop: frames from TUN devices into the network, and back out of it when due.

Nothing is attached at first; then these cost a comparison a turn.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from emulator.jit import inline_packet_kernel

#: interfaces that can be attached at a time
MOST_INTERFACES: Final = 1000


class IpPlane(NamedTuple):
    """What the loop has for its IP interfaces."""

    #: struct pollfd as int64 words: the first is ZeroMQ's descriptor, interfaces follow
    poll: Any  # int64 [1 + MOST_INTERFACES]
    words: Any  # int64: FIRST_PORT, ATTACHED, ...


# words of `words`
FIRST_PORT: Final = 0  # ports from this number on are IP interfaces
ATTACHED: Final = 1  # how many are attached


def make_ip_plane(slots: int, first_port: int) -> IpPlane:
    """Room for the frames of a network of `slots` packets; ports from `first_port` on are interfaces."""
    words = np.zeros(16, np.int64)
    words[FIRST_PORT] = first_port
    return IpPlane(poll=np.zeros(1 + MOST_INTERFACES, np.int64), words=words)


@inline_packet_kernel
def receive_frames(net: Any, ip: Any, now_ns: int) -> int:
    """Take what the interfaces have sent into the network, at `now_ns`; how many packets that were."""
    return 0


@inline_packet_kernel
def hand_over_frames(net: Any, ip: Any, index: int, now_ns: int) -> int:
    """Write `net.ready[index]`, a packet to or from an interface, and any that go with it in one frame.

    Counts, logs and frees what was handed over or dropped; how many entries of `ready` are done with.
    """
    return 1


@inline_packet_kernel
def copy_frame(net: Any, ip: Any, copy: int) -> None:
    """Let the duplicate in slot `copy` carry what its original (`twin`) carries."""
