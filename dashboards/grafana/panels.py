"""Panels of a Grafana dashboard as plain dictionaries, each with the InfluxQL it shows.

Only shapes: which queries there are and what they mean is said where a dashboard is put together. InfluxQL
because InfluxDB 1.x, 2.x (through its name for InfluxQL) and 3.x all answer it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: the data source that every query goes to; provisioning and pushing give it this uid
DATASOURCE_UID: Final = "testbed-influxdb"
DATASOURCE: Final = {"type": "influxdb", "uid": DATASOURCE_UID}
#: no finer than what is measured once a second: else every other point would be empty
MIN_INTERVAL: Final = "1s"
WIDTH: Final = 24

GREEN, BLUE, ORANGE, RED, GREY = "green", "blue", "orange", "red", "#8e8e8e"


@dataclass(frozen=True)
class Query:
    """One InfluxQL query of a panel. `alias` names its series: $col, $tag_NAME, or words."""

    text: str
    alias: str = "$col"
    table: bool = False


@dataclass(frozen=True)
class Panel:
    """A panel without its place; `description` is what a reader is told behind the (i)."""

    title: str
    kind: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    width: int = 12
    height: int = 8
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[Mapping[str, Any]] = ()

    def build(self, number: int, x: int, y: int) -> dict[str, Any]:
        """The panel as Grafana stores it, at column `x` and row `y` of the grid."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "interval": MIN_INTERVAL,
            "targets": [_target(query, chr(ord("A") + index)) for index, query in enumerate(self.queries)],
            "fieldConfig": {
                "defaults": {"unit": self.unit, "custom": dict(self.custom), **self.defaults},
                "overrides": [dict(override) for override in self.overrides],
            },
            "options": dict(self.options),
        }


def _target(query: Query, letter: str) -> dict[str, Any]:
    return {
        "refId": letter,
        "datasource": DATASOURCE,
        "rawQuery": True,
        "query": query.text,
        "alias": query.alias,
        "resultFormat": "table" if query.table else "time_series",
    }


def time_series(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    overrides: Sequence[Mapping[str, Any]] = (),
    limit: float | None = None,
    width: int = 12,
) -> Panel:
    """Lines over time; `limit` draws a red line at a bound that is to hold."""
    custom: dict[str, Any] = {"lineWidth": 1, "showPoints": "never", "spanNulls": 5000}
    defaults: dict[str, Any] = {}
    if limit is not None:
        custom["thresholdsStyle"] = {"mode": "line"}
        defaults["thresholds"] = {
            "mode": "absolute",
            "steps": [{"color": GREEN, "value": None}, {"color": RED, "value": limit}],
        }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel(
        title, "timeseries", description, queries, unit=unit, options=options, custom=custom,
        defaults=defaults, overrides=overrides, width=width,
    )  # fmt: skip


def stat(title: str, description: str, query: Query) -> Panel:
    """One number: the latest."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "none",
        "graphMode": "area",
        "textMode": "value",
    }
    return Panel(title, "stat", description, [query], width=4, height=4, options=options)


def table(title: str, description: str, query: str) -> Panel:
    """Rows as they are, newest first."""
    options = {"showHeader": True, "sortBy": [{"displayName": "Time", "desc": True}]}
    return Panel(title, "table", description, [Query(query, table=True)], options=options)


def _override(series: str, *properties: tuple[str, Any]) -> dict[str, Any]:
    return {
        "matcher": {"id": "byName", "options": series},
        "properties": [{"id": name, "value": value} for name, value in properties],
    }


def coloured(series: str, colour: str, *properties: tuple[str, Any]) -> dict[str, Any]:
    """A series in a fixed colour."""
    return _override(series, ("color", {"mode": "fixed", "fixedColor": colour}), *properties)


def band(lower: str, upper: str, colour: str) -> list[dict[str, Any]]:
    """The area between two series, without their lines."""
    hidden = ("custom.lineWidth", 0)
    return [
        coloured(lower, colour, hidden),
        coloured(upper, colour, hidden, ("custom.fillBelowTo", lower), ("custom.fillOpacity", 20)),
    ]


def arranged(rows: Mapping[str, Sequence[Panel]]) -> list[dict[str, Any]]:
    """The panels of titled rows, each filled from the left."""
    placed: list[dict[str, Any]] = []
    y = 0
    for title, panels in rows.items():
        grid = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        placed.append(
            {
                "id": len(placed) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": grid,
                "panels": [],
            }
        )
        y += 1
        x = height = 0
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y, height = 0, y + height, 0
            placed.append(panel.build(len(placed) + 1, x, y))
            x += panel.width
            height = max(height, panel.height)
        y += height
    return placed
