"""How certain a distance between a model and a measurement is: block bootstrap over time.

Both sides are cut into the same blocks of time and blocks are drawn with replacement, both sides together
(Künsch 1989, Ann. Statist. 17). A block is 60 s long, several slots: what lasts longer than a slot is rare,
and the autocorrelation is told up to 30 s, of which a block of 60 s keeps half of the pairs even at the
longest lag; products are counted where they begin, so that none is lost. Shorter recordings have blocks of a
slot at least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.measured.fidelity.measures import LEVELS, Slotting
from testbed.measured.fidelity.series import LAGS_S, STEP_S, halfway_s, sent, stretches
from testbed.measured.fidelity.slots import slot_medians, slot_numbers
from testbed.measured.measurement import Array, Measurement

BLOCK_S: Final = 60.0
#: fewer blocks tell nothing of what another recording would have shown
_LEAST_BLOCKS: Final = 6
RESAMPLES: Final = 200
#: the distribution of the values is kept in so many steps
_STEPS: Final = 400


@dataclass(frozen=True, eq=False)
class _Sums:
    """What each block [b] adds: counts of values by step [b, steps], products [b, lags], squares, losses."""

    counts: Array
    products: Array
    power: Array
    within: Array
    squares: Array
    total: Array
    number: Array
    lost: Array
    sent: Array
    bursts: Array


def intervals(
    model: Measurement, test: Measurement, slotting: Slotting, share: float = 0.9, seed: int = 1
) -> dict[str, tuple[float, float]]:
    """Interval of each distance that holds it with probability `share`; empty for too short a recording.

    `model` are values at the test's own times.
    """
    span_s = test.span_s
    block_s = max(min(BLOCK_S, span_s / (2.0 * _LEAST_BLOCKS)), slotting.period_s)
    blocks = int(span_s // block_s)
    if blocks < _LEAST_BLOCKS:
        return {}
    both = np.concatenate([side.values[side.answered] for side in (model, test)])
    edges = np.unique(np.quantile(both, np.linspace(0.0, 1.0, _STEPS + 1)))
    if len(edges) < 3:
        return {}
    # blocks in a gap tell nothing, and a gap may last for months
    there = np.unique(_block_of(test.times_s[test.answered], test.begin_s, block_s, blocks))
    if len(there) < _LEAST_BLOCKS:
        return {}
    one, other = (
        _sums(side, slotting, test.begin_s, block_s, blocks, there, edges) for side in (model, test)
    )
    blocks = len(there)
    drawn = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1.0 / blocks), RESAMPLES)
    found = _resampled(one, other, drawn.astype(np.float64), edges)
    losses_known = model.losses_known and test.losses_known
    ends = ((1.0 - share) / 2.0, (1.0 + share) / 2.0)
    return {
        name: (float(low), float(high))
        for name, values in found.items()
        if np.isfinite(values).all() and (losses_known or name not in ("loss", "bursts"))
        for low, high in [np.quantile(values, ends)]
    }


def _block_of(times_s: Array, begin_s: float, block_s: float, blocks: int) -> NDArray[np.int64]:
    return np.clip(((times_s - begin_s) / block_s).astype(np.int64), 0, blocks - 1)


def _sums(
    side: Measurement,
    slotting: Slotting,
    begin_s: float,
    block_s: float,
    every_block: int,
    there: NDArray[np.int64],
    edges: Array,
) -> _Sums:
    blocks = len(there)

    def block_of(times_s: Array) -> NDArray[np.int64]:
        numbers = _block_of(times_s, begin_s, block_s, every_block)
        return np.minimum(np.searchsorted(there, numbers), blocks - 1)

    data = sent(side)
    where = block_of(data.times_s)
    step = np.clip(np.searchsorted(edges, data.values, "left"), 0, len(edges) - 1)
    counts = np.bincount(where * len(edges) + step, minlength=blocks * len(edges))
    away = data.values - slot_medians(
        data.values, slot_numbers(halfway_s(data), slotting.period_s, slotting.offset_s)
    )
    products, power = np.zeros((blocks, len(LAGS_S))), np.zeros(blocks)
    parts = stretches(data.times_s, data.values)
    mean = sum(float(p.values.sum()) for p in parts) / sum(len(p.values) for p in parts)
    for part in parts:
        x, block = part.values - mean, block_of(part.middles_s)
        power += np.bincount(block, x * x, blocks)
        for index, lag_s in enumerate(LAGS_S):
            lag = round(lag_s / STEP_S)
            if len(x) > lag:
                products[:, index] += np.bincount(block[:-lag], x[lag:] * x[:-lag], blocks)
    lost = ~side.answered
    begun = lost & ~np.concatenate(([False], lost[:-1]))
    every = block_of(side.times_s)
    return _Sums(
        counts=counts.reshape(blocks, len(edges)).astype(np.float64),
        products=products,
        power=power,
        within=_added(where, away * away, blocks),
        squares=_added(where, data.values**2, blocks),
        total=_added(where, data.values, blocks),
        number=np.bincount(where, minlength=blocks).astype(np.float64),
        lost=_added(every, lost, blocks),
        sent=np.bincount(every, minlength=blocks).astype(np.float64),
        bursts=_added(every, begun, blocks),
    )


def _added(where: NDArray[np.int64], values: Array | NDArray[np.bool_], blocks: int) -> Array:
    return np.asarray(np.bincount(where, values, blocks), dtype=np.float64)


def _resampled(one: _Sums, other: _Sums, drawn: Array, edges: Array) -> dict[str, Array]:
    """Distances [resamples] with the blocks weighted as `drawn` [resamples, blocks]."""
    cdfs, quantiles, acfs, shares, rates, lengths = [], [], [], [], [], []
    with np.errstate(invalid="ignore", divide="ignore"):
        for side in (one, other):
            counts = np.cumsum(drawn @ side.counts, axis=1)
            cdf = counts / counts[:, -1:]
            cdfs.append(cdf)
            at = np.array([[np.searchsorted(row, level) for level in LEVELS] for row in cdf])
            quantiles.append(edges[np.minimum(at, len(edges) - 1)])
            acfs.append((drawn @ side.products) / (drawn @ side.power)[:, None])
            variance = drawn @ side.squares - (drawn @ side.total) ** 2 / (drawn @ side.number)
            shares.append(1.0 - (drawn @ side.within) / variance)
            rates.append((drawn @ side.lost) / (drawn @ side.sent))
            lengths.append(
                np.where(drawn @ side.bursts > 0, (drawn @ side.lost) / (drawn @ side.bursts), 1.0)
            )
        apart = np.abs(cdfs[0] - cdfs[1])
        return {
            "w1": apart[:, :-1] @ np.diff(edges),
            "ks": apart.max(axis=1),
            "quantiles": np.mean(np.abs(np.log(quantiles[0] / quantiles[1])), axis=1),
            "acf": np.mean(np.abs(acfs[0] - acfs[1]), axis=1),
            "slot_share": np.abs(shares[0] - shares[1]),
            "loss": np.abs(rates[0] - rates[1]),
            "bursts": np.abs(lengths[0] - lengths[1]),
        }
