"""The channel: places, orbits, radio and links on one side, packets crossing them on the other.

The public names are loaded when they are asked for: importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.constellation import Constellation, Site
    from emulator.errors import WorldError
    from emulator.geometry import doppler_hz
    from emulator.spec import WorldSpec
    from emulator.table import Adjustments, LinkTable
    from emulator.world import World

__all__ = [
    "Adjustments",
    "Constellation",
    "LinkTable",
    "Site",
    "World",
    "WorldError",
    "WorldSpec",
    "doppler_hz",
]

_HOMES = {
    "Adjustments": "emulator.table",
    "Constellation": "emulator.constellation",
    "LinkTable": "emulator.table",
    "Site": "emulator.constellation",
    "World": "emulator.world",
    "WorldError": "emulator.errors",
    "WorldSpec": "emulator.spec",
    "doppler_hz": "emulator.geometry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
