"""Faults of a link: packets that arrive twice, and packets whose bits are damaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from emulator.jit import inline_packet_kernel
from emulator.links.random import CORRUPTION, DUPLICATION, uniform
from emulator.ranges import probability


@dataclass(frozen=True)
class Faults:
    """How often a packet arrives twice, and how often damaged: probabilities per packet."""

    duplicate: float = 0.0
    corrupt: float = 0.0

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for what is no probability."""
        probability(self, where, "duplicate", "corrupt")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        row["duplicate"] = self.duplicate
        row["corrupt"] = self.corrupt


@inline_packet_kernel
def is_duplicated(model: Any, link: Any, packet: Any) -> bool:
    """Whether a second copy of the packet arrives too."""
    return bool(
        model.duplicate > 0.0 and uniform(link.key, packet.port, packet.number, DUPLICATION) < model.duplicate
    )


@inline_packet_kernel
def is_corrupted(model: Any, link: Any, packet: Any) -> bool:
    """Whether bits of the packet are damaged."""
    return bool(
        model.corrupt > 0.0 and uniform(link.key, packet.port, packet.number, CORRUPTION) < model.corrupt
    )


@inline_packet_kernel
def damage(frame: Any, at: int, size: int, word: Any) -> None:
    """Flip one bit of the `size` bytes from `at` in `frame` (uint8); which, a random 64-bit `word` says."""
    if size > 0:
        # in halves, so that signed and unsigned words do the same
        bit = ((int(word) >> 1) & 0x7FFFFFFFFFFFFFFF) % (size * 8)
        frame[at + (bit >> 3)] ^= 1 << (bit & 7)
