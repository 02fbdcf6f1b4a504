"""How a table is laid out: what stands between its cells, whether it has a header, where its rows begin.

Only the beginning of the file is looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

BOM: Final = b"\xef\xbb\xbf"
_DELIMITERS: Final = (",", ";", "\t")
_SHOWN: Final = 50
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|nan$", re.IGNORECASE)
_COMMA_NUMBER: Final = re.compile(r"[+-]?\d+,\d+$")


@dataclass(frozen=True)
class Layout:
    """Of a table: `skipped` lines come before the first row."""

    delimiter: str
    #: names; numbers from 1 on where there is no header
    header: tuple[str, ...]
    named: bool
    skipped: int
    decimal_comma: bool


def layout_of(head: bytes) -> Layout | None:
    """The layout of the table that begins with `head`; None when it is none.

    A table is text without control characters whose lines have cells, as many in each.
    """
    lines = _lines(head)
    if lines is None:
        return None
    skipped = 0
    while skipped < len(lines) and (not lines[skipped].strip() or lines[skipped].lstrip().startswith("#")):
        skipped += 1
    rows = [line for line in lines[skipped:] if line.strip() and not line.lstrip().startswith("#")][:_SHOWN]
    if not rows:
        return None
    delimiter = _delimiter(rows)
    if not delimiter:
        return None
    cells = [_cells(row, delimiter) for row in rows]
    decimal_comma = delimiter != "," and any(_COMMA_NUMBER.match(cell) for row in cells[1:] for cell in row)
    named = not any(_is_number(cell) for cell in cells[0])
    header = tuple(cells[0]) if named else tuple(str(1 + index) for index in range(len(cells[0])))
    return Layout(delimiter, header, named, skipped + named, decimal_comma)


def _lines(head: bytes) -> list[str] | None:
    if b"\0" in head:
        return None
    whole = head.removeprefix(BOM)
    end = whole.rfind(b"\n") + 1
    try:
        text = (whole[:end] if end else whole).decode("utf-8")
    except UnicodeDecodeError:
        return None
    if any(ord(letter) < 32 and letter not in "\t\r\n\f" for letter in text):
        return None
    return text.split("\n")


def _delimiter(rows: list[str]) -> str:
    for delimiter in _DELIMITERS:
        counts = [row.count(delimiter) for row in rows]
        # quoted cells may hold some; a decimal comma makes their number differ
        if min(counts) > 0 and counts.count(counts[0]) > len(counts) // 2:
            if delimiter == "," and ";" in rows[0]:
                continue
            return delimiter
    widths = [len(row.split()) for row in rows]
    numbers = all(_is_number(cell) for cell in rows[-1].split())
    return " " if widths[0] > 1 and len(set(widths)) == 1 and numbers else ""


def _cells(row: str, delimiter: str) -> list[str]:
    parts = row.split() if delimiter == " " else row.split(delimiter)
    return [part.strip().strip('"') for part in parts]


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.match(cell) or _COMMA_NUMBER.match(cell))
