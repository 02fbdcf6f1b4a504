"""The measured distribution in an order with the measured autocorrelation, and no slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from testbed.measured.measurement import Measurement
from testbed.measured.models import fitting
from testbed.measured.models.calibration import series
from testbed.measured.models.file import from_table
from testbed.measured.models.generated import Generated


class Autoregressive:
    """`contract.Kind`: a Gaussian copula of first-order autoregressive processes in continuous time."""

    name: ClassVar[str] = "autoregressive"
    about: ClassVar[str] = "the measured distribution with the measured autocorrelation, no slots; a baseline"

    def fit(self, calibration: Sequence[Measurement]) -> Generated:
        return Generated(self.name, fitting.fit(series(self.name, calibration), None, None, disturbed=False))

    def read(self, parameters: dict[str, Any]) -> Generated:
        return Generated(self.name, from_table(parameters))


KIND: Final = Autoregressive()
