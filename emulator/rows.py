"""Rows of the link table: one set of links, and what radio makes of distance and weather on each.

`Rows` is made anew when the set changes and holds what does not change in between, and the ModCods in use.
What is known of kinds of links is in `profiles`, where they run in `topology`, what is hidden of them in
`hidden`, the compiled steps of an epoch in `tabulate`, when they are taken in `world`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.links.random import link_key
from emulator.profiles import Profiles
from emulator.radio import surroundings
from emulator.radio.budget import TERMS
from emulator.table import FIXED
from emulator.tabulate import Columns, Hidden, Moment, RadioRows, measure, tabulate
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
        stack = profiles.modcods
        self._modcods = (
            stack.start, stack.threshold_db, stack.efficiency, stack.steepness, stack.half_below_db
        )  # fmt: skip
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
        self.weather, self.hears = columns["weather"][own] > 0.0, columns["interference"][own] > 0.0
        #: whether any of them can be disturbed
        self.hearing = bool(self.hears.any())
        self.figures = profiles.figures.where(own - profiles.first_radio)
        owner, far = pairs.a[self.radio_pair], pairs.b[self.radio_pair]
        on_earth = far < len(high)
        through_sky = ~on_earth
        through_sky[on_earth] = high[far[on_earth]]
        from_aloft = (self.kind[self.radio] == FIXED) & high[owner]
        downwards = from_aloft & ~through_sky
        through_sky &= ~from_aloft
        #: [k] whether the whole atmosphere lies between the ends
        self.whole_sky = through_sky | downwards
        which = np.full(len(self.radio), -1, dtype=np.int32)
        at = np.flatnonzero(self.whole_sky & self.weather)
        which[at] = atmosphere[np.where(downwards, far, owner)[at], own[at]]
        self._radio = RadioRows(
            self.radio, owner, far, which, through_sky, downwards, table[self.radio],
            np.full(len(self.radio), -1, dtype=np.int16), columns["margin_db"][own],
            columns["hysteresis_db"][own], self.figures.bandwidth_mhz * 1e6,
        )  # fmt: skip
        #: rows whose length does not add to the delay: plain fixed links
        self._as_given = (self.kind == FIXED) & (table < 0)
        self.rate_bps, self.fixed_ns = columns["rate_bps"][profile], columns["fixed_ns"][profile]
        self.jitter_ns, self.loss = columns["jitter_ns"][profile], columns["loss"][profile]
        self.frame_bits = columns["frame_bits"][profile]
        self.model = columns["model"][profile]
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
        sky_deg, rate_bps, frame_error = np.empty((3, len(self.radio)))
        self._scratch = sky_deg, np.empty((TERMS, len(self.radio))), rate_bps, frame_error
        #: [k] of nothing, and of what is not known
        self.nothing, self.unknown = np.zeros(len(self.radio)), np.full(len(self.radio), np.nan)
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
        self._radio.current[mine] = before._radio.current[theirs]

    def measure(self, position: Floats, axes: Floats) -> tuple[Floats, Floats, Floats]:
        """Range in m by row [n], and range in m and elevation in degrees by radio row [k].

        `position` [places, 3] m, `axes` [spec places, 3, 3] rows east, north, up. The range is not a number
        where it does not count.
        """
        range_m, (length_m, elevation_deg) = np.empty(len(self.src)), np.empty((2, len(self.radio)))
        out = range_m, length_m, elevation_deg
        measure(position, axes, self.src, self.dst, self._radio, self._as_given, out)
        return out

    def columns(self, atmosphere: Floats, moment: Moment, range_m: Floats, hidden: Hidden) -> Columns:
        """Columns of the link table, the ModCods of the radio rows brought up to date.

        `atmosphere` [tables, WIDTH]: see `radio.attenuation_table`; `range_m` [n]: as `measure` has it.
        """
        count = len(self.src)
        rate_bps, frame_error, snr_db, attenuation_db, elevation_deg, weight_ns = np.empty((6, count))
        delay_ns, modcod = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int16)
        made = Columns(
            rate_bps, frame_error, snr_db, attenuation_db, elevation_deg, weight_ns, delay_ns, modcod
        )
        tabulate(
            self.figures, self._radio, self._modcods, atmosphere, moment, self._scratch, self.rate_bps,
            self._as_given, range_m, hidden, made,
        )  # fmt: skip
        return made

    def around_db(self, seed: int, names: Sequence[str], t_s: float, elevation_deg: Floats) -> Floats:
        """What the surroundings take of the radio rows [k] at `t_s`, as a process of the seed.

        Both directions of a link share it; `names` [places] make it the same in every set of links.
        """
        if self._keys is None:
            ends = zip(self._radio.owner, self._radio.far, strict=True)
            keys = [link_key(seed, names[a], names[b]) for a, b in ends]
            self._keys = np.array(keys, dtype=np.uint64)
        out, in_sight = np.empty(len(self.radio)), np.empty(len(self.radio), dtype=np.uint8)
        environment = np.where(self._radio.through_sky, self.figures.environment, surroundings.NONE)
        elevation_rad = np.radians(elevation_deg)
        surroundings.excess_loss(
            self._keys, t_s, environment, self.figures.band, elevation_rad, surroundings.CORRELATION_S,
            in_sight, out,
        )  # fmt: skip
        return out
