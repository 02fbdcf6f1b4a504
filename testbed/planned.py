"""What running a scenario ahead asks of it: the published world, the nodes, and how long it goes on.

A loaded scenario has all of that, and so has what an operator knows of one. Types only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from emulator.spec import WorldSpec
from testbed.scenario.node_tables import Node


class PlannedRun(Protocol):
    """Length of the run and of an epoch, s; the seed that everything random follows from."""

    @property
    def duration_s(self) -> float: ...
    @property
    def epoch_s(self) -> float: ...
    @property
    def seed(self) -> int: ...


class PlannedNetwork(Protocol):
    """Whether programs that are not named may join."""

    @property
    def guests(self) -> bool: ...


class Planned(Protocol):
    """A scenario that can be run ahead."""

    @property
    def run(self) -> PlannedRun: ...
    @property
    def network(self) -> PlannedNetwork: ...
    @property
    def places(self) -> Mapping[str, Any]:
        """Every single place by id, in the order of the world's."""
        ...

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Every single node by id; ports are numbered in this order."""
        ...

    def world_spec(self) -> WorldSpec:
        """The published world."""
        ...
