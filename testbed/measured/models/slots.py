"""Levels that hold for a slot and change at once, with correlated jitter around them.

Where the data show no grid, segments of uneven length take the place of slots: nothing then falls on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from testbed.measured.measurement import Measurement
from testbed.measured.models.calibration import series
from testbed.measured.models.file import from_table
from testbed.measured.models.generated import Generated
from testbed.measured.models.parts import Parts, fit


class Slots:
    """`contract.Kind`: all that this package knows of a path."""

    name: ClassVar[str] = "slots"
    about: ClassVar[str] = "levels by slot on the grid found, correlated jitter, outages and losses"

    def fit(self, calibration: Sequence[Measurement]) -> Generated:
        parts = Parts(levelled=True, correlated=True, disturbed=True)
        return Generated(self.name, fit(series(self.name, calibration), parts))

    def read(self, parameters: dict[str, Any]) -> Generated:
        return Generated(self.name, from_table(parameters))


KIND: Final = Slots()
