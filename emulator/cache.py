"""Whether the compiled kernels are in the cache, told without importing the compiler.

Numba keeps compiled kernels beside their sources and drops them when a source changes. A marker says
for which sources and which compiler everything has been compiled once, so that the first run can say
that it is compiling before it is silent for half a minute.
"""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).parent


def _stamp() -> dict[str, str]:
    sources = sorted(_ROOT.rglob("*.py"))
    return {
        "numba": version("numba"),
        "numpy": version("numpy"),
        "sources": str(max(source.stat().st_mtime_ns for source in sources)),
        "machine": f"{platform.machine()} {platform.node()}",
    }


def _marker() -> Path:
    return _ROOT / "__pycache__" / "kernels.json"


def is_warm() -> bool:
    """Whether `mark_warm` was called for the present sources and compiler."""
    try:
        return bool(json.loads(_marker().read_text()) == _stamp())
    except (OSError, ValueError):
        return False


def mark_warm() -> None:
    """Remember that every kernel of the present sources has been compiled and cached."""
    marker = _marker()
    try:
        marker.parent.mkdir(exist_ok=True)
        temporary = marker.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(_stamp()))
        temporary.replace(marker)
    except OSError:
        # A read-only installation: numba then caches in the user's own directory, and the only loss
        # is that every run looks like the first.
        return
