"""Which satellite or station serves which terminal, and which satellites the gateways feed.

Decisions are taken at instants on a grid of UTC seconds and hold until the next. They follow from
published elements, published radio figures, the access rules and what is barred alone, evaluated at the
instant itself: whoever knows these, and at whatever times they ask, finds the same. What a place is on
already counts in what it takes next, so none of the decisions between two times asked for is left out,
however far apart these are. Links that break in between are left out when they set; nothing is replaced
before the next instant. What makes one offer better than another is in `policies`, what is offered in
`offers`.

Terminals decide in the order of the spec's places, each knowing where those before it have gone and where
those after it have been. Elevation rises and then falls during a pass, so a satellite that is high enough
at both ends of an interval is high enough throughout.

Of the layers asked for, the first counts in which something is fed (`offers`); of its offers, those of the
best rank; of these, what the policy prefers.
"""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.geometry.sight import elevations
from emulator.geometry.visibility import gathered
from emulator.orbits.ephemeris import Ephemeris
from emulator.spec import AccessSpec, Place
from emulator.topology.feeders import fed
from emulator.topology.offers import LAYERS, Offers, Providers
from emulator.topology.policies import (
    ALWAYS,
    POLICIES,
    RADIO_POLICIES,
    SHARED,
    WITHIN_MARGIN,
    Nominal,
    settle,
    undecided,
)
from emulator.topology.stations import Stations
from emulator.topology.stay import HORIZON_S, seconds_in_sight
from emulator.units import TICK_S

#: so many pairs are looked for one by one, which is a tenth of the work of sorting
_FEW_BARRED: Final = 64

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """What a decision settled, all by place index over all places (the spec's, then the satellites).

    `serving`: satellite or station of every terminal, -1 none; `feeders`: (gateway, satellite) pairs.
    """

    at_s: float
    serving: dict[int, int]
    feeders: tuple[tuple[int, int], ...]


