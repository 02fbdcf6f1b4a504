"""ICMP errors and echo replies against scapy: what they say, how much they quote, and when there are none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_Redirect,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.packet import Raw

from emulator.inet import icmp
from emulator.inet.addresses import place_ipv4, place_ipv6
from emulator.inet.headers import parse
from emulator.inet.icmp import (
    ERROR_ROOM,
    ERRORS,
    HOST_UNKNOWN,
    HOST_UNREACHABLE,
    MOST_BYTES_V4,
    MOST_BYTES_V6,
    NO_ROUTE,
    PACKET_TOO_BIG,
    PORT_UNREACHABLE,
    PROHIBITED,
    TIME_EXCEEDED,
    asks_for_echo,
    write_echo_reply,
    write_error,
)
from emulator.inet.virtio import NEEDS_CSUM
from tests.emulator.inet.frames import (
    AT,
    CANARY,
    HOST_A4,
    HOST_A6,
    HOST_B4,
    HOST_B6,
    Octets,
    cut,
    frame,
    one_segment,
    read,
    room,
    super_segment,
    transport_of,
)
from tests.emulator.inet.strategies import packets

PLACE = 300
MTU = 1400
TO = 30

UDP4 = IP(bytes(IP(src=HOST_A4, dst=HOST_B4, flags="DF") / UDP() / Raw(b"x" * 20)))
UDP6 = IPv6(bytes(IPv6(src=HOST_A6, dst=HOST_B6) / UDP() / Raw(b"x" * 20)))


def _error(data: Octets, error: int, k: int = 0, hop_limit: int = 1, mtu: int = MTU) -> bytes:
    assert read(data).fault == 0
    out = room(TO + ERROR_ROOM + 20)
    length = write_error(data, AT, k, hop_limit, error, mtu, PLACE, out, TO)
    assert (out[: TO - 10] == CANARY).all()
    assert (out[max(TO + length, TO - 10) :] == CANARY).all() or length == 0
    if length:
        assert out[TO - 10 : TO].tolist() == [0] * 10
        assert parse(out, TO, TO + length).icmp_error == 1
    return out[TO : TO + length].tobytes()


def _rebuilt(data: bytes) -> bytes:
    """What scapy makes of the same fields, with lengths and checksums of its own."""
    packet = IP(data) if data[0] >> 4 == 4 else IPv6(data)
    if IP in packet:
        packet.len = packet.chksum = packet[ICMP].chksum = None
    else:
        packet.plen = packet.payload.cksum = None
    return bytes(packet)


@given(packet=packets(most=5000), error=st.integers(0, ERRORS - 1), left=st.booleans())
@settings(deadline=None)
def test_an_error_comes_from_the_place_and_quotes_as_much_as_is_allowed(
    packet: Any, error: int, left: bool
) -> None:
    if IP in packet and not packet.flags.DF:
        error = TIME_EXCEEDED
    data = one_segment(packet) if left else frame(packet)
    made = _error(data, error, hop_limit=7)
    original = cut(packet, 65_535, 7)[0]
    if IP in packet:
        answer = IP(made)
        assert (answer.src, answer.dst) == (place_ipv4(PLACE), HOST_A4)
        assert (answer.tos, answer.ttl, str(answer.flags), answer.ihl) == (0xC0, 64, "DF", 5)
        assert made[28:] == original[: MOST_BYTES_V4 - 28]
    else:
        answer = IPv6(made)
        assert (answer.src, answer.dst) == (place_ipv6(PLACE), HOST_A6)
        assert (answer.tc, answer.hlim, answer.nh) == (0xC0, 64, 58)
        assert made[48:] == original[: MOST_BYTES_V6 - 48]
    assert _rebuilt(made) == made


@pytest.mark.parametrize(
    ("error", "type_and_code"),
    [
        (TIME_EXCEEDED, (11, 0)),
        (NO_ROUTE, (3, 0)),
        (HOST_UNREACHABLE, (3, 1)),
        (PORT_UNREACHABLE, (3, 3)),
        (PACKET_TOO_BIG, (3, 4)),
        (HOST_UNKNOWN, (3, 7)),
        (PROHIBITED, (3, 13)),
    ],
)
def test_types_and_codes_are_those_of_rfc_792_and_rfc_1812(
    error: int, type_and_code: tuple[int, int]
) -> None:
    answer = IP(_error(frame(UDP4), error))[ICMP]
    assert (answer.type, answer.code) == type_and_code
    if error != PACKET_TOO_BIG:
        assert bytes(answer)[4:8] == bytes(4)


@pytest.mark.parametrize(
    ("error", "layer", "code"),
    [
        (TIME_EXCEEDED, ICMPv6TimeExceeded, 0),
        (NO_ROUTE, ICMPv6DestUnreach, 0),
        (PROHIBITED, ICMPv6DestUnreach, 1),
        (HOST_UNREACHABLE, ICMPv6DestUnreach, 3),
        (HOST_UNKNOWN, ICMPv6DestUnreach, 3),
        (PORT_UNREACHABLE, ICMPv6DestUnreach, 4),
        (PACKET_TOO_BIG, ICMPv6PacketTooBig, 0),
    ],
)
def test_types_and_codes_are_those_of_rfc_4443(error: int, layer: type[Any], code: int) -> None:
    answer = IPv6(_error(frame(UDP6), error))
    assert layer in answer
    assert answer[layer].code == code
    if error != PACKET_TOO_BIG:
        assert bytes(answer.payload)[4:8] == bytes(4)


@pytest.mark.parametrize(
    ("mtu", "told4", "told6"), [(1400, 1400, 1400), (60, 68, 1280), (70_000, 65_535, 70_000)]
)
def test_a_packet_too_big_is_told_an_mtu_that_its_version_can_have(mtu: int, told4: int, told6: int) -> None:
    four = IP(_error(frame(UDP4), PACKET_TOO_BIG, mtu=mtu))[ICMP]
    assert (four.nexthopmtu, bytes(four)[4:6]) == (told4, b"\0\0")
    assert IPv6(_error(frame(UDP6), PACKET_TOO_BIG, mtu=mtu))[ICMPv6PacketTooBig].mtu == told6


@given(packet=packets(most=9000), k=st.integers(0, 20))
@settings(deadline=None)
def test_an_error_about_one_of_many_segments_quotes_that_one(packet: Any, k: int) -> None:
    size = max(500, len(transport_of(packet).payload) // 10)
    wanted = cut(packet, size, 1)
    k = min(k, len(wanted) - 1)
    made = _error(super_segment(packet, size), TIME_EXCEEDED, k)
    assert (made[28:] if IP in packet else made[48:]) == wanted[k][: 548 if IP in packet else 1232]
    assert _rebuilt(made) == made


def _v4(**fields: Any) -> Any:
    return IP(**({"src": HOST_A4, "dst": HOST_B4} | fields))


def _v6(**fields: Any) -> Any:
    return IPv6(**({"src": HOST_A6, "dst": HOST_B6} | fields))


@pytest.mark.parametrize(
    "packet",
    [
        _v4() / ICMP(type=3) / Raw(b"x" * 28),
        _v4() / ICMP(type=11) / Raw(b"x" * 28),
        _v4() / ICMP(type=5) / Raw(b"x" * 28),
        _v6() / ICMPv6TimeExceeded() / Raw(b"x" * 48),
        _v6() / ICMPv6ND_Redirect(),
        _v4(dst="224.0.0.251") / UDP(),
        _v4(dst="255.255.255.255") / UDP(),
        _v6(dst="ff02::fb") / UDP(),
        _v4(src="0.0.0.0") / UDP(),
        _v4(src="127.0.0.1") / UDP(),
        _v4(src="224.0.0.1") / UDP(),
        _v4(src="255.255.255.255") / UDP(),
        _v6(src="::") / UDP(),
        _v6(src="ff02::1") / UDP(),
        _v4(frag=3) / Raw(b"x" * 20),
        _v6() / IPv6ExtHdrFragment(offset=3, nh=17) / Raw(b"x" * 20),
    ],
    ids=lambda packet: packet.summary(),
)
def test_a_router_is_silent_about_errors_groups_nobody_and_later_fragments(packet: Any) -> None:
    assert [_error(frame(packet), error) for error in range(ERRORS)] == [b""] * ERRORS


@pytest.mark.parametrize(
    "packet", [_v4() / ICMP(), _v4(flags="MF") / UDP() / Raw(b"12345678"), _v6() / ICMPv6EchoRequest()]
)
def test_a_router_is_not_silent_about_requests_and_first_fragments(packet: Any) -> None:
    assert _error(frame(packet), TIME_EXCEEDED)


def test_a_packet_that_may_be_fragmented_is_never_too_big() -> None:
    assert _error(frame(_v4() / UDP()), PACKET_TOO_BIG) == b""
    assert _error(frame(_v4(flags="DF") / UDP()), PACKET_TOO_BIG) != b""


def _reply(data: Octets, space: int = 70_000) -> bytes:
    out = room(TO + space)
    length = write_echo_reply(data, AT, out, TO)
    assert (out[: TO - 10] == CANARY).all()
    if length == 0:
        assert (out == CANARY).all()
    else:
        assert out[TO - 10 : TO].tolist() == [0] * 10
        assert (out[TO + length :] == CANARY).all()
    return out[TO : TO + length].tobytes()


payloads = st.binary(max_size=1400)


@given(payload=payloads, number=st.integers(0, 65535), tos=st.integers(0, 255), options=st.booleans())
@settings(deadline=None)
def test_a_place_answers_an_ipv4_echo_request(payload: bytes, number: int, tos: int, options: bool) -> None:
    routers = [IPOption_RR(length=39, routers=["0.0.0.0"] * 9)] if options else []
    head = IP(src=HOST_A4, dst=place_ipv4(5), tos=tos, options=routers)
    answer = _reply(frame(head / ICMP(id=number, seq=3) / Raw(payload)))
    wanted = IP(src=place_ipv4(5), dst=HOST_A4, tos=tos, id=0, flags="DF", ttl=64)
    assert answer == bytes(wanted / ICMP(type=0, id=number, seq=3) / Raw(payload))


@given(payload=payloads, number=st.integers(0, 65535), tc=st.integers(0, 255), options=st.booleans())
@settings(deadline=None)
def test_a_place_answers_an_ipv6_echo_request(payload: bytes, number: int, tc: int, options: bool) -> None:
    head = IPv6(src=HOST_A6, dst=place_ipv6(5), tc=tc, fl=9)
    if options:
        head = head / IPv6ExtHdrDestOpt()
    answer = _reply(frame(head / ICMPv6EchoRequest(id=number, seq=3, data=payload)))
    wanted = IPv6(src=place_ipv6(5), dst=HOST_A6, tc=tc, hlim=64)
    assert answer == bytes(wanted / ICMPv6EchoReply(id=number, seq=3, data=payload))


def test_a_host_is_answered_for_in_its_own_name() -> None:
    four = _reply(frame(IP(src=HOST_A4, dst=HOST_B4) / ICMP(id=1) / Raw(b"abc")))
    assert (IP(four).src, IP(four).dst, IP(four)[ICMP].type) == (HOST_B4, HOST_A4, 0)
    six = _reply(frame(IPv6(src=HOST_A6, dst=HOST_B6) / ICMPv6EchoRequest(data=b"abc")))
    assert (IPv6(six).src, IPv6(six).dst) == (HOST_B6, HOST_A6)


@pytest.mark.parametrize(
    ("packet", "asks"),
    [
        (IP(src=HOST_A4, dst=HOST_B4) / ICMP(), True),
        (IP(src=HOST_A4, dst=HOST_B4) / ICMP(type=0), False),
        (IP(src=HOST_A4, dst=HOST_B4) / UDP(dport=8) / Raw(b"\x08"), False),
        (IPv6(src=HOST_A6, dst=HOST_B6) / ICMPv6EchoRequest(), True),
        (IPv6(src=HOST_A6, dst=HOST_B6) / ICMPv6EchoReply(), False),
    ],
)
def test_echo_requests_are_told_from_other_packets(packet: Any, asks: bool) -> None:
    assert asks_for_echo(frame(packet), AT) is asks


def test_a_request_whose_checksum_is_left_to_the_device_is_answered_with_a_complete_one() -> None:
    request = IP(bytes(IP(src=HOST_A4, dst=place_ipv4(5)) / ICMP(id=1) / Raw(b"abc")))
    complete = _reply(frame(request))
    request[ICMP].chksum = 0
    assert _reply(frame(request, NEEDS_CSUM, start=20, offset=2)) == complete != b""
    assert _reply(frame(request, NEEDS_CSUM, start=20, offset=4)) == b""


_PING4 = IP(bytes(IP(src=HOST_A4, dst=place_ipv4(5)) / ICMP() / Raw(b"abcdefgh")))
_PING6 = IPv6(bytes(IPv6(src=HOST_A6, dst=place_ipv6(5)) / ICMPv6EchoRequest(data=b"abcdefgh")))


def _damaged(packet: Any) -> bytes:
    data = bytearray(bytes(packet))
    data[-1] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(_damaged(_PING4), id="damaged, IPv4"),
        pytest.param(_damaged(_PING6), id="damaged, IPv6"),
        pytest.param(IP(src=HOST_A4, dst="224.0.0.1") / ICMP(), id="for a group"),
        pytest.param(IP(src="0.0.0.0", dst=place_ipv4(5)) / ICMP(), id="from nobody"),
        pytest.param(IP(src=HOST_A4, dst=place_ipv4(5)) / ICMP(type=0), id="an answer"),
        pytest.param(IP(src=HOST_A4, dst=place_ipv4(5)) / ICMP(code=1), id="another code"),
        pytest.param(IP(src=HOST_A4, dst=place_ipv4(5), flags="MF") / ICMP(), id="a fragment"),
        pytest.param(
            IP(src=HOST_A4, dst=place_ipv4(5), proto=1) / Raw(b"\x08\0\xf7\xff\0\0\0"), id="too short"
        ),
        pytest.param(IP(src=HOST_A4, dst=place_ipv4(5)) / TCP(), id="not ICMP"),
        pytest.param(
            IP(src=HOST_A4, dst=place_ipv4(5), proto=58) / Raw(bytes(_PING6)[40:]), id="ICMPv6 over IPv4"
        ),
        pytest.param(IPv6(src=HOST_A6, dst=place_ipv6(5)) / ICMPv6EchoReply(), id="an IPv6 answer"),
    ],
)
def test_nothing_else_is_answered(packet: Any) -> None:
    assert _reply(frame(packet)) == b""


def test_an_answer_longer_than_the_room_is_not_written() -> None:
    assert _reply(frame(_PING4), len(_PING4) - 1) == b""
    assert len(_reply(frame(_PING4), len(_PING4))) == len(_PING4)


def test_what_a_place_sends_is_itself_taken_for_sound() -> None:
    for data in (_reply(frame(_PING4)), _error(frame(UDP4), TIME_EXCEEDED), _error(frame(UDP6), NO_ROUTE)):
        assert read(frame(data)).fault == 0


def test_the_room_for_an_error_is_enough_for_the_longest() -> None:
    longest = IPv6(src=HOST_A6, dst=HOST_B6) / UDP() / Raw(b"x" * 1400)
    assert len(_error(frame(longest), TIME_EXCEEDED)) == icmp.ERROR_ROOM - 10
