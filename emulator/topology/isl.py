"""Inter-satellite links: which pairs of satellites are linked, and when that changes.

"plus-grid": the neighbours ahead and behind, and one in either next plane. Shells of evenly spaced
circular orbits have an exact grid, made here; for real element files `emulator.topology.planes` finds one.
"nearest": each satellite to its nearest ones, and links between layers (`emulator.topology.nearest`).

Everything follows from published elements and the instants 0, `REMADE_EVERY_S`, 2 x `REMADE_EVERY_S` ...
of run time: whoever has these has the same links, at whatever times they ask. A link to a near satellite is
kept while it can be, but every `BEGUN_EVERY_S` all of these are chosen from nothing: so nothing older than
that is ever needed, and who goes far ahead in time need not follow every instant on the way. Most of these
links change then. Range counts at the instants: until the next a link may be 450 km longer (30 s at 15 km/s).
Whether the Earth is in the way of a link at an epoch is the caller's to see.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.geometry import clear_of_earth
from emulator.orbits.elements import Element
from emulator.spec import ConstellationSpec
from emulator.topology.nearest import MOST_SATELLITES, nearest_above, nearest_pairs, without_repeats
from emulator.topology.planes import Orbits, grid_of, middle_moment, orbits_at
from emulator.units import LAYER_BOUNDS_KM, TICK_S

Pairs = NDArray[np.int32]

KINDS = ("none", "plus-grid", "nearest")
INTERLAYER_KINDS = ("none", "nearest")
#: links that depend on where satellites are, are made anew at multiples of this, s of run time
REMADE_EVERY_S = 30.0
#: and at multiples of this without regard to those before, a whole number of times the above
BEGUN_EVERY_S = 3600.0
_INSTANTS_KEPT = round(BEGUN_EVERY_S / REMADE_EVERY_S)
#: no satellite has more links, and none is longer: lengths have 27 bits in `nearest`
MOST_NEIGHBOURS = 64
MOST_RANGE_KM = 130_000.0
#: links of a plus grid a satellite has at most
_GRID_LINKS = 4
_TURN = 360.0
#: how far published angles of a regular shell may be from their even places, degrees
_UNEVEN_DEG = 0.05
#: among satellites that are no regular shells, fewer than this are not taken for one by chance
_LEAST_REGULAR = 8


class Published(Protocol):
    """Where satellites are: `positions(t_s)` [n, 3] m, Earth-fixed, NaN for one that has no position."""

    def positions(self, t_s: float) -> NDArray[np.float64]: ...


class Isl:
    """The inter-satellite links of a run.

    `spec`: its kinds, number and range of links; `elements` [n]: the satellites; `ephemeris`: their
    published positions; `julian`: (Julian day, fraction) in UTC at which planes are told apart, the start
    of the run; None: the middle of the element sets' moments. Raises `WorldError`.
    """

    def __init__(
        self,
        spec: ConstellationSpec,
        elements: list[Element],
        ephemeris: Published,
        julian: tuple[float, float] | None = None,
    ) -> None:
        _check(spec, len(elements))
        self._spec = spec
        self._ephemeris = ephemeris
        self._max_range_m = spec.isl_max_range_km * 1e3
        self._grid, regular = np.zeros((0, 2), dtype=np.int32), True
        if spec.isl == "plus-grid" and elements:
            self._grid, regular = _plus_grid(elements, self._max_range_m, julian)
        self._layers = _layers(elements) if spec.interlayer == "nearest" else []
        #: links each satellite may have besides the grid's, and which ask for some
        self._spare = np.zeros(len(elements), dtype=np.int32)
        self._wanting = np.zeros(len(elements), dtype=np.bool_)
        if spec.isl == "nearest":
            self._spare[:] = spec.isl_neighbours
            self._wanting[:] = True
        elif not regular:
            used = np.bincount(self._grid.ravel(), minlength=len(elements))
            self._spare[:] = _GRID_LINKS - used
            self._wanting[:] = used == 0
        self._grid_stays = regular
        self._changes = bool(len(elements)) and (
            spec.isl == "nearest" or not regular or len(self._layers) > 1
        )
        self._taken = np.zeros((0, 2), dtype=np.int32)
        self._count = 0
        #: the pairs [m, 2] of satellites that are linked now, lower index first, each once
        self.pairs: Pairs = self._grid

    def advance(self, t_s: float) -> bool:
        """Bring the links to the last instant up to run time `t_s`; whether `pairs` changed.

        Raises `WorldError` for a time that is not finite.
        """
        if not math.isfinite(t_s):
            raise WorldError(f"inter-satellite links: run time is {t_s} s, should be a finite number")
        newest = math.floor((t_s + TICK_S) / REMADE_EVERY_S)
        if not self._changes or newest < self._count:
            return False
        before = self.pairs
        kept = bool(self._wanting.any())
        # where links are kept from instant to instant none may be left out
        begun = newest - newest % _INSTANTS_KEPT if kept else newest
        for instant in range(max(begun, self._count), newest + 1):
            position = self._ephemeris.positions(instant * REMADE_EVERY_S)
            grid = self._grid if self._grid_stays else self._there(self._grid, position)
            if kept:
                self._take_nearest(position, grid, anew=instant % _INSTANTS_KEPT == 0)
        parts = [grid, self._taken]
        for lower, upper in zip(self._layers, self._layers[1:], strict=False):
            parts.append(nearest_above(position, lower, upper))
        self.pairs = without_repeats(np.concatenate(parts))
        self._count = newest + 1
        return not np.array_equal(before, self.pairs)

    def _take_nearest(self, position: NDArray[np.float64], grid: Pairs, anew: bool) -> None:
        """Bring the links to near satellites up to date, beside those of the grid."""
        kept = self._taken[:0] if anew else self._there(self._taken, position)
        spare = self._spare - np.bincount(kept.ravel(), minlength=len(self._spare))
        new = nearest_pairs(
            position,
            spare.astype(np.int32),
            self._max_range_m,
            np.concatenate([kept, grid]),
            self._wanting,
        )
        self._taken = np.concatenate([kept, new])

    def _there(self, pairs: Pairs, position: NDArray[np.float64]) -> Pairs:
        """Those of the pairs that are within range and clear of the Earth."""
        a, b = position[pairs[:, 0]], position[pairs[:, 1]]
        near = np.linalg.norm(a - b, axis=1) <= self._max_range_m
        there: Pairs = pairs[near & clear_of_earth(a, b)]
        return there


def _check(spec: ConstellationSpec, satellites: int) -> None:
    if spec.isl not in KINDS:
        raise WorldError(f"constellation.isl is {spec.isl!r}, allowed: {', '.join(KINDS)}")
    if spec.interlayer not in INTERLAYER_KINDS:
        allowed = ", ".join(INTERLAYER_KINDS)
        raise WorldError(f"constellation.interlayer is {spec.interlayer!r}, allowed: {allowed}")
    if spec.isl == "nearest" and not 1 <= spec.isl_neighbours <= MOST_NEIGHBOURS:
        raise WorldError(
            f"constellation.isl_neighbours is {spec.isl_neighbours}, allowed: 1 to {MOST_NEIGHBOURS}"
        )
    if spec.isl != "none" and not 0.0 < spec.isl_max_range_km <= MOST_RANGE_KM:
        raise WorldError(
            f"constellation.isl_max_range_km is {spec.isl_max_range_km:g}, "
            f"it must be above 0 and at most {MOST_RANGE_KM:g}"
        )
    if satellites > MOST_SATELLITES:
        raise WorldError(
            f"constellation has {satellites} satellites, links are for {MOST_SATELLITES} at most"
        )


def _layers(elements: list[Element]) -> list[NDArray[np.int32]]:
    """Satellites of each layer that has any, from the lowest up."""
    height_km = np.array([(record.a - 1.0) * record.radiusearthkm for _, record in elements])
    number = np.searchsorted(np.array(LAYER_BOUNDS_KM), height_km, side="right")
    found = (np.flatnonzero(number == layer).astype(np.int32) for layer in range(3))
    return [layer for layer in found if len(layer)]


def plus_grid(
    elements: list[Element], max_range_km: float = 5000.0, julian: tuple[float, float] | None = None
) -> Pairs:
    """Pairs [m, 2] of satellite indices of the plus grid, each pair once.

    `max_range_km`: no link of satellites that are no regular shell is ever longer; `julian`: as for `Isl`.
    """
    return _plus_grid(elements, max_range_km * 1e3, julian)[0]


def _plus_grid(
    elements: list[Element], max_range_m: float, julian: tuple[float, float] | None
) -> tuple[Pairs, bool]:
    """The grid's pairs, and whether all satellites are of regular shells."""
    groups: dict[tuple[float, float], list[int]] = defaultdict(list)
    for index, (_, satellite) in enumerate(elements):
        revolutions = satellite.no_kozai * 1440.0 / (2.0 * math.pi)
        groups[round(revolutions, 3), round(math.degrees(satellite.inclo), 2)].append(index)
    pairs: list[tuple[int, int]] = []
    others: list[int] = []
    shells = [(members, _regular([elements[i][1] for i in members], members)) for members in groups.values()]
    chance = any(found is None for _, found in shells)
    for members, found in shells:
        if found is None or (chance and len(members) < _LEAST_REGULAR):
            others.extend(members)
        else:
            pairs.extend(found)
    unique = dict.fromkeys((min(pair), max(pair)) for pair in pairs if pair[0] != pair[1])
    grid = np.array(list(unique), dtype=np.int32).reshape(-1, 2)
    if others:
        others.sort()
        satellites = [elements[i][1] for i in others]
        orbits: Orbits = orbits_at(satellites, julian if julian is not None else middle_moment(satellites))
        grid = np.concatenate(
            [grid, np.array(others, dtype=np.int32)[grid_of(satellites, orbits, max_range_m)]]
        )
    return grid, not others


