"""What makes one offer better than another: the policies of access, without the chain of decisions.

Which offers there are is settled before (`offers`). Here is which of them count at all, and which one of
these is taken. What a place is barred from does not count, unless leaving it out would cost the place its
connection. Ties go to the higher one, then to the lower index, so that everybody finds the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.jit import kernel
from emulator.topology.offers import FED, LASTING

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]

POLICIES = ("highest-elevation", "longest-visibility", "best-snr", "load-aware")
#: policies that look at published radio figures
RADIO_POLICIES = ("best-snr", "load-aware")
#: "load-aware": another must promise this many times the rate that the present one does
LOAD_ADVANTAGE = 1.2

#: when the present one is kept: others score more by a margin at most, always, or as in `LOAD_ADVANTAGE`
WITHIN_MARGIN, ALWAYS, SHARED = 0, 1, 2

#: (place indices of terminals [k], or one of all; of who offers [k]; range m [k]; elevation deg [k]) -> [k]
Figure = Callable[[Any, Indices, Floats, Floats], Floats]


@dataclass(frozen=True)
class Nominal:
    """Published radio figures that decisions rest on: clear sky, no hidden bias, nobody else there."""

    snr_db: Figure
    rate_bps: Figure


@kernel
def _is_full(provider, held, load, capacity):  # type: ignore[no-untyped-def]
    """Whether a station has as many terminals as it serves; the one held is never full."""
    return provider < capacity.shape[0] and provider != held and load[provider] >= capacity[provider]


@kernel
def _is_open(k, offers, held, load, capacity, obeys):  # type: ignore[no-untyped-def]
    """Whether offer `k` can be taken; `obeys`: barred ones cannot."""
    if obeys and offers[4][k]:
        return False
    return not _is_full(offers[0][k], held, load, capacity)


@kernel
def _class(begin, end, offers, order, held, load, capacity, obeys):  # type: ignore[no-untyped-def]
    """(layer, rank) of the offers that count, of rows `begin` to `end`; layer -1: any, rank -1: none does.

    `order`: the layers asked for. The first counts in which something is fed, or else that offers anything.
    """
    _, _, rank, layer, _ = offers
    best = -1
    for k in range(begin, end):
        if _is_open(k, offers, held, load, capacity, obeys):
            best = max(best, rank[k])
    if order.shape[0] == 0:
        return -1, best
    seen, seen_rank = -1, -1
    for wanted in order:
        best = -1
        for k in range(begin, end):
            if layer[k] == wanted and _is_open(k, offers, held, load, capacity, obeys):
                best = max(best, rank[k])
        if best >= FED:
            return wanted, best
        if seen_rank < 0 <= best:
            seen, seen_rank = wanted, best
    return seen, seen_rank


@kernel
def _has_barred(begin, end, barred):  # type: ignore[no-untyped-def]
    """Whether any of the offers `begin` to `end` is barred; nothing is where `barred` is empty."""
    found = False
    if barred.shape[0] > 0:
        for k in range(begin, end):
            found = found or barred[k]
    return found


@kernel
def _obeys(begin, end, offers, order, held, load, capacity):  # type: ignore[no-untyped-def]
    """Whether a place leaves out what it is barred from: not when that would cost it its connection."""
    if not _has_barred(begin, end, offers[4]):
        return False
    _, others = _class(begin, end, offers, order, held, load, capacity, True)
    _, best = _class(begin, end, offers, order, held, load, capacity, False)
    return others >= FED or (others >= 0 and best < FED)


@kernel
def _choose(  # type: ignore[no-untyped-def]
    begin, end, offers, score, order, held, dwells, load, capacity, keeps, margin
):
    """The provider that one place takes of its offers, -1 for none; see `settle`."""
    provider, elevation, rank, layer, barred = offers
    obeys = _obeys(begin, end, offers, order, held, load, capacity)
    if dwells:
        for k in range(begin, end):
            if provider[k] == held and rank[k] == LASTING and not (obeys and barred[k]):
                return held
    layer_wanted, rank_wanted = _class(begin, end, offers, order, held, load, capacity, obeys)
    if rank_wanted < 0:
        return -1
    best, most, mine = -1, -np.inf, np.nan
    for k in range(begin, end):
        if rank[k] != rank_wanted or (layer_wanted >= 0 and layer[k] != layer_wanted):
            continue
        if not _is_open(k, offers, held, load, capacity, obeys):
            continue
        # what a newcomer would get beside those that are there, in equal shares
        value = score[k] / (load[provider[k]] + 1.0) if keeps == SHARED else score[k]
        if np.isnan(value):
            value = -np.inf
        if provider[k] == held:
            mine = value
        if best < 0 or value > most or (value == most and elevation[k] > elevation[best]):
            best, most = k, value
    if keeps == ALWAYS:
        stays = not np.isnan(mine)
    elif keeps == SHARED:
        stays = most <= LOAD_ADVANTAGE * mine
    else:
        # both may be infinite: equal ones are as good as each other
        stays = most == mine or most - mine <= margin
    return held if stays else provider[best]


@kernel
def settle(  # type: ignore[no-untyped-def]
    first,
    owner,
    offers,
    score,
    terminals,
    order,
    at_s,
    min_dwell_s,
    keeps,
    margin,
    capacity,
    load,
    held,
    since_s,
):
    """Choose for places one after the other, each knowing where the others are.

    Offers of the j-th place, `owner[j]`, are rows `first[j]:first[j + 1]` of `offers`: provider, elevation,
    rank, layer, [k] each, and whether they are barred, [k] or empty for none; and of `score` [k], of which
    the largest is best. The first `terminals` of the places count as load. `order`: layers asked for;
    `keeps`, `margin`: when the present one is kept; `capacity` [places]: terminals that a place serves.
    Changed: `load` [places, satellites], `held` [places] the provider taken, -1 for none, `since_s` [places].
    """
    load[:] = 0
    provider = offers[0]
    # those who can stay where they are count there until they have chosen
    for j in range(owner.shape[0]):
        there = False
        for k in range(first[j], first[j + 1]):
            there = there or provider[k] == held[owner[j]]
        if not there:
            held[owner[j]] = -1
        elif j < terminals:
            load[held[owner[j]]] += 1
    for j in range(owner.shape[0]):
        place = owner[j]
        present = held[place]
        if present >= 0 and j < terminals:
            load[present] -= 1
        chosen = _choose(
            first[j], first[j + 1], offers, score, order, present,
            present >= 0 and at_s - since_s[place] < min_dwell_s, load, capacity, keeps, margin,
        )  # fmt: skip
        if chosen >= 0 and j < terminals:
            load[chosen] += 1
        if chosen != present:
            held[place] = chosen
            since_s[place] = at_s


@kernel
def undecided(first, owner, offers, order, load, held, asked):  # type: ignore[no-untyped-def]
    """Set `asked` [k] for the offers of places that are on none of those that count for them.

    Arguments as in `settle`. Nothing is full here: who can stay among all can stay among fewer.
    """
    provider, _, rank, layer, barred = offers
    nothing = np.zeros(0, dtype=np.int32)
    for j in range(owner.shape[0]):
        present = held[owner[j]]
        begin, end = first[j], first[j + 1]
        layer_wanted, rank_wanted = _class(begin, end, offers, order, present, load, nothing, False)
        open_ = True
        for k in range(begin, end):
            counts = rank[k] == rank_wanted and (layer_wanted < 0 or layer[k] == layer_wanted)
            open_ = open_ and not (counts and provider[k] == present)
        asked[begin:end] = open_ or _has_barred(begin, end, barred)
