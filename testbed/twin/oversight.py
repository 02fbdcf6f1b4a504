"""The central twin's side towards edges in a run: hears them, says how far their states and its own agree.

What an edge believes is held beside what the central twin believes, which goes on by telemetry of its own.
After an outage of the centre, or of an edge, everything is told again; what edges noticed meanwhile is said
then, with the time at which it happened. What edges and a centre tell each other is `hierarchy`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import zmq

from nodes.wire import Record, Value
from testbed.errors import BadInput
from testbed.twin.edge import on_this_host
from testbed.twin.hierarchy import ALLOWED, BOUND_SDS, Centre
from testbed.twin.state import StateTable

#: how often it is said how edges stand, s
EVERY_S: Final = 2.0
#: what an edge noticed is told late when it is older, s: a window, and the one in which it is heard
LATE_S: Final = 2.0
#: two beliefs agree within so many standard deviations of their difference, and what is not told for its
#: smallness
_SDS: Final = 2.0 + BOUND_SDS
_ROUNDING: Final = 1e-6
#: messages of edges that may wait
_WAITING_MAX: Final = 1_024


def agreement(own: StateTable, told: StateTable) -> tuple[int, int]:
    """Of the states that both tables have: how many there are, and how many agree."""
    common = agreeing = 0
    for entry in told.query():
        mine = own.get(entry.target, entry.name)
        if mine is None:
            continue
        common += 1
        sd = math.sqrt(max(entry.variance, 0.0) + max(mine.variance, 0.0))
        bound = _SDS * sd + ALLOWED.get(entry.name, 0.0) + _ROUNDING * (1.0 + abs(entry.mean))
        agreeing += abs(entry.mean - mine.mean) <= bound
    return common, agreeing


class Oversight:
    """What a central twin says of edges. `late`: it began while the run was going on."""

    def __init__(self, centre: Centre, late: bool = False) -> None:
        self._centre, self._late = centre, late
        self._said_s = -math.inf
        #: boot of every edge that is known
        self._boots: dict[str, int] = {}
        self._heard = 0

    def began_late(self) -> None:
        """The run was going on already: what is heard for the first time is what was missed."""
        self._late = True

    def take(self, data: bytes) -> bytes | None:
        """A message of an edge; the answer to it."""
        return self._centre.take(data)

    def step(self, own: StateTable, now_ns: int, t_s: float) -> list[Record]:
        """A window was closed at run time `t_s`: what is to be said, `hierarchy` records.

        `event` is `late` (an edge noticed something while nobody heard it), `reconciled` (a centre or an edge
        that began anew has been told everything) or `seen` (how an edge stands).
        """
        out = self._late_events(now_ns, t_s)
        standing = self._centre.spoken()
        for edge, (boot, spoken_s) in standing.items():
            before = self._boots.get(edge)
            if before != boot and len(self._centre.edges()[edge]):
                self._boots[edge] = boot
                if self._late or before is not None:
                    fields = self._fields(own, edge, t_s, spoken_s)
                    fields["late_events"] = sum(one.tags["edge"] == edge for one in out)
                    out.append(Record(now_ns, "hierarchy", {"edge": edge, "event": "reconciled"}, fields))
        if t_s - self._said_s >= EVERY_S:
            self._said_s = t_s
            out += self.standing(own, now_ns, t_s)
        return out

    def standing(self, own: StateTable, now_ns: int, t_s: float) -> list[Record]:
        """How every edge stands."""
        return [
            Record(
                now_ns, "hierarchy", {"edge": edge, "event": "seen"}, self._fields(own, edge, t_s, spoken_s)
            )
            for edge, (_, spoken_s) in self._centre.spoken().items()
        ]  # fmt: skip

    def _late_events(self, now_ns: int, t_s: float) -> list[Record]:
        fresh = min(self._centre.heard - self._heard, len(self._centre.events))
        self._heard = self._centre.heard
        out = []
        for edge, event in list(self._centre.events)[len(self._centre.events) - fresh :]:
            age_s = (now_ns - event.t_ns) / 1e9
            if age_s > LATE_S:
                tags = {"edge": edge, "event": "late", "what": event.measurement}
                tags |= {name: event.tags[name] for name in ("kind", "target") if name in event.tags}
                fields: Mapping[str, Value] = {"happened_s": t_s - age_s, "heard_s": t_s}
                out.append(Record(now_ns, "hierarchy", tags, dict(fields)))
        return out

    def _fields(self, own: StateTable, edge: str, t_s: float, spoken_s: float) -> dict[str, Value]:
        table = self._centre.edges()[edge]
        common, agreeing = agreement(own, table)
        return {
            "states": len(table), "version": table.version, "common": common, "agreeing": agreeing,
            "silent_s": max(t_s - spoken_s, 0.0),
        }  # fmt: skip


class Listening:
    """The socket on which edges speak; never waits."""

    def __init__(self, context: zmq.Context[Any], endpoint: str, oversight: Oversight) -> None:
        self.oversight = oversight
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, _WAITING_MAX)
        # an edge that was started again takes its name over from the one before
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        try:
            self._socket.bind(on_this_host("--over", endpoint))
        except BadInput:
            self._socket.close()
            raise
        except zmq.ZMQError as error:
            self._socket.close()
            raise BadInput(f"--over {endpoint}: cannot be bound ({error.strerror})") from None
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def hear(self, wait_ms: int = 0) -> int:
        """Takes and answers what has come, or comes within `wait_ms`; number of messages."""
        count = 0
        self._socket.poll(wait_ms)
        while True:
            try:
                sender, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return count
            count += 1
            answer = self.oversight.take(frames[-1]) if frames else None
            if answer is not None:
                self._socket.send_multipart([sender, answer])

    def close(self) -> None:
        self._socket.close()
