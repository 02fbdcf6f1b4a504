"""Log-bucketed histograms of nanoseconds: recorded without allocation, read while they grow.

Sixteen buckets an octave, so a quantile read from it is within 1/16 of the true one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from emulator.jit import packet_kernel

_OCTAVES: Final = 44
BUCKETS: Final = 16 * (_OCTAVES - 3)
# words after the buckets
COUNT: Final = BUCKETS
TOTAL: Final = BUCKETS + 1
MAXIMUM: Final = BUCKETS + 2
WORDS: Final = BUCKETS + 3


def make_histogram() -> np.ndarray[Any, Any]:
    """An empty histogram, int64 [WORDS]."""
    return np.zeros(WORDS, np.int64)


@packet_kernel
def record(histogram: Any, value_ns: int) -> None:
    """Count one value; below zero counts as zero."""
    value = max(0, value_ns)
    if value < 16:
        index = value
    else:
        octave = 4
        while (value >> (octave + 1)) > 0:
            octave += 1
        index = min(BUCKETS - 1, 16 * (octave - 3) + ((value >> (octave - 4)) & 15))
    histogram[index] += 1
    histogram[COUNT] += 1
    histogram[TOTAL] += value
    if value > histogram[MAXIMUM]:
        histogram[MAXIMUM] = value


def upper_edges_ns() -> np.ndarray[Any, Any]:
    """Upper edge of every bucket, ns."""
    index = np.arange(BUCKETS)
    octave = index // 16 + 3
    edges = (16 + index % 16 + 1) * 2.0 ** (octave - 4)
    return np.asarray(np.where(index < 16, index + 1.0, edges))


def summary_us(
    histogram: np.ndarray[Any, Any], quantiles: tuple[float, ...] = (0.5, 0.99, 0.999)
) -> dict[str, Any]:
    """`p50`, `p99`, `p999`, `max`, `mean`, `count` in us, and the non-empty part as `histogram`."""
    counts = histogram[:BUCKETS].copy()
    total = int(counts.sum())
    edges = upper_edges_ns() / 1e3
    result: dict[str, Any] = {"count": total}
    if total == 0:
        return result | {"p50": None, "p99": None, "p999": None, "max": None, "mean": None, "histogram": None}
    running = np.cumsum(counts)
    largest = float(histogram[MAXIMUM]) / 1e3
    for quantile in quantiles:
        name = "p" + f"{quantile:.3f}"[2:].rstrip("0").ljust(2, "0")
        bucket = int(np.searchsorted(running, np.ceil(quantile * total)))
        result[name] = min(float(edges[bucket]), largest)
    used = np.flatnonzero(counts)
    part = slice(used[0], used[-1] + 1)
    result["max"] = largest
    result["mean"] = float(histogram[TOTAL]) / total / 1e3
    result["histogram"] = {"edges_us": edges[part].tolist(), "counts": counts[part].tolist()}
    return result
