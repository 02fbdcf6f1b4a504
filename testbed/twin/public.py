"""A scenario as an operator knows it: enough to run it ahead, and nothing of what only the plant knows.

Built from the public document alone. It has what `testbed.ahead.Ahead` and `testbed.offered.Offered` ask of
a scenario; there are no deviations and no seed of the run in it, and nothing of the plant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError

from emulator.spec import Place, WorldSpec
from testbed.errors import BadInput
from testbed.scenario import Scenario
from testbed.scenario.node_tables import EdgeNode, Node
from testbed.twin.knowledge import Settings, read_document

_NODE: TypeAdapter[Node] = TypeAdapter(Node)
#: said of a node in the public document and no key of its table
_SAID = ("hardware",)


@dataclass(frozen=True)
class PublicRun:
    """What is known of the run; `seed` is the what-if's own."""

    name: str
    duration_s: float
    epoch_s: float
    seed: int = 0


@dataclass(frozen=True)
class PublicNetwork:
    """Guests are not foreseen."""

    guests: bool = False


@dataclass(frozen=True)
class Public:
    """A planned scenario. Made by `of_document`, `of_scenario` or `read`; immutable."""

    run: PublicRun
    world: WorldSpec
    nodes: dict[str, Node]
    #: name of a [nodes.NAME] with several nodes -> their ids
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: nodes that are more than processes of the run
    hardware: frozenset[str] = frozenset()
    settings: Settings = field(default_factory=Settings)
    network: PublicNetwork = field(default_factory=PublicNetwork)

    def world_spec(self) -> WorldSpec:
        """The published world."""
        return self.world

    @cached_property
    def places(self) -> dict[str, Place]:
        """Every single place by id, in the order of the file."""
        return {place.id: place for place in self.world.places}

    @cached_property
    def servers(self) -> dict[str, EdgeNode]:
        """The edge servers by id."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, EdgeNode)}

    @cached_property
    def satellites(self) -> frozenset[str]:
        """Names of satellites that links or actions may name."""
        from emulator.orbits.frames import RunClock
        from emulator.satellites import usable_satellites

        return frozenset(usable_satellites(self.world, RunClock(self.world.start_utc)).names)

    def nodes_called(self, name: str) -> tuple[str, ...]:
        """The ids a name stands for: a node's own, or those of a [nodes.NAME]; empty when unknown."""
        return self.groups.get(name) or ((name,) if name in self.nodes else ())

    def with_nodes(self, nodes: Mapping[str, Node]) -> Public:
        """The same with other tables of some nodes."""
        return replace(self, nodes={**self.nodes, **nodes})

    def until(self, duration_s: float) -> Public:
        """The same, run for longer or shorter, s: what is published of the world goes on."""
        return replace(
            self,
            run=replace(self.run, duration_s=duration_s),
            world=replace(self.world, duration_s=duration_s),
        )


def of_document(document: dict[str, Any], where: str = "public knowledge") -> Public:
    """The scenario of a public document; BadInput, one sentence, names the key at fault."""
    try:
        world = msgspec.convert(document["world"], WorldSpec)
        settings = msgspec.convert(document.get("twin", {}), Settings)
        tables: dict[str, dict[str, Any]] = document["nodes"]
        run = PublicRun(str(document["name"]), world.duration_s, float(document["epoch_s"]))
        groups = {name: tuple(ids) for name, ids in document.get("groups", {}).items()}
    except KeyError as error:
        raise BadInput(f"{where}: {error.args[0]} is missing, so it cannot be run ahead") from None
    except (msgspec.ValidationError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{where}: {error}") from None
    hardware = frozenset(name for name, table in tables.items() if table.get("hardware"))
    return Public(run, world, {n: _node(n, t, where) for n, t in tables.items()}, groups, hardware, settings)


def of_scenario(scenario: Scenario) -> Public:
    """What an operator knows of a scenario."""
    return of_document(msgspec.json.decode(msgspec.json.encode(scenario.public())), scenario.source)


def read(path: Path) -> Public:
    """From the file that a twin is given; BadInput when it is not one."""
    return of_document(read_document(path), str(path))


def _node(name: str, table: dict[str, Any], where: str) -> Node:
    known = {key: value for key, value in table.items() if key not in _SAID}
    if not known.get("via"):
        known.pop("via", None)  # told of every role, a key of few
    try:
        return _NODE.validate_python(known)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][1:]) or "role"
        raise BadInput(f"{where}: nodes.{name}.{key}: {first['msg']}") from None
