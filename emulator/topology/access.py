"""Which satellite serves which terminal, and which satellites the gateways feed.

Decisions are taken at instants on a grid of UTC seconds and hold until the next. They follow from
published elements and the access rules alone, evaluated at the instant itself: whoever knows these,
and at whatever times they ask, finds the same satellites. Links that break in between are left out
when they set; nothing is replaced before the next instant.

Elevation rises and then falls during a pass, so a satellite that is high enough at both ends of an
interval is high enough throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.geometry import Sky, elevation_deg
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.motion import Motion
from emulator.spec import AccessSpec, Place

POLICIES = ("highest-elevation", "longest-visibility")
#: instants are compared with this tolerance, s: callers step in decimal fractions
_TICK_S = 1e-6
#: how far ahead, and how finely, visibility is followed for "longest-visibility", s
_HORIZON_S = 1200.0
_STEP_S = 15.0


@dataclass(frozen=True)
class Choice:
    """What a decision settled: satellite by place index (-1 none), and the pairs that are fed."""

    at_s: float
    serving: dict[int, int]
    feeders: tuple[tuple[int, int], ...]


class Access:
    """The chain of decisions of a run.

    `places`: those of the spec (satellite places are passed over by index); `hosting`: satellites that
    carry a place; `relayed`: whether satellites forward to each other, in which case a satellite need
    not see a gateway itself.
    """

    def __init__(
        self,
        spec: AccessSpec,
        places: list[Place],
        hosting: list[int],
        ephemeris: Ephemeris,
        second_of_day: float,
        relayed: bool,
    ) -> None:
        if spec.policy not in POLICIES:
            raise WorldError(f"access.policy is {spec.policy!r}, allowed: {', '.join(POLICIES)}")
        if not spec.decision_interval_s > 0.0:
            raise WorldError(
                f"access.decision_interval_s is {spec.decision_interval_s:g}, it must be above 0"
            )
        self._spec = spec
        self._places = places
        self._hosting = hosting
        self._ephemeris = ephemeris
        self._relayed = relayed
        self._terminals = [i for i, place in enumerate(places) if place.access == "terminal"]
        self._gateways = [i for i, place in enumerate(places) if place.access == "gateway"]
        self._sky = Sky(len(ephemeris.all))
        self._now, self._end = Motion(places), Motion(places)
        interval = spec.decision_interval_s
        # the last instant at or before the start
        self._first_s = -((second_of_day - spec.decision_offset_s) % interval)
        if self._first_s + interval <= _TICK_S:
            self._first_s += interval
        self._count = 0
        self.choice = Choice(-math.inf, {}, ())
        #: the satellite each gateway holds for itself, when satellites relay
        self._gateway_choice: dict[int, int] = {}

    def advance(self, t_s: float) -> bool:
        """Take every decision due up to run time `t_s`; whether there was one."""
        due = math.floor((t_s - self._first_s + _TICK_S) / self._spec.decision_interval_s) + 1
        changed = False
        while self._count < due:
            self._decide(self._first_s + self._count * self._spec.decision_interval_s)
            self._count += 1
            changed = True
        return changed

    def _decide(self, at_s: float) -> None:
        if not (self._terminals or self._gateways):
            self.choice = Choice(at_s, {}, ())
            return
        end_s = at_s + self._spec.decision_interval_s
        self._now.move_to(at_s)
        self._end.move_to(end_s)
        now, end = self._ephemeris.positions(at_s), self._ephemeris.positions(end_s)
        choosers = self._terminals + (self._gateways if self._relayed else [])
        serving = {place: self._choose(place, at_s, now, end) for place in choosers}
        used = {satellite for satellite in serving.values() if satellite >= 0} | set(self._hosting)
        satellites = np.array(sorted(used), dtype=np.int32)
        feeders = []
        for gateway in self._gateways:
            high = self._elevation(self._now, gateway, now[satellites])
            for satellite in satellites[high >= self._places[gateway].min_elevation_deg]:
                feeders.append((gateway, int(satellite)))
        terminals = {place: serving[place] for place in self._terminals}
        self._gateway_choice = {g: serving[g] for g in self._gateways if g in serving}
        self.choice = Choice(at_s, terminals, tuple(feeders))

    def _choose(self, place: int, at_s: float, now: NDArray[np.float64], end: NDArray[np.float64]) -> int:
        least = self._places[place].min_elevation_deg
        seen, high, _, _ = self._sky.visible(self._now.position[place], self._now.axes[place], now, least)
        if len(seen) == 0:
            return -1
        through = self._elevation(self._end, place, end[seen]) >= least
        rank = self._rank(through, now[seen], end[seen])
        best_rank = rank.max()
        held = self.choice.serving.get(place, self._gateway_choice.get(place, -1))
        at = np.flatnonzero((seen == held) & (rank == best_rank))
        top = np.flatnonzero(rank == best_rank)
        if self._spec.policy == "longest-visibility":
            if len(at):
                return held  # kept for as long as it is as good as any
            stay = [self._visible_for(place, int(seen[i]), at_s) for i in top]
            # equal when both outlast the horizon: the higher one
            return int(seen[max(zip(stay, high[top], -seen[top], top, strict=True))[3]])
        best = top[np.argmax(high[top])]
        if len(at) and high[best] - high[at[0]] <= self._spec.hysteresis_deg:
            return held
        return int(seen[best])

    def _rank(
        self, through: NDArray[np.bool_], now: NDArray[np.float64], end: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """What a candidate is worth: 3 lasts and is fed, 2 is fed now, 1 lasts, 0 is only seen."""
        if self._relayed or not self._gateways:
            return np.where(through, 3, 2)
        fed_now = np.zeros(len(now), dtype=bool)
        fed_through = np.zeros(len(now), dtype=bool)
        for gateway in self._gateways:
            least = self._places[gateway].min_elevation_deg
            seen = self._elevation(self._now, gateway, now) >= least
            fed_now |= seen
            fed_through |= seen & (self._elevation(self._end, gateway, end) >= least)
        return np.where(through & fed_through, 3, np.where(fed_now, 2, np.where(through, 1, 0)))

    def _elevation(self, motion: Motion, place: int, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        return elevation_deg(motion.position[place], motion.axes[place, 2], positions)

    def _visible_for(self, place: int, satellite: int, at_s: float) -> float:
        """Seconds until the satellite sets below the place's least elevation, up to the horizon."""
        times = at_s + np.arange(0.0, _HORIZON_S + _STEP_S, _STEP_S)
        high = self._elevation(self._now, place, self._ephemeris.exact(satellite, times))
        excess = high - self._places[place].min_elevation_deg
        below = np.flatnonzero(~(excess >= 0.0))
        if len(below) == 0 or below[0] == 0:
            return _HORIZON_S if len(below) == 0 else 0.0
        k = below[0]
        if not math.isfinite(excess[k]):
            return float(times[k - 1] - at_s)
        return float(times[k - 1] - at_s + _STEP_S * excess[k - 1] / (excess[k - 1] - excess[k]))
