"""Inter-satellite links of a plus grid: the neighbours ahead and behind, and one in either next plane.

The planes are found in the published elements themselves, so whoever has these has the same grid. That
works for shells of evenly spaced circular orbits; real element files, with their spares, gaps and
manoeuvring satellites, are refused by name of the reason.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.orbits.elements import Element

_TURN = 360.0
#: how far published angles of a regular shell may be from their even places, degrees
_UNEVEN_DEG = 0.05


def plus_grid(elements: list[Element]) -> NDArray[np.int32]:
    """Pairs [m, 2] of satellite indices, each pair once, in order. Raises `WorldError`."""
    shells: dict[tuple[float, float], list[int]] = defaultdict(list)
    for index, (_, satellite) in enumerate(elements):
        revolutions = satellite.no_kozai * 1440.0 / (2.0 * math.pi)
        shells[round(revolutions, 3), round(math.degrees(satellite.inclo), 2)].append(index)
    pairs: list[tuple[int, int]] = []
    for members in shells.values():
        pairs.extend(_shell_pairs([elements[i][1] for i in members], members))
    unique = dict.fromkeys((min(pair), max(pair)) for pair in pairs if pair[0] != pair[1])
    return np.array(list(unique), dtype=np.int32).reshape(-1, 2)


def _shell_pairs(satellites: list[Any], members: list[int]) -> list[tuple[int, int]]:
    planes, along = _planes(satellites)
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


def _planes(satellites: list[Any]) -> tuple[list[list[int]], list[float]]:
    """Planes by ascending node, each in order along the orbit; and degrees along, by satellite."""
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
        raise WorldError(
            f"constellation.isl: plus-grid needs planes of equal size, these elements have {len(planes)} "
            f"planes of {min(map(len, planes))} to {max(map(len, planes))} satellites "
            '(for element files of real constellations only isl = "none" is available)'
        )
    for plane in planes:
        plane.sort(key=lambda i: along[i])
        _even([along[i] for i in plane], _TURN / len(plane), "satellites in a plane")
    firsts = [nodes[plane[0]] for plane in planes]
    if len(firsts) > 1:
        step = firsts[1] - firsts[0]
        _even(firsts, step, "planes")
        if min(abs(step * len(firsts) - around) for around in (_TURN, _TURN / 2.0)) > 1.0:
            raise WorldError(
                f"constellation.isl: plus-grid needs planes all around the Earth, these {len(firsts)} are "
                f"{step:.2f} degrees apart (satellites over a region have no grid)"
            )
    return planes, along


def _even(angles: list[float], step: float, what: str) -> None:
    gaps = np.diff(angles)
    if len(gaps) and np.max(np.abs(gaps - step)) > _UNEVEN_DEG:
        raise WorldError(
            f"constellation.isl: plus-grid needs evenly spaced {what}, these are {gaps.min():.2f} to "
            f"{gaps.max():.2f} degrees apart "
            '(for element files of real constellations only isl = "none" is available)'
        )
