"""Rain as it really falls in a run, which nobody but the plant is told: what is behind `[weather]`.

How a record of rain rates is taken into the scenario, where it rains, and what must fit together. What the
rain does to links is `testbed.plant.sky`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.scenario.messages import Origin, ScenarioError, nearest

if TYPE_CHECKING:
    from testbed.scenario.scenario import Scenario
    from testbed.scenario.world_tables import WeatherTable

Finding = tuple[str, object, str]


def resolve(document: dict[str, Any], path: Path, origin: Origin) -> None:
    """Replace the path of a record by its content, in a document that is not validated yet."""
    weather = document.get("weather")
    if not isinstance(weather, dict):
        return
    given = weather.get("record")
    if not isinstance(given, str) or not given:
        return
    key = "weather.record"
    # On the command line a path is relative to where the command runs.
    base = Path() if origin.is_option(key) else path.parent
    weather.update(record="", record_text=_read(base / given, f"{origin.of(key)}: {key}"))


def _read(path: Path, key: str) -> str:
    from emulator.errors import WorldError
    from emulator.radio import rain_record

    try:
        text = rain_record.read_text(path)
        # Read here once for its mistakes: later nobody knows any more which file the text came from.
        rain_record.parse(text, str(path))
    except WorldError as error:
        raise ScenarioError(f"{key}: {error}") from None
    return text


def rained_on(scenario: Scenario, exposed: Collection[str]) -> list[str]:
    """Ids of the places it rains on; `exposed` are those (ids and groups) with a radio that feels weather."""
    table = scenario.document.weather
    if table.places:
        named = [place for name in table.places for place in scenario.places_called(name)]
        return list(dict.fromkeys(named))
    return [
        name
        for name, place in scenario.places.items()
        if name in exposed and place.kind in ("ground", "ship")
    ]


def findings(scenario: Scenario, exposed: Collection[str]) -> Iterator[Finding]:
    """What does not fit together in `[weather]`."""
    table = scenario.document.weather
    for index, name in enumerate(table.places):
        if name not in exposed:
            yield (
                f"weather.places.{index}",
                name,
                "a place outside satellites with a radio that feels weather" + nearest(name, exposed),
            )
    if table.rain == "record" and not table.record_text:
        yield "weather.record", "", 'the path of a file of rain rates with rain = "record"'
    if table.record_text:
        yield from _record(scenario, table)
        if table.rain != "record":
            yield "weather.record", "given", f'absent with rain = "{table.rain}"'


def _record(scenario: Scenario, table: WeatherTable) -> Iterator[Finding]:
    from emulator.errors import WorldError
    from emulator.radio import rain_record

    try:
        record = rain_record.parse(table.record_text, "record_text")
    except WorldError as error:
        yield "weather.record_text", "given", f"such that it can be read; {error}"
        return
    for name in record.places:
        if not scenario.places_called(name):
            wanted = "one whose column place names places of the scenario" + nearest(name, scenario.places)
            yield "weather.record", f"a record of {name}", wanted
