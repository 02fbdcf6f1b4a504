"""Whatever the octets are: no exception, nothing read or written outside, and what is called sound is usable.

The same properties once more uncompiled, where every access to a frame is checked against its length.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.inet.addresses import destination, source
from emulator.inet.headers import FAULTS, SOUND, parse, set_hop_limit
from emulator.inet.icmp import ERROR_ROOM, ERRORS, write_echo_reply, write_error
from emulator.inet.segments import HEADER_ROOM, split, write_header, write_segment
from emulator.inet.virtio import GSO_NONE, finish_checksum
from tests.emulator.inet.frames import AT, CANARY, Octets, octets, one_segment, room, super_segment
from tests.emulator.inet.strategies import packets

MOST = 600


@st.composite
def damaged_frames(draw: Any) -> bytes:
    """Frames of real packets, then some octets changed, cut off or added."""
    packet = draw(packets(most=400))
    sound = super_segment(packet, draw(st.integers(1, 500))) if draw(st.booleans()) else one_segment(packet)
    data = bytearray(sound.tobytes())
    places = st.integers(0, min(len(data), 120) - 1)
    for index, value in draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        data[index] = value
    end = draw(st.sampled_from([len(data), len(data), draw(st.integers(0, len(data)))]))
    data = data[:end] + draw(st.sampled_from([b"", b"", b"\0", b"x" * 30]))
    if len(data) > AT + 20 and data[AT] >> 4 == 4 and draw(st.booleans()):
        _repair(data)
    return bytes(data)


def _repair(data: bytearray) -> None:
    """Length and checksum of the IPv4 header made right again, so that the damage behind is met."""
    data[AT + 2 : AT + 4] = (len(data) - AT).to_bytes(2, "big")
    data[AT + 10 : AT + 12] = b"\0\0"
    header = data[AT : AT + max(20, 4 * (data[AT] & 0xF))]
    total = sum(int.from_bytes(header[i : i + 2], "big") for i in range(0, len(header) - 1, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    data[AT + 10 : AT + 12] = (0xFFFF - total).to_bytes(2, "big")


def _used_to_the_full(data: Octets) -> None:
    end = len(data)
    packet = parse(data, AT, end)
    segments = split(data, AT, packet)
    assert 0 <= packet.fault < len(FAULTS)
    if segments.fault != SOUND:
        return
    assert packet.length == end - AT
    assert 0 <= packet.traffic_class <= 3
    assert segments.packets >= 1
    last = segments.packets - 1
    lengths = [segments.header_bytes + segments.payload_bytes] * last
    lengths.append(segments.header_bytes + segments.last_payload_bytes)
    assert sum(lengths) == packet.length + last * segments.header_bytes
    assert min(lengths) >= segments.header_bytes

    source(data, AT)
    destination(data, AT)
    before = data.copy()
    for first, final in {(0, 0), (0, last), (last // 2, last), (last, last)}:
        out = room(HEADER_ROOM)
        n, start, stop = write_header(data, AT, first, final, 9, out, AT)
        assert (out[n:] == CANARY).all()
        assert AT <= start <= stop <= end
        assert (
            n - AT + stop - start == sum(lengths[first : final + 1]) - (final - first) * segments.header_bytes
        )
        most = max(HEADER_ROOM, lengths[first] - 1)
        out = room(most)
        assert write_segment(data, AT, first, 9, out, 0, most) == min(most, lengths[first])
    for error in range(ERRORS):
        assert write_error(data, AT, last, 1, error, 1400, 7, room(ERROR_ROOM), AT) <= ERROR_ROOM - AT
    assert write_echo_reply(data, AT, room(MOST), AT) <= MOST
    assert (data == before).all()
    set_hop_limit(data, AT, 3)
    assert parse(data, AT, end).hop_limit == 3
    if data[1] == GSO_NONE:
        finish_checksum(data, AT, end)
        assert split(data, AT, parse(data, AT, end)).fault == SOUND


@given(data=st.binary(max_size=MOST))
@settings(deadline=None)
@example(data=b"")
@example(data=b"\0" * 10)
@example(data=b"\0" * 10 + b"\x45")
@example(data=b"\0" * 10 + b"\x60" + b"\0" * 39)
def test_random_octets_are_refused_or_usable(data: bytes) -> None:
    if len(data) >= AT:
        _used_to_the_full(octets(data))
    else:
        assert parse(octets(data), AT, len(data)).fault != SOUND


@given(data=damaged_frames())
@settings(deadline=None, max_examples=300)
def test_damaged_frames_are_refused_or_usable(data: bytes) -> None:
    if len(data) >= AT:
        _used_to_the_full(octets(data))
    else:
        assert parse(octets(data), AT, len(data)).fault != SOUND


def test_no_octet_outside_a_frame_is_touched() -> None:
    # uncompiled, an access outside an array is an IndexError; compiled it would go unnoticed
    program = (
        "from tests.emulator.inet.test_hostile_frames import *\n"
        "from emulator.jit import DISABLED\n"
        "assert DISABLED\n"
        "test_random_octets_are_refused_or_usable()\n"
        "test_damaged_frames_are_refused_or_usable()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
