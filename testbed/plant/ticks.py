"""When the plant looks after its packets: the log is emptied often, a window closed just after its end.

Counters of a window are read when it is closed, so the moments of closing must lie exactly a window apart.
"""

from __future__ import annotations

from typing import Final

_DRAIN_NS: Final = 100_000_000
#: after a window's end, time for its last events to be logged
_SETTLE_NS: Final = 30_000_000


class Ticks:
    """The moments of a run that began at `t0_ns`; all times CLOCK_MONOTONIC ns."""

    def __init__(self, t0_ns: int, window_ns: int, now_ns: int) -> None:
        self._t0_ns, self._window_ns = t0_ns, window_ns
        self._drain_ns = now_ns
        #: number of the window that is open
        self.window = 0

    @property
    def end_ns(self) -> int:
        """The end of the open window."""
        return self._t0_ns + (self.window + 1) * self._window_ns

    @property
    def next_ns(self) -> int:
        """When there is something to do next: the log to be emptied, and the window closed if it is over."""
        return min(self._drain_ns, self.end_ns + _SETTLE_NS)

    def drained(self, now_ns: int) -> None:
        """The log was emptied now."""
        self._drain_ns = now_ns + _DRAIN_NS

    def over(self, now_ns: int) -> bool:
        """Whether the open window can be closed."""
        return now_ns >= self.end_ns + _SETTLE_NS
