"""A twin of a part of the network: which part, what it sees, and its line to the centre.

An edge is the twin as it is, with the links and servers of its places only; its loop needs nobody else. Over
its line it tells the centre what changed. The line is allowed to be dead: nothing waits for it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

import zmq

from emulator.spec import Place, WorldSpec
from nodes.wire import Record
from testbed.errors import BadInput
from testbed.twin.core import Network, Twin
from testbed.twin.hierarchy import Uplink
from testbed.twin.knowledge import Knowledge
from testbed.twin.nominal import NominalLink, NominalNetwork, RadioBelief
from testbed.twin.state import StateTable

#: edges of a run at most
MOST_EDGES: Final = 16
#: what stands before an edge's name where it is one of a run's processes; no node's name has a colon
MEMBER: Final = "twin:"
#: messages that may wait in the socket of a line
_WAITING_MAX: Final = 16
#: what is told of events as they happen, beside the states
_EVENTS: Final = frozenset({"detection", "recovery", "action"})


@dataclass(frozen=True)
class Scope:
    """The part of a network that an edge answers for.

    Links belong to the edge of their end on the ground; what is in space only (links between satellites,
    nodes on board) is dealt out by name, `number` of `count`.
    """

    edge: str
    places: frozenset[str]
    #: node id -> place, of all nodes
    node_places: dict[str, str]
    #: ids of all places that are not on satellites
    ground: frozenset[str]
    number: int
    count: int

    def owns_place(self, place: str) -> bool:
        """Whether a place, or a satellite by its lot, belongs to this edge."""
        if place in self.ground:
            return place in self.places
        return zlib.crc32(place.encode()) % self.count == self.number

    def owns_link(self, link: str) -> bool:
        """Whether a link `a>b` does: by its end on the ground; by the first of two."""
        source, _, sink = link.partition(">")
        return self.owns_place(source if source in self.ground or sink not in self.ground else sink)

    def owns_node(self, node: str) -> bool:
        """Whether a node does, by the place it stands at."""
        return self.owns_place(self.node_places.get(node) or node)

    def owns(self, target: str) -> bool:
        """Whether a target of the state table does: a link, a flow (by where it ends), a node, a place."""
        link, _, flow = target.partition(":")
        if flow:
            return self.owns_node(link.partition(">")[2])
        if ">" in target:
            return self.owns_link(target)
        return self.owns_node(target) if target in self.node_places else self.owns_place(target)

    def sees(self, record: Record) -> bool:
        """Whether a telemetry record is about something of this edge."""
        if record.measurement == "link":
            return self.owns_link(record.tags.get("link", ""))
        return self.owns_node(record.tags.get("node", ""))


def partition(knowledge: Knowledge, count: int | None = None) -> dict[str, Scope]:
    """The scopes of all edges by their names.

    Without `count`, one edge for every gateway, with the places that lie nearest to it. With it, or with
    fewer than two gateways, so many (two) edges of places that are neighbours in longitude.
    """
    places = [place for place in knowledge.world.places if place.kind != "satellite"]
    ground = frozenset(place.id for place in places)
    gateways = [place for place in places if place.access == "gateway"]
    groups: dict[str, list[str]]
    if count is None and len(gateways) >= 2:
        groups = {f"edge-{gateway.id}": [] for gateway in gateways}
        for place in places:
            nearest = min(gateways, key=lambda gateway: (_distance(place, gateway), gateway.id))
            groups[f"edge-{nearest.id}"].append(place.id)
    else:
        number = count or 2
        if not 1 <= number <= max(len(places), 1):
            raise BadInput(f"edges: {number} were asked for, allowed are 1 to {max(len(places), 1)} (places)")
        order = sorted(places, key=lambda place: (place.longitude_deg, place.id))
        groups = {
            f"edge-{k + 1}": [p.id for p in order[k * len(order) // number : (k + 1) * len(order) // number]]
            for k in range(number)
        }
    return {
        name: Scope(name, frozenset(members), knowledge.node_places, ground, k, len(groups))
        for k, (name, members) in enumerate(sorted(groups.items()))
    }


def in_a_run(knowledge: Knowledge, asked: int = 0) -> int | None:
    """Into how many edges a run's network is divided, as `partition` takes it; 0: one for every gateway.

    Where there are too many gateways for that, `MOST_EDGES` of neighbouring places.
    """
    if asked:
        return asked
    gateways = sum(place.access == "gateway" for place in knowledge.world.places)
    return MOST_EDGES if gateways > MOST_EDGES else None


def owner_of(scopes: dict[str, Scope]) -> Callable[[str], str | None]:
    """Which edge a target belongs to; None for satellites, of which several edges know something."""

    def owner(target: str) -> str | None:
        known = next(iter(scopes.values()), None)
        if known is None or (
            ">" not in target and target not in known.node_places and target not in known.ground
        ):
            return None
        return next((name for name, scope in scopes.items() if scope.owns(target)), None)

    return owner


def _distance(a: Place, b: Place) -> float:
    """Great-circle angle between two places, rad (haversine)."""
    phi_a, phi_b = math.radians(a.latitude_deg), math.radians(b.latitude_deg)
    half = math.sin(0.5 * (phi_a - phi_b)) ** 2
    turn = math.radians(a.longitude_deg - b.longitude_deg)
    half += math.cos(phi_a) * math.cos(phi_b) * math.sin(0.5 * turn) ** 2
    return 2.0 * math.asin(min(math.sqrt(half), 1.0))


@dataclass(frozen=True)
class EdgeOptions:
    """What makes a twin's process one of an edge: the centre's endpoint, and into how many it is divided."""

    centre: str
    edges: int | None = None

    def scope(self, knowledge: Knowledge, node_id: str) -> Scope:
        """The part of an edge by its name; BadInput names the edges there are."""
        scopes = partition(knowledge, self.edges)
        name = node_id.removeprefix(MEMBER)
        if name not in scopes:
            raise BadInput(f"--id {node_id}: no edge of that name, allowed are {', '.join(scopes)}")
        return scopes[name]


class _Within:
    """A nominal network of which only an edge's links are there."""

    def __init__(self, network: Network, scope: Scope) -> None:
        self._network, self._scope = network, scope

    def at(self, t_s: float, isl: frozenset[str]) -> list[NominalLink]:
        return [link for link in self._network.at(t_s, isl) if self._scope.owns_link(link.id)]

    def attenuation_of_fall(self, place: str, direction: str, fall_db: float) -> float:
        return self._network.attenuation_of_fall(place, direction, fall_db)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._network, name)


