"""An array to which blocks are appended, for as many rows as a file turns out to have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Growing:
    """An array [n] to which blocks are appended; grown in place, so that it never exists twice."""

    def __init__(self, kind: type[np.generic]) -> None:
        self._array: NDArray[Any] = np.empty(1 << 12, kind)
        self._used = 0

    def add(self, block: NDArray[Any]) -> None:
        needed = self._used + len(block)
        if needed > len(self._array):
            # the memory allocator moves pages, not bytes, when arrays of this size grow
            self._array.resize(max(needed, len(self._array) * 5 // 4), refcheck=False)
        self._array[self._used : needed] = block
        self._used = needed

    def take(self) -> NDArray[Any]:
        """What was added; nothing can be added after it."""
        self._array.resize(self._used, refcheck=False)
        result, self._array = self._array, np.empty(0, self._array.dtype)
        return result
