"""What a compute task and its answer look like inside a transfer. No computing here (see nodes.work).

Both are little-endian. Task: cycles to spend (u64), then the bytes to work on. Answer: status (u8), rounds
of the hash chain that were really computed (u32), service and queueing time in s (f64 each), then the digest.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

DONE: Final = 0
REFUSED: Final = 1  # the server's queue was full
MALFORMED: Final = 2  # not a task
STATUS_NAMES: Final = ("done", "refused", "malformed")

_TASK = struct.Struct("<Q")
_ANSWER = struct.Struct("<BIdd")


class Task(NamedTuple):
    cycles: int
    data: bytes


class Answer(NamedTuple):
    status: int
    rounds: int = 0
    service_s: float = 0.0
    queue_s: float = 0.0
    digest: bytes = b""


def pack_task(task: Task) -> bytes:
    """A task as the data of a transfer."""
    return _TASK.pack(task.cycles) + task.data


def unpack_task(data: bytes) -> Task | None:
    """The task in a transfer's data, or None when there is none."""
    if len(data) < _TASK.size:
        return None
    (cycles,) = _TASK.unpack_from(data)
    return Task(cycles, data[_TASK.size :])


def pack_answer(answer: Answer) -> bytes:
    """An answer as the data of a transfer."""
    return _ANSWER.pack(answer.status, answer.rounds, answer.service_s, answer.queue_s) + answer.digest


def unpack_answer(data: bytes) -> Answer | None:
    """The answer in a transfer's data, or None when there is none."""
    if len(data) < _ANSWER.size or data[0] >= len(STATUS_NAMES):
        return None
    status, rounds, service_s, queue_s = _ANSWER.unpack_from(data)
    return Answer(status, rounds, service_s, queue_s, data[_ANSWER.size :])
