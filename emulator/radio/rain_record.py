"""Rain that was recorded: rain rates over time from a CSV file, and the attenuation they make.

A file has a header and the columns `rain_rate_mm_h`, one of `utc` (ISO 8601 with Z) and `t_s` (seconds of
the run), and `place` where it tells places apart. Between rows a rate is linear in time; before the
first and after the last there is no rain. Attenuation is that of `rain.slant_attenuation_db`.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from emulator.errors import WorldError
from emulator.radio import slant_path
from emulator.radio.attenuation_table import LEAST_ELEVATION_DEG
from emulator.radio.rain import slant_attenuation_db
from emulator.spec import Place

#: above the highest rates ever recorded over a minute (WMO: 31 mm in one minute, 1,872 mm/h)
HIGHEST_RATE_MM_H: Final = 2000.0
_COLUMNS = ("utc", "t_s", "rain_rate_mm_h", "place")


@dataclass(frozen=True)
class RainRecord:
    """Rates over time by place; the place "" stands for every place the file does not name."""

    #: place -> times in s (of the run, or since 1970 with `absolute`), rising
    times_s: Mapping[str, tuple[float, ...]]
    rates_mm_h: Mapping[str, tuple[float, ...]]
    #: whether times are those of `utc`
    absolute: bool

    @property
    def places(self) -> tuple[str, ...]:
        """The places that the file names; empty when it holds for all alike."""
        return tuple(name for name in self.times_s if name)

    def rate_mm_h(self, place: str, t_s: float) -> float:
        """Rain rate in mm/h over a place; `t_s` counts as the record's times do."""
        name = place if place in self.times_s else ""
        times = self.times_s.get(name, ())
        if not times or not times[0] <= t_s <= times[-1]:
            return 0.0
        rates = self.rates_mm_h[name]
        after = bisect_right(times, t_s)
        if after == len(times):
            return rates[-1]
        share = (t_s - times[after - 1]) / (times[after] - times[after - 1])
        return rates[after - 1] + share * (rates[after] - rates[after - 1])


def read_text(path: str | Path) -> str:
    """The text of a record, unpacked if it is gzip. Raises `WorldError` naming the file."""
    try:
        raw = Path(path).read_bytes()
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WorldError(f"{path}: is not text; expected CSV with rain_rate_mm_h and utc or t_s") from None
    except (OSError, EOFError, zlib.error) as error:
        raise WorldError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def parse(text: str, source: str = "rain record") -> RainRecord:
    """A record from the content of a CSV file; `source` names it in errors.

    Raises `WorldError`: source, line, value given and what is allowed.
    """
    lines = _rows(text, source)
    header = [name.strip() for name in next(lines, (0, []))[1]]
    _check_header(header, source)
    absolute = "utc" in header
    clock = header.index("utc" if absolute else "t_s")
    rain = header.index("rain_rate_mm_h")
    where = header.index("place") if "place" in header else None
    times: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    for number, row in lines:
        at = f"{source}, line {number}"
        if len(row) != len(header):
            raise WorldError(f"{at}: has {len(row)} fields, but must have {len(header)} as the header has")
        t_s = _utc(row[clock], at) if absolute else _number(row[clock], at, "t_s", -1e12, 1e12)
        rate = _number(row[rain], at, "rain_rate_mm_h", 0.0, HIGHEST_RATE_MM_H)
        place = row[where].strip() if where is not None else ""
        so_far = times.setdefault(place, [])
        if so_far and t_s <= so_far[-1]:
            name = "utc" if absolute else "t_s"
            given = row[clock].strip()
            raise WorldError(f"{at}: {name} is {given}, but must be later than in the row before")
        so_far.append(t_s)
        rates.setdefault(place, []).append(rate)
    if not times:
        raise WorldError(f"{source}: has no rows below its header, but must have one at least")
    return RainRecord(
        {place: tuple(values) for place, values in times.items()},
        {place: tuple(values) for place, values in rates.items()},
        absolute,
    )


class RecordedRain:
    """The attenuation that a record's rain makes at places, in a run that starts at `start_utc`.

    `offset_s`: how far into the record the run begins. Circular polarization unless told otherwise.
    """

    def __init__(
        self,
        places: Sequence[Place],
        record: RainRecord,
        start_utc: str,
        *,
        offset_s: float = 0.0,
        polarization_deg: float = 45.0,
        rain_height_km: Mapping[str, float] | None = None,
    ) -> None:
        """Look up the rain height (ITU-R P.839) of each place, unless `rain_height_km` has it by id."""
        self._places = {place.id: place for place in places}
        self._record = record
        self._shift_s = offset_s + (_utc(start_utc, "start_utc") if record.absolute else 0.0)
        self._polarization_deg = polarization_deg
        given = rain_height_km or {}
        self._heights_km = {
            place.id: given[place.id] if place.id in given else slant_path.rain_height_km(place)
            for place in places
        }

    def rate_mm_h(self, place: str, t_s: float) -> float:
        """Rain rate in mm/h over a place id at run time `t_s`; 0 at a place that has no rain."""
        return self._record.rate_mm_h(place, t_s + self._shift_s) if place in self._places else 0.0

    def attenuation_db(self, place: str, t_s: float, elevation_deg: float, frequency_ghz: float) -> float:
        """Rain attenuation in dB of a path from a place id at run time `t_s`; below 5 degrees that at 5."""
        rate = self.rate_mm_h(place, t_s)
        if rate <= 0.0:
            return 0.0
        here = self._places[place]
        return slant_attenuation_db(
            rate,
            frequency_ghz,
            max(elevation_deg, LEAST_ELEVATION_DEG),
            here.latitude_deg,
            self._heights_km[place],
            here.altitude_m / 1e3,
            self._polarization_deg,
        )


def _rows(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of every row that is not empty."""
    reader = csv.reader(io.StringIO(text))
    try:
        for row in reader:
            if any(field.strip() for field in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise WorldError(f"{source}, line {reader.line_num}: is not CSV ({error})") from None


def _check_header(header: list[str], source: str) -> None:
    shown = ",".join(header) if len(",".join(header)) <= 60 else ",".join(header)[:57] + "..."
    wanted = f'{source}, line 1: the header is "{shown}", but must have rain_rate_mm_h and one of utc and t_s'
    if "rain_rate_mm_h" not in header or ("utc" in header) == ("t_s" in header):
        raise WorldError(wanted)
    if len(set(header)) != len(header) or not set(header) <= set(_COLUMNS):
        raise WorldError(f"{wanted}, each once, and besides them only place")


def _number(text: str, at: str, name: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise WorldError(f'{at}: {name} is "{text.strip()}", but must be a number from {low:g} to {high:g}')
    return value


def _utc(text: str, at: str) -> float:
    try:
        if not text.strip().endswith("Z"):
            raise ValueError
        return datetime.fromisoformat(text.strip()).astimezone(UTC).timestamp()
    except ValueError:
        raise WorldError(
            f'{at}: utc is "{text.strip()}", but must be a UTC time such as 2025-10-01T12:00:00Z'
        ) from None
