"""An IoT sensor: publishes readings, and offloads compute tasks to edge servers.

Every instant, size and server follows from the seed and the node's id, so that a run repeats. Servers take
tasks in turn, or in the shares that `offload` gives them.
Configuration: `reading_interval_s`, `reading_bytes`, `sink` (a node, readings as datagrams) or `broker`
with `topic` (published there); `task_interval_s` (0: none), `task_kbytes`, `task_megacycles`, `servers`,
`task_timeout_s`; `via` (a relay), `seed`. Commands: `offload {servers: {name: share}}`, and `pace
{reading_interval_s, task_interval_s}`, of which 0 is none.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from nodes import wire
from nodes.commands import intervals_of, shares_of
from nodes.node import CommandError, ConfigError, Node
from nodes.readings import pack_reading
from nodes.roles.base import Role
from nodes.roles.topics import Publication, pack_publication
from nodes.tasks import DONE, STATUS_NAMES, Task, pack_task, unpack_answer
from nodes.timers import Timer
from nodes.transfer import Blob, Outcome
from nodes.wire import Value


@dataclass
class _Offload:
    """A task on its way or at the server."""

    server: int
    begun_ns: int
    cycles: int
    bytes: int
    timeout: Timer
    retransmissions: int = 0


class Turns:
    """Whose turn it is: in order while all have the same share, else spread as evenly as shares allow."""

    def __init__(self, names: list[str]) -> None:
        self._shares = dict(Counter(names))
        self._credit = dict.fromkeys(self._shares, 0)

    def __str__(self) -> str:
        return "+".join(f"{name}:{share}" for name, share in sorted(self._shares.items()))

    def set_shares(self, shares: dict[str, int]) -> None:
        """From the next turn on; every name has a share, 0 for none."""
        self._shares = {name: shares[name] for name in self._shares}
        self._credit = dict.fromkeys(self._shares, 0)

    def next(self) -> str:
        """The name whose turn it is."""
        for name, share in self._shares.items():
            self._credit[name] += share
        chosen = max(self._credit, key=self._credit.__getitem__)
        self._credit[chosen] -= sum(self._shares.values())
        return chosen


class Sensor(Role):
    """Publishes readings and offloads tasks, on instants that follow from the seed."""

    initiates = True

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._random = Random(f"{node.config.get('seed', 0)}/{node.id}")
        reading_ns = int(self.number("reading_interval_s", 1.0) * 1e9)
        self._reading_bytes = int(self.number("reading_bytes", 64, 0, wire.MAX_PACKET_BYTES - 128))
        task_ns = int(self.number("task_interval_s", 0.0) * 1e9)
        self._task_bytes = int(self.number("task_kbytes", 50.0, 0, 16_000) * 1000)
        self._megacycles = self.pair("task_megacycles", (100.0, 1400.0))
        self._timeout_ns = int(self.number("task_timeout_s", 30.0, 0.001) * 1e9)
        self._via = self.port("via")
        self._broker = self.port("broker")
        self._topic = self.text("topic", "readings")
        self._sink = self.port("sink")
        names = self.texts("servers")
        ports = {name: node.port_of(name, "servers") for name in names}
        if reading_ns and not (self._sink or self._broker):
            raise ConfigError(
                f"{node.id}: readings need a sink or a broker (reading_interval_s = 0: no readings)"
            )
        if task_ns and not names:
            raise ConfigError(
                f"{node.id}: task_interval_s is set, so servers must name at least one edge server"
            )
        first = self._random.randrange(len(names)) if names else 0
        self._servers = Turns(names[first:] + names[:first])
        self._ports = ports
        self._offloads: dict[tuple[int, int], _Offload] = {}
        self._series = {
            "reading_interval_s": node.series(reading_ns, self._publish_reading),
            "task_interval_s": node.series(task_ns, self._send_task),
        }
        self.readings = self.tasks = self.answers = self.failures = 0

    def on_start(self) -> None:
        # Random phases: sensors switched on at different moments do not send in step.
        for series in self._series.values():
            phase = self._random.random()
            series.start(self.node.t0_ns + int(phase * series.interval_ns))

    def on_quiesce(self) -> None:
        for series in self._series.values():
            series.end()

    def on_command(self, name: str, arguments: dict[str, Any]) -> str:
        if name == "offload":
            before = str(self._servers)
            self._servers.set_shares(shares_of(arguments, sorted(self._ports)))
            return f"tasks go to {self._servers}, before to {before or 'none'}"
        if name == "pace":
            given = intervals_of(arguments, tuple(self._series))
            self._check_paces(given)
            for key, interval_s in given.items():
                self._series[key].set_interval(round(interval_s * 1e9))
            return ", ".join(f"{key} = {interval_s:g}" for key, interval_s in given.items())
        return super().on_command(name, arguments)

    def _check_paces(self, given: dict[str, float]) -> None:
        if given.get("reading_interval_s") and not (self._sink or self._broker):
            raise CommandError(f"pace: {self.node.id} has neither sink nor broker for readings")
        if given.get("task_interval_s") and not self._ports:
            raise CommandError(f"pace: {self.node.id} has no servers for tasks")

    def on_blob(self, blob: Blob) -> None:
        offload = self._offloads.get((blob.src, blob.tag))
        answer = unpack_answer(blob.data) if blob.kind == wire.RESULT else None
        if offload is None or answer is None:
            self.misdirected += 1
            return
        self._finish((blob.src, blob.tag), "" if answer.status == DONE else STATUS_NAMES[answer.status])

    def fields(self) -> dict[str, Value]:
        told: dict[str, Value] = {key: series.interval_ns / 1e9 for key, series in self._series.items()}
        return {
            "readings": self.readings,
            "tasks": self.tasks,
            "outstanding": len(self._offloads),
            "traffic_class": self.node.traffic_class,
            "servers": str(self._servers),
            **told,
        }

    def counters(self) -> dict[str, int]:
        return super().counters() | {
            "readings": self.readings,
            "tasks": self.tasks,
            "answers": self.answers,
            "failures": self.failures,
            "outstanding": len(self._offloads),
        }

    # --- readings ------------------------------------------------------------------------------

    def _publish_reading(self) -> None:
        now_ns = self.node.now_ns()
        self.readings += 1
        # A slow day-like wave with noise: something a user sees a shape in.
        t_s = (now_ns - self.node.t0_ns) / 1e9
        value = 20.0 + 5.0 * math.sin(t_s / 30.0) + self._random.gauss(0.0, 0.2)
        body = pack_reading(self.readings, value, self._reading_bytes)
        if self._broker:
            publication = Publication(self._topic, self.node.port, self.node.stamp_ns(), body)
            self.node.send(self._broker, pack_publication(publication), kind=wire.PUBLISH, via=self._via)
        else:
            self.node.send(self._sink, body, via=self._via)

    # --- tasks ---------------------------------------------------------------------------------

    def _send_task(self) -> None:
        server = self._ports[self._servers.next()]
        self.tasks += 1
        cycles = int(self._random.uniform(*self._megacycles) * 1e6)
        data = self._random.randbytes(self._task_bytes)
        now_ns = self.node.now_ns()
        key = (server, self.node.next_tag())
        timeout = self.node.at(now_ns + self._timeout_ns, lambda: self._finish(key, "timeout"))
        self._offloads[key] = _Offload(server, now_ns, cycles, len(data), timeout)

        def uploaded(outcome: Outcome) -> None:
            if key in self._offloads:
                self._offloads[key].retransmissions = outcome.retransmissions
                if outcome.cause:
                    self._finish(key, outcome.cause)

        self.node.transfer(server, pack_task(Task(cycles, data)), wire.TASK, self._via, key[1], uploaded)

    def _finish(self, key: tuple[int, int], cause: str) -> None:
        offload = self._offloads.pop(key, None)
        if offload is None:
            return
        offload.timeout.cancel()
        self.answers += not cause
        self.failures += bool(cause)
        fields: dict[str, Value] = {
            "latency_s": (self.node.now_ns() - offload.begun_ns) / 1e9,
            "cycles": offload.cycles,
            "bytes": offload.bytes,
            "ok": not cause,
            "retransmissions": offload.retransmissions,
        }
        if cause:
            fields["cause"] = cause
        self.node.record("offload", {"server": self.node.name_of(offload.server)}, fields)
