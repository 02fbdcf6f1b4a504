"""What `iperf3 --json` and `--json-stream` write: throughput by interval, of all streams together.

The formats are those of iperf 3.1 to 3.18 (esnet/iperf): bits_per_second of each interval's sum, seconds
since the start, which is known to the second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from testbed.errors import BadInput
from testbed.measured.formats.assembling import Rows
from testbed.measured.formats.json_stream import Items
from testbed.measured.formats.source import Source
from testbed.measured.measurement import Measurement


def recognises(head: bytes) -> bool:
    """Whether it is a result of iperf3."""
    return b'"iperf 3' in head or b'"intervals"' in head or b'"event":"start"' in head.replace(b" ", b"")


def read(source: Source) -> Measurement:
    """Throughput at the beginning of each interval. Raises `BadInput`, with iperf3's own error."""
    by_line = b'"event"' in source.head.split(b"\n", 1)[0]
    intervals = _by_line(source) if by_line else _of_document(source)
    start_s = next(intervals)
    rows = Rows(source.name, "rate")
    times_s: list[float] = []
    rates: list[float] = []
    omitted = 0
    for index, interval in enumerate(intervals):
        try:
            whole = interval.get("sum") or _together(interval["streams"])
            omitted += bool(whole.get("omitted"))
            if not whole.get("omitted"):
                times_s.append(float(start_s) + float(whole["start"]))
                rates.append(float(whole["bits_per_second"]) / 1e6)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise BadInput(
                f"{source.name}: intervals[{index}] must have sum or streams with start and bits_per_second"
            ) from None
    if not times_s:
        raise BadInput(f"{source.name}: has no intervals{_error_of(source)}")
    if not float(start_s):
        rows.remarks.append("the start is not known; times count from it")
    if omitted:
        rows.remarks.append(f"intervals left out that iperf3 was told to omit: {omitted}")
    rows.add(np.array(times_s), np.array(rates))
    return rows.measurement(losses_known=False)


def _of_document(source: Source) -> Iterator[Any]:
    try:
        items = Items(source, "intervals")
    except BadInput as error:
        raise BadInput(f"{error}{_error_of(source)}") from None
    found = re.search(r'"timesecs"\s*:\s*(\d+)', items.before)
    yield float(found.group(1)) if found else 0.0
    yield from items


def _by_line(source: Source) -> Iterator[Any]:
    events = (
        (line, text) for line, text in enumerate(b"".join(source.blocks()).splitlines(), 1) if text.strip()
    )
    start_s: float | None = None
    for line, text in events:
        try:
            event = json.loads(text)
            kind, data = event["event"], event["data"]
            if kind == "start":
                start_s = float(data.get("timestamp", {}).get("timesecs", 0))
                yield start_s
            elif kind == "interval":
                if start_s is None:
                    start_s = 0.0
                    yield start_s
                yield data
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadInput(
                f"{source.name}: line {line}: must be an object with event and data, or breaks off"
            ) from None
    if start_s is None:
        yield 0.0


def _together(streams: list[dict[str, Any]]) -> dict[str, Any]:
    return {**streams[0], "bits_per_second": sum(float(one["bits_per_second"]) for one in streams)}


def _error_of(source: Source) -> str:
    found = re.search(rb'"error"\s*:\s*"([^"]*)"', source.head)
    return f" (iperf3 says: {found.group(1).decode('utf-8', 'replace')})" if found else ""
