"""Two- and three-line element sets: text to SGP4 records, and records to text.

Every line is checked (length, checksum, numbers) before SGP4's own reader sees it, so that what is wrong
is said with the number of the line. Which sets belong to one satellite is `emulator.orbits.elements`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from sgp4.api import Satrec

from emulator.errors import ElementsError

#: columns (from zero) of the numbers in the two lines: what, first, end, allowed range
_LINE_1_NUMBERS = (("epoch year", 18, 20, 0.0, 99.0), ("epoch day", 20, 32, 1.0, 367.0))
_LINE_2_NUMBERS = (
    ("inclination", 8, 16, 0.0, 180.0),
    ("right ascension", 17, 25, 0.0, 360.0),
    ("argument of perigee", 34, 42, 0.0, 360.0),
    ("mean anomaly", 43, 51, 0.0, 360.0),
    ("mean motion", 52, 63, 0.0, 20.0),
)
#: what a character counts in the checksum: digits their value, a minus one, others nothing
_COUNTS = bytes(c - 48 if 48 <= c <= 57 else int(c == 45) for c in range(256))
#: what is quoted of a line that is not understood, characters
_QUOTED = 24
#: column 63 of line 1 in sets of SGP4-XP, whose elements are others
_SGP4_XP = "4"
#: drag terms are smaller, one over Earth radii
_MOST_DRAG = 10.0
#: leading characters of catalogue numbers from 100000: the letters without I and O
_ALPHA_5 = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_REV_PER_DAY = 1440.0 / (2.0 * math.pi)  # of rad/min
#: the years that two digits stand for: 57 and above are of the last century
_YEARS = (1957, 2056)
#: Julian day of the midnight at which the first of these begins, and at which the last is over
_FIRST_DAY, _PAST_DAY = 2_435_839.5, 2_472_364.5


def parse_tle(text: str) -> list[tuple[str, Any, int]]:
    """(name, record, catalogue number) of every set, in order; the name is empty where none is given.

    Blank lines, lines starting with # and what stands behind column 69 are passed over. Raises
    `ElementsError` ("line N: ...").
    """
    found: list[tuple[str, Any, int]] = []
    name = ""
    first: tuple[int, str] | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.rstrip()
        if not line or line.startswith("#"):
            continue
        if first is None:
            if line.startswith("1 ") and len(line) > 24:
                _check_line(number, line, 1, _LINE_1_NUMBERS)
                if line[62] == _SGP4_XP:
                    raise ElementsError(
                        f"line {number}: ephemeris type is 4 (SGP4-XP), should be that of SGP4"
                    )
                first = (number, line[:69])
            elif line.startswith("2 ") and len(line) >= 60:
                raise ElementsError(f"line {number}: a line 2 without its line 1 before it")
            elif name:
                raise ElementsError(
                    f"line {number}: expected line 1 of {name[:_QUOTED]!r} (starting with '1 '), "
                    f"got {line[:_QUOTED]!r}"
                )
            else:
                name = line[2:].strip() if line.startswith("0 ") else line.strip()
            continue
        if not line.startswith("2 "):
            raise ElementsError(
                f"line {number}: expected line 2 (starting with '2 '), got {line[:_QUOTED]!r}"
            )
        _check_line(number, line, 2, _LINE_2_NUMBERS)
        if not line[26:33].replace(" ", "0").isdigit():
            raise ElementsError(f"line {number}: eccentricity is {line[26:33]!r}, should be seven digits")
        if line[2:7] != first[1][2:7]:
            raise ElementsError(
                f"line {number}: satellite number is {line[2:7].strip()}, "
                f"line {first[0]} says {first[1][2:7].strip()}"
            )
        satellite = _satrec(first, line[:69])
        found.append((name, satellite, int(satellite.satnum)))
        name, first = "", None
    if first is not None:
        raise ElementsError(f"line {first[0]}: line 1 without a line 2 after it")
    if name:
        raise ElementsError(f"the text ends after the name {name[:_QUOTED]!r}, its two lines are missing")
    return found


def tle_text(elements: Iterable[tuple[str, Any]]) -> str:
    """Named records as three-line sets. Digits are rounded: up to some ten metres at the epoch."""
    lines: list[str] = []
    for name, record in elements:
        lines.append(name)
        lines.extend(tle_lines(record))
    return "\n".join(lines) + "\n"


def tle_lines(record: Any) -> tuple[str, str]:
    """The two lines of a record. Raises `ElementsError` when an element does not fit its columns."""
    if not _FIRST_DAY <= record.jdsatepoch + record.jdsatepochF < _PAST_DAY:
        raise ElementsError(
            f"satellite {record.satnum}: its epoch is Julian day {record.jdsatepoch:.1f}, a TLE is for "
            f"the years {_YEARS[0]} to {_YEARS[1]}"
        )
    number = record.satnum_str.rjust(5, "0")
    # zero in front of the point is left out in this one column
    rate = f"{record.ndot * _REV_PER_DAY * 1440.0: .8f}".replace("0.", ".", 1)
    first = (
        f"1 {number}{(record.classification or 'U').strip() or 'U'} {record.intldesg or '':8} "
        f"{record.epochyr % 100:02d}{record.epochdays:012.8f} {rate} "
        f"{_power(record.nddot * _REV_PER_DAY * 1440.0**2, '-')} {_power(record.bstar, '+')} "
        f"{record.ephtype or 0} {record.elnum or 0:4d}"
    )
    second = _second(
        number,
        (record.inclo, record.nodeo, record.argpo, record.mo),
        record.ecco,
        record.no_kozai * _REV_PER_DAY,
        record.revnum,
    )
    if len(first) != 68 or len(second) != 68:
        raise ElementsError(f"satellite {record.satnum}: its elements do not fit the columns of a TLE")
    return _sealed(first), _sealed(second)


def circular_lines(
    number: int,
    epoch: tuple[int, float],
    angles_rad: tuple[float, float, float],
    revolutions_per_day: float,
) -> tuple[str, str]:
    """The two lines of a circular orbit without drag, as `tle_lines` writes them.

    `number` up to 339999 (above 99999 in Alpha-5); `epoch`: year and day of the year (from 1) with its
    fraction; `angles_rad`: inclination, right ascension of the node, angle along from the node. Raises
    `ElementsError` for a year that two digits do not tell.
    """
    year, day = epoch
    if not _YEARS[0] <= year <= _YEARS[1]:
        raise ElementsError(
            f"satellites are generated at the start of the run, in the year {year}, "
            f"allowed: {_YEARS[0]} to {_YEARS[1]} (a TLE has two digits for it)"
        )
    inclination, node, along = angles_rad
    known = f"{number:05d}" if number < 100_000 else f"{_ALPHA_5[number // 10_000 - 10]}{number % 10_000:04d}"
    first = f"1 {known}U          {year % 100:02d}{day:012.8f}  .00000000  00000-0  00000+0 0    0"
    return _sealed(first), _sealed(
        _second(known, (inclination, node, 0.0, along), 0.0, revolutions_per_day, 0)
    )


def _second(
    number: str,
    angles_rad: tuple[float, float, float, float],
    eccentricity: float,
    revolutions_per_day: float,
    revolution: int,
) -> str:
    inclination, node, perigee, anomaly = (math.degrees(angle) for angle in angles_rad)
    return (
        f"2 {number} {inclination:8.4f} {node:8.4f} {round(eccentricity * 1e7):07d} "
        f"{perigee:8.4f} {anomaly:8.4f} {revolutions_per_day:11.8f}{revolution:5d}"
    )


def _power(value: float, zero_sign: str) -> str:
    """A number in the eight columns of ` 12345-6`, which is 0.12345e-6."""
    digits, exponent = f"{abs(value):.4e}".split("e")
    power = int(exponent) + 1
    if value == 0.0 or power < -9:
        return f" 00000{zero_sign}0"
    return f"{'-' if value < 0.0 else ' '}{digits[0]}{digits[2:]}{power:+d}"


def _sealed(line: str) -> str:
    return f"{line}{_checksum(line)}"


def _checksum(line: str) -> int:
    return sum(line[:68].encode("ascii", "replace").translate(_COUNTS)) % 10


def _satrec(first: tuple[int, str], second: str) -> Any:
    number, line = first
    try:
        record = Satrec.twoline2rv(line, second)
    except ValueError as error:
        raise ElementsError(f"line {number}: {str(error).splitlines()[0]}") from None
    if not abs(record.bstar) <= _MOST_DRAG:  # not a number where the reader could make nothing of it
        raise ElementsError(
            f"line {number}: drag term is {line[53:61]!r}, should be like ' 12345-3' "
            f"and at most {_MOST_DRAG:g}"
        )
    return record


def _check_line(
    number: int, line: str, kind: int, fields: tuple[tuple[str, int, int, float, float], ...]
) -> None:
    if len(line) < 69:
        raise ElementsError(f"line {number}: line {kind} has {len(line)} characters, should be 69")
    if not line[:69].isascii():
        raise ElementsError(f"line {number}: line {kind} has other characters than those of ASCII")
    should_be = _checksum(line)
    if line[68] != str(should_be):
        raise ElementsError(f"line {number}: checksum is {line[68]}, should be {should_be}")
    known = line[2:7].strip()
    if not (known.isdigit() or (len(known) == 5 and known[0] in _ALPHA_5 and known[1:].isdigit())):
        raise ElementsError(
            f"line {number}: satellite number is {line[2:7]!r}, should be digits, "
            "the first of five may be a letter but I and O"
        )
    for what, start, end, low, high in fields:
        try:
            value = float(line[start:end].replace("_", "?"))  # as a digit's neighbour Python allows it
        except ValueError:
            raise ElementsError(f"line {number}: {what} is {line[start:end]!r}, should be a number") from None
        if not low <= value <= high:
            raise ElementsError(f"line {number}: {what} is {value:g}, allowed: {low:g} to {high:g}")
