"""The IP header of a packet, versions 4 and 6: what it says, whether that can be true, and the hop limit.

A packet that a router would not forward (RFC 1812 section 5.2.2) has a fault here. What is behind the IP
header is looked at no further than to tell whether it is an ICMP error.
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

from typing import Final, NamedTuple

from emulator.inet.checksum import sum_words, updated
from emulator.inet.octets import Octets, big16, octet, put_big16, put_octet
from emulator.jit import inline_kernel, kernel

#: faults of a frame; FAULTS has their names
SOUND: Final = 0
TRUNCATED: Final = 1
NOT_IP: Final = 2
BAD_LENGTH: Final = 3
BAD_CHECKSUM: Final = 4
BAD_EXTENSIONS: Final = 5
BAD_OFFLOAD: Final = 6
FAULTS: Final = (
    "sound",
    "ends within its headers",
    "is neither IPv4 nor IPv6",
    "states a length that is not its own",
    "has a wrong header checksum",
    "has extension headers that cannot be followed",
    "has a virtio header that does not fit it",
)

#: what part of a datagram a packet is
WHOLE: Final = 0
FIRST_FRAGMENT: Final = 1
LATER_FRAGMENT: Final = 2

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
ICMPV6: Final = 58

IPV4_BYTES: Final = 20
IPV6_BYTES: Final = 40

_HOP_BY_HOP: Final = 0
_ROUTING: Final = 43
_FRAGMENT: Final = 44
_DESTINATION: Final = 60
#: Each of the four at most once, destination options twice (RFC 8200 section 4.1); some to spare, but no
#: chain of thousands.
_MOST_EXTENSIONS: Final = 8


class IpPacket(NamedTuple):
    """What the IP header says. When `fault` is not SOUND, the other fields say nothing."""

    fault: int
    version: int
    #: of the whole IP packet, bytes
    length: int
    #: what the IP header with its options or extension headers takes, bytes; there the transport begins
    transport: int
    #: of the transport (IANA protocol number)
    protocol: int
    #: time to live, hop limit
    hop_limit: int
    #: 0..3, 3 highest priority: the two top bits of the DSCP field (RFC 2474), its class selector's
    traffic_class: int
    #: WHOLE, FIRST_FRAGMENT or LATER_FRAGMENT
    fragment: int
    #: 1: no router may fragment it (always so in IPv6)
    dont_fragment: int
    #: 1: an ICMP error or redirect, about which no error may be sent
    icmp_error: int


@inline_kernel
def _faulty(fault: int) -> IpPacket:
    return IpPacket(fault, 0, 0, 0, 0, 0, 0, 0, 0, 0)


@kernel
def parse(frame: Octets, at: int, end: int) -> IpPacket:
    """What the header of the IP packet in [at, end) of a frame says; its `fault` when it cannot be true.

    The packet fills the frame to its end, as it does on a TUN device, which never pads.
    Source: RFC 791 section 3.1, RFC 8200 sections 3 and 4, RFC 1812 section 5.2.2.
    """
    if end - at < 1:
        return _faulty(TRUNCATED)
    version = octet(frame, at) >> 4
    if version == 4:
        return _parse_v4(frame, at, end)
    if version == 6:
        return _parse_v6(frame, at, end)
    return _faulty(NOT_IP)


@inline_kernel
def _parse_v4(frame: Octets, at: int, end: int) -> IpPacket:
    length = end - at
    if length < IPV4_BYTES:
        return _faulty(TRUNCATED)
    header = (octet(frame, at) & 0xF) * 4
    if header < IPV4_BYTES:
        return _faulty(BAD_LENGTH)
    if header > length:
        return _faulty(TRUNCATED)
    if big16(frame, at + 2) != length:
        return _faulty(BAD_LENGTH)
    if sum_words(frame, at, header) != 0xFFFF:
        return _faulty(BAD_CHECKSUM)
    flags = big16(frame, at + 6)
    if flags & 0x1FFF:
        fragment = LATER_FRAGMENT
    elif flags & 0x2000:
        fragment = FIRST_FRAGMENT
    else:
        fragment = WHOLE
    protocol = octet(frame, at + 9)
    icmp_error = 0
    if protocol == ICMP and fragment != LATER_FRAGMENT:
        # Without a type it is taken for an error: nothing is sent about it.
        icmp_error = 1 if header == length else _is_error_v4(octet(frame, at + header))
    return IpPacket(
        SOUND,
        4,
        length,
        header,
        protocol,
        octet(frame, at + 8),
        octet(frame, at + 1) >> 6,
        fragment,
        (flags >> 14) & 1,
        icmp_error,
    )


@inline_kernel
def _is_error_v4(icmp_type: int) -> int:
    """Unreachable, source quench, redirect, time exceeded, parameter problem (RFC 1122 section 3.2.2)."""
    if icmp_type in (3, 4, 5, 11, 12):
        return 1
    return 0


@inline_kernel
def _parse_v6(frame: Octets, at: int, end: int) -> IpPacket:
    length = end - at
    if length < IPV6_BYTES:
        return _faulty(TRUNCATED)
    if IPV6_BYTES + big16(frame, at + 4) != length:
        return _faulty(BAD_LENGTH)
    protocol = octet(frame, at + 6)
    transport = IPV6_BYTES
    fragment = WHOLE
    extensions = 0
    while fragment != LATER_FRAGMENT and protocol in (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION):
        extensions += 1
        if extensions > _MOST_EXTENSIONS:
            return _faulty(BAD_EXTENSIONS)
        if transport + 8 > length:
            return _faulty(TRUNCATED)
        step = 8
        if protocol == _FRAGMENT:
            placed = big16(frame, at + transport + 2)
            if placed >> 3:
                fragment = LATER_FRAGMENT
            elif placed & 1:
                fragment = FIRST_FRAGMENT
        else:
            step = 8 * (octet(frame, at + transport + 1) + 1)
        protocol = octet(frame, at + transport)
        transport += step
        if transport > length:
            return _faulty(TRUNCATED)
    icmp_error = 0
    if protocol == ICMPV6 and fragment != LATER_FRAGMENT:
        # Errors have types below 128; 137 is the redirect (RFC 4443 sections 2.1 and 2.4 e).
        icmp_type = octet(frame, at + transport) if transport < length else 0
        icmp_error = 1 if icmp_type < 128 or icmp_type == 137 else 0
    return IpPacket(
        SOUND,
        6,
        length,
        transport,
        protocol,
        octet(frame, at + 7),
        (octet(frame, at) & 0xF) >> 2,
        fragment,
        1,
        icmp_error,
    )


@inline_kernel
def stated_length(frame: Octets, at: int) -> int:
    """The length that a sound IP packet states of itself, bytes."""
    if octet(frame, at) >> 4 == 4:
        return big16(frame, at + 2)
    return IPV6_BYTES + big16(frame, at + 4)


@inline_kernel
def put_hop_limit(frame: Octets, at: int, hop_limit: int) -> None:
    """Write time to live or hop limit, 0..255, into a sound IP packet; IPv4's checksum follows (RFC 1624)."""
    if octet(frame, at) >> 4 == 6:
        put_octet(frame, at + 7, hop_limit)
        return
    old = big16(frame, at + 8)
    new = (hop_limit << 8) | (old & 0xFF)
    put_big16(frame, at + 8, new)
    put_big16(frame, at + 10, updated(big16(frame, at + 10), old, new))


@kernel
def set_hop_limit(frame: Octets, at: int, hop_limit: int) -> None:
    """As `put_hop_limit`, called instead of inlined."""
    put_hop_limit(frame, at, hop_limit)
