"""When windows are closed: just after their end, whatever their length."""

from __future__ import annotations

from itertools import pairwise

import pytest

from testbed.plant.ticks import Ticks

MS = 1_000_000


@pytest.mark.parametrize("window_ms", [100, 250, 500, 1234])
def test_windows_are_closed_a_window_apart_and_the_log_is_emptied_often(window_ms: int) -> None:
    start_ns = 7_777 * MS
    ticks = Ticks(start_ns + 173 * MS, window_ms * MS, start_ns)
    closed, emptied = [], [start_ns]
    while ticks.window < 20:
        now_ns = ticks.next_ns
        ticks.drained(now_ns)
        emptied.append(now_ns)
        if ticks.over(now_ns):
            closed.append(now_ns - ticks.end_ns)
            ticks.window += 1
    assert closed == [30 * MS] * 20
    assert max(b - a for a, b in pairwise(emptied)) <= 100 * MS


def test_after_a_standstill_every_window_is_closed() -> None:
    ticks = Ticks(0, 100 * MS, 0)
    now_ns, closed = 1_000 * MS, 0
    while ticks.next_ns <= now_ns:
        ticks.drained(now_ns)
        if ticks.over(now_ns):
            closed += 1
            ticks.window += 1
    assert closed == 9
