"""The channel: places, orbits, radio and links on one side, packets crossing them on the other.

The public names are loaded when they are asked for: importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.constellation import Constellation
    from emulator.errors import WorldError
    from emulator.geometry import doppler_hz
    from emulator.layout import network_of
    from emulator.links.model import LinkModel
    from emulator.observer import Site
    from emulator.orders import Orders
    from emulator.radio.budget import LinkBudget, link_budget
    from emulator.radio.presets import radio_preset
    from emulator.radio.slant_path import Attenuation, attenuation
    from emulator.simulation import Simulation, WorldTables
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
    from emulator.traffic.arrivals import ParetoOnOff, Periodic, Poisson, Recorded
    from emulator.traffic.flows import Flow, FlowSet, Follow
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
    "Flow",
    "FlowSet",
    "Follow",
    "Geostationary",
    "LinkBudget",
    "LinkModel",
    "LinkTable",
    "Orders",
    "OverRegion",
    "ParetoOnOff",
    "Periodic",
    "Place",
    "Poisson",
    "RadioSpec",
    "Recorded",
    "Simulation",
    "Site",
    "Waypoint",
    "World",
    "WorldError",
    "WorldSpec",
    "WorldTables",
    "attenuation",
    "doppler_hz",
    "link_budget",
    "network_of",
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
    "Flow": "emulator.traffic.flows",
    "FlowSet": "emulator.traffic.flows",
    "Follow": "emulator.traffic.flows",
    "Geostationary": "emulator.spec",
    "LinkBudget": "emulator.radio.budget",
    "LinkModel": "emulator.links.model",
    "LinkTable": "emulator.table",
    "Orders": "emulator.orders",
    "OverRegion": "emulator.spec",
    "ParetoOnOff": "emulator.traffic.arrivals",
    "Periodic": "emulator.traffic.arrivals",
    "Place": "emulator.spec",
    "Poisson": "emulator.traffic.arrivals",
    "RadioSpec": "emulator.spec",
    "Recorded": "emulator.traffic.arrivals",
    "Simulation": "emulator.simulation",
    "Site": "emulator.observer",
    "Waypoint": "emulator.spec",
    "World": "emulator.world",
    "WorldError": "emulator.errors",
    "WorldSpec": "emulator.spec",
    "WorldTables": "emulator.simulation",
    "attenuation": "emulator.radio.slant_path",
    "doppler_hz": "emulator.geometry",
    "link_budget": "emulator.radio.budget",
    "network_of": "emulator.layout",
    "radio_preset": "emulator.radio.presets",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
