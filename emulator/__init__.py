"""The channel: places, orbits, radio and links on one side, packets crossing them on the other.

The public names are loaded when they are asked for: importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.constellation import Constellation
    from emulator.errors import WorldError
    from emulator.geometry import doppler_hz
    from emulator.observer import Site
    from emulator.radio.budget import LinkBudget, link_budget
    from emulator.radio.presets import radio_preset
    from emulator.radio.slant_path import Attenuation, attenuation
    from emulator.spec import (
        AccessSpec,
        Antenna,
        CircularShell,
        ConstellationSpec,
        FixedLink,
        Geostationary,
        OverRegion,
        Place,
        RadioSpec,
        Waypoint,
        WorldSpec,
    )
    from emulator.table import Adjustments, LinkTable
    from emulator.world import World

__all__ = [
    "AccessSpec",
    "Adjustments",
    "Antenna",
    "Attenuation",
    "CircularShell",
    "Constellation",
    "ConstellationSpec",
    "FixedLink",
    "Geostationary",
    "LinkBudget",
    "LinkTable",
    "OverRegion",
    "Place",
    "RadioSpec",
    "Site",
    "Waypoint",
    "World",
    "WorldError",
    "WorldSpec",
    "attenuation",
    "doppler_hz",
    "link_budget",
    "radio_preset",
]

_HOMES = {
    "AccessSpec": "emulator.spec",
    "Adjustments": "emulator.table",
    "Antenna": "emulator.spec",
    "Attenuation": "emulator.radio.slant_path",
    "CircularShell": "emulator.spec",
    "Constellation": "emulator.constellation",
    "ConstellationSpec": "emulator.spec",
    "FixedLink": "emulator.spec",
    "Geostationary": "emulator.spec",
    "LinkBudget": "emulator.radio.budget",
    "LinkTable": "emulator.table",
    "OverRegion": "emulator.spec",
    "Place": "emulator.spec",
    "RadioSpec": "emulator.spec",
    "Site": "emulator.observer",
    "Waypoint": "emulator.spec",
    "World": "emulator.world",
    "WorldError": "emulator.errors",
    "WorldSpec": "emulator.spec",
    "attenuation": "emulator.radio.slant_path",
    "doppler_hz": "emulator.geometry",
    "link_budget": "emulator.radio.budget",
    "radio_preset": "emulator.radio.presets",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
