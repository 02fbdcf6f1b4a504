"""Rows of the link table: one set of links, and what radio makes of distance and weather on each.

`Rows` is made anew when the set changes and holds what does not change in between, and the ModCods in use.
What is known of kinds of links is in `profiles`, where they run in `topology`, what is hidden of them in
`hidden`, when they are evaluated in `world`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.geometry.sight import elevations, ranges
from emulator.jit import kernel
from emulator.links.random import link_key
from emulator.profiles import Profiles
from emulator.radio import surroundings
from emulator.radio.budget import EXCESS, GAS, SNR, SURROUNDINGS, TERMS, fill_budgets
from emulator.radio.modcod import carry, choose, fail
from emulator.table import FIXED
from emulator.topology.routes import Routes
from emulator.units import ROUTING_PACKET_BITS, SPEED_OF_LIGHT_M_S

Floats = NDArray[np.float64]

_NS_PER_M: Final = 1e9 / SPEED_OF_LIGHT_M_S
_ROUTING_BITS_NS: Final = ROUTING_PACKET_BITS * 1e9


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


class RadioRows(NamedTuple):
    """What kernels know of the radio rows [k] besides their figures."""

    #: in the link table
    row: NDArray[np.intp]
    #: place that owns the radio, and the other end
    owner: NDArray[np.int32]
    far: NDArray[np.int32]
    #: number of the table of the atmosphere, -1 for none
    which: NDArray[np.int32]
    #: whether the far end is on a satellite or above the weather, seen from the place through the sky
    through_sky: NDArray[np.bool_]
    #: whether a fixed link leads from above the weather to a place below, whose air counts then
    downwards: NDArray[np.bool_]
    #: number of the table of ModCods, and the one in use
    table: NDArray[np.int32]
    current: NDArray[np.int16]
    margin_db: Floats
    hysteresis_db: Floats
    bandwidth_hz: Floats


class Hidden(NamedTuple):
    """What is hidden, as columns by row [n], and by radio row [k] where that is said; see `hidden`."""

    up: NDArray[np.bool_]
    fixed_ns: Floats
    extra_delay_ns: Floats
    rate_factor: Floats
    loss: Floats
    #: [k] what is lost in the modems besides
    further_db: Floats


class Moment(NamedTuple):
    """What an epoch finds on the radio rows [k], before their budgets."""

    length_m: Floats
    elevation_deg: Floats
    #: of the moment, besides what is counted on
    rain_db: Floats
    #: what surroundings take, not a number where that is not known
    around_db: Floats
    #: interference over noise as a ratio
    disturbance: Floats


class Columns(NamedTuple):
    """What an epoch makes of a set of links, by row [n]; not a number where no radio is modelled."""

    rate_bps: Floats
    frame_error: Floats
    snr_db: Floats
    attenuation_db: Floats
    elevation_deg: Floats
    #: what a way over the link counts for, infinite for none
    weight_ns: Floats
    delay_ns: NDArray[np.int64]
    modcod: NDArray[np.int16]


@kernel
def _measure(position: Any, axes: Any, src: Any, dst: Any, radio: Any, as_given: Any, out: Any) -> None:
    """Into `out`: range in m by row [n]; range in m and elevation in degrees by radio row [k].

    `position` [places, 3] m, `axes` [spec places, 3, 3]; `as_given` [n]: links whose length does not count.
    """
    range_m, length_m, elevation_deg = out
    ranges(position, src, dst, range_m)
    for row in range(range_m.shape[0]):
        if as_given[row]:
            range_m[row] = np.nan
    for k in range(length_m.shape[0]):
        length_m[k] = range_m[radio.row[k]]
    elevations(position, axes, radio.owner, position, radio.far, elevation_deg)


@kernel
def _adapt(
    figures: Any, radio: Any, modcods: Any, atmosphere: Any, moment: Any, further_db: Any, out: Any
) -> None:
    """Budgets of the radio rows [k], ModCods brought up to date, and what these carry.

    Into `out`: elevation of the path in the atmosphere [k], `terms` [TERMS, k], bit/s [k], frame error [k].
    """
    sky_deg, terms, rate_bps, frame_error = out
    start, threshold_db, efficiency, steepness, half_below_db = modcods
    for k in range(sky_deg.shape[0]):
        # from below, but for what the Earth curves between the ends: 0.9 degrees over 100 km
        sky_deg[k] = -moment.elevation_deg[k] if radio.downwards[k] else moment.elevation_deg[k]
    fill_budgets(
        figures, atmosphere, radio.which, moment.length_m, moment.elevation_deg, sky_deg, radio.through_sky,
        moment.rain_db, further_db, moment.around_db, moment.disturbance, terms,
    )  # fmt: skip
    snr_db = terms[SNR]
    choose(
        snr_db, radio.table, radio.current, radio.margin_db, radio.hysteresis_db, start, threshold_db,
        radio.current,
    )  # fmt: skip
    carry(radio.table, radio.current, radio.bandwidth_hz, start, efficiency, rate_bps)
    fail(snr_db, radio.table, radio.current, start, threshold_db, steepness, half_below_db, frame_error)


@kernel
def _tabulate(
    figures: Any,
    radio: Any,
    modcods: Any,
    atmosphere: Any,
    moment: Any,
    scratch: Any,
    rate_bps: Any,
    range_m: Any,
    hidden: Any,
    columns: Any,
) -> None:
    """`columns` of all rows: those of the radio rows adapted, all with what is hidden.

    `scratch`: as `_adapt` fills it; `rate_bps`, `range_m` [n]: of links without a radio, not a number where
    the length does not count.
    """
    _adapt(figures, radio, modcods, atmosphere, moment, hidden.further_db, scratch)
    _, terms, radio_rate_bps, radio_error = scratch
    for row in range(range_m.shape[0]):
        columns.rate_bps[row] = rate_bps[row]
        columns.frame_error[row] = 0.0
        columns.snr_db[row] = columns.attenuation_db[row] = columns.elevation_deg[row] = np.nan
        columns.modcod[row] = -1
    for k in range(radio.row.shape[0]):
        row = radio.row[k]
        columns.rate_bps[row], columns.frame_error[row] = radio_rate_bps[k], radio_error[k]
        columns.snr_db[row] = terms[SNR, k]
        columns.attenuation_db[row] = terms[GAS, k] + terms[EXCESS, k] + terms[SURROUNDINGS, k]
        columns.elevation_deg[row], columns.modcod[row] = moment.elevation_deg[k], radio.current[k]
    for row in range(range_m.shape[0]):
        way_ns = 0.0 if math.isnan(range_m[row]) else range_m[row] * _NS_PER_M
        delay_ns = hidden.fixed_ns[row] + way_ns + hidden.extra_delay_ns[row]
        columns.rate_bps[row] *= hidden.rate_factor[row]
        rate = columns.rate_bps[row]
        open_ = hidden.up[row] and rate > 0.0
        columns.weight_ns[row] = delay_ns + _ROUTING_BITS_NS / rate if open_ else np.inf
        columns.delay_ns[row] = round(delay_ns)


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
        _measure(position, axes, self.src, self.dst, self._radio, self._as_given, out)
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
        _tabulate(
            self.figures, self._radio, self._modcods, atmosphere, moment, self._scratch, self.rate_bps,
            range_m, hidden, made,
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
