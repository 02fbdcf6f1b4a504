"""Boards for the tests of this package, and the stand-in for the supervisor that the tests of nodes use."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge import line
from firmware_bridge.line import Line
from firmware_bridge.ports import PortSettings
from firmware_bridge.session import Event, Session

#: far more than anything here takes; only a failing test waits this long
PATIENCE_S = 15.0

_spec = importlib.util.spec_from_file_location(
    "stand_of_nodes", Path(__file__).parents[1] / "nodes/conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_nodes_conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_nodes_conftest)
stand = _nodes_conftest.stand


class PtyRung:
    """The firmware model on a pty, as an own process: the rung that is everywhere."""

    def __init__(self, folder: Path) -> None:
        self.url = str(folder / "board")
        self._process: subprocess.Popen[str] | None = None

    def plug(self, *arguments: str) -> None:
        """Power the board; returns when its port is there."""
        command = [sys.executable, "-m", "firmware_bridge", "model", "--link", self.url, "--with-parent"]
        self._process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith("/dev/")

    def unplug(self) -> None:
        """Take it away without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def end(self) -> int:
        """Ask the board to end; its exit status."""
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE_S)
        return self._process.returncode


class Bench:
    """A session on an open line, without a network: what every rung has to satisfy is tested with it."""

    def __init__(self, url: str) -> None:
        self.events: list[Event] = []
        self.happenings: list[line.Happening] = []
        self.session = Session()
        self._news = threading.Event()
        self.line = Line(PortSettings(url), self._news.set)
        self.line.start()

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Serve the line until the condition holds."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > give_up_s:
                pytest.fail(f"waited {PATIENCE_S} s for {what}; happened: {self.happenings[-5:]}")
            due_ns = self.session.next_due_ns
            wait_s = 0.1 if due_ns is None else (due_ns - time.monotonic_ns()) / 1e9
            self._news.wait(min(0.1, max(0.0, wait_s)))
            self._news.clear()
            self.serve()

    def serve(self) -> None:
        for happening in self.line.take():
            if isinstance(happening, line.Received):
                self.events += self.session.receive(happening.data, happening.t_ns)
                continue
            self.happenings.append(happening)
            if isinstance(happening, line.Opened):
                self.session.opened(happening.t_ns)
            elif isinstance(happening, line.Gone):
                self.session.closed()
        self.events += self.session.advance(time.monotonic_ns())
        self.session.written(self.line.write(self.session.output()))

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def pty_rung(tmp_path: Path) -> Iterator[PtyRung]:
    rung = PtyRung(tmp_path)
    yield rung
    rung.unplug()


@pytest.fixture
def bench() -> Iterator[Callable[[str], Bench]]:
    benches: list[Bench] = []

    def make(url: str) -> Bench:
        benches.append(Bench(url))
        return benches[-1]

    yield make
    for each in benches:
        each.line.close()
