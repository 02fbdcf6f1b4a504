"""The edge servers of a run in virtual time, and what they tell of each task.

First come, first served by the nodes' own `Processor`. An answer leaves the network's port when the
question has arrived: the time that a server takes is added to the latency that the client tells of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from nodes import wire
from nodes.tasks import Task
from nodes.wire import Record, Value
from nodes.work import Job, Processor
from testbed.scenario import Scenario
from testbed.scenario.node_tables import EdgeNode, SensorNode
from testbed.virtual.packets import Arrival

#: tasks of which something has arrived, per server: more than that are given up
_MOST_OPEN: Final = 4096
_FORGET_NS: Final = 60_000_000_000


class Servers:
    """All edge servers: takes packets in order of arrival, is told the time, and returns records.

    `ports`: node id by port; times are ns of run time.
    """

    def __init__(self, scenario: Scenario, names: dict[int, str]) -> None:
        self._scenario = scenario
        self._names = names
        self._processors = {
            name: Processor(node.service_rate_mhz * 1e6, node.cores, node.queue_tasks)
            for name, node in scenario.nodes.items()
            if isinstance(node, EdgeNode)
        }
        self._open: dict[tuple[int, int, int], int] = {}  # server, client, message -> fragments so far
        self._begun: dict[tuple[int, int, int], int] = {}  # -> when the client sent the first of them
        self._spent: dict[tuple[int, int, int], int] = {}  # -> ns in queue and service
        self._answered: dict[tuple[int, int, int], int] = {}  # -> when the answer came, without that
        self.tasks = dict.fromkeys(self._processors, 0)
        self.refused = dict.fromkeys(self._processors, 0)

    def knows(self, name: str) -> bool:
        """Whether there is a server of that name."""
        return name in self._processors

    def set_speed(self, name: str, factor: float, now_ns: int) -> Iterator[Record]:
        """A server runs at this multiple of its rate from now on; tasks that were done before."""
        yield from self._advance(name, now_ns)
        self._processors[name].set_speed(factor, now_ns)

    def queued(self, name: str) -> int:
        """Tasks that wait at a server."""
        return len(self._processors[name].queue)

    def take(self, packet: Arrival) -> Iterator[Record]:
        """A fragment of a task, or of an answer; any other packet is nobody's here."""
        if packet.kind == wire.TASK and self._names.get(packet.dst) in self._processors:
            yield from self._fragment(packet)
        elif packet.kind == wire.RESULT and self._names.get(packet.src) in self._processors:
            key = (packet.src, packet.dst, packet.tag)
            self._answered[key] = packet.due_ns
            yield from self._latency(key)

    def close(self, until_ns: int) -> Iterator[Record]:
        """Everything that is done until then."""
        for name in self._processors:
            yield from self._advance(name, until_ns)
        for kept in (self._begun, self._answered):
            for key in [key for key, t_ns in kept.items() if t_ns < until_ns - _FORGET_NS]:
                for table in (self._begun, self._answered, self._spent, self._open):
                    table.pop(key, None)

    def _fragment(self, packet: Arrival) -> Iterator[Record]:
        name = self._names[packet.dst]
        key = (packet.dst, packet.src, packet.tag)
        self._begun[key] = min(self._begun.get(key, packet.sent_ns), packet.sent_ns)
        self._open[key] = self._open.get(key, 0) + 1
        if self._open[key] < packet.fragments:
            if len(self._open) > _MOST_OPEN:
                self._open.pop(next(iter(self._open)))
            return
        del self._open[key]
        yield from self._advance(name, packet.due_ns)
        task = Task(self._cycles(packet.src, packet.tag), b"")
        if self._processors[name].submit(Job(packet.src, packet.tag, task, packet.due_ns)):
            yield from self._advance(name, packet.due_ns)
        else:
            self.refused[name] += 1

    def _cycles(self, client: int, tag: int) -> int:
        """Work of a client's message, evenly from what its table says, the same however the run goes."""
        node = self._scenario.nodes[self._names[client]]
        low, high = node.task_megacycles if isinstance(node, SensorNode) else (100.0, 1400.0)
        text = f"{self._scenario.run.seed}/{client}/{tag}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return round((low + (high - low) * int.from_bytes(digest, "little") / 2.0**64) * 1e6)

    def _advance(self, name: str, now_ns: int) -> Iterator[Record]:
        processor = self._processors[name]
        while True:
            due_ns = processor.due_ns
            ended, begun = processor.advance(now_ns if due_ns is None else min(due_ns, now_ns))
            for job in ended:
                yield from self._done(name, job)
            if not ended and not begun:
                return

    def _done(self, name: str, job: Job) -> Iterator[Record]:
        self.tasks[name] += 1
        fields: dict[str, Value] = {
            "cycles": job.task.cycles,
            "service_s": (job.finish_ns - job.begun_ns) / 1e9,
            "queue_s": (job.begun_ns - job.arrived_ns) / 1e9,
            "queue_length": len(self._processors[name].queue),
        }
        client = self._names[job.client]
        yield Record(job.finish_ns, "task", {"node": name, "client": client}, fields)
        server = next(port for port, node in self._names.items() if node == name)
        key = (server, job.client, job.tag)
        self._spent[key] = job.finish_ns - job.arrived_ns
        yield from self._latency(key)

    def _latency(self, key: tuple[int, int, int]) -> Iterator[Record]:
        """What the client tells of a task that was answered."""
        if key not in self._spent or key not in self._answered or key not in self._begun:
            return
        answered_ns = self._answered.pop(key) + self._spent.pop(key)
        begun_ns = self._begun.pop(key)
        tags = {"node": self._names[key[1]], "server": self._names[key[0]]}
        fields: dict[str, Value] = {
            "latency_s": (answered_ns - begun_ns) / 1e9,
            "cycles": self._cycles(key[1], key[2]),
            "ok": True,
            "retransmissions": 0,
        }
        yield Record(answered_ns, "offload", tags, fields)
