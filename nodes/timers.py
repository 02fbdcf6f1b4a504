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
