"""How kernels are compiled: one decorator, the memory-order primitives, and whether the cache is warm.

Kernels are pure and release the GIL; compiled code is cached beside its source, so only the first run
on a machine pays for compilation. Numba has no atomics for the processor, hence the two intrinsics: a
64-bit word published with `store_release` and read with `load_acquire` hands over everything written
before it, which is all the lock-free hand-over of the link table needs.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

DISABLED: Final = bool(numba.config.DISABLE_JIT)

#: decorator of every kernel
kernel: Callable[..., Any] = numba.njit(cache=True, nogil=True, error_model="numpy")


def _word_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    structure = context.make_array(array_type)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, array_type, structure, [index], wraparound=False)


@intrinsic
def _load_acquire(typingctx: Any, array: Any, index: Any) -> Any:  # pragma: no cover - compiled
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _word_pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def _store_release(typingctx: Any, array: Any, index: Any, value: Any) -> Any:  # pragma: no cover
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _word_pointer(context, builder, signature.args[0], args[0], args[1])
        builder.store_atomic(args[2], pointer, "release", 8)
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(array, types.intp, types.int64), codegen


if DISABLED:

    def load_acquire(words: Any, index: int) -> int:
        """Read a word of an int64 array; what was written before its release is visible after."""
        return int(words[index])

    def store_release(words: Any, index: int, value: int) -> None:
        """Publish a word of an int64 array after everything written before it."""
        words[index] = value

else:

    @kernel
    def load_acquire(words: Any, index: int) -> int:
        """Read a word of an int64 array; what was written before its release is visible after."""
        return _load_acquire(words, index)

    @kernel
    def store_release(words: Any, index: int, value: int) -> None:
        """Publish a word of an int64 array after everything written before it."""
        _store_release(words, index, value)


def records(array: Any) -> Any:
    """A structured array as kernels take it: compiled rows have attributes, uncompiled ones need a view."""
    return array.view(np.recarray) if DISABLED else array


# --- the cache -------------------------------------------------------------------------------


def _stamp() -> dict[str, str]:
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    newest = max(source.stat().st_mtime_ns for source in sources)
    return {
        "numba": numba.__version__,
        "numpy": np.__version__,
        "sources": str(newest),
        "processor": numba.config.CPU_NAME or "host",
    }


def _marker() -> Path:
    return Path(__file__).parent / "__pycache__" / "kernels.json"


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
        # A read-only installation: kernels are then cached in the user's own directory by numba,
        # and the only loss is the message that they are being compiled.
        return


def warm_up(steps: dict[str, Callable[[], object]], tell: Callable[[str, float], None]) -> None:
    """Run each named step once so that its kernels are compiled; `tell(name, seconds)` after each."""
    for name, step in steps.items():
        began = time.perf_counter()
        step()
        tell(name, time.perf_counter() - began)
    mark_warm()
