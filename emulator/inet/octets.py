"""Numbers in arrays of octets, at any alignment: network order, the machine's own order, and copies.

The machine's instructions for them and nothing more. Compiled they check nothing: whoever calls has looked
at the lengths. Uncompiled every access is checked, which is how tests prove that those lengths were right.
All numbers are int64, so that none of them meets an unsigned one (which numba would make a float).
"""

from __future__ import annotations

import sys
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from emulator.jit import DISABLED

#: an array of octets, C-contiguous
Octets: TypeAlias = npt.NDArray[np.uint8]

LITTLE_ENDIAN: Final = sys.byteorder == "little"


def _octet_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    structure = context.make_array(array_type)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, array_type, structure, [index], wraparound=False)


def _loader(bits: int, swapped: bool) -> Any:
    @intrinsic
    def load(typingctx: Any, array: Any, index: Any) -> Any:  # pragma: no cover - compiled
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = _octet_pointer(context, builder, signature.args[0], args[0], args[1])
            word_type = ir.IntType(bits)
            word = builder.load(builder.bitcast(pointer, word_type.as_pointer()), align=1)
            if swapped:
                word = builder.bswap(word)
            return builder.zext(word, ir.IntType(64))

        return types.int64(array, types.intp), codegen

    return load


def _storer(bits: int, swapped: bool) -> Any:
    @intrinsic
    def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:  # pragma: no cover - compiled
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = _octet_pointer(context, builder, signature.args[0], args[0], args[1])
            word_type = ir.IntType(bits)
            word = builder.trunc(args[2], word_type)
            if swapped:
                word = builder.bswap(word)
            builder.store(word, builder.bitcast(pointer, word_type.as_pointer()), align=1)
            return context.get_dummy_value()

        return types.void(array, types.intp, types.int64), codegen

    return store


@intrinsic
def _copy(typingctx: Any, source: Any, at: Any, target: Any, to: Any, count: Any) -> Any:  # pragma: no cover
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        origin = _octet_pointer(context, builder, signature.args[0], args[0], args[1])
        goal = _octet_pointer(context, builder, signature.args[2], args[2], args[3])
        cgutils.raw_memcpy(builder, goal, origin, args[4], 1)
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp, types.intp), codegen


def _checked(array: Octets, index: int, count: int) -> slice:
    if min(index, count) < 0 or index + count > len(array):
        raise IndexError(f"octets {index} to {index + count} of {len(array)}")
    return slice(index, index + count)


def _plain_loader(count: int, order: Any) -> Any:
    def load(array: Octets, index: int) -> int:
        return int.from_bytes(array[_checked(array, index, count)].tobytes(), order)

    return load


def _plain_storer(count: int, order: Any) -> Any:
    def store(array: Octets, index: int, value: int) -> None:
        word = (value & ((1 << 8 * count) - 1)).to_bytes(count, order)
        array[_checked(array, index, count)] = np.frombuffer(word, np.uint8)

    return store


def _plain_copy(source: Octets, at: int, target: Octets, to: int, count: int) -> None:
    target[_checked(target, to, count)] = source[_checked(source, at, count)]


#: `octet(array, index)`: one octet
octet: Final = _plain_loader(1, "big") if DISABLED else _loader(8, False)
#: `big16(array, index)`: two octets in network order
big16: Final = _plain_loader(2, "big") if DISABLED else _loader(16, LITTLE_ENDIAN)
#: `big32(array, index)`: four octets in network order
big32: Final = _plain_loader(4, "big") if DISABLED else _loader(32, LITTLE_ENDIAN)
#: `native16(array, index)`: two octets in the machine's order
native16: Final = _plain_loader(2, sys.byteorder) if DISABLED else _loader(16, False)
#: `native32(array, index)`: four octets in the machine's order
native32: Final = _plain_loader(4, sys.byteorder) if DISABLED else _loader(32, False)

#: `put_octet(array, index, value)`; of every value the low bits are taken
put_octet: Final = _plain_storer(1, "big") if DISABLED else _storer(8, False)
put_big16: Final = _plain_storer(2, "big") if DISABLED else _storer(16, LITTLE_ENDIAN)
put_big32: Final = _plain_storer(4, "big") if DISABLED else _storer(32, LITTLE_ENDIAN)
put_native16: Final = _plain_storer(2, sys.byteorder) if DISABLED else _storer(16, False)

#: `copy(source, at, target, to, count)`: octets that do not overlap
copy: Final = _plain_copy if DISABLED else _copy
