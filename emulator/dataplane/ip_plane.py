"""What the loop has for its IP interfaces: arrays, the words that count, and how interfaces come and go.

An interface is attached and detached by ordinary threads while the loop runs. They write a request and
publish its number; the loop takes it at its next turn and publishes that it has. Neither waits for a lock of
the other's.
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

import os
import threading
import time
from typing import Any, Final, NamedTuple

import numpy as np

from emulator.dataplane import ip_device
from emulator.dataplane.histogram import make_histogram
from emulator.dataplane.ip_frames import LARGE_OCTETS, make_pool
from emulator.inet.rate_limit import make_bucket
from emulator.inet.segments import HEADER_ROOM
from emulator.jit import inline_packet_kernel, load_acquire, packet_kernel, store_release
from emulator.layout import HEADER_WORDS, Network

#: no port is an IP interface
NO_PORT: Final = 1 << 62

# words of `words`
FIRST_PORT: Final = 0  # ports from this number on are IP interfaces
ATTACHED: Final = 1  # entries of `poll` behind the first: 1 since the first interface came
SPARE: Final = 2  # frame that the next read goes to
WATCHER: Final = 3  # descriptor on which interfaces are watched, -1: none yet
WAITING_FIRST: Final = 4  # of `waiting`: next to enter the network
WAITING_LAST: Final = 5
REPORTS: Final = 6  # errors that places have sent
ANSWERS: Final = 7  # echo requests that places have answered
UNSENT: Final = 8  # reports and answers for which there was no room
REQUESTED: Final = 16
TAKEN: Final = 24
_WORDS: Final = 32

# columns of `interfaces`, whose row n is port FIRST_PORT + n
DESCRIPTOR: Final = 0  # -1: none
DEAD: Final = 1  # times its device was found gone
FRAMES_READ: Final = 2
FRAMES_WRITTEN: Final = 3
PACKETS_READ: Final = 4
PACKETS_WRITTEN: Final = 5
HELD: Final = 6  # not the loop's: what was last asked for
_COLUMNS: Final = 8

#: requests that wait for the loop at most
_REQUESTS: Final = 64
#: frames that wait to enter the network, at most; of them, read ones leave room for the messages of places
_WAITING: Final = 1024
MOST_READ: Final = 768
_EVENTS: Final = 64
#: how long a request waits for the loop, which looks every few ms
_PATIENCE_S: Final = 5.0


class IpPlane(NamedTuple):
    """What the loop has for its IP interfaces."""

    #: struct pollfd as int64 words: the first is ZeroMQ's descriptor, then what tells of the interfaces
    poll: Any  # int64 [2], of which 1 + words[ATTACHED] are in use
    words: Any  # int64: FIRST_PORT, ATTACHED, ...
    interfaces: Any  # int64 [interfaces, _COLUMNS]
    requests: Any  # int64 [_REQUESTS, 2]: interface, descriptor (-1: detach)
    events: Any  # uint32: struct epoll_event
    octets: Any  # uint8: of all frames (emulator.dataplane.ip_frames)
    frames: Any  # FRAME [frames]
    free: Any  # int64 [SIZES]: first free frame of each size
    slot_frame: Any  # int64 [slots]: frame of the packet in each slot of the network, -1: none
    slot_segment: Any  # int64 [slots]: which packet of the frame
    waiting: Any  # int64 [_WAITING]: frames that were read, or written by places, and enter the network next
    bucket: Any  # emulator.inet.rate_limit: of all errors together
    out: Any  # uint8: where headers, and damaged packets, are written
    parts: Any  # int64 [4]: struct iovec [2]
    header: Any  # int64 [HEADER_WORDS]: first octets of the packet that enters
    header_octets: Any  # uint8: the same memory
    lateness: Any  # histogram: actual minus due
    scratch: Any  # int64 [8]


def make_ip_plane(
    slots: int,
    first_port: int = NO_PORT,
    *,
    interfaces: int = 4096,
    small_frames: int | None = None,
    middle_frames: int = 512,
    large_frames: int = 512,
    lateness: Any = None,
) -> IpPlane:
    """Room for the frames of a network of `slots` packets; ports from `first_port` on are interfaces.

    `interfaces`: how many port numbers that is. `small_frames` (2 kB, by default one a slot), `middle_frames`
    (16 kB) and `large_frames` (64 kB) bound the pool: what finds it empty is dropped as NO_BUFFER.
    `lateness`: a histogram to record in. Without `first_port` there is no room, and nothing can be attached.
    """
    if first_port >= NO_PORT:
        interfaces = small_frames = middle_frames = 0
        large_frames = 1
    if small_frames is None:
        small_frames = slots
    if large_frames < 1:
        raise ValueError(f"large_frames is {large_frames}, allowed: at least 1")
    octets, frames, free = make_pool(small_frames, middle_frames, large_frames)
    words = np.zeros(_WORDS, np.int64)
    words[FIRST_PORT] = first_port
    words[WATCHER] = -1
    words[SPARE] = free[-1]
    free[-1] = frames["next"][words[SPARE]]
    frames["users"][words[SPARE]] = 1
    table = np.zeros((max(1, interfaces), _COLUMNS), np.int64)
    table[:, [DESCRIPTOR, HELD]] = -1
    header = np.zeros(HEADER_WORDS, np.int64)
    return IpPlane(
        poll=np.zeros(2, np.int64),
        words=words,
        interfaces=table[:interfaces],
        requests=np.zeros((_REQUESTS, 2), np.int64),
        events=np.zeros(_EVENTS * ip_device.EVENT_WORDS, np.uint32),
        octets=octets,
        frames=frames,
        free=free,
        slot_frame=np.full(slots, -1, np.int64),
        slot_segment=np.zeros(slots, np.int64),
        waiting=np.zeros(_WAITING, np.int64),
        bucket=make_bucket(),
        out=np.zeros(HEADER_ROOM + LARGE_OCTETS, np.uint8),
        parts=np.zeros(4, np.int64),
        header=header,
        header_octets=header.view(np.uint8),
        lateness=make_histogram() if lateness is None else lateness,
        scratch=np.zeros(8, np.int64),
    )


@inline_packet_kernel
def is_asked(ip: Any) -> bool:
    """Whether there are requests that the loop has not taken yet."""
    return load_acquire(ip.words, REQUESTED) != ip.words[TAKEN]


@packet_kernel
def lose_interface(ip: Any, interface: int) -> None:
    """The device is gone: it is watched no more, and packets for it end."""
    ip_device.watch_no_more(ip.words[WATCHER], ip.interfaces[interface, DESCRIPTOR], ip.events)
    ip.interfaces[interface, DESCRIPTOR] = -1
    ip.interfaces[interface, DEAD] += 1


@packet_kernel
def take_requests(ip: Any) -> None:
    """Attach and detach what other threads have asked for."""
    taken = ip.words[TAKEN]
    last = load_acquire(ip.words, REQUESTED)
    while taken != last:
        interface = ip.requests[taken % _REQUESTS, 0]
        descriptor = ip.requests[taken % _REQUESTS, 1]
        if ip.interfaces[interface, DESCRIPTOR] >= 0:
            ip_device.watch_no_more(ip.words[WATCHER], ip.interfaces[interface, DESCRIPTOR], ip.events)
        ip.interfaces[interface, DESCRIPTOR] = -1
        if descriptor >= 0:
            if ip_device.watch(ip.words[WATCHER], descriptor, interface, ip.events) == 0:
                ip.interfaces[interface, DESCRIPTOR] = descriptor
            else:
                ip.interfaces[interface, DEAD] += 1
            ip.poll[1] = ip.words[WATCHER] | (ip_device.POLLIN << 32)
            ip.words[ATTACHED] = 1
        taken += 1
    store_release(ip.words, TAKEN, taken)


#: requests are written by one thread at a time; the loop has no part in this
_asking: Final = threading.Lock()


def attach(ip: IpPlane, net: Network, port: int, descriptor: int) -> None:
    """Have the loop carry what comes from a TUN device, and give it what is for `port`.

    To be called from any thread, while the loop runs or before. The descriptor is non-blocking, has a virtio
    header of 10 octets, and stays the caller's, who keeps it open until `detach` has returned. Raises
    ValueError for a port that can have no interface, has no place, or has one already; OSError where there
    are no such devices.
    """
    interface = _interface(ip, port)
    if not ip_device.LINUX:
        raise OSError("IP interfaces need Linux")
    if port >= len(net.port_place) or net.port_place[port] < 0:
        raise ValueError(f"port {port} has no place in the network, add it first")
    if descriptor < 0:
        raise ValueError(f"descriptor is {descriptor}, allowed: one that is open")
    os.set_blocking(descriptor, False)
    with _asking:
        if ip.interfaces[interface, HELD] >= 0:
            raise ValueError(f"port {port} has an interface already, detach it first")
        if ip.words[WATCHER] < 0:
            ip.words[WATCHER] = ip_device.make_watcher()
        ip.interfaces[interface, HELD] = descriptor
        _ask(ip, interface, descriptor)


def detach(ip: IpPlane, port: int, patience_s: float = _PATIENCE_S) -> None:
    """Have the loop leave a port's device alone, and wait until it does; then its descriptor may be closed.

    Packets from it go on, packets for it end as PEER_GONE. A port without interface is left as it is. Raises
    ValueError for a port that can have none, TimeoutError when the loop does not run.
    """
    interface = _interface(ip, port)
    with _asking:
        if ip.interfaces[interface, HELD] < 0:
            return
        number = _ask(ip, interface, -1)
        ip.interfaces[interface, HELD] = -1
    _wait(ip, number, patience_s)


def close_ip_plane(ip: IpPlane) -> None:
    """Give back what the plane holds of the system, once the loop has ended; nothing is attached any more."""
    ip.interfaces[:, [DESCRIPTOR, HELD]] = -1
    if ip.words[WATCHER] >= 0:
        os.close(int(ip.words[WATCHER]))
        ip.words[WATCHER] = -1


def is_alive(ip: IpPlane, port: int) -> bool:
    """Whether the loop has a port's device: not before it has taken it, nor once the device is gone."""
    return bool(ip.interfaces[_interface(ip, port), DESCRIPTOR] >= 0)


