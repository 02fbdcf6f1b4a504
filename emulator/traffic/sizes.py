"""How long the packets of a flow are: always the same, evenly from a range, or drawn from a table.

What a user states and the kernel that draws stand side by side. The size of a packet is a function of its
flow and its number alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from emulator.jit import inline_packet_kernel
from emulator.links.random import uniform
from emulator.traffic.errors import TrafficError
from emulator.traffic.layout import EACH, EMPIRICAL, FIXED, SAME, UNIFORM

#: purpose of the draw
_SIZE: Final = 101
#: the longest packet of IP
_LONGEST_BYTES: Final = 65_535


def _check(bytes_: object, what: str) -> None:
    if isinstance(bytes_, bool) or not isinstance(bytes_, int) or not 1 <= bytes_ <= _LONGEST_BYTES:
        raise TrafficError(f"{what} is {bytes_!r}, allowed: 1 to {_LONGEST_BYTES} bytes, whole")


@dataclass(frozen=True)
class Fixed:
    """Every packet has `length_bytes`."""

    length_bytes: int

    def check(self, where: str) -> None:
        """TrafficError for a length that no packet can have."""
        _check(self.length_bytes, f"{where}length_bytes")


@dataclass(frozen=True)
class Uniform:
    """Evenly from `low_bytes` to `high_bytes`, both included."""

    low_bytes: int
    high_bytes: int

    def check(self, where: str) -> None:
        """TrafficError for lengths that no packet can have, or the wrong way round."""
        _check(self.low_bytes, f"{where}low_bytes")
        _check(self.high_bytes, f"{where}high_bytes")
        if self.low_bytes > self.high_bytes:
            raise TrafficError(
                f"{where}low_bytes is {self.low_bytes}, allowed: at most high_bytes = {self.high_bytes}"
            )


@dataclass(frozen=True)
class Empirical:
    """One of `lengths_bytes`, each as likely as another: a length stated twice comes twice as often."""

    lengths_bytes: Sequence[int]

    def check(self, where: str) -> None:
        """TrafficError for no lengths at all, or one that no packet can have."""
        if not len(self.lengths_bytes):
            raise TrafficError(f"{where}lengths_bytes is empty, allowed: at least one length")
        for index in (min, max):
            _check(int(index(self.lengths_bytes)), f"{where}lengths_bytes")


Sizes = Fixed | Uniform | Empirical


def write(row: Any, size: Sizes | None, pool: list[int]) -> None:
    """Into a FLOW row; None: as long as what it follows. `pool` takes the tables of all flows."""
    if size is None:
        row["size_kind"] = SAME
    elif isinstance(size, Fixed):
        row["size_kind"], row["size_low"] = FIXED, size.length_bytes
    elif isinstance(size, Uniform):
        row["size_kind"], row["size_low"], row["size_high"] = UNIFORM, size.low_bytes, size.high_bytes
    else:
        row["size_kind"], row["size_low"], row["size_high"] = EMPIRICAL, len(pool), len(size.lengths_bytes)
        pool.extend(int(length) for length in size.lengths_bytes)


@inline_packet_kernel
def length_bytes(flow: Any, lengths: Any, number: int, packet: int, same: int) -> int:
    """Length of a flow's packet of that number, which is number `packet` of its message.

    `same`: length of the packet that it follows.
    """
    length = flow.size_low
    if packet == flow.packets - 1 and flow.size_last > 0:
        length = flow.size_last
    elif flow.size_kind == UNIFORM:
        span = flow.size_high - flow.size_low + 1
        length += int(uniform(flow.key, 0, number, _SIZE) * span)
    elif flow.size_kind == EMPIRICAL:
        length = lengths[flow.size_low + int(uniform(flow.key, 0, number, _SIZE) * flow.size_high)]
    elif flow.size_kind == EACH:
        length = lengths[flow.size_low + flow.message]
    elif flow.size_kind == SAME:
        length = same
    return int(length)
