"""What a reading of a sensor looks like inside a packet: a running number and a value, then zeros.

Who receives readings may read the value; the network never does.
"""

from __future__ import annotations

import struct
from typing import Final

_READING = struct.Struct("<Id")
#: magnitudes of what can be a value: other bytes, read as one, mostly lie outside
_LEAST: Final = 1e-6
_MOST: Final = 1e9


def pack_reading(number: int, value: float, size: int) -> bytes:
    """A reading of `size` bytes; what does not fit is cut off."""
    return _READING.pack(number & 0xFFFFFFFF, value).ljust(size, b"\0")[:size]


def value_of(payload: bytes) -> float | None:
    """The value of a reading; None when these bytes are none."""
    if len(payload) < _READING.size:
        return None
    value = float(_READING.unpack_from(payload)[1])
    return value if value == 0.0 or _LEAST <= abs(value) <= _MOST else None
