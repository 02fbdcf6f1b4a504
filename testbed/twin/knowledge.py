"""What the twin is told before the run: the public part of a scenario, read from the file it is given.

Published elements, nominal radios, nominal service rates, its own settings. Not here: anything measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from emulator.spec import WorldSpec
from testbed.errors import BadInput


class Limits(msgspec.Struct, frozen=True):
    """What an action must keep to before it is carried out; latencies as shares of what they were."""

    least_gain: float = 0.1
    most_harm: float = 0.1
    confidence: float = 0.9
    actions_per_minute: int = 6
    horizon_s: float = 20.0
    verification_s: float = 5.0


class Settings(msgspec.Struct):
    """Settings of the twin. `false_alarms_per_day` is for all its detectors together."""

    enabled: bool = True
    false_alarms_per_day: float = 0.1
    calibration_share: float = 0.25
    act: str = "auto"
    policies: list[str] = msgspec.field(default_factory=lambda: ["handover", "route", "offload"])
    limits: Limits = Limits()


@dataclass(frozen=True)
class Knowledge:
    """Public knowledge about a run. `servers` maps node id to nominal service rate in Hz."""

    world: WorldSpec
    duration_s: float
    window_s: float
    servers: dict[str, float] = field(default_factory=dict)
    #: node id -> id of the place it stands at
    node_places: dict[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    #: the public document itself, for whoever runs the scenario ahead (`public.Public`)
    document: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


def read_document(path: Path) -> dict[str, Any]:
    """The content of a public file; BadInput with one sentence when it is not one."""
    try:
        document = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise BadInput(f"{path}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadInput(f"{path}: a table of public knowledge is expected, got {type(document).__name__}")
    return document


def load(path: Path) -> Knowledge:
    """Reads a public file; BadInput with one sentence when it is not one."""
    return parse(read_document(path), str(path))


def parse(document: dict[str, Any], where: str = "public knowledge") -> Knowledge:
    """Knowledge from the document's content; BadInput names the key at fault."""
    try:
        world = msgspec.convert(document["world"], WorldSpec)
        settings = msgspec.convert(document.get("twin", {}), Settings)
    except KeyError:
        raise BadInput(f"{where}: world is missing") from None
    except msgspec.ValidationError as error:
        raise BadInput(f"{where}: {error}") from None
    nodes = document.get("nodes", {})
    return Knowledge(
        world=world,
        duration_s=world.duration_s,
        window_s=float(document.get("window_s", document.get("run", {}).get("window_s", 0.5))),
        servers={
            name: float(node["service_rate_mhz"]) * 1e6
            for name, node in nodes.items()
            if node.get("service_rate_mhz")
        },
        node_places={name: str(node.get("place", "")) for name, node in nodes.items()},
        settings=settings,
        document=document,
    )
