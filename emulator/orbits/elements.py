"""Orbital elements from and to text: TLE (two or three lines) and OMM (JSON, XML, CSV).

Everything becomes a list of (name, satrec), the satrec being the sgp4 package's record, initialised
with WGS-72 as the element sets assume. A malformed line is an error that names the line; a
well-formed satellite that SGP4 cannot propagate is left to `usable`, which sets it aside by name.
Nothing is propagated further here.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sgp4.api import Satrec
from sgp4.exporter import export_tle

from emulator.errors import ElementsError
from emulator.orbits import omm

Element = tuple[str, Any]

FORMATS = ("tle", "omm-json", "omm-xml", "omm-csv")

#: columns (from zero) of the numbers in the two lines: what, first, end, allowed range
_LINE_1_NUMBERS = (("epoch year", 18, 20, 0.0, 99.0), ("epoch day", 20, 32, 1.0, 367.0))
_LINE_2_NUMBERS = (
    ("inclination", 8, 16, 0.0, 180.0),
    ("right ascension", 17, 25, 0.0, 360.0),
    ("argument of perigee", 34, 42, 0.0, 360.0),
    ("mean anomaly", 43, 51, 0.0, 360.0),
    ("mean motion", 52, 63, 0.0, 20.0),
)


def load_elements(path: str | Path) -> list[Element]:
    """Read an element file, optionally gzip, and detect its format from the content.

    Raises `ElementsError` ("PATH: line 12: ...") for what is malformed or unreadable.
    """
    return parse_elements(read_text(path), source=str(path))


def read_text(path: str | Path) -> str:
    """The text of an element file, unpacked if it is gzip. Raises `ElementsError` naming the file."""
    try:
        raw = Path(path).read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ElementsError(f"{path}: is not text; expected TLE or OMM (JSON, XML, CSV)") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ElementsError(f"{path}: cannot be read ({reason})") from None


def detect_format(text: str) -> str:
    """One of `FORMATS`, from the first character or the CSV header; TLE when nothing else fits."""
    head = text.lstrip()[:4096]
    if head.startswith(("[", "{")):
        return "omm-json"
    if head.startswith("<"):
        return "omm-xml"
    first_line = head.split("\n", 1)[0]
    if "MEAN_MOTION" in first_line and "," in first_line:
        return "omm-csv"
    return "tle"


def parse_elements(text: str, form: str = "", source: str = "") -> list[Element]:
    """Satellites of a TLE or OMM text, in its order, with unique names.

    `form` is one of `FORMATS`; empty: detected. `source` (a path or key) is put in front of errors.
    """
    form = form or detect_format(text)
    readers: dict[str, Callable[[str], Iterable[Element]]] = {
        "tle": parse_tle,
        "omm-json": omm.parse_json,
        "omm-xml": omm.parse_xml,
        "omm-csv": omm.parse_csv,
    }
    try:
        if form not in readers:
            raise ElementsError(f"format is {form!r}, allowed: {', '.join(FORMATS)}")
        found = list(readers[form](text))
        if not found:
            raise ElementsError("holds no satellite")
    except ElementsError as error:
        raise ElementsError(f"{source}: {error}" if source else str(error)) from None
    return _with_unique_names(found)


def parse_tle(text: str) -> list[Element]:
    """Satellites of two- or three-line element sets; blank lines and lines starting with # are skipped.

    What stands behind column 69 is ignored. Raises `ElementsError` ("line N: ...").
    """
    found: list[Element] = []
    name = ""
    first: tuple[int, str] | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.rstrip()
        if not line or line.startswith("#"):
            continue
        if first is None:
            if line.startswith("1 ") and len(line) > 24:
                _check_line(number, line, 1, _LINE_1_NUMBERS)
                first = (number, line[:69])
            elif line.startswith("2 ") and len(line) >= 60:
                raise ElementsError(f"line {number}: a line 2 without its line 1 before it")
            elif name:
                raise ElementsError(
                    f"line {number}: expected line 1 of {name!r} (starting with '1 '), got {line[:24]!r}"
                )
            else:
                name = line[2:].strip() if line.startswith("0 ") else line.strip()
            continue
        if not line.startswith("2 "):
            raise ElementsError(f"line {number}: expected line 2 (starting with '2 '), got {line[:24]!r}")
        _check_line(number, line, 2, _LINE_2_NUMBERS)
        if not line[26:33].replace(" ", "0").isdigit():
            raise ElementsError(f"line {number}: eccentricity is {line[26:33]!r}, should be seven digits")
        if line[2:7] != first[1][2:7]:
            raise ElementsError(
                f"line {number}: satellite number is {line[2:7].strip()}, "
                f"line {first[0]} says {first[1][2:7].strip()}"
            )
        satellite = _satrec(first, line[:69])
        found.append((name or f"NORAD-{satellite.satnum}", satellite))
        name, first = "", None
    if first is not None:
        raise ElementsError(f"line {first[0]}: line 1 without a line 2 after it")
    if name:
        raise ElementsError(f"the text ends after the name {name!r}, its two lines are missing")
    return found


def _satrec(first: tuple[int, str], second: str) -> Any:
    try:
        return Satrec.twoline2rv(first[1], second)
    except ValueError as error:
        raise ElementsError(f"line {first[0]}: {str(error).splitlines()[0]}") from None


def _check_line(
    number: int, line: str, kind: int, fields: tuple[tuple[str, int, int, float, float], ...]
) -> None:
    """Length, checksum and numbers of one line; the checksum counts digits, and 1 for a minus."""
    if len(line) < 69:
        raise ElementsError(f"line {number}: line {kind} has {len(line)} characters, should be 69")
    should_be = sum(int(c) if c.isdigit() else c == "-" for c in line[:68]) % 10
    if line[68] != str(should_be):
        raise ElementsError(f"line {number}: checksum is {line[68]}, should be {should_be}")
    for what, start, end, low, high in fields:
        try:
            value = float(line[start:end])
        except ValueError:
            raise ElementsError(f"line {number}: {what} is {line[start:end]!r}, should be a number") from None
        if not low <= value <= high:
            raise ElementsError(f"line {number}: {what} is {value:g}, allowed: {low:g} to {high:g}")


def _with_unique_names(found: list[Element]) -> list[Element]:
    """A name seen before gets its catalogue number, then a count, so that names identify places."""
    seen: set[str] = set()
    result = []
    for name, satellite in found:
        unique, count = name, 1
        while unique in seen:
            unique = f"{name} #{satellite.satnum}" if count == 1 else f"{name} #{satellite.satnum}.{count}"
            count += 1
        seen.add(unique)
        result.append((unique, satellite))
    return result


def elements_to_text(elements: Iterable[Element]) -> str:
    """The satellites as three-line elements. A TLE rounds: up to some ten metres at the epoch."""
    lines: list[str] = []
    for name, satellite in elements:
        lines.append(name)
        lines.extend(export_tle(satellite))
    return "\n".join(lines) + "\n"


def usable(
    elements: list[Element], instants: Iterable[tuple[float, float]]
) -> tuple[list[Element], list[str]]:
    """Part the satellites that SGP4 propagates at all instants from those it does not.

    `instants`: (Julian day, fraction) in UTC. Returns the usable ones and the names of the others.
    Raises `ElementsError` when none is left.
    """
    times = list(instants)
    kept, skipped = [], []
    for name, satellite in elements:
        states = (satellite.sgp4(day, fraction) for day, fraction in times)
        if satellite.error or any(error or not math.isfinite(r[0]) for error, r, _ in states):
            skipped.append(name)
        else:
            kept.append((name, satellite))
    if not kept:
        raise ElementsError(
            f"none of the {len(elements)} satellites can be propagated to the time of the run "
            "(elements decayed, or far from their epoch)"
        )
    return kept, skipped