def _regular(satellites: list[Any], members: list[int]) -> list[tuple[int, int]] | None:
    """Pairs of a shell of evenly spaced orbits, by `members`; None when it is none."""
    found = _even_planes(satellites)
    if found is None:
        return None
    planes, along = found
    per_plane = len(planes[0])
    spacing = _TURN / per_plane
    pairs = []
    for plane in planes:
        for slot in range(per_plane):
            pairs.append((members[plane[slot]], members[plane[(slot + 1) % per_plane]]))
    # from one plane to the next: the node's step, measured along the orbit, adds to the step in phase
    nodes = [math.degrees(satellites[plane[0]].nodeo) % _TURN for plane in planes]
    step = nodes[1] - nodes[0] if len(planes) > 1 else 0.0
    lean = step * math.cos(satellites[0].inclo)
    # planes spread over half a turn (star) leave a seam between the last and the first
    closed = len(planes) > 2 and abs(step * len(planes) - _TURN) < 1.0
    for p in range(len(planes) if closed else len(planes) - 1):
        plane, following = planes[p], planes[(p + 1) % len(planes)]
        # the neighbour nearest in space, the orbit over; the small term keeps ties from hanging on
        # rounded digits
        ahead = along[plane[0]] - along[following[0]] - lean
        offset = math.floor(ahead / spacing + 0.5 - 1e-3)
        for slot in range(per_plane):
            pairs.append((members[plane[slot]], members[following[(slot + offset) % per_plane]]))
    return pairs


