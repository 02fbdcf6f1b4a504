"""Predictive distributions as quantiles, and in which order samples were sent and became known.

How the distributions are found is the predictors' affair, how good they are that of `scoring`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array, Measurement

#: the middles of equally probable parts; their number is such that 5 and 95 % are among them
LEVELS: Final[Array] = (np.arange(110) + 0.5) / 110
#: the ends of the 90 % band, as places in `LEVELS`
LOW, HIGH = 5, 104


@dataclass(eq=False)
class Quantiles:
    """Forecasts of samples [m], each made from what was known one horizon before it was sent.

    `times_s`: when each was sent, POSIX seconds; `observed`: what came; `levels` [q] ascending in (0, 1);
    `quantiles` [m, q] ascending along q, in the unit of the observations.
    """

    times_s: Array
    observed: Array
    levels: Array
    quantiles: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.times_s)


@dataclass(frozen=True, eq=False)
class Samples:
    """The answered samples [n] of a measurement in the order of sending.

    `sent_s` and `known_s`: POSIX seconds at which each was sent, and at which its value was known;
    `order`: places in the order in which they became known.
    """

    sent_s: Array
    known_s: Array
    values: Array
    order: NDArray[np.int64]

    def known_by(self, times_s: Array) -> NDArray[np.int64]:
        """[t] how many of `order` were known at each time (at it included)."""
        return np.searchsorted(self.known_s[self.order], times_s, side="right")


def samples_of(measurement: Measurement) -> Samples:
    """When the samples of a measurement were sent and known; lost ones are left out.

    Round trips and delays take as long as they are. A throughput is known at the end of the interval that it
    is told of, which begins at its time, or ends there where times are those of arrival.
    """
    there = measurement.answered
    times_s, values = measurement.times_s[there], measurement.values[there]
    if measurement.quantity == "rate":
        steps = np.diff(measurement.times_s)
        flight_s = np.full(len(times_s), float(np.median(steps)) if len(steps) else 0.0)
    else:
        flight_s = values / 1e3
    sent_s = times_s - flight_s if measurement.stamped == "received" else times_s
    ascending = np.argsort(sent_s, kind="stable")
    sent_s, values, known_s = sent_s[ascending], values[ascending], (sent_s + flight_s)[ascending]
    return Samples(sent_s, known_s, values, np.argsort(known_s, kind="stable"))
