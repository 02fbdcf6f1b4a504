"""When windows are closed: the deadlines, without a process."""

from __future__ import annotations

from testbed.twin.controller import Windows

START, LENGTH = 10**12, 500_000_000


def test_a_window_with_reports_is_closed_once_they_have_settled() -> None:
    windows = Windows(START, LENGTH)
    arrived = START + LENGTH + 5_000_000
    assert arrived < windows.due_ns(20, arrived) < arrived + 50_000_000


def test_reports_that_come_early_do_not_close_it_early() -> None:
    assert Windows(START, LENGTH).due_ns(20, START) >= START + LENGTH


def test_a_window_without_reports_is_closed_after_the_grace() -> None:
    windows = Windows(START, LENGTH)
    assert windows.due_ns(0, 0) == START + LENGTH + int(windows.grace_s * 1e9)


def test_a_stream_that_never_settles_cannot_hold_it_open() -> None:
    windows = Windows(START, LENGTH)
    assert windows.due_ns(1, START + 10 * LENGTH) == windows.due_ns(0, 0)


def test_late_reports_lengthen_the_grace_up_to_a_bound() -> None:
    windows = Windows(START, LENGTH)
    before = windows.grace_s
    windows.noticed_late(1)
    assert windows.grace_s > before
    windows.noticed_late(1)
    once = windows.grace_s
    for late in range(2, 50):
        windows.noticed_late(late)
    assert once < windows.grace_s <= 2.0
