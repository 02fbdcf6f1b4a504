"""The world of a run: from places, orbits and radios to the link table at an instant.

`World` is built once from a `WorldSpec` and asked for epochs in rising order of time. The same spec
and the same times give the same tables. Which satellite serves whom follows from published elements
and `Orders` alone; `Adjustments` change what links do, never which links are planned. No packet is seen here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from emulator import checks
from emulator.disturbance import interference
from emulator.errors import WorldError
from emulator.geometry import geodetic_from_ecef
from emulator.hidden import HiddenColumns
from emulator.links.model import ModelSet
from emulator.nominal import nominal_of
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.motion import Motion
from emulator.orders import Orders
from emulator.plan import Plan
from emulator.profiles import Profiles
from emulator.rows import Pairs, Rows
from emulator.satellites import usable_satellites
from emulator.spec import WorldSpec
from emulator.table import ACCESS, FEEDER, FIXED, ISL, Adjustments, LinkTable
from emulator.tabulate import Moment
from emulator.topology.access import Access
from emulator.topology.isl import Isl
from emulator.topology.routes import check_size
from emulator.weather import Weather

__all__ = ["ACCESS", "FEEDER", "FIXED", "ISL", "Adjustments", "LinkTable", "Orders", "World", "WorldError"]


class World:
    """Link tables of a run.

    `spec`: what is true and published; `adjustments`: hidden truth, or None; `orders`: what a network
    controller has told the network, or None; both may be changed between epochs. `on_progress` gets a
    sentence before something takes seconds. Raises `WorldError` with one sentence when they do not fit.
    """

    def __init__(
        self,
        spec: WorldSpec,
        adjustments: Adjustments | None = None,
        on_progress: Callable[[str], None] | None = None,
        orders: Orders | None = None,
    ) -> None:
        self.spec = spec
        self.adjustments = adjustments if adjustments is not None else Adjustments()
        self.orders = orders if orders is not None else Orders()
        self.clock = RunClock(spec.start_utc)
        found = usable_satellites(spec, self.clock)
        #: satellites that were left out because SGP4 cannot propagate them through this run: name -> reason
        self.skipped = found.skipped
        #: how long before the start the epoch of each satellite's elements is, s [satellites]
        self.element_ages_s = found.ages_s
        self.satellites = found.names
        #: the spec's places, then the satellites. A place on a satellite keeps its entry, but no link
        #: touches it: `place_index` and `hosts` lead to the satellite itself
        self.places = tuple(place.id for place in spec.places) + self.satellites
        #: place index of the first satellite
        self.first_satellite = len(spec.places)
        self.place_index = {name: index for index, name in enumerate(self.places)}
        checks.places(spec, self.places, self.satellites, self.skipped)
        for place in spec.places:
            if place.kind == "satellite":
                self.place_index[place.id] = self.place_index[place.satellite]
        checks.links(spec, self.place_index)
        checks.adjustments(self.adjustments, self.place_index, self.satellites)
        self.check_orders(self.orders)
        self.hosts = np.array([self.place_index[place.id] for place in spec.places], dtype=np.int32)
        check_size(len(self.places), len(self.hosts))
        self._aliases = np.flatnonzero(self.hosts != np.arange(len(self.hosts)))

        #: how links treat packets; `LinkTable.model` counts in these
        self.models = ModelSet(spec.models)
        self._profiles = Profiles(spec.constellation, spec.radios, spec.links, self.models)
        self._ephemeris = Ephemeris([record for _, record in found.elements], self.clock)
        self._motion = Motion(list(spec.places))
        self._isl = Isl(spec.constellation, found.elements, self._ephemeris, self.clock.julian(0.0))
        self._fixed = self._fixed_pairs()
        self._weather = Weather(spec, self._profiles, on_progress)
        hosting = [int(self.hosts[k]) - self.first_satellite for k in self._aliases]
        self._access = Access(
            spec.access,
            list(spec.places),
            hosting,
            self._ephemeris,
            self.clock.second_of_day,
            relayed=spec.constellation.isl != "none" or spec.constellation.interlayer != "none",
            nominal=nominal_of(spec.places, self._profiles, self._weather),
        )
        self._plan: Plan | None = None
        self._rows: Rows | None = None
        self._hidden = HiddenColumns(self._profiles, self.place_index, len(self.places))
        self._position = np.full((len(self.places), 3), np.nan)
        self._t_s = -math.inf

    # --- what a caller asks ---------------------------------------------------------------------

    def epoch(self, t_s: float) -> LinkTable:
        """The link table at run time `t_s`, which must not be before that of the call before."""
        if not t_s >= self._t_s:
            raise ValueError(f"epochs go forward: {t_s} s asked after {self._t_s} s")
        self._t_s = t_s
        self._access.barred = self._barred()
        decided, linked = self._access.advance(t_s), self._isl.advance(t_s)
        if self._plan is None or linked or (decided and not self._plan.follows(self._access.choice)):
            self._plan = Plan(
                self.spec.places,
                self.satellites,
                self._profiles,
                self._access.choice,
                self._isl.pairs,
                self._fixed,
            )
        published = self._move(t_s, self._plan.used)
        self._ephemeris.prepare(t_s)
        rows = self._refresh_rows(self._plan, published)
        return self._table(t_s, rows, self._plan.serving)

    def check_orders(self, orders: Orders) -> None:
        """Raises `WorldError` for orders that name what this world does not have, in one sentence."""
        checks.orders(orders, self.spec, self.place_index)

    def positions(self, t_s: float) -> NDArray[np.float64]:
        """ECEF positions [places, 3] in m of all places at run time `t_s`, in any order of calls."""
        motion = Motion(list(self.spec.places))
        motion.move_to(t_s)
        shift = self._shift_s()
        result = np.concatenate([motion.position, self._ephemeris.positions(t_s, shift_s=shift)])
        result[self._aliases] = result[self.hosts[self._aliases]]
        return result

    def most_rows(self) -> int:
        """A bound on the rows of a link table that holds for nearly all of a run, with room for change.

        Inter-satellite links as many as may be asked for.
        """
        constellation = self.spec.constellation
        each = {"none": 0, "plus-grid": 4, "nearest": constellation.isl_neighbours}[constellation.isl]
        pairs = len(self.satellites) * each // 2
        if constellation.interlayer != "none":
            pairs += len(self.satellites)
        gateways = sum(place.access == "gateway" for place in self.spec.places)
        terminals = sum(place.access == "terminal" for place in self.spec.places)
        sky = terminals + gateways * (terminals + gateways + len(self._aliases))
        # as much again for links that have gone and still have packets in the air
        return 2 * (len(self._fixed.a) + 2 * pairs + 2 * sky)

    def route(self, table: LinkTable, start: str, end: str) -> NDArray[np.intp]:
        """The rows of a link table of this world on the way from one place to another, in order.

        `start`: a place or satellite, `end`: a place of the spec. Nothing where there is no way, or none is
        needed. Raises `WorldError` for places that are not there.
        """
        hosts = [place.id for place in self.spec.places]
        for name, known in ((start, self.place_index), (end, hosts)):
            if name not in known:
                raise WorldError(f"route from {start!r} to {end!r}: no place {name!r}{checks.hint(known)}")
        at, host = self.place_index[start], hosts.index(end)
        rows: list[int] = []
        while (row := int(table.next_hop[at, host])) >= 0:
            rows.append(row)
            at = int(table.dst[row])
        return np.array(rows, dtype=np.intp)

    def geodetic(self, t_s: float, index: int) -> tuple[float, float, float]:
        """(latitude deg, longitude deg, altitude m) of one place at run time `t_s`."""
        latitude, longitude, altitude = geodetic_from_ecef(self._one_position(t_s, index))
        return float(latitude), float(longitude), float(altitude)

    # --- set-up ---------------------------------------------------------------------------------

    def _fixed_pairs(self) -> Pairs:
        ends = ((self.place_index[link.a], self.place_index[link.b]) for link in self.spec.links)
        return Pairs.of([(FIXED, a, b, *self._profiles.of_link(k)) for k, (a, b) in enumerate(ends)])

    # --- an epoch -------------------------------------------------------------------------------

    def _shift_s(self) -> NDArray[np.float64] | None:
        """Seconds by which satellites run ahead of their elements, None when none does."""
        ahead = self.adjustments.along_track_km
        if not any(ahead.values()):
            return None
        shift = np.zeros(len(self.satellites))
        for name, km in ahead.items():
            index = self.place_index.get(name, -1) - self.first_satellite
            if index >= 0:
                shift[index] = km / self._ephemeris.speed_km_s(index)
        return shift

    def _move(self, t_s: float, used: NDArray[np.int32]) -> NDArray[np.float64]:
        """Bring `_position` to `t_s`; returns the published positions [m, 3] of the satellites used."""
        self._motion.move_to(t_s)
        self._position[: self.first_satellite] = self._motion.position
        published = self._ephemeris.positions(t_s, used)
        shift = self._shift_s()
        true = published if shift is None else self._ephemeris.positions(t_s, used, shift)
        self._position[self.first_satellite + used] = true
        return published

    def _refresh_rows(self, plan: Plan, published: NDArray[np.float64]) -> Rows:
        """The rows for the pairs that are there now; made anew only when one came or went."""
        changed = plan.refresh(self._motion, self._access.stations, self._position, published)
        if self._rows is not None and not changed:
            return self._rows
        pairs = plan.pairs.where(plan.alive)
        if self._rows is None or not pairs.same(self._rows.pairs):
            self._rows = Rows(
                pairs,
                self._profiles,
                self._weather.which,
                self._weather.high,
                self.hosts,
                len(self.places),
                self._rows,
            )
        return self._rows

    def _table(self, t_s: float, rows: Rows, serving: dict[str, str]) -> LinkTable:
        given = self.adjustments
        range_m, length_m, high = rows.measure(self._position, self._motion.axes)
        seed = given.shadowing_seed
        moment = Moment(
            length_m,
            high,
            self._weather.of_the_moment(given.attenuation_db, t_s, rows, length_m, high),
            rows.unknown if seed is None else rows.around_db(seed, self.places, t_s, high),
            interference(rows, self._position),
        )
        hidden = self._hidden.of(given, rows)
        made = rows.columns(self._weather.tables, moment, range_m, hidden)
        self._penalise(rows, made.weight_ns)
        next_hop = rows.routes.next_hops(made.weight_ns)
        if len(self._aliases):
            next_hop[self._aliases] = next_hop[self.hosts[self._aliases]]
        return LinkTable(
            t_s, rows.src, rows.dst, rows.kind, hidden.up, made.rate_bps, made.delay_ns, rows.jitter_ns,
            hidden.loss, made.frame_error, rows.frame_bits, rows.queue_packets, rows.queue_bytes, rows.model,
            made.snr_db, made.attenuation_db, range_m, made.elevation_deg, made.modcod, next_hop,
            dict(serving),
        )  # fmt: skip

    def _barred(self) -> set[tuple[int, int]]:
        """What terminals are barred from, by place index."""
        index = self.place_index
        return {(index[a], index[b]) for a, b in self.orders.barred if a in index and b in index}

    def _penalise(self, rows: Rows, weight_ns: NDArray[np.float64]) -> None:
        """Add the penalties of routes to the weights [n] of links; one that carries nothing stays so."""
        for (a, b), penalty_ms in self.orders.route_penalty_ms.items():
            row = rows.row(self.place_index.get(a, -1), self.place_index.get(b, -1))
            if row >= 0:
                weight_ns[row] += penalty_ms * 1e6

    def _one_position(self, t_s: float, index: int) -> NDArray[np.float64]:
        index = int(self.hosts[index]) if index < len(self.hosts) else index
        satellite = index - self.first_satellite
        if satellite >= 0:
            wanted = np.array([satellite], dtype=np.int32)
            position: NDArray[np.float64] = self._ephemeris.positions(t_s, wanted, self._shift_s())[0]
            return position
        motion = Motion([self.spec.places[index]])
        motion.move_to(t_s)
        return np.asarray(motion.position[0])
