"""What a stretch of measurement, or of a model's traffic, is described by, and how far two of them are apart.

Seven distances, all symmetric and zero for equal descriptions: W1 and KS of the values, quantiles, the
autocorrelation, the share of variance on the slot grid, loss rate, and length of bursts. One that a side
cannot tell is nan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from testbed.errors import BadInput
from testbed.measured.fidelity.losses import Losses, losses
from testbed.measured.fidelity.series import autocorrelation
from testbed.measured.fidelity.slots import share_of_variance
from testbed.measured.measurement import Array, Measurement
from testbed.twin import compare

#: names of the distances, and what they are
MEASURES: Final[dict[str, str]] = {
    "w1": "first Wasserstein distance of the values",
    "ks": "Kolmogorov-Smirnov distance of the values",
    "quantiles": "mean of |ln| of the ratios of p50, p95 and p99",
    "acf": "mean difference of the autocorrelation of 100 ms medians at 1, 5, 15 and 30 s",
    "slot_share": "difference of the share of variance that slots explain",
    "loss": "difference of the loss rate",
    "bursts": "difference of the mean number of probes lost in a row",
}
LEVELS: Final = (0.5, 0.95, 0.99)
#: slots where no grid was found: the share is then one of slow changes, on any offset alike
NOMINAL_S: Final = 15.0


@dataclass(frozen=True)
class Slotting:
    """The grid on which shares are told: that of the calibration, or a nominal one where there is none."""

    period_s: float = NOMINAL_S
    offset_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Description:
    """One stretch: its answered values [n] ascending, quantiles [3] at `LEVELS`, and the rest."""

    ascending: Array
    quantiles: Array
    acf: Array
    slot_share: float
    losses: Losses | None


def describe(measurement: Measurement, slotting: Slotting) -> Description:
    """The description of a measurement. Raises `BadInput` when every probe was lost."""
    values = measurement.values[measurement.answered]
    if not len(values):
        raise BadInput(f"{measurement.source}: every probe was lost, there is nothing to compare")
    return Description(
        ascending=np.sort(values),
        quantiles=np.quantile(values, LEVELS),
        acf=autocorrelation(measurement),
        slot_share=share_of_variance(measurement, slotting.period_s, slotting.offset_s),
        losses=losses(measurement),
    )


def distances(one: Description, other: Description) -> dict[str, float]:
    """Each of `MEASURES`; W1 in the unit of the values."""
    apart = np.abs(one.acf - other.acf)
    known = apart[np.isfinite(apart)]
    lost = one.losses is not None and other.losses is not None
    return {
        "w1": compare.w1(one.ascending, other.ascending),
        "ks": compare.ks(one.ascending, other.ascending),
        "quantiles": _quantiles_apart(one.quantiles, other.quantiles),
        "acf": float(known.mean()) if known.size else math.nan,
        "slot_share": abs(one.slot_share - other.slot_share),
        "loss": abs(one.losses.rate - other.losses.rate) if lost else math.nan,  # type: ignore[union-attr]
        "bursts": _bursts_apart(one.losses, other.losses),
    }


def _quantiles_apart(one: Array, other: Array) -> float:
    if (one <= 0.0).any() or (other <= 0.0).any():
        # a throughput may be zero for more than half of the time: then by the size of what there is
        scale = max(float(np.abs(one).max()), float(np.abs(other).max()), 1e-300)
        return float(np.mean(np.abs(one - other)) / scale)
    return float(np.mean(np.abs(np.log(one / other))))


def _bursts_apart(one: Losses | None, other: Losses | None) -> float:
    if one is None or other is None:
        return math.nan
    # without any loss there is no burst; one probe is the shortest that there could be
    lengths = [1.0 if math.isnan(side.mean_burst) else side.mean_burst for side in (one, other)]
    return abs(lengths[0] - lengths[1])
