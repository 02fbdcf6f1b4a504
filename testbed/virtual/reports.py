"""What the nodes of a run in virtual time tell of themselves: flows, counters, comparisons of clocks.

The same `Flows` as a live node keeps, fed with the packets that arrived. Impostors are here, since only who
receives a packet can be deceived by it. What is told of tasks is in `tasks`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from nodes import wire
from nodes.clock import NodeClock
from nodes.flows import Flows
from nodes.wire import Record
from testbed.scenario import Scenario
from testbed.scenario.node_tables import GatewayNode, MicrocontrollerNode, SensorNode
from testbed.virtual.packets import Arrival

#: between reports of a node, and between comparisons of clocks
PERIOD_NS: Final = 1_000_000_000
#: kinds whose messages are numbered (nodes.node)
_NUMBERED: Final = (wire.DATA, wire.PUBLISH, wire.PING, wire.PONG)
#: a stamp takes this long to reach the other side at least, and so much longer on average, ns
_LEAST_WAY_NS: Final = 25_000
_EXTRA_WAY_NS: Final = 30_000
_LONGEST_WAY_NS: Final = 200_000
#: the other side takes so long to answer, ns
_ANSWER_NS: Final = 20_000
#: a reading: a slow wave with noise, as sensors make it; an impostor's lies by so much elsewhere
_SWING: Final = 5.0
_LEVEL: Final = 20.0
_NOISE: Final = 0.2
_LIE: Final = 8.0
_DRAWS: Final = 31  # tells these draws from others of the same seed


class Reports:
    """The telemetry of nodes. Times are ns of run time; `names` gives the node at a port.

    `hidden`: port of each impostor -> port of the node whose identity it claims.
    """

    def __init__(self, scenario: Scenario, names: dict[int, str], hidden: dict[int, int]) -> None:
        self._names = names
        self._hidden = hidden
        self._nodes = scenario.nodes
        self._seed = scenario.run.seed
        self._flows = {name: Flows() for name in scenario.nodes}
        self.clocks = {name: NodeClock() for name in scenario.nodes}
        self._newest: dict[tuple[int, int], int] = {}  # (source, receiver) -> number seen last
        self._received = dict.fromkeys(scenario.nodes, 0)
        self._reads = {
            port
            for port, name in names.items()
            if isinstance(scenario.nodes[name], SensorNode | MicrocontrollerNode)
        }
        self._told = 0

    def take(self, packets: Iterable[Arrival], until_ns: int) -> None:
        """Packets that arrived up to a time, in order."""
        draws = np.random.default_rng([self._seed, until_ns, _DRAWS])
        for packet in packets:
            name = self._names.get(packet.dst)
            if name is None:
                continue
            self._received[name] += 1
            if packet.kind != wire.ACK:
                self._observe(name, packet, draws)

    def _observe(self, name: str, packet: Arrival, draws: np.random.Generator) -> None:
        claimed = self._hidden.get(packet.port)
        src, tag = packet.src, packet.tag
        pair = (src, packet.dst)
        if claimed is not None:
            src = claimed
            pair = (src, packet.dst)
            # a number that was there before, where the receiver has seen one
            tag = self._newest.get(pair, tag)
        else:
            self._newest[pair] = tag
        source = self._names.get(src) or f"port-{src}"
        kind = wire.KIND_NAMES.get(packet.kind, f"kind-{packet.kind}")
        clock, senders = self.clocks[name], self.clocks.get(source)
        sent_ns = packet.sent_ns if senders is None else senders.at(packet.sent_ns)
        # a live node numbers from 1, and what is sent in fragments repeats packets
        sequence = tag + 1 if packet.kind in _NUMBERED and packet.fragments <= 1 else None
        flows = self._flows[name]
        flows.observe(source, kind, packet.size, clock.at(packet.due_ns), sent_ns, sequence)
        if packet.kind == wire.DATA and src in self._reads and isinstance(self._nodes[name], GatewayNode):
            wave = _LEVEL + _SWING * math.sin(packet.sent_ns / 1e9 / 30.0)
            lie = _LIE if claimed is not None else 0.0
            flows.observe_value(source, kind, wave + lie + float(draws.normal(0.0, _NOISE)))

    @property
    def due_ns(self) -> int:
        """When nodes report next."""
        return (self._told + 1) * PERIOD_NS

    def tell(self, sent: dict[str, int], queued: dict[str, int]) -> Iterator[Record]:
        """What every node tells at `due_ns`.

        `sent`: packets a node has sent so far; `queued`: tasks that wait at a server.
        """
        t_ns = self.due_ns
        self._told += 1
        draws = np.random.default_rng([self._seed, self._told, _DRAWS + 1])
        for name, node in self._nodes.items():
            yield from self._flows[name].report(name, t_ns, self.clocks[name].at(t_ns))
            fields: dict[str, wire.Value] = {"sent": sent[name], "received": self._received[name]}
            if name in queued:
                fields["queue"] = queued[name]
            yield Record(t_ns, "node", {"node": name, "role": node.role}, fields)
            yield self._exchange(name, t_ns, draws)

    def _exchange(self, name: str, t_ns: int, draws: np.random.Generator) -> Record:
        """Four stamps between a node and the host: each way as short as it can be, or somewhat longer."""
        clock = self.clocks[name]
        there, back = _LEAST_WAY_NS + np.minimum(draws.exponential(_EXTRA_WAY_NS, 2), _LONGEST_WAY_NS)
        begun_ns = t_ns - int(there + _ANSWER_NS + back)
        heard_ns = begun_ns + int(there)
        fields: dict[str, wire.Value] = {
            "t1_ns": clock.at(begun_ns),
            "t2_ns": heard_ns,
            "t3_ns": heard_ns + _ANSWER_NS,
            "t4_ns": clock.at(heard_ns + _ANSWER_NS + int(back)),
        }
        return Record(t_ns, "clock", {"node": name}, fields)
