"""The cache of compiled kernels: used again as long as nothing has changed, never beyond."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import emulator

_PROGRAM = """
from emulator.outer import outer
print(outer(), sum(outer.stats.cache_hits.values()))
"""


@pytest.mark.parametrize("decorator", ["kernel", "inline_kernel"])
def test_a_kernel_is_compiled_again_when_one_that_it_calls_changes(tmp_path: Path, decorator: str) -> None:
    root = Path(emulator.__file__).parents[1]
    for package in ("emulator", "nodes"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    inner = tmp_path / "emulator" / "inner.py"
    head = "from emulator.jit import inline_kernel, kernel\n"
    (tmp_path / "emulator" / "outer.py").write_text(
        head + "from emulator.inner import inner\n@kernel\ndef outer():\n    return inner() + 1\n"
    )

    def run() -> str:
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    inner.write_text(head + f"@{decorator}\ndef inner():\n    return 1\n")
    assert run() == "2 0"
    assert run() == "2 1"
    inner.write_text(head + f"@{decorator}\ndef inner():\n    return 41\n")
    assert run() == "42 0"
