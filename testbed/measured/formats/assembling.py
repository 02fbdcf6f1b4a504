"""From rows as a file has them to a `Measurement`: order, duplicates, losses, gaps, impossible clocks.

Rows come in blocks, and what a block tells is settled when it comes, so that a day at 100 Hz costs little
more than its samples. No file is read here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.formats.growing import Growing
from testbed.measured.formats.numbering import CLOCK_STEP_S, Integers, Numbering, utc
from testbed.measured.measurement import QUANTITIES, Array, Found, Measurement, Quantity

#: POSIX seconds of 1957, when there was a first satellite, and of 2200
EARLIEST_S: Final = -410_227_200.0
LATEST_S: Final = 7_258_118_400.0
#: no probe is sent a year after the one before it: two clocks, or two units
_LONGEST_JUMP_S: Final = 366 * 86_400.0
#: more of the rows than this without a value are a damaged file, not some rows to leave out
_MOST_UNUSABLE: Final = 0.1
#: of consecutive rows that go back in time, when the file is written backwards
_BACKWARDS: Final = 0.9
#: intervals without a sample that are told as a gap: of the median interval, and at least
_GAP_INTERVALS: Final = 20.0
_GAP_S: Final = 1.0
#: of neighbours with the same stamp and other values, above which stamps are too coarse to tell a row twice
_COARSE: Final = 0.02
#: intervals shorter than this share of the median come from replies that piled up, not from a sender
_PILED: Final = 0.1
#: the pauses that a program makes vary by less than this share of intervals that are no pauses
_STEADY: Final = 0.3


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
        self._distinct = distinct
        self._numbers = Numbering(name, wraps) if numbered else None
        self._times, self._values = Growing(np.float64), Growing(np.float64)
        self._rows = self._unusable = self._reordered = self._backward = 0
        self._last_s = self._latest_s = -np.inf
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
        usable = np.isfinite(times_s) & (np.isfinite(values) | lost)
        if self._numbers is not None and numbers is not None:
            self._numbers.add(numbers, times_s, self._last_s, usable)
        if not usable.all():
            self._unusable += int(np.count_nonzero(~usable))
            where = np.flatnonzero(usable)
            times_s, values, lost = times_s[usable], values[usable], lost[usable]
            of_all = line_of or (lambda row: row + 1)
            line_of = lambda row: of_all(int(where[row]))  # noqa: E731 - a line, not a function of its own
            if not len(times_s):
                return
        self._look_at(times_s, line_of)
        self._times.add(times_s)
        self._values.add(np.where(lost, np.nan, values) if lost.any() else values)

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
                f"{self._name}: line {line(row)}: the time jumps from {utc(times_s[row] - steps[row])} to "
                f"{utc(times_s[row])}; the rows of a measurement must have one clock and one unit of time"
            )
        back = steps < 0
        if back.any():
            self._backward += int(np.count_nonzero(back))
            self._back_s = max(self._back_s, float(-steps.min()))
            if self._numbers is None:
                latest = np.maximum.accumulate(np.append(self._latest_s, times_s))
                self._reordered += int(np.count_nonzero(times_s < latest[:-1]))
        self._last_s = float(times_s[-1])
        self._latest_s = max(self._latest_s, float(times_s.max()))

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
        numbers = None
        if self._numbers is None:
            times_s, values = _by_time(times_s, values)
        else:
            times_s, values, numbers = self._numbers.in_order(times_s, values)
        if stamped == "unknown":
            came = _piled(times_s, values) or _answered_first(times_s, values)
            stamped = "received" if self._quantity == "rtt" and came else "sent"
            if stamped == "received":
                self.remarks.append(
                    "times are those at which the replies came, as their intervals show; the round trips "
                    "were subtracted to have those of sending"
                )
        if stamped == "received" and self._quantity == "rtt":
            _to_sent(times_s, values)
            stamped = "sent"
            if numbers is None:
                times_s, values = _by_time(times_s, values)
        inferred = 0
        if self._numbers is not None and numbers is not None:
            times_s, values = self._numbers.complete(times_s, values, numbers)
            inferred, self._reordered = self._numbers.inferred, self._numbers.reordered
            self.duplicates += self._numbers.duplicates
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
        if self._numbers is None and self._back_s > CLOCK_STEP_S:
            self.remarks.append(
                f"rows go back in time by up to {self._back_s:.3g} s, and were sorted; where a clock was "
                "set, they are now mixed up"
            )
        if self._numbers is not None and self._numbers.restarts:
            count = self._numbers.restarts
            self.remarks.append(
                f"the numbers of the probes begin anew {'once' if count == 1 else f'{count} times'}"
            )

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


def _answered_first(times_s: Array, values: Array) -> bool:
    """Whether times are of arrival, of a program that waits for each reply before it sends again.

    The interval before a reply is then its own round trip and a pause; times of sending are as far apart as
    the round trip before and a pause.
    """
    values = values[:200_000]
    usable = ~np.isnan(values)
    pairs = usable[1:] & usable[:-1]
    if np.count_nonzero(pairs) < 100:
        return False
    intervals_ms = 1e3 * np.diff(times_s[:200_000])[pairs]
    own, before, none = (
        float(np.subtract(*np.quantile(each, (0.75, 0.25))))
        for each in (intervals_ms - values[1:][pairs], intervals_ms - values[:-1][pairs], intervals_ms)
    )
    return own < _STEADY * min(before, none)


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
