"""Satellites from generating parameters: Walker shells, geostationary ones, and a set over a region.

What is generated is written as two-line elements and read from them before use, so that whoever is given
the published elements (and not the parameters) has the same satellites to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sgp4.api import Satrec

from emulator.errors import WorldError
from emulator.geometry import ecef_from_geodetic, enu_axes
from emulator.orbits.elements import Element
from emulator.orbits.frames import RunClock
from emulator.orbits.tle import circular_lines
from emulator.spec import CircularShell, ConstellationSpec, Geostationary, OverRegion
from emulator.units import ORDINAL_ZERO_JULIAN_DAY, SECONDS_PER_DAY, SGP4_MU_KM3_S2, WGS84_A_M

#: generated satellites are numbered from here, leaving out the numbers of real ones beside them
_FIRST_NUMBER = 70_001
_LAST_NUMBER = 339_999
#: a geostationary satellite's drift is taken out over this time, at instants this far apart, s
_STAND_S, _STAND_STEP_S = SECONDS_PER_DAY, 3600.0
_SIDEREAL_PER_DAY = 1.00273790935
_STAND_ROUNDS = 8
#: what a region may be; its parts are laid out on a plane that touches the Earth in its middle
_REGION = {
    "latitude_deg": (-90.0, 90.0),
    "longitude_deg": (-180.0, 360.0),
    "side_km": (0.0, 10_000.0),
    "altitude_km": (1.0, 1e6),
    "heading_deg": (-360.0, 360.0),
    "at_s": (-366.0 * SECONDS_PER_DAY, 366.0 * SECONDS_PER_DAY),
}


def generate(spec: ConstellationSpec, clock: RunClock, taken: Collection[int] = ()) -> list[Element]:
    """Shells, geostationary satellites and those over the region, in this order; epoch is the run's start.

    `taken`: catalogue numbers that are in use already. Raises `WorldError` with one sentence.
    """
    numbers = _free_numbers(frozenset(taken))
    found: list[Element] = []
    for shell in spec.shells:
        found.extend(_walker(shell, clock, numbers))
    for one in spec.geostationary:
        found.append((one.name, _standing(one, clock, next(numbers))))
    if spec.over_region is not None:
        found.extend(_over_region(spec.over_region, clock, numbers))
    return found


def _free_numbers(taken: frozenset[int]) -> Iterator[int]:
    for number in count(_FIRST_NUMBER):
        if number > _LAST_NUMBER:
            raise WorldError(f"constellation: too many satellites, catalogue numbers end at {_LAST_NUMBER}")
        if number not in taken:
            yield number


def _circular(
    clock: RunClock, number: int, altitude_km: float, inclination: float, node: float, along: float
) -> Any:
    """A record for a circular orbit; angles in rad, `along` from the ascending node at the epoch."""
    semi_major_km = WGS84_A_M / 1e3 + altitude_km
    per_day = math.sqrt(SGP4_MU_KM3_S2 / semi_major_km**3) * SECONDS_PER_DAY / (2.0 * math.pi)
    return _record(clock, number, inclination, node, along, per_day)


def _record(
    clock: RunClock, number: int, inclination: float, node: float, along: float, revolutions_per_day: float
) -> Any:
    turn = 2.0 * math.pi
    angles = (inclination, node % turn, along % turn)
    # no drag: generated satellites keep their height
    return Satrec.twoline2rv(*circular_lines(number, _epoch(clock), angles, revolutions_per_day))


def _epoch(clock: RunClock) -> tuple[int, float]:
    """Year, and day of the year (from 1) with its fraction, of the run's start."""
    date = datetime.fromordinal(round(clock.julian_day - ORDINAL_ZERO_JULIAN_DAY))
    return date.year, date.timetuple().tm_yday + clock.day_fraction


