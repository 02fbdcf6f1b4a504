"""What a scenario may say key by key, but what would go wrong without a word in a run.

Names that two things would share, nodes that talk to themselves, links that cannot exist, traffic no
machine can make. Yields the same findings as `checks`, which calls it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from testbed.scenario import node_tables as n
from testbed.scenario.messages import nearest

if TYPE_CHECKING:
    from testbed.scenario.scenario import Scenario

Finding = tuple[str, object, str]

#: members of every run that are no nodes: they register, log and are ordered about under these names
RESERVED: Final = ("channel", "twin", "plant", "supervisor")
#: below this a node would do nothing but make packets
SHORTEST_INTERVAL_S: Final = 0.001
_INTERVALS: Final = ("reading_interval_s", "task_interval_s", "ping_interval_s", "bulk_interval_s")


def names(scenario: Scenario, satellites: frozenset[str]) -> Iterator[Finding]:
    """Names that somebody else has already."""
    for name in scenario.nodes:
        if name in RESERVED:
            yield f"nodes.{name}", name, f"another name: {', '.join(RESERVED)} belong to the run itself"
    for group, places in scenario.place_names.items():
        for place in places:
            if place in satellites:
                yield f"places.{group}", place, "another id: a satellite has this name"
    for satellite in satellites:
        if ">" in satellite:
            yield (
                "constellation.elements",
                satellite,
                "names of satellites without >, which parts a link's ends",
            )
    ports: dict[str, str] = {}
    for name, node in scenario.document.nodes.items():
        if not isinstance(node, n.MicrocontrollerNode) or node.device == "model":
            continue
        if node.count > 1:
            yield f"nodes.{name}.count", node.count, f"1 with device {node.device!r}: one board, one node"
        if node.device in ports:
            yield (
                f"nodes.{name}.device",
                node.device,
                f"another port: nodes.{ports[node.device]} has this one",
            )
        ports[node.device] = name


def endpoints(scenario: Scenario) -> Iterator[Finding]:
    """Two sockets cannot have one port."""
    control, data = (
        endpoint.rsplit(":", 1)[1]
        for endpoint in (scenario.network.control_endpoint, scenario.network.data_endpoint)
    )
    if control == data != "*":
        given = scenario.network.data_endpoint
        yield "network.data_endpoint", given, "another port than network.control_endpoint"


def sizes(scenario: Scenario) -> Iterator[Finding]:
    """Times that leave nothing to observe, or no time between packets."""
    for key in ("epoch_s", "window_s"):
        if getattr(scenario.run, key) > scenario.run.duration_s:
            allowed = f"at most run.duration_s = {scenario.run.duration_s:g}"
            yield f"run.{key}", getattr(scenario.run, key), allowed
    for name, node in scenario.document.nodes.items():
        for key in _INTERVALS:
            interval_s = getattr(node, key, 0.0)
            if 0 < interval_s < SHORTEST_INTERVAL_S:
                yield f"nodes.{name}.{key}", interval_s, f"0 (none) or at least {SHORTEST_INTERVAL_S}"


def selves(scenario: Scenario) -> Iterator[Finding]:
    """Nodes that would send to themselves."""
    for name, node in scenario.document.nodes.items():
        for key in ("sink", "target"):
            wanted = getattr(node, key, "")
            if wanted and wanted in scenario.node_names[name]:
                yield f"nodes.{name}.{key}", wanted, "another node than itself"


def link_target(key: str, target: str, scenario: Scenario, satellites: frozenset[str]) -> Iterator[Finding]:
    """A deviation's link must be one that the world can have."""
    ends = target.split(">")
    if len(ends) != 2 or not all(ends) or ends[0] == ends[1]:
        yield key, target, 'a directed link, "a>b"'
        return
    for end in ends:
        place = scenario.places.get(end)
        if place is None and end not in satellites:
            group = scenario.place_names.get(end)
            hint = f"; did you mean one of {group[0]} to {group[-1]}?" if group else None
            yield (
                key,
                target,
                "between places or satellites" + (hint or nearest(end, {*scenario.places, *satellites})),
            )
            return
        if place is not None and place.kind == "satellite":
            yield (
                key,
                target,
                f'between places and satellites; the links of "{end}" are those of "{place.satellite}"',
            )
            return
    if not _possible(ends[0], ends[1], scenario):
        yield key, target, "a link that can exist: of [[links]], from or to a place with access, or isl"


def _possible(a: str, b: str, scenario: Scenario) -> bool:
    def host(end: str) -> str:
        return scenario.places[end].satellite or end

    if any({host(x), host(y)} == {a, b} for x, y, _ in scenario.link_pairs()):
        return True
    on_earth = [scenario.places[end] for end in (a, b) if end in scenario.places]
    if len(on_earth) == 1:
        return on_earth[0].access in ("terminal", "gateway")
    if on_earth:
        return {end.access for end in on_earth} == {"terminal", "station"}
    constellation = scenario.document.constellation
    return constellation.isl != "none" or constellation.interlayer != "none"
