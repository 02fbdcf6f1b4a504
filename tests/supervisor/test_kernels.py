"""What is compiled before a run, and that it is said once."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from testbed.supervisor import kernels
from testbed.supervisor.monitor import Monitor


def test_what_twins_compile_is_compiled_before_the_run_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "is_warm", lambda: True)
    monkeypatch.setattr(kernels, "_marker", lambda: tmp_path / "cache" / "kernels.json")

    def said(twin: bool) -> str:
        path = tmp_path / "console"
        with path.open("w") as console:
            kernels.compile_if_cold(Monitor(console=Console(file=console)), twin)
        return path.read_text()

    assert said(twin=False) == ""
    first = said(twin=True)
    assert "first run with these sources" in first
    assert "compiled twin's forecasts" in first
    assert said(twin=True) == ""
    monkeypatch.setattr(kernels, "sources", lambda: "others")
    assert "compiled twin's forecasts" in said(twin=True)
