"""The one place where a scenario touches an element file: reading, and naming what is wrong with it.

The reader itself is `emulator.orbits.elements`; here its errors get the scenario's key in front.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from testbed.scenario.messages import ScenarioError, is_file
from testbed.scenario.world_tables import Constellation


def read(path: Path, key: str) -> tuple[str, str]:
    """(text, format) of an element file, unpacked when it is gzip; ScenarioError when it is not one.

    `key` says where the path was given.
    """
    from emulator.errors import ElementsError
    from emulator.orbits import elements

    if not is_file(path):
        raise ScenarioError(f"{key}: no file {path}")
    try:
        text = elements.read_text(path)
        if not text.strip():
            raise ValueError(f"{path}: is empty; expected TLE or OMM (JSON, XML, CSV)")
        # Read here once for its mistakes: later nobody knows any more which file the text came from.
        names(text, elements.detect_format(text))
    except ElementsError as error:
        named = str(error) if str(error).startswith(f"{path}: ") else f"{path}: {error}"
        raise ScenarioError(f"{key}: {named}") from None
    except ValueError as error:
        raise ScenarioError(f"{key}: {error}") from None
    return text, elements.detect_format(text)


def middle_epoch(text: str, form: str) -> str:
    """Median epoch of the elements, to the full hour, ISO 8601 UTC; ValueError when they are malformed."""
    from emulator.orbits import elements

    days = sorted(satrec.jdsatepoch + satrec.jdsatepochF for _, satrec in elements.parse_elements(text, form))
    unix_s = round((days[len(days) // 2] - 2_440_587.5) * 24) * 3600
    return datetime.datetime.fromtimestamp(unix_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=2)
def names(text: str, form: str) -> frozenset[str]:
    """Names of the satellites of an element text, each once whatever its sets.

    Raises ValueError ("line 12: ...") when it is malformed.
    """
    from emulator.orbits import elements

    return frozenset(name for name, _ in elements.parse_elements(text, form))


def satellites_by_source(constellation: Constellation) -> Iterator[tuple[str, frozenset[str]]]:
    """(key of the source, names of its satellites) of each source that the constellation has."""
    if constellation.elements_text:
        yield "elements", names(constellation.elements_text, constellation.elements_format)
    for index, shell in enumerate(constellation.shells):
        yield (
            f"shells.{index}",
            frozenset(
                f"{shell.name}-{plane:02d}-{slot:02d}"
                for plane in range(1, shell.planes + 1)
                for slot in range(1, shell.satellites // shell.planes + 1)
            ),
        )
    if constellation.geostationary:
        yield "geostationary", frozenset(satellite.name for satellite in constellation.geostationary)
    region = constellation.over_region
    if region is not None:
        count = region.columns * region.rows
        yield "over_region", frozenset(f"{region.name}-{number}" for number in range(1, count + 1))


def satellite_names(constellation: Constellation) -> frozenset[str]:
    """Names of all satellites, of whatever sources."""
    return frozenset().union(*(found for _, found in satellites_by_source(constellation)))
