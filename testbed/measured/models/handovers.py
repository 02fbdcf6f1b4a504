"""Outages and stalls at the boundaries of slots and between them, over the distribution without its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from testbed.measured.measurement import Measurement
from testbed.measured.models.calibration import series
from testbed.measured.models.file import from_table
from testbed.measured.models.generated import Generated
from testbed.measured.models.parts import Parts, fit


class Handovers:
    """`contract.Kind`: what blocks a path for a while, and nothing else that has an order in time."""

    name: ClassVar[str] = "handovers"
    about: ClassVar[str] = "outages and stalls at handovers and at any time, over independent jitter"

    def fit(self, calibration: Sequence[Measurement]) -> Generated:
        return Generated(self.name, fit(series(self.name, calibration), Parts(disturbed=True)))

    def read(self, parameters: dict[str, Any]) -> Generated:
        return Generated(self.name, from_table(parameters))


KIND: Final = Handovers()
