"""What a model of a path is put together from, and kinds that have the parts of several: `a+b`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from testbed.errors import BadInput
from testbed.measured.fidelity.grid import find_grid
from testbed.measured.measurement import Measurement
from testbed.measured.models import fitting
from testbed.measured.models.calibration import Series, series
from testbed.measured.models.file import from_table
from testbed.measured.models.generated import Generated, Parameters

#: mean length of segments where there is no grid
_IRREGULAR_S: Final = 10.0


@dataclass(frozen=True)
class Parts:
    """Parts beside the distribution and the chance of loss, which every model has."""

    #: slots have levels and spreads of their own
    levelled: bool = False
    #: jitter is correlated in time
    correlated: bool = False
    #: outages and stalls are played as such
    disturbed: bool = False

    def __or__(self, other: Parts) -> Parts:
        return Parts(
            self.levelled or other.levelled,
            self.correlated or other.correlated,
            self.disturbed or other.disturbed,
        )


#: of each kind that may be combined
OF: Final = {
    "slots": Parts(levelled=True, correlated=True, disturbed=True),
    "autoregressive": Parts(correlated=True),
    "handovers": Parts(disturbed=True),
    "empirical": Parts(),
}


def fit(data: Series, parts: Parts) -> Parameters:
    """Parameters of a model with these parts; slots lie on the grid found, or are irregular."""
    length_s, offset_s = None, None
    if parts.levelled or parts.disturbed:
        grid = find_grid(data.measurement)
        length_s, offset_s = (_IRREGULAR_S, None) if grid is None else (grid.period_s, grid.sending_offset_s)
    return fitting.fit(
        data,
        length_s,
        offset_s,
        disturbed=parts.disturbed,
        levelled=parts.levelled,
        correlated=parts.correlated,
    )


@dataclass(frozen=True)
class Combined:
    """`contract.Kind` with the parts of all kinds in its name."""

    name: str
    about: str = "the parts of several kinds together"

    def fit(self, calibration: Sequence[Measurement]) -> Generated:
        parts = reduce(Parts.__or__, (OF[name] for name in self.name.split("+")))
        return Generated(self.name, fit(series(self.name, calibration), parts))

    def read(self, parameters: dict[str, Any]) -> Generated:
        return Generated(self.name, from_table(parameters))


def combined(name: str) -> Combined:
    """The kind `a+b`. Raises `BadInput` naming a part that there is not."""
    for part in name.split("+"):
        if part not in OF:
            raise BadInput(f"model {name}: has no part {part!r}, allowed: {', '.join(sorted(OF))}")
    return Combined(name)
