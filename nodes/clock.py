"""What a node takes for the time: the host's monotonic clock, unless its own is wrong by a known law.

Only what a node says about time is stamped with it (packets, heartbeats). Its timers and its telemetry stay
on the run's clock: a wrong clock must not move a node's traffic, nor its records into other windows.
"""

from __future__ import annotations


class NodeClock:
    """A clock that is ahead of the host's by an offset which may grow; at first it is the host's own."""

    __slots__ = ("_offset_ns", "_since_ns", "_skew")

    def __init__(self) -> None:
        self._offset_ns = 0
        self._skew = 0.0
        self._since_ns = 0

    def set(self, offset_ms: float, skew_ppm: float, now_ns: int) -> None:
        """From `now_ns` of the host on it is `offset_ms` ahead, and `skew_ppm` us more each second."""
        self._offset_ns = round(offset_ms * 1e6)
        self._skew = skew_ppm * 1e-6
        self._since_ns = now_ns

    def at(self, host_ns: int) -> int:
        """What it shows at a time of the host's monotonic clock; both ns."""
        return host_ns + self._offset_ns + round(self._skew * (host_ns - self._since_ns))
