"""Tables of samples: CSV and its relatives, with commas, semicolons, tabs or blanks between the cells.

Blocks of nothing but numbers are converted as a whole, others row by row. What the columns mean, `columns`
tells. Lost probes are rows of -1, words such as "timeout", or numbers that never came.
"""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.formats import cells
from testbed.measured.formats.assembling import Rows
from testbed.measured.formats.columns import RATE_UNITS_MBPS, TIME_UNITS_S, Columns, choose
from testbed.measured.formats.layout import BOM, Layout, layout_of
from testbed.measured.formats.source import Source
from testbed.measured.measurement import Array, Measurement, Quantity

_Lines = Callable[[int], int]
_Flags = NDArray[np.bool_]

#: a first instant, counted from 1970, below these is of that unit
_SIZES: Final = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", math.inf))
#: instants below this are counted from some beginning, not from 1970
_SINCE_1970_S: Final = 1e8
#: throughput without a unit above this is in bit/s, not Mbit/s
_BITS: Final = 1e5
_TEXT: Final = "utc"


def recognises(head: bytes) -> bool:
    """Whether it may be a table: text whose first lines have cells, as many in each."""
    return layout_of(head) is not None


def read(source: Source, columns: Columns, quantity: Quantity | None) -> Measurement:
    """The table as a measurement. Raises `BadInput` naming line and value."""
    layout = layout_of(source.head)
    if layout is None:
        raise BadInput(f"{source.name}: is no table")
    if not layout.named and not (columns.time and (columns.value or columns.received)):
        raise BadInput(
            f"{source.name}: has no header; say what its {len(layout.header)} columns are, such as "
            "--columns time=1,value=2,unit=ms"
        )
    return _Reading(source, layout, columns, quantity).measurement()


