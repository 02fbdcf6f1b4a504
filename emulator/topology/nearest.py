"""Links to the nearest satellites: by length, the shortest first, as far as both ends have a link to spare.

Positions go in, pairs come out. Taking the shortest pair of all, then the next, is done in rings of
growing length: after each only satellites that still lack links are looked at, so cost grows with the
number of satellites and not with its square. Lengths are compared in whole metres and equal ones by
index, so that the last digit of a position decides nothing. When links are made anew is decided elsewhere.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from emulator.geometry import GRAZING_HEIGHT_M, clear_of_earth
from emulator.jit import kernel
from emulator.units import WGS84_A_M

Pairs = NDArray[np.int32]
Positions = NDArray[np.float64]

#: a pair as one number that sorts by length, then by index: metres, lower index, higher index
_INDEX_BITS = 18
MOST_SATELLITES = 1 << _INDEX_BITS
#: the first ring holds about this many times the links wanted
_FIRST_RING = 2.0
#: each further ring ends at this many times the one before
_GROWTH = 1.6
_LEAST_RING_M = 10_000.0


@kernel
def _cell(x, size):  # type: ignore[no-untyped-def]
    return np.int64(math.floor(x / size))


@kernel
def _bucket(x, y, z, mask):  # type: ignore[no-untyped-def]
    # odd multipliers spread neighbouring cells over the table (Teschner et al. 2003, section 4)
    return ((x * 73_856_093) ^ (y * 19_349_663) ^ (z * 83_492_791)) & mask


@kernel
def close_pairs(position, active, wanting, inner_m, outer_m, found):  # type: ignore[no-untyped-def]
    """Pairs of satellites further than `inner_m` and at most `outer_m` apart; returns how many there are.

    `inner_m` below 0: those at the same point are among them.
    `position` [n, 3] m; `active` [m]: the satellites to look at, all of them with a position; `wanting`
    [n]: one of each pair wants a link. `found`: pairs as sortable numbers, filled as far as it reaches.
    """
    count = active.shape[0]
    size = 1
    while size < 2 * count:
        size *= 2
    mask = size - 1
    cell = np.empty((count, 3), dtype=np.int64)
    bucket = np.empty(count, dtype=np.int64)
    start = np.zeros(size + 1, dtype=np.int32)
    for k in range(count):
        for axis in range(3):
            cell[k, axis] = _cell(position[active[k], axis], outer_m)
        bucket[k] = _bucket(cell[k, 0], cell[k, 1], cell[k, 2], mask)
        start[bucket[k] + 1] += 1
    for b in range(size):
        start[b + 1] += start[b]
    at = start.copy()
    member = np.empty(count, dtype=np.int32)
    for k in range(count):
        member[at[bucket[k]]] = k
        at[bucket[k]] += 1
    asking = 0
    for k in range(count):
        asking += wanting[active[k]]
    # each pair is to be met once: from both ends by half of the 26 cells around and the own one, or, when
    # few want links, from those by all cells
    few = 2 * asking < count
    total = 0
    least, most = inner_m * abs(inner_m), outer_m * outer_m
    for k in range(count):
        i = active[k]
        if few and not wanting[i]:
            continue
        for step in range(0 if few else 13, 27):
            x = cell[k, 0] + step // 9 - 1
            y = cell[k, 1] + step // 3 % 3 - 1
            z = cell[k, 2] + step % 3 - 1
            b = _bucket(x, y, z, mask)
            for q in range(start[b], start[b + 1]):
                other = member[q]
                if cell[other, 0] != x or cell[other, 1] != y or cell[other, 2] != z:
                    continue  # another cell in the same bucket
                j = active[other]
                if few:
                    if j == i or (wanting[j] and other < k):
                        continue
                elif (step == 13 and other <= k) or not (wanting[i] or wanting[j]):
                    continue
                dx = position[i, 0] - position[j, 0]
                dy = position[i, 1] - position[j, 1]
                dz = position[i, 2] - position[j, 2]
                square = dx * dx + dy * dy + dz * dz
                if least < square <= most:
                    if total < found.shape[0]:
                        length = np.int64(math.floor(math.sqrt(square) + 0.5))
                        low, high = min(i, j), max(i, j)
                        found[total] = (((length << _INDEX_BITS) | low) << _INDEX_BITS) | high
                    total += 1
    return total


@kernel
def _take(found, free, taken, filled):  # type: ignore[no-untyped-def]
    """Take pairs in order while both ends have a link to spare; returns how many `taken` [.., 2] holds."""
    low_bits = (1 << _INDEX_BITS) - 1
    for k in range(found.shape[0]):
        a, b = (found[k] >> _INDEX_BITS) & low_bits, found[k] & low_bits
        if free[a] > 0 and free[b] > 0:
            free[a] -= 1
            free[b] -= 1
            taken[filled, 0] = a
            taken[filled, 1] = b
            filled += 1
    return filled


def nearest_pairs(
    position: Positions,
    spare: NDArray[np.int32],
    max_range_m: float,
    besides: Pairs | None = None,
    wanting: NDArray[np.bool_] | None = None,
) -> Pairs:
    """Pairs [m, 2] of satellites, lower index first, the shortest clear ones first.

    `position` [n, 3] m, NaN for a satellite to leave out; `spare` [n]: links each may still take;
    `besides` [k, 2]: pairs that exist and are not named again; `wanting` [n]: satellites that are to get
    links, from others too; None: all.
    """
    count = len(position)
    free = np.where(np.isfinite(position).all(axis=1), spare, 0).astype(np.int32)
    wanted = np.ones(count, dtype=np.bool_) if wanting is None else wanting
    taken = np.empty((int(free.sum()) // 2 + 1, 2), dtype=np.int32)
    existing = _numbers(besides) if besides is not None else np.zeros(0, dtype=np.int64)
    filled = 0
    inner, outer = -1.0, _first_ring_m(position, free)
    while inner < max_range_m:
        active = np.flatnonzero(free > 0).astype(np.int32)
        if len(active) < 2 or not wanted[active].any():
            break
        # between two whole metres: lengths that count as equal belong to one ring
        outer = min(math.floor(outer) + 0.5, max_range_m)
        found = _ring(position, active, wanted, inner, outer)
        if len(existing):
            found = found[~np.isin(found & (MOST_SATELLITES**2 - 1), existing)]
        if outer > _surely_clear_m(position[active]):
            low, high = (found >> _INDEX_BITS) & (MOST_SATELLITES - 1), found & (MOST_SATELLITES - 1)
            found = found[clear_of_earth(position[low], position[high])]
        found.sort()
        filled = _take(found, free, taken, filled)
        inner, outer = outer, outer * _GROWTH
    return taken[:filled].copy()


def _numbers(pairs: Pairs) -> NDArray[np.int64]:
    a, b = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    return np.asarray((np.minimum(a, b) << _INDEX_BITS) | np.maximum(a, b))


def without_repeats(pairs: Pairs) -> Pairs:
    """Pairs [m, 2], lower index first, in order, each once."""
    number = np.unique(_numbers(pairs))
    both = np.stack([number >> _INDEX_BITS, number & (MOST_SATELLITES - 1)], axis=1)
    return np.asarray(both, dtype=np.int32)


def _first_ring_m(position: Positions, free: NDArray[np.int32]) -> float:
    """A length within which satellites spread evenly over a sphere would find their links."""
    able = free > 0
    count = int(able.sum())
    if count < 2:
        return _LEAST_RING_M
    radius = float(np.median(np.linalg.norm(position[able], axis=1)))
    around = _FIRST_RING * float(free[able].mean())
    return max(_LEAST_RING_M, 2.0 * radius * math.sqrt(around / count))


def _ring(
    position: Positions, active: NDArray[np.int32], wanted: NDArray[np.bool_], inner: float, outer: float
) -> NDArray[np.int64]:
    found = np.empty(16 * len(active), dtype=np.int64)
    total = int(close_pairs(position, active, wanted, inner, outer, found))
    if total > len(found):
        found = np.empty(total, dtype=np.int64)
        close_pairs(position, active, wanted, inner, outer, found)
    return found[:total]


def _surely_clear_m(position: Positions) -> float:
    """A length up to which no pair of these can have the Earth in between."""
    lowest = float(np.linalg.norm(position, axis=1).min())
    grazing = WGS84_A_M + GRAZING_HEIGHT_M
    return 2.0 * math.sqrt(max(0.0, lowest * lowest - grazing * grazing))


@kernel
def _next_upper(position, lower, upper, best, best_m):  # type: ignore[no-untyped-def]
    """For each of `lower` the next nearest of `upper` after `best` at `best_m` (-1: none), both changed."""
    for k in range(lower.shape[0]):
        i = lower[k]
        held, held_m = best[k], best_m[k]
        found, found_m = -1, np.inf
        for j in upper:
            dx = position[i, 0] - position[j, 0]
            dy = position[i, 1] - position[j, 1]
            dz = position[i, 2] - position[j, 2]
            length = math.floor(math.sqrt(dx * dx + dy * dy + dz * dz) + 0.5)
            # upper is in rising order, so of equal lengths the lower index is found first
            if length < found_m and (length > held_m or (length == held_m and j > held)):
                found, found_m = j, length
        best[k], best_m[k] = found, found_m


def nearest_above(position: Positions, lower: NDArray[np.int32], upper: NDArray[np.int32]) -> Pairs:
    """Pairs [m, 2]: each satellite of `lower` [k] with the nearest clear one of `upper`.

    `position` [n, 3] m; `upper` in rising order. A satellite that sees none of them is in no pair.
    """
    upper = upper[np.isfinite(position[upper]).all(axis=1)]
    left = lower[np.isfinite(position[lower]).all(axis=1)]
    best, best_m = np.full(len(left), -1, dtype=np.int32), np.full(len(left), -1.0)
    settled = []
    while len(left):
        _next_upper(position, left, upper, best, best_m)
        left, best, best_m = left[best >= 0], best[best >= 0], best_m[best >= 0]
        clear = clear_of_earth(position[left], position[best])
        settled.append(np.stack([left[clear], best[clear]], axis=1))
        left, best, best_m = left[~clear], best[~clear], best_m[~clear]
    pairs = np.concatenate(settled) if settled else np.zeros((0, 2), dtype=np.int32)
    return np.asarray(pairs[np.argsort(pairs[:, 0], kind="stable")], dtype=np.int32)
