"""TUN devices: making one that hands over whole segments, and telling whether a descriptor is one.

A frame read from or written to it is a struct virtio_net_hdr of 10 bytes and an IP packet, perhaps a segment
of up to 64 kB that a network card would cut into packets of the MTU (Linux
Documentation/networking/tuntap.rst; virtio 1.2, section 5.1.6). Addresses, routes and MTU are `interface`'s.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from typing import Final

DEVICE: Final = "/dev/net/tun"
#: length of struct virtio_net_hdr without num_buffers
HEADER_BYTES: Final = 10

# linux/if_tun.h; the numbers of the ioctls are those of x86, ARM and RISC-V
_TUNSETIFF: Final = 0x400454CA
_TUNSETOFFLOAD: Final = 0x400454D0
_TUNGETIFF: Final = 0x800454D2
_TUNGETVNETHDRSZ: Final = 0x800454D7
_TUNSETVNETHDRSZ: Final = 0x400454D8
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000
_IFF_VNET_HDR: Final = 0x4000
_KIND: Final = _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR
_CSUM, _TSO4, _TSO6, _USO4, _USO6 = 0x01, 0x02, 0x04, 0x20, 0x40
#: what is asked for, best first: UDP segmentation came with Linux 6.2
_OFFLOADS: Final = (
    _CSUM | _TSO4 | _TSO6 | _USO4 | _USO6,
    _CSUM | _TSO4 | _TSO6,
    _CSUM,
    0,
)
_DEVICE_NUMBER: Final = (10, 200)  # misc major, TUN_MINOR
_IFREQ: Final = struct.Struct("16sH22x")


class NotATunError(ValueError):
    """The descriptor is not that of a TUN device as `create` makes them."""


def create(name: str) -> int:
    """Make a TUN interface in the network namespace of this process.

    Parameters
    ----------
    name : its name, 1 to 15 characters

    Returns the descriptor, non-blocking; the interface lives as long as it is open somewhere. OSError when
    there is no such device on this machine, or it is not permitted, or the name is taken.
    """
    if not 0 < len(name.encode()) < 16:
        raise ValueError(f"interface name {name!r}: must have 1 to 15 characters")
    fd = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, _IFREQ.pack(name.encode(), _KIND))
        fcntl.ioctl(fd, _TUNSETVNETHDRSZ, struct.pack("i", HEADER_BYTES))
        _offload(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _offload(fd: int) -> None:
    """Let the kernel leave checksums and segmentation to us, as far as it knows how to."""
    for offloads in _OFFLOADS:
        try:
            fcntl.ioctl(fd, _TUNSETOFFLOAD, offloads)
        except OSError:
            continue
        return


def check(fd: int) -> str:
    """The interface's name; NotATunError when the descriptor is not that of a TUN as `create` makes them."""
    status = os.fstat(fd)
    number = (os.major(status.st_rdev), os.minor(status.st_rdev))
    # First, so that no other driver gets an ioctl that means something else to it.
    if not stat.S_ISCHR(status.st_mode) or number != _DEVICE_NUMBER:
        raise NotATunError("the descriptor is not one of a TUN device")
    try:
        name, flags = _IFREQ.unpack(fcntl.ioctl(fd, _TUNGETIFF, bytes(_IFREQ.size)))
        (header,) = struct.unpack("i", fcntl.ioctl(fd, _TUNGETVNETHDRSZ, bytes(4)))
    except OSError:
        raise NotATunError("the TUN descriptor belongs to no interface") from None
    if flags & _KIND != _KIND or header != HEADER_BYTES:
        raise NotATunError(
            f"the TUN has flags {flags:#x} and a header of {header} bytes, but must have {_KIND:#x} and "
            f"{HEADER_BYTES}"
        )
    return str(name.rstrip(b"\0").decode())
