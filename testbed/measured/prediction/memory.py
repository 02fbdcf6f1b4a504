"""What is remembered of the samples that became known: histograms with different memories, compiled.

Row 0 counts everything ever seen, the next rows forget with the time constants `FORGET_S`, the last counts
the present slot. Values are u = log(value + shift) on bins that the calibration data laid out (`adaptive`).
A bin b holds what is above edge b - 1 and not above edge b; the last one also what is above it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array
from testbed.measured.prediction.compiling import fill, kernel

#: time constants of the memories that forget, s
FORGET_S: Final[Array] = np.array([0.3, 1.5, 8.0, 40.0])
ROWS: Final = len(FORGET_S) + 2
ALL: Final = 0
SLOT: Final = ROWS - 1
#: a memory with fewer samples than this is filled up from the memory of everything
_LEAST: Final = 0.02
#: of `clock`: when the last sample known was sent, and when the present slot began, s
LAST_SENT, SLOT_BEGAN = 0, 1


class Memory(NamedTuple):
    """Histograms [rows, bins], and of each row the numbers of samples, and sums of u."""

    histogram: Array
    number: Array
    total: Array
    #: the sum and the number of the slot before
    before: Array
    #: see `LAST_SENT`
    clock: Array
    #: number of the present slot [1]; of networks without slots it is always 0
    slot: NDArray[np.int64]


def new_memory(bins: int) -> Memory:
    return Memory(
        np.zeros((ROWS, bins)), np.zeros(ROWS), np.zeros(ROWS), np.zeros(2), np.full(2, -np.inf),
        np.full(1, np.iinfo(np.int64).min),
    )  # fmt: skip


@kernel
def begin_session(memory: Memory) -> None:
    """Forget what is only good for samples that follow at once: another recording begins."""
    for row in range(1, ROWS):
        fill(memory.histogram[row], 0.0)
        memory.number[row] = 0.0
        memory.total[row] = 0.0
    fill(memory.before, 0.0)
    fill(memory.clock, -np.inf)
    memory.slot[0] = np.iinfo(np.int64).min


@kernel
def begin_slot(memory: Memory, number: int, begin_s: float) -> None:
    """The slot `number` begins at `begin_s`."""
    memory.before[0], memory.before[1] = memory.total[SLOT], memory.number[SLOT]
    fill(memory.histogram[SLOT], 0.0)
    memory.number[SLOT] = 0.0
    memory.total[SLOT] = 0.0
    memory.slot[0] = number
    memory.clock[SLOT_BEGAN] = begin_s


@kernel
def remember(memory: Memory, sent_s: float, u: float, bin_: int, in_slot: bool) -> None:
    """Take a sample; one of an earlier slot that comes late does not count for the present one."""
    elapsed_s = max(sent_s - memory.clock[LAST_SENT], 0.0)
    memory.clock[LAST_SENT] = max(sent_s, memory.clock[LAST_SENT])
    for row in range(ROWS):
        if row == SLOT and not in_slot:
            continue
        if 0 < row < SLOT:
            keep = np.exp(-elapsed_s / FORGET_S[row - 1])
            memory.number[row] *= keep
            memory.total[row] *= keep
            for b in range(memory.histogram.shape[1]):
                memory.histogram[row, b] *= keep
        memory.histogram[row, bin_] += 1.0
        memory.number[row] += 1.0
        memory.total[row] += u


@kernel
def mean_of(memory: Memory, row: int, otherwise: float) -> float:
    """Mean of u in a row, drawn to `otherwise` where it holds next to nothing."""
    return (memory.total[row] + _LEAST * otherwise) / (memory.number[row] + _LEAST)


@kernel
def distribution_of(memory: Memory, row: int, out: Array) -> None:
    """Distribution function [bins] at the bins' upper edges, filled up from that of everything."""
    weight = _LEAST / memory.number[ALL]
    whole = memory.number[row] + _LEAST
    reached = 0.0
    for b in range(len(out)):
        reached += memory.histogram[row, b] + weight * memory.histogram[ALL, b]
        out[b] = reached / whole
