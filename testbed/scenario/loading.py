"""From a name or a file to a checked `Scenario`.

Order: the file (TOML, or the JSON of a run folder), then `--set` changes, then `--duration` and
`--seed`, then validation key by key, then the element file, then the checks across keys.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from testbed.scenario import checks, elements, link_traces, measured_models, radio_presets, tracks, weather
from testbed.scenario.document import Document
from testbed.scenario.messages import Origin, ScenarioError, is_file, nearest, sentence
from testbed.scenario.scenario import Scenario

SHIPPED = Path(__file__).parent / "shipped"


def shipped() -> list[tuple[str, str, Path]]:
    """(name, first comment line, path) of the scenarios that come with the testbed."""
    found = []
    for path in sorted(SHIPPED.glob("*.toml")):
        first = path.read_text(encoding="utf-8").split("\n", 1)[0]
        found.append((path.stem, first.lstrip("# "), path))
    return found


def load(
    name_or_path: str | Path,
    sets: Sequence[str] = (),
    duration_s: float | None = None,
    seed: int | None = None,
) -> Scenario:
    """The scenario of a shipped name, a .toml file, a .json file, or a run folder.

    `sets` are `a.b.c=VALUE` changes in TOML syntax (bare words are text; a number in the path is a
    position in a list). Raises ScenarioError, one sentence, for anything wrong with it.
    """
    path = _find(str(name_or_path))
    document = _read(path)
    origin = Origin(path.name)
    for change in sets:
        apply_set(document, change, origin)
    for key, value in (("duration_s", duration_s), ("seed", seed)):
        if value is not None:
            option = f"--{key.removesuffix('_s')}"
            _put(document, ["run", key], value, option)
            origin.note(f"run.{key}", option)
    _resolve_elements(document, path, origin)
    weather.resolve(document, path, origin)
    tracks.resolve(document, path, origin)
    link_traces.resolve(document, path, origin)
    measured_models.resolve(document, path, origin)
    radio_presets.apply(document, origin)
    try:
        checked = Document.model_validate(document)
    except ValidationError as error:
        raise ScenarioError(sentence(error, document, Document, origin)) from None
    scenario = Scenario(checked, str(name_or_path))
    try:
        finding = next(checks.findings(scenario), None)
    except ValueError as error:  # of the element text
        raise ScenarioError(
            f"{origin.of('constellation.elements')}: constellation.elements: {error}"
        ) from None
    if finding is not None:
        raise ScenarioError(checks.describe(origin, finding))
    return scenario


def _find(given: str) -> Path:
    known = {name: path for name, _, path in shipped()}
    if given in known:
        return known[given]
    path = Path(given)
    if given and is_file(path / "scenario.json"):
        path = path / "scenario.json"
    if not is_file(path):
        if given and os.path.isdir(path):
            raise ScenarioError(f"{given}: is a folder without a scenario.json, so it is not one of a run")
        hint = nearest(given, known)
        raise ScenarioError(f"{given}: no such file, and no shipped scenario has that name{hint}")
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path}: is not text in UTF-8") from None
    except RecursionError:
        raise ScenarioError(f"{path}: is nested too deeply to be a scenario") from None
    except ValueError as error:  # of the syntax, or a number of thousands of digits
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise ScenarioError(f"{path}: is not {kind}: {str(error).split(';')[0]}") from None
    if not isinstance(document, dict):
        raise ScenarioError(f"{path}: must hold a table, not a list or a value")
    return document


def apply_set(document: dict[str, Any], change: str, origin: Origin) -> None:
    """Apply one `a.b.c=VALUE` to a document in place. Raises ScenarioError."""
    key, equals, text = change.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ScenarioError(f'--set "{change}": must be PATH=VALUE, such as run.duration_s=20')
    _put(document, parts, _value(text.strip(), change), "--set")
    origin.note(".".join(parts), "--set")


def _value(text: str, change: str) -> Any:
    if not text:
        return ""
    try:
        table = tomllib.loads(f"value = {text}")
        if len(table) != 1:
            line = " ".join(change.split("\n"))
            raise ScenarioError(f'--set "{line}": is more than one value; give --set once for each key')
        value = table["value"]
        # Times are text in a scenario; only there TOML's own would need quotes.
        return text if isinstance(value, date | time) else value
    except RecursionError:
        raise ScenarioError(f'--set "{change:.40}...": the value is nested too deeply') from None
    except ValueError as error:
        # A bare word is text; what begins like a TOML value but is not one is a mistake.
        if text[0] in "\"'[{" or "\n" in text:
            raise ScenarioError(f'--set "{change}": the value is not TOML: {error}') from None
        return text


def _put(document: Any, parts: list[str], value: Any, option: str) -> None:
    current = document
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        so_far = ".".join(parts[: depth + 1])
        if isinstance(current, list):
            if not part.isdigit() or int(part) >= len(current):
                raise ScenarioError(
                    f"{option}: {so_far} does not exist, the list has {len(current)} entries, counted from 0"
                )
            if last:
                current[int(part)] = value
            current = current[int(part)]
        elif isinstance(current, dict):
            if last:
                current[part] = value
            else:
                current = current.setdefault(part, {})
        else:
            raise ScenarioError(f"{option}: {'.'.join(parts[:depth])} is a value, not a table")


def _resolve_elements(document: dict[str, Any], path: Path, origin: Origin) -> None:
    """Replace the path of an element file by its content."""
    constellation = document.get("constellation")
    if not isinstance(constellation, dict):
        return
    given = constellation.get("elements")
    if not isinstance(given, str) or not given:
        return
    key = "constellation.elements"
    base = path.parent
    if origin.is_option(key):
        # On the command line the path is relative to where the command runs, and the file takes the
        # place of whatever source the scenario has.
        base = Path()
        for source in ("shells", "geostationary", "over_region", "elements_text", "elements_format"):
            constellation.pop(source, None)
    text, form = elements.read(base / given, f"{origin.of(key)}: {key}")
    constellation.update(elements="", elements_text=text, elements_format=form)
    run = document.get("run")
    if origin.is_option(key) and not origin.is_option("run.start_utc") and isinstance(run, dict):
        # Elements age by kilometres a day: those of the command line bring their own date along.
        try:
            run["start_utc"] = elements.middle_epoch(text, form)
        except ValueError as error:
            raise ScenarioError(f"{origin.of(key)}: {key}: {error}") from None
