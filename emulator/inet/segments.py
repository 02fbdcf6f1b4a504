"""Super-segments: one frame of a TUN device that stands for many packets of TCP or UDP.

How many segments a frame has and how long each of them is; the header of any run of consecutive segments,
which with a slice of the frame's payload is a frame again; and one segment as a packet of its own. The
frame itself is never changed. Fragments are something else, and not made here.

Source: VIRTIO 1.2 section 5.1.6.2; what differs between segments: Linux
Documentation/networking/segmentation-offloads.rst, RFC 9293 (TCP),
RFC 3168 section 6.1.2 (CWR), RFC 6864 (ID).
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

from typing import Final, NamedTuple

from emulator.inet import virtio
from emulator.inet.checksum import add, subtract, sum_octets, updated
from emulator.inet.headers import (
    BAD_OFFLOAD,
    IPV6_BYTES,
    SOUND,
    TCP,
    UDP,
    WHOLE,
    IpPacket,
    put_hop_limit,
    stated_length,
)
from emulator.inet.octets import (
    Octets,
    big16,
    big32,
    copy,
    octet,
    put_big16,
    put_big32,
    put_octet,
)
from emulator.inet.virtio import GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VIRTIO_BYTES
from emulator.jit import inline_kernel, kernel

#: room that the header of a run of segments takes at most, the virtio header included, bytes
HEADER_ROOM: Final = 256

_TCP_CSUM_OFFSET: Final = 16
_UDP_CSUM_OFFSET: Final = 6
_UDP_BYTES: Final = 8
_TCP_BYTES: Final = 20
_FIN_PSH: Final = 0x09
_CWR: Final = 0x80


class Segments(NamedTuple):
    """How a frame divides into packets. When `fault` is not SOUND, the other fields say nothing."""

    fault: int
    #: packets in the frame, 1 or more
    packets: int
    #: what every packet repeats, IP and transport header, bytes; 0: the frame is one packet as it stands
    header_bytes: int
    #: payload of every packet but the last, bytes
    payload_bytes: int
    #: payload of the last packet, bytes
    last_payload_bytes: int


@inline_kernel
def _refused(fault: int) -> Segments:
    return Segments(fault, 0, 0, 0, 0)


@kernel
def split(frame: Octets, at: int, packet: IpPacket) -> Segments:
    """How the frame whose IP packet at `at` was parsed as `packet` divides into packets.

    Its fault is that of the packet, or BAD_OFFLOAD when the virtio header before it has an unknown type
    or does not fit it.
    """
    if packet.fault != SOUND:
        return _refused(packet.fault)
    gso = virtio.gso_type(frame, at)
    start = virtio.csum_start(frame, at)
    offset = virtio.csum_offset(frame, at)
    partial = virtio.flags(frame, at) & NEEDS_CSUM
    if gso == GSO_NONE:
        if partial and (start < packet.transport or start + offset + 2 > packet.length):
            return _refused(BAD_OFFLOAD)
        return Segments(SOUND, 1, 0, packet.length, packet.length)
    size = virtio.gso_size(frame, at)
    if partial == 0 or size == 0 or start != packet.transport or packet.fragment != WHOLE:
        return _refused(BAD_OFFLOAD)
    if gso == GSO_UDP_L4:
        header = start + _UDP_BYTES
        if packet.protocol != UDP or offset != _UDP_CSUM_OFFSET or header > packet.length:
            return _refused(BAD_OFFLOAD)
        if big16(frame, at + start + 4) != packet.length - start:
            return _refused(BAD_OFFLOAD)
    elif gso & ~GSO_ECN == (GSO_TCPV4 if packet.version == 4 else GSO_TCPV6):
        if packet.protocol != TCP or offset != _TCP_CSUM_OFFSET or start + _TCP_BYTES > packet.length:
            return _refused(BAD_OFFLOAD)
        header = start + (octet(frame, at + start + 12) >> 4) * 4
        if header < start + _TCP_BYTES or header > packet.length:
            return _refused(BAD_OFFLOAD)
    else:
        return _refused(BAD_OFFLOAD)
    if header > HEADER_ROOM - VIRTIO_BYTES:
        return _refused(BAD_OFFLOAD)
    payload = packet.length - header
    count = max(1, (payload + size - 1) // size)
    return Segments(SOUND, count, header, min(size, payload), payload - (count - 1) * size)


@inline_kernel
def segment_length(segments: Segments, k: int) -> int:
    """Length of packet k of a frame, 0 <= k < packets, IP header included, bytes."""
    if k == segments.packets - 1:
        return segments.header_bytes + segments.last_payload_bytes
    return segments.header_bytes + segments.payload_bytes


@inline_kernel
def _transport_header_bytes(frame: Octets, at: int, start: int, gso: int) -> int:
    if gso == GSO_UDP_L4:
        return _UDP_BYTES
    return (octet(frame, at + start + 12) >> 4) * 4


@inline_kernel
def _ip_header_bytes(frame: Octets, at: int) -> int:
    first = octet(frame, at)
    return (first & 0xF) * 4 if first >> 4 == 4 else IPV6_BYTES


@kernel
def write_packet_header(
    frame: Octets, at: int, first: int, last: int, hop_limit: int, out: Octets, to: int
) -> tuple[int, int, int]:
    """As `write_header`, without the virtio header: only [to, to + n) of `out` is written, and n counted."""
    length = stated_length(frame, at)
    gso = virtio.gso_type(frame, at)
    if gso == GSO_NONE:
        n = _ip_header_bytes(frame, at)
        copy(frame, at, out, to, n)
        put_hop_limit(out, to, hop_limit)
        return n, at + n, at + length

    start = virtio.csum_start(frame, at)
    size = virtio.gso_size(frame, at)
    n = start + _transport_header_bytes(frame, at, start, gso)
    copy(frame, at, out, to, n)
    payload_start = at + n + first * size
    payload_end = min(at + n + (last + 1) * size, at + length)
    new_length = n + payload_end - payload_start

    if octet(out, to) >> 4 == 4:
        checksum = updated(big16(out, to + 10), length, new_length)
        put_big16(out, to + 2, new_length)
        identification = big16(out, to + 4)
        following = (identification + first) & 0xFFFF
        put_big16(out, to + 4, following)
        put_big16(out, to + 10, updated(checksum, identification, following))
    else:
        put_big16(out, to + 4, new_length - IPV6_BYTES)
    put_hop_limit(out, to, hop_limit)

    transport = to + start
    if gso == GSO_UDP_L4:
        field = transport + _UDP_CSUM_OFFSET
        put_big16(out, transport + 4, new_length - start)
    else:
        field = transport + _TCP_CSUM_OFFSET
        put_big32(out, transport + 4, big32(out, transport + 4) + first * size)
        bits = octet(out, transport + 13)
        if payload_end != at + length:
            bits &= ~_FIN_PSH
        if first != 0:
            bits &= ~_CWR
        put_octet(out, transport + 13, bits)
    # The field holds the sum of the pseudo header; of that only the length is another.
    put_big16(out, field, add(subtract(big16(out, field), length - start), new_length - start))
    return n, payload_start, payload_end


@kernel
def write_header(
    frame: Octets, at: int, first: int, last: int, hop_limit: int, out: Octets, to: int
) -> tuple[int, int, int]:
    """Write the header that makes a frame of the packets `first` to `last` of a frame.

    Parameters:
        frame, at: the frame and where its IP packet begins; it has passed `split`
        first, last: 0 <= first <= last < packets, the packets of the frame that go together
        hop_limit: what the packets carry, 0..255
        out, to: where the IP header goes; the virtio header goes into the ten octets before `to`, and
            there is room for HEADER_ROOM octets in all

    Result: (n, start, end). The frame to be written is out[to - 10 : to - 10 + n], then frame[start:end].
    Its transport checksum is left to the kernel where the kernel has left it to us.
    """
    n, start, end = write_packet_header(frame, at, first, last, hop_limit, out, to)
    partial = virtio.flags(frame, at) & NEEDS_CSUM
    gso = virtio.gso_type(frame, at)
    size = virtio.gso_size(frame, at)
    if gso == GSO_NONE or end - start <= size:
        gso = GSO_NONE
        size = 0
    elif first != 0:
        gso &= ~GSO_ECN
    virtio.put(
        out,
        to,
        partial,
        gso,
        n if gso != GSO_NONE else 0,
        size,
        virtio.csum_start(frame, at) if partial else 0,
        virtio.csum_offset(frame, at) if partial else 0,
    )
    return VIRTIO_BYTES + n, start, end


@kernel
def write_segment(frame: Octets, at: int, k: int, hop_limit: int, out: Octets, to: int, most: int) -> int:
    """Write packet k of a frame as it would be on a wire: in one piece, all checksums complete.

    No more than the first `most` octets (HEADER_ROOM or more) are written, to `out` from `to` on, and no
    virtio header. What is written may be changed octet by octet (a packet damaged on the way) or quoted.

    Result: how many octets were written.
    """
    n, start, end = write_packet_header(frame, at, k, k, hop_limit, out, to)
    written = min(most, n + end - start)
    if written > n:
        copy(frame, start, out, to + n, written - n)
    if virtio.flags(frame, at) & NEEDS_CSUM:
        begin = virtio.csum_start(frame, at)
        field = begin + virtio.csum_offset(frame, at)
        if begin < n:
            # headers of TCP and UDP have even lengths: the sums of both parts add up
            checksum = 0xFFFF - add(sum_octets(out, to + begin, to + n), sum_octets(frame, start, end))
        else:
            checksum = 0xFFFF - sum_octets(frame, at + begin, end)
        if field + 2 <= written:
            put_big16(out, to + field, checksum if checksum != 0 else 0xFFFF)
    return written
