"""The cycle in which a path serves its terminals, found and used within a slot, compiled.

A terminal is served in turn with others: within a slot a probe's delay depends on when in the cycle it was
sent. Cycles are whole numbers of frames, of which Starlink has 750 a second (Humphreys, Iannucci, Komodromos
and Graff 2023, "Signal structure of the Starlink Ku-band downlink", IEEE TAES 59(5)); where there is no such
cycle none is found, and nothing is predicted from it. How many frames a cycle has changes from slot to slot.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array
from testbed.measured.prediction.compiling import copy_to, fill, kernel

FRAMES_PER_S: Final = 750.0
#: cycles looked for, frames: 11 to 93 ms
SHORTEST: Final = 8
LONGEST: Final = 70
#: parts of a frame that are told apart
_PARTS: Final = 2
#: samples of the slot that are kept; the oldest make room
_KEPT: Final = 2048
#: a part of the cycle has a mean of its own only by what it has seen more than this
_SHRINK: Final = 5.0
#: deviations count up to this many standard deviations
_MOST_DEVIATIONS: Final = 2.5
#: samples of the slot before a cycle is believed, and the share of the variance that it must have predicted
_LEAST_SAMPLES: Final = 60
_LEAST_SHARE: Final = 0.01
#: with this share a cycle is clear
CLEAR_SHARE: Final = 0.05
#: samples as far from a phase as this count for it, frames; and they are forgotten with this time, s
_NEAR: Final = 0.6
_FORGET_S: Final = 8.0
#: samples that the distribution without a cycle counts as
_PRIOR: Final = 3.0


class Cycle(NamedTuple):
    """Sums and counts [cycles, parts] of deviations, and what each cycle has predicted of them so far.

    `gain` [cycles]: reduction of the sum of squares; `power` [1]: the sum of squares; moments of the slot:
    number, mean, sum of squared deviations; the samples' times in frames, their bins, and how many [1].
    """

    sums: Array
    counts: Array
    gain: Array
    power: Array
    moments: Array
    frames: Array
    bins: NDArray[np.int64]
    number: NDArray[np.int64]


def new_cycle() -> Cycle:
    cycles = LONGEST + 1
    parts = (cycles, _PARTS * cycles)
    return Cycle(
        np.zeros(parts), np.zeros(parts), np.zeros(cycles), np.zeros(1), np.zeros(3), np.zeros(_KEPT),
        np.zeros(_KEPT, np.int64), np.zeros(1, np.int64),
    )  # fmt: skip


@kernel
def begin_cycles(cycle: Cycle) -> None:
    """Another slot has begun: its cycle is another."""
    for length in range(SHORTEST, LONGEST + 1):
        fill(cycle.sums[length], 0.0)
        fill(cycle.counts[length], 0.0)
    fill(cycle.gain, 0.0)
    cycle.power[0] = 0.0
    fill(cycle.moments, 0.0)
    cycle.number[0] = 0


@kernel
def learn_cycle(cycle: Cycle, since_s: float, u: float, bin_: int) -> None:
    """A sample was sent `since_s` after the slot's begin; each cycle predicts it first, then learns it."""
    frame = since_s * FRAMES_PER_S
    place = cycle.number[0] % _KEPT
    cycle.frames[place] = frame
    cycle.bins[place] = bin_
    cycle.number[0] += 1
    moments = cycle.moments
    moments[0] += 1.0
    step = u - moments[1]
    moments[1] += step / moments[0]
    moments[2] += step * (u - moments[1])
    most = _MOST_DEVIATIONS * np.sqrt(moments[2] / moments[0])
    error = min(max(u - moments[1], -most), most)
    cycle.power[0] += error * error
    for length in range(SHORTEST, LONGEST + 1):
        parts = _PARTS * length
        part = min(int(_PARTS * (frame - length * np.floor(frame / length))), parts - 1)
        below, above = (part - 1) % parts, (part + 1) % parts
        sums, counts = cycle.sums[length], cycle.counts[length]
        total = sums[part] + 0.5 * (sums[below] + sums[above])
        count = counts[part] + 0.5 * (counts[below] + counts[above])
        left = error - total / (count + _SHRINK)
        cycle.gain[length] += error * error - left * left
        sums[part] += error
        counts[part] += 1.0


@kernel
def best_cycle(cycle: Cycle) -> tuple[int, float]:
    """Frames of the cycle that has predicted most, and the share of the variance; 0 when none is believed."""
    best = SHORTEST
    for length in range(SHORTEST + 1, LONGEST + 1):
        if cycle.gain[length] > cycle.gain[best]:
            best = length
    if cycle.moments[0] < _LEAST_SAMPLES or cycle.gain[best] <= _LEAST_SHARE * cycle.power[0]:
        return 0, 0.0
    return best, cycle.gain[best] / cycle.power[0]


@kernel
def distribution_in_cycle(cycle: Cycle, length: int, since_s: float, otherwise: Array, out: Array) -> None:
    """Distribution function [bins] of the slot's samples that were sent at the same time in the cycle,
    filled up with `otherwise`."""
    if length == 0:
        copy_to(otherwise, out)
        return
    frame = since_s * FRAMES_PER_S
    fill(out, 0.0)
    whole = _PRIOR
    for place in range(min(cycle.number[0], _KEPT)):
        turns = (frame - cycle.frames[place]) / length
        away = abs(turns - np.floor(turns + 0.5)) * length
        if away < _NEAR:
            age_s = (frame - cycle.frames[place]) / FRAMES_PER_S
            weight = (1.0 - away / _NEAR) * np.exp(-max(age_s, 0.0) / _FORGET_S)
            out[cycle.bins[place]] += weight
            whole += weight
    reached = 0.0
    for b in range(len(out)):
        reached += out[b]
        out[b] = (reached + _PRIOR * otherwise[b]) / whole
