"""What servers and their clients tell of tasks in virtual time: the network's own servers did the work.

A server tells of a task when it is done, a client when the answer has arrived. Of tasks of which something
was lost, or that a server refused, nobody tells: that a client gives them up in the end is not modelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from nodes import wire
from nodes.wire import Record, Value
from testbed.virtual.packets import Arrival

#: tasks whose answers are on their way, at most; the oldest are forgotten
_MOST_OPEN: Final = 4_096


class Tasks:
    """Turns finished tasks and answers into records; `names`: node by port, `servers` in their order."""

    def __init__(self, names: Mapping[int, str], servers: Sequence[str]) -> None:
        self._names = names
        self._servers = servers
        #: tasks that wait at a server, as they did when it last finished one
        self.waiting = dict.fromkeys(servers, 0)
        self._done: dict[tuple[str, str, int], float] = {}  # server, client, message -> cycles

    def finished(self, served: np.ndarray[Any, Any]) -> Iterator[Record]:
        """Tasks that servers have finished (SERVED)."""
        for row in served:
            server, client = self._servers[int(row["server"])], self._names[int(row["client"])]
            arrived_ns, begun_ns, done_ns = (int(row[name]) for name in ("arrived_ns", "begun_ns", "done_ns"))
            self.waiting[server] = int(row["waiting"])
            self._done[server, client, int(row["message"])] = float(row["cycles"])
            if len(self._done) > _MOST_OPEN:
                self._done.pop(next(iter(self._done)))
            fields: dict[str, Value] = {
                "cycles": float(row["cycles"]),
                "service_s": (done_ns - begun_ns) / 1e9,
                "queue_s": (begun_ns - arrived_ns) / 1e9,
                "queue_length": int(row["waiting"]),
            }
            yield Record(done_ns, "task", {"node": server, "client": client}, fields)

    def answered(self, packet: Arrival) -> Iterator[Record]:
        """An answer that has arrived; any other packet is nobody's here."""
        if packet.kind != wire.RESULT:
            return
        server, client = self._names[packet.src], self._names[packet.dst]
        cycles = self._done.pop((server, client, packet.tag), None)
        if cycles is None:  # a second copy of it
            return
        fields: dict[str, Value] = {
            "latency_s": (packet.due_ns - packet.origin_ns) / 1e9,
            "cycles": cycles,
            "ok": True,
            "retransmissions": 0,
        }
        yield Record(packet.due_ns, "offload", {"node": client, "server": server}, fields)
