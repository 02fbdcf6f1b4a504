"""Whether levels change on a grid, and where: a first look that models take when no grid is given."""

from __future__ import annotations

from typing import Final

import numpy as np

from testbed.measured.measurement import Array
from testbed.measured.models.levels import slots
from testbed.measured.models.statistics import slot_share

#: known networks reconfigure this often, s
PERIOD_S: Final = 15.0
#: of the variance that the worst offset leaves, the best one explains so much at least where there is a grid
_LEAST_CONTRAST: Final = 0.06
_OFFSET_STEP_S: Final = 0.5


def find_grid(times_s: Array, values: Array) -> tuple[float, float] | None:
    """Period and offset in s (POSIX seconds modulo the period), None where there is no grid."""
    offsets_s = np.arange(0.0, PERIOD_S, _OFFSET_STEP_S)
    shares = np.array([slot_share(values, slots(times_s, PERIOD_S, offset)) for offset in offsets_s])
    best = int(np.argmax(shares))
    contrast = (shares[best] - shares.min()) / max(1e-9, 1.0 - shares.min())
    return (PERIOD_S, float(offsets_s[best])) if contrast >= _LEAST_CONTRAST else None