def interface_counters(ip: IpPlane, port: int) -> dict[str, int]:
    """Frames and packets read from and written to a port's device, and how often one was found gone."""
    row = ip.interfaces[_interface(ip, port)]
    columns = {
        "frames_read": FRAMES_READ,
        "packets_read": PACKETS_READ,
        "frames_written": FRAMES_WRITTEN,
        "packets_written": PACKETS_WRITTEN,
        "gone": DEAD,
    }
    return {name: int(row[column]) for name, column in columns.items()}


def _interface(ip: IpPlane, port: int) -> int:
    first, count = int(ip.words[FIRST_PORT]), len(ip.interfaces)
    if count == 0:
        raise ValueError(f"port {port} cannot have an IP interface: no ports are set aside for them")
    if not first <= port < first + count:
        raise ValueError(f"port {port} cannot have an IP interface, allowed: {first} to {first + count - 1}")
    return port - first


def _ask(ip: IpPlane, interface: int, descriptor: int) -> int:
    """Write a request; its number."""
    number = int(ip.words[REQUESTED])
    _wait(ip, number - _REQUESTS + 1, _PATIENCE_S)
    ip.requests[number % _REQUESTS] = interface, descriptor
    store_release(ip.words, REQUESTED, number + 1)
    return number + 1


def _wait(ip: IpPlane, number: int, patience_s: float) -> None:
    """Until the loop has taken so many requests."""
    end = time.monotonic() + patience_s
    while load_acquire(ip.words, TAKEN) < number:
        if time.monotonic() > end:
            raise TimeoutError(
                f"the loop has not looked at its interfaces for {patience_s:g} s: does it run?"
            )
        time.sleep(0.0005)
