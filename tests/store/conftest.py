"""Run folders to store things in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.store.local_influxd import LocalInfluxd, available
from testbed.store.runfile import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """An empty run whose epoch offset is a round number."""
    folder = RunFolder.create(tmp_path, "trial")
    folder.write_run({"epoch_offset_ns": 1_700_000_000_000_000_000})
    return folder


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Waits for a condition; fails when it has not come true after a time that no machine should need."""

    def wait(condition: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end_s, "the condition never came true"
            threading.Event().wait(0.005)

    return wait


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalInfluxd]:
    """A running InfluxDB; tests keep apart by using a database of their own."""
    if not available():
        pytest.skip("influxd is not installed (Debian: apt-get install influxdb)")
    server = LocalInfluxd(tmp_path_factory.mktemp("influxd"))
    server.start()
    yield server
    server.kill()
