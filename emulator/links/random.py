"""Random numbers as a pure function of (link, packet, purpose).

No generator has a state: a draw is a hash of who asks. The same packet on the same link meets the
same fate however the packets of other senders interleave with it, in real and in virtual time.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np

from emulator.jit import packet_kernel

# Purposes, so that one packet's draws are independent of each other.
LOSS: Final = 1
JITTER: Final = 2
BURST: Final = 3
DUPLICATION: Final = 4
CORRUPTION: Final = 5
BACKOFF: Final = 6  # BACKOFF + attempt: one draw for each
PROCESS: Final = 1000  # PROCESS + part of a generated process

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_30 = np.uint64(30)
_27 = np.uint64(27)
_31 = np.uint64(31)
_11 = np.uint64(11)
_40 = np.uint64(40)


@packet_kernel
def mix(word: Any) -> Any:
    """SplitMix64's output function (Steele, Lea and Flood 2014): a bijection that spreads every bit."""
    word = (word ^ (word >> _30)) * _MIX_1
    word = (word ^ (word >> _27)) * _MIX_2
    return word ^ (word >> _31)


@packet_kernel
def uniform(key: Any, port: Any, packet: Any, purpose: Any) -> float:
    """Uniform in [0, 1) from a link's key, the port and number of a packet, and the purpose."""
    word = mix(np.uint64(packet) * _GOLDEN + np.uint64(key))
    word = mix(word ^ ((np.uint64(port) << _40) + np.uint64(purpose) * _GOLDEN))
    return float(word >> _11) * (1.0 / 9007199254740992.0)


def link_key(seed: int, from_place: str, to_place: str) -> int:
    """The 64-bit key of a link in a run: from the run's seed and the names of its ends."""
    name = f"{seed}\x00{from_place}\x00{to_place}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")
