"""Compute service: a first-come-first-served processor of a stated rate, and the real work behind it.

`Processor` decides when tasks begin and end: service time is cycles / (rate * speed), on absolute
deadlines, clock passed in. `Burner` keeps a process (nodes.burner) computing meanwhile, for a share of a
core. The end of a task never waits for the burner, so a busy machine makes the answer's chain shorter, not
the service longer: an accurate service time is what an observer estimates the server's rate from.
"""

from __future__ import annotations

import math
import mmap
import os
import subprocess
import sys
import tempfile
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nodes import burner
from nodes.tasks import Task


@dataclass
class Job:
    """A task in the processor. Times are ns on the node's clock; `core` is where it runs."""

    client: int
    tag: int
    task: Task
    arrived_ns: int
    core: int = -1
    begun_ns: int = 0
    finish_ns: int = 0
    traffic_class: int = 0
    _since_ns: int = 0
    _left: float = 0.0


class Processor:
    """`cores` servers of `rate_hz` cycles per second, and one queue of at most `queue_limit` tasks."""

    def __init__(self, rate_hz: float, cores: int = 1, queue_limit: int = 100) -> None:
        self.rate_hz = rate_hz
        self.speed = 1.0
        self.queue: deque[Job] = deque()
        self.running: list[Job] = []
        self._queue_limit = queue_limit
        self._free = list(range(cores))

    def submit(self, job: Job) -> bool:
        """Take a job in; False when the queue is full. Call `advance` afterwards."""
        if len(self.queue) >= self._queue_limit and not self._free:
            return False
        self.queue.append(job)
        return True

    def set_speed(self, factor: float, now_ns: int) -> None:
        """Run at this multiple of the rate from now on, running tasks included."""
        for job in self.running:
            job._left = max(0.0, job._left - (now_ns - job._since_ns) / 1e9 * self.rate_hz * self.speed)
            job._since_ns = now_ns
            job.finish_ns = now_ns + self._duration_ns(job._left, factor)
        self.speed = factor

    @property
    def due_ns(self) -> int | None:
        """When the next running task ends."""
        return min((job.finish_ns for job in self.running), default=None)

    def advance(self, now_ns: int) -> tuple[list[Job], list[Job]]:
        """The jobs that have ended and those that have begun since the last call."""
        ended = sorted(
            (job for job in self.running if job.finish_ns <= now_ns), key=lambda job: job.finish_ns
        )
        free_since = {job.core: job.finish_ns for job in ended}
        self._free += free_since
        self.running = [job for job in self.running if job.finish_ns > now_ns]
        begun = []
        while self.queue and self._free:
            job = self.queue.popleft()
            job.core = self._free.pop(0)
            # From the end of the task before, not from now: a late timer must not add up.
            since_ns = max(job.arrived_ns, free_since.get(job.core, now_ns))
            job.begun_ns, job._since_ns, job._left = since_ns, since_ns, float(job.task.cycles)
            job.finish_ns = since_ns + self._duration_ns(job._left, self.speed)
            self.running.append(job)
            begun.append(job)
        return ended, begun

    def _duration_ns(self, cycles: float, speed: float) -> int:
        return math.ceil(cycles / (self.rate_hz * speed) * 1e9)


class Burner:
    """A process that computes over a task's bytes until told otherwise."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._order = 0
        size = burner.BLOCK_AT + burner.BLOCK_MAX_BYTES
        descriptor = _anonymous_file()
        os.ftruncate(descriptor, size)
        self._memory = mmap.mmap(descriptor, size)
        # -I -S: no site packages to look through, it starts in a few milliseconds.
        command = [sys.executable, "-I", "-S", str(Path(burner.__file__)), str(descriptor)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, pass_fds=[descriptor])
        os.close(descriptor)
        assert self._process.stdin is not None
        self._orders = self._process.stdin
        os.set_blocking(self._orders.fileno(), False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self, data: bytes) -> None:
        """Leave what it does and compute over this task's bytes."""
        data = data[: burner.BLOCK_MAX_BYTES] or b"\0"
        self._memory[burner.BLOCK_AT : burner.BLOCK_AT + len(data)] = data
        self._tell(len(data))

    def rest(self) -> None:
        """Compute nothing until the next task."""
        self._tell(0)

    def progress(self) -> tuple[int, bytes]:
        """Rounds computed over the present task, and the chain's digest; (0, b"") when none was yet."""
        count, order, rounds, _, _, digest, count_again = self._read()
        if count != count_again or order != self._order or not rounds:
            return 0, b""
        return rounds, digest

    @property
    def cpu_s(self) -> float:
        """CPU time the process has taken."""
        return int(self._read()[3]) / 1e9

    @property
    def scheduling(self) -> str:
        """What the process obtained: idle, nice, normal; none when it is not (or no longer) there."""
        if self._process.poll() is not None:
            return "none"
        return burner.SCHEDULING[self._read()[4]]

    def close(self) -> None:
        """End the process."""
        self._orders.close()
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._memory.close()

    def _tell(self, length: int) -> None:
        self._order += 1
        with suppress(BrokenPipeError, BlockingIOError):  # gone, or starved: the task ends without its help
            self._orders.write(burner.ORDER.pack(self._order, length, self._share))

    def _read(self) -> tuple[int, int, int, int, int, bytes, int]:
        values: tuple[int, int, int, int, int, bytes, int] = burner.PROGRESS.unpack_from(self._memory)
        return values


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("nodes.burner")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
