"""Recorded series from files: CSV with a time and a value column, and packet-delivery traces of Mahimahi.

What a link replays is a `Series` (`emulator.links.trace`), which begins with the run; here texts become one,
and what is wrong with a text is said with its line. A CSV file has a header; which columns are meant and in
which units they are follows from their names, unless it is stated.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.links.trace import OPPORTUNITY_BYTES, Series

#: what a file may hold, unpacked: beyond it a recording belongs in parts
TEXT_BYTES_MAX: Final = 64 * 1024 * 1024
ROWS_MAX: Final = 2_000_000

#: what is recorded -> unit -> how much of the link's own (ns, bit/s, probability) it is
UNITS: Final = {
    "delay": {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9},
    "rate": {"bps": 1.0, "kbps": 1e3, "mbps": 1e6, "gbps": 1e9},
    "loss": {"share": 1.0, "percent": 0.01},
}
#: an hour, a terabit a second, every packet
_MOST: Final = {"delay": 3.6e12, "rate": 1e12, "loss": 1.0}
#: ns of a unit of time; "utc" is text such as 2025-10-01T12:00:00Z
TIME_UNITS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1, "utc": 0}
#: time columns that need not be named, in this order
_CLOCKS: Final = ("t_s", "t_ms", "unix_ns", "unix_us", "unix_ms", "unix_s", "utc")
#: the latest time that nanoseconds in 64 bits can hold, with room for a repeated recording
_LATEST_NS: Final = 4 * 10**18


@dataclass(frozen=True)
class Columns:
    """Which columns of a CSV file are meant; empty: as their names tell.

    A time column is otherwise the first of t_s, t_ms, unix_ns, unix_us, unix_ms, unix_s, utc that there is, a
    value column the only one whose name ends in a unit of what is wanted, and a unit the end of the name.
    """

    time: str = ""
    time_unit: str = ""
    value: str = ""
    unit: str = ""


def read_text(path: str | Path) -> str:
    """The text of a recording, unpacked if it is gzip. Raises `WorldError` naming the file."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(TEXT_BYTES_MAX + 1)
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.GzipFile(fileobj=io.BytesIO(raw)).read(TEXT_BYTES_MAX + 1)
        if len(raw) > TEXT_BYTES_MAX:
            raise WorldError(f"{path}: is too long, a recording has at most {TEXT_BYTES_MAX} bytes of text")
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WorldError(f"{path}: is not text in UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:
        raise WorldError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def read_csv_series(
    path: str | Path,
    quantity: str,
    columns: Columns = Columns(),
    *,
    factor: float = 1.0,
    missing: float | None = None,
    interpolation: str = "steps",
    repeat: bool = False,
    start_s: float = 0.0,
) -> Series:
    """The series of a CSV file, packed with gzip or not; see `parse_csv_series`."""
    text = read_text(path)
    return parse_csv_series(
        text, quantity, columns, factor=factor, missing=missing, interpolation=interpolation, repeat=repeat,
        start_s=start_s, source=str(path),
    )  # fmt: skip


def parse_csv_series(
    text: str,
    quantity: str,
    columns: Columns = Columns(),
    *,
    factor: float = 1.0,
    missing: float | None = None,
    interpolation: str = "steps",
    repeat: bool = False,
    start_s: float = 0.0,
    source: str = "recording",
) -> Series:
    """The series of a CSV text, in ns, bit/s or as a probability.

    `quantity`: "delay", "rate" or "loss"; `factor`: multiplies every value (0.5: round trip to one way);
    `missing`: the value of rows that measured nothing, which are left out; `interpolation`: "steps" (a value
    holds until the next row) or "linear"; `repeat`: the recording begins anew one mean interval after its
    last row, instead of keeping its last value; `start_s`: how far into the recording the run begins. Times
    count from the first row; of rows with the same time the last holds. Raises `WorldError`: source, line,
    value given and what is allowed.
    """
    rows = _rows(text, source)
    header = _header(rows, source)
    clock, value = _columns(header, quantity, columns, source)
    time_unit, scale = _units(header[clock], header[value], quantity, columns, source)
    scale *= factor
    times: list[int] = []
    values: list[float] = []
    first: int | None = None
    for number, row in rows:
        at = f"{source}, line {number}"
        if len(row) != len(header):
            raise WorldError(f"{at}: has {len(row)} fields, but must have {len(header)} as the header has")
        now = _time_ns(row[clock], time_unit, at, header[clock])
        first = now if first is None else first
        if now - first < (times[-1] if times else 0):
            given = row[clock].strip()
            raise WorldError(f"{at}: {header[clock]} is {given}, but must not be earlier than the row before")
        found = _value(row[value], missing, _MOST[quantity] / scale, at, header[value])
        if found is None:
            continue
        if times and times[-1] == now - first:
            values[-1] = found * scale
            continue
        if len(times) == ROWS_MAX:
            raise WorldError(f"{at}: is one row too many, a recording has at most {ROWS_MAX}")
        times.append(now - first)
        values.append(found * scale)
    if not times:
        raise WorldError(f"{source}: has no rows with a value, but must have one at least")
    return _csv_series(times, values, interpolation, repeat, start_s, source)


def two_columns(text: str, quantity: str, columns: Columns, source: str = "recording") -> str:
    """The text again with nothing in it but the two columns that are meant, of the same names."""
    rows = _rows(text, source)
    header = _header(rows, source)
    wanted = _columns(header, quantity, columns, source)
    lines = [",".join(header[index] for index in wanted)]
    lines += [",".join(row[index].strip() for index in wanted) for _, row in rows]
    return "\n".join(lines) + "\n"


def read_mahimahi(
    path: str | Path, *, opportunity_bytes: int = OPPORTUNITY_BYTES, start_s: float = 0.0
) -> Series:
    """The opportunities of a packet-delivery trace, packed with gzip or not; see `parse_mahimahi`."""
    text = read_text(path)
    return parse_mahimahi(text, opportunity_bytes=opportunity_bytes, start_s=start_s, source=str(path))


def parse_mahimahi(
    text: str,
    *,
    opportunity_bytes: int = OPPORTUNITY_BYTES,
    start_s: float = 0.0,
    source: str = "recording",
) -> Series:
    """The opportunities of a packet-delivery trace: one whole number of milliseconds a line, not decreasing.

    At each of them `opportunity_bytes` may leave; the trace begins anew at the time of its last line.
    `start_s`: how far into it the run begins. Raises `WorldError`: source, line, what is given and allowed.
    Source of the format: mm-link(1) of Mahimahi.
    """
    times: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        stamp = line.strip()
        if not stamp:
            continue
        at = f"{source}, line {number}"
        if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):
            given = stamp if len(stamp) <= 40 else stamp[:37] + "..."
            raise WorldError(f'{at}: is "{given}", but must be a whole number of milliseconds')
        time_ns = int(stamp) * 10**6
        if times and time_ns < times[-1]:
            raise WorldError(f"{at}: is {stamp}, but must not be less than the line before")
        if len(times) == ROWS_MAX:
            raise WorldError(f"{at}: is one line too many, a recording has at most {ROWS_MAX}")
        times.append(time_ns)
    if not times:
        raise WorldError(f"{source}: has no lines, but must have one at least, each in milliseconds")
    period_ns = times[-1]
    if period_ns == 0:
        raise WorldError(f"{source}: ends at 0 ms, but must end later: there it begins anew")
    start_ns = _start_ns(start_s, period_ns, source)
    stamps = np.array(times, dtype=np.int64) - start_ns
    past = stamps < 0
    stamps = np.concatenate([stamps[~past], stamps[past] + period_ns])
    return Series(stamps, np.full(len(stamps), float(opportunity_bytes)), "deliveries", period_ns)


