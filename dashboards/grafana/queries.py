"""The queries of a dashboard, to be run without Grafana: found in its JSON, with their variables filled in.

Grafana replaces $run, $link, $timeFilter and $__interval before it asks the database; `expand` does the same
for one run, so that every panel's query can be tried against a real database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class PanelQuery(NamedTuple):
    """A query and where it stands: the panel's title (or the annotation's, or the variable's), and which."""

    place: str
    letter: str
    text: str


def queries(dashboard: Mapping[str, Any]) -> Iterator[PanelQuery]:
    """Every InfluxQL query of a dashboard: of its variables, its annotations and its panels."""
    for variable in dashboard["templating"]["list"]:
        yield PanelQuery(f"variable {variable['name']}", "", variable["query"])
    for annotation in dashboard["annotations"]["list"]:
        yield PanelQuery(f"annotation {annotation['name']}", "", annotation["target"]["query"])
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield PanelQuery(panel["title"], target["refId"], target["query"])


def expand(text: str, *, run: str, link: str, start_ns: int, end_ns: int, interval_s: float = 1.0) -> str:
    """A query as Grafana would send it: from `start_ns` to `end_ns` (wall clock), a point each `interval_s`.

    `run` and `link` go in as they are, which is what Grafana does with a variable of one value.
    """
    time_filter = f"time >= {start_ns // 1_000_000}ms and time <= {-(-end_ns // 1_000_000)}ms"
    values = {
        "$timeFilter": time_filter,
        "$__interval": f"{round(interval_s * 1000)}ms",
        "$run": run,
        "$link": link,
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text
