"""Independent draws of the measured distribution, through its quantiles, and losses with their bursts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np

from testbed.measured.measurement import Measurement
from testbed.measured.models.calibration import gilbert, series
from testbed.measured.models.file import from_table
from testbed.measured.models.generated import Generated, Parameters
from testbed.measured.models.marginal import quantiles_at_scores


class Empirical:
    """`contract.Kind`: the distribution without its order in time."""

    name: ClassVar[str] = "empirical"
    about: ClassVar[str] = "the measured distribution, each packet by itself; losses in bursts; a baseline"

    def fit(self, calibration: Sequence[Measurement]) -> Generated:
        data = series(self.name, calibration)
        enter, leave = gilbert(data.values)
        table = quantiles_at_scores(data.values[np.isfinite(data.values)])
        return Generated(
            self.name,
            Parameters(tuple(table.tolist()), loss_enter=enter, loss_leave=leave, round_trip=data.round_trip),
        )

    def read(self, parameters: dict[str, Any]) -> Generated:
        return Generated(self.name, from_table(parameters))


KIND: Final = Empirical()
