"""Telemetry records as InfluxDB line protocol.

    link,kind=isl,link=a>b,run=laptop-20260304T050607Z delay_mean_ms=12.5,packets_in=40 1772600767000000000

Every number and every truth value is written as a float: a database takes the type of a field from the
first value it sees, and would refuse 12.5 after a 12. Samples stay in the run's own file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from nodes.wire import Record

#: a field of this name is dropped by the database, and a tag of this name refused
_RESERVED: Final = {"time": "time_"}
# A backslash has no escape of its own outside strings, and a line end has none at all.
_MEASUREMENT: Final = str.maketrans({"\\": "/", "\n": "\\ ", "\r": "\\ ", ",": "\\,", " ": "\\ "})
_KEY: Final = str.maketrans({"\\": "/", "\n": "\\ ", "\r": "\\ ", ",": "\\,", " ": "\\ ", "=": "\\="})
_TEXT: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": " ", "\r": " "})


@lru_cache(maxsize=4096)
def _key(text: str) -> str:
    return _RESERVED.get(text, text).translate(_KEY)


def _value(value: bool | int | float | str) -> str | None:
    if isinstance(value, str):
        return f'"{value.translate(_TEXT)}"'
    try:
        number = float(value)
    except OverflowError:
        return None
    return repr(number) if math.isfinite(number) else None


def line(record: Record, epoch_offset_ns: int, tags: Mapping[str, str]) -> str | None:
    """One line, without its end; None when the record has no field that can be written.

    `epoch_offset_ns` turns t_ns into ns since 1970 UTC; `tags` are added (and win over the record's own).
    Numbers that are not finite and tags without a value are left out: the protocol has no place for them.
    """
    fields = []
    for name, value in record.fields.items():
        text = _value(value)
        if text is not None and name:
            fields.append(f"{_key(name)}={text}")
    if not fields or not record.measurement:
        return None
    head = record.measurement.translate(_MEASUREMENT)
    if head.startswith("#"):
        head = "_" + head  # a line that begins with # is a comment, and dropped without a word
    # in the order of their names, which is what the database would have to sort them into
    for name, value in sorted({**record.tags, **tags}.items()):
        if name and value:
            head += f",{_key(name)}={value.translate(_KEY)}"
    return f"{head} {','.join(fields)} {record.t_ns + epoch_offset_ns}"


def lines(records: Iterable[Record], epoch_offset_ns: int, tags: Mapping[str, str]) -> list[str]:
    """The lines of records; see `line`. What cannot be written is not among them."""
    made = (line(record, epoch_offset_ns, tags) for record in records)
    return [one for one in made if one is not None]
