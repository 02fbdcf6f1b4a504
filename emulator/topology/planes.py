"""A plus grid for real constellations: shells, planes and neighbours found in the elements themselves.

Real element files hold spares, gaps, satellites on their way up, and element sets of different moments.
All is brought to one moment with SGP4. A shell is a cloud of satellites of like height and inclination;
its planes are parted by gaps in the ascending node; in a plane satellites follow each other by argument
of latitude. Each gets at most one link ahead, one behind and one to either side, never longer than
allowed anywhere on the orbit. Shells of evenly spaced orbits have their own, exact grid in
`emulator.topology.isl`. Whoever has the same elements finds the same pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.geometry import GRAZING_HEIGHT_M
from emulator.jit import kernel
from emulator.units import WGS84_A_M

Floats = NDArray[np.float64]

#: satellites of one shell are linked by neighbours no further apart than this; planes of one shell may
#: be flown some kilometres apart in height, and next shells differ by tenths of a degree
SHELL_STEP_KM = 5.0
SHELL_STEP_DEG = 0.04
#: and a shell is made of satellites that have at least this many such neighbours
SHELL_CORE = 8
#: ascending nodes further apart than this belong to two planes
PLANE_GAP_DEG = 1.0
#: a satellite without a partner in the next plane is offered those of the planes after it
_PLANES_ACROSS = 4
#: below this inclination the node is not defined well enough to tell planes
_EQUATORIAL_DEG = 1.0
_TURN = 2.0 * math.pi
#: angles are compared in this grain, rad, so that rounded digits decide nothing
_GRAIN_RAD = 1e-7


@dataclass(frozen=True)
class Orbits:
    """Orbits as circles, [n] each: radius m, inclination, ascending node, argument of latitude in rad."""

    radius_m: Floats
    inclination: Floats
    node: Floats
    along: Floats

    def axes(self, index: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Unit vectors [k, 3] towards the node and a quarter turn after it."""
        node, tilt = self.node[index], self.inclination[index]
        towards = np.stack([np.cos(node), np.sin(node), np.zeros(len(node))], axis=1)
        after = np.stack(
            [-np.sin(node) * np.cos(tilt), np.cos(node) * np.cos(tilt), np.sin(tilt)],
            axis=1,
        )
        return towards, after


def orbits_at(satellites: list[Any], julian: tuple[float, float]) -> Orbits:
    """The orbits of SGP4 records at a moment (Julian day, fraction, UTC); NaN where SGP4 gives none."""
    from sgp4.api import SatrecArray

    error, position, velocity = SatrecArray(satellites).sgp4(np.array([julian[0]]), np.array([julian[1]]))
    r, v = position[:, 0] * 1e3, velocity[:, 0] * 1e3
    r[error[:, 0] != 0] = np.nan
    momentum = np.cross(r, v)
    momentum /= np.linalg.norm(momentum, axis=1)[:, None]
    inclination = np.arccos(np.clip(momentum[:, 2], -1.0, 1.0))
    node = np.arctan2(momentum[:, 0], -momentum[:, 1])
    node[inclination < math.radians(_EQUATORIAL_DEG)] = 0.0
    towards = np.stack([np.cos(node), np.sin(node), np.zeros(len(node))], axis=1)
    after = np.cross(momentum, towards)
    along = np.arctan2(np.einsum("ij,ij->i", r, after), np.einsum("ij,ij->i", r, towards))
    return Orbits(np.linalg.norm(r, axis=1), inclination, node % _TURN, along % _TURN)


def middle_moment(satellites: list[Any]) -> tuple[float, float]:
    """(Julian day, fraction): the median of the element sets' moments."""
    return float(np.median([s.jdsatepoch + s.jdsatepochF for s in satellites])), 0.0


def longest_m(orbits: Orbits, a: NDArray[np.int64], b: NDArray[np.int64]) -> Floats:
    """The longest way [k] between satellites `a` and `b` [k] over a turn, m, while they keep their phase.

    r_a . r_b is a mean and a swing at twice the orbital rate; the law of cosines gives the rest.
    """
    p1, q1 = orbits.axes(a)
    p2, q2 = orbits.axes(b)
    ahead = (orbits.along[b] - orbits.along[a])[:, None]
    p2, q2 = p2 * np.cos(ahead) + q2 * np.sin(ahead), q2 * np.cos(ahead) - p2 * np.sin(ahead)
    pp, qq, pq, qp = (np.einsum("ij,ij->i", x, y) for x, y in ((p1, p2), (q1, q2), (p1, q2), (q1, p2)))
    least = 0.5 * (pp + qq - np.hypot(pp - qq, pq + qp))
    r1, r2 = orbits.radius_m[a], orbits.radius_m[b]
    return np.asarray(np.sqrt(np.maximum(r1 * r1 + r2 * r2 - 2.0 * r1 * r2 * least, 0.0)))


@kernel
def _clouds(height, tilt, order, step_height, step_tilt, core, parent, inside):  # type: ignore[no-untyped-def]
    """Density clusters (Ester et al. 1996) of points in two dimensions, as a forest in `parent` [n].

    `order` [n]: points by rising `tilt`; `inside` [n]: set to whether a point belongs to a cluster.
    """
    count = order.shape[0]
    near = np.zeros(count, dtype=np.int32)
    for stage in range(3):
        for at in range(count):
            i = order[at]
            for then in range(at + 1, count):
                j = order[then]
                if tilt[j] - tilt[i] > step_tilt:
                    break
                if abs(height[j] - height[i]) > step_height:
                    continue
                if stage == 0:
                    near[i] += 1
                    near[j] += 1
                elif stage == 1:
                    if near[i] >= core and near[j] >= core:
                        _join(parent, i, j)
                elif near[i] >= core and near[j] < core and not inside[j]:
                    parent[j] = _root(parent, i)
                    inside[j] = True
                elif near[j] >= core and near[i] < core and not inside[i]:
                    parent[i] = _root(parent, j)
                    inside[i] = True
        if stage == 1:
            for i in range(count):
                inside[i] = near[i] >= core


