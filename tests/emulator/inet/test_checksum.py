"""The Internet checksum against scapy's, in one piece, in parts, and changed in place."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.utils import checksum as scapy_checksum

from emulator.inet.checksum import add, fold, subtract, sum_octets, sum_words, updated
from tests.emulator.inet.frames import octets

words = st.integers(0, 0xFFFF)


@given(data=st.binary(max_size=3000), start=st.integers(0, 20))
@settings(deadline=None)
def test_the_complement_of_a_sum_is_the_checksum(data: bytes, start: int) -> None:
    array = octets(data)
    start = min(start, len(data))
    assert 0xFFFF - sum_octets(array, start, len(data)) == scapy_checksum(data[start:])


def test_the_largest_packet_of_the_largest_words_does_not_overflow() -> None:
    data = b"\xff" * 65_535
    assert 0xFFFF - sum_octets(octets(data), 0, len(data)) == scapy_checksum(data)


@given(data=st.binary(min_size=2, max_size=400), parting=st.integers(0, 200))
@settings(deadline=None)
def test_sums_of_parts_that_begin_at_even_places_add_up(data: bytes, parting: int) -> None:
    array, even = octets(data), min(2 * parting, len(data) // 2 * 2)
    parts = add(sum_octets(array, 0, even), sum_octets(array, even, len(data)))
    assert parts % 0xFFFF == sum_octets(array, 0, len(data)) % 0xFFFF


@given(one=words, other=words)
@settings(deadline=None)
def test_what_is_added_can_be_taken_out(one: int, other: int) -> None:
    assert subtract(add(one, other), other) % 0xFFFF == one % 0xFFFF


@given(total=st.integers(0, 2**48 - 1))
@settings(deadline=None)
def test_folding_keeps_the_remainder_of_the_words(total: int) -> None:
    assert 0 <= fold(total) <= 0xFFFF
    assert fold(total) % 0xFFFF == total % 0xFFFF


@given(data=st.binary(min_size=20, max_size=60), new=words, index=st.integers(0, 9))
@settings(deadline=None)
def test_a_changed_word_changes_the_checksum_as_if_summed_again(data: bytes, new: int, index: int) -> None:
    # one word is never zero, like an IP header's first: then the checksum has one form only
    data = b"\x45" + data[1 : len(data) // 2 * 2]
    before = scapy_checksum(data)
    old = int.from_bytes(data[2 * index : 2 * index + 2], "big")
    changed = data[: 2 * index] + new.to_bytes(2, "big") + data[2 * index + 2 :]
    assert updated(before, old, new) % 0xFFFF == scapy_checksum(changed) % 0xFFFF


def test_the_example_of_rfc_1624_gives_zero() -> None:
    # Section 4: checksum 0xdd2f, a field goes from 0x5555 to 0x3285; the older equation gave 0xffff.
    assert updated(0xDD2F, 0x5555, 0x3285) == 0x0000


@given(data=st.binary(min_size=20, max_size=60))
@settings(deadline=None)
def test_a_header_sums_to_all_ones_when_its_checksum_is_right(data: bytes) -> None:
    header = bytearray(data[: len(data) // 4 * 4])
    header[0] = 0x45
    header[10:12] = b"\0\0"
    header[10:12] = scapy_checksum(bytes(header)).to_bytes(2, "big")
    assert sum_words(octets(header), 0, len(header)) == 0xFFFF
    header[15] ^= 1
    assert sum_words(octets(header), 0, len(header)) != 0xFFFF
