"""From rows as a file has them to a `Measurement`: order, duplicates, losses, gaps, impossible clocks.

Rows come in blocks, and what a block tells is settled when it comes, so that a day at 100 Hz costs little
more than its samples. No file is read here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.measurement import QUANTITIES, Array, Found, Measurement, Quantity

Integers = NDArray[np.int64]

#: POSIX seconds of 1957, when there was a first satellite, and of 2200
EARLIEST_S: Final = -410_227_200.0
LATEST_S: Final = 7_258_118_400.0
#: no probe is sent a year after the one before it: two clocks, or two units
_LONGEST_JUMP_S: Final = 366 * 86_400.0
#: more of the rows than this without a value are a damaged file, not some rows to leave out
_MOST_UNUSABLE: Final = 0.1
#: of consecutive rows that go back in time, when the file is written backwards
_BACKWARDS: Final = 0.9
#: a clock may be corrected by so much, a leap second among others, while numbers go on
_CLOCK_STEP_S: Final = 1.0
#: numbers that ICMP and others count with begin anew here
_WRAP: Final = 1 << 16
#: numbers that fall by more than this, and not by wrapping, belong to a program that was started again
_RESTART: Final = 1000
#: a program that was started again begins with one of these
_FIRST_NUMBERS: Final = 100
_LARGEST: Final = 2**31 - 1
#: missing numbers, a row: more are no sequence
_MOST_MISSING: Final = 50
#: intervals without a sample that are told as a gap: of the median interval, and at least
_GAP_INTERVALS: Final = 20.0
_GAP_S: Final = 1.0
#: of neighbours with the same stamp and other values, above which stamps are too coarse to tell a row twice
_COARSE: Final = 0.02
#: intervals shorter than this share of the median come from replies that piled up, not from a sender
_PILED: Final = 0.1


class _Growing:
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


class Rows:
    """Collects the rows of one file, in the order of the file; `measurement` makes of them what they mean.

    `name`: of the file, for sentences; `numbered`: rows carry the number of the probe; `wraps`: these numbers
    have 16 bits; `distinct`: each row is a probe of its own, however alike they are.
    """

    def __init__(
        self,
        name: str,
        quantity: Quantity,
        *,
        numbered: bool = False,
        wraps: bool = False,
        distinct: bool = False,
    ) -> None:
        self._name = name
        self._quantity: Quantity = quantity
        self._numbered, self._wraps, self._distinct = numbered, wraps, distinct
        self._times, self._values = _Growing(np.float64), _Growing(np.float64)
        self._numbers = _Growing(np.int32)
        self._rows = self._unusable = self._reordered = self._backward = 0
        self._ascending = True
        self._last_s = self._latest_s = -np.inf
        #: unwrapped, counted from the first
        self._base: int | None = None
        self._last_number = self._shift = 0
        self._highest = -1
        self._restarts = 0
        self._unusable_numbers: list[Integers] = []
        self._back_s = 0.0
        self.truncated = False
        self.duplicates = 0
        self.remarks: list[str] = []

    def __len__(self) -> int:
        return self._rows

    def add(
        self,
        times_s: Array,
        values: Array,
        lost: NDArray[np.bool_] | None = None,
        numbers: Integers | None = None,
        line_of: Callable[[int], int] | None = None,
    ) -> None:
        """Append rows [n]: POSIX seconds, values in the unit of the quantity, whether the probe was lost.

        A value that is not finite and not lost is unusable. `line_of` gives a row's line. Raises `BadInput`
        for times that cannot be, or that belong to different clocks.
        """
        if not len(times_s):
            return
        self._rows += len(times_s)
        lost = np.zeros(len(times_s), np.bool_) if lost is None else lost
        steps = None if numbers is None else self._continue(numbers, times_s)
        usable = np.isfinite(times_s) & (np.isfinite(values) | lost)
        if not usable.all():
            self._unusable += int(np.count_nonzero(~usable))
            where = np.flatnonzero(usable)
            if steps is not None:
                self._unusable_numbers.append(steps[~usable])
                steps = steps[usable]
            times_s, values, lost = times_s[usable], values[usable], lost[usable]
            of_all = line_of or (lambda row: row + 1)
            line_of = lambda row: of_all(int(where[row]))  # noqa: E731 - a line, not a function of its own
            if not len(times_s):
                return
        self._look_at(times_s, line_of)
        self._times.add(times_s)
        self._values.add(np.where(lost, np.nan, values) if lost.any() else values)
        if steps is not None:
            self._order(steps)

    def _order(self, steps: Integers) -> None:
        if not np.all(np.diff(steps, prepend=self._highest) > 0):
            self._ascending = False
            highest = np.maximum.accumulate(np.append(self._highest, steps))
            self._reordered += int(np.count_nonzero(steps < highest[:-1]))
        self._highest = max(self._highest, int(steps.max()))
        if self._highest > _LARGEST or int(steps.min()) < -_LARGEST:
            raise self._no_sequence()
        self._numbers.add(steps.astype(np.int32))

    def _look_at(self, times_s: Array, line_of: Callable[[int], int] | None) -> None:
        line = line_of or (lambda row: self._rows - len(times_s) + row + 1)
        outside = np.flatnonzero((times_s < EARLIEST_S) | (times_s > LATEST_S))
        if len(outside):
            raise BadInput(
                f"{self._name}: line {line(int(outside[0]))}: the time is {times_s[outside[0]]:g} s since "
                "1970, it must lie between the years 1957 and 2200 (are rows in another unit?)"
            )
        before = self._last_s if np.isfinite(self._last_s) else times_s[0]
        steps = np.diff(times_s, prepend=before)
        jumps = np.flatnonzero(np.abs(steps) > _LONGEST_JUMP_S)
        if len(jumps):
            row = int(jumps[0])
            raise BadInput(
                f"{self._name}: line {line(row)}: the time jumps from {_utc(times_s[row] - steps[row])} to "
                f"{_utc(times_s[row])}; the rows of a measurement must have one clock and one unit of time"
            )
        back = steps < 0
        if back.any():
            self._backward += int(np.count_nonzero(back))
            self._back_s = max(self._back_s, float(-steps.min()))
            if not self._numbered:
                latest = np.maximum.accumulate(np.append(self._latest_s, times_s))
                self._reordered += int(np.count_nonzero(times_s < latest[:-1]))
        self._last_s = float(times_s[-1])
        self._latest_s = max(self._latest_s, float(times_s.max()))

    def _continue(self, numbers: Integers, times_s: Array) -> Integers:
        """Numbers that neither wrap nor begin anew, counted from the first.

        They begin anew while the time goes on; where both go back, rows are out of order.
        """
        if self._base is None:
            self._base = self._last_number = int(numbers[0])
        before = np.append(self._last_number, numbers[:-1])
        went_on = np.diff(times_s, prepend=self._last_s) >= 0
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
                self._restarts += 1
            shifts[row:] += wrapped
        self._last_number = int(numbers[-1])
        result = numbers - self._base + self._shift + shifts
        self._shift += int(shifts[-1])
        return result

    # --- what they mean ---------------------------------------------------------------------------------

    def measurement(
        self,
        *,
        losses_known: bool,
        stamped: Literal["sent", "received", "unknown"] = "sent",
        clock_bound_ms: float | None = None,
    ) -> Measurement:
        """The rows as a measurement, in the order of sending; lost probes are nan.

        `stamped` "unknown" is decided by the rows: replies that waited for one another arrive together, while
        a program sends at its interval. Raises `BadInput` for a file without values, or written backwards.
        """
        self._judge()
        times_s, values = self._times.take(), self._values.take()
        numbers = self._numbers.take() if self._numbered else None
        if numbers is None:
            times_s, values = _by_time(times_s, values)
        else:
            times_s, values, numbers = self._by_number(times_s, values, numbers)
        if stamped == "unknown":
            stamped = "received" if self._quantity == "rtt" and _piled(times_s, values) else "sent"
            if stamped == "received":
                self.remarks.append(
                    "times are those at which the replies came, as their piling up shows; the round trips "
                    "were subtracted to have those of sending"
                )
        if stamped == "received" and self._quantity == "rtt":
            _to_sent(times_s, values)
            stamped = "sent"
            if numbers is None:
                times_s, values = _by_time(times_s, values)
        inferred = 0
        if numbers is not None:
            times_s, values, inferred = self._complete(times_s, values, numbers)
        elif not self._distinct:
            times_s, values = self._without_duplicates(times_s, values)
        self._tell(times_s, values)
        found = Found(
            rows=self._rows,
            duplicates=self.duplicates,
            reordered=self._reordered,
            unusable=self._unusable,
            inferred_losses=inferred,
            truncated=self.truncated,
        )
        return Measurement(
            self._name, self._quantity, times_s, values, losses_known, stamped, clock_bound_ms, found,
            tuple(self.remarks),
        )  # fmt: skip

    def _judge(self) -> None:
        what = QUANTITIES[self._quantity]
        kept = self._rows - self._unusable
        if not self._rows:
            raise BadInput(f"{self._name}: holds no rows")
        if not kept:
            raise BadInput(f"{self._name}: none of its {self._rows} rows has a {what}")
        if self._unusable > _MOST_UNUSABLE * self._rows:
            raise BadInput(
                f"{self._name}: {self._unusable} of {self._rows} rows have no {what}, allowed: "
                f"{_MOST_UNUSABLE:.0%} of them (where nan stands for a lost probe, say --columns lost=nan)"
            )
        if kept > 2 and self._backward > _BACKWARDS * (kept - 1):
            raise BadInput(
                f"{self._name}: the rows run backwards in time ({self._backward} of {kept - 1} steps); "
                "they must be in the order in which they were measured"
            )
        if not self._numbered and self._back_s > _CLOCK_STEP_S:
            self.remarks.append(
                f"rows go back in time by up to {self._back_s:.3g} s, and were sorted; where a clock was "
                "set, they are now mixed up"
            )
        if self._restarts:
            self.remarks.append(f"the numbers of the probes begin anew {_times(self._restarts)}")

    def _no_sequence(self) -> BadInput:
        return BadInput(
            f"{self._name}: the numbers of its probes are no sequence; name another column as seq"
        )

    def _by_number(
        self, times_s: Array, values: Array, numbers: NDArray[np.int32]
    ) -> tuple[Array, Array, NDArray[np.int32]]:
        """The rows in the order of their numbers, each number once."""
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

    def _complete(
        self, times_s: Array, values: Array, numbers: NDArray[np.int32]
    ) -> tuple[Array, Array, int]:
        """Rows in the order of their numbers, with those that are missing, and how many these are."""
        back_s = float(-np.diff(times_s).min()) if len(times_s) > 1 else 0.0
        if back_s > _CLOCK_STEP_S:
            row = int(np.argmin(np.diff(times_s)))
            raise BadInput(
                f"{self._name}: the time goes back by {back_s:.3g} s to {_utc(times_s[row + 1])} while the "
                "numbers of the probes go on; split the file where the clock was set"
            )
        if back_s > 0.0:
            np.maximum.accumulate(times_s, out=times_s)
        if self._wraps:
            numbers = _whole_turns(times_s, numbers)
        total = int(numbers[-1]) - int(numbers[0]) + 1
        if total == len(numbers):
            return times_s, values, 0
        if total > _MOST_MISSING * len(numbers) + 10 * _WRAP:
            raise self._no_sequence()
        return self._fill(times_s, values, numbers, total)

    def _fill(
        self, times_s: Array, values: Array, numbers: NDArray[np.int32], total: int
    ) -> tuple[Array, Array, int]:
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
        inferred = len(missing)
        if self._unusable_numbers:
            unusable = np.concatenate(self._unusable_numbers) - int(numbers[0])
            unusable = unusable[(unusable >= 0) & (unusable < total)]
            unusable = np.unique(unusable[~there[unusable]])
            inferred -= len(unusable)
            filled_s, filled = np.delete(filled_s, unusable), np.delete(filled, unusable)
        return filled_s, filled, inferred

    def _without_duplicates(self, times_s: Array, values: Array) -> tuple[Array, Array]:
        same = times_s[1:] == times_s[:-1]
        alike = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
        if np.count_nonzero(same & ~alike) > _COARSE * len(times_s) + 10:
            if np.any(same & alike):
                self.remarks.append(
                    "the stamps are coarser than the sampling; a row twice cannot be told from two probes"
                )
            return times_s, values
        again = np.flatnonzero(same & alike)
        if not len(again):
            return times_s, values
        self.duplicates += len(again)
        return np.delete(times_s, again + 1), np.delete(values, again + 1)

    def _tell(self, times_s: Array, values: Array) -> None:
        if len(times_s) > 2:
            intervals = np.diff(times_s)
            most_s = max(
                _GAP_S, _GAP_INTERVALS * float(np.median(intervals[:: len(intervals) // 100_000 + 1]))
            )
            gaps = intervals[intervals > most_s]
            if len(gaps):
                self.remarks.append(
                    f"{len(gaps)} gap{'s' if len(gaps) > 1 else ''} of more than {most_s:.3g} s without a "
                    f"sample, the longest {gaps.max():.3g} s"
                )
        for count, what in (
            (self._unusable, "left out that had no usable value"),
            (self.duplicates, "left out because it was there twice"),
            (self._reordered, "sorted in that was out of order"),
            (int(self.truncated), "at the end left out that broke off"),
        ):
            if count:
                self.remarks.append(f"rows {what}: {count}")


def _piled(times_s: Array, values: Array) -> bool:
    """Whether times are of arrival: intervals are often near nothing, but not once values are subtracted."""
    answered = ~np.isnan(values[:200_000])
    came_s = times_s[:200_000][answered]
    if len(came_s) < 100:
        return False
    intervals = np.diff(came_s)
    sent = np.diff(np.sort(came_s - values[:200_000][answered] / 1e3))
    shortest = _PILED * float(np.median(intervals))
    piled, sent_piled = np.mean(intervals < shortest), np.mean(sent < shortest)
    return bool(piled > 0.01 and sent_piled < piled / 5)


def _whole_turns(times_s: Array, numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    """Numbers that went round as a whole while nothing was answered are told by how long that lasted."""
    if len(numbers) < 3:
        return numbers
    steps, lasted_s = np.diff(numbers), np.diff(times_s)
    interval_s = float(np.median((lasted_s / steps)[:100_000]))
    # a program that was only held up goes on with the next number
    for row in np.flatnonzero((lasted_s > _WRAP / 2 * interval_s) & (steps > 1)):
        turns = round((lasted_s[row] / interval_s - steps[row]) / _WRAP)
        numbers[row + 1 :] += max(turns, 0) * _WRAP
    return numbers


def _to_sent(times_s: Array, values: Array) -> None:
    answered = ~np.isnan(values)
    np.subtract(times_s, values / 1e3, out=times_s, where=answered)


def _ascends(times_s: Array) -> bool:
    return bool(np.all(times_s[1:] >= times_s[:-1]))


def _by_time(times_s: Array, values: Array) -> tuple[Array, Array]:
    if _ascends(times_s):
        return times_s, values
    order = np.argsort(times_s, kind="stable")
    return times_s[order], values[order]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _utc(posix_s: float) -> str:
    return datetime.fromtimestamp(float(posix_s), UTC).strftime("%Y-%m-%d %H:%M:%S")
