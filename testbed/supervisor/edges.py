"""The edge twins of a run: which there are, and what is written down of what they say.

They see what the central twin sees, each its part of it. Their predictions are their own affair: the run is
judged by the central twin's, and what edges notice is told beside those under a name of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from nodes.wire import Record
from testbed.scenario import Scenario
from testbed.twin.edge import MEMBER, Scope, in_a_run, partition
from testbed.twin.knowledge import Knowledge, parse

#: what an edge twin says that is written down
_NOTICED: Final = frozenset({"detection", "recovery", "twin"})


def parts(scenario: Scenario) -> int | None:
    """Into how many parts the network is divided, as `partition` takes it."""
    return in_a_run(_known(scenario), scenario.twin.edges)


def edge_scopes(scenario: Scenario) -> dict[str, Scope]:
    """The parts of edge twins by the names of their processes; none in a run without.

    BadInput, one sentence, for more of them than there are places.
    """
    if not scenario.twin.enabled or scenario.twin.hierarchy != "edges":
        return {}
    scopes = partition(_known(scenario), parts(scenario))
    return {f"{MEMBER}{name}": scope for name, scope in scopes.items()}


def noticed(member: str, records: Iterable[Record]) -> list[Record]:
    """What an edge twin noticed, as `edge` records: `what` is the kind of record that it was."""
    edge = member.removeprefix(MEMBER)
    return [
        Record(record.t_ns, "edge", {**record.tags, "edge": edge, "what": record.measurement}, record.fields)
        for record in records
        if record.measurement in _NOTICED
    ]


def _known(scenario: Scenario) -> Knowledge:
    return parse(msgspec.json.decode(msgspec.json.encode(scenario.public())), scenario.source)