class _Reading:
    """One table while it is read."""

    def __init__(self, source: Source, layout: Layout, columns: Columns, quantity: Quantity | None) -> None:
        self._source, self._layout, self._columns = source, layout, columns
        self._chosen = choose(source.name, layout.header, columns, quantity)
        self._rows = Rows(source.name, self._chosen.quantity, numbered=self._chosen.number >= 0)
        self._rows.remarks += self._chosen.remarks
        self._line = layout.skipped
        self._only_numbers = True
        self._units = {
            self._chosen.time: self._chosen.time_unit, self._chosen.received: self._chosen.received_unit,
        }  # fmt: skip
        self._value_unit = self._chosen.unit
        self._lost_rows = 0
        self._bound_ms = math.nan
        lost = columns.lost or ("none" if self._chosen.quantity == "rate" else "-1")
        #: the value of lost probes; None: none has one
        self._lost = None if lost == "none" else float(lost)
        self._to_commas = bytes.maketrans(
            f"\n{layout.delimiter}{',' if layout.decimal_comma else ''}".encode(),
            b",,." if layout.decimal_comma else b",,",
        )

    def measurement(self) -> Measurement:
        for block in self._blocks():
            table = self._as_numbers(block) if self._only_numbers else None
            if table is None:
                self._add_texts(block)
            else:
                first = self._line + 1
                self._add(list(table.T), np.zeros(len(table), np.bool_), lambda row, first=first: first + row)  # type: ignore[misc]
                self._line += len(table)
        chosen, rows = self._chosen, self._rows
        losses_known = chosen.number >= 0 or self._lost_rows > 0
        if not losses_known and chosen.quantity != "rate":
            rows.remarks.append("probes that were lost may have no row, so that no loss can be told")
        if chosen.received >= 0 and math.isnan(self._bound_ms):
            rows.remarks.append("how far the clocks of both ends differ is not known")
        bound_ms = None if math.isnan(self._bound_ms) else self._bound_ms
        stamped = self._columns.stamped or ("sent" if chosen.quantity != "rtt" else "unknown")
        return rows.measurement(losses_known=losses_known, stamped=stamped, clock_bound_ms=bound_ms)

    def _blocks(self) -> Iterator[bytes]:
        skipped = self._layout.skipped
        for block in self._source.blocks():
            if skipped:
                block, skipped = block.removeprefix(BOM).split(b"\n", skipped)[-1], 0
            if block:
                yield block

    # --- blocks to columns ------------------------------------------------------------------------------

    def _as_numbers(self, block: bytes) -> Array | None:
        """The cells of a block [rows, columns]; None when some are no numbers, or rows differ in width."""
        width, count = len(self._layout.header), block.count(b"\n")
        if not block.endswith(b"\n"):
            return None
        if self._layout.delimiter != " ":
            octets = np.frombuffer(block, np.uint8)
            ends = octets[np.flatnonzero((octets == ord(self._layout.delimiter)) | (octets == ord("\n")))]
            if len(ends) != count * width or not np.all(ends[width - 1 :: width] == ord("\n")):
                return None
            text, between = block.translate(self._to_commas, b"\r"), ","
        else:
            text, between = block, " "
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            try:
                flat = np.fromstring(text, sep=between)
            except (ValueError, DeprecationWarning):
                # texts in the first block: there will be more
                self._only_numbers = self._line > self._layout.skipped
                return None
        return flat.reshape(count, width) if len(flat) == count * width else None

    def _add_texts(self, block: bytes) -> None:
        kept, lines = self._cells(block)
        if not kept:
            return
        columns = list(zip(*kept, strict=True))
        chosen = self._chosen
        read: list[Array] = [np.empty(0)] * len(columns)
        lost = np.zeros(len(kept), np.bool_)
        needed = {chosen.time, chosen.value, chosen.number, chosen.received, chosen.bound, *chosen.also_lost}
        for index in needed - {-1}:
            texts = columns[index]
            try:
                if index in self._units and (self._units[index] == _TEXT or cells.is_instant(texts[0])):
                    read[index] = self._instants(index, texts)
                    continue
                read[index], words = cells.numbers(texts, self._layout.decimal_comma)
            except cells.UnreadableError as error:
                name = self._layout.header[index]
                raise BadInput(f"{self._source.name}: line {lines[error.row]}: {name} {error}") from None
            if index in (chosen.value, chosen.received):
                lost |= words
        self._add(read, lost, lambda row: lines[row])

    def _instants(self, index: int, texts: Sequence[str]) -> Array:
        if not self._units[index] and not cells.has_zone(texts[0]):
            self._rows.remarks.append("times have no zone, and were taken as UTC")
        self._units[index] = _TEXT
        return cells.instants(texts)

    def _cells(self, block: bytes) -> tuple[list[list[str]], list[int]]:
        """Rows with their lines, without comments and empty ones."""
        width = len(self._layout.header)
        try:
            text = block.decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            line = self._line + 1 + block.count(b"\n", 0, error.start)
            raise BadInput(f"{self._source.name}: line {line}: is not text (UTF-8)") from None
        broken = text.pop()
        kept: list[list[str]] = []
        lines: list[int] = []
        last = len(text) + bool(broken)
        try:
            for number, row in enumerate(self._split([*text, broken] if broken else text), 1):
                if not "".join(row).strip() or row[0].lstrip().startswith("#"):
                    continue
                if self._layout.named and tuple(map(str.strip, row)) == self._layout.header:
                    continue  # of a further file, put behind the first one
                if len(row) != width and broken and number == last:
                    self._rows.truncated = True
                elif len(row) != width:
                    raise BadInput(
                        f"{self._source.name}: line {self._line + number}: has {len(row)} cells, it must "
                        f"have {width} as the first line has"
                    )
                else:
                    kept.append(row)
                    lines.append(self._line + number)
        except csv.Error as error:
            raise BadInput(f"{self._source.name}: after line {self._line}: {error}") from None
        self._line += last
        return kept, lines

    def _split(self, lines: Sequence[str]) -> Iterator[list[str]]:
        if self._layout.delimiter == " ":
            return (line.split() for line in lines)
        return csv.reader((line.rstrip("\r") for line in lines), delimiter=self._layout.delimiter)

    # --- columns to samples -----------------------------------------------------------------------------

    def _add(self, read: Sequence[Array], lost: _Flags, line_of: _Lines) -> None:
        chosen = self._chosen
        times_s = self._seconds(chosen.time, read[chosen.time])
        if chosen.received >= 0:
            # a packet that never came has no instant, or zero
            lost = lost | ~(read[chosen.received] > 0)
            values = (self._seconds(chosen.received, read[chosen.received]) - times_s) * 1e3
        else:
            values = read[chosen.value]
            if self._lost is not None:
                lost = lost | (np.isnan(values) if math.isnan(self._lost) else values == self._lost)
            for other in chosen.also_lost:
                lost = lost | (read[other] == -1.0)
            values = self._scaled(values)
        if chosen.bound >= 0 and len(times_s):
            bounds_ms = read[chosen.bound] * TIME_UNITS_S[chosen.bound_unit or "s"] * 1e3
            self._bound_ms = float(np.fmax(self._bound_ms, np.fmax.reduce(bounds_ms)))
        self._lost_rows += int(np.count_nonzero(lost))
        numbers = self._whole(read[chosen.number], line_of) if chosen.number >= 0 else None
        self._rows.add(times_s, values, lost, numbers, line_of)

    def _seconds(self, index: int, column: Array) -> Array:
        unit = self._units[index]
        if not unit:
            known = column[np.isfinite(column)]
            size = abs(float(known[0])) if len(known) else 0.0
            unit = self._units[index] = next(name for name, below in _SIZES if size < below)
            if size < _SINCE_1970_S:
                self._rows.remarks.append("times count from the beginning of the measurement, in s")
        return column if unit in (_TEXT, "s") else column * TIME_UNITS_S[unit]

    def _scaled(self, column: Array) -> Array:
        chosen, rate = self._chosen, self._chosen.quantity == "rate"
        if not self._value_unit:
            most = float(np.nanmedian(column)) if np.isfinite(column).any() else 0.0
            self._value_unit = ("bps" if most > _BITS else "mbps") if rate else "ms"
            told = {"bps": "bit/s", "mbps": "Mbit/s", "ms": "ms"}[self._value_unit]
            self._rows.remarks.append(
                f"{self._layout.header[chosen.value]} names no unit, and was taken as {told} "
                "(--columns unit=UNIT)"
            )
        factor = RATE_UNITS_MBPS[self._value_unit] if rate else TIME_UNITS_S[self._value_unit] * 1e3
        scaled = column if factor == 1.0 else column * factor
        if chosen.quantity == "delay":  # below zero where clocks differ
            return scaled
        return np.where(scaled < 0.0, np.nan, scaled) if (scaled < 0.0).any() else scaled

    def _whole(self, column: Array, line_of: _Lines) -> NDArray[np.int64]:
        wrong = np.flatnonzero(~(np.abs(column) < 2**53) | (column != np.rint(column)))
        if len(wrong):
            name = self._layout.header[self._chosen.number]
            raise BadInput(
                f"{self._source.name}: line {line_of(int(wrong[0]))}: {name} is {column[wrong[0]]:g}, it "
                "must be a whole number"
            )
        return column.astype(np.int64)
