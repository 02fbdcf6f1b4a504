"""What a place of the network sends of its own: ICMP errors about packets, and answers to echo requests.

Each function writes one whole packet, checksums complete, behind an empty virtio header, or nothing where a
router must be silent. How often is the business of `emulator.inet.rate_limit`, and when of the caller.

Source: RFC 792, RFC 1122 section 3.2.2, RFC 1191, RFC 1812 sections 4.3.2 and 5.2.7 (ICMP);
RFC 4443 (ICMPv6).
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

from typing import Final

from emulator.inet import virtio
from emulator.inet.addresses import (
    FOREIGN,
    HOST,
    LINK_LOCAL,
    MULTICAST,
    PLACE,
    destination,
    put_place_v4,
    put_place_v6,
    source,
)
from emulator.inet.checksum import add, sum_octets, updated
from emulator.inet.headers import (
    ICMP,
    ICMPV6,
    IPV4_BYTES,
    IPV6_BYTES,
    LATER_FRAGMENT,
    SOUND,
    WHOLE,
    IpPacket,
    parse,
    stated_length,
)
from emulator.inet.octets import Octets, big16, copy, octet, put_big16, put_big32, put_octet
from emulator.inet.segments import write_segment
from emulator.jit import inline_kernel, kernel

#: what an error says
TIME_EXCEEDED: Final = 0
#: there is no way to the destination now
NO_ROUTE: Final = 1
#: the destination is known, but cannot be reached now
HOST_UNREACHABLE: Final = 2
#: there is no such host any more, or never was
HOST_UNKNOWN: Final = 3
PROHIBITED: Final = 4
#: nothing listens there: places have no transport
PORT_UNREACHABLE: Final = 5
#: fragmentation needed and not allowed; comes with the MTU
PACKET_TOO_BIG: Final = 6
#: how many there are
ERRORS: Final = 7

#: An error has at most so many bytes (RFC 1812 section 4.3.2.3; RFC 4443 section 2.4 c: IPv6's least MTU).
MOST_BYTES_V4: Final = 576
MOST_BYTES_V6: Final = 1280
#: room that an error takes at most, the virtio header and the quoted headers included, bytes
ERROR_ROOM: Final = virtio.VIRTIO_BYTES + MOST_BYTES_V6

_ICMP_BYTES: Final = 8
#: of what places send (RFC 1700)
_HOP_LIMIT: Final = 64
#: precedence "internetwork control" for errors (RFC 1812 section 4.3.2.5); the same class selector in IPv6
_CONTROL: Final = 0xC0
_DONT_FRAGMENT: Final = 0x4000
#: Links with a smaller MTU carry no IP of that version (RFC 791 section 3.2, RFC 8200 section 5), and no
#: receiver believes in one.
_LEAST_MTU_V4: Final = 68
_LEAST_MTU_V6: Final = 1280

_ECHO_REQUEST_V4: Final = 8
_ECHO_REPLY_V4: Final = 0
_ECHO_REQUEST_V6: Final = 128
_ECHO_REPLY_V6: Final = 129


@inline_kernel
def _type_and_code_v4(error: int) -> int:
    """Type * 256 + code (RFC 792, RFC 1812 section 5.2.7.1)."""
    if error == TIME_EXCEEDED:
        return 0x0B00
    if error == NO_ROUTE:
        return 0x0300
    if error == HOST_UNREACHABLE:
        return 0x0301
    if error == HOST_UNKNOWN:
        return 0x0307
    if error == PROHIBITED:
        return 0x030D
    if error == PORT_UNREACHABLE:
        return 0x0303
    return 0x0304


@inline_kernel
def _type_and_code_v6(error: int) -> int:
    """Type * 256 + code (RFC 4443 section 3)."""
    if error == TIME_EXCEEDED:
        return 0x0300
    if error == NO_ROUTE:
        return 0x0100
    if error in (HOST_UNREACHABLE, HOST_UNKNOWN):
        return 0x0103
    if error == PROHIBITED:
        return 0x0101
    if error == PORT_UNREACHABLE:
        return 0x0104
    return 0x0200


@inline_kernel
def _may_be_reported(frame: Octets, at: int, packet: IpPacket) -> bool:
    if packet.fault != SOUND or packet.icmp_error or packet.fragment == LATER_FRAGMENT:
        return False
    if destination(frame, at)[0] == MULTICAST:
        return False
    sender = source(frame, at)[0]
    return sender in (HOST, PLACE, LINK_LOCAL, FOREIGN)


@kernel
def write_error(
    frame: Octets,
    at: int,
    k: int,
    hop_limit: int,
    error: int,
    mtu: int,
    place: int,
    out: Octets,
    to: int,
) -> int:
    """Write the ICMP or ICMPv6 error that a place sends to the sender of a packet.

    Parameters:
        frame, at: the frame and where its IP packet begins; it has passed `split`
        k: which packet of the frame, 0 <= k < packets
        hop_limit: what the packet carried when it came to the place, 0..255 (the quote shows it)
        error: TIME_EXCEEDED, NO_ROUTE, HOST_UNREACHABLE, HOST_UNKNOWN, PROHIBITED, PORT_UNREACHABLE or
            PACKET_TOO_BIG
        mtu: of the link that the packet did not fit, bytes (PACKET_TOO_BIG only)
        place: who sends it, 0 <= place < PLACES
        out, to: where its IP header goes; the virtio header goes into the ten octets before, and there is
            room for ERROR_ROOM octets in all

    Result: length of the error, bytes, with the virtio header not counted; 0: none may be sent, since the
    packet is an ICMP error or redirect itself, a later fragment, for a group, not from a single host,
    or too big where it may be fragmented.
    """
    packet = parse(frame, at, at + stated_length(frame, at))
    if not _may_be_reported(frame, at, packet):
        return 0
    if error == PACKET_TOO_BIG and not packet.dont_fragment:
        return 0
    virtio.put(out, to, 0, virtio.GSO_NONE, 0, 0, 0, 0)
    if packet.version == 4:
        message = to + IPV4_BYTES
        room = MOST_BYTES_V4 - IPV4_BYTES - _ICMP_BYTES
        quoted = write_segment(frame, at, k, hop_limit, out, message + _ICMP_BYTES, room)
        put_big16(out, message, _type_and_code_v4(error))
        # the MTU takes the lower half of the unused word (RFC 1191 section 4)
        put_big32(out, message + 4, max(_LEAST_MTU_V4, min(mtu, 0xFFFF)) if error == PACKET_TOO_BIG else 0)
        length = IPV4_BYTES + _ICMP_BYTES + quoted
        _put_header_v4(out, to, length, _CONTROL)
        put_place_v4(out, to + 12, place)
        copy(frame, at + 12, out, to + 16, 4)
        _finish_v4(out, to, length)
        return length
    message = to + IPV6_BYTES
    room = MOST_BYTES_V6 - IPV6_BYTES - _ICMP_BYTES
    quoted = write_segment(frame, at, k, hop_limit, out, message + _ICMP_BYTES, room)
    put_big16(out, message, _type_and_code_v6(error))
    put_big32(out, message + 4, max(_LEAST_MTU_V6, mtu) if error == PACKET_TOO_BIG else 0)
    length = IPV6_BYTES + _ICMP_BYTES + quoted
    _put_header_v6(out, to, length, _CONTROL)
    put_place_v6(out, to + 8, place)
    copy(frame, at + 8, out, to + 24, 16)
    put_big16(out, message + 2, 0)
    put_big16(out, message + 2, 0xFFFF - _message_sum_v6(out, to, message, to + length))
    return length


@kernel
def asks_for_echo(frame: Octets, at: int) -> bool:
    """Whether the IP packet at `at`, which has passed `split`, is an echo request of ICMP or ICMPv6."""
    packet = parse(frame, at, at + stated_length(frame, at))
    if packet.fragment != WHOLE or packet.length - packet.transport < _ICMP_BYTES:
        return False
    if packet.version == 4:
        return packet.protocol == ICMP and octet(frame, at + packet.transport) == _ECHO_REQUEST_V4
    return packet.protocol == ICMPV6 and octet(frame, at + packet.transport) == _ECHO_REQUEST_V6


@kernel
def write_echo_reply(frame: Octets, at: int, out: Octets, to: int) -> int:
    """Write the answer of a place to an echo request that has come to it, or to a host it answers for.

    Parameters:
        frame, at: the frame and where its IP packet begins; it has passed `split`
        out, to: where the IP header of the answer goes; the virtio header goes into the ten octets before

    Result: length of the answer, bytes, with the virtio header not counted; 0: there is none, since the
    packet is no sound echo request for a place or host, a fragment of one, not from a single host, or longer
    than the room. Options and extension headers are not repeated.
    """
    packet = parse(frame, at, at + stated_length(frame, at))
    asked = _ECHO_REQUEST_V4 if packet.version == 4 else _ECHO_REQUEST_V6
    answer = _ECHO_REPLY_V4 if packet.version == 4 else _ECHO_REPLY_V6
    header = IPV4_BYTES if packet.version == 4 else IPV6_BYTES
    size = packet.length - packet.transport
    if packet.fragment != WHOLE or size < _ICMP_BYTES or to + header + size > len(out):
        return 0
    if packet.protocol != (ICMP if packet.version == 4 else ICMPV6):
        return 0
    start = at + packet.transport
    if octet(frame, start) != asked or octet(frame, start + 1) != 0:
        return 0
    kind = destination(frame, at)[0]
    if (kind != PLACE and kind != HOST) or not _may_be_reported(frame, at, packet):
        return 0
    end = start + size
    partial = virtio.flags(frame, at) & virtio.NEEDS_CSUM
    if partial:
        if virtio.csum_start(frame, at) != packet.transport or virtio.csum_offset(frame, at) != 2:
            return 0
        # the field holds the pseudo header's sum, and the checksum is the sender's by definition
        checksum = 0xFFFF - sum_octets(frame, start, end)
    else:
        checksum = big16(frame, start + 2)
        total = sum_octets(frame, start, end)
        if packet.version == 6:
            total = _message_sum_v6(frame, at, start, end)
        if total != 0xFFFF:
            return 0
    virtio.put(out, to, 0, virtio.GSO_NONE, 0, 0, 0, 0)
    message = to + header
    length = header + size
    copy(frame, start, out, message, size)
    put_octet(out, message, answer)
    # type changes, and addresses change places, which the sum does not feel
    put_big16(out, message + 2, updated(checksum, asked << 8, answer << 8))
    if packet.version == 4:
        _put_header_v4(out, to, length, octet(frame, at + 1))
        copy(frame, at + 16, out, to + 12, 4)
        copy(frame, at + 12, out, to + 16, 4)
        put_big16(out, to + 10, 0xFFFF - sum_octets(out, to, to + IPV4_BYTES))
    else:
        _put_header_v6(out, to, length, (big16(frame, at) >> 4) & 0xFF)
        copy(frame, at + 24, out, to + 8, 16)
        copy(frame, at + 8, out, to + 24, 16)
    return length


@inline_kernel
def _put_header_v4(out: Octets, to: int, length: int, service: int) -> None:
    """An IPv4 header without addresses and checksum; not to be fragmented, so it needs no ID (RFC 6864)."""
    put_octet(out, to, 0x45)
    put_octet(out, to + 1, service)
    put_big16(out, to + 2, length)
    put_big16(out, to + 4, 0)
    put_big16(out, to + 6, _DONT_FRAGMENT)
    put_octet(out, to + 8, _HOP_LIMIT)
    put_octet(out, to + 9, ICMP)
    put_big16(out, to + 10, 0)


@inline_kernel
def _put_header_v6(out: Octets, to: int, length: int, traffic_class: int) -> None:
    """An IPv6 header without addresses."""
    put_big32(out, to, 0x60000000 | (traffic_class << 20))
    put_big16(out, to + 4, length - IPV6_BYTES)
    put_octet(out, to + 6, ICMPV6)
    put_octet(out, to + 7, _HOP_LIMIT)


@inline_kernel
def _finish_v4(out: Octets, to: int, length: int) -> None:
    message = to + IPV4_BYTES
    put_big16(out, to + 10, 0xFFFF - sum_octets(out, to, message))
    put_big16(out, message + 2, 0)
    put_big16(out, message + 2, 0xFFFF - sum_octets(out, message, to + length))


@inline_kernel
def _message_sum_v6(octets: Octets, at: int, start: int, end: int) -> int:
    """Sum of an ICMPv6 message [start, end) and its pseudo header (RFC 8200 section 8.1)."""
    addresses = sum_octets(octets, at + 8, at + IPV6_BYTES)
    size = end - start
    total = add(sum_octets(octets, start, end), addresses)
    return add(total, add(size & 0xFFFF, (size >> 16) + ICMPV6))
