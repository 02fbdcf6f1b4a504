"""Which satellite or station serves which terminal, and which satellites the gateways feed.

Decisions are taken at instants on a grid of UTC seconds and hold until the next. They follow from
published elements, published radio figures and the access rules alone, evaluated at the instant itself:
whoever knows these, and at whatever times they ask, finds the same. Links that break in between are left
out when they set; nothing is replaced before the next instant. What makes one offer better than another is
in `policies`, what is offered in `offers`.

Terminals decide in the order of the spec's places, each knowing where those before it have gone and where
those after it have been. Elevation rises and then falls during a pass, so a satellite that is high enough
at both ends of an interval is high enough throughout.

Of the layers asked for, the first counts in which something is fed (`offers`); of its offers, those of the
best rank; of these, what the policy prefers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.geometry import elevation_deg
from emulator.orbits.ephemeris import Ephemeris
from emulator.spec import AccessSpec, Place
from emulator.topology.feeders import fed
from emulator.topology.offers import FED, LASTING, LAYERS, Offers, Providers
from emulator.topology.policies import (
    POLICIES,
    RADIO_POLICIES,
    Nominal,
    best_of,
    expected_rate_bps,
    good_enough,
)
from emulator.topology.stations import Stations
from emulator.topology.stay import HORIZON_S, seconds_in_sight

Floats = NDArray[np.float64]

#: instants are compared with this tolerance, s: callers step in decimal fractions
_TICK_S = 1e-6


@dataclass(frozen=True)
class Choice:
    """What a decision settled, all by place index over all places (the spec's, then the satellites).

    `serving`: satellite or station of every terminal, -1 none; `feeders`: (gateway, satellite) pairs.
    """

    at_s: float
    serving: dict[int, int]
    feeders: tuple[tuple[int, int], ...]


class _Held(NamedTuple):
    """What a place has been on, and since when."""

    provider: int
    since_s: float


class Access:
    """The chain of decisions of a run.

    `places`: those of the spec (satellite places are passed over by index); `hosting`: satellites that
    carry a place, counted among the satellites; `relayed`: whether satellites forward to each other, in
    which case a satellite need not see a gateway itself; `nominal`: what "best-snr" and "load-aware" look
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
        self._layers = [LAYERS.index(layer) for layer in spec.layers]
        interval = spec.decision_interval_s
        # the last instant at or before the start
        self._first_s = -((second_of_day - spec.decision_offset_s) % interval)
        if self._first_s + interval <= _TICK_S:
            self._first_s += interval
        self._count = 0
        self.choice = Choice(-math.inf, {}, ())
        #: of terminals and, where satellites relay, of gateways for themselves
        self._held: dict[int, _Held] = {}
        #: terminals on every provider, by place index
        self._load = np.zeros(len(places) + len(ephemeris.all), dtype=np.int32)

    @property
    def stations(self) -> Stations:
        """The stations of the world: which terminals reach them, also between decisions."""
        return self._providers.stations

    def advance(self, t_s: float) -> bool:
        """Take every decision due up to run time `t_s`; whether there was one."""
        due = math.floor((t_s - self._first_s + _TICK_S) / self._spec.decision_interval_s) + 1
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
        # those who can stay where they are count there until they have chosen
        self._load[:] = 0
        for place in self._terminals:
            provider = self._held_by(place)
            if provider in offers[place].provider:
                self._load[provider] += 1
            else:
                self._held.pop(place, None)
        serving = {}
        for place in self._terminals:
            held = self._held_by(place)
            if held >= 0:
                self._load[held] -= 1
            serving[place] = self._settle(place, at_s, self._not_full(offers[place], held))
            if serving[place] >= 0:
                self._load[serving[place]] += 1
        own = []
        if self._relayed:
            own = [self._settle(gateway, at_s, offers[gateway]) for gateway in self._gateways]
        used = {p for p in (*serving.values(), *own, *self._hosting) if p >= self._first}
        self.choice = Choice(at_s, serving, self._feeders(at_s, sorted(used)))

    def _settle(self, place: int, at_s: float, offers: Offers) -> int:
        """Choose for one place and remember since when."""
        provider = self._choose(place, at_s, offers)
        if provider < 0:
            self._held.pop(place, None)
        elif provider != self._held_by(place):
            self._held[place] = _Held(provider, at_s)
        return provider

    def _choose(self, place: int, at_s: float, offers: Offers) -> int:
        if len(offers.provider) == 0:
            return -1
        held = self._held.get(place)
        if held is not None and at_s - held.since_s < self._spec.min_dwell_s - _TICK_S:
            at = np.flatnonzero(offers.provider == held.provider)
            if len(at) and offers.rank[at[0]] == LASTING:
                return held.provider
        offers = self._best_class(offers)
        if len(offers.provider) == 0:
            return -1
        at = np.flatnonzero(offers.provider == (-1 if held is None else held.provider))
        if self._spec.policy == "longest-visibility" and len(at):
            return int(offers.provider[at[0]])  # nothing needs to be foreseen
        score = self._score(place, at_s, offers)
        best = best_of(score, offers)
        if len(at) and good_enough(self._spec, float(score[at[0]]), float(score[best])):
            best = at[0]
        return int(offers.provider[best])

    def _best_class(self, offers: Offers) -> Offers:
        """The offers of the best rank, in the first layer asked for that has any fed, or has any at all."""
        mine = np.ones(len(offers.rank), dtype=np.bool_)
        if self._layers:
            at_least = [offers.layer[offers.rank >= rank] for rank in (FED, 0)]
            found = [layer for has in at_least for layer in self._layers if layer in has]
            mine = offers.layer == (found[0] if found else -1)
        return offers.where(mine & (offers.rank == offers.rank[mine].max(initial=-1)))

    def _score(self, place: int, at_s: float, offers: Offers) -> Floats:
        """What the policy makes the largest of, [k]; what is not a number is worth least."""
        policy = self._spec.policy
        if policy == "highest-elevation":
            return offers.elevation_deg
        if policy == "longest-visibility":
            return self._stay(place, at_s, offers)
        assert self._nominal is not None  # checked when the rules were read
        asked = place, offers.provider, offers.range_m, offers.elevation_deg
        if policy == "best-snr":
            score = np.asarray(self._nominal.snr_db(*asked), dtype=np.float64)
        else:
            rate = np.asarray(self._nominal.rate_bps(*asked), dtype=np.float64)
            score = expected_rate_bps(rate, self._load[offers.provider])
        return np.where(np.isnan(score), -np.inf, score)

    def _stay(self, place: int, at_s: float, offers: Offers) -> Floats:
        """Seconds [k] that offers remain; a station remains for as long as is looked ahead."""
        stay = np.full(len(offers.provider), HORIZON_S)
        sky = offers.provider >= self._first
        satellite = offers.provider[sky] - np.int32(self._first)
        now = self._providers.now
        stay[sky] = seconds_in_sight(
            now.position[place],
            now.axes[place, 2],
            self._places[place].min_elevation_deg,
            self._ephemeris.positions(at_s, satellite),
            self._ephemeris.velocities(at_s, satellite),
        )
        return stay

    def _not_full(self, offers: Offers, held: int) -> Offers:
        """Without stations that have as many terminals as they serve, the one held excepted."""
        stations = self.stations
        full = stations.index[self._load[stations.index] >= stations.capacity]
        full = full[full != held]
        return offers.where(~np.isin(offers.provider, full)) if len(full) else offers

    def _feeders(self, at_s: float, used: list[int]) -> tuple[tuple[int, int], ...]:
        """The pairs of gateways and satellites in use."""
        providers = np.array(used, dtype=np.int32)
        if len(providers) == 0:
            return ()
        positions = self._ephemeris.positions(at_s, providers - np.int32(self._first))
        now, pairs = self._providers.now, []
        for gateway in self._gateways:
            high = elevation_deg(now.position[gateway], now.axes[gateway, 2], positions)
            place = self._places[gateway]
            followed = fed(high, self._load[providers], place.min_elevation_deg, place.max_links)
            pairs += [(gateway, int(providers[k])) for k in followed]
        return tuple(pairs)

    def _held_by(self, place: int) -> int:
        held = self._held.get(place)
        return -1 if held is None else held.provider


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
