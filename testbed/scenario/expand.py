"""One table, many places or nodes: the expansion of `spread`, `points` and `count`.

Pure functions of the document, so the same file always gives the same places and nodes. The R2
sequence scatters a spread: M. Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences",
2018; point I does not depend on how many there are.
"""

from __future__ import annotations

from testbed.scenario.document import Document
from testbed.scenario.node_tables import Node
from testbed.scenario.world_tables import PlaceTable, Spread

#: root of x^3 = x + 1: its powers give the most even additive sequence in two dimensions
_PLASTIC = 1.324717957244746


def scatter(spread: Spread) -> list[tuple[float, float]]:
    """(latitude_deg, longitude_deg) of every point of a spread."""
    south, north = spread.latitude_deg
    west, east = spread.longitude_deg
    points = []
    for index in range(1, spread.count + 1):
        step = index + 37 * spread.seed
        up, right = (0.5 + step / _PLASTIC) % 1.0, (0.5 + step / _PLASTIC**2) % 1.0
        points.append((round(south + up * (north - south), 6), round(west + right * (east - west), 6)))
    return points


def expand_place(name: str, table: PlaceTable) -> dict[str, PlaceTable]:
    """The single places a table stands for, by id."""
    if table.spread is not None:
        points = scatter(table.spread)
    elif table.points:
        points = [(latitude, longitude) for latitude, longitude in table.points]
    else:
        return {name: table}
    return {
        f"{name}-{number}": table.model_copy(
            update={"latitude_deg": latitude, "longitude_deg": longitude, "spread": None, "points": []}
        )
        for number, (latitude, longitude) in enumerate(points, start=1)
    }


def place_groups(document: Document) -> dict[str, tuple[str, ...]]:
    """Name of each [places.NAME] -> ids of the places it stands for."""
    return {name: tuple(expand_place(name, table)) for name, table in document.places.items()}


def expand_node(name: str, table: Node, groups: dict[str, tuple[str, ...]]) -> dict[str, Node]:
    """The single nodes a table stands for, by id, each at one place (more nodes than points: in turn)."""
    names = [f"{name}-{number}" for number in range(1, table.count + 1)] if table.count else [name]
    places = groups.get(table.place, (table.place,))
    return {
        node: table.model_copy(update={"count": 0, "place": places[index % len(places)]})
        for index, node in enumerate(names)
    }
