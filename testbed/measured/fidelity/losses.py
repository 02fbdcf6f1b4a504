"""Losses of a measurement, by number of the probe sent: rate, bursts, Gilbert's two chances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from testbed.measured.measurement import Measurement
from testbed.twin.compare import gilbert

#: why there are no figures of losses
NOT_KNOWN = "lost probes leave no row in this measurement, so no loss rate can be told"


@dataclass(frozen=True)
class Losses:
    """nan where there is nothing to count."""

    #: share of the probes that were lost
    rate: float
    #: probes lost in a row, mean
    mean_burst: float
    #: chance that a probe is lost after one that was not (p01), and after one that was (p11)
    p01: float
    p11: float


def losses(measurement: Measurement) -> Losses | None:
    """Losses by packet number (Gilbert 1960); None where the measurement cannot tell."""
    if not measurement.losses_known:
        return None
    lost = ~measurement.answered
    p01, p11, burst = gilbert(lost)
    return Losses(float(lost.mean()), burst, p01, p11)


def burst_lengths(measurement: Measurement) -> list[int]:
    """Number of probes of each run of losses, in the order of sending."""
    lost = np.concatenate(([False], ~measurement.answered, [False])).astype(np.int8)
    edges = np.diff(lost)
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return [int(length) for length in lengths]
