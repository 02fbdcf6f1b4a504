"""Senders that nobody but the plant knows of: a flood, and an impostor of a node that sends readings.

Each is a process with a port of its own, so that its packets are real and stand in the books. It registers
like a guest, waits for the plant's `begin`, and sends until `end`. What it reports is for the run's file.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from random import Random
from typing import Any, Final

from nodes import wire
from nodes.agent import ENVIRONMENT, Agent, NetworkError
from nodes.node import CommandError, Node
from nodes.processes import die_with_parent
from nodes.readings import pack_reading
from nodes.roles.base import Role
from nodes.roles.topics import Publication, pack_publication
from nodes.wire import Header, Value

#: packets of a flood, bytes with the header
FLOOD_BYTES: Final = 1_000
#: what an impostor says lies by so much elsewhere than what the node says
LIE: Final = 8.0
_FLOOD_NS: Final = 2_000_000
#: the most packets of a flood that are made up for at a time
_BURST: Final = 1_000


class Hidden(Role):
    """Sends between `begin` and `end`. Its configuration is what the deviation says, by name."""

    initiates = True

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._settings = node.config
        self._series = node.series(0, self._send)
        self._begun_ns = 0

    @property
    def _interval_ns(self) -> int:
        raise NotImplementedError

    def _send(self) -> None:
        raise NotImplementedError

    def on_command(self, name: str, arguments: dict[str, Any]) -> str:
        if name not in ("begin", "end") or arguments:
            raise CommandError(f"{self.node.id} knows begin and end, not {name!r} {arguments}")
        self._series.end()
        if name == "begin" and not self.node.quiescing:
            self._begun_ns = self.node.now_ns()
            self._series = self.node.series(self._interval_ns, self._send)
            self._series.start(self._begun_ns + self._interval_ns)
        return name

    def on_quiesce(self) -> None:
        self._series.end()

    def on_packet(self, header: Header, payload: bytes) -> None:
        """Nobody answers."""


class FloodSender(Hidden):
    """Sends `rate_mbps` to the node `target`, in packets of FLOOD_BYTES."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        settings = node.config
        self._target = node.port_of(settings["target"])
        self._per_ns = float(settings["rate_mbps"]) * 1e6 / (8 * FLOOD_BYTES) / 1e9
        self._packets = 0

    def on_command(self, name: str, arguments: dict[str, Any]) -> str:
        self._packets = 0
        return super().on_command(name, arguments)

    @property
    def _interval_ns(self) -> int:
        return max(_FLOOD_NS, round(1 / self._per_ns))

    def _send(self) -> None:
        due = int((self.node.now_ns() - self._begun_ns) * self._per_ns)
        # What a busy machine left out for long is not made up for: a burst is another thing than a flood.
        self._packets = max(self._packets, due - _BURST)
        while self._packets < due:
            self._packets += 1
            self.node.send(self._target, bytes(FLOOD_BYTES - wire.HEADER_BYTES))


class Impostor(Hidden):
    """Sends readings in the name of node `victim`, with numbers that it has used and values it never had.

    Whoever listens to a node knows how often it sends, and so how many readings there have been by now.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        settings = node.config
        self._victim = node.port_of(settings["victim"])
        self._sink = node.port_of(settings["sink"])
        self._via = node.port_of(settings["via"]) if settings["via"] else 0
        self._random = Random(settings["victim"])
        self.claimed = 0

    @property
    def _interval_ns(self) -> int:
        return round(float(self._settings["interval_s"]) * 1e9)

    def _send(self) -> None:
        node, now_ns = self.node, self.node.now_ns()
        number = (now_ns - node.t0_ns) // self._interval_ns
        wave = 20.0 + 5.0 * math.sin((now_ns - node.t0_ns) / 30e9)
        body = pack_reading(number, wave + LIE + self._random.gauss(0.0, 0.2), self._settings["bytes"])
        kind = wire.DATA
        if self._settings["topic"]:
            kind = wire.PUBLISH
            body = pack_publication(Publication(self._settings["topic"], self._victim, node.stamp_ns(), body))
        self.claimed += 1
        header = Header(
            kind, self._victim, self._sink, self._via, self.claimed, node.stamp_ns(), number,
            traffic_class=self._settings["traffic_class"], flags=wire.FLAG_HOST_CLOCK,
        )  # fmt: skip
        node.forward(header, body, self._via)

    def fields(self) -> dict[str, Value]:
        return {"claimed": self.claimed}


ROLES: Final[dict[str, type[Hidden]]] = {"flood": FloodSender, "impostor": Impostor}


def main() -> int:
    """Run one sender; exit status 3 when nobody answers."""
    parser = argparse.ArgumentParser(prog="testbed.plant.senders", description="a sender of the plant's own")
    parser.add_argument("--id", required=True)
    parser.add_argument("--role", required=True, choices=sorted(ROLES))
    parser.add_argument("--place", required=True)
    parser.add_argument("--connect", required=True, help="control endpoint of the supervisor")
    parser.add_argument("--settings", required=True, type=json.loads, help="of the deviation, JSON")
    parser.add_argument("--wait", type=float, default=120.0)
    given = parser.parse_args()
    die_with_parent()

    def make(node: Node) -> Role:
        node.config |= given.settings
        return ROLES[given.role](node)

    try:
        agent = Agent(given.id, given.role, given.connect, make, given.place, given.wait)
        agent.end_on_signals()
        agent.run()
    except NetworkError as error:
        print(f"{given.id}: {error}", file=sys.stderr)
        return ENVIRONMENT
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
