"""The median, always: what every other model is to be better than."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np

from testbed.measured.measurement import Measurement
from testbed.measured.models.calibration import series
from testbed.measured.models.file import from_table
from testbed.measured.models.generated import KNOTS, Generated, Parameters


class Constant:
    """`contract.Kind`: the median of the calibration data, no losses."""

    name: ClassVar[str] = "constant"
    about: ClassVar[str] = "the median, always, and no losses; a baseline"

    def fit(self, calibration: Sequence[Measurement]) -> Generated:
        data = series(self.name, calibration)
        median = float(np.nanmedian(data.values))
        return Generated(self.name, Parameters((median,) * KNOTS, white=0.0, round_trip=data.round_trip))

    def read(self, parameters: dict[str, Any]) -> Generated:
        return Generated(self.name, from_table(parameters))


KIND: Final = Constant()