class EdgeTwin(Twin):
    """A twin that looks at one scope's telemetry and nothing else."""

    def __init__(
        self,
        knowledge: Knowledge,
        scope: Scope,
        build: Callable[[WorldSpec, RadioBelief], Network] = NominalNetwork,
    ) -> None:
        self.scope = scope
        servers = {name: hz for name, hz in knowledge.servers.items() if scope.owns_node(name)}
        super().__init__(
            replace(knowledge, servers=servers), lambda spec, belief: _Within(build(spec, belief), scope)
        )

    def take(self, records: Iterable[Record]) -> None:
        """Holds observations of the scope; others are counted and not looked at."""
        kept = []
        for record in records:
            if self.scope.sees(record):
                kept.append(record)
            else:
                self.counters["foreign"] += 1
        super().take(kept)


def on_this_host(option: str, endpoint: str) -> str:
    """The endpoint if it does not leave this host; BadInput otherwise."""
    parts = urlsplit(endpoint)
    loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not (parts.scheme == "ipc" or (parts.scheme == "tcp" and loopback)):
        raise BadInput(f"{option} {endpoint}: allowed are ipc://PATH and tcp://127.0.0.1:PORT")
    return endpoint


class Line:
    """The socket of an edge towards the centre; never waits, and keeps nothing for a centre that is away."""

    def __init__(self, context: zmq.Context[Any], endpoint: str, uplink: Uplink) -> None:
        self._uplink = uplink
        on_this_host("--centre", endpoint)
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.setsockopt(zmq.SNDHWM, _WAITING_MAX)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing is queued for a peer that is not there
        self._socket.setsockopt(zmq.IDENTITY, uplink.edge.encode())
        self.sent = self.unsent = self.bytes = self.found_again = 0
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._socket.close()
            raise BadInput(f"--centre {endpoint}: not an endpoint ({error.strerror})") from None

    def closed(self, table: StateTable, window: int, t_s: float, said: Iterable[Record]) -> None:
        """A window was closed: hears the centre, and tells it what changed."""
        while True:
            try:
                data = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            self.found_again += self._uplink.take(data, window)
        message = self._uplink.step(table, window, t_s, (r for r in said if r.measurement in _EVENTS))
        if message is None:
            return
        try:
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            self.unsent += 1
            return
        self.sent += 1
        self.bytes += len(message)

    def counters(self) -> dict[str, int]:
        """Messages sent, and not sent because the centre was away; how often it was found again."""
        return {
            "told": self.sent, "told_bytes": self.bytes, "untold": self.unsent,
            "told_version": self._uplink.told.version, "centre_found_again": self.found_again,
            "waiting": self._uplink.waiting(), "dropped_events": self._uplink.dropped_events,
        }  # fmt: skip

    def close(self) -> None:
        self._socket.close()
