"""The runs that several tests look at, each made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration import harness

#: losses on the satellite uplinks, so that there are fates to compare
LOSSY = ("--set", "radios.s-terminal.loss=0.03")


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> harness.Finished:
    """The default scenario in twenty seconds."""
    return harness.run_in_time(tmp_path_factory.mktemp("laptop"), "laptop", "--duration", "20")


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> harness.Finished:
    """The same without deviations, and with lossy uplinks."""
    out: Path = tmp_path_factory.mktemp("clean")
    return harness.run_in_time(out, "laptop", "--duration", "20", "--set", "deviations=[]", *LOSSY)
