"""Belief about nodes from what they say of themselves: queue, processor share, when they were last heard.

Their service rates and clocks are others' subjects, and so is noticing that one falls silent.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodes.wire import Record
from testbed.twin.belief import Belief
from testbed.twin.filters import ScalarKalman
from testbed.twin.observations import numbers
from testbed.twin.parts import State, Window

QUEUE, CPU, LAST_HEARD = "queue_tasks", "cpu_share", "last_heard_s"
#: a queue of tasks comes and goes by so many within a second; a process's share of the processor by so much
_QUEUE_PER_S, _CPU_PER_S = 1.0, 0.05
#: what a report says of the moment it was made, in standard deviations: a count, and a mean over a window
_QUEUE_SD, _CPU_SD = 0.3, 0.02
#: most nodes followed at a time
MEMBERS_MAX = 4_096


class _Member:
    """What is believed of one node."""

    def __init__(self) -> None:
        self.heard_ns = 0
        self.cpu: tuple[int, float] | None = None  # when, s of processor time
        self.states: dict[str, ScalarKalman] = {}
        self.told_ns: dict[str, int] = {}

    def observe(self, name: str, t_ns: int, value: float, noise_sd: float, per_s: float) -> None:
        state = self.states.get(name)
        if state is None:
            self.states[name] = ScalarKalman(value, noise_sd, per_s)
        else:
            state.advance(max(t_ns - self.told_ns[name], 0) / 1e9)
            state.update(value, noise_sd, clip_sds=6.0)
        self.told_ns[name] = t_ns


class Members:
    """The nodes of a run, by what their telemetry says; a part of the twin."""

    measurements = frozenset({"node", "task", "flow", "offload"})

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}
        self._start_ns = 0
        self._now_ns = 0

    def close(self, window: Window, records: list[Record]) -> list[Record]:
        """Takes what nodes said; detects nothing."""
        self._start_ns = window.t_ns - round(window.begins_s * 1e9)
        self._now_ns = window.now_ns
        for record in records:
            name = record.tags.get("node", "")
            if name not in self._members and len(self._members) >= MEMBERS_MAX:
                continue
            member = self._members.setdefault(name, _Member())
            member.heard_ns = max(member.heard_ns, record.t_ns)
            number = numbers(record)
            queue = number.get("queue", number.get("queue_length"))
            if queue is not None:
                member.observe(QUEUE, record.t_ns, queue, _QUEUE_SD, _QUEUE_PER_S)
            if "cpu_s" in number:
                before, member.cpu = member.cpu, (record.t_ns, number["cpu_s"])
                if before is not None and record.t_ns > before[0] and number["cpu_s"] >= before[1]:
                    share = (number["cpu_s"] - before[1]) / ((record.t_ns - before[0]) / 1e9)
                    member.observe(CPU, record.t_ns, share, _CPU_SD, _CPU_PER_S)
        return []

    def states(self) -> Iterator[State]:
        """Queue and processor share with the doubt that has grown since; when each node was last heard."""
        for name, member in self._members.items():
            for state, value in member.states.items():
                silent_s = max(self._now_ns - member.told_ns[state], 0) / 1e9
                yield State(name, state, value.mean, value.variance + value.process_sd**2 * silent_s)
            yield State(name, LAST_HEARD, (member.heard_ns - self._start_ns) / 1e9, 0.0)

    def tell(self, belief: Belief) -> None:
        """Nothing: a what-if makes queues of its own."""
