"""Cells of a table that are texts: numbers with the words that stand for none, and instants in ISO 8601."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array

#: what a cell says of a probe that was lost
_LOST: Final = frozenset(("lost", "timeout", "timed out", "*", "no answer", "unreachable", "no response"))
#: what it says when there is no value
_NONE: Final = frozenset(("", "nan", "null", "none", "na", "n/a", "-", "--"))
#: offsets of zone names in h (RFC 5322, section 4.3), and of central Europe
_ZONES_H: Final = {
    "UTC": 0, "UT": 0, "GMT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6,
    "PST": -8, "PDT": -7, "CET": 1, "CEST": 2,
}  # fmt: skip
#: letters of a cell in a sentence
_SHOWN: Final = 40
_ZONE: Final = re.compile(r"\s*([A-Z]{2,4})$")
_ZONED: Final = re.compile(r"(Z|[A-Z]{2,4}|\d[+-]\d\d:?\d\d)$")


class UnreadableError(ValueError):
    """A cell that is not what its column must hold; `row` counts from 0."""

    def __init__(self, row: int, text: str, allowed: str) -> None:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        super().__init__(f"is {shown!r}, it must be {allowed}")
        self.row = row


def numbers(texts: Sequence[str], decimal_comma: bool = False) -> tuple[Array, NDArray[np.bool_]]:
    """Numbers [n] of texts, nan where there is none, and whether the text says that the probe was lost.

    Raises `UnreadableError`.
    """
    if decimal_comma:
        texts = [text.replace(",", ".") for text in texts]
    lost = np.zeros(len(texts), np.bool_)
    try:
        return np.fromiter(map(float, texts), np.float64, len(texts)), lost
    except ValueError:
        pass
    values = np.full(len(texts), math.nan)
    for row, text in enumerate(texts):
        word = text.strip().lower()
        if word in _LOST:
            lost[row] = True
        elif word not in _NONE:
            try:
                values[row] = float(word)
            except ValueError:
                raise UnreadableError(row, text, "a number") from None
    return values, lost


def is_instant(text: str) -> bool:
    """Whether it is a date with a time of day, rather than a number."""
    return bool(re.match(r"\s*\d{4}[-/.]\d\d[-/.]\d\d[T _]\d\d", text))


def has_zone(text: str) -> bool:
    """Whether the instant says to which zone it belongs."""
    return bool(_ZONED.search(text.strip()))


def instants(texts: Sequence[str]) -> Array:
    """POSIX seconds [n] of texts such as 2024-07-17T18:07:57.25Z; without a zone they are taken as UTC.

    Raises `UnreadableError`.
    """
    plain = [text.strip() for text in texts]
    zone = _zone_of(plain[0])
    if zone is not None and all(text.endswith(plain[0][len(plain[0]) - len(zone[0]) :]) for text in plain):
        bare = [text[: len(text) - len(zone[0])].replace("/", "-") for text in plain]
        try:
            stamps = np.array(bare, dtype="datetime64[ns]").astype(np.int64)
        except ValueError:
            pass
        else:
            result: Array = stamps / 1e9 - zone[1]
            return result
    return np.array([_one(row, text) for row, text in enumerate(plain)])


def _zone_of(text: str) -> tuple[str, float] | None:
    """The text's ending that names its zone, and its offset in s; None where one by one is better."""
    if text.endswith("Z"):
        return "Z", 0.0
    named = _ZONE.search(text)
    if named:
        hours = _ZONES_H.get(named.group(1))
        return None if hours is None else (named.group(0), hours * 3600.0)
    return None if re.search(r"[+-]\d\d:?\d\d$", text[10:]) else ("", 0.0)


def _one(row: int, text: str) -> float:
    read: Callable[[str], datetime] = datetime.fromisoformat
    try:
        named = _ZONE.search(text)
        zone = timezone(timedelta(hours=_ZONES_H[named.group(1)])) if named else UTC
        bare = _ZONE.sub("", text) if named else text
        if re.match(r"\d{4}[./]\d\d[./]\d\d[T _]\d\d[.:]\d\d[.:]\d\d", bare):
            bare = re.sub(r"[./]", "-", bare[:10]) + "T" + bare[11:19].replace(".", ":") + bare[19:]
        moment = read(bare)
    except (ValueError, KeyError):
        raise UnreadableError(row, text, "an instant such as 2024-07-17T18:07:57Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
