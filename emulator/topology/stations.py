"""Stations: base stations, platforms and relays that serve terminals without a satellite.

Which stations a terminal can reach at an instant; who takes which is `access`'s. Terrain is not known: the
ground between two ends is a smooth sphere through the lower end that stands on it, and rays bend as on a
sphere of 4/3 of the Earth's radius (ITU-R P.310: standard refractivity gradient). An end on the ground has
its antenna a stated height above it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.geometry import elevation_deg, geodetic_from_ecef
from emulator.orbits.motion import Motion
from emulator.spec import Place
from emulator.units import MEAN_EARTH_RADIUS_M

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]

EFFECTIVE_EARTH_RADIUS_M = 4.0 / 3.0 * MEAN_EARTH_RADIUS_M
#: antennas above the ground: 3GPP TR 38.901, table 7.2-1 (urban macro): base station and terminal
STATION_HEIGHT_M = 25.0
TERMINAL_HEIGHT_M = 1.5


class Stations:
    """The stations among a spec's places.

    `index` [s]: their place indices; `capacity` [s]: terminals each may serve. Raises `WorldError` for a
    range below 0.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        self.index = np.array([k for k, p in enumerate(places) if p.access == "station"], dtype=np.int32)
        stations = [places[k] for k in self.index]
        for station in stations:
            if not station.max_range_km >= 0.0:
                raise WorldError(
                    f"place {station.id!r}: max_range_km is {station.max_range_km:g}, it must not be below 0"
                )
        unlimited = np.iinfo(np.int32).max
        self.capacity = np.array([station.max_links or unlimited for station in stations], dtype=np.int32)
        self._range_m = np.array([place.max_range_km * 1e3 or np.inf for place in places], dtype=np.float64)
        self._aloft = np.array([place.kind == "aerial" for place in places], dtype=np.bool_)
        self._least_deg = np.array([place.min_elevation_deg for place in places], dtype=np.float64)

    def reach(
        self, terminals: Indices, stations: Indices, motion: Motion
    ) -> tuple[NDArray[np.bool_], Floats, Floats]:
        """(can be reached, elevation deg, range m) [...] of stations from terminals.

        `terminals`, `stations`: place indices that broadcast, [t, 1] and [s] for every pair of them.
        Reached are stations within their range and in line of sight. Stations in the air are besides held
        to the least elevation of a terminal that is not in the air itself: it stands for what surrounds it.
        """
        here, there = motion.position[terminals], motion.position[stations]
        ray = there - here
        range_m = np.sqrt(np.einsum("...i,...i->...", ray, ray))
        elevation = elevation_deg(here, motion.axes[terminals, 2], there)
        reached = range_m <= np.minimum(self._range_m[stations], self._sight_m(terminals, stations, motion))
        held_to_it = ~self._aloft[terminals] & self._aloft[stations]
        reached &= ~held_to_it | (elevation >= self._least_deg[terminals])
        return reached, elevation, range_m

    def reaches(self, terminals: Indices, stations: Indices, motion: Motion) -> NDArray[np.bool_]:
        """Whether stations are reached from terminals [...]; see `reach`."""
        return self.reach(terminals, stations, motion)[0]

    def _sight_m(self, terminals: Indices, stations: Indices, motion: Motion) -> Floats:
        """How far apart they may be at their present heights [...], along the straight ray."""
        near, far = (geodetic_from_ecef(motion.position[places])[2] for places in (terminals, stations))
        near_aloft, far_aloft = self._aloft[terminals], self._aloft[stations]
        # the ground is known where an end stands on it; between two ends in the air it is the ellipsoid
        ground = np.minimum(np.where(near_aloft, np.inf, near), np.where(far_aloft, np.inf, far))
        ground = np.where(np.isinf(ground), 0.0, ground)
        near_m = np.maximum(near - ground, 0.0) + np.where(near_aloft, 0.0, TERMINAL_HEIGHT_M)
        far_m = np.maximum(far - ground, 0.0) + np.where(far_aloft, 0.0, STATION_HEIGHT_M)
        return np.asarray(_horizon_m(near_m) + _horizon_m(far_m))


def _horizon_m(height_m: Floats) -> Floats:
    """Length of the tangent from a height to the effective sphere."""
    return np.asarray(np.sqrt(height_m * (2.0 * EFFECTIVE_EARTH_RADIUS_M + height_m)))
