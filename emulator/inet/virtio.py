"""The virtio header before every frame of a TUN device with IFF_VNET_HDR: ten octets, the machine's order.

Its layout and its values (struct virtio_net_hdr, VIRTIO 1.2 section 5.1.6), and what it says about checksums;
what it says about segments is in `emulator.inet.segments`.
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

from typing import Final

from emulator.inet.checksum import sum_octets
from emulator.inet.octets import Octets, native16, octet, put_big16, put_native16, put_octet
from emulator.jit import inline_kernel, kernel

VIRTIO_BYTES: Final = 10

NEEDS_CSUM: Final = 1

GSO_NONE: Final = 0
GSO_TCPV4: Final = 1
GSO_TCPV6: Final = 4
GSO_UDP_L4: Final = 5
#: added to the TCP types: the first segment says that the sender has slowed down (CWR)
GSO_ECN: Final = 0x80


@inline_kernel
def flags(frame: Octets, at: int) -> int:
    """Flags, of which NEEDS_CSUM is the one that counts here."""
    return octet(frame, at - 10)


@inline_kernel
def gso_type(frame: Octets, at: int) -> int:
    """One of the GSO types, perhaps with GSO_ECN."""
    return octet(frame, at - 9)


@inline_kernel
def gso_size(frame: Octets, at: int) -> int:
    """Payload of every segment but the last, bytes."""
    return native16(frame, at - 6)


@inline_kernel
def csum_start(frame: Octets, at: int) -> int:
    """Where the checksum begins, bytes from the IP packet's first."""
    return native16(frame, at - 4)


@inline_kernel
def csum_offset(frame: Octets, at: int) -> int:
    """Where the checksum stands, bytes from csum_start."""
    return native16(frame, at - 2)


@inline_kernel
def put(
    out: Octets, to: int, flag_bits: int, gso: int, header_bytes: int, size: int, start: int, offset: int
) -> None:
    """Write a virtio header before the IP packet at `to`."""
    put_octet(out, to - 10, flag_bits)
    put_octet(out, to - 9, gso)
    put_native16(out, to - 8, header_bytes)
    put_native16(out, to - 6, size)
    put_native16(out, to - 4, start)
    put_native16(out, to - 2, offset)


@kernel
def finish_checksum(frame: Octets, at: int, end: int) -> None:
    """Complete the checksum that the kernel has left to the device, and say so in the virtio header.

    For one packet in [at, end) that has passed `split`, not for a super-segment (its segments have a checksum
    each: `write_segment`). The field holds the sum of the pseudo header; a zero is written as 0xffff,
    which is the same number and in UDP does not mean "none" (RFC 768).
    """
    if flags(frame, at) & NEEDS_CSUM == 0:
        return
    start = at + csum_start(frame, at)
    checksum = 0xFFFF - sum_octets(frame, start, end)
    put_big16(frame, start + csum_offset(frame, at), checksum if checksum != 0 else 0xFFFF)
    put(frame, at, 0, GSO_NONE, 0, 0, 0, 0)
