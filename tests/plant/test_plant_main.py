"""How the plant's process ends when it cannot begin: with a sentence, and a status that says why."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from emulator.errors import MissingPackageError, WorldError
from testbed.errors import BadInput, EnvironmentProblem
from testbed.plant import __main__ as plant
from testbed.plant import process


@pytest.fixture(autouse=True)
def _interrupts() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (WorldError("places: none of them is on Earth"), BadInput.exit_status),
        (MissingPackageError("weather needs the itur package"), EnvironmentProblem.exit_status),
    ],
)
def test_a_world_that_cannot_be_built_ends_the_process_with_its_sentence(
    error: WorldError, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> None:
        raise error

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(sys, "argv", ["plant", "--run", "nowhere", "--connect", "tcp://127.0.0.1:1"])
    assert plant.main() == status
    assert capsys.readouterr().err == f"{error}\n"
