"""A fake plant for the tests of IP interfaces, and `testbed exec` as a user calls it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.ip.permitted import why_not_here
from tests.ip.fake_plant import FakePlant

#: that something hangs is noticed after so long; nothing is expected to take anywhere near it
GIVE_UP_S = 60.0
ROOT = Path(__file__).parents[2]

Exec = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skip, with the reason, where programs cannot have interfaces."""
    if reason := why_not_here():
        pytest.skip(reason)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for temporary files that no run of anybody else is in."""
    tmp_path_factory.getbasetemp()  # pytest's own stays where it is
    with tempfile.TemporaryDirectory(prefix="ip") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def run(temporary: Path) -> Path:
    """The folder of a run that is under way."""
    folder = temporary / "run"
    folder.mkdir()
    return folder


@pytest.fixture
def plant(run: Path) -> Iterator[FakePlant]:
    plant = FakePlant(run)
    plant.start()
    yield plant
    plant.stop()


@pytest.fixture
def start(namespaces: None, run: Path) -> Iterator[Exec]:
    """Start `testbed exec NODE -- PROGRAM...` on the run; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(node: str, *program: str, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "testbed", "exec", node, "--run", str(run), "--", *program]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        # A shell cannot trap what was ignored when it began, as interrupts are in a script's background.
        restored = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
        process = subprocess.Popen(command, text=True, **{"env": environment, **pipes, **restored, **options})
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status, output and errors of a process."""
    output, errors = process.communicate(timeout=GIVE_UP_S)
    return process.returncode, output, errors
