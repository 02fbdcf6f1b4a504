"""Frames as a TUN device gives them, made and taken apart with scapy, which is the oracle here."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, in6_pseudoheader
from scapy.packet import Raw
from scapy.utils import checksum as scapy_checksum

from emulator.inet.headers import parse
from emulator.inet.segments import Segments, split
from emulator.inet.virtio import GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VIRTIO_BYTES

Octets = npt.NDArray[np.uint8]

#: where the IP packet of a frame begins
AT = VIRTIO_BYTES
#: what no kernel may change
CANARY = 0xA5

HOST_A4, HOST_B4 = "10.64.0.1", "10.64.1.2"
HOST_A6, HOST_B6 = "fd6a:1e0:0:1::1", "fd6a:1e0:0:1::102"


def octets(data: bytes) -> Octets:
    return np.frombuffer(bytearray(data), np.uint8)


def frame(
    packet: Any, flags: int = 0, gso: int = GSO_NONE, size: int = 0, start: int = 0, offset: int = 0
) -> Octets:
    """A frame with any virtio header; its hdr_len is a hint that nothing may rely on, so it is nonsense."""
    return octets(struct.pack("=BBHHHH", flags, gso, 0xEEEE, size, start, offset) + bytes(packet))


def room(count: int) -> Octets:
    return np.full(count, CANARY, np.uint8)


def read(data: Octets) -> Segments:
    divided: Segments = split(data, AT, parse(data, AT, len(data)))
    return divided


def transport_of(packet: Any) -> Any:
    return packet[TCP] if TCP in packet else packet[UDP]


def ip_bytes(packet: Any) -> int:
    """What the IP header with options or extension headers takes."""
    return len(bytes(packet)) - len(bytes(transport_of(packet)))


def partial(packet: Any) -> Any:
    """The packet with the pseudo header's sum in its checksum, as the kernel leaves it to the device."""
    packet = type(packet)(bytes(packet))
    transport = transport_of(packet)
    protocol = 6 if TCP in packet else 17
    size = len(bytes(transport))
    if IP in packet:
        # scapy's in4_pseudoheader would ask for the destination of source routes, which are not used here
        head = bytes(packet)[12:20] + struct.pack("!HH", protocol, size)
    else:
        head = bytes(in6_pseudoheader(protocol, packet[IPv6], size))
    transport.chksum = 0xFFFF - scapy_checksum(head)
    return packet


def super_segment(packet: Any, size: int, extra: int = 0) -> Octets:
    """The frame in which the kernel hands over a packet that is to be cut after every `size` bytes."""
    if UDP in packet:
        gso, offset = GSO_UDP_L4, 6
    else:
        gso, offset = (GSO_TCPV4 if IP in packet else GSO_TCPV6), 16
    return frame(partial(packet), NEEDS_CSUM, gso | extra, size, ip_bytes(packet), offset)


def one_segment(packet: Any) -> Octets:
    """The frame of a packet whose checksum is left to the device."""
    return frame(partial(packet), NEEDS_CSUM, start=ip_bytes(packet), offset=6 if UDP in packet else 16)


def cut(packet: Any, size: int, hop_limit: int) -> list[bytes]:
    """The packets that a super-segment stands for, each built by scapy with all its lengths and checksums."""
    template = type(packet)(bytes(packet))
    payload = bytes(transport_of(template).payload)
    pieces = [payload[i : i + size] for i in range(0, len(payload), size)] or [b""]
    made = []
    for k, piece in enumerate(pieces):
        one = type(packet)(bytes(packet))
        transport = transport_of(one)
        transport.remove_payload()
        transport.chksum = None
        if IP in one:
            one.len = one.chksum = None
            one.id = (one.id + k) & 0xFFFF
            one.ttl = hop_limit
        else:
            one.plen = None
            one.hlim = hop_limit
        if UDP in one:
            transport.len = None
        else:
            transport.seq = (transport.seq + k * size) & 0xFFFFFFFF
            if k < len(pieces) - 1:
                transport.flags = str(transport.flags).replace("F", "").replace("P", "")
            if k > 0:
                transport.flags = str(transport.flags).replace("C", "")
        made.append(bytes(one / Raw(piece)))
    return made
