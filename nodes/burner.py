"""The process that really computes: a hash chain over a task's bytes, for a share of one core.

Started by nodes.work as a script with the standard library alone. It is a process of its own, at the idle
priority where the system grants it, because a thread of that priority could be stopped while it holds the
interpreter's lock, and would stop its node with it. Orders come by stdin; the task's bytes and the progress
lie in memory shared with the node, so that the node never waits for this process.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import select
import signal
import struct
import sys
import time
from contextlib import suppress

#: an order: its number, bytes of the task (0: rest), share of a core
ORDER = struct.Struct("<QQd")
#: progress: count, order, rounds, CPU time of the process in ns, scheduling, digest, count again
PROGRESS = struct.Struct("<QQQQQ32sQ")
#: where the task's bytes begin in the shared memory, and how many fit: the chain goes over these
BLOCK_AT = 4096
BLOCK_MAX_BYTES = 4 * 1024 * 1024
SCHEDULING = ("none", "idle", "nice", "normal")

_ROUND_MIN_BYTES = 64 * 1024
_SLICE_NS = 1_000_000


def chain(data: bytes, rounds: int) -> bytes:
    """The digest after so many rounds over the task's bytes: SHA-256 of (previous digest, block).

    The block is the task's first BLOCK_MAX_BYTES, repeated up to 64 KiB so that a round has a size.
    """
    block, digest = block_of(data), b""
    for _ in range(rounds):
        digest = _round(digest, block)
    return digest


def block_of(data: bytes) -> bytes:
    """What one round of the chain is computed over."""
    data = data[:BLOCK_MAX_BYTES] or b"\0"
    return data * max(1, -(-_ROUND_MIN_BYTES // len(data)))


def _round(digest: bytes, block: bytes) -> bytes:
    state = hashlib.sha256(digest)
    state.update(block)
    return state.digest()


def _lower_priority() -> int:
    """Take the idle scheduling class, or the lowest nice value; index into SCHEDULING."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        return 1
    with suppress(OSError):
        os.nice(19)
        return 2
    return 3


class _Work:
    """One order being carried out."""

    def __init__(self, memory: mmap.mmap, scheduling: int) -> None:
        self._memory = memory
        self._scheduling = scheduling
        self._count = 0
        self.publish(0, 0, bytes(32))

    def publish(self, order: int, rounds: int, digest: bytes) -> None:
        self._count += 1
        cpu_ns = time.process_time_ns()
        PROGRESS.pack_into(
            self._memory, 0, self._count, order, rounds, cpu_ns, self._scheduling, digest, self._count
        )

    def carry_out(self, order: int, length: int, share: float) -> None:
        """Burn `share` of each slice until the next order, or the end, waits on stdin."""
        block = block_of(self._memory[BLOCK_AT : BLOCK_AT + length])
        digest, rounds, budget_ns = b"", 0, 0.0
        slice_end_ns = time.monotonic_ns()
        while True:
            budget_ns += share * _SLICE_NS
            begun_ns = time.process_time_ns()
            while budget_ns > 0:
                digest, rounds = _round(digest, block), rounds + 1
                now_ns = time.process_time_ns()
                budget_ns -= now_ns - begun_ns
                begun_ns = now_ns
            self.publish(order, rounds, digest)
            # Slices missed for want of a core are not made up for: the share is of time that was there.
            slice_end_ns = max(slice_end_ns + _SLICE_NS, time.monotonic_ns() - _SLICE_NS)
            wait_s = max(0.0, (slice_end_ns - time.monotonic_ns()) / 1e9)
            if select.select([0], [], [], wait_s)[0]:
                return


def main(descriptor: int) -> None:
    """Serve orders until stdin ends; `descriptor` is the shared memory's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node ends first, and stdin with it
    memory = mmap.mmap(descriptor, 0)
    work = _Work(memory, _lower_priority())
    while len(data := os.read(0, ORDER.size)) == ORDER.size:
        order, length, share = ORDER.unpack(data)
        if length:
            work.carry_out(order, length, share)


if __name__ == "__main__":
    main(int(sys.argv[1]))
