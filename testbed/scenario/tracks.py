"""Places that move: a path travelled at a speed, a recorded track, or waypoints, as a scenario gives them.

Here a track's file is taken into the scenario, what must fit together is checked, and the keys become
the waypoints that places move by. How a path is divided is `emulator.orbits.tracks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emulator import spec
from testbed.scenario.messages import Origin, ScenarioError
from testbed.scenario.world_tables import PlaceTable

Finding = tuple[str, object, str]

_LATITUDE_DEG, _LONGITUDE_DEG, _ALTITUDE_M = (-90.0, 90.0), (-180.0, 180.0), (-500.0, 60_000.0)


def resolve(document: dict[str, Any], path: Path, origin: Origin) -> None:
    """Replace the paths of recorded tracks by their content, in a document that is not validated yet."""
    places, run = document.get("places"), document.get("run")
    if not isinstance(places, dict) or not isinstance(run, dict):
        return
    for name, table in places.items():
        given = table.get("track") if isinstance(table, dict) else None
        if not isinstance(given, str) or not given:
            continue
        key = f"places.{name}.track"
        # On the command line a path is relative to where the command runs.
        base = Path() if origin.is_option(key) else path.parent
        table.update(track="", track_text=_read(base / given, f"{origin.of(key)}: {key}"))


def _read(path: Path, key: str) -> str:
    from emulator.errors import WorldError
    from emulator.orbits import tracks

    # Any start will do to find mistakes: later nobody knows any more which file the text came from.
    any_start_utc = "2000-01-01T00:00:00Z"
    try:
        tracks.read_track(path, any_start_utc)
    except WorldError as error:
        raise ScenarioError(f"{key}: {error}") from None
    return path.read_text(encoding="utf-8-sig")


def moves(table: PlaceTable) -> str:
    """The key that makes a place move: waypoints, path or track; empty when it stands."""
    keys = _given(table)
    return keys[0] if keys else ""


def _given(table: PlaceTable) -> list[str]:
    given = {"waypoints": table.waypoints, "path": table.path, "track": table.track_text}
    return [key for key, value in given.items() if value]


def waypoints(table: PlaceTable, start_utc: str) -> tuple[spec.Waypoint, ...]:
    """The waypoints of a place, none when it stands. Raises `WorldError` for what cannot be travelled."""
    from emulator.orbits import tracks

    if table.path:
        return tracks.waypoints_at_speed(_points(table), table.speed_m_s, table.start_s)
    if table.track_text:
        return tracks.parse_track(table.track_text, start_utc)
    return tuple(spec.Waypoint(**point.model_dump()) for point in table.waypoints)


def position(table: PlaceTable, found: tuple[spec.Waypoint, ...]) -> tuple[float, float, float]:
    """(latitude deg, longitude deg, altitude m): as given, or where the place is at the start of the run."""
    if not found or table.latitude_deg is not None:
        return table.latitude_deg or 0.0, table.longitude_deg or 0.0, table.altitude_m
    from emulator.geometry import geodetic_from_ecef
    from emulator.orbits.motion import Motion

    motion = Motion([spec.Place("", table.kind, waypoints=found)])
    motion.move_to(0.0)
    latitude, longitude, altitude = geodetic_from_ecef(motion.position[0])
    # a hundredth of a millimetre of rounding is nobody's position
    return round(float(latitude), 9), round(float(longitude), 9), round(float(altitude), 4) + 0.0


def _points(table: PlaceTable) -> list[tuple[float, float, float]]:
    """The points of a path, those without a height at that of the place."""
    return [(p[0], p[1], p[2] if len(p) > 2 else table.altitude_m) for p in table.path]


def findings(places: Mapping[str, PlaceTable], run: Any) -> Iterator[Finding]:
    """What does not fit together in how places move. `run`: the table of that name."""
    for name, table in places.items():
        key, given = f"places.{name}", _given(table)
        if not table.path:
            for own in ("speed_m_s", "start_s"):
                if getattr(table, own):
                    yield f"{key}.{own}", getattr(table, own), "absent without path"
        if not given:
            continue
        how = f"{key}.{given[0]}"
        if table.kind not in ("ship", "aerial"):
            yield how, "given", 'absent unless kind = "ship" or "aerial"'
        if len(given) > 1:
            yield f"{key}.{given[1]}", "given", f"absent beside {given[0]}: one of them says how it moves"
        for many in ("spread", "points"):
            if getattr(table, many):
                yield how, "given", f"absent beside {many}: a place moves by itself"
        for coordinate in ("latitude_deg", "longitude_deg"):
            if given[0] != "waypoints" and getattr(table, coordinate) is not None:
                yield f"{key}.{coordinate}", getattr(table, coordinate), f"absent beside {given[0]}"
        if given[0] == "waypoints":
            times_s = [point.at_s for point in table.waypoints]
            if times_s != sorted(set(times_s)):
                yield how, times_s, "in order of at_s, each once"
        elif given[0] == "path":
            yield from _path(how, key, table, run.start_utc)
        else:
            yield from _track(how, table, run)


def _path(how: str, key: str, table: PlaceTable, start_utc: str) -> Iterator[Finding]:
    from emulator.errors import WorldError

    if not table.speed_m_s:
        yield f"{key}.speed_m_s", table.speed_m_s, "more than 0 beside path"
    for index, point in enumerate(table.path):
        bounds = (_LATITUDE_DEG, _LONGITUDE_DEG, _ALTITUDE_M)
        if not all(low <= value <= high for value, (low, high) in zip(point, bounds, strict=False)):
            allowed = "[latitude_deg, longitude_deg] or [latitude_deg, longitude_deg, altitude_m]"
            yield f"{how}.{index}", point, allowed
    try:
        waypoints(table, start_utc)
    except WorldError as error:
        yield how, "given", f"one that can be travelled; {error}"


def _track(how: str, table: PlaceTable, run: Any) -> Iterator[Finding]:
    from emulator.errors import WorldError

    try:
        found = waypoints(table, run.start_utc)
    except WorldError as error:
        yield f"{how}_text", "given", f"such that it can be read; {error}"
        return
    first_s, last_s = found[0].at_s, found[-1].at_s
    if last_s < 0.0 or first_s > run.duration_s:
        what = f"from {first_s:.0f} s to {last_s:.0f} s after run.start_utc = {run.start_utc}"
        yield how, what, f"a track that overlaps the run, 0 s to {run.duration_s:g} s"
