"""Log-bucketed histograms of nanoseconds: recorded without allocation, read while they grow.

A fine one has sixteen buckets an octave, so a quantile read from it is within 1/16 of the true one; a
coarse one four, within 1/4, for what there are many of. What they hold is told by their length.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from emulator.jit import DISABLED, inline_packet_kernel, packet_kernel

#: values from 2^44 ns (five hours) on are in the last bucket
_OCTAVES: Final = 44
#: bits of a value that tell buckets of one octave apart
_FINE_BITS: Final = 4
_COARSE_BITS: Final = 2
# words after the buckets
_TAIL: Final = 3


def _buckets(bits: int) -> int:
    return (_OCTAVES - bits + 1) << bits


BUCKETS: Final = _buckets(_FINE_BITS)
COUNT: Final = BUCKETS
TOTAL: Final = BUCKETS + 1
MAXIMUM: Final = BUCKETS + 2
WORDS: Final = BUCKETS + _TAIL
COARSE_BUCKETS: Final = _buckets(_COARSE_BITS)
COARSE_WORDS: Final = COARSE_BUCKETS + _TAIL


def make_histogram() -> np.ndarray[Any, Any]:
    """An empty fine histogram, int64 [WORDS]."""
    return np.zeros(WORDS, np.int64)


@intrinsic
def _leading_zeros(typingctx: Any, value: Any) -> Any:  # pragma: no cover - compiled
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


if DISABLED:

    def _octave(value: int) -> int:
        """Place of the highest bit of a positive number."""
        return int(value).bit_length() - 1

else:

    @inline_packet_kernel
    def _octave(value: int) -> int:
        """Place of the highest bit of a positive number."""
        return 63 - _leading_zeros(value)


@inline_packet_kernel
def _record(histogram: Any, value_ns: int, bits: int, buckets: int) -> None:
    value = max(0, value_ns)
    index = value
    if value >= (1 << bits):
        octave = _octave(value)
        within = (value >> (octave - bits)) & ((1 << bits) - 1)
        index = min(buckets - 1, ((octave - bits + 1) << bits) + within)
    histogram[index] += 1
    histogram[buckets] += 1
    histogram[buckets + 1] += value
    if value > histogram[buckets + 2]:
        histogram[buckets + 2] = value


@packet_kernel
def record(histogram: Any, value_ns: int) -> None:
    """Count one value in a fine histogram; below zero counts as zero."""
    _record(histogram, value_ns, _FINE_BITS, BUCKETS)


@packet_kernel
def record_coarse(histogram: Any, value_ns: int) -> None:
    """Count one value in a coarse histogram; below zero counts as zero."""
    _record(histogram, value_ns, _COARSE_BITS, COARSE_BUCKETS)


def _edges_ns(bits: int) -> np.ndarray[Any, Any]:
    index = np.arange(_buckets(bits))
    octave = (index >> bits) + bits - 1
    within = index & ((1 << bits) - 1)
    edges = ((1 << bits) + within + 1) * 2.0 ** (octave - bits)
    return np.asarray(np.where(index < (1 << bits), index + 1.0, edges))


def upper_edges_ns() -> np.ndarray[Any, Any]:
    """Upper edge of every bucket of a fine histogram, ns."""
    return _edges_ns(_FINE_BITS)


def summary_us(
    histogram: np.ndarray[Any, Any], quantiles: tuple[float, ...] = (0.5, 0.99, 0.999)
) -> dict[str, Any]:
    """`p50`, `p99`, `p999`, `max`, `mean`, `count` in us, and the non-empty part as `histogram`."""
    buckets = len(histogram) - _TAIL
    bits = _FINE_BITS if buckets == BUCKETS else _COARSE_BITS
    counts = histogram[:buckets].copy()
    total = int(counts.sum())
    edges = _edges_ns(bits) / 1e3
    result: dict[str, Any] = {"count": total}
    if total == 0:
        return result | {"p50": None, "p99": None, "p999": None, "max": None, "mean": None, "histogram": None}
    running = np.cumsum(counts)
    largest = float(histogram[buckets + 2]) / 1e3
    for quantile in quantiles:
        name = "p" + f"{quantile:.3f}"[2:].rstrip("0").ljust(2, "0")
        bucket = int(np.searchsorted(running, np.ceil(quantile * total)))
        result[name] = min(float(edges[bucket]), largest)
    used = np.flatnonzero(counts)
    part = slice(used[0], used[-1] + 1)
    result["max"] = largest
    result["mean"] = float(histogram[buckets + 1]) / total / 1e3
    result["histogram"] = {"edges_us": edges[part].tolist(), "counts": counts[part].tolist()}
    return result
