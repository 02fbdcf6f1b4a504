"""Whether the compiled kernels are in the cache, told without importing the compiler.

Numba keeps compiled kernels beside their sources and drops them when their own source changes; `jit` sees
to it that they go when any other changes that may be compiled into them. A marker says
for which sources and which compiler everything has been compiled once, so that the first run can say
that it is compiling before it is silent for half a minute.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).parent


@cache
def sources() -> str:
    """A digest of everything that kernels are compiled from: this package and the layout of packets."""
    digest = hashlib.blake2b(digest_size=16)
    for source in (*sorted(_ROOT.rglob("*.py")), _ROOT.parent / "nodes" / "wire.py"):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def _stamp() -> dict[str, str]:
    return {
        "numba": version("numba"),
        "numpy": version("numpy"),
        "sources": sources(),
        "machine": f"{platform.machine()} {platform.node()}",
    }


def user_directory() -> Path:
    """This package's folder in the user's cache directory of the platform; OSError for who has no home."""
    try:
        home = Path.home()
    except RuntimeError as error:
        raise OSError(str(error)) from None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "istn-testbed"
    # the XDG base directory specification has relative paths ignored
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if os.path.isabs(given) else home / ".cache") / "istn-testbed"


def _marker() -> Path:
    beside = _ROOT / "__pycache__"
    # In an installation that is not the user's own, numba caches in a directory that is.
    own = os.access(beside if beside.exists() else _ROOT, os.W_OK)
    return (beside if own else user_directory()) / "kernels.json"


def is_warm() -> bool:
    """Whether `mark_warm` was called for the present sources and compiler."""
    try:
        return bool(json.loads(_marker().read_text()) == _stamp())
    except (OSError, ValueError):
        return False


def mark_warm() -> None:
    """Remember that every kernel of the present sources has been compiled and cached."""
    try:
        marker = _marker()
        marker.parent.mkdir(parents=True, exist_ok=True)
        temporary = marker.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(_stamp()))
        temporary.replace(marker)
    except OSError:
        return  # no place to remember it: the only loss is that every run looks like the first
