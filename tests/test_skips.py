"""Skips count as failures where they are forbidden, and are told with their reason where not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SKIPPED_TEST = 'import pytest\n\ndef test_it():\n    pytest.skip("no such device")\n'
_SKIPPED_MODULE = 'import pytest\n\npytest.skip("no such package", allow_module_level=True)\n'


def _run(folder: Path, content: str, forbid: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_one.py").write_text(content)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", str(folder)],
        cwd=folder,
        env={**os.environ, "TESTBED_FORBID_SKIPS": forbid},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("content", "reason"), [(_SKIPPED_TEST, "no such device"), (_SKIPPED_MODULE, "no such package")]
)
def test_a_forbidden_skip_fails_with_its_reason(tmp_path: Path, content: str, reason: str) -> None:
    result = _run(tmp_path, content, forbid="1")
    assert result.returncode != 0
    assert reason in result.stdout


def test_a_skip_that_is_not_forbidden_passes_and_is_told(tmp_path: Path) -> None:
    result = _run(tmp_path, _SKIPPED_TEST, forbid="")
    assert result.returncode == 0
    assert "no such device" in result.stdout
