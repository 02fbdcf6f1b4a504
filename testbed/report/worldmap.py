"""The map of a run: places, ground tracks and the links in use; and how high the satellites stood.

Positions are computed again from what was public (public.json); which links existed, and the elevations,
come from the recorded link truth. Without a readable world only the places are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from testbed.report import style
from testbed.report.channel_figures import KIND_LABELS
from testbed.report.collect import Array, RunData, values

#: satellites whose track is drawn, and others shown as a dot in the background
_TRACKS, _BACKGROUND = 40, 400
_TRACK_POINTS = 41
_KIND_COLOURS = {"access": style.BLUE, "feeder": style.ORANGE, "isl": style.PURPLE, "fixed": style.GREEN}
#: where a name may stand beside its mark, in letters and lines, the best first
_SIDES = (
    (1.1, 0.0, "left"), (-1.1, 0.0, "right"), (0.0, 0.95, "center"), (0.0, -0.95, "center"),
    (0.8, 0.8, "left"), (0.8, -0.8, "left"), (-0.8, 0.8, "right"), (-0.8, -0.8, "right"),
)  # fmt: skip
_MARKERS = {"ground": "o", "ship": "s", "aerial": "^"}


@dataclass
class Positions:
    """Latitude and longitude in degrees: of places, of satellites half-way through the run, and tracks."""

    places: dict[str, tuple[float, float, str]] = field(default_factory=dict)
    satellites: dict[str, tuple[float, float]] = field(default_factory=dict)
    tracks: dict[str, Array] = field(default_factory=dict)  # n x 2
    #: of places that move
    paths: dict[str, Array] = field(default_factory=dict)  # n x 2
    background: list[tuple[float, float]] = field(default_factory=list)


def positions(data: RunData) -> Positions:
    """Where everything was; what cannot be computed is left out and noted in the run's problems."""
    found = Positions()
    given = data.public.get("world")
    if not isinstance(given, dict):
        return found
    for place in given.get("places", ()):
        if place.get("kind") != "satellite":
            where = float(place.get("latitude_deg", 0.0)), float(place.get("longitude_deg", 0.0))
            found.places[place["id"]] = (*where, place.get("kind", "ground"))
            if place.get("waypoints"):
                found.paths[place["id"]] = _path(place["waypoints"], data.shown_s)
                latitude, longitude = found.paths[place["id"]][_TRACK_POINTS // 2]
                found.places[place["id"]] = float(latitude), float(longitude), place.get("kind", "ground")
    try:
        _satellites(data, given, found)
    except Exception as error:
        # Only a drawing hangs on this, and a world of another version may fail in any way.
        data.problems.append(f"the map shows no satellites: {type(error).__name__}: {error}")
    return found


def _path(waypoints: list[dict[str, float]], shown_s: float) -> Array:
    """Latitude and longitude of a moving place at `_TRACK_POINTS` instants of the run [n, 2]."""
    at_s = [point["at_s"] for point in waypoints]
    instants = np.linspace(0.0, shown_s, _TRACK_POINTS)
    longitude = np.unwrap([point["longitude_deg"] for point in waypoints], period=360.0)
    columns = ([point["latitude_deg"] for point in waypoints], longitude)
    path = np.stack([np.interp(instants, at_s, column) for column in columns], axis=1)
    path[:, 1] = (path[:, 1] + 180.0) % 360.0 - 180.0
    return path


def _satellites(data: RunData, given: dict[str, Any], found: Positions) -> None:
    import msgspec

    from emulator.spec import WorldSpec
    from emulator.world import World

    world = World(msgspec.convert(given, WorldSpec))
    used = {end for record in data.of("plant_link") for end in record.tags.get("link", "").split(">")}
    names = [name for name in world.places if name not in found.places]
    tracked = [name for name in names if name in used][:_TRACKS]
    tracked = tracked or names[: _TRACKS // 4]
    instants = np.linspace(0.0, data.shown_s, _TRACK_POINTS)
    tracks: dict[str, list[tuple[float, float]]] = {name: [] for name in tracked}
    for step, t_s in enumerate(instants):
        for name in tracked:
            tracks[name].append(world.geodetic(float(t_s), world.place_index[name])[:2])
        if step == _TRACK_POINTS // 2:
            others = [name for name in names if name not in tracks]
            for name in others[:: max(1, len(others) // _BACKGROUND)]:
                found.background.append(world.geodetic(float(t_s), world.place_index[name])[:2])
    found.tracks = {name: np.array(track) for name, track in tracks.items()}
    found.satellites = {name: tuple(track[_TRACK_POINTS // 2]) for name, track in found.tracks.items()}


def world_map(data: RunData) -> str:
    """Places, ground tracks, and links with the share of the run they existed for."""
    found = positions(data)
    if not found.places and not found.tracks:
        return ""
    window = _extent(found)
    west, east, south, north = window
    stretch = 1.0 / max(np.cos(np.radians((south + north) / 2)), 0.2)
    height = float(np.clip(style.WIDTH * (north - south) * stretch / (east - west), 3.2, 6.4))
    made, (axes,) = style.figure(1, 1, height + 0.6)
    axes.set_aspect(stretch)
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    inside = [(lon, lat) for lat, lon in found.background if west <= lon <= east and south <= lat <= north]
    if inside:
        axes.plot(*np.array(inside).T, ".", color=style.GRID, ms=3)
    for name, track in found.tracks.items():
        _track(axes, track)
        latitude, longitude = found.satellites[name]
        axes.plot(longitude, latitude, "D", color=style.PAPER, mec=style.INK, ms=6.5, mew=1.3, zorder=5)
    for path in found.paths.values():
        _track(axes, path)
    kinds = _draw_links(axes, data, found)
    for latitude, longitude, kind in found.places.values():
        axes.plot(
            longitude, latitude, _MARKERS.get(kind, "o"), color=style.INK, ms=6 if kind == "aerial" else 5,
            mec=style.PAPER, mew=0.8, zorder=6,
        )  # fmt: skip
    _labels(axes, found, window)
    axes.set(xlabel="longitude, deg", ylabel="latitude, deg")
    handles = [Line2D([], [], color=_KIND_COLOURS[k], label=f"{KIND_LABELS[k]} link") for k in kinds]
    handles += [
        Line2D([], [], color=style.INK, marker=m, lw=0, ms=5, label=f"{k} place") for k, m in _MARKERS.items()
        if k in {kind for *_, kind in found.places.values()}
    ]  # fmt: skip
    if found.tracks:
        handles.append(
            Line2D(
                [],
                [],
                color=style.MUTED,
                marker="D",
                mfc=style.PAPER,
                mec=style.INK,
                ms=5,
                label="satellite, track",
            )
        )
    made.legend(handles=handles, loc="outside upper left", ncols=6, columnspacing=1.4)
    return style.to_svg(made, "map", "Map of places, ground tracks and links")


def _extent(found: Positions) -> tuple[float, float, float, float]:
    points = [(lat, lon) for lat, lon, _ in found.places.values()] + list(found.satellites.values())
    for track in found.tracks.values():
        if np.ptp(track[:, 1]) < 180.0:
            points += [tuple(track[0]), tuple(track[-1])]
    latitudes, longitudes = np.array(points).T
    middle_lat, middle_lon = (
        (latitudes.min() + latitudes.max()) / 2,
        (longitudes.min() + longitudes.max()) / 2,
    )
    tall = max(np.ptp(latitudes) * 1.15 + 2.0, 4.0)
    wide = max(np.ptp(longitudes) * 1.15 + 3.0, 6.0)
    # neither a ribbon nor a tower: the page has one column for it
    stretch = 1.0 / max(np.cos(np.radians(middle_lat)), 0.2)
    wide = max(wide, tall * stretch * 1.5)
    tall = max(tall, wide / stretch / 2.8)
    south, north = max(-90.0, middle_lat - tall / 2), min(90.0, middle_lat + tall / 2)
    west, east = middle_lon - wide / 2, middle_lon + wide / 2
    return (-180.0, 180.0, south, north) if wide >= 360.0 else (west, east, south, north)


def _track(axes: Axes, track: Array) -> None:
    cut = np.flatnonzero(np.abs(np.diff(track[:, 1])) > 180.0) + 1
    parts = np.split(track, cut)
    for part in parts:
        axes.plot(part[:, 1], part[:, 0], color=style.MUTED, lw=1.1, alpha=0.8)
    last = parts[-1]
    if len(last) > 1:
        tip, before = last[-1][::-1], last[-2][::-1]
        arrow = {"arrowstyle": "-|>", "color": style.MUTED, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", xy=tip, xytext=before, arrowprops=arrow)


def _draw_links(axes: Axes, data: RunData, found: Positions) -> list[str]:
    """Each pair of places once, the stronger the longer it was up; returns the kinds drawn."""
    share: dict[tuple[str, str], int] = {}
    kinds: dict[tuple[str, str], str] = {}
    source = "plant_link" if data.of("plant_link") else "link"
    for record in data.of(source):
        if record.fields.get("up") is False:
            continue
        a, _, b = record.tags.get("link", "").partition(">")
        pair = (min(a, b), max(a, b))
        share[pair] = share.get(pair, 0) + 1
        kinds[pair] = record.tags.get("kind", "")
    most = max(share.values(), default=1)
    where = {name: (lat, lon) for name, (lat, lon, _) in found.places.items()} | found.satellites
    for (a, b), count in share.items():
        if a in where and b in where and abs(where[a][1] - where[b][1]) < 180.0:
            (lat_a, lon_a), (lat_b, lon_b) = where[a], where[b]
            axes.plot(
                [lon_a, lon_b], [lat_a, lat_b], color=_KIND_COLOURS.get(kinds[a, b], style.MUTED),
                lw=1.2, alpha=0.25 + 0.55 * count / most, zorder=3,
            )  # fmt: skip
    return [kind for kind in _KIND_COLOURS if kind in kinds.values()]


def _labels(axes: Axes, found: Positions, window: tuple[float, float, float, float]) -> None:
    """Names beside markers, each on the first free side; one that has no free side is left out."""
    west, east, south, north = window
    size_x, size_y = (east - west) / 105.0, (north - south) / 34.0  # of a letter, near enough
    taken: list[tuple[float, float, float, float]] = []
    marks = {name: (lat, lon) for name, (lat, lon, _) in found.places.items()} | found.satellites
    for lat, lon in marks.values():
        taken.append((lon - size_x / 2, lon + size_x / 2, lat - size_y / 3, lat + size_y / 3))
    if len(marks) > 60:
        marks = {name: where for name, where in marks.items() if name in found.places}
    for name, (lat, lon) in marks.items():
        width = len(name) * size_x
        for shift_x, shift_y, align in _SIDES:
            x, y = lon + shift_x * size_x, lat + shift_y * size_y
            left = {"left": x, "right": x - width, "center": x - width / 2}[align]
            box = (left, left + width, y - size_y / 2, y + size_y / 2)
            fits = west < box[0] and box[1] < east and south < box[2] and box[3] < north
            if fits and not any(
                box[0] < t[1] and t[0] < box[1] and box[2] < t[3] and t[2] < box[3] for t in taken
            ):
                taken.append(box)
                bold = "bold" if name in found.satellites else "normal"
                axes.text(x, y, name, ha=align, va="center", fontsize=8, fontweight=bold, zorder=7)
                break


def elevations(data: RunData) -> str:
    """Elevation of the satellite over each radio link from the ground, coloured by satellite."""
    groups = {
        name: group for name, group in data.by_tag("plant_link", "link").items()
        if "elevation_deg" in group[0].fields and group[0].tags.get("kind") in ("access", "feeder")
    }  # fmt: skip
    # both directions of a link have the same elevation: keep the one that leaves the place
    places = {place["id"] for place in (data.public.get("world") or {}).get("places", ())}
    upward = {name: group for name, group in groups.items() if name.split(">")[0] in places} or groups
    if not upward:
        return ""
    satellites = sorted({name.split(">")[-1] for name in upward})
    colours = dict(zip(satellites, style.SERIES, strict=False))
    made, (axes,) = style.figure(1, 1, 2.9)
    for name, group in upward.items():
        t_s = data.times_s(group)
        elevation = values(group, "elevation_deg")
        # a link that comes back later is not drawn through the time it was gone
        gaps = np.flatnonzero(np.diff(t_s) > 1.6) + 1
        for times, degrees in zip(np.split(t_s, gaps), np.split(elevation, gaps), strict=True):
            axes.plot(times, degrees, color=colours.get(name.split(">")[-1], style.MUTED), lw=1.1, alpha=0.8)
    handles = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    if len(satellites) > len(colours):
        handles.append(Line2D([], [], color=style.MUTED, label=f"{len(satellites) - len(colours)} others"))
    made.legend(handles=handles, loc="outside upper left", ncols=7, columnspacing=1.4)
    axes.set(xlabel="run time, s", ylabel="elevation, deg", xlim=(0, data.shown_s))
    axes.set_ylim(bottom=0)
    return style.to_svg(made, "elevation", "Elevation of satellites over time")
