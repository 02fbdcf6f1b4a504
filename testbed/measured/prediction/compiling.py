"""How the kernels of this package are compiled: cached, and anew when any of the package's files changes.

Numba looks at a kernel's own file only, but kernels of other files are compiled into it. They know nothing of
the emulator, whose own decorator would compile them anew for each of its changes.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

import numba

_compiled: Final = numba.njit(cache=True, nogil=True, error_model="numpy")


@cache
def _sources() -> str:
    digest = hashlib.blake2b(digest_size=16)
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def kernel(function: Any) -> Any:
    """Decorator of every kernel."""
    made = _compiled(function)
    file = getattr(getattr(made, "_cache", None), "_cache_file", None)
    if file is not None:
        file._source_stamp = (file._source_stamp, _sources())
    return made


@kernel
def fill(out: Any, value: float) -> None:
    """Set all elements of a vector: a plain loop is compiled far faster than an assignment of slices."""
    for k in range(len(out)):
        out[k] = value


@kernel
def copy_to(source: Any, out: Any) -> None:
    """Copy a vector."""
    for k in range(len(out)):
        out[k] = source[k]
