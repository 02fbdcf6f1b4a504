"""Tables of recorded measurements: CSV files, plain or gzip, read into columns by name.

Nothing is known here of what the columns mean; a comparison asks for those it needs, under any of the
names that they go by.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput

#: POSIX seconds of 1957, when there was a first satellite, and of 2200
_TIMES_S = (-410_227_200.0, 7_258_118_400.0)


class Table:
    """Rows of one CSV file with a header. `lines` [n]: the line of the file that each row ends on."""

    def __init__(self, path: Path, rows: list[dict[str, str]], lines: list[int]) -> None:
        self.path = path
        self._rows = rows
        self._lines = lines
        self.columns = tuple(rows[0]) if rows else ()

    def __len__(self) -> int:
        return len(self._rows)

    def name_of(self, names: Iterable[str]) -> str:
        """The first of `names` that is a column, "" when none is."""
        return next((name for name in names if name in self.columns), "")

    def texts(self, *names: str) -> list[str]:
        """A column as it stands. Raises `BadInput` when none of the names is a column."""
        name = self._needed(names)
        return [(row[name] or "").strip() for row in self._rows]

    def numbers(self, *names: str, low: float = -math.inf, high: float = math.inf) -> NDArray[np.float64]:
        """A column of numbers [n] from `low` to `high`; empty cells and "nan" are nan.

        Raises `BadInput` naming file, line and value.
        """
        name = self._needed(names)
        values = np.full(len(self._rows), math.nan)
        for index, text in enumerate(self.texts(name)):
            if not text:
                continue
            try:
                values[index] = float(text)
            except ValueError:
                raise self._bad(index, name, text, "a number") from None
            if math.isinf(values[index]):
                raise self._bad(index, name, text, "a finite number")
            if values[index] < low or values[index] > high:
                bounds = f"from {low:g} to {high:g}" if high < math.inf else f"{low:g} or more"
                raise self._bad(index, name, text, bounds)
        return values

    def times_s(self, *names: str) -> NDArray[np.float64]:
        """A column of instants [n] as POSIX seconds: ISO 8601 in UTC, or a number in the name's unit
        (`_ms`, `_us`, `_ns`, else seconds)."""
        name = self._needed(names)
        unit = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}.get(name.rpartition("_")[2], 1.0)
        values = np.empty(len(self._rows))
        for index, text in enumerate(self.texts(name)):
            try:
                values[index] = _instant(text, unit)
            except (ValueError, OverflowError):
                raise self._bad(index, name, text, "an instant such as 2024-07-17T18:07:57Z") from None
            if not _TIMES_S[0] <= values[index] <= _TIMES_S[1]:
                raise self._bad(index, name, text, "an instant between the years 1957 and 2200")
        return values

    def _needed(self, names: Iterable[str]) -> str:
        wanted = list(names)
        found = self.name_of(wanted)
        if not found:
            raise BadInput(
                f"{self.path}: no column {' or '.join(wanted)}; there are {', '.join(self.columns) or 'none'}"
            )
        return found

    def _bad(self, index: int, name: str, text: str, allowed: str) -> BadInput:
        return BadInput(f"{self.path}: line {self._lines[index]}: {name} is {text!r}, it must be {allowed}")


def _instant(text: str, unit: float) -> float:
    try:
        return float(text) * unit
    except ValueError:
        moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_table(path: Path) -> Table:
    """The CSV file as a table. Raises `BadInput` naming the file, and the line of a row too short or long."""
    reader = csv.DictReader(io.StringIO(_text(path)))
    rows, lines = [], []
    for row in _rows(reader, path):
        if None in row or None in row.values():
            raise BadInput(
                f"{path}: line {reader.line_num}: the row has not {len(reader.fieldnames or ())} cells "
                "as the header has"
            )
        rows.append(row)
        lines.append(reader.line_num)
    if not rows:
        raise BadInput(f"{path}: holds no rows")
    return Table(path, rows, lines)


def _rows(reader: csv.DictReader[str], path: Path) -> Iterator[dict[str, str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise BadInput(f"{path}: line {reader.line_num}: {error}") from None


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is not text") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"{path}: cannot be read ({reason})") from None
