"""Models of a measured path that are calibrated on recordings, one module a kind.

`kinds()` finds them. Every kind but the combinations fits one set of parameters (`generated`), which the
emulator's kernels play.
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