def _walker(shell: CircularShell, clock: RunClock, numbers: Iterator[int]) -> list[Element]:
    if shell.planes < 1 or shell.satellites < 1 or shell.satellites % shell.planes:
        raise WorldError(
            f"constellation.shells: {shell.name!r} has {shell.satellites} satellites in {shell.planes} "
            "planes, the number must be a positive multiple of the planes"
        )
    if shell.pattern not in ("delta", "star"):
        raise WorldError(
            f"constellation.shells: {shell.name!r} has pattern {shell.pattern!r}, allowed: delta, star"
        )
    if not 0.0 < shell.altitude_km < 1e6:
        raise WorldError(
            f"constellation.shells: {shell.name!r} has altitude {shell.altitude_km:g} km, "
            "it must be above 0 and below 1000000"
        )
    if not 0.0 <= shell.inclination_deg <= 180.0:
        raise WorldError(
            f"constellation.shells: {shell.name!r} has inclination {shell.inclination_deg:g} deg, "
            "allowed: 0 to 180"
        )
    spread = 2.0 * math.pi if shell.pattern == "delta" else math.pi
    per_plane = shell.satellites // shell.planes
    inclination = math.radians(shell.inclination_deg)
    found: list[Element] = []
    for plane in range(shell.planes):
        node = spread * plane / shell.planes
        for slot in range(per_plane):
            along = 2.0 * math.pi * (slot / per_plane + shell.phasing * plane / shell.satellites)
            name = f"{shell.name}-{plane + 1:02d}-{slot + 1:02d}"
            found.append((name, _circular(clock, next(numbers), shell.altitude_km, inclination, node, along)))
    return found


def _standing(spec: Geostationary, clock: RunClock, number: int) -> Any:
    """A satellite whose longitude over the first day is on average what is wanted, and does not drift.

    An inclined one swings around it twice a day, by the figure of eight of its ground track. The mean
    motion that stands still is not the Earth's rate: SDP4 adds the drift of node and perigee
    and the pull of Sun, Moon and the Earth's ellipticity. Mean motion and anomaly are corrected by what
    the satellite does until they are below the digits of a TLE.
    """
    if not -180.0 <= spec.longitude_deg <= 360.0:
        raise WorldError(
            f"constellation.geostationary: {spec.name!r} has longitude {spec.longitude_deg:g} deg, "
            "allowed: -180 to 360"
        )
    if not 0.0 <= spec.inclination_deg <= 90.0:
        raise WorldError(
            f"constellation.geostationary: {spec.name!r} has inclination {spec.inclination_deg:g} deg, "
            "allowed: 0 to 90"
        )
    times = np.arange(0.0, _STAND_S + _STAND_STEP_S / 2.0, _STAND_STEP_S)
    sidereal = np.asarray(clock.sidereal_rad(times))
    day, fraction = clock.julian(0.0)
    days, fractions = np.full(len(times), day), fraction + times / SECONDS_PER_DAY
    wanted = math.radians(spec.longitude_deg)
    # the node is put where the satellite passes it at the start
    node = wanted + float(sidereal[0])
    along, per_day = 0.0, _SIDEREAL_PER_DAY
    # what longitude does beside its mean and drift: once a day by eccentricity, twice by inclination
    turns = 2.0 * math.pi * _SIDEREAL_PER_DAY * times / SECONDS_PER_DAY
    waves = [np.cos(turns), np.sin(turns), np.cos(2.0 * turns), np.sin(2.0 * turns)]
    shape = np.stack([np.ones(len(times)), times / _STAND_S, *waves], axis=1)
    record = None
    for _ in range(_STAND_ROUNDS):
        record = _record(clock, number, math.radians(spec.inclination_deg), node, along, per_day)
        _, position, _ = record.sgp4_array(days, fractions)
        off = np.unwrap(np.arctan2(position[:, 1], position[:, 0]) - sidereal - wanted)
        off -= 2.0 * math.pi * round(float(off.mean()) / (2.0 * math.pi))
        at_start, drift = np.linalg.lstsq(shape, off, rcond=None)[0][:2]
        along -= float(at_start)
        per_day -= float(drift) / _STAND_S * SECONDS_PER_DAY / (2.0 * math.pi)
    return record


def _over_region(region: OverRegion, clock: RunClock, numbers: Iterator[int]) -> list[Element]:
    if region.columns < 1 or region.rows < 1:
        raise WorldError(
            f"constellation.over_region has {region.columns} columns and {region.rows} rows, "
            "each must be at least 1"
        )
    for name, (low, high) in _REGION.items():
        value = getattr(region, name)
        if not low <= value <= high:
            raise WorldError(f"constellation.over_region: {name} is {value:g}, allowed: {low:g} to {high:g}")
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
            satellite = _standing_over(region, clock, next(numbers), point)
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