class Access:
    """The chain of decisions of a run.

    `places`: those of the spec (satellite places are passed over by index); `hosting`: satellites that
    carry a place, counted among the satellites; `relayed`: whether satellites forward to each other, in
    which case a satellite need not see a gateway itself; `second_of_day`: UTC at run time 0, which the grid
    of decisions is counted from; `nominal`: what "best-snr" and "load-aware" look
    at. Raises `WorldError` for rules that cannot be followed.
    """

    def __init__(
        self,
        spec: AccessSpec,
        places: list[Place],
        hosting: list[int],
        ephemeris: Ephemeris,
        second_of_day: float,
        relayed: bool,
        nominal: Nominal | None = None,
    ) -> None:
        _check(spec, places, nominal)
        self._spec, self._places, self._nominal = spec, places, nominal
        self._ephemeris, self._relayed = ephemeris, relayed
        self._terminals = [i for i, place in enumerate(places) if place.access == "terminal"]
        self._gateways = [i for i, place in enumerate(places) if place.access == "gateway"]
        #: place index of the first satellite
        self._first = len(places)
        self._hosting = [satellite + self._first for satellite in hosting]
        self._providers = Providers(places, ephemeris, relayed)
        self._layers = np.array([LAYERS.index(layer) for layer in spec.layers], dtype=np.int8)
        #: those who choose: terminals and, where satellites relay, gateways for themselves
        choosing = self._terminals + (self._gateways if relayed else [])
        self._choosing = np.array(choosing, dtype=np.int32)
        self._least_deg = np.array([place.min_elevation_deg for place in places], dtype=np.float64)
        interval = spec.decision_interval_s
        # the last instant at or before the start
        self._first_s = -((second_of_day - spec.decision_offset_s) % interval)
        if self._first_s + interval <= TICK_S:
            self._first_s += interval
        self._count = 0
        self.choice = Choice(-math.inf, {}, ())
        #: what each of the places is on, -1 for none, and since when
        self._held = np.full(len(places), -1, dtype=np.int32)
        self._since_s = np.full(len(places), -math.inf)
        self._capacity = np.full(len(places), np.iinfo(np.int32).max, dtype=np.int32)
        self._capacity[self.stations.index] = self.stations.capacity
        #: (terminal, provider) by place index that are not to be chosen from the next decision on, even where
        #: the terminal is on it, unless that would cost it its connection
        self.barred: AbstractSet[tuple[int, int]] = frozenset()
        #: terminals on every provider, by place index
        self._load = np.zeros(len(places) + len(ephemeris.all), dtype=np.int32)

    @property
    def stations(self) -> Stations:
        """The stations of the world: which terminals reach them, also between decisions."""
        return self._providers.stations

    def advance(self, t_s: float) -> bool:
        """Take every decision due up to run time `t_s`; whether there was one.

        Raises `WorldError` for a time that is not finite.
        """
        if not math.isfinite(t_s):
            raise WorldError(f"access: run time is {t_s} s, should be a finite number")
        due = math.floor((t_s - self._first_s + TICK_S) / self._spec.decision_interval_s) + 1
        changed = False
        while self._count < due:
            self._decide(self._first_s + self._count * self._spec.decision_interval_s)
            self._count += 1
            changed = True
        return changed

    # --- a decision -----------------------------------------------------------------------------

    def _decide(self, at_s: float) -> None:
        if not (self._terminals or self._gateways):
            self.choice = Choice(at_s, {}, ())
            return
        offers = self._providers.look(at_s, at_s + self._spec.decision_interval_s)
        barred = self._are_barred(offers)
        keeps, margin = self._keeping()
        settle(
            offers.first,
            self._choosing,
            (offers.provider, offers.elevation_deg, offers.rank, offers.layer, barred),
            self._score(at_s, offers, barred),
            len(self._terminals),
            self._layers,
            at_s,
            self._spec.min_dwell_s - TICK_S,
            keeps,
            margin,
            self._capacity,
            self._load,
            self._held,
            self._since_s,
        )
        taken = self._held[self._choosing].tolist()
        serving = dict(zip(self._terminals, taken, strict=False))
        used = {p for p in (*taken, *self._hosting) if p >= self._first}
        self.choice = Choice(at_s, serving, self._feeders(at_s, sorted(used)))

    def _keeping(self) -> tuple[int, float]:
        """When the present one is kept, as `settle` takes it."""
        if self._spec.policy == "longest-visibility":
            return ALWAYS, 0.0
        if self._spec.policy == "load-aware":
            return SHARED, 0.0
        best_snr = self._spec.policy == "best-snr"
        return WITHIN_MARGIN, float(self._spec.hysteresis_db if best_snr else self._spec.hysteresis_deg)

    def _are_barred(self, offers: Offers) -> NDArray[np.bool_]:
        """Which of the offers are barred [k]; empty where nothing is."""
        if not self.barred:
            return np.zeros(0, dtype=np.bool_)
        pairs = np.array(sorted(self.barred), dtype=np.int64)
        numbers = (pairs[:, 0] << 32) + pairs[:, 1]
        offered = (offers.place.astype(np.int64) << 32) + offers.provider
        if len(numbers) <= _FEW_BARRED:
            return np.asarray((offered == numbers[:, None]).any(axis=0))
        return np.isin(offered, numbers)

    def _score(self, at_s: float, offers: Offers, barred: NDArray[np.bool_]) -> Floats:
        """What the policy makes the largest of, [k]: of "load-aware" before it is shared."""
        policy = self._spec.policy
        if policy == "highest-elevation":
            return offers.elevation_deg
        if policy == "longest-visibility":
            return self._stay(at_s, offers, barred)
        assert self._nominal is not None  # checked when the rules were read
        score = np.full(len(offers.provider), np.nan)
        mine = slice(int(offers.first[len(self._choosing)]))
        if len(offers.provider[mine]):
            asked = (
                offers.place[mine],
                offers.provider[mine],
                offers.range_m[mine],
                offers.elevation_deg[mine],
            )
            figure = self._nominal.snr_db if policy == "best-snr" else self._nominal.rate_bps
            score[mine] = figure(*asked)
        return score

    def _stay(self, at_s: float, offers: Offers, barred: NDArray[np.bool_]) -> Floats:
        """Seconds [k] that offers remain; a station remains for as long as is looked ahead.

        Foreseen only for those who will have to choose: the others stay where they are.
        """
        stay = np.full(len(offers.provider), HORIZON_S)
        asked = np.zeros(len(stay), dtype=np.bool_)
        undecided(
            offers.first,
            self._choosing,
            (offers.provider, offers.elevation_deg, offers.rank, offers.layer, barred),
            self._layers,
            self._load,
            self._held,
            asked,
        )
        at = np.flatnonzero(asked & (offers.provider >= self._first))
        if len(at):
            now, place = self._providers.now, offers.place[at]
            satellite, row = gathered(offers.provider[at] - np.int32(self._first), len(self._ephemeris.all))
            stay[at] = seconds_in_sight(
                now.position[place],
                now.axes[place, 2],
                self._least_deg[place],
                self._ephemeris.positions(at_s, satellite)[row],
                self._ephemeris.velocities(at_s, satellite)[row],
            )
        return stay

    def _feeders(self, at_s: float, used: list[int]) -> tuple[tuple[int, int], ...]:
        """The pairs of gateways and satellites in use."""
        providers = np.array(used, dtype=np.int32)
        if len(providers) == 0:
            return ()
        positions = self._ephemeris.positions(at_s, providers - np.int32(self._first))
        now, pairs = self._providers.now, []
        looked_at, high = np.arange(len(providers)), np.empty(len(providers))
        for gateway in self._gateways:
            here = np.full(len(providers), gateway)
            elevations(now.position, now.axes, here, positions, looked_at, high)
            place = self._places[gateway]
            followed = fed(high, self._load[providers], place.min_elevation_deg, place.max_links)
            pairs += [(gateway, int(providers[k])) for k in followed]
        return tuple(pairs)


def _check(spec: AccessSpec, places: list[Place], nominal: Nominal | None) -> None:
    if spec.policy not in POLICIES:
        raise WorldError(f"access.policy is {spec.policy!r}, allowed: {', '.join(POLICIES)}")
    if spec.policy in RADIO_POLICIES and nominal is None:
        raise WorldError(f"access.policy is {spec.policy!r}, which needs the radios' nominal figures")
    if not spec.decision_interval_s > 0.0:
        raise WorldError(f"access.decision_interval_s is {spec.decision_interval_s:g}, it must be above 0")
    for name in ("hysteresis_deg", "hysteresis_db", "min_dwell_s"):
        if not getattr(spec, name) >= 0.0:
            raise WorldError(f"access.{name} is {getattr(spec, name):g}, it must not be below 0")
    for layer in spec.layers:
        if layer not in LAYERS:
            raise WorldError(f"access.layers has {layer!r}, allowed: {', '.join(LAYERS)}")
    if len(set(spec.layers)) < len(spec.layers):
        raise WorldError(f"access.layers is {', '.join(spec.layers)}: each may be named once")
    for place in places:
        if place.max_links < 0:
            raise WorldError(
                f"place {place.id!r}: max_links is {place.max_links}, it must not be below 0 (0: any number)"
            )
