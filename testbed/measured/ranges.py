"""Ranges of a comparison's parameters: one sentence for a value outside of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.errors import BadInput

#: where a measurement can be made on Earth; no land is lower, and no site much higher than the highest
SITE = {"latitude_deg": (-90.0, 90.0), "longitude_deg": (-180.0, 360.0), "altitude_m": (-500.0, 9000.0)}


def require(model: str, parameters: Any, allowed: Mapping[str, tuple[float, float]]) -> None:
    """Raise `BadInput` for the first field of `parameters` that is not from its low to its high bound."""
    for name, (low, high) in allowed.items():
        value = getattr(parameters, name)
        if not low <= value <= high:
            raise BadInput(f"{model}: {name} is {value:g}, allowed: {low:g} to {high:g}")
