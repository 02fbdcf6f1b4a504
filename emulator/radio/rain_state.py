"""A Gauss-Markov state at any moment of a boundless time axis, as a pure function of a key.

The state is the normal, exponentially correlated variable behind ITU-R P.1853's rain: mean 0, variance
1, correlation exp(-beta |dt|). Nothing is stepped: between independent anchors it is refined by halves,
each middle drawn from its distribution given both ends (the process is Markov, so this is exact), with
random numbers that are hashes of key and second. So a value depends on nothing but its own time.
Between full seconds, the sampling of P.1853, it is linear.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, Final

import numpy as np

from emulator.jit import kernel
from emulator.links.random import mix

#: ITU-R P.1853-1 annex 1 section 2.2 step B, 1/s: correlation falls to 1/e in 83 minutes
BETA_1_S: Final = 2e-4
#: anchors lie 2^LEVELS seconds apart (36 h): their correlation, 4e-12, is taken for none
LEVELS: Final = 17

_HALVES = 2.0 ** np.arange(LEVELS - 1, -1, -1)
_DECAY = np.exp(-BETA_1_S * _HALVES)
#: of the middle of an interval of level i, given its ends: weight of each end, standard deviation
_WEIGHT = _DECAY / (1.0 + _DECAY**2)
_SIGMA = np.sqrt((1.0 - _DECAY**2) / (1.0 + _DECAY**2))

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_32 = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_UNIT = 1.0 / 4294967296.0


@kernel
def normal(key: Any, second: Any) -> float:
    """A standard normal number for a second of a key's time axis (Box and Muller 1958)."""
    word = mix(np.uint64(second) * _GOLDEN + np.uint64(key))
    radius = math.sqrt(-2.0 * math.log((float(word >> _32) + 0.5) * _UNIT))
    return radius * math.cos(2.0 * math.pi * _UNIT * float(word & _LOW))


@kernel
def fill_states(key: Any, start_s: float, step_s: float, out: Any) -> None:
    """The state at start_s, start_s + step_s, ... into out [n]; the step may have any sign.

    The halves around the last moment are kept, so that a run of moments costs little more than one.
    """
    span = 1 << LEVELS
    begin = np.zeros(LEVELS + 1, dtype=np.int64)
    left = np.zeros(LEVELS + 1)
    right = np.zeros(LEVELS + 1)
    known = -1
    for k in range(len(out)):
        t = start_s + k * step_s
        second = math.floor(t)
        part = t - second
        level = known
        while level >= 0 and not begin[level] <= second < begin[level] + (span >> level):
            level -= 1
        if level < 0:
            level = 0
            begin[0] = second // span * span
            left[0] = normal(key, begin[0])
            right[0] = normal(key, begin[0] + span)
        while level < LEVELS and not (part == 0.0 and begin[level] == second):
            half = span >> (level + 1)
            middle = begin[level] + half
            value = _WEIGHT[level] * (left[level] + right[level]) + _SIGMA[level] * normal(key, middle)
            if second < middle:
                begin[level + 1], left[level + 1], right[level + 1] = begin[level], left[level], value
            else:
                begin[level + 1], left[level + 1], right[level + 1] = middle, value, right[level]
            level += 1
        known = level
        out[k] = left[level] + (right[level] - left[level]) * part if part > 0.0 else left[level]


def place_key(seed: int, place: str) -> int:
    """The 64-bit key of a place's rain in a run: from the run's seed and the name of the place."""
    return int.from_bytes(
        hashlib.blake2b(f"{seed}\x00rain\x00{place}".encode(), digest_size=8).digest(), "little"
    )
