"""Calls that are due at a time."""

from __future__ import annotations

from nodes.timers import Timers


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def run(timers: Timers, clock: Clock, until_ns: int) -> None:
    while (due_ns := timers.due_ns) is not None and due_ns <= until_ns:
        clock.now_ns = max(clock.now_ns, due_ns)
        timers.run_due()
    clock.now_ns = until_ns


def test_calls_come_in_the_order_they_are_due() -> None:
    clock, called = Clock(), []
    timers = Timers(clock)
    for name, t_ns in (("b", 20), ("a", 10), ("c", 20)):
        timers.at(t_ns, lambda name=name: called.append((name, clock.now_ns)))
    run(timers, clock, 30)
    assert called == [("a", 10), ("b", 20), ("c", 20)]


def test_a_cancelled_call_never_comes_and_is_not_waited_for() -> None:
    clock, called = Clock(), []
    timers = Timers(clock)
    timers.at(10, lambda: called.append(1)).cancel()
    assert timers.due_ns is None
    run(timers, clock, 20)
    assert called == []


def test_a_series_keeps_its_grid_and_does_not_make_up_for_what_it_missed() -> None:
    clock, called = Clock(), []
    timers = Timers(clock)
    series = timers.every(5, 10, lambda: called.append(clock.now_ns))
    run(timers, clock, 20)
    clock.now_ns = 58  # busy elsewhere for four intervals
    timers.run_due()
    run(timers, clock, 70)
    assert called == [5, 15, 58, 65]
    series.cancel()
    run(timers, clock, 100)
    assert called == [5, 15, 58, 65]