def _csv_series(
    times: Sequence[int],
    values: Sequence[float],
    interpolation: str,
    repeat: bool,
    start_s: float,
    source: str,
) -> Series:
    """The series that begins `start_s` into a recording, with a value at time 0."""
    stamps, found = np.array(times, dtype=np.int64), np.array(values, dtype=np.float64)
    last_ns = int(stamps[-1])
    start_ns = _start_ns(start_s, last_ns, source)
    # the last row holds as long as a row does in the mean
    rows = len(stamps)
    period_ns = last_ns + round(last_ns / (rows - 1)) if repeat and rows > 1 else 0
    at_start = max(0, int(np.searchsorted(stamps, start_ns, side="right")) - 1)
    here = found[at_start] if interpolation == "steps" else np.interp(start_ns, stamps, found)
    to_come = stamps > start_ns
    parts: list[NDArray[np.int64]] = [np.zeros(1, np.int64), stamps[to_come] - start_ns]
    of_parts: list[NDArray[np.float64]] = [np.array([here]), found[to_come]]
    if period_ns:
        past = stamps < start_ns
        parts.append(stamps[past] - start_ns + period_ns)
        of_parts.append(found[past])
    return Series(np.concatenate(parts), np.concatenate(of_parts), interpolation, period_ns)


def _start_ns(start_s: float, length_ns: int, source: str) -> int:
    if not 0.0 <= start_s * 1e9 <= length_ns:
        raise WorldError(
            f"{source}: start_s is {start_s:g}, but must be from 0 to {length_ns / 1e9:g}, its end"
        )
    return round(start_s * 1e9)


