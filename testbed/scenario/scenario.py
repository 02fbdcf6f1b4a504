"""A loaded scenario: its document, what it expands to, and the views of it that others are given.

Who is given what: the channel `world_spec()`, each node `node_config(id)`, the twin `public()`, the
run folder `resolved()`. Only the supervisor and the plant hold the scenario itself.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

from emulator.spec import WorldSpec
from testbed.scenario import document as d
from testbed.scenario import expand, translate
from testbed.scenario.node_tables import Deviation, EdgeNode, Node
from testbed.scenario.world_tables import PlaceTable


class Scenario:
    """A validated scenario; made by `loading.load`, immutable."""

    def __init__(self, document: d.Document, source: str) -> None:
        self.document = document
        #: the file it came from, as the user gave it
        self.source = source

    @property
    def name(self) -> str:
        return self.document.run.name

    @property
    def run(self) -> d.Run:
        return self.document.run

    @property
    def network(self) -> d.Network:
        return self.document.network

    @property
    def compute(self) -> d.Compute:
        return self.document.compute

    @property
    def plant(self) -> d.Plant:
        return self.document.plant

    @property
    def twin(self) -> d.Twin:
        return self.document.twin

    @property
    def store(self) -> d.Store:
        return self.document.store

    @property
    def deviations(self) -> tuple[Deviation, ...]:
        return tuple(self.document.deviations)

    @cached_property
    def place_names(self) -> dict[str, tuple[str, ...]]:
        """Name of each [places.NAME] -> ids of the places it stands for."""
        return expand.place_groups(self.document)

    @cached_property
    def places(self) -> dict[str, PlaceTable]:
        """Every single place by id, in the order of the file."""
        return {
            place: table
            for name, group in self.document.places.items()
            for place, table in expand.expand_place(name, group).items()
        }

    @cached_property
    def node_names(self) -> dict[str, tuple[str, ...]]:
        """Name of each [nodes.NAME] -> ids of the nodes it stands for."""
        return {
            name: tuple(expand.expand_node(name, table, self.place_names))
            for name, table in self.document.nodes.items()
        }

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """Every single node by id, in the order of the file."""
        return {
            node: table
            for name, group in self.document.nodes.items()
            for node, table in expand.expand_node(name, group, self.place_names).items()
        }

    def places_called(self, name: str) -> tuple[str, ...]:
        """The ids a name stands for: a place's own, or those of a spread; empty when unknown."""
        if name in self.place_names:
            return self.place_names[name]
        return (name,) if name in self.places else ()

    def link_pairs(self) -> list[tuple[str, str, int]]:
        """(a, b, index of [[links]]) of every link, with spreads expanded."""
        return [
            (a, b, index)
            for index, link in enumerate(self.document.links)
            for a in self.places_called(link.a)
            for b in self.places_called(link.b)
            if a != b
        ]

    def node_config(self, node_id: str) -> dict[str, Any]:
        """What a node's process is given: its own keys, a seed of its own, its part of the CPU budget."""
        node = self.nodes[node_id]
        config = node.model_dump(exclude={"count", "external"})
        digest = hashlib.blake2b(f"{self.run.seed}/{node_id}".encode(), digest_size=6).digest()
        config["seed"] = int.from_bytes(digest, "little")
        if isinstance(node, EdgeNode):
            wanted = sum(n.cpu_share * n.cores for n in self.nodes.values() if isinstance(n, EdgeNode))
            budget = self.compute.cpu_budget_cores
            config["cpu_share"] = node.cpu_share * min(1.0, budget / wanted) if wanted > 0 else 0.0
        return config

    def world_spec(self) -> WorldSpec:
        """The published world, from which the channel is built."""
        return translate.world_spec(self)

    def public(self) -> dict[str, Any]:
        """All that the twin is given: no deviations, no seed, nothing of the plant."""
        return translate.public(self)

    def resolved(self) -> dict[str, Any]:
        """The scenario with every default filled in, JSON-able; loads again to the same scenario."""
        return self.document.model_dump(mode="json", by_alias=True, exclude_none=True)
