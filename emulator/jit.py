"""How kernels are compiled: one decorator, and the primitives of memory order.

Kernels are pure and release the GIL; compiled code is cached beside its source, so only the first run
on a machine pays for compilation. Numba has no atomics for the processor, hence the two intrinsics: a
64-bit word published with `store_release` and read with `load_acquire` hands over everything written
before it, which is all the lock-free hand-over of the link table needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from emulator.cache import sources

DISABLED: Final = bool(numba.config.DISABLE_JIT)

_OPTIONS: Final[dict[str, Any]] = {"cache": True, "nogil": True, "error_model": "numpy"}
_compiled: Callable[..., Any] = numba.njit(**_OPTIONS)
_compiled_inline: Callable[..., Any] = numba.njit(forceinline=True, **_OPTIONS)
#: without the counting of references that allocation needs: each look at an array would cost two atomic
#: operations, and a packet looks at dozens
_compiled_lean: Callable[..., Any] = numba.njit(_nrt=False, **_OPTIONS)
_compiled_lean_inline: Callable[..., Any] = numba.njit(_nrt=False, forceinline=True, **_OPTIONS)


def kernel(function: Any) -> Any:
    """Decorator of every kernel."""
    return _stamped(_compiled(function))


def inline_kernel(function: Any) -> Any:
    """Decorator of a kernel that becomes part of each caller, whose loop is only then made of vectors."""
    return _stamped(_compiled_inline(function))


def packet_kernel(function: Any) -> Any:
    """Decorator of a kernel that runs for every packet: it cannot allocate, not even by slicing to a copy."""
    return _stamped(_compiled_lean(function))


def inline_packet_kernel(function: Any) -> Any:
    """Decorator of a packet kernel that becomes part of its callers, so that nothing is passed at all."""
    return _stamped(_compiled_lean_inline(function))


def _stamped(made: Any) -> Any:
    if not DISABLED:
        # Numba looks at a kernel's own file only; but kernels of other files are compiled into it, and
        # would live on in the cache as they were.
        file = getattr(getattr(made, "_cache", None), "_cache_file", None)
        if file is None:
            raise RuntimeError(f"numba {numba.__version__} keeps its cache in a way that is not known here")
        file._source_stamp = (file._source_stamp, sources())
    return made


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
