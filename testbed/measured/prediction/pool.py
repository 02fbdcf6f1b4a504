"""How several distributions become one, compiled: weights, and a correction of what comes out.

The distribution functions are added up with weights that make the CRPS of past forecasts least. That score is
a quadratic form of the weights, so its sums are all that is kept (a linear pool: Gneiting and Ranjan 2013,
"Combining predictive distributions", EJS 7; on CRPS: Thorey, Mallet and Baudin 2017, QJRMS 143). There is one
set of weights for each situation, drawn to what holds in all of them. Then the pool's own errors are taken
out: the frequencies of its past probability integral transforms (Dawid 1984; Kuleshov, Fenner and Ermon
2018), and the ends of the 90 % band, which move after each miss (Gibbs and Candes 2021, eq. 2).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from testbed.measured.measurement import Array
from testbed.measured.prediction.compiling import fill, kernel

#: the situations: three just after a boundary, nothing known of the slot, little, some, much; the last two
#: once more with a clear cycle
SITUATIONS: Final = 9
#: their coarser classes, each with a correction of its own
CLASSES: Final = 3
#: forecasts of all situations count in each by this many
_DRAWN: Final = 30.0
#: sums are forgotten with this half-life, learned forecasts
_HALF_LIFE: Final = 12_000.0
_ITERATIONS: Final = 30
_SETTLED: Final = 1e-9
#: keeps members that tell the same apart
_RIDGE: Final = 1e-4
#: parts of the probability integral transform, and forecasts that an even distribution counts as
_PARTS: Final = 40
_EVEN: Final = 1000.0
#: how far an end of the band moves after a miss, in probability, and between which it may lie
_STEP: Final = 0.004
_NARROWEST: Final = 0.2
_WIDEST: Final = 0.002
LOW: Final = 0.05
HIGH: Final = 0.95


class Pool(NamedTuple):
    """Sums of products of distributions [situations, k, k] and with what came [situations, k], their
    numbers, the same over all situations, weights [situations, k]; counts of the transform
    [classes, parts]; levels [2] that are now the ends of the band."""

    products: Array
    targets: Array
    number: Array
    all_products: Array
    all_targets: Array
    weights: Array
    transform: Array
    ends: Array


def new_pool(members: int) -> Pool:
    return Pool(
        np.zeros((SITUATIONS, members, members)), np.zeros((SITUATIONS, members)), np.zeros(SITUATIONS),
        np.zeros((members, members)), np.zeros(members), np.full((SITUATIONS, members), 1.0 / members),
        np.full((CLASSES, _PARTS), _EVEN / _PARTS), np.array([LOW, HIGH]),
    )  # fmt: skip


@kernel
def least_on_simplex(products: Array, targets: Array, weights: Array) -> None:
    """Improve `weights` [k], not negative and adding up to one, towards the least w'Pw - 2 t'w.

    The pair that gains most moves, as far as it gains (Platt 1998, sequential minimal optimisation).
    """
    count = len(weights)
    slope = np.empty(count)
    for k in range(count):
        slope[k] = -targets[k]
        for m in range(count):
            slope[k] += products[k, m] * weights[m]
    for _ in range(_ITERATIONS):
        up, down = -1, -1
        for k in range(count):
            if up < 0 or slope[k] < slope[up]:
                up = k
            if weights[k] > _SETTLED and (down < 0 or slope[k] > slope[down]):
                down = k
        if down < 0 or slope[down] - slope[up] <= _SETTLED * abs(slope[up]):
            break
        curve = products[up, up] + products[down, down] - 2.0 * products[up, down]
        step = weights[down]
        if curve > 0.0:
            step = min(step, (slope[down] - slope[up]) / curve)
        weights[up] += step
        weights[down] -= step
        for k in range(count):
            slope[k] += step * (products[k, up] - products[k, down])


@kernel
def learn_weights(pool: Pool, situation: int, members: Array, bin_: int, widths: Array) -> None:
    """The value that `members` [k, bins] were to tell fell into `bin_`; `widths` [bins] of the bins."""
    count, bins = members.shape
    keep = 0.5 ** (1.0 / _HALF_LIFE)
    for k in range(count):
        target = 0.0
        for b in range(bin_, bins):
            target += members[k, b] * widths[b]
        pool.targets[situation, k] = pool.targets[situation, k] * keep + target
        pool.all_targets[k] = pool.all_targets[k] * keep + target
        for m in range(k, count):
            product = 0.0
            for b in range(bins):
                product += members[k, b] * members[m, b] * widths[b]
            here = pool.products[situation, k, m] * keep + product
            everywhere = pool.all_products[k, m] * keep + product
            pool.products[situation, k, m] = pool.products[situation, m, k] = here
            pool.all_products[k, m] = pool.all_products[m, k] = everywhere
    pool.number[situation] = pool.number[situation] * keep + 1.0
    number = 0.0
    for s in range(SITUATIONS):
        number += pool.number[s]
    drawn = _DRAWN / number
    products, targets = np.empty((count, count)), np.empty(count)
    for k in range(count):
        targets[k] = pool.targets[situation, k] + drawn * pool.all_targets[k]
        for m in range(count):
            products[k, m] = pool.products[situation, k, m] + drawn * pool.all_products[k, m]
        products[k, k] *= 1.0 + _RIDGE
    least_on_simplex(products, targets, pool.weights[situation])


@kernel
def class_of(situation: int) -> int:
    """The coarser class of a situation."""
    if situation < 3:
        return 0
    return 1 if situation < 5 else 2


@kernel
def learn_transform(pool: Pool, situation: int, below: float, upto: float) -> None:
    """A value came whose bin the pool had between these probabilities."""
    counts = pool.transform[class_of(situation)]
    first = min(int(below * _PARTS), _PARTS - 1)
    last = min(int(upto * _PARTS), _PARTS - 1)
    if upto - below < 1e-9:
        counts[first] += 1.0
        return
    for part in range(first, last + 1):
        inside = min(upto, (part + 1.0) / _PARTS) - max(below, part / _PARTS)
        counts[part] += max(inside, 0.0) / (upto - below)


@kernel
def learn_ends(pool: Pool, below: float, upto: float) -> None:
    """A value came whose bin the forecast given had between these probabilities.

    A bin that lies across an end is missed by the part of it that is outside.
    """
    wide = max(upto - below, 1e-9)
    missed_low = min(max((LOW - below) / wide, 0.0), 1.0)
    under_high = min(max((HIGH - below) / wide, 0.0), 1.0)
    low = pool.ends[0] + _STEP * (LOW - missed_low)
    high = pool.ends[1] + _STEP * (HIGH - under_high)
    pool.ends[0] = min(max(low, _WIDEST), _NARROWEST)
    pool.ends[1] = min(max(high, 1.0 - _NARROWEST), 1.0 - _WIDEST)


@kernel
def pooled(pool: Pool, situation: int, members: Array, out: Array) -> None:
    """The weighted sum [bins] of the members [k, bins]."""
    fill(out, 0.0)
    for k in range(members.shape[0]):
        weight = pool.weights[situation, k]
        if weight > 0.0:
            for b in range(len(out)):
                out[b] += weight * members[k, b]


@kernel
def corrected(pool: Pool, situation: int, raw: Array, out: Array) -> None:
    """The distribution function [bins] without the errors that the pool is known to make."""
    counts = pool.transform[class_of(situation)]
    reached = np.empty(_PARTS + 1)
    reached[0] = 0.0
    for part in range(_PARTS):
        reached[part + 1] = reached[part] + counts[part]
    low, high = pool.ends[0], pool.ends[1]
    for b in range(len(out)):
        place = min(max(raw[b], 0.0), 1.0) * _PARTS
        part = min(int(place), _PARTS - 1)
        p = (reached[part] + (place - part) * counts[part]) / reached[_PARTS]
        if p < low:
            p *= LOW / low
        elif p < 0.5:
            p = LOW + (p - low) * (0.5 - LOW) / (0.5 - low)
        elif p < high:
            p = 0.5 + (p - 0.5) * (HIGH - 0.5) / (high - 0.5)
        else:
            p = HIGH + (p - high) * (1.0 - HIGH) / (1.0 - high)
        out[b] = p
