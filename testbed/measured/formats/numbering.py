"""The numbers of probes: those that wrap or begin anew go on, rows come in their order, and none is missing.

A number that never came is a lost probe; the same number twice is one probe. No file is read here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.formats.growing import Growing
from testbed.measured.measurement import Array

Integers = NDArray[np.int64]

#: a clock may be corrected by so much, a leap second among others, while numbers go on
CLOCK_STEP_S: Final = 1.0
#: numbers that ICMP and others count with begin anew here
_WRAP: Final = 1 << 16
#: numbers that fall by more than this, and not by wrapping, belong to a program that was started again
_RESTART: Final = 1000
#: a program that was started again begins with one of these
_FIRST_NUMBERS: Final = 100
_LARGEST: Final = 2**31 - 1
#: missing numbers, a row: more are no sequence
_MOST_MISSING: Final = 50


class Numbering:
    """The numbers of the rows of one file, in the order of the file.

    `name`: of the file, for sentences; `wraps`: numbers have 16 bits.
    """

    def __init__(self, name: str, wraps: bool) -> None:
        self._name, self._wraps = name, wraps
        self._numbers = Growing(np.int32)
        self._ascending = True
        self._base: int | None = None
        self._last_number = self._shift = 0
        self._highest = -1
        self._unusable: list[Integers] = []
        self.restarts = self.reordered = self.duplicates = self.inferred = 0

    def add(self, numbers: Integers, times_s: Array, last_s: float, usable: NDArray[np.bool_]) -> None:
        """Append the numbers [n] of rows; `last_s`: time of the row before them; only `usable` ones are rows.

        Raises `BadInput` for numbers that are too far apart.
        """
        steps = self._continue(numbers, times_s, last_s)
        if not usable.all():
            self._unusable.append(steps[~usable])
            steps = steps[usable]
        if len(steps):
            self._order(steps)

    def in_order(self, times_s: Array, values: Array) -> tuple[Array, Array, NDArray[np.int32]]:
        """Rows in the order of their numbers, each number once; nothing can be added after it."""
        numbers: NDArray[np.int32] = self._numbers.take()
        if self._ascending:
            return times_s, values, numbers
        order = np.argsort(numbers, kind="stable")
        numbers, times_s, values = numbers[order], times_s[order], values[order]
        del order
        first = np.append(True, numbers[1:] != numbers[:-1])
        if first.all():
            return times_s, values, numbers
        self.duplicates += int(np.count_nonzero(~first))
        # of a lost and an answered row of the same probe the answered one counts
        answered = np.flatnonzero(~first & ~np.isnan(values))[::-1]
        slots = (np.cumsum(first) - 1)[answered]
        numbers, times_s, once = numbers[first], times_s[first], values[first]
        open_slots = np.isnan(once[slots])
        once[slots[open_slots]] = values[answered[open_slots]]
        return times_s, once, numbers

    def complete(self, times_s: Array, values: Array, numbers: NDArray[np.int32]) -> tuple[Array, Array]:
        """Rows in the order of their numbers, with those that are missing as lost.

        Raises `BadInput` when the clock was set, or the numbers are no sequence.
        """
        back_s = float(-np.diff(times_s).min()) if len(times_s) > 1 else 0.0
        if back_s > CLOCK_STEP_S:
            row = int(np.argmin(np.diff(times_s)))
            raise BadInput(
                f"{self._name}: the time goes back by {back_s:.3g} s to {utc(times_s[row + 1])} while the "
                "numbers of the probes go on; split the file where the clock was set"
            )
        if back_s > 0.0:
            np.maximum.accumulate(times_s, out=times_s)
        if self._wraps:
            numbers = _whole_turns(times_s, numbers)
        total = int(numbers[-1]) - int(numbers[0]) + 1
        if total == len(numbers):
            return times_s, values
        if total > _MOST_MISSING * len(numbers) + 10 * _WRAP:
            raise self._no_sequence()
        return self._fill(times_s, values, numbers, total)

    def _continue(self, numbers: Integers, times_s: Array, last_s: float) -> Integers:
        """Numbers that neither wrap nor begin anew, counted from the first.

        They begin anew while the time goes on; where both go back, rows are out of order.
        """
        if self._base is None:
            self._base = self._last_number = int(numbers[0])
        before = np.append(self._last_number, numbers[:-1])
        went_on = np.diff(times_s, prepend=last_s) >= 0
        shifts = np.zeros(len(numbers), np.int64)
        for row in np.flatnonzero(np.abs(numbers - before) > _RESTART):
            step, wrapped = int(numbers[row] - before[row]), 0
            if not went_on[row]:
                continue
            if self._wraps and step > 0:  # a reply from before the numbers wrapped, or many lost
                wrapped = -_WRAP if before[row] < _RESTART and numbers[row] > _WRAP - _RESTART else 0
            elif self._wraps and (before[row] > _WRAP - _RESTART or numbers[row] > _FIRST_NUMBERS):
                wrapped = _WRAP
            elif step < 0:
                wrapped = 1 - step
                self.restarts += 1
            shifts[row:] += wrapped
        self._last_number = int(numbers[-1])
        result = numbers - self._base + self._shift + shifts
        self._shift += int(shifts[-1])
        return result

    def _order(self, steps: Integers) -> None:
        if not np.all(np.diff(steps, prepend=self._highest) > 0):
            self._ascending = False
            highest = np.maximum.accumulate(np.append(self._highest, steps))
            self.reordered += int(np.count_nonzero(steps < highest[:-1]))
        self._highest = max(self._highest, int(steps.max()))
        if self._highest > _LARGEST or int(steps.min()) < -_LARGEST:
            raise self._no_sequence()
        self._numbers.add(steps.astype(np.int32))

    def _fill(
        self, times_s: Array, values: Array, numbers: NDArray[np.int32], total: int
    ) -> tuple[Array, Array]:
        """Lost samples for numbers that never came, at the times at which they must have been sent."""
        slots = numbers - numbers[0]
        there = np.zeros(total, np.bool_)
        there[slots] = True
        missing = np.flatnonzero(~there)
        filled_s = np.empty(total)
        filled_s[slots] = times_s
        filled_s[missing] = np.interp(missing, slots, times_s)
        filled = np.full(total, np.nan)
        filled[slots] = values
        self.inferred = len(missing)
        if self._unusable:
            unusable = np.concatenate(self._unusable) - int(numbers[0])
            unusable = unusable[(unusable >= 0) & (unusable < total)]
            unusable = np.unique(unusable[~there[unusable]])
            self.inferred -= len(unusable)
            filled_s, filled = np.delete(filled_s, unusable), np.delete(filled, unusable)
        return filled_s, filled

    def _no_sequence(self) -> BadInput:
        return BadInput(
            f"{self._name}: the numbers of its probes are no sequence; name another column as seq"
        )


def _whole_turns(times_s: Array, numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    """Numbers that went round as a whole while nothing was answered are told by how long that lasted."""
    if len(numbers) < 3:
        return numbers
    steps, lasted_s = np.diff(numbers), np.diff(times_s)
    interval_s = float(np.median((lasted_s / steps)[:100_000]))
    if interval_s <= 0.0:
        return numbers
    # a program that was only held up goes on with the next number
    for row in np.flatnonzero((lasted_s > _WRAP / 2 * interval_s) & (steps > 1)):
        turns = round((lasted_s[row] / interval_s - steps[row]) / _WRAP)
        numbers[row + 1 :] += max(turns, 0) * _WRAP
    return numbers


def utc(posix_s: float) -> str:
    """POSIX seconds as a date and a time of day, UTC."""
    return datetime.fromtimestamp(float(posix_s), UTC).strftime("%Y-%m-%d %H:%M:%S")