def _rows(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of every row that is not empty."""
    reader = csv.reader(io.StringIO(text))
    try:
        for row in reader:
            if any(field.strip() for field in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise WorldError(f"{source}, line {reader.line_num}: is not CSV ({error})") from None


def _header(rows: Iterator[tuple[int, list[str]]], source: str) -> list[str]:
    header = [name.strip() for name in next(rows, (0, []))[1]]
    if not header:
        raise WorldError(f"{source}: is empty, but must have a header and rows")
    return header


def _columns(header: list[str], quantity: str, columns: Columns, source: str) -> tuple[int, int]:
    """Where the columns of time and value are."""
    listed = ",".join(header)
    shown = f'{source}, line 1: the header is "{listed if len(listed) <= 60 else listed[:57] + "..."}"'
    for name in filter(None, (columns.time, columns.value)):
        if header.count(name) != 1:
            raise WorldError(f'{shown}, but must have a column "{name}", once')
    time = columns.time or next((name for name in _CLOCKS if header.count(name) == 1), "")
    if not time:
        raise WorldError(f"{shown}, but must have one of {', '.join(_CLOCKS)}, or its time column be named")
    fitting = [name for name in header if name != time and _unit_in(name, quantity)]
    if not columns.value and len(fitting) != 1:
        units = " or ".join(f"_{unit}" for unit in UNITS[quantity])
        raise WorldError(
            f"{shown}, but must have one column that ends in {units}, or its value column be named"
        )
    return header.index(time), header.index(columns.value or fitting[0])


def _unit_in(name: str, quantity: str) -> str:
    """The unit that a column's name ends in; empty when it is none of the quantity."""
    ending = name.lower().rsplit("_", 1)[-1]
    if quantity == "loss" and ending == "loss":
        return "share"
    return ending if ending in UNITS[quantity] else ""


def _units(time: str, value: str, quantity: str, columns: Columns, source: str) -> tuple[str, float]:
    """The unit of time, and what a value is multiplied by."""
    time_unit = columns.time_unit or time.lower().rsplit("_", 1)[-1]
    if time_unit not in TIME_UNITS:
        raise WorldError(f'{source}: the unit of "{time}" must be stated, one of {", ".join(TIME_UNITS)}')
    unit = columns.unit or _unit_in(value, quantity)
    if unit not in UNITS[quantity]:
        raise WorldError(
            f'{source}: the unit of "{value}" must be stated, one of {", ".join(UNITS[quantity])}'
        )
    return time_unit, UNITS[quantity][unit]


def _time_ns(text: str, unit: str, at: str, name: str) -> int:
    """A time in ns, exact: seconds since 1970 in floating point would be off by a tenth of a microsecond."""
    given = text.strip()
    try:
        if unit == "utc":
            if not given.endswith("Z"):
                raise ValueError
            since = datetime.fromisoformat(given).astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
            return ((since.days * 86_400 + since.seconds) * 10**6 + since.microseconds) * 1000
        number = Decimal(given)  # of NaN a comparison is an invalid operation
        if abs(number) <= _LATEST_NS // TIME_UNITS[unit]:
            return round(number * TIME_UNITS[unit])
    except (ValueError, InvalidOperation):
        pass
    allowed = "a UTC time such as 2025-10-01T12:00:00Z" if unit == "utc" else f"a time in {unit}"
    raise WorldError(f'{at}: {name} is "{given[:40]}", but must be {allowed}')


def _value(text: str, missing: float | None, most: float, at: str, name: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if missing is not None and value == missing:
        return None
    if not 0.0 <= value <= most:
        raise WorldError(f'{at}: {name} is "{text.strip()[:40]}", but must be a number from 0 to {most:g}')
    return value
