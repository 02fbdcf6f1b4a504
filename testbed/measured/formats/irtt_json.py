"""What `irtt client -o` writes: round trips of probes with their numbers, and one-way delays by two clocks.

The format is that of irtt 0.9 (heistp/irtt, irtt-client(1)): times in ns, "lost" one of false, true, true_up
and true_down.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import numpy as np

from testbed.errors import BadInput
from testbed.measured.formats.assembling import Rows
from testbed.measured.formats.columns import Columns
from testbed.measured.formats.json_stream import Items
from testbed.measured.formats.source import Source
from testbed.measured.measurement import Measurement, Quantity

_BLOCK: Final = 1 << 14
#: which of irtt's delays a value is, and which losses concern it
_LOST: Final = {
    "rtt": ("true", "true_up", "true_down"),
    "send": ("true", "true_up"),
    "receive": ("true", "true_up", "true_down"),
}


def recognises(head: bytes) -> bool:
    """Whether it is a result of irtt."""
    return b'"round_trips"' in head or b'"irtt"' in head


def read(source: Source, columns: Columns, quantity: Quantity | None) -> Measurement:
    """Round-trip times, or one-way delays: those of sending, or with `value=receive` of receiving.

    Raises `BadInput` naming the round trip and its key.
    """
    value = columns.value or ("send" if quantity == "delay" else "rtt")
    if value not in _LOST:
        raise BadInput(f"--columns value={value}: of irtt's delays, allowed: {', '.join(_LOST)}")
    rows = Rows(source.name, "rtt" if value == "rtt" else "delay", numbered=True)
    trips = _Trips(source, value)
    while block := list(islice(trips, _BLOCK)):
        number, at_s, delay_ms, lost = np.array(block).T
        rows.add(at_s, delay_ms, lost == 1.0, number.astype(np.int64))
    bound_ms = None
    if value != "rtt":
        # a delay is not below zero: the clocks differ by no more than the shortest of either direction
        if np.isfinite(trips.shortest_ms).all():
            bound_ms = float(np.abs(trips.shortest_ms).max())
            rows.remarks.append(
                f"the clocks of both ends differ by up to {bound_ms:.3g} ms, by the shortest delay each way"
            )
        if trips.shortest_ms.min() < 0.0:
            rows.remarks.append("delays are below zero: the clocks of both ends were not set alike")
    return rows.measurement(losses_known=True, clock_bound_ms=bound_ms)


class _Trips:
    """Number, POSIX seconds of sending, delay in ms, and whether it was lost, of each round trip."""

    def __init__(self, source: Source, value: str) -> None:
        self._name, self._value = source.name, value
        self._items = Items(source, "round_trips")
        self._trips = self._read()
        #: of sending and of receiving
        self.shortest_ms = np.full(2, np.inf)

    def __iter__(self) -> Iterator[tuple[float, float, float, float]]:
        return self._trips

    def _read(self) -> Iterator[tuple[float, float, float, float]]:
        first: tuple[int, int] | None = None
        for index, trip in enumerate(self._items):
            try:
                sent = trip["timestamps"]["client"]["send"]
                wall_ns, steady_ns = sent.get("wall"), sent.get("monotonic")
                delays, number, lost = trip.get("delay") or {}, int(trip["seqno"]), trip["lost"]
                if first is None and wall_ns is not None and steady_ns is not None:
                    first = int(wall_ns), int(steady_ns)
                # the steady clock goes on where the wall clock is set
                at_ns = wall_ns if first is None or steady_ns is None else first[0] + steady_ns - first[1]
                gone = lost in _LOST[self._value]
                delay_ms = np.nan if gone else float(delays.get(self._value, "nan")) / 1e6
                yield number, float(at_ns) / 1e9, delay_ms, float(gone)
                self._look_at(delays)
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                what = f"has no {error}" if isinstance(error, KeyError) else f"has wrong values ({error})"
                raise BadInput(
                    f"{self._name}: round_trips[{index}] {what}; it must have seqno, lost, timestamps, delay"
                ) from None

    def _look_at(self, delays: dict[str, Any]) -> None:
        for place, key in enumerate(("send", "receive")):
            if key in delays:
                self.shortest_ms[place] = min(self.shortest_ms[place], delays[key] / 1e6)
