"""What an IP header says, and every way in which it cannot be true."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_Redirect,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.packet import Raw

from emulator.inet import headers
from emulator.inet.headers import (
    BAD_CHECKSUM,
    BAD_EXTENSIONS,
    BAD_LENGTH,
    FAULTS,
    FIRST_FRAGMENT,
    LATER_FRAGMENT,
    NOT_IP,
    SOUND,
    TRUNCATED,
    WHOLE,
    IpPacket,
    parse,
    set_hop_limit,
)
from tests.emulator.inet.frames import AT, HOST_A4, HOST_A6, HOST_B4, HOST_B6, frame, ip_bytes, octets
from tests.emulator.inet.strategies import packets

V4 = IP(src=HOST_A4, dst=HOST_B4)
V6 = IPv6(src=HOST_A6, dst=HOST_B6)


def _parsed(packet: Any) -> IpPacket:
    data = frame(packet)
    found: IpPacket = parse(data, AT, len(data))
    return found


@given(packet=packets(most=1400))
@settings(deadline=None)
def test_a_header_is_read_as_scapy_wrote_it(packet: Any) -> None:
    read = _parsed(packet)
    four = IP in packet
    assert read == IpPacket(
        fault=SOUND,
        version=4 if four else 6,
        length=len(bytes(packet)),
        transport=ip_bytes(packet),
        protocol=6 if TCP in packet else 17,
        hop_limit=packet.ttl if four else packet.hlim,
        traffic_class=(packet.tos if four else packet.tc) >> 6,
        fragment=WHOLE,
        dont_fragment=1 if not four or packet.flags.DF else 0,
        icmp_error=0,
    )


@pytest.mark.parametrize(
    ("dscp", "traffic_class"), [(0, 0), (8, 0), (18, 1), (34, 2), (46, 2), (48, 3), (63, 3)]
)
def test_the_traffic_class_is_the_two_top_bits_of_the_dscp(dscp: int, traffic_class: int) -> None:
    # the two low bits of the octet are ECN's (RFC 3168), not the DSCP's
    for octet in (dscp << 2, dscp << 2 | 3):
        assert _parsed(IP(tos=octet)).traffic_class == traffic_class
        assert _parsed(IPv6(tc=octet)).traffic_class == traffic_class


@pytest.mark.parametrize(
    ("fragment", "packet"),
    [
        (FIRST_FRAGMENT, V4.copy() / UDP() / Raw(b"12345678")),
        (LATER_FRAGMENT, V4.copy() / Raw(b"12345678")),
        (FIRST_FRAGMENT, V6 / IPv6ExtHdrFragment(m=1) / UDP() / Raw(b"12345678")),
        (LATER_FRAGMENT, V6 / IPv6ExtHdrFragment(offset=3, nh=17) / Raw(b"12345678")),
        (LATER_FRAGMENT, V6 / IPv6ExtHdrFragment(offset=3, m=1, nh=60) / Raw(b"\xff" * 8)),
        (WHOLE, V6 / IPv6ExtHdrFragment() / UDP() / Raw(b"12345678")),
    ],
)
def test_fragments_are_told_apart(fragment: int, packet: Any) -> None:
    if IP in packet:
        packet.flags, packet.frag = ("MF", 0) if fragment == FIRST_FRAGMENT else (0, 3)
    read = _parsed(packet)
    assert (read.fault, read.fragment) == (SOUND, fragment)


def test_extension_headers_are_followed_to_the_transport() -> None:
    chain = IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting() / IPv6ExtHdrFragment()
    read = _parsed(V6 / chain / IPv6ExtHdrDestOpt() / UDP() / Raw(b"abc"))
    assert (read.protocol, read.transport) == (17, 40 + 5 * 8)


def test_as_many_extension_headers_are_followed_as_rfc_8200_knows_and_no_chain_of_thousands() -> None:
    one = b"\x3c\0\x01\x04\0\0\0\0"
    last = b"\x11" + one[1:]
    assert _parsed(IPv6(nh=60) / Raw(one * 7 + last)).transport == 40 + 8 * 8
    assert _parsed(IPv6(nh=60) / Raw(one * 8 + last)).fault == BAD_EXTENSIONS


@pytest.mark.parametrize("offset", [1, 2, 1 << 12, (1 << 13) - 1])
def test_every_fragment_offset_but_zero_is_a_later_fragment(offset: int) -> None:
    assert _parsed(IP(frag=offset) / Raw(b"12345678")).fragment == LATER_FRAGMENT
    assert _parsed(IPv6() / IPv6ExtHdrFragment(offset=offset) / Raw(b"x" * 8)).fragment == LATER_FRAGMENT


@pytest.mark.parametrize(
    ("error", "packet"),
    [
        (1, V4 / ICMP(type=3)),
        (1, V4 / ICMP(type=4)),
        (1, V4 / ICMP(type=5)),
        (1, V4 / ICMP(type=11)),
        (1, V4 / ICMP(type=12)),
        (0, V4 / ICMP(type=8)),
        (0, V4 / ICMP(type=0)),
        (0, V4 / ICMP(type=13)),
        (0, V4 / UDP() / Raw(b"\x03")),
        (1, IP(proto=1)),
        (1, V6 / ICMPv6DestUnreach()),
        (1, V6 / ICMPv6PacketTooBig()),
        (1, V6 / ICMPv6ND_Redirect()),
        (0, V6 / ICMPv6EchoRequest()),
        (1, V6 / IPv6ExtHdrDestOpt() / ICMPv6DestUnreach()),
        (1, IPv6(nh=58)),
    ],
)
def test_icmp_errors_are_told_from_other_icmp(error: int, packet: Any) -> None:
    assert _parsed(packet).icmp_error == error


def _with(packet: Any, **fields: Any) -> Any:
    changed = type(packet)(bytes(packet))
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


_DATAGRAM4 = V4 / UDP() / Raw(b"x" * 20)
_DATAGRAM6 = V6 / UDP() / Raw(b"x" * 20)


@pytest.mark.parametrize(
    ("fault", "data"),
    [
        (TRUNCATED, b""),
        (NOT_IP, b"\x00"),
        (NOT_IP, b"\x55" * 40),
        (TRUNCATED, bytes(_DATAGRAM4)[:19]),
        (TRUNCATED, bytes(_DATAGRAM6)[:39]),
        (BAD_LENGTH, bytes(_DATAGRAM4)[:-1]),
        (BAD_LENGTH, bytes(_DATAGRAM4) + b"\0"),
        (BAD_LENGTH, bytes(_DATAGRAM6)[:-1]),
        (BAD_LENGTH, bytes(_DATAGRAM6) + b"\0"),
        (BAD_LENGTH, b"\x44" + bytes(_DATAGRAM4)[1:]),
        (TRUNCATED, b"\x4f" + bytes(_DATAGRAM4)[1:48]),
        (BAD_CHECKSUM, bytes(_with(_DATAGRAM4, chksum=1))),
        (TRUNCATED, bytes(IPv6(nh=0))),
        (TRUNCATED, bytes(IPv6(nh=44) / Raw(b"\x11\0\0\0"))),
        (TRUNCATED, bytes(IPv6(nh=60) / Raw(b"\x11\x01" + b"\0" * 6))),
        (TRUNCATED, bytes(IPv6(nh=43) / Raw(b"\x11\xff" + b"\0" * 6))),
        (BAD_EXTENSIONS, bytes(IPv6(nh=60) / Raw(b"\x3c\0\0\0\0\0\0\0" * 200))),
    ],
)
def test_what_cannot_be_true_is_called_by_its_fault(fault: int, data: bytes) -> None:
    assert FAULTS[_parsed(data).fault] == FAULTS[fault]


def test_a_read_that_ends_within_the_virtio_header_is_truncated() -> None:
    assert parse(octets(b"\0" * 10), AT, 4).fault == TRUNCATED


def test_every_fault_has_a_name() -> None:
    codes = [SOUND, TRUNCATED, NOT_IP, BAD_LENGTH, BAD_CHECKSUM, BAD_EXTENSIONS, headers.BAD_OFFLOAD]
    assert sorted(codes) == list(range(len(FAULTS)))


@given(packet=packets(most=100), hop_limit=st.integers(0, 255))
@settings(deadline=None)
def test_a_new_hop_limit_changes_nothing_else_and_keeps_the_checksum_right(
    packet: Any, hop_limit: int
) -> None:
    data = frame(packet)
    set_hop_limit(data, AT, hop_limit)
    wanted = type(packet)(bytes(packet))
    if IP in packet:
        wanted.ttl, wanted.chksum = hop_limit, None
    else:
        wanted.hlim = hop_limit
    assert data[AT:].tobytes() == bytes(wanted)
