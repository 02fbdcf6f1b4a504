"""Which columns of a table hold time, value and number, and in which unit: as told, or by their names.

Nothing is read here; `table` asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from testbed.errors import BadInput
from testbed.measured.measurement import Quantity

#: seconds, or ms, of each unit of time
TIME_UNITS_S: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_TIME_NAMES: Final = {
    "s": "s", "sec": "s", "secs": "s", "seconds": "s", "second": "s", "ms": "ms", "msec": "ms",
    "milliseconds": "ms", "us": "us", "usec": "us", "microseconds": "us", "ns": "ns", "nsec": "ns",
    "nanoseconds": "ns",
}  # fmt: skip
#: Mbit/s of each unit of rate
RATE_UNITS_MBPS: Final = {"bps": 1e-6, "kbps": 1e-3, "mbps": 1.0, "gbps": 1e3}
_RATE_NAMES: Final = {
    "bps": "bps", "bit": "bps", "bits": "bps", "kbps": "kbps", "kbit": "kbps", "mbps": "mbps", "mbit": "mbps",
    "mbits": "mbps", "gbps": "gbps", "gbit": "gbps",
}  # fmt: skip

#: processed results of irtt in the LENS data sets: ms, -1 where the probe was lost, then 0 in the others
LENS_COLUMNS: Final = frozenset(("rtt", "uplink", "downlink"))
#: words of names, most telling first
_CLOCK_WORDS: Final = ("unix", "epoch", "posix", "utc", "timestamp", "datetime", "time", "date", "ts", "t")
_SENT_WORDS: Final = ("sent", "send", "tx", "stime", "departure")
_RECEIVED_WORDS: Final = ("received", "recv", "receive", "rx", "rtime", "arrival", "rcvd")
_NUMBER_NAMES: Final = (
    "seq", "icmp_seq", "seqno", "seq_no", "seqnum", "seq_num", "sequence", "sequence_number", "packet_number",
    "probe_number",
)  # fmt: skip
_VALUE_WORDS: Final[dict[Quantity, tuple[str, ...]]] = {
    "rtt": ("rtt", "ping", "latency", "roundtrip", "pingavg"),
    "delay": ("delay", "owd", "oneway"),
    "rate": (
        "mbps", "kbps", "bps", "gbps", "mbit", "throughput", "goodput", "bandwidth", "download", "upload",
        "bitrate", "rate",
    ),
}  # fmt: skip
#: words that make of a value's name something derived from it
_DERIVED: Final = frozenset(
    ("var", "rttvar", "std", "stddev", "mdev", "sd", "loss", "min", "max", "best", "worst", "jitter", "count",
     "start", "end", "send", "sent", "packets", "priority")
)  # fmt: skip
_KEYS: Final = ("time", "value", "seq", "received", "bound", "unit", "time_unit", "lost", "stamped", "flow")


@dataclass(frozen=True)
class Columns:
    """Columns by name, or by place from 1 on; empty: found by their names."""

    time: str = ""
    value: str = ""
    seq: str = ""
    #: of the far end's stamp: the value is what lies between
    received: str = ""
    #: of how far the clocks may differ, in the unit of its name
    bound: str = ""
    unit: str = ""
    time_unit: str = ""
    #: value of probes that were lost: a number, nan, or none
    lost: str = ""
    stamped: Literal["", "sent", "received"] = ""
    #: part of the name of a flow, where a file holds several
    flow: str = ""

    @classmethod
    def parse(cls, text: str) -> Columns:
        """From `time=COL,value=COL[,seq=COL][,unit=UNIT]...`, of captures and runs `flow=NAME`.

        Raises `BadInput` naming the key.
        """
        values: dict[str, str] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            key, equals, value = (part.strip() for part in entry.partition("="))
            if not equals or not value or key not in _KEYS:
                raise BadInput(f"--columns {entry}: must be KEY=COLUMN, keys: {', '.join(_KEYS)}")
            values[key] = value
        allowed = {
            "unit": (*TIME_UNITS_S, *RATE_UNITS_MBPS),
            "time_unit": (*TIME_UNITS_S, "utc"),
            "stamped": ("sent", "received"),
        }
        for key, choices in allowed.items():
            if key in values and values[key] not in choices:
                raise BadInput(f"--columns {key}={values[key]}: allowed: {', '.join(choices)}")
        if "lost" in values and values["lost"] not in ("nan", "none") and not _number(values["lost"]):
            raise BadInput(f"--columns lost={values['lost']}: must be a number, nan or none")
        return replace(cls(), **values)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Chosen:
    """Indices of columns, -1 where there is none, and units."""

    quantity: Quantity
    time: int
    #: "" to be told by the size of the first, "utc" for texts
    time_unit: str
    value: int
    #: "" to be told by the size of the values
    unit: str
    number: int = -1
    received: int = -1
    received_unit: str = ""
    bound: int = -1
    bound_unit: str = ""
    #: other columns in which -1 says that the probe was lost
    also_lost: tuple[int, ...] = ()
    #: what had to be assumed, a sentence each
    remarks: tuple[str, ...] = ()


def choose(name: str, header: Sequence[str], columns: Columns, quantity: Quantity | None) -> Chosen:
    """Time, value and number among the names of `header`; what the user says in `columns` comes first.

    Raises `BadInput` naming the file, and the columns that there are, when they cannot be told.
    """
    words = [_words(column) for column in header]
    of_lens = {one.strip(): index for index, one in enumerate(header) if one.strip() in LENS_COLUMNS}
    if len(of_lens) == len(LENS_COLUMNS) and not columns.value:
        columns = replace(
            columns, value="uplink" if quantity == "delay" else "rtt", unit=columns.unit or "ms"
        )
    place = {key: _place(name, header, getattr(columns, key)) for key in
             ("time", "value", "seq", "received", "bound")}  # fmt: skip
    time = place["time"] if place["time"] >= 0 else _clock(words, place["value"])
    received = place["received"]
    if received < 0 and place["value"] < 0 and place["time"] < 0:
        time, received = _both_ends(words, time)
    if time < 0:
        raise BadInput(
            f"{name}: no column of times is known by its name among {', '.join(header)}; say which with "
            "--columns time=COLUMN,value=COLUMN"
        )
    remarks: list[str] = []
    value, found = place["value"], quantity
    if received >= 0:
        value, found = time, quantity or "delay"
    elif value < 0:
        value, found, others = _value(words, quantity, time)
        if value < 0:
            wanted = {None: "values", "rtt": "round-trip times", "delay": "delays", "rate": "throughput"}
            raise BadInput(
                f"{name}: no column of {wanted[quantity]} is known by its name among {', '.join(header)}; "
                "say which with --columns value=COLUMN"
            )
        if others:
            remarks.append(
                f"the values are those of {header[value]}; there are also "
                f"{', '.join(header[other] for other in others)} (--columns value=NAME)"
            )
    if found is None:
        found = _quantity(words[value], columns.unit)
    also_lost: tuple[int, ...] = ()
    if len(of_lens) == len(LENS_COLUMNS) and value in of_lens.values():
        found = "rtt" if value == of_lens["rtt"] else "delay"
        also_lost = tuple(place for place in of_lens.values() if place != value)
    unit = columns.unit or _unit(words[value], found)
    if columns.unit and (columns.unit in RATE_UNITS_MBPS) != (found == "rate"):
        raise BadInput(f"--columns unit={columns.unit}: is no unit of {header[value]}, taken for {found}")
    number = place["seq"]
    if number < 0 and not columns.seq:
        number = next((i for i, one in enumerate(header) if one.strip().lower() in _NUMBER_NAMES), -1)
    if number in (time, value):
        number = -1
    bound = place["bound"] if place["bound"] >= 0 else -1
    return Chosen(
        found, time, columns.time_unit or _time_unit(words[time]), value, unit, number, received,
        _time_unit(words[received]) if received >= 0 else "", bound,
        _time_unit(words[bound]) if bound >= 0 else "", also_lost, tuple(remarks),
    )  # fmt: skip


def _place(name: str, header: Sequence[str], column: str) -> int:
    if not column:
        return -1
    for index, one in enumerate(header):
        if one.strip() == column:
            return index
    if column.isdigit() and 1 <= int(column) <= len(header):
        return int(column) - 1
    raise BadInput(f"{name}: there is no column {column!r}; there are {', '.join(header)}")


def _words(column: str) -> list[str]:
    apart = re.sub(r"([a-z])([A-Z])", r"\1_\2", column.strip())
    return [word for word in re.split(r"[^a-z0-9]+", apart.lower().replace("one_way", "oneway")) if word]


def _clock(words: list[list[str]], value: int) -> int:
    for wanted in (*_CLOCK_WORDS, *_SENT_WORDS):
        for index, one in enumerate(words):
            if index != value and one and one[0] == wanted:
                rest = set(one[1:]) - set(_TIME_NAMES) - {"start", "stamp", "utc", "dl", "local", "since"}
                if not rest & (_DERIVED | {"zone", "out"}) and not rest & set(_RECEIVED_WORDS):
                    return index
    return -1


def _both_ends(words: list[list[str]], time: int) -> tuple[int, int]:
    """Columns of sending and of receiving, where there are both and no column of values."""
    sent = next((i for i, one in enumerate(words) if set(one) & set(_SENT_WORDS) and _timely(one)), -1)
    received = next(
        (i for i, one in enumerate(words) if set(one) & set(_RECEIVED_WORDS) and _timely(one)), -1
    )
    if received < 0 or sent < 0 or any(_kind(one) for one in words):
        return time, -1
    return sent, received


def _timely(words: list[str]) -> bool:
    return not set(words) & {"bytes", "packets", "bit", "bits", "err", "error", "sync"}


def _kind(words: list[str]) -> Quantity | None:
    joined = {*words, "".join(words[:2])}
    if joined & _DERIVED:
        return None
    for quantity, wanted in _VALUE_WORDS.items():
        if joined & set(wanted) or any(
            word.startswith(("rtt", "ping")) for word in words if quantity == "rtt"
        ):
            return quantity
    return None


def _value(
    words: list[list[str]], quantity: Quantity | None, time: int
) -> tuple[int, Quantity | None, list[int]]:
    found = [(index, _kind(one)) for index, one in enumerate(words) if index != time and _kind(one)]
    if quantity is None and found:
        quantity = found[0][1]
    of_it = [index for index, one in found if one == quantity]
    if not of_it:
        return -1, quantity, []
    with_unit = [index for index in of_it if quantity and _unit(words[index], quantity)]
    value = (with_unit or of_it)[0]
    return value, quantity, [index for index in of_it if index != value]


def _quantity(words: list[str], unit: str) -> Quantity:
    if unit:
        return "rate" if unit in RATE_UNITS_MBPS else _kind(words) or "rtt"
    return _kind(words) or "rtt"


def _unit(words: list[str], quantity: Quantity) -> str:
    names = _RATE_NAMES if quantity == "rate" else _TIME_NAMES
    return next((names[word] for word in reversed(words) if word in names), "")


def _time_unit(words: list[str]) -> str:
    return _TIME_NAMES.get(words[-1], "") if len(words) > 1 else ""


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
