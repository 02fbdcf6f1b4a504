"""Satellites on circular orbits from generating parameters: Walker shells, and a set over a region.

What is generated is passed through TLE text before use, so that whoever is given the published
elements (and not the parameters) has the same satellites to the last bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sgp4.api import WGS72, Satrec

from emulator.errors import WorldError
from emulator.geometry import ecef_from_geodetic, enu_axes
from emulator.orbits.elements import Element, elements_to_text, parse_tle
from emulator.orbits.frames import RunClock
from emulator.spec import CircularShell, ConstellationSpec, OverRegion
from emulator.units import WGS84_A_M

#: km3/s2, the constant SGP4 works with (WGS-72)
_MU = 398600.8
#: Julian day of 1949 December 31 0h, the zero of SGP4 epochs
_SGP4_ZERO = 2433281.5
#: generated satellites are numbered from here, away from small real catalogue numbers
_FIRST_NUMBER = 70_001


def generate(spec: ConstellationSpec, clock: RunClock) -> list[Element]:
    """Satellites of the shells or of the region, with the run's start as epoch."""
    found: list[Element] = []
    for shell in spec.shells:
        found.extend(_walker(shell, clock, _FIRST_NUMBER + len(found)))
    if spec.over_region is not None:
        found.extend(_over_region(spec.over_region, clock, _FIRST_NUMBER + len(found)))
    names = [name for name, _ in found]
    if len(set(names)) != len(names):
        raise WorldError("constellation: two shells have the same name, give each its own")
    return parse_tle(elements_to_text(found))


def _circular(
    clock: RunClock, number: int, altitude_km: float, inclination: float, node: float, along: float
) -> Any:
    """A record for a circular orbit; angles in rad, `along` from the ascending node at the epoch."""
    semi_major_km = WGS84_A_M / 1e3 + altitude_km
    satellite = Satrec()
    satellite.sgp4init(
        WGS72,
        "i",
        number,
        clock.julian_day - _SGP4_ZERO + clock.day_fraction,
        0.0,  # no drag: generated satellites keep their height
        0.0,
        0.0,
        0.0,
        0.0,
        inclination,
        along % (2.0 * math.pi),
        math.sqrt(_MU / semi_major_km**3) * 60.0,
        node % (2.0 * math.pi),
    )
    return satellite


def _walker(shell: CircularShell, clock: RunClock, number: int) -> list[Element]:
    if shell.planes < 1 or shell.satellites < 1 or shell.satellites % shell.planes:
        raise WorldError(
            f"constellation.shells: {shell.name!r} has {shell.satellites} satellites in {shell.planes} "
            "planes, the number must be a positive multiple of the planes"
        )
    if shell.pattern not in ("delta", "star"):
        raise WorldError(
            f"constellation.shells: {shell.name!r} has pattern {shell.pattern!r}, allowed: delta, star"
        )
    spread = 2.0 * math.pi if shell.pattern == "delta" else math.pi
    per_plane = shell.satellites // shell.planes
    found: list[Element] = []
    for plane in range(shell.planes):
        node = spread * plane / shell.planes
        for slot in range(per_plane):
            along = 2.0 * math.pi * (slot / per_plane + shell.phasing * plane / shell.satellites)
            name = f"{shell.name}-{plane + 1:02d}-{slot + 1:02d}"
            satellite = _circular(
                clock,
                number + len(found),
                shell.altitude_km,
                math.radians(shell.inclination_deg),
                node,
                along,
            )
            found.append((name, satellite))
    return found


def _over_region(region: OverRegion, clock: RunClock, number: int) -> list[Element]:
    if region.columns < 1 or region.rows < 1:
        raise WorldError("constellation.over_region: columns and rows must be at least 1")
    centre = ecef_from_geodetic(region.latitude_deg, region.longitude_deg, 0.0)
    east, north, _ = enu_axes(region.latitude_deg, region.longitude_deg)
    radius_km = WGS84_A_M / 1e3
    found: list[Element] = []
    for row in range(region.rows):
        for column in range(region.columns):
            x_km = ((column + 0.5) / region.columns - 0.5) * region.side_km
            y_km = (0.5 - (row + 0.5) / region.rows) * region.side_km
            distance = math.hypot(x_km, y_km) / radius_km
            direction = east * x_km + north * y_km
            if distance > 0.0:
                direction /= np.linalg.norm(direction)
            point = centre / np.linalg.norm(centre) * math.cos(distance) + direction * math.sin(distance)
            satellite = _standing_over(region, clock, number + len(found), point)
            found.append((f"{region.name}-{len(found) + 1}", satellite))
    return found


def _standing_over(region: OverRegion, clock: RunClock, number: int, wanted: NDArray[np.float64]) -> Any:
    """A satellite that SGP4 puts over the unit vector `wanted` at the region's moment.

    SGP4 moves a mean orbit by some kilometres (J2): the aim is corrected until the hit is right.
    """
    sidereal = float(clock.sidereal_rad(region.at_s))
    day, fraction = clock.julian(region.at_s)
    aim = wanted.copy()
    satellite = None
    for _ in range(6):
        inertial = _turn(aim, sidereal)
        latitude = math.asin(inertial[2])
        ascension = math.atan2(inertial[1], inertial[0])
        heading = math.radians(region.heading_deg)
        inclination = math.acos(math.sin(heading) * math.cos(latitude))
        # along the orbit from the node, and the node, from latitude and heading (spherical triangle)
        along = math.atan2(math.sin(latitude), math.cos(latitude) * math.cos(heading))
        node = ascension - math.atan2(math.sin(along) * math.cos(inclination), math.cos(along))
        satellite = _circular(clock, number, region.altitude_km, inclination, node, 0.0)
        motion_rad_s = (satellite.mdot + satellite.argpdot) / 60.0
        drift_rad_s = satellite.nodedot / 60.0
        satellite = _circular(
            clock,
            number,
            region.altitude_km,
            inclination,
            node - drift_rad_s * region.at_s,
            along - motion_rad_s * region.at_s,
        )
        error, position, _ = satellite.sgp4(day, fraction)
        if error:
            raise WorldError(
                f"constellation.over_region: altitude {region.altitude_km:g} km gives no orbit that stays up"
            )
        hit = _turn(np.asarray(position) / np.linalg.norm(position), -sidereal)
        aim = aim + (wanted - hit)
        aim /= np.linalg.norm(aim)
    return satellite


def _turn(vector: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([cosine * vector[0] - sine * vector[1], sine * vector[0] + cosine * vector[1], vector[2]])
