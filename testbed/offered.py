"""The traffic that a scenario's nodes offer, as flows for virtual time, and the servers that work on it.

Sizes, intervals and ways are those of the roles (`nodes.roles`); instants and the work of tasks are drawn
from the seed, so they are like those of a run and not the same. A transfer is offered at once, as one
message: neither its window nor its retransmissions are modelled, so what is lost stays lost, and a task of
which a packet is lost is never worked on. Edge servers work at their nominal rates; a task that one refuses
has no answer. What `SERVER>NODE result` says of delay is the whole latency of tasks, from the first packet
sent to the answer's arrival. Nothing is sent by guests.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

from emulator.traffic.arrivals import Periodic
from emulator.traffic.flows import Flow, Follow
from emulator.traffic.servers import Server, Work
from emulator.traffic.sizes import Fixed
from nodes import wire
from testbed.planned import Planned
from testbed.ports import Ports
from testbed.scenario.node_tables import (
    EdgeNode,
    GatewayNode,
    MicrocontrollerNode,
    Node,
    ProbeNode,
    SensorNode,
)

#: nodes.transfer: an acknowledgement without a bitmap; nodes.roles.topics: what stands before a publication;
#: nodes.tasks: cycles before a task's data, and an answer with its digest of 32 bytes
_ACK_BYTES: Final = wire.HEADER_BYTES + struct.calcsize("<BQqHB")
_PUBLICATION_BYTES: Final = 1 + struct.calcsize("<Iq")
_TASK_BYTES: Final = struct.calcsize("<Q")
_ANSWER_BYTES: Final = wire.HEADER_BYTES + struct.calcsize("<BIdd") + 32


class Offered:
    """The flows of a scenario. Names are `FROM>TO WHAT`; that up to a relay ends in ` via RELAY`."""

    def __init__(self, scenario: Planned, seed: int) -> None:
        self._scenario = scenario
        self._seed = seed
        self._ports = Ports(scenario).of

    def flows(self) -> tuple[Flow, ...]:
        """All of them, in the order of nodes."""
        return tuple(flow for name, node in self._scenario.nodes.items() for flow in self._of(name, node))

    def servers(self) -> tuple[Server, ...]:
        """The edge servers, in the order of nodes; what tasks ask of them is in the flows."""
        return tuple(
            Server(name, self._ports[name], node.service_rate_mhz * 1e6, node.cores, node.queue_tasks)
            for name, node in self._scenario.nodes.items()
            if isinstance(node, EdgeNode)
        )

    def _of(self, name: str, node: Node) -> Iterator[Flow]:
        if isinstance(node, SensorNode):
            yield from self._readings(name, node)
            yield from self._tasks(name, node)
        elif isinstance(node, MicrocontrollerNode):
            yield from self._readings(name, node)
        elif isinstance(node, ProbeNode):
            yield from self._probes(name, node)
        elif isinstance(node, GatewayNode):
            yield from self._subscriptions(name, node)

    # --- roles --------------------------------------------------------------------------------

    def _readings(self, name: str, node: SensorNode | MicrocontrollerNode) -> Iterator[Flow]:
        broker = node.broker if isinstance(node, SensorNode) else ""
        if not node.reading_interval_s or not (node.sink or broker):
            return
        times = Periodic(node.reading_interval_s, self._phase_s(name, "reading", node.reading_interval_s))
        length = wire.HEADER_BYTES + node.reading_bytes
        if isinstance(node, SensorNode) and broker:
            length += _PUBLICATION_BYTES + len(node.topic.encode())
            onward = self._publications(name, broker, node.topic)
            yield self._flow(
                name, broker, "publication", times, length, node.via, node.traffic_class,
                kind=wire.PUBLISH, then=onward,
            )  # fmt: skip
        else:
            yield self._flow(name, node.sink, "reading", times, length, node.via, node.traffic_class)

    def _publications(self, name: str, broker: str, topic: str) -> tuple[Follow, ...]:
        """What the broker sends on to each subscriber, who acknowledges it."""
        return tuple(
            Follow(
                f"{name}>{other} publication",
                self._ports[broker],
                self._ports[other],
                kind=wire.PUBLISH,
                then=self._acknowledged(f"{name}>{other} publication", other, broker),
            )
            for other, node in self._scenario.nodes.items()
            if isinstance(node, GatewayNode) and node.broker == broker and topic in node.topics
        )

    def _tasks(self, name: str, node: SensorNode) -> Iterator[Flow]:
        if not node.task_interval_s or not node.servers:
            return
        # Servers take tasks in turn: each has every so-manieth, one interval after the other's.
        count = len(node.servers)
        phase_s = self._phase_s(name, "task", node.task_interval_s)
        low_cycles, high_cycles = (megacycles * 1e6 for megacycles in node.task_megacycles)
        for turn, server in enumerate(node.servers):
            times = Periodic(count * node.task_interval_s, phase_s + turn * node.task_interval_s)
            answer = Follow(
                f"{server}>{name} result",
                self._ports[server],
                self._ports[name],
                Fixed(_ANSWER_BYTES),
                whole=True,
                kind=wire.RESULT,
                then=self._acknowledged(f"{server}>{name} result", name, server),
                work=Work(server, low_cycles, high_cycles),
            )
            data = round(node.task_kbytes * 1000) + _TASK_BYTES
            yield self._transfer(
                name, server, "task", times, data, node.via, node.traffic_class, wire.TASK, answer
            )

    def _probes(self, name: str, node: ProbeNode) -> Iterator[Flow]:
        target = node.target
        if node.ping_interval_s:
            pong = Follow(f"{target}>{name} pong", self._ports[target], self._ports[name], kind=wire.PONG)
            times = Periodic(node.ping_interval_s, node.ping_interval_s)
            length = wire.HEADER_BYTES + node.ping_bytes
            yield self._flow(
                name, target, "ping", times, length, node.via, node.traffic_class,
                kind=wire.PING, then=(pong,),
            )  # fmt: skip
        if node.bulk_interval_s:
            times = Periodic(node.bulk_interval_s, node.bulk_interval_s)
            data = round(node.bulk_kbytes * 1000)
            yield self._transfer(name, target, "bulk", times, data, node.via, node.traffic_class, wire.DATA)

    def _subscriptions(self, name: str, node: GatewayNode) -> Iterator[Flow]:
        for topic in node.topics if node.broker else ():
            yield self._flow(
                name, node.broker, f"subscription {topic}", Periodic(node.subscribe_interval_s),
                wire.HEADER_BYTES + len(topic.encode()), "", node.traffic_class, kind=wire.SUBSCRIBE,
            )  # fmt: skip

    # --- parts --------------------------------------------------------------------------------

    def _acknowledged(self, name: str, receiver: str, sender: str) -> tuple[Follow, ...]:
        ack = Follow(
            f"{name} ack", self._ports[receiver], self._ports[sender], Fixed(_ACK_BYTES), kind=wire.ACK
        )
        return (ack,)

    def _transfer(
        self,
        name: str,
        target: str,
        what: str,
        times: Periodic,
        data_bytes: int,
        via: str,
        traffic_class: int,
        kind: int,
        *answers: Follow,
    ) -> Flow:
        """A transfer in fragments, each of which the receiver acknowledges directly."""
        whole, rest = divmod(data_bytes, wire.FRAGMENT_BYTES)
        return self._flow(
            name,
            target,
            what,
            times,
            wire.HEADER_BYTES + wire.FRAGMENT_BYTES,
            via,
            traffic_class,
            kind=kind,
            packets=whole + (rest > 0),
            last_bytes=wire.HEADER_BYTES + rest if rest else 0,
            then=(*self._acknowledged(f"{name}>{target} {what}", target, name), *answers),
        )

    def _flow(
        self,
        name: str,
        target: str,
        what: str,
        times: Periodic,
        length: int,
        via: str,
        traffic_class: int,
        *,
        kind: int = wire.DATA,
        packets: int = 1,
        last_bytes: int = 0,
        then: tuple[Follow, ...] = (),
    ) -> Flow:
        """A flow straight to its target, or to a relay that sends it on."""
        port, end = self._ports[name], self._ports[target]
        whole_way = f"{name}>{target} {what}"
        if via:
            relay = self._ports[via]
            then = (Follow(whole_way, relay, end, kind=kind, then=then),)
            whole_way, end = f"{whole_way} via {via}", relay
        return Flow(
            whole_way,
            port,
            end,
            times,
            Fixed(length),
            packets=packets,
            last_bytes=last_bytes,
            traffic_class=traffic_class,
            kind=kind,
            then=then,
        )

    def _phase_s(self, name: str, what: str, interval_s: float) -> float:
        digest = hashlib.blake2b(f"{self._seed}/{name}/{what}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") / 2.0**64 * interval_s
