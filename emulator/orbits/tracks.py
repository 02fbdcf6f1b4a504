"""Tracks of ships, aircraft and vehicles: from a path and a speed, or from a recording.

Both become waypoints with times, which is what places move by (`emulator.orbits.motion`).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.geometry import ecef_from_geodetic
from emulator.orbits.frames import parse_utc
from emulator.spec import Waypoint
from emulator.units import LOWEST_ALTITUDE_M

#: waypoints are set so close that straight interpolation of coordinates leaves the great circle by less
_OFF_TRACK_M = 5.0
#: but not closer than this: over a pole, where longitude jumps, no spacing would do, m
_CLOSEST_M = 20.0
#: the first division of a leg: the middle of a piece this long tells what it is like, m
_FIRST_PIECE_M = 50_000.0

_RANGES = {
    "latitude_deg": (-90.0, 90.0),
    "longitude_deg": (-180.0, 360.0),
    "altitude_m": (LOWEST_ALTITUDE_M, 1e9),
}


def waypoints_at_speed(
    points: Sequence[tuple[float, float, float]], speed_m_s: float, start_s: float = 0.0
) -> tuple[Waypoint, ...]:
    """A path travelled at one speed, as timed waypoints.

    `points`: (latitude deg, longitude deg, altitude m), two or more; `speed_m_s`: along the path over the
    ellipsoid, climb included; `start_s`: run time at the first point. Legs are great circles (of the
    geodetic zenith directions), never more than 5 m from them; altitude changes evenly along a leg.
    Raises `WorldError` with one sentence.
    """
    if not 0.0 < speed_m_s < math.inf:
        raise WorldError(f"speed_m_s is {speed_m_s:g}, it must be above 0 and finite")
    if not math.isfinite(start_s):
        raise WorldError(f"start_s is {start_s:g}, should be a finite number of seconds")
    if len(points) < 2:
        raise WorldError(f"a path at a speed has {len(points)} points, it needs at least 2")
    for number, point in enumerate(points, start=1):
        if len(point) != len(_RANGES):
            raise WorldError(f"point {number} has {len(point)} numbers, should have {', '.join(_RANGES)}")
        for (key, (low, high)), value in zip(_RANGES.items(), point, strict=True):
            if not low <= value <= high:
                raise WorldError(f"point {number}: {key} is {value:g}, allowed: {low:g} to {high:g}")
    found = [points[0]]
    for number in range(1, len(points)):
        found.extend(_leg(points[number - 1], points[number], number))
    path = np.array(found, dtype=np.float64)
    steps_m = np.linalg.norm(np.diff(ecef_from_geodetic(*path.T), axis=0), axis=1)
    at_s = start_s + np.concatenate([[0.0], np.cumsum(steps_m)]) / speed_m_s
    longitude_deg = (path[:, 1] + 180.0) % 360.0 - 180.0
    return tuple(
        Waypoint(float(t), float(p[0]), float(east), float(p[2]))
        for t, p, east in zip(at_s, path, longitude_deg, strict=True)
    )


def _leg(
    a: tuple[float, float, float], b: tuple[float, float, float], number: int
) -> list[tuple[float, float, float]]:
    """The points of a leg after its first, the last being `b`."""
    start, end = _zenith(a[0], a[1]), _zenith(b[0], b[1])
    angle = math.atan2(float(np.linalg.norm(np.cross(start, end))), float(start @ end))
    distance_m = math.hypot(angle * 6.371e6, b[2] - a[2])
    if distance_m < 1e-3:
        raise WorldError(f"points {number} and {number + 1} of a path at a speed are the same")
    if angle > math.pi - 1e-6:
        raise WorldError(
            f"points {number} and {number + 1} of a path are on opposite sides of the Earth, "
            "many great circles join them: give a point in between"
        )

    def at(share: float) -> tuple[float, float, float]:
        if angle < 1e-9:
            return a[0], a[1], a[2] + share * (b[2] - a[2])
        x, y, z = (math.sin((1.0 - share) * angle) * start + math.sin(share * angle) * end) / math.sin(angle)
        return (
            math.degrees(math.atan2(z, math.hypot(x, y))),
            math.degrees(math.atan2(y, x)),
            a[2] + share * (b[2] - a[2]),
        )

    def between(low: float, high: float) -> list[tuple[float, float, float]]:
        """Points after `low` up to `high`, closer where straight coordinates would leave the circle."""
        first, last = at(low), at(high)
        middle = at(0.5 * (low + high))
        turn = (last[1] - first[1] + 180.0) % 360.0 - 180.0
        straight = 0.5 * (first[0] + last[0]), first[1] + 0.5 * turn, middle[2]
        off_m = float(np.linalg.norm(ecef_from_geodetic(*straight) - ecef_from_geodetic(*middle)))
        if off_m <= _OFF_TRACK_M or (high - low) * distance_m <= _CLOSEST_M:
            return [last]
        centre = 0.5 * (low + high)
        return between(low, centre) + between(centre, high)

    pieces = math.ceil(distance_m / _FIRST_PIECE_M)
    found = [point for k in range(pieces) for point in between(k / pieces, (k + 1) / pieces)]
    found[-1] = b
    return found


def _zenith(latitude_deg: float, longitude_deg: float) -> NDArray[np.float64]:
    latitude, longitude = math.radians(latitude_deg), math.radians(longitude_deg)
    across = math.cos(latitude)
    return np.array([across * math.cos(longitude), across * math.sin(longitude), math.sin(latitude)])


def read_track(path: str | Path, start_utc: str) -> tuple[Waypoint, ...]:
    """A recorded track from a CSV file, see `parse_track`; errors name the file."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise WorldError(f"{path}: is not text; expected CSV of a track") from None
    except OSError as error:
        raise WorldError(f"{path}: cannot be read ({error.strerror})") from None
    return parse_track(text, start_utc, str(path))


