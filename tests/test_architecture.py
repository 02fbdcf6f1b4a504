"""Imports run one way, and what has to start quickly brings nothing heavy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("testbed", "nodes", "emulator", "firmware_bridge", "dashboards")

#: compilers, science and schema packages: none of them belongs on a board
HEAVY = ("numba", "llvmlite", "numpy", "scipy", "skyfield", "sgp4", "itur", "pydantic", "matplotlib", "scapy")


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])"
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); {program}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their contract, to be spoilt."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_import_contract_is_kept() -> None:
    result = _lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("nodes", "testbed.errors"),
        ("emulator", "nodes.client"),
        ("firmware_bridge", "emulator.spec"),
        ("dashboards", "testbed.twin"),
    ],
)
def test_an_import_against_the_arrow_is_found(copy: Path, package: str, forbidden: str) -> None:
    (copy / package / "spoilt.py").write_text(f"import {forbidden}\n")
    result = _lint(copy)
    assert result.returncode != 0
    assert f"{package}.spoilt -> {forbidden}" in result.stdout, result.stdout + result.stderr


def _heavy_after(statement: str) -> list[str]:
    """Which heavy packages are loaded after a statement in a fresh interpreter."""
    program = f"{statement}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return result.stdout.split()


@pytest.mark.parametrize(
    "statement",
    ["import nodes", "import nodes.agent, nodes.client", "import firmware_bridge", "import testbed.cli"],
)
def test_what_runs_on_a_board_imports_nothing_heavy(statement: str) -> None:
    assert _heavy_after(statement) == []


def test_a_heavy_import_would_be_seen() -> None:
    assert "pydantic" in _heavy_after("import testbed.scenario")


def test_reading_a_scenario_compiles_nothing() -> None:
    loaded = _heavy_after("from testbed.scenario import load\nload('laptop').public()")
    assert not {"numba", "scipy", "matplotlib"} & set(loaded)
