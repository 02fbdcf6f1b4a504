"""What a user states of traffic: who sends what to whom, when and how long, and what follows on arrival.

A flow sends messages of one or several packets. When a packet (or a whole message) has arrived, other flows
may follow: a relay sends it on, a receiver answers. `FlowSet` turns flows into what kernels read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from emulator.links.random import link_key
from emulator.links.state import CLASSES, NEVER
from emulator.traffic import sizes
from emulator.traffic.arrivals import Recorded, Times
from emulator.traffic.errors import TrafficError
from emulator.traffic.layout import FLOW, FOLLOWING, Traffic, make_traffic
from emulator.traffic.servers import Server, Work, server_rows
from emulator.traffic.sizes import Fixed, Sizes
from nodes import wire

#: identity of flows among everything else that draws from a seed
_FLOWS: Final = "\x00flow"
_MOST_PACKETS: Final = 1_000_000
_PLAIN: Final = Fixed(100)


@dataclass(frozen=True)
class Follow:
    """What port `port` sends to `target` each time a packet of the flow before it has arrived there.

    `size` None: as long as that packet. `whole`: once for each message of which every packet has arrived;
    one that is not complete when the next begins to arrive is given up. `every`: else once for so many
    packets of a message that have arrived, and when it is complete. `traffic_class` None: that of the flow
    before. `kind`: what the header says it is (nodes.wire). `work`: what a server at `port` does before, for
    a `whole` message; None: it is sent at once. What follows on this in turn: `then`.
    """

    name: str
    port: int
    target: int
    size: Sizes | None = None
    whole: bool = False
    traffic_class: int | None = None
    kind: int = wire.DATA
    then: tuple[Follow, ...] = ()
    work: Work | None = None
    every: int = 1


@dataclass(frozen=True)
class Flow:
    """What port `port` sends to port `target` of its own accord, from `start_s` to `end_s`.

    `times`: when messages begin; `size`: length of each packet, header included; `packets` of a message,
    `spacing_s` apart, the last of `last_bytes` (0: as the others). `traffic_class` 0 to 3, the highest goes
    first. `then`: what follows when a packet has arrived.
    """

    name: str
    port: int
    target: int
    times: Times
    size: Sizes = _PLAIN
    packets: int = 1
    spacing_s: float = 0.0
    last_bytes: int = 0
    traffic_class: int = 0
    start_s: float = 0.0
    end_s: float | None = None
    kind: int = wire.DATA
    then: tuple[Follow, ...] = field(default_factory=tuple)


def all_names(flow: Flow | Follow) -> Iterator[str]:
    """The name of a flow and of all that follows on it."""
    yield flow.name
    for one in flow.then:
        yield from all_names(one)


def _check(flow: Flow) -> None:
    where = f"flow {flow.name!r}: "
    flow.times.check(f"{where}times.")
    flow.size.check(f"{where}size.")
    if not 1 <= flow.packets <= _MOST_PACKETS:
        raise TrafficError(f"{where}packets is {flow.packets!r}, allowed: 1 to {_MOST_PACKETS}")
    if not 0 <= flow.last_bytes <= 65_535:
        raise TrafficError(f"{where}last_bytes is {flow.last_bytes!r}, allowed: 0 to 65535")
    for name in ("spacing_s", "start_s"):
        if not 0.0 <= getattr(flow, name) <= 1e9:
            raise TrafficError(f"{where}{name} is {getattr(flow, name)!r}, allowed: 0 to 1e+09 s")
    if flow.end_s is not None and not flow.start_s <= flow.end_s <= 1e9:
        raise TrafficError(f"{where}end_s is {flow.end_s!r}, allowed: start_s = {flow.start_s:g} to 1e+09 s")


def _check_ends(flow: Flow | Follow, before: Follow | Flow | None) -> None:
    where = f"flow {flow.name!r}: "
    for name in ("port", "target"):
        if not 0 < getattr(flow, name) < 1 << 31:
            raise TrafficError(
                f"{where}{name} is {getattr(flow, name)!r}, allowed: the number of a port, from 1"
            )
    if before is not None and flow.port != before.target:
        raise TrafficError(
            f"{where}port is {flow.port}, allowed: {before.target}, where {before.name!r} arrives"
        )
    if isinstance(flow, Follow):
        if flow.size is not None:
            flow.size.check(f"{where}size.")
        if not 1 <= flow.every <= _MOST_PACKETS:
            raise TrafficError(f"{where}every is {flow.every!r}, allowed: 1 to {_MOST_PACKETS} packets")
    if flow.traffic_class is not None and not 0 <= flow.traffic_class < CLASSES:
        raise TrafficError(f"{where}traffic_class is {flow.traffic_class!r}, allowed: 0 to {CLASSES - 1}")
    for one in flow.then:
        _check_ends(one, flow)


def _by_name(servers: tuple[Server, ...]) -> dict[str, int]:
    """Row of every server, by name; TrafficError for servers that cannot be."""
    found: dict[str, int] = {}
    for server in servers:
        server.check()
        if server.name in found:
            raise TrafficError(f"server {server.name!r}: the name is taken, allowed: one that no other has")
        found[server.name] = len(found)
    return found


class FlowSet:
    """Flows as kernels read them.

    `seed`: every instant, length and work follows from it and the names; `origin_ns`: when `start_s` = 0 is;
    `servers`: those that work is for. `names` are those of all flows and of what follows on them, in the
    order of all results. TrafficError, one sentence, for what cannot be.
    """

    def __init__(
        self,
        flows: Sequence[Flow],
        seed: int = 0,
        origin_ns: int = 0,
        servers: Sequence[Server] = (),
    ) -> None:
        self.names: tuple[str, ...] = tuple(name for flow in flows for name in all_names(flow))
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise TrafficError(f"flow {twice!r}: the name is taken, allowed: one that no other flow has")
        self.origin_ns = origin_ns
        self.servers: tuple[Server, ...] = tuple(servers)
        self._server_index = _by_name(self.servers)
        self._seed = seed
        self.rows = np.zeros(len(self.names), FLOW)
        for name in ("follower", "sibling", "server"):
            self.rows[name] = -1
        #: [flows] whether a flow is of the traffic class of the one that it follows
        self.inherits = np.zeros(len(self.names), np.bool_)
        self._times_ns: list[int] = []
        self._lengths: list[int] = []
        self._next = 0
        for flow in flows:
            _check(flow)
            _check_ends(flow, None)
            self._add(flow)

    def __len__(self) -> int:
        return len(self.rows)

    def index(self, name: str) -> int:
        """Row of a flow, by name; TrafficError for an unknown one."""
        if name not in self.names:
            shown = ", ".join(self.names[:8]) + (", ..." if len(self) > 8 else "")
            raise TrafficError(f"flow {name!r} is unknown, allowed: {shown}")
        return self.names.index(name)

    @property
    def highest_port(self) -> int:
        """The highest number of a port that any flow leaves from or goes to."""
        return int(max(self.rows["port"].max(), self.rows["target"].max())) if len(self) else 0

    def traffic(self, slots: int, **options: Any) -> Traffic:
        """Traffic at its beginning, for a network of `slots` packets; options as of `make_traffic`."""
        return make_traffic(
            self.rows,
            np.array(self._times_ns, np.int64),
            np.array(self._lengths, np.int32),
            slots=slots,
            origin_ns=self.origin_ns,
            servers=server_rows(self.servers),
            **options,
        )

    def _common(self, flow: Flow | Follow, traffic_class: int, source: int, packets: int) -> int:
        index = self._next
        self._next += 1
        row = self.rows[index]
        row["key"] = link_key(self._seed, _FLOWS, flow.name)
        row["port"], row["target"] = flow.port, flow.target
        row["traffic_class"] = traffic_class
        head = struct.pack("<HBBIII", wire.MAGIC, wire.VERSION, flow.kind, source, flow.target, 0)
        row["word0"], row["word1"] = struct.unpack("<qq", head)
        row["packets"] = packets
        row["word5"] = (packets & 0xFFFF) << 16 | traffic_class << 32
        row["end_ns"] = NEVER
        return index

    def _add(self, flow: Flow) -> None:
        index = self._common(flow, flow.traffic_class, flow.port, flow.packets)
        row = self.rows[index]
        row["start_ns"] = self.origin_ns + round(flow.start_s * 1e9)
        if flow.end_s is not None:
            row["end_ns"] = self.origin_ns + round(flow.end_s * 1e9)
        row["spacing_ns"] = round(flow.spacing_s * 1e9)
        row["size_last"] = flow.last_bytes
        sizes.write(row, flow.size, self._lengths)
        if isinstance(flow.times, Recorded):
            flow.times.write(row, self._times_ns, self._lengths)
        else:
            flow.times.write(row)
        self._follow(index, flow.then, flow.traffic_class, flow.port, flow.packets)

    def _follow(
        self, before: int, followers: tuple[Follow, ...], traffic_class: int, source: int, packets: int
    ) -> None:
        last = -1
        for one in followers:
            own = traffic_class if one.traffic_class is None else one.traffic_class
            # What follows each packet is the same message on its way; what follows the whole is a new one.
            mine = 1 if one.whole else packets
            relayed = one.kind == self._kind(before) and not one.whole
            origin = source if relayed else one.port
            if relayed:
                # As a node writes it: to the last one, by way of the one where it arrives first.
                self.rows[before]["word1"] = one.target | int(self.rows[before]["target"]) << 32
            index = self._common(one, own, origin, mine)
            row = self.rows[index]
            row["kind"], row["whole"], row["every"] = FOLLOWING, one.whole, one.every
            self.inherits[index] = one.traffic_class is None
            sizes.write(row, one.size, self._lengths)
            if one.work is not None:
                self._put_to_work(row, one, one.work)
            self.rows[before if last < 0 else last]["follower" if last < 0 else "sibling"] = index
            last = index
            self._follow(index, one.then, own, origin, mine)

    def _put_to_work(self, row: Any, flow: Follow, work: Work) -> None:
        where = f"flow {flow.name!r}: "
        work.check(f"{where}work.")
        index = self.server_index(work.server, where)
        port = self.servers[index].port
        if flow.port != port or not flow.whole:
            raise TrafficError(
                f"{where}work for server {work.server!r}, allowed: of whole messages to its port {port}"
            )
        row["server"], row["cycles_low"], row["cycles_high"] = index, work.low_cycles, work.high_cycles

    def server_index(self, name: str, where: str = "") -> int:
        """Row of a server, by name; TrafficError, which begins with `where`, for an unknown one."""
        if name not in self._server_index:
            known = ", ".join(list(self._server_index)[:8]) or "none, there are no servers"
            raise TrafficError(f"{where}server {name!r} is unknown, allowed: {known}")
        return self._server_index[name]

    def _kind(self, index: int) -> int:
        return int(self.rows[index]["word0"] >> 24) & 0xFF
