"""Calls that are due at a time, on whatever clock the caller reads. No waiting, no thread."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Timer:
    """A call to come; `cancel` before it is due, and it never happens."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class Timers:
    """Calls in the order they are due; `clock` gives ns."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._heap: list[tuple[int, int, Timer]] = []
        self._order = count()

    def at(self, t_ns: int, action: Callable[[], None]) -> Timer:
        """Call `action` at a time; at once when it has passed."""
        timer = Timer(action)
        heapq.heappush(self._heap, (t_ns, next(self._order), timer))
        return timer

    def every(self, first_ns: int, interval_ns: int, action: Callable[[], None]) -> Timer:
        """Call `action` at first_ns, first_ns + interval_ns, ...; of several instants missed, once."""
        series = Timer(action)

        def fire(due_ns: int) -> None:
            if series.action is not None:
                behind_ns = self._clock() - due_ns
                next_ns = due_ns + (behind_ns // interval_ns + 1) * interval_ns
                self.at(next_ns, lambda: fire(next_ns))
                series.action()

        self.at(first_ns, lambda: fire(first_ns))
        return series

    @property
    def due_ns(self) -> int | None:
        """When the next call is due."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run_due(self) -> None:
        """Make the calls that are due now."""
        now_ns = self._clock()
        while self._heap and self._heap[0][0] <= now_ns:
            action = heapq.heappop(self._heap)[2].action
            if action is not None:
                action()


class Series:
    """A call that is repeated at an interval which may be changed while it goes on; 0: not at all.

    `timers` keeps the calls, `clock` is theirs.
    """

    def __init__(
        self, timers: Timers, clock: Callable[[], int], interval_ns: int, action: Callable[[], None]
    ) -> None:
        self.interval_ns = interval_ns
        self._timers = timers
        self._clock = clock
        self._action = action
        self._latest_ns: int | None = None  # the latest call, while the series goes on
        self._timer: Timer | None = None
        self._going = False

    def start(self, first_ns: int) -> None:
        """Begin with a call at `first_ns`, if there is an interval."""
        self._going = True
        self._plan(first_ns)

    def set_interval(self, interval_ns: int) -> None:
        """From the latest call on, the next is so much later; never before now."""
        self.interval_ns = interval_ns
        if self._going:
            now_ns = self._clock()
            latest_ns = now_ns if self._latest_ns is None else self._latest_ns
            self._plan(max(now_ns, latest_ns + interval_ns))

    def end(self) -> None:
        """No more calls."""
        self._going = False
        self._plan(0)

    def _plan(self, first_ns: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._going and self.interval_ns:
            self._timer = self._timers.every(first_ns, self.interval_ns, self._call)

    def _call(self) -> None:
        self._latest_ns = self._clock()
        self._action()
