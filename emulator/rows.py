"""Rows of the link table: one set of links, and what radio makes of distance and weather on each.

`Rows` is made anew when the set changes and holds what does not change in between, and the ModCods in use.
What is known of kinds of links is in `profiles`, where they run in `topology`, when they are evaluated in
`world`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.links.random import link_key
from emulator.profiles import Profiles
from emulator.radio import surroundings
from emulator.radio.budget import Budget, evaluate
from emulator.table import FIXED
from emulator.topology.routes import Routes

Floats = NDArray[np.float64]


@dataclass
class Pairs:
    """Undirected links [m]: the first end owns the radio; `up` and `down` are profiles of a>b and b>a."""

    kind: NDArray[np.uint8]
    a: NDArray[np.int32]
    b: NDArray[np.int32]
    up: NDArray[np.int32]
    down: NDArray[np.int32]

    @staticmethod
    def of(rows: list[tuple[int, int, int, int, int]]) -> Pairs:
        """From (kind, a, b, up, down) tuples."""
        table = np.array(rows, dtype=np.int32).reshape(-1, 5)
        return Pairs(table[:, 0].astype(np.uint8), table[:, 1], table[:, 2], table[:, 3], table[:, 4])

    @staticmethod
    def joined(*parts: Pairs) -> Pairs:
        """One after the other."""
        return Pairs(
            *(np.concatenate([getattr(p, name) for p in parts]) for name in ("kind", "a", "b", "up", "down"))
        )

    def same(self, other: Pairs) -> bool:
        """Whether these are the same links in the same order."""
        names = ("kind", "a", "b", "up", "down")
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    def where(self, mask: NDArray[np.bool_]) -> Pairs:
        """Those for which the mask [m] holds."""
        return Pairs(self.kind[mask], self.a[mask], self.b[mask], self.up[mask], self.down[mask])


def _interleaved(first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int32]:
    out = np.empty(2 * len(first), dtype=first.dtype)
    out[0::2] = first
    out[1::2] = second
    return out


class Rows:
    """The directed links of one set of pairs, with their ModCod state.

    `atmosphere` [spec places, profiles]: number of the table of the atmosphere, -1 for none; `high` [spec
    places]: whether a place stands above the weather; `hosts` [hosts], `places`: as `Routes` has them;
    `before`: the rows so far, whose ModCods links that stay keep.
    """

    def __init__(
        self,
        pairs: Pairs,
        profiles: Profiles,
        atmosphere: NDArray[np.int32],
        high: NDArray[np.bool_],
        hosts: NDArray[np.int32],
        places: int,
        before: Rows | None,
    ) -> None:
        self.pairs = pairs
        self._places = places
        self.modcods = profiles.modcods
        self.src = _interleaved(pairs.a, pairs.b)
        self.dst = _interleaved(pairs.b, pairs.a)
        self.kind = np.repeat(pairs.kind, 2)
        profile = _interleaved(pairs.up, pairs.down).astype(np.intp)
        columns = profiles.columns
        table = columns["table"][profile]
        #: rows with a radio, and their pair; what follows with [k] is of these
        self.radio = np.flatnonzero(table >= 0)
        self.radio_pair = self.radio // 2
        own = profile[self.radio]
        self.r = {name: columns[name][own] for name in ("margin_db", "hysteresis_db")}
        self.weather, self.hears = columns["weather"][own] > 0.0, columns["interference"][own] > 0.0
        self.figures = profiles.figures.where(own - profiles.first_radio)
        self.table = table[self.radio]
        #: rows whose length does not add to the delay: plain fixed links
        self.as_given = np.flatnonzero((self.kind == FIXED) & (table < 0))
        owner, far = pairs.a[self.radio_pair], pairs.b[self.radio_pair]
        on_earth = far < len(high)
        #: [k] whether the far end is on a satellite or above the weather, seen from the place through the sky
        self.through_sky = ~on_earth
        self.through_sky[on_earth] = high[far[on_earth]]
        from_aloft = (self.kind[self.radio] == FIXED) & high[owner]
        #: [k] whether a fixed link leads from above the weather to a place below, whose air counts then
        self.downwards = from_aloft & ~self.through_sky
        self.through_sky &= ~from_aloft
        #: [k] whether the whole atmosphere lies between the ends
        self.whole_sky = self.through_sky | self.downwards
        self.which = np.full(len(self.radio), -1, dtype=np.int32)
        at = np.flatnonzero(self.whole_sky & self.weather)
        self.which[at] = atmosphere[np.where(self.downwards, far, owner)[at], own[at]]
        self.rate_bps, self.fixed_ns = columns["rate_bps"][profile], columns["fixed_ns"][profile]
        self.jitter_ns, self.loss = columns["jitter_ns"][profile], columns["loss"][profile]
        self.frame_bits = columns["frame_bits"][profile]
        self.queue_packets, self.queue_bytes = (
            columns["queue_packets"][profile],
            columns["queue_bytes"][profile],
        )
        #: [k] number of the radio
        self.radio_number = columns["radio"][own]
        trees = None if before is None else before.routes
        self.routes: Routes = Routes(self.src, self.dst, hosts, places, before=trees)
        self._keys: NDArray[np.uint64] | None = None
        self._row_of: dict[tuple[int, int], int] = {}
        self.current = np.full(len(self.radio), -1, dtype=np.int16)
        if before is not None:
            self._carry_over(before, places)

    def row(self, src: int, dst: int) -> int:
        """The row of a directed link, -1 when it does not exist."""
        row = self._row_of.get((src, dst))
        if row is None:
            # few links are ever asked for by name, of a hundred thousand
            found = np.flatnonzero((self.src == src) & (self.dst == dst))
            row = self._row_of[src, dst] = int(found[0]) if len(found) else -1
        return row

    def _carry_over(self, before: Rows, places: int) -> None:
        """Links that stay keep their ModCod."""
        old = before.src[before.radio].astype(np.int64) * places + before.dst[before.radio]
        new = self.src[self.radio].astype(np.int64) * places + self.dst[self.radio]
        _, mine, theirs = np.intersect1d(new, old, return_indices=True)
        self.current[mine] = before.current[theirs]

    def budget(
        self,
        atmosphere: Floats,
        range_m: Floats,
        elevation_deg: Floats,
        rain_db: Floats,
        further_db: Floats,
        around_db: Floats | None,
    ) -> Budget:
        """Budgets of the radio rows without interference; arrays [k], see `radio.budget.evaluate`."""
        return evaluate(
            self.figures,
            atmosphere,
            self.which,
            range_m,
            elevation_deg,
            through_sky=self.through_sky,
            rain_db=rain_db,
            further_db=further_db,
            around_db=around_db,
            # from below, but for what the Earth curves between the ends: 0.9 degrees over 100 km
            sky_deg=np.where(self.downwards, -elevation_deg, elevation_deg),
        )

    def at_both_ends(self, table: Mapping[str, float], place_index: Mapping[str, int]) -> Floats:
        """Sum over both ends of what the table says for them by place id, on each radio row [k].

        A place on a satellite stands for the satellite; places that are not there count for nothing.
        """
        at = np.zeros(self._places)
        for name, amount in table.items():
            if name in place_index:
                at[place_index[name]] += amount
        return np.asarray(at[self.pairs.a[self.radio_pair]] + at[self.pairs.b[self.radio_pair]])

    def around_db(self, seed: int, names: Sequence[str], t_s: float, elevation_deg: Floats) -> Floats:
        """What the surroundings take of the radio rows [k] at `t_s`, as a process of the seed.

        Both directions of a link share it; `names` [places] make it the same in every set of links.
        """
        if self._keys is None:
            ends = zip(self.pairs.a[self.radio_pair], self.pairs.b[self.radio_pair], strict=True)
            keys = [link_key(seed, names[a], names[b]) for a, b in ends]
            self._keys = np.array(keys, dtype=np.uint64)
        out, in_sight = np.empty(len(self.radio)), np.empty(len(self.radio), dtype=np.uint8)
        environment = np.where(self.through_sky, self.figures.environment, surroundings.NONE)
        elevation_rad = np.radians(elevation_deg)
        surroundings.excess_loss(
            self._keys, t_s, environment, self.figures.band, elevation_rad, surroundings.CORRELATION_S,
            in_sight, out,
        )  # fmt: skip
        return out

    def adapt(self, snr_db: Floats) -> tuple[Floats, Floats]:
        """(rate bit/s, frame error) of the radio rows [k], each ModCod brought up to date."""
        self.current = self.modcods.select(
            snr_db, self.table, self.current, self.r["margin_db"], self.r["hysteresis_db"]
        )
        rate = self.modcods.rate_bps(self.table, self.current, self.figures.bandwidth_mhz * 1e6)
        return rate, self.modcods.frame_error(snr_db, self.table, self.current)
