"""The paths that `bench ip` measures: three ends in a row behind a real channel, and the bare limit.

The ends A, B, C stand at places of their own, one link apart; what lies between them is changed while the
channel runs, as an epoch would. The limit is the least that anything in user space can do between two TUN
devices: read a frame, write it to the other, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from emulator.dataplane import ip_device, realtime
from emulator.dataplane.channel import Channel
from emulator.dataplane.libzmq import POLL_READABLE, wait_ready
from emulator.epochs import LinkUpdates
from emulator.inet.addresses import host_ipv4, host_ipv6
from emulator.inet.segments import HEADER_ROOM
from emulator.jit import load_acquire, packet_kernel, store_release
from emulator.layout import QUIET, make_network
from testbed.bench._ip_ends import End

MTU: Final = 1500
#: ports from here on are IP interfaces; the ends are numbers 1, 2, 3
_FIRST_PORT: Final = 8
_PLACES: Final = 3
#: packets in flight at a time; 25 MB of the longest
SLOTS: Final = 16_384
#: of links that are not to be felt
FREE_MBPS: Final = 100_000.0
FREE_KBYTES: Final = 25_000
_LARGEST_FRAME: Final = 65_600
_NS_PER_MS: Final = 1e6


class Paths:
    """The ends by name, and what lies between them. Made by `paths`."""

    def __init__(self, ends: dict[str, End], channel: Channel) -> None:
        self.ends = ends
        self.channel = channel
        self._updates = LinkUpdates(channel.net, list(ends), seed=1)

    def set(self, delay_ms: float, rate_mbps: float = FREE_MBPS, queue_kbytes: int = FREE_KBYTES) -> None:
        """From now on every link, in each direction, is like this."""
        hops = _PLACES - 1
        right = np.arange(hops, dtype=np.int32)
        next_hop = np.full((_PLACES, _PLACES), -1, np.int32)
        for place in range(_PLACES):
            next_hop[place, place + 1 :] = place
            next_hop[place, :place] = hops + place - 1
        values = {
            "kind": 0, "up": True, "rate_bps": rate_mbps * 1e6, "delay_ns": round(delay_ms * _NS_PER_MS),
            "jitter_ns": 0.0, "loss": 0.0, "frame_error": 0.0, "frame_bits": 12_000, "modcod": -1, "model": 0,
            "queue_packets": 1 << 30, "queue_bytes": queue_kbytes * 1000,
        }  # fmt: skip
        full = {name: np.full(2 * hops, value) for name, value in values.items()}
        ends = np.concatenate((right, right + 1)), np.concatenate((right + 1, right))
        table = SimpleNamespace(src=ends[0], dst=ends[1], next_hop=next_hop, **full)
        self._updates.post(time.monotonic_ns(), table)


@contextlib.contextmanager
def ends() -> Iterator[dict[str, End]]:
    """Three ends; EnvironmentProblem where they cannot be made."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(End(host_ipv4(number), host_ipv6(number), MTU))
            for number, name in enumerate("ABC", 1)
        }


@contextlib.contextmanager
def paths(of: dict[str, End], core: int | None) -> Iterator[Paths]:
    """The ends in a row behind a channel that has `core` to itself."""
    net = make_network(_PLACES, _PLACES, _FIRST_PORT + 8, slots=SLOTS)
    net.state[QUIET] = 1
    channel = Channel(net, core=core, ip_ports_from=_FIRST_PORT)
    with channel:
        for place, end in enumerate(of.values()):
            channel.add_port(_FIRST_PORT + 1 + place, place, place)
            channel.attach_ip(_FIRST_PORT + 1 + place, end.descriptor)
        try:
            yield Paths(of, channel)
        finally:
            for place in range(_PLACES):
                channel.detach_ip(_FIRST_PORT + 1 + place)


@packet_kernel
def _forward(control: Any, descriptors: Any, frame: Any, parts: Any, poll: Any, scratch: Any) -> None:
    """Frames from each of two descriptors to the other until control[0]."""
    while load_acquire(control, 0) == 0:
        moved = 0
        for side in range(2):
            for _ in range(16):
                count = ip_device.read(descriptors[side], frame.ctypes.data, frame.shape[0])
                if count <= 0:
                    break
                moved += 1
                parts[0] = frame.ctypes.data
                parts[1] = min(count, HEADER_ROOM)
                parts[2] = frame.ctypes.data + parts[1]
                parts[3] = count - parts[1]
                ip_device.write_two(descriptors[1 - side], parts)
        if moved == 0:
            wait_ready(poll, 2, 5_000_000, scratch)


@contextlib.contextmanager
def forwarder(one: End, other: End, core: int | None) -> Iterator[None]:
    """Two ends, and between them nothing but reading and writing."""
    control = np.zeros(1, np.int64)
    descriptors = np.array([one.descriptor, other.descriptor], np.int64)
    poll = descriptors | POLL_READABLE
    frame, parts, scratch = np.zeros(_LARGEST_FRAME, np.uint8), np.zeros(4, np.int64), np.zeros(8, np.int64)
    for descriptor in descriptors:
        os.set_blocking(int(descriptor), False)

    def carry() -> None:
        realtime.prefer_thread(realtime.priority_permitted(), core)
        _forward(control, descriptors, frame, parts, poll, scratch)

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield
    finally:
        store_release(control, 0, 1)
        thread.join()
