"""Orbit Mean-Elements Messages (CCSDS 502.0-B) in JSON, XML and CSV, into SGP4 records.

Only the fields SGP4 needs are read; the rest of a message (ranges, users, comments) is passed over. What
is handed on is (name, record, catalogue number), the name empty where none is given.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sgp4.api import WGS72, Satrec

from emulator.errors import ElementsError

#: dates may count the days of a year instead of its months (CCSDS 301.0-B, section 3.5)
_DAY_OF_YEAR = re.compile(r"\d{4}-\d{3}T")
_EPOCH_ZERO = datetime(1949, 12, 31, tzinfo=UTC)
_REV_PER_DAY = 2.0 * math.pi / 1440.0  # rad/min
#: what elements have to be for SGP4, where a message says it (CCSDS 502.0-B, tables 4-2 and 4-3)
_MEANT = {
    "CENTER_NAME": ("EARTH",),
    "REF_FRAME": ("TEME",),
    "TIME_SYSTEM": ("UTC",),
    "MEAN_ELEMENT_THEORY": ("SGP4", "SGP/SGP4"),
}
#: key: allowed range. Angles in degrees, mean motion in revolutions a day.
_NUMBERS = {
    "MEAN_MOTION": (0.0, 20.0),
    "ECCENTRICITY": (0.0, 0.999999),
    "INCLINATION": (0.0, 180.0),
    "RA_OF_ASC_NODE": (-360.0, 360.0),
    "ARG_OF_PERICENTER": (-360.0, 360.0),
    "MEAN_ANOMALY": (-360.0, 360.0),
}


_WEB_PAGE = "is a web page, not OMM: what was fetched may be an error message"


def parse_json(text: str) -> Iterator[tuple[str, Any, int]]:
    """Satellites of an OMM JSON array (or one object). Raises `ElementsError` naming the record."""
    try:
        records = json.loads(text)
    except json.JSONDecodeError as error:
        raise ElementsError(f"line {error.lineno}: not JSON ({error.msg})") from None
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of thousands of digits
        raise ElementsError(f"not JSON of OMM ({str(error).split(';')[0].lower()})") from None
    if not isinstance(records, list | dict):
        raise ElementsError(f"is {records!r:.40}, should be a list of OMM objects")
    records = [records] if isinstance(records, dict) else records
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise ElementsError(f"record {number}: is {record!r:.40}, should be an object of OMM keys")
        yield _satellite(number, record)


def parse_csv(text: str) -> Iterator[tuple[str, Any, int]]:
    """Satellites of an OMM CSV table with a header line. Raises `ElementsError` naming the record."""
    try:
        records = list(csv.DictReader(io.StringIO(text.lstrip())))
    except csv.Error as error:
        raise ElementsError(f"not CSV ({error})") from None
    for number, record in enumerate(records, start=1):
        yield _satellite(number, record)


def parse_xml(text: str) -> Iterator[tuple[str, Any, int]]:
    """Satellites of an OMM or NDM XML document. Raises `ElementsError` naming the record."""
    try:
        root = ElementTree.fromstring(text.strip())
    except ElementTree.ParseError as error:
        if text.lstrip()[:15].lower().startswith(("<!doctype html", "<html")):
            raise ElementsError(_WEB_PAGE) from None
        raise ElementsError(f"line {error.position[0]}: not XML ({error})") from None
    if _local(root.tag).lower() == "html":
        raise ElementsError(_WEB_PAGE)
    segments = [node for node in root.iter() if _local(node.tag) == "segment"]
    for number, segment in enumerate(segments, start=1):
        leaves = {_local(leaf.tag): (leaf.text or "").strip() for leaf in segment.iter() if len(leaf) == 0}
        yield _satellite(number, leaves)


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def _number(number: int, record: dict[str, Any], key: str, low: float, high: float) -> float:
    if record.get(key) in (None, ""):
        raise ElementsError(f"record {number}: {key} is missing")
    try:
        value = float(record[key])
    except (TypeError, ValueError, OverflowError):
        raise ElementsError(f"record {number}: {key} is {record[key]!r:.40}, should be a number") from None
    if not low <= value <= high:
        raise ElementsError(f"record {number}: {key} is {value:g}, allowed: {low:.9g} to {high:.9g}")
    return value


def _epoch_days(number: int, record: dict[str, Any]) -> float:
    """EPOCH as days since 1949 December 31 0h UTC, the zero of SGP4."""
    text = str(record.get("EPOCH") or "")
    try:
        if _DAY_OF_YEAR.match(text):
            epoch = datetime.fromisoformat(f"{text[:4]}-01-01{text[8:]}") + timedelta(days=int(text[5:8]) - 1)
            if epoch.year != int(text[:4]):
                raise ValueError("a year has no such day")
        else:
            epoch = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ElementsError(
            f"record {number}: EPOCH is {text!r:.40}, should be like 2025-10-01T12:00:00"
        ) from None
    epoch = epoch.replace(tzinfo=UTC) if epoch.tzinfo is None else epoch
    return (epoch - _EPOCH_ZERO).total_seconds() / 86400.0


def _satellite(number: int, record: dict[str, Any]) -> tuple[str, Any, int]:
    for key, allowed in _MEANT.items():
        given = str(record.get(key) or "").strip()
        if given and given.upper() not in allowed:
            raise ElementsError(f"record {number}: {key} is {given!r:.40}, allowed: {', '.join(allowed)}")
    elements = {key: _number(number, record, key, low, high) for key, (low, high) in _NUMBERS.items()}
    bstar = _number(number, record, "BSTAR", -10.0, 10.0)
    catalogue = int(_number(number, {"NORAD_CAT_ID": 0, **record}, "NORAD_CAT_ID", 0, 999_999_999))
    satellite = Satrec()
    satellite.sgp4init(
        WGS72,
        "i",
        # the record keeps catalogue numbers up to 339999 (Alpha-5); larger ones are handed on beside it
        catalogue if catalogue <= 339_999 else 0,
        _epoch_days(number, record),
        bstar,
        0.0,  # the two derivatives of mean motion are not used by SGP4
        0.0,
        elements["ECCENTRICITY"],
        math.radians(elements["ARG_OF_PERICENTER"]),
        math.radians(elements["INCLINATION"]),
        math.radians(elements["MEAN_ANOMALY"]),
        elements["MEAN_MOTION"] * _REV_PER_DAY,
        math.radians(elements["RA_OF_ASC_NODE"]),
    )
    return str(record.get("OBJECT_NAME") or "").strip(), satellite, catalogue
