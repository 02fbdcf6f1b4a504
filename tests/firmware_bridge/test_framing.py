import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.framing import (
    MAX_PACKET_BYTES,
    MIN_PACKET_BYTES,
    Deframer,
    FramingError,
    cobs_decode,
    cobs_encode,
    encode_frame,
)


def packet_of(data: bytes) -> bytes:
    """A packet whose header is all zero but for a right length field."""
    return bytes(4) + (len(data) - 1).to_bytes(2, "big") + data


packets = st.binary(min_size=1, max_size=MAX_PACKET_BYTES - 6).map(packet_of)


# Examples of the encoding as its authors define it (Cheshire and Baker 1999, section 3).
@pytest.mark.parametrize(
    ("plain", "encoded"),
    [
        (b"", b"\x01"),
        (b"\x00", b"\x01\x01"),
        (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33"),
        (b"\x11\x00\x00\x00", b"\x02\x11\x01\x01\x01"),
        (bytes(range(1, 255)), b"\xff" + bytes(range(1, 255))),
        (bytes(range(1, 256)), b"\xff" + bytes(range(1, 255)) + b"\x02\xff"),
        (bytes(range(1, 255)) + b"\x00", b"\xff" + bytes(range(1, 255)) + b"\x01\x01"),
        (bytes(range(255)), b"\x01\xff" + bytes(range(1, 255))),
    ],
)
def test_cobs_encodes_the_published_examples(plain: bytes, encoded: bytes) -> None:
    assert cobs_encode(plain) == encoded
    assert cobs_decode(encoded) == plain


@given(
    st.one_of(
        st.binary(max_size=800), st.binary(min_size=240, max_size=600).map(lambda b: b.replace(b"\0", b"x"))
    )
)
def test_cobs_returns_what_it_was_given_and_leaves_no_zero(data: bytes) -> None:
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert cobs_decode(encoded) == data
    assert len(encoded) <= len(data) + 1 + len(data) // 254


@pytest.mark.parametrize("block", [b"", b"\x05ab", b"\x03a\x00", b"\x02"])
def test_cobs_refuses_what_it_cannot_have_encoded(block: bytes) -> None:
    with pytest.raises(FramingError):
        cobs_decode(block)


@given(st.lists(packets, max_size=8), st.integers(1, 64))
def test_packets_come_out_whole_whatever_the_pieces(sent: list[bytes], piece: int) -> None:
    line = b"\x00" + b"".join(encode_frame(packet) for packet in sent)
    deframer = Deframer()
    received = [p for at in range(0, len(line), piece) for p in deframer.feed(line[at : at + piece])]
    assert received == sent
    assert deframer.counters.frames == len(sent)
    assert deframer.counters.damaged == 0
    assert deframer.counters.bytes_in == len(line)


@given(packets)
def test_a_frame_is_one_byte_longer_than_its_content_and_its_delimiter(packet: bytes) -> None:
    assert len(encode_frame(packet)) == len(packet) + 4 + 1 + 1


@given(st.binary(max_size=2_000), packets)
def test_after_any_garbage_the_next_delimiter_restores_order(garbage: bytes, packet: bytes) -> None:
    deframer = Deframer()
    deframer.feed(garbage)
    assert deframer.feed(b"\x00" + encode_frame(packet))[-1] == packet


def test_each_kind_of_damage_has_its_counter() -> None:
    packet = packet_of(b"reading")
    frame = encode_frame(packet)
    lying = packet[:4] + b"\x00\x03" + packet[6:]
    deframer = Deframer()
    deframer.feed(b"\xff" + frame)  # a code byte that points outside
    deframer.feed(frame[:-3] + bytes([frame[-3] ^ 1 or 2]) + frame[-2:])
    deframer.feed(cobs_encode(lying + zlib.crc32(lying).to_bytes(4, "big")) + b"\x00")
    deframer.feed(b"x" * 5_000 + b"\x00")
    counters = deframer.counters
    assert (counters.damaged_cobs, counters.damaged_crc, counters.damaged_length, counters.overlong) == (
        1,
        1,
        1,
        1,
    )
    assert counters.frames == 0
    assert deframer.feed(frame) == [packet]


def test_a_line_without_delimiters_takes_no_memory() -> None:
    deframer = Deframer()
    for _ in range(100):
        deframer.feed(b"y" * 1_000)
    assert len(deframer._pending) <= 256
    assert deframer.feed(b"\x00") == []
    assert deframer.counters.overlong == 1


@pytest.mark.parametrize("size", [0, MIN_PACKET_BYTES - 1, MAX_PACKET_BYTES + 1])
def test_a_packet_of_impossible_size_is_not_framed(size: int) -> None:
    with pytest.raises(FramingError, match="bytes"):
        encode_frame(bytes(size))


def test_a_packet_with_a_wrong_length_field_is_not_framed() -> None:
    with pytest.raises(FramingError, match="length field"):
        encode_frame(packet_of(b"abc") + b"d")


def flip_bits(rng: random.Random, frame: bytearray) -> None:
    for _ in range(rng.randint(1, 6)):
        frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)


def drop_byte(rng: random.Random, frame: bytearray) -> None:
    del frame[rng.randrange(len(frame))]


def burst(rng: random.Random, frame: bytearray) -> None:
    start = rng.randrange(len(frame))
    for at in range(start, min(len(frame), start + rng.randint(2, 12))):
        frame[at] = rng.randrange(256)


def insert_byte(rng: random.Random, frame: bytearray) -> None:
    frame.insert(rng.randrange(len(frame)), rng.randrange(256))


@pytest.mark.parametrize("damage", [flip_bits, drop_byte, burst, insert_byte])
def test_no_damage_goes_undetected_in_twenty_thousand_frames(damage) -> None:  # type: ignore[no-untyped-def]
    rng = random.Random(20)
    stopped = undetected = 0
    deframer = Deframer()
    for _ in range(20_000):
        packet = packet_of(rng.randbytes(34))
        frame = bytearray(encode_frame(packet))
        damage(rng, frame)
        received = deframer.feed(b"\x00" + bytes(frame) + b"\x00")
        # The packet itself may come through: a byte was changed to what it was, or the delimiter was hit.
        stopped += not received
        undetected += any(got != packet for got in received)
    assert stopped > 15_000
    assert undetected == 0
    assert deframer.counters.damaged >= stopped
