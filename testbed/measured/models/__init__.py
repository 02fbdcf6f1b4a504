"""Models of a measured path that are calibrated on recordings, one module a kind.

`kinds()` finds them, `kind(name)` those together too whose names are joined by `+`. All fit one set of
parameters (`generated`), which the emulator's kernels play.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.measured.models.contract import Kind


def kinds() -> dict[str, Kind]:
    """Every kind of model by its name: the `KIND` of each module that has one."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        kind = getattr(importlib.import_module(f"{__name__}.{module.name}"), "KIND", None)
        if kind is not None:
            found[kind.name] = kind
    return dict(sorted(found.items()))


def kind(name: str) -> Kind:
    """The kind of that name, or of several joined by `+`. Raises `BadInput` for one that there is not."""
    from testbed.errors import BadInput
    from testbed.measured.models.parts import combined

    if "+" in name:
        return combined(name)
    known = kinds()
    if name not in known:
        raise BadInput(f"model {name!r}, allowed: {', '.join(known)}, or several joined by +")
    return known[name]