def _even_planes(satellites: list[Any]) -> tuple[list[list[int]], list[float]] | None:
    """Planes by ascending node, each in order along the orbit; and degrees along, by satellite.

    None when planes are not of equal size, evenly spaced and all around the Earth.
    """
    nodes = [math.degrees(s.nodeo) % _TURN for s in satellites]
    along = [math.degrees(s.argpo + s.mo) % _TURN for s in satellites]
    order = sorted(range(len(satellites)), key=lambda i: nodes[i])
    planes: list[list[int]] = []
    for i in order:
        if planes and nodes[i] - nodes[planes[-1][-1]] < _UNEVEN_DEG:
            planes[-1].append(i)
        else:
            planes.append([i])
    if len({len(plane) for plane in planes}) > 1:
        return None
    for plane in planes:
        plane.sort(key=lambda i: along[i])
        if not _even([along[i] for i in plane], _TURN / len(plane)):
            return None
    firsts = [nodes[plane[0]] for plane in planes]
    if len(firsts) > 1:
        step = firsts[1] - firsts[0]
        around = min(abs(step * len(firsts) - turn) for turn in (_TURN, _TURN / 2.0)) <= 1.0
        if not (around and _even(firsts, step)):
            return None
    return planes, along


def _even(angles: list[float], step: float) -> bool:
    gaps = np.diff(angles)
    return len(gaps) == 0 or bool(np.max(np.abs(gaps - step)) <= _UNEVEN_DEG)
