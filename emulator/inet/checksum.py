"""The Internet checksum (RFC 1071), whole and in parts, and changed without summing again (RFC 1624).

A *sum* here is a ones' complement sum of 16-bit words in 0..0xffff, not yet complemented; sums of parts
that begin at even places add up with `add`. Nothing here knows what is in a packet.
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

from emulator.inet.octets import LITTLE_ENDIAN, Octets, native16, native32, octet
from emulator.jit import inline_kernel, kernel


@inline_kernel
def fold(total: int) -> int:
    """A total of sums below 2^48 as one sum."""
    total = (total & 0xFFFFFFFF) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@inline_kernel
def add(one: int, other: int) -> int:
    """The sum of two sums."""
    total = one + other
    return (total & 0xFFFF) + (total >> 16)


@inline_kernel
def subtract(one: int, other: int) -> int:
    """The sum that remains when the part whose sum is `other` is taken out."""
    total = one + (0xFFFF - other)
    return (total & 0xFFFF) + (total >> 16)


@kernel
def sum_octets(octets: Octets, start: int, end: int) -> int:
    """Sum of the octets [start, end), an odd last one padded with zero (RFC 1071 section 1).

    The sum does not depend on the order of octets but for one exchange at the end (section 2 B), so the
    words are read as the machine reads them, two at once, into a total that 64 kB cannot overflow.
    """
    words = (end - start) >> 2
    total = 0
    for k in range(words):
        total += native32(octets, start + 4 * k)
    rest = start + 4 * words
    if end - rest >= 2:
        total += native16(octets, rest)
        rest += 2
    if rest < end:
        total += octet(octets, rest) if LITTLE_ENDIAN else octet(octets, rest) << 8
    total = fold(total)
    if LITTLE_ENDIAN:
        total = ((total & 0xFF) << 8) | (total >> 8)
    return total


@inline_kernel
def sum_words(octets: Octets, start: int, count: int) -> int:
    """Sum of `count` octets in the machine's order, a multiple of four and at least 20: an IPv4 header.

    For the one question whether it is 0xffff, which has the same answer in either order.
    """
    total = native32(octets, start) + native32(octets, start + 4) + native32(octets, start + 8)
    total += native32(octets, start + 12) + native32(octets, start + 16)
    for index in range(start + 20, start + count, 4):
        total += native32(octets, index)
    return fold(total)


@inline_kernel
def updated(checksum: int, old: int, new: int) -> int:
    """A checksum (complemented, as in the packet) after one 16-bit word has changed: RFC 1624 equation 3."""
    return 0xFFFF - add(add(0xFFFF - checksum, 0xFFFF - old), new)