@kernel
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@kernel
def _join(parent, i, j):  # type: ignore[no-untyped-def]
    a, b = _root(parent, i), _root(parent, j)
    parent[max(a, b)] = min(a, b)


def shells_of(satellites: list[Any]) -> list[NDArray[np.int64]]:
    """Indices of the satellites of each shell; those in none are on their way, or alone."""
    height = np.array([s.a * s.radiusearthkm for s in satellites])
    tilt = np.degrees([s.inclo for s in satellites])
    parent = np.arange(len(satellites), dtype=np.int64)
    inside = np.zeros(len(satellites), dtype=np.bool_)
    order = np.argsort(tilt, kind="stable")
    _clouds(height, tilt, order, SHELL_STEP_KM, SHELL_STEP_DEG, SHELL_CORE, parent, inside)
    root = np.array([_root(parent, i) for i in range(len(satellites))], dtype=np.int64)
    return [np.flatnonzero(inside & (root == one)) for one in np.unique(root[inside])]


def planes_of(shell: NDArray[np.int64], orbits: Orbits) -> list[NDArray[np.int64]]:
    """The planes of a shell by rising node, each in order along the orbit."""
    shell = shell[np.isfinite(orbits.along[shell])]
    if len(shell) == 0:
        return []
    by_node = shell[np.argsort(orbits.node[shell], kind="stable")]
    nodes = orbits.node[by_node]
    gap = np.diff(np.append(nodes, nodes[0] + _TURN))
    ends = np.flatnonzero(gap > math.radians(PLANE_GAP_DEG))
    if len(ends):
        # begin after a gap, so that no plane lies on both sides of zero
        by_node = np.roll(by_node, -(ends[0] + 1))
        parts = np.split(by_node, (ends[1:] - ends[0]))
    else:
        parts = [by_node]
    return [part[np.argsort(orbits.along[part], kind="stable")] for part in parts]


def grid_of(satellites: list[Any], orbits: Orbits, max_range_m: float) -> NDArray[np.int32]:
    """Pairs [m, 2] of the plus grid of real satellites, none of them with more than four links.

    `orbits`: theirs, at one moment; `max_range_m`: no link is ever longer, nor passes through the air.
    """
    pairs: list[NDArray[np.int64]] = []
    for shell in shells_of(satellites):
        shell = shell[np.isfinite(orbits.radius_m[shell])]
        lowest = float(orbits.radius_m[shell].min(initial=math.inf))
        clear = 2.0 * math.sqrt(max(0.0, lowest**2 - (WGS84_A_M + GRAZING_HEIGHT_M) ** 2))
        pairs.extend(_shell_pairs(planes_of(shell, orbits), orbits, min(max_range_m, clear)))
    found = np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.int64)
    return np.unique(np.sort(found, axis=1), axis=0).astype(np.int32)


def _shell_pairs(planes: list[NDArray[np.int64]], orbits: Orbits, limit_m: float) -> list[NDArray[np.int64]]:
    pairs = []
    for plane in planes:
        following = np.roll(plane, -1)
        if len(plane) > 1:
            if len(plane) == 2:
                plane, following = plane[:1], following[:1]
            near = longest_m(orbits, plane, following) <= limit_m
            pairs.append(np.stack([plane[near], following[near]], axis=1))
    count = len(planes)
    east = np.ones(len(orbits.along), dtype=np.bool_)  # whether the link to that side is still to be had
    west = east.copy()
    for across in range(1, min(_PLANES_ACROSS, count // 2) + 1):
        for k in range(count):
            if 2 * across == count and k >= across:
                break  # the other side of the ring of planes was met already
            here, there = planes[k], planes[(k + across) % count]
            here, there = here[east[here]], there[west[there]]
            if len(here) and len(there):
                matched = _matched(here, there, orbits, limit_m)
                east[matched[:, 0]] = False
                west[matched[:, 1]] = False
                pairs.append(matched)
    return pairs


def _matched(
    here: NDArray[np.int64], there: NDArray[np.int64], orbits: Orbits, limit_m: float
) -> NDArray[np.int64]:
    """Pairs between two planes, one a satellite, those least out of step first."""
    step = np.median((orbits.node[there] - orbits.node[here[0]] + math.pi) % _TURN) - math.pi
    lean = step * math.cos(float(orbits.inclination[here[0]]))
    # nearest in space: the same distance from the equator in the middle between the two planes
    wanted = orbits.along[here] - lean
    # the nearest two on either side are enough: those further away find their own
    at = np.searchsorted(orbits.along[there], wanted % _TURN)
    a = np.repeat(here, 4)
    b = there[(at[:, None] + np.arange(-2, 2)) % len(there)].ravel()
    off = np.abs((orbits.along[b] - np.repeat(wanted, 4) + math.pi) % _TURN - math.pi)
    near = longest_m(orbits, a, b) <= limit_m
    a, b, off = a[near], b[near], np.rint(off[near] / _GRAIN_RAD)
    order = np.lexsort((b, a, off))
    used: set[int] = set()
    pairs = []
    for i, j in zip(a[order].tolist(), b[order].tolist(), strict=True):
        # one index serves both: the two planes have no satellite in common
        if i not in used and j not in used:
            used.update((i, j))
            pairs.append((i, j))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
