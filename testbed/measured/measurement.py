"""A recorded measurement of one path: what was measured, when, and what the recording cannot tell.

Every reader of `testbed.measured.formats` gives this, and everything after it takes nothing else. No file
is read here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput

Array = NDArray[np.float64]

#: what a measurement may hold: round trip and one-way delay in ms, throughput in Mbit/s
Quantity = Literal["rtt", "delay", "rate"]
UNITS: Final[dict[Quantity, str]] = {"rtt": "ms", "delay": "ms", "rate": "Mbit/s"}
QUANTITIES: Final[dict[Quantity, str]] = {
    "rtt": "round-trip time", "delay": "one-way delay", "rate": "throughput",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What the reader came across: counts of rows, told to the user beside every result."""

    rows: int = 0
    #: the same probe twice; the first is kept
    duplicates: int = 0
    #: rows earlier than one before them; sorted in
    reordered: int = 0
    #: rows without a usable value, such as nan; left out
    unusable: int = 0
    #: lost rows that numbers or pairs show, without a row of their own in the file
    inferred_losses: int = 0
    #: a last row that broke off; left out
    truncated: bool = False


@dataclass(frozen=True, eq=False)
class Measurement:
    """Samples [n] of one quantity in the order in which they were sent.

    `times_s`: POSIX seconds of sending, not descending (of arrival where `stamped` says so); `values`: in the
    unit of `quantity`, nan where the probe was lost. Arrays are not to be changed.
    """

    #: path of the file, or of the files, as the user gave them
    source: str
    quantity: Quantity
    times_s: Array
    values: Array
    #: whether every probe that was sent has its sample; without it nan never occurs, and no loss can be told
    losses_known: bool
    stamped: Literal["sent", "received"] = "sent"
    #: how far the clocks of both ends may differ, ms; None: one clock, or not known
    clock_bound_ms: float | None = None
    found: Found = field(default_factory=Found)
    #: what a reader of the results must know, a sentence each
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.times_s.shape != self.values.shape or self.times_s.ndim != 1:
            raise ValueError(
                f"times_s {self.times_s.shape} and values {self.values.shape} must be alike, [n]"
            )
        if not len(self.times_s):
            raise BadInput(f"{self.source}: holds no samples")

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def unit(self) -> str:
        return UNITS[self.quantity]

    @property
    def begin_s(self) -> float:
        """POSIX seconds of the first sample."""
        return float(self.times_s[0])

    @property
    def end_s(self) -> float:
        """POSIX seconds of the last sample."""
        return float(self.times_s[-1])

    @property
    def span_s(self) -> float:
        return self.end_s - self.begin_s

    @property
    def answered(self) -> NDArray[np.bool_]:
        """[n] whether the sample has a value."""
        result: NDArray[np.bool_] = ~np.isnan(self.values)
        return result

    def between(self, begin_s: float, end_s: float) -> Measurement:
        """The samples from `begin_s` on and before `end_s`. Raises `BadInput` when there are none."""
        first, last = np.searchsorted(self.times_s, (begin_s, end_s))
        return replace(self, times_s=self.times_s[first:last], values=self.values[first:last])
