"""The thread that reads a port, and how it ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firmware_bridge.line import FIRST_PAUSE_S, Line
from firmware_bridge.ports import PortSettings


def test_a_thread_that_ends_faster_than_it_is_told_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(PortSettings(str(tmp_path / "no-such-port")), lambda: None)
    line.start()
    write = os.write

    def preempted(descriptor: int, data: bytes) -> int:
        line._thread.join(3 * FIRST_PAUSE_S)
        return write(descriptor, data)

    monkeypatch.setattr("firmware_bridge.line.os.write", preempted)
    line.close()
    line._thread.join(5.0)
    assert not line._thread.is_alive()


def test_a_line_may_be_closed_twice(tmp_path: Path) -> None:
    line = Line(PortSettings(str(tmp_path / "no-such-port")), lambda: None)
    line.start()
    line.close()
    line.close()
