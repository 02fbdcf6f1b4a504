"""libzmq and libc as functions that compiled code can call.

The pyzmq wheel carries libzmq as a shared library. Its functions, and the few of libc that the data
plane needs, are declared as external symbols, so that kernels that call them can be cached on disk (a
function that held a ctypes pointer could not). Sockets are made by pyzmq; only their address comes here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import llvmlite.binding as llvm
import zmq
from numba import types
from numba.extending import intrinsic

from emulator.jit import inline_packet_kernel, packet_kernel

MSG_BYTES: Final = 64  # sizeof(zmq_msg_t), fixed by libzmq's interface
DONTWAIT: Final = int(zmq.DONTWAIT)
SNDMORE: Final = int(zmq.SNDMORE)
EAGAIN: Final = int(zmq.EAGAIN)

_MONOTONIC: Final = 6 if sys.platform == "darwin" else 1
_THREAD_CPUTIME: Final = 16 if sys.platform == "darwin" else 3
#: struct pollfd as one word: the descriptor, and above it that readability is asked for
POLL_READABLE: Final = 1 << 32


class LibraryError(RuntimeError):
    """libzmq was not found where pyzmq was installed from a wheel."""


def find_library() -> Path:
    """The shared library this process's pyzmq uses; LibraryError when it is not one that can be shared."""
    maps = Path("/proc/self/maps")
    if maps.exists():
        for line in maps.read_text().splitlines():
            path = line.split()[-1]
            if "libzmq" in path and ".so" in path:
                return Path(path)
    package = Path(zmq.__file__).parent
    for pattern in (package.parent / "pyzmq.libs", package / ".dylibs"):
        found = sorted(pattern.glob("libzmq*"))
        if found:
            return found[0]
    raise LibraryError(
        "libzmq was not found beside pyzmq: install pyzmq from a wheel (pip install --force-reinstall pyzmq)"
    )


llvm.load_library_permanently(str(find_library()))
if sys.platform.startswith("linux"):
    llvm.load_library_permanently("libc.so.6")

_pointer = types.intp
_int = types.int32

zmq_msg_init: Any = types.ExternalFunction("zmq_msg_init", _int(_pointer))
zmq_msg_init_size: Any = types.ExternalFunction("zmq_msg_init_size", _int(_pointer, types.uintp))
zmq_msg_close: Any = types.ExternalFunction("zmq_msg_close", _int(_pointer))
zmq_msg_copy: Any = types.ExternalFunction("zmq_msg_copy", _int(_pointer, _pointer))
zmq_msg_recv: Any = types.ExternalFunction("zmq_msg_recv", _int(_pointer, _pointer, _int))
zmq_msg_send: Any = types.ExternalFunction("zmq_msg_send", _int(_pointer, _pointer, _int))
zmq_msg_data: Any = types.ExternalFunction("zmq_msg_data", _pointer(_pointer))
zmq_msg_size: Any = types.ExternalFunction("zmq_msg_size", types.uintp(_pointer))
zmq_msg_more: Any = types.ExternalFunction("zmq_msg_more", _int(_pointer))
zmq_send: Any = types.ExternalFunction("zmq_send", _int(_pointer, _pointer, types.uintp, _int))
zmq_errno: Any = types.ExternalFunction("zmq_errno", _int())
memcpy: Any = types.ExternalFunction("memcpy", _pointer(_pointer, _pointer, types.uintp))
_clock_gettime: Any = types.ExternalFunction("clock_gettime", _int(_int, _pointer))


def _load(kind: Any) -> Any:
    @intrinsic
    def load(typingctx: Any, address: Any) -> Any:  # pragma: no cover - compiled
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], context.get_value_type(kind).as_pointer())
            word = builder.load(pointer)
            word.align = 1
            return word

        return kind(types.intp), codegen

    return load


_byte_at: Any = _load(types.uint8)
_word_at: Any = _load(types.int64)


@inline_packet_kernel
def byte_at(address: int) -> int:
    """The byte at an address."""
    return _byte_at(address)


@inline_packet_kernel
def word_at(address: int) -> int:
    """The 64-bit word at an address."""
    return _word_at(address)


@packet_kernel
def clock_ns(scratch: Any) -> int:
    """CLOCK_MONOTONIC in ns; `scratch` is int64 [>= 2]."""
    _clock_gettime(_MONOTONIC, scratch.ctypes.data)
    return scratch[0] * 1_000_000_000 + scratch[1]


@packet_kernel
def thread_cpu_ns(scratch: Any) -> int:
    """Processor time of the calling thread in ns; `scratch` is int64 [>= 2]."""
    _clock_gettime(_THREAD_CPUTIME, scratch.ctypes.data)
    return scratch[0] * 1_000_000_000 + scratch[1]


if sys.platform.startswith("linux"):
    _ppoll: Any = types.ExternalFunction("ppoll", _int(_pointer, types.uintp, _pointer, _pointer))

    @packet_kernel
    def wait_ready(poll: Any, count: int, timeout_ns: int, scratch: Any) -> int:
        """Sleep until one of the first `count` descriptors of `poll` is ready or the time is over.

        `poll` is int64 [>= count], each a struct pollfd (POLL_READABLE | descriptor); what is ready is in its
        upper 16 bits afterwards. `scratch` is int64 [>= 2]. How many are ready.
        """
        scratch[0] = timeout_ns // 1_000_000_000
        scratch[1] = timeout_ns % 1_000_000_000
        return _ppoll(poll.ctypes.data, count, scratch.ctypes.data, 0)

else:
    _poll: Any = types.ExternalFunction("poll", _int(_pointer, types.uintp, _int))

    @packet_kernel
    def wait_ready(poll: Any, count: int, timeout_ns: int, scratch: Any) -> int:
        """Sleep until one of the first `count` descriptors is ready, in whole ms, rounded down."""
        return _poll(poll.ctypes.data, count, timeout_ns // 1_000_000)
