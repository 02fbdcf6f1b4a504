"""Choosing in one pass: the same as the rules, said slowly, give for any offers there may be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.topology.policies import ALWAYS, LOAD_ADVANTAGE, SHARED, WITHIN_MARGIN, settle, undecided

#: places of the spec: four terminals, a gateway, two stations; satellites follow
TERMINALS, OWNERS, STATIONS, PLACES, SATELLITES = 4, 5, (5, 6), 7, 5
MARGIN = 2.0
FED, LASTING = 2, 3


class Rules:
    """The rules of access for one chain of decisions, one offer after the other."""

    def __init__(self, keeps: int, order: list[int], dwell_s: float, capacity: list[int]) -> None:
        self.keeps, self.order, self.dwell_s, self.capacity = keeps, order, dwell_s, capacity
        self.held: dict[int, tuple[int, float]] = {}

    def decide(self, at_s: float, offers: list[list[dict[str, Any]]]) -> list[int]:
        for place, mine in enumerate(offers):
            if place in self.held and self.held[place][0] not in [o["provider"] for o in mine]:
                del self.held[place]
        chosen = []
        for place, mine in enumerate(offers):
            others = [p for k, (p, _) in self.held.items() if k < TERMINALS and k != place]
            taken = self._choose(at_s, place, mine, others)
            if taken < 0:
                self.held.pop(place, None)
            elif place not in self.held or self.held[place][0] != taken:
                self.held[place] = taken, at_s
            chosen.append(taken)
        return chosen

    def _choose(self, at_s: float, place: int, mine: list[dict[str, Any]], others: list[int]) -> int:
        held, since_s = self.held.get(place, (-1, -math.inf))
        full = [p for p in STATIONS if others.count(p) >= self.capacity[p] and p != held]
        room = [o for o in mine if o["provider"] not in full]
        allowed = [o for o in room if not o["barred"]]
        if self._best(allowed) >= FED or (self._best(allowed) >= 0 and self._best(room) < FED):
            mine, room = [o for o in mine if not o["barred"]], allowed
        lasts = any(o["provider"] == held and o["rank"] == LASTING for o in mine)
        if lasts and at_s - since_s < self.dwell_s:
            return held
        mine = room
        if self.order:
            fed = [
                layer for layer in self.order if any(o["layer"] == layer and o["rank"] >= FED for o in mine)
            ]
            seen = [layer for layer in self.order if any(o["layer"] == layer for o in mine)]
            mine = [o for o in mine if o["layer"] in (fed or seen)[:1]]
        mine = [o for o in mine if o["rank"] == max(o["rank"] for o in mine)]
        if not mine:
            return -1
        worth = {o["provider"]: self._worth(o, others) for o in mine}
        best = max(mine, key=lambda o: (worth[o["provider"]], o["elevation"], -o["provider"]))["provider"]
        if held not in worth:
            return int(best)
        if self.keeps == ALWAYS:
            return held
        if self.keeps == SHARED:
            return held if worth[best] <= LOAD_ADVANTAGE * worth[held] else int(best)
        near = worth[best] == worth[held] or worth[best] - worth[held] <= MARGIN
        return held if near else int(best)

    def _best(self, mine: list[dict[str, Any]]) -> int:
        return max((o["rank"] for o in mine if not self.order or o["layer"] in self.order), default=-1)

    def _worth(self, offer: dict[str, Any], others: list[int]) -> float:
        score = offer["score"]
        if self.keeps == SHARED:
            score /= others.count(offer["provider"]) + 1.0
        return -math.inf if math.isnan(score) else float(score)


@st.composite
def _decision(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """What terminals, then a gateway are offered; few values, so that there are ties."""
    offers = []
    bars = draw(st.booleans())
    for place in range(OWNERS):
        able = [*(STATIONS if place < TERMINALS else ()), *range(PLACES, PLACES + SATELLITES)]
        mine = draw(st.lists(st.sampled_from(able), unique=True, max_size=6).map(sorted))
        offers.append(
            [
                {
                    "provider": provider,
                    "score": draw(st.sampled_from([1.0, 2.0, 5.0, 9.0, math.nan])),
                    "elevation": draw(st.sampled_from([10.0, 20.0])),
                    "rank": draw(st.integers(0, 3)),
                    "layer": 0 if provider < PLACES else 1 + provider % 3,
                    "barred": bars and draw(st.booleans()),
                }
                for provider in mine
            ]
        )
    return offers


@settings(max_examples=300, deadline=None)
@given(
    decisions=st.lists(_decision(), min_size=1, max_size=5),
    keeps=st.sampled_from([WITHIN_MARGIN, ALWAYS, SHARED]),
    order=st.lists(st.integers(0, 3), unique=True),
    dwell_s=st.sampled_from([0.0, 20.0]),
    most=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_one_pass_chooses_as_the_rules_do_said_slowly(
    decisions: list[list[list[dict[str, Any]]]],
    keeps: int,
    order: list[int],
    dwell_s: float,
    most: tuple[int, int],
) -> None:
    capacity = np.full(PLACES, 99, dtype=np.int32)
    capacity[list(STATIONS)] = most
    rules = Rules(keeps, order, dwell_s, capacity.tolist())
    load = np.zeros(PLACES + SATELLITES, dtype=np.int32)
    held, since_s = np.full(PLACES, -1, dtype=np.int32), np.full(PLACES, -math.inf)
    owner = np.arange(OWNERS, dtype=np.int32)
    asked_for = np.array(order, dtype=np.int8)
    for number, offers in enumerate(decisions):
        every = [offer for mine in offers for offer in mine]
        bars = any(offer["barred"] for offer in every)
        first = np.cumsum([0, *map(len, offers)])
        columns = (
            np.array([o["provider"] for o in every], dtype=np.int32),
            np.array([o["elevation"] for o in every], dtype=np.float64),
            np.array([o["rank"] for o in every], dtype=np.int8),
            np.array([o["layer"] for o in every], dtype=np.int8),
            # empty where nothing is barred
            np.array([o["barred"] for o in every if bars], dtype=np.bool_),
        )
        score = np.array([o["score"] for o in every], dtype=np.float64)
        before = held.copy()
        open_ = np.zeros(len(every), dtype=np.bool_)
        undecided(first, owner, columns, asked_for, load, held, open_)
        at_s = 10.0 * number
        settle(
            first, owner, columns, score, TERMINALS, asked_for, at_s, dwell_s, keeps, MARGIN, capacity, load,
            held, since_s,
        )  # fmt: skip
        assert held[:OWNERS].tolist() == rules.decide(at_s, offers)
        assert (
            load.tolist()
            == np.bincount(held[:TERMINALS][held[:TERMINALS] >= 0], minlength=len(load)).tolist()
        )
        if keeps == ALWAYS:
            # who moves has been foreseen for
            for place in np.flatnonzero(held != before):
                assert open_[first[place] : first[place + 1]].all()
