"""What compiled code asks of Linux for IP interfaces: read, write, and which descriptors have something.

System calls by libc's names, on addresses. Where the platform is not Linux none of them exists, no interface
can be attached, and what stands here for them is never called.
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

import ctypes
import errno
import platform
import sys
from typing import Any, Final

from numba import types

from emulator.dataplane import libzmq
from emulator.jit import inline_packet_kernel, packet_kernel

LINUX: Final = sys.platform.startswith("linux")

EAGAIN: Final = errno.EAGAIN
EINTR: Final = errno.EINTR
EINVAL: Final = errno.EINVAL
#: the interface is down, but there
EIO: Final = errno.EIO

POLLIN: Final = 1
_EPOLLIN: Final = 1
_EPOLL_CTL_ADD: Final = 1
_EPOLL_CTL_DEL: Final = 2
#: struct epoll_event is packed on x86-64 only (linux/eventpoll.h): words of 32 bits, and where `data` is
EVENT_WORDS: Final = 3 if platform.machine() in ("x86_64", "AMD64") else 4
_DATA: Final = EVENT_WORDS - 2

#: the loading of libc into the process is libzmq's business
LIBRARY: Final = libzmq.find_library()

_pointer = types.intp
_int = types.int32

if LINUX:
    _read: Any = types.ExternalFunction("read", types.intp(_int, _pointer, types.uintp))
    _writev: Any = types.ExternalFunction("writev", types.intp(_int, _pointer, _int))
    _epoll_wait: Any = types.ExternalFunction("epoll_wait", _int(_int, _pointer, _int, _int))
    _epoll_ctl: Any = types.ExternalFunction("epoll_ctl", _int(_int, _int, _int, _pointer))
    _errno_location: Any = types.ExternalFunction("__errno_location", _pointer())

    @packet_kernel
    def last_error() -> int:
        """The error number of the call of this thread that has just failed."""
        return int(libzmq.word_at(_errno_location())) & 0xFFFFFFFF

    @inline_packet_kernel
    def read(descriptor: int, address: int, count: int) -> int:
        """At most `count` octets to an address; how many, -1: `last_error` tells why not."""
        return _read(descriptor, address, count)

    @inline_packet_kernel
    def write_two(descriptor: int, parts: Any) -> int:
        """Write two stretches of memory as one; `parts`: address, octets, address, octets (int64 [4])."""
        return _writev(descriptor, parts.ctypes.data, 2)

    @inline_packet_kernel
    def which_are_ready(epoll: int, events: Any) -> int:
        """How many descriptors have something now, told in `events` (uint32 [n * EVENT_WORDS])."""
        return _epoll_wait(epoll, events.ctypes.data, events.shape[0] // EVENT_WORDS, 0)

    @packet_kernel
    def watch(epoll: int, descriptor: int, number: int, events: Any) -> int:
        """Have a descriptor watched, its events told as `number`; not zero: refused. `events` is scratch."""
        for word in range(EVENT_WORDS):
            events[word] = 0
        events[0] = _EPOLLIN
        events[_DATA] = number
        return _epoll_ctl(epoll, _EPOLL_CTL_ADD, descriptor, events.ctypes.data)

    @packet_kernel
    def watch_no_more(epoll: int, descriptor: int, events: Any) -> int:
        """Have a descriptor watched no more. `events` is scratch."""
        return _epoll_ctl(epoll, _EPOLL_CTL_DEL, descriptor, events.ctypes.data)

else:

    @packet_kernel
    def last_error() -> int:
        """As on Linux."""
        return EAGAIN

    @inline_packet_kernel
    def read(descriptor: int, address: int, count: int) -> int:
        """As on Linux."""
        return -1

    @inline_packet_kernel
    def write_two(descriptor: int, parts: Any) -> int:
        """As on Linux."""
        return -1

    @inline_packet_kernel
    def which_are_ready(epoll: int, events: Any) -> int:
        """As on Linux."""
        return 0

    @packet_kernel
    def watch(epoll: int, descriptor: int, number: int, events: Any) -> int:
        """As on Linux."""
        return -1

    @packet_kernel
    def watch_no_more(epoll: int, descriptor: int, events: Any) -> int:
        """As on Linux."""
        return -1


@inline_packet_kernel
def number_of_event(events: Any, index: int) -> int:
    """The number under which the descriptor of an event is watched."""
    return int(events[index * EVENT_WORDS + _DATA])


def make_watcher() -> int:
    """A descriptor on which others are watched (epoll(7)), to be closed by the caller."""
    libc: Any = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.epoll_create1(0o2000000))  # EPOLL_CLOEXEC
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "interfaces cannot be watched (epoll_create1)")
    return descriptor
