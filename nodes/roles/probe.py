"""A probe: measures the network it stands in, by pings and bulk transfers to one target.

Configuration: `target`, `ping_interval_s` (0: none), `ping_bytes`, `ping_timeout_s`, `bulk_interval_s`
(0: none), `bulk_kbytes`, `via`. Records: `ping` each second (sent, answered, lost, rtt_mean_ms; samples:
round trips in ms) and `bulk` per transfer (bytes, duration_s, throughput_bps, retransmissions, ok).
"""

from __future__ import annotations

from nodes import wire
from nodes.node import ConfigError, Node
from nodes.roles.base import Role
from nodes.timers import Timer
from nodes.transfer import Blob, Outcome
from nodes.wire import Header, Value


class Probe(Role):
    """Pings a target and sends it bulk transfers."""

    initiates = True

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._target = self.port("target")
        if not self._target:
            raise ConfigError(f"{node.id}: a probe needs a target, the id of a node of this run")
        self._via = self.port("via")
        self._ping_ns = int(self.number("ping_interval_s", 1.0) * 1e9)
        self._timeout_ns = int(self.number("ping_timeout_s", 2.0, 0.001) * 1e9)
        # Eight bytes carry the token that finds the ping again.
        self._padding = bytes(max(0, int(self.number("ping_bytes", 64, 0, 60_000)) - 8))
        self._bulk_ns = int(self.number("bulk_interval_s", 0.0) * 1e9)
        self._bulk = bytes(int(self.number("bulk_kbytes", 100.0, 0, 16_000) * 1000))
        self._timers: list[Timer] = []
        self._round_trips_ms: list[float] = []
        self._sent = self._lost = self._bulks = self._waiting_bulks = 0
        self._total_sent = self._total_answered = 0

    def on_start(self) -> None:
        node, t0_ns = self.node, self.node.t0_ns
        self._timers.append(node.every(t0_ns + 1_000_000_000, 1_000_000_000, self._report))
        if self._ping_ns:
            self._timers.append(node.every(t0_ns + self._ping_ns, self._ping_ns, self._ping))
        if self._bulk_ns:
            self._timers.append(node.every(t0_ns + self._bulk_ns, self._bulk_ns, self._send_bulk))

    def on_quiesce(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._report()

    def on_packet(self, header: Header, payload: bytes) -> None:
        """Whatever another probe sends here only needs to arrive."""

    def on_blob(self, blob: Blob) -> None:
        """As for packets."""

    def fields(self) -> dict[str, Value]:
        return {
            "pings": self._total_sent,
            "answers": self._total_answered,
            "bulks": self._bulks,
            "traffic_class": self.node.traffic_class,
        }

    def counters(self) -> dict[str, int]:
        return super().counters() | {
            "pings": self._total_sent,
            "answers": self._total_answered,
            "bulks": self._bulks,
        }

    def _ping(self) -> None:
        self._sent += 1
        self._total_sent += 1
        self.node.ping(self._target, self._answered, self._timeout_ns, self._padding, self._via)

    def _answered(self, rtt_ns: int | None) -> None:
        if rtt_ns is None:
            self._lost += 1
        else:
            self._total_answered += 1
            self._round_trips_ms.append(rtt_ns / 1e6)

    def _report(self) -> None:
        trips = self._round_trips_ms
        fields: dict[str, Value] = {"sent": self._sent, "answered": len(trips), "lost": self._lost}
        if trips:
            fields["rtt_mean_ms"] = sum(trips) / len(trips)
        self.node.record("ping", {"target": self.node.name_of(self._target)}, fields, trips)
        self._round_trips_ms, self._sent, self._lost = [], 0, 0

    def _send_bulk(self) -> None:
        if self._waiting_bulks:  # one at a time: it measures the path, not its own queue
            return
        begun_ns = self.node.now_ns()
        self._waiting_bulks = 1

        def ended(outcome: Outcome) -> None:
            self._waiting_bulks = 0
            self._bulks += 1
            duration_s = max(1e-9, (self.node.now_ns() - begun_ns) / 1e9)
            fields: dict[str, Value] = {
                "bytes": len(self._bulk),
                "duration_s": duration_s,
                "throughput_bps": 0.0 if outcome.cause else 8 * len(self._bulk) / duration_s,
                "retransmissions": outcome.retransmissions,
                "ok": not outcome.cause,
            }
            self.node.record("bulk", {"target": self.node.name_of(self._target)}, fields)

        self.node.transfer(self._target, self._bulk, wire.DATA, self._via, None, ended)
