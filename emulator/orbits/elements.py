"""Orbital elements from and to text: TLE (two or three lines) and OMM (JSON, XML, CSV).

Everything becomes a list of (name, satrec), the satrec being the sgp4 package's record, initialised
with WGS-72 as the element sets assume. Sets of one satellite (the same catalogue number) carry the same
name, and other satellites another; which set counts at a moment is `emulator.orbits.history`. A
malformed line is an error that names the line; a well-formed satellite that SGP4 cannot propagate is
left to `usable`, which sets it aside by name and reason. Nothing is propagated further here.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from sgp4.api import SatrecArray

from emulator.errors import ElementsError
from emulator.orbits import omm
from emulator.orbits.tle import parse_tle, tle_text

Element = tuple[str, Any]
#: name (empty: none given), record, catalogue number (0: none)
_Parsed = tuple[str, Any, int]

FORMATS = ("tle", "omm-json", "omm-xml", "omm-csv")


def load_elements(path: str | Path, *more: str | Path) -> list[Element]:
    """All sets of one or several element files, plain or gzip, each in its own format.

    Raises `ElementsError` ("PATH: line 12: ...") for what is malformed or unreadable.
    """
    found: list[_Parsed] = []
    for one in (path, *more):
        found.extend(_parsed(read_text(one), "", str(one)))
    return _named(found)


def read_text(path: str | Path) -> str:
    """The text of an element file, unpacked if it is gzip. Raises `ElementsError` naming the file."""
    try:
        raw = Path(path).read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        return raw.decode()
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
    """All sets of a TLE or OMM text, in its order; sets of one satellite have one name.

    `form` is one of `FORMATS`; empty: detected. `source` (a path or key) is put in front of errors.
    """
    return _named(_parsed(text, form, source))


def elements_to_text(elements: Iterable[Element]) -> str:
    """The satellites as three-line elements. A TLE rounds: up to some ten metres at the epoch."""
    return tle_text(elements)


def _parsed(text: str, form: str, source: str) -> list[_Parsed]:
    text = text.removeprefix("\ufeff")  # the mark that some editors put in front of UTF-8
    form = form or detect_format(text)
    readers: dict[str, Callable[[str], Iterable[_Parsed]]] = {
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
    return found


def _named(found: list[_Parsed]) -> list[Element]:
    """One name for all sets of a satellite, that of its newest set; no two satellites share one.

    A satellite is known by its catalogue number, one without by its name. A name that another satellite
    has already gets the catalogue number behind it, then a count.
    """
    keys = [number or name or index - len(found) for index, (name, _, number) in enumerate(found)]
    newest: dict[int | str, tuple[float, str, int]] = {}
    for key, (name, record, number) in zip(keys, found, strict=True):
        epoch = record.jdsatepoch + record.jdsatepochF
        if key not in newest or epoch >= newest[key][0]:
            newest[key] = (epoch, name or f"NORAD-{number}", number)
    names: dict[int | str, str] = {}
    taken: set[str] = set()
    for key, (_, name, number) in newest.items():
        unique, count = name, 1
        while unique in taken:
            unique = f"{name} #{number}" if count == 1 else f"{name} #{number}.{count}"
            count += 1
        taken.add(unique)
        names[key] = unique
    return [(names[key], record) for key, (_, record, _) in zip(keys, found, strict=True)]


def usable(
    elements: list[Element], instants: Iterable[tuple[float, float]]
) -> tuple[list[Element], dict[str, str]]:
    """Part the satellites that SGP4 propagates at all instants from those it does not.

    `instants`: (Julian day, fraction) in UTC. Returns the usable ones, and the reason by name of each of
    the others. Raises `ElementsError` when none is left.
    """
    from emulator.orbits.sgp4 import FAULTS  # here: it brings the compiler with it

    times = np.array(list(instants)).reshape(-1, 2)
    code = np.array([record.error for _, record in elements], dtype=np.uint8)
    unreal = np.zeros(len(elements), dtype=bool)
    if elements and len(times):
        errors, position, _ = SatrecArray([record for _, record in elements]).sgp4(
            np.ascontiguousarray(times[:, 0]), np.ascontiguousarray(times[:, 1])
        )
        first = np.argmax(errors != 0, axis=1)
        code = np.where(code != 0, code, errors[np.arange(len(elements)), first])
        unreal = ~np.isfinite(position).all(axis=(1, 2))
    bad = (code != 0) | unreal
    kept = [element for element, out in zip(elements, bad, strict=True) if not out]
    if not kept:
        raise ElementsError(
            f"none of the {len(elements)} satellites can be propagated to the time of the run "
            "(elements decayed, or far from their epoch)"
        )
    skipped = {
        elements[i][0]: FAULTS[int(code[i])] if code[i] else "its position is not a number"
        for i in np.flatnonzero(bad)
    }
    return kept, skipped
