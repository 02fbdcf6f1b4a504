"""Who looks at the sky: a place, and what it has of satellites at an instant.

Elevation, azimuth, range and range rate, from places that stand or move. When satellites come and go is
`emulator.topology.windows`'s, whose subject is time; what many places see at every epoch is
`emulator.geometry.visibility`'s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.geometry import Sky, range_rate_m_s
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.motion import Motion
from emulator.spec import Place

#: a satellite from a place; `satellite` is an index of the constellation's names
LOOK = np.dtype(
    [
        ("satellite", "i4"),
        ("elevation_deg", "f8"),
        ("azimuth_deg", "f8"),
        ("slant_range_m", "f8"),
        ("range_rate_m_s", "f8"),
    ]
)


class Site(Place):
    """A place on the ground, coordinates first: degrees on WGS-84, and m above its ellipsoid.

    `further`: other fields of `Place`. Without `id` it is called "site".
    """

    def __init__(
        self,
        latitude_deg: float,
        longitude_deg: float,
        altitude_m: float = 0.0,
        min_elevation_deg: float = 10.0,
        **further: Any,
    ) -> None:
        super().__init__(
            **{"id": "site", "kind": "ground", **further},
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            altitude_m=altitude_m,
            min_elevation_deg=min_elevation_deg,
        )


class Observer:
    """A place on the ground, at sea or in the air that looks at satellites."""

    def __init__(self, place: Place) -> None:
        self._motion = Motion([checked(place)])

    def look(
        self,
        ephemeris: Ephemeris,
        t_s: float,
        min_elevation_deg: float,
        wanted: NDArray[np.int32] | None = None,
    ) -> NDArray[Any]:
        """Those of the satellites `wanted` (default: all) above an elevation: rows of `LOOK`, by index."""
        self._motion.move_to(t_s)
        here, axes, velocity = self._motion.position[0], self._motion.axes[0], self._motion.velocity[0]
        positions = ephemeris.positions(t_s, wanted)
        row, elevation, azimuth, slant_range = Sky(len(positions)).visible(
            here, axes, positions, min_elevation_deg
        )
        index = row if wanted is None else wanted[row]
        seen = np.zeros(len(row), LOOK)
        seen["satellite"], seen["elevation_deg"], seen["azimuth_deg"] = index, elevation, azimuth
        seen["slant_range_m"] = slant_range
        moving = ephemeris.velocities(t_s, index)
        seen["range_rate_m_s"] = range_rate_m_s(here, velocity, positions[row], moving)
        return seen

    def follow(self, ephemeris: Ephemeris, satellite: int, times_s: NDArray[np.float64]) -> NDArray[Any]:
        """One satellite at run times [t], wherever it is: rows [t] of `LOOK`, NaN where SGP4 fails."""
        followed = np.full(len(times_s), np.array((satellite, *[np.nan] * 4), LOOK))
        wanted = np.array([satellite], dtype=np.int32)
        for k in np.argsort(times_s, kind="stable"):  # near instants share their knots
            for row in self.look(ephemeris, float(times_s[k]), -90.0, wanted):
                followed[k] = row
        return followed


def checked(place: Any) -> Place:
    """The place, if one can look from it; raises `WorldError` for one on a satellite and for no place."""
    if not isinstance(place, Place):
        raise WorldError(f"{place!r:.40} is no place: give a Place, or a Site(latitude_deg, longitude_deg)")
    if place.kind == "satellite":
        raise WorldError(
            f"place {place.id!r} is on a satellite: what is asked is seen from the ground or air"
        )
    return place
