"""Super-segments taken apart and joined again, against packets that scapy builds one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, PadN
from scapy.packet import Raw

from emulator.inet.headers import BAD_OFFLOAD, SOUND, TRUNCATED
from emulator.inet.segments import HEADER_ROOM, Segments, segment_length, write_header, write_segment
from emulator.inet.virtio import (
    GSO_ECN,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP_L4,
    NEEDS_CSUM,
    VIRTIO_BYTES,
    finish_checksum,
)
from emulator.jit import kernel
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
    ip_bytes,
    octets,
    one_segment,
    partial,
    read,
    room,
    super_segment,
    transport_of,
)
from tests.emulator.inet.strategies import packets

#: where headers are written in these tests: not where they are read
TO = 37

_segment_length = kernel(lambda segments, k: segment_length(segments, k))

TCP4 = (
    IP(src=HOST_A4, dst=HOST_B4, id=65_534)
    / TCP(seq=2**32 - 1500, flags="CFPA")
    / Raw(bytes(range(250)) * 20)
)
TCP4 = IP(bytes(TCP4))
UDP6 = IPv6(bytes(IPv6(src=HOST_A6, dst=HOST_B6) / UDP(sport=5) / Raw(bytes(range(250)) * 20)))


def _joined(data: Octets, first: int, last: int, hop_limit: int) -> Octets:
    """The frame that is written for a run of packets, after a look at what was not to be written."""
    out = room(HEADER_ROOM + 2 * TO)
    n, start, end = write_header(data, AT, first, last, hop_limit, out, TO)
    begin = TO - VIRTIO_BYTES
    assert n <= HEADER_ROOM
    assert (out[:begin] == CANARY).all()
    assert (out[begin + n :] == CANARY).all()
    return np.concatenate([out[begin : begin + n], data[start:end]])


def _segment(data: Octets, k: int, hop_limit: int, most: int = 70_000) -> bytes:
    out = room(TO + 70_000)
    written = write_segment(data, AT, k, hop_limit, out, TO, most)
    assert (out[:TO] == CANARY).all()
    assert (out[TO + written :] == CANARY).all()
    return out[TO : TO + written].tobytes()


@given(packet=packets(), size=st.integers(1, 9000), hop_limit=st.integers(0, 255))
@settings(deadline=None)
def test_segments_are_the_packets_that_scapy_builds(packet: Any, size: int, hop_limit: int) -> None:
    size = max(size, len(transport_of(packet).payload) // 40)
    data = super_segment(packet, size)
    before = data.copy()
    segments = read(data)
    wanted = cut(packet, size, hop_limit)
    assert (segments.fault, segments.packets) == (SOUND, len(wanted))
    for k, one in enumerate(wanted):
        assert _segment_length(segments, k) == len(one)
        assert _segment(data, k, hop_limit) == one
    assert (data == before).all()


@given(packet=packets(), size=st.integers(1, 3000), data=st.data())
@settings(deadline=None)
def test_a_run_of_segments_is_a_frame_of_these_segments(packet: Any, size: int, data: Any) -> None:
    size = max(size, len(transport_of(packet).payload) // 20)
    wanted = cut(packet, size, 33)
    first = data.draw(st.integers(0, len(wanted) - 1), "first")
    last = data.draw(st.integers(first, len(wanted) - 1), "last")
    run = _joined(super_segment(packet, size), first, last, 33)
    segments = read(run)
    assert (segments.fault, segments.packets) == (SOUND, 1 + last - first)
    assert [_segment(run, k, 33) for k in range(segments.packets)] == wanted[first : last + 1]


@pytest.mark.parametrize("packet", [TCP4, UDP6])
def test_a_run_has_the_virtio_header_and_the_partial_checksum_that_a_kernel_would_write(packet: Any) -> None:
    run = _joined(super_segment(packet, 1000), 1, 3, 64)
    start = ip_bytes(packet)
    header = len(bytes(packet)) - 5000
    offset = 6 if UDP in packet else 16
    gso = GSO_UDP_L4 if UDP in packet else GSO_TCPV4
    assert run[:2].tolist() == [NEEDS_CSUM, gso]
    assert run[2:AT].view("=u2").tolist() == [header, 1000, start, offset]
    written = type(packet)(run[AT:].tobytes())
    assert len(transport_of(written).payload) == 3000
    assert bytes(partial(written)) == bytes(written)


def test_a_single_segment_is_written_as_an_ordinary_packet() -> None:
    run = _joined(super_segment(TCP4, 1000), 2, 2, 64)
    assert run[:2].tolist() == [NEEDS_CSUM, GSO_NONE]
    assert run[2:AT].view("=u2").tolist() == [0, 0, 20, 16]


def test_only_the_first_slows_down_and_only_the_last_pushes_and_ends() -> None:
    data = super_segment(TCP4, 1000, GSO_ECN)
    runs = [_joined(data, first, last, 64) for first, last in ((0, 1), (1, 3), (3, 4), (0, 4))]
    assert [str(IP(run[AT:].tobytes())[TCP].flags) for run in runs] == ["AC", "A", "FPA", "FPAC"]
    assert [int(run[1]) & GSO_ECN for run in runs] == [GSO_ECN, 0, 0, GSO_ECN]


def test_numbers_go_on_over_their_ends() -> None:
    runs = [IP(_joined(super_segment(TCP4, 1000), k, k, 64)[AT:].tobytes()) for k in range(5)]
    assert [run.id for run in runs] == [65_534, 65_535, 0, 1, 2]
    assert [run[TCP].seq for run in runs] == [2**32 - 1500, 2**32 - 500, 500, 1500, 2500]
    assert [_segment(super_segment(TCP4, 1000), k, 64) for k in range(5)] == cut(TCP4, 1000, 64)


@given(packet=packets(most=1400), hop_limit=st.integers(0, 255), left=st.booleans())
@settings(deadline=None)
def test_an_ordinary_packet_is_one_segment_and_goes_on_as_it_came(
    packet: Any, hop_limit: int, left: bool
) -> None:
    data = one_segment(packet) if left else frame(packet)
    segments = read(data)
    length = len(bytes(packet))
    assert segments == Segments(SOUND, 1, 0, length, length)
    assert _segment_length(segments, 0) == length
    wanted = partial(packet) if left else type(packet)(bytes(packet))
    if IP in packet:
        wanted.ttl, wanted.chksum = hop_limit, None
    else:
        wanted.hlim = hop_limit
    same = one_segment(packet)[:AT] if left else np.zeros(AT, np.uint8)
    same[2:4] = 0
    run = _joined(data, 0, 0, hop_limit)
    assert run[AT:].tobytes() == bytes(wanted)
    assert (run[:AT] == same).all()
    assert _segment(data, 0, hop_limit) == cut(packet, length, hop_limit)[0]


@given(packet=packets(most=1400))
@settings(deadline=None)
def test_a_checksum_left_to_the_device_can_be_finished_in_place(packet: Any) -> None:
    data = one_segment(packet)
    finish_checksum(data, AT, len(data))
    assert data[:AT].tolist() == [0] * AT
    # scapy writes a checksum of 0 in UDP over IPv6 as 0xffff, which TCP's receivers take for 0 too
    wanted = cut(packet, 65_535, packet.ttl if IP in packet else packet.hlim)[0]
    assert data[AT:].tobytes() == wanted


def test_a_complete_checksum_is_left_alone() -> None:
    data = frame(TCP4)
    before = data.copy()
    finish_checksum(data, AT, len(data))
    assert (data == before).all()


def test_a_checksum_of_zero_is_written_as_all_ones() -> None:
    # 0 would mean "no checksum" in UDP (RFC 768)
    packet = IP(src=HOST_A4, dst=HOST_B4) / UDP() / Raw(b"\0\0")
    packet[Raw].load = IP(bytes(packet))[UDP].chksum.to_bytes(2, "big")
    data = one_segment(IP(bytes(packet)))
    assert _segment(data, 0, 64)[26:28] == b"\xff\xff"
    finish_checksum(data, AT, len(data))
    assert data[AT + 26 : AT + 28].tolist() == [0xFF, 0xFF]


@pytest.mark.parametrize("most", [HEADER_ROOM, 548, 1039, 1040, 2000])
def test_a_shortened_segment_is_the_beginning_of_the_whole(most: int) -> None:
    data = super_segment(TCP4, 1000)
    assert _segment(data, 1, 9, most) == cut(TCP4, 1000, 9)[1][:most]


def test_a_payload_that_fits_one_segment_is_one_packet() -> None:
    for size in (5000, 6000, 65_535):
        segments = read(super_segment(TCP4, size))
        assert (segments.fault, segments.packets, segments.last_payload_bytes) == (SOUND, 1, 5000)
    assert read(super_segment(TCP4, 4999)).packets == 2


def test_the_header_length_that_the_kernel_hints_at_is_not_relied_on() -> None:
    for hint in (0, 1, 40, 65_535):
        data = super_segment(TCP4, 1000)
        data[2:4] = octets(hint.to_bytes(2, "little"))
        assert _joined(data, 1, 2, 64).tobytes() == _joined(super_segment(TCP4, 1000), 1, 2, 64).tobytes()


def _offload(packet: Any, flags: int, gso: int, size: int, start: int, offset: int) -> Octets:
    return frame(partial(packet), flags, gso, size, start, offset)


_LONG = (
    IPv6(src=HOST_A6, dst=HOST_B6)
    / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 220)])
    / TCP()
    / Raw(b"x")
)
_SHORT_OFFSET = TCP4.copy()
_SHORT_OFFSET[TCP].dataofs = 4
_LONG_OFFSET = super_segment(IP(bytes(IP(src=HOST_A4, dst=HOST_B4) / TCP() / Raw(b"x" * 30))), 10)
_LONG_OFFSET[AT + 32] = 0xF0
_LYING_UDP = UDP6.copy()
_LYING_UDP[UDP].len = 100
_FRAGMENT = TCP4.copy()
_FRAGMENT.flags, _FRAGMENT.chksum = "MF", None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_offload(TCP4, NEEDS_CSUM, 2, 1000, 20, 16), id="unknown type"),
        pytest.param(_offload(UDP6, NEEDS_CSUM, 3, 1000, 40, 6), id="UDP fragments, long gone"),
        pytest.param(_offload(TCP4, NEEDS_CSUM, 0x21, 1000, 20, 16), id="unknown flag of the type"),
        pytest.param(_offload(TCP4, NEEDS_CSUM, GSO_ECN, 1000, 20, 16), id="ECN alone"),
        pytest.param(_offload(UDP6, NEEDS_CSUM, GSO_UDP_L4 | GSO_ECN, 1000, 40, 6), id="ECN in UDP"),
        pytest.param(_offload(TCP4, NEEDS_CSUM, GSO_TCPV6, 1000, 20, 16), id="other version"),
        pytest.param(_offload(TCP4, NEEDS_CSUM, GSO_UDP_L4, 1000, 20, 6), id="TCP called UDP"),
        pytest.param(_offload(UDP6, NEEDS_CSUM, GSO_TCPV6, 1000, 40, 16), id="UDP called TCP"),
        pytest.param(_offload(TCP4, 0, GSO_TCPV4, 1000, 20, 16), id="complete checksum"),
        pytest.param(_offload(TCP4, NEEDS_CSUM, GSO_TCPV4, 0, 20, 16), id="segments of nothing"),
        pytest.param(_offload(TCP4, NEEDS_CSUM, GSO_TCPV4, 1000, 24, 16), id="start elsewhere"),
        pytest.param(_offload(TCP4, NEEDS_CSUM, GSO_TCPV4, 1000, 20, 18), id="offset elsewhere, TCP"),
        pytest.param(_offload(UDP6, NEEDS_CSUM, GSO_UDP_L4, 1000, 40, 16), id="offset elsewhere, UDP"),
        pytest.param(_offload(_SHORT_OFFSET, NEEDS_CSUM, GSO_TCPV4, 1000, 20, 16), id="TCP header too short"),
        pytest.param(_LONG_OFFSET, id="TCP header over the end"),
        pytest.param(
            frame(IP(proto=6) / Raw(b"x" * 19), NEEDS_CSUM, GSO_TCPV4, 9, 20, 16), id="half a TCP header"
        ),
        pytest.param(
            frame(IP(proto=17) / Raw(b"x" * 7), NEEDS_CSUM, GSO_UDP_L4, 9, 20, 6), id="half a UDP header"
        ),
        pytest.param(_offload(_LYING_UDP, NEEDS_CSUM, GSO_UDP_L4, 1000, 40, 6), id="UDP length not its own"),
        pytest.param(_offload(_FRAGMENT, NEEDS_CSUM, GSO_TCPV4, 1000, 20, 16), id="a fragment"),
        pytest.param(super_segment(_LONG, 100), id="more header than there is room for"),
        pytest.param(_offload(TCP4, NEEDS_CSUM, GSO_NONE, 0, 19, 16), id="checksum within the IP header"),
        pytest.param(_offload(TCP4, NEEDS_CSUM, GSO_NONE, 0, 20, 5019), id="checksum over the end"),
    ],
)
def test_a_virtio_header_that_does_not_fit_is_refused(data: Octets) -> None:
    assert read(data).fault == BAD_OFFLOAD


def test_what_just_fits_is_taken() -> None:
    assert read(_offload(TCP4, NEEDS_CSUM, GSO_NONE, 0, 20, 5018)).fault == SOUND
    assert read(_offload(TCP4, NEEDS_CSUM, GSO_TCPV4 | GSO_ECN, 1000, 20, 16)).fault == SOUND


def test_the_longest_header_is_what_there_is_room_for() -> None:
    # 10 virtio, 40 IPv6, 184 options, 20 TCP and 4 of its options: 254 or 258 of 256
    head = IPv6(src=HOST_A6, dst=HOST_B6) / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 180)])
    fits = super_segment(head / TCP() / Raw(b"x" * 300), 100)
    assert (read(fits).fault, read(fits).header_bytes) == (SOUND, 244)
    _joined(fits, 0, 2, 64)
    assert (
        read(super_segment(head / TCP(options=[("MSS", 1400)]) / Raw(b"x" * 300), 100)).fault == BAD_OFFLOAD
    )


def test_a_checksum_behind_what_is_kept_of_a_packet_is_left_out() -> None:
    data = _offload(TCP4, NEEDS_CSUM, GSO_NONE, 0, 20, 2000)
    assert _segment(data, 0, 64, 548) == bytes(partial(TCP4))[:548]


def test_the_fault_of_a_packet_is_that_of_its_frame() -> None:
    assert read(frame(bytes(TCP4)[:15])).fault == TRUNCATED
