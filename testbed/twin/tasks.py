"""Finished tasks on their way into the belief: in order, and compared window by window.

A task teaches the belief as soon as its window is closed; a window's rate is compared with its prediction
a little later, because nodes send their telemetry in batches. Nothing is looked at before its window has
been predicted.
"""

from __future__ import annotations

import math
from collections import Counter

from nodes.wire import Record
from testbed.twin.baselines import ConstantBaseline
from testbed.twin.events import Events
from testbed.twin.observations import numbers
from testbed.twin.predict import SERVICE, Prediction, residual_record
from testbed.twin.servers import ServerBelief

#: a window's tasks are compared with its prediction so many windows later
_WINDOWS_LATER = 2


class Tasks:
    """Holds task records until their window is closed."""

    def __init__(
        self,
        servers: dict[str, ServerBelief],
        places: dict[str, str],
        events: Events,
        baseline: ConstantBaseline,
        window_ns: int,
        counters: Counter[str],
    ) -> None:
        self._servers, self._places = servers, places
        self._events, self._baseline, self._counters = events, baseline, counters
        self._window_ns = window_ns
        self._waiting: list[Record] = []
        self._done: dict[int, dict[str, tuple[float, float]]] = {}  # window -> server -> cycles, seconds

    def take(self, record: Record) -> None:
        """Holds a task's record, unread."""
        self._waiting.append(record)

    def close(
        self, window: int, made: dict[int, dict[str, Prediction]], start_ns: int, now_ns: int
    ) -> list[Record]:
        """Tasks up to the end of `window` are learned from; `made` are the predictions by window."""
        out: list[Record] = []
        waiting, self._waiting = self._waiting, []
        for record in sorted(waiting, key=lambda r: r.t_ns):
            done_in = (record.t_ns - start_ns) // self._window_ns
            if done_in > window:
                self._waiting.append(record)
                continue
            name, number = record.tags.get("node", ""), numbers(record)
            server = self._servers.get(name)
            cycles, service_s = number.get("cycles", 0.0), number.get("service_s", 0.0)
            if server is None or cycles <= 0.0 or service_s <= 0.0:
                self._counters["unusable_tasks"] += 1
                continue
            sums = self._done.setdefault(done_in, {})
            before = sums.get(name, (0.0, 0.0))
            sums[name] = (before[0] + cycles, before[1] + service_s)
            alarm = server.observe(cycles, service_s, (record.t_ns - start_ns) / 1e9)
            now_s = (now_ns - start_ns) / 1e9
            out += self._events.server(name, self._places.get(name, ""), server, alarm, now_ns, now_s)
        for old in sorted(w for w in self._done if w <= window - _WINDOWS_LATER):
            t_ns = start_ns + old * self._window_ns
            out += self._compare(self._done.pop(old), made.get(old, {}), t_ns, start_ns)
        return out

    def _compare(
        self, sums: dict[str, tuple[float, float]], made: dict[str, Prediction], t_ns: int, start_ns: int
    ) -> list[Record]:
        """One window's rate of every server that finished tasks in it, against its prediction."""
        out = []
        for name, (cycles, seconds) in sums.items():
            if name not in made:
                self._counters["late_tasks"] += 1
                continue
            band, observed, server = made[name].bands[SERVICE], cycles / seconds, self._servers[name]
            residual = math.log(observed / band.mean)
            server.residuals.add(residual)
            t_s = (t_ns - start_ns) / 1e9
            usual, z = self._baseline.climatology(name, SERVICE, t_s), residual / server.sd_log
            out.append(residual_record(name, SERVICE, t_ns, band, observed, z, usual))
            self._baseline.add(name, SERVICE, observed, t_s)
        return out
