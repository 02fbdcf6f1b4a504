"""Levels that hold for a slot and change at once, with correlated jitter around them.

Where the data show no grid, segments of uneven length take the place of slots: nothing then falls on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from testbed.measured.fidelity.grid import find_grid
from testbed.measured.measurement import Measurement
from testbed.measured.models import fitting
from testbed.measured.models.calibration import series
from testbed.measured.models.file import from_table
from testbed.measured.models.generated import Generated

#: mean length of segments where there is no grid
_IRREGULAR_S: Final = 10.0


class Slots:
    """`contract.Kind`: all that this package knows of a path."""

    name: ClassVar[str] = "slots"
    about: ClassVar[str] = "levels by slot on the grid found, correlated jitter, outages and losses"

    def fit(self, calibration: Sequence[Measurement]) -> Generated:
        data = series(self.name, calibration)
        grid = find_grid(data.measurement)
        length_s, offset_s = (_IRREGULAR_S, None) if grid is None else (grid.period_s, grid.sending_offset_s)
        return Generated(self.name, fitting.fit(data, length_s, offset_s))

    def read(self, parameters: dict[str, Any]) -> Generated:
        return Generated(self.name, from_table(parameters))


KIND: Final = Slots()
