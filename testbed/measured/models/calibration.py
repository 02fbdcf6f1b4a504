"""What every kind needs of the calibration data before it fits: one series, its losses, its floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from testbed.errors import BadInput
from testbed.measured.measurement import Array, Measurement, Quantity

#: fewer answered samples do not make a distribution
_LEAST_SAMPLES: Final = 100


@dataclass(frozen=True, eq=False)
class Series:
    """Delays [n] in ms at POSIX seconds, nan where lost."""

    times_s: Array
    values: Array
    losses_known: bool
    round_trip: bool

    @property
    def measurement(self) -> Measurement:
        """All of it as one."""
        quantity: Quantity = "rtt" if self.round_trip else "delay"
        return Measurement("calibration", quantity, self.times_s, self.values, self.losses_known)


def series(kind: str, calibration: Sequence[Measurement]) -> Series:
    """The calibration data of all measurements in order of time. Raises `BadInput` when they are unfit."""
    if not calibration:
        raise BadInput(f"model {kind}: no measurement to calibrate on")
    first = calibration[0]
    for one in calibration:
        if one.quantity == "rate":
            raise BadInput(f"{one.source}: holds throughput, model {kind} is calibrated on delay or rtt")
        if one.quantity != first.quantity:
            raise BadInput(
                f"{one.source}: holds {one.quantity}, allowed beside {first.source}: {first.quantity}"
            )
    times_s = np.concatenate([_sent_s(one) for one in calibration])
    values = np.concatenate([one.values for one in calibration])
    order = np.argsort(times_s, kind="stable")
    times_s, values = times_s[order], values[order]
    answered = int(np.count_nonzero(np.isfinite(values)))
    if answered < _LEAST_SAMPLES:
        raise BadInput(
            f"{first.source}: {answered} answered samples, model {kind} needs {_LEAST_SAMPLES} at least"
        )
    if np.nanmin(values) < 0.0:
        raise BadInput(f"{first.source}: has delays below 0 ms, model {kind} takes 0 and above")
    return Series(times_s, values, all(one.losses_known for one in calibration), first.quantity == "rtt")


def _sent_s(measurement: Measurement) -> Array:
    """When the samples were sent; one that is lost, where arrivals are stamped, is where it stands."""
    if measurement.stamped == "sent":
        return measurement.times_s
    return measurement.times_s - 1e-3 * np.nan_to_num(measurement.values)


def gilbert(values: Array) -> tuple[float, float]:
    """Chance per sample that losses begin, and that they end, of `values` [n], nan being lost."""
    lost = ~np.isfinite(values)
    if not lost.any():
        return 0.0, 1.0
    begins = int(np.count_nonzero(lost[1:] & ~lost[:-1])) + int(lost[0])
    ends = int(np.count_nonzero(lost[:-1] & ~lost[1:]))
    fine = int(np.count_nonzero(~lost[:-1]))
    return min(1.0, begins / max(1, fine)), max(ends, 1) / int(np.count_nonzero(lost))