def parse_track(text: str, start_utc: str, source: str = "") -> tuple[Waypoint, ...]:
    """A recorded track from CSV text with a header line, as timed waypoints.

    Columns: `utc` (ISO 8601 with Z) or `t_s` (seconds after the start of the run), `latitude_deg`,
    `longitude_deg`, and `altitude_m` (0 where the column is absent); others are passed over. `start_utc`:
    the start of the run; `source` is put in front of errors. Raises `WorldError` ("SOURCE: line 3: ...").
    """
    start = parse_utc(start_utc)
    before = f"{source}: " if source else ""
    reader = csv.DictReader(io.StringIO(text))
    columns = [(name or "").strip() for name in reader.fieldnames or []]
    reader.fieldnames = columns
    clock = next((name for name in ("utc", "t_s") if name in columns), "")
    missing = [name for name in ("latitude_deg", "longitude_deg") if name not in columns]
    if not clock or missing:
        raise WorldError(
            f"{before}a track needs the columns utc or t_s, latitude_deg and longitude_deg, "
            f"it has {', '.join(columns) or 'none'}"
        )
    found: list[Waypoint] = []
    try:
        for row in reader:
            where = f"{before}line {reader.line_num}: "
            at_s = _seconds(row[clock], clock, start, where)
            if found and at_s <= found[-1].at_s:
                raise WorldError(f"{where}{clock} is {row[clock]}, it must be later than the line before")
            found.append(Waypoint(at_s, *(_number(row, key, where) for key in _RANGES)))
    except csv.Error as error:
        raise WorldError(f"{before}line {reader.line_num}: not CSV ({error})") from None
    if not found:
        raise WorldError(f"{before}the track holds no point")
    return tuple(found)


def _seconds(text: str | None, clock: str, start: datetime, where: str) -> float:
    try:
        if clock == "utc":
            moment = datetime.fromisoformat((text or "").strip())
            if moment.tzinfo is None:
                raise WorldError(f"{where}utc is {text!r}, it needs a Z at the end (UTC)")
            return (moment.astimezone(UTC) - start).total_seconds()
        at_s = float(text or "")
        if math.isfinite(at_s):
            return at_s
    except ValueError as error:
        if isinstance(error, WorldError):
            raise
    expected = "a time like 2025-10-01T12:00:00Z" if clock == "utc" else "a number of seconds"
    raise WorldError(f"{where}{clock} is {text!r}, should be {expected}")


def _number(row: dict[str, str | None], key: str, where: str) -> float:
    if key == "altitude_m" and key not in row:
        return 0.0
    low, high = _RANGES[key]
    try:
        value = float(row[key] or "")
    except ValueError:
        raise WorldError(f"{where}{key} is {row[key]!r}, should be a number") from None
    if not low <= value <= high:
        raise WorldError(f"{where}{key} is {value:g}, allowed: {low:g} to {high:g}")
    return value
