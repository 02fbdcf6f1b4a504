"""An edge server: executes compute tasks with real CPU work, first come first served, and answers.

Configuration: `service_rate_mhz`, `cores`, `queue_tasks` (further tasks are refused), `cpu_share` (of one
core per core served, really burnt while serving; the rest of the service time is waited). Command:
`set_speed {factor}`, which the server itself tells nobody: it shows in service times only.
"""

from __future__ import annotations

from typing import Any

from nodes import burner, wire
from nodes.node import CommandError, Node
from nodes.roles.base import Role
from nodes.tasks import DONE, MALFORMED, REFUSED, Answer, pack_answer, unpack_task
from nodes.timers import Timer
from nodes.transfer import Blob, Outcome
from nodes.wire import Value
from nodes.work import Burner, Job, Processor


class EdgeServer(Role):
    """Executes tasks and answers them."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        rate_hz = self.number("service_rate_mhz", 3000.0, 0.001) * 1e6
        cores = int(self.number("cores", 1, 1, 256))
        self._processor = Processor(rate_hz, cores, int(self.number("queue_tasks", 100, 0, 1e6)))
        share = self.number("cpu_share", 0.2, 0.0, 1.0)
        # On virtual time nobody waits, and work would only cost time.
        burning = share > 0 and not node.virtual
        self._burners = [Burner(share) for _ in range(cores)] if burning else []
        self._timer: Timer | None = None
        self._busy_ns = 0
        self.tasks = self.refused = self.answers_lost = 0

    def on_blob(self, blob: Blob) -> None:
        task = unpack_task(blob.data) if blob.kind == wire.TASK else None
        if task is None:
            self.misdirected += 1
            if blob.kind == wire.TASK:
                self._answer(blob.src, blob.tag, Answer(MALFORMED), blob.traffic_class)
            return
        job = Job(blob.src, blob.tag, task, self.node.now_ns(), traffic_class=blob.traffic_class)
        if self._processor.submit(job):
            self._advance()
        else:
            self.refused += 1
            self._answer(blob.src, blob.tag, Answer(REFUSED), blob.traffic_class)

    def on_command(self, name: str, arguments: dict[str, Any]) -> str:
        if name != "set_speed":
            return super().on_command(name, arguments)
        factor = arguments.get("factor")
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0.001 <= factor <= 1000:
            raise CommandError(f"set_speed: factor = {factor!r} must be a number from 0.001 to 1000")
        before = self._processor.speed
        self._processor.set_speed(float(factor), self.node.now_ns())
        self._advance()
        return f"speed factor {before:g} -> {factor:g}"

    def close(self) -> None:
        for process in self._burners:
            process.close()

    def fields(self) -> dict[str, Value]:
        fields: dict[str, Value] = {
            "tasks": self.tasks,
            "refused": self.refused,
            "queue_length": len(self._processor.queue),
            "running": len(self._processor.running),
            "busy_s": self._busy_ns / 1e9,
        }
        if self._burners:
            fields["compute_cpu_s"] = sum(process.cpu_s for process in self._burners)
            fields["compute_scheduling"] = self._burners[0].scheduling
        return fields

    def counters(self) -> dict[str, int]:
        return super().counters() | {
            "tasks": self.tasks,
            "refused": self.refused,
            "answers_lost": self.answers_lost,
            "waiting": len(self._processor.queue) + len(self._processor.running),
        }

    def _advance(self) -> None:
        """Do what has become due, and come back when the next task ends."""
        now_ns = self.node.now_ns()
        ended, begun = self._processor.advance(now_ns)
        for job in ended:
            self._finish(job, now_ns)
        for job in begun:
            if self._burners:
                self._burners[job.core].begin(job.task.data)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due_ns := self._processor.due_ns) is not None:
            self._timer = self.node.at(due_ns, self._advance)

    def _finish(self, job: Job, now_ns: int) -> None:
        rounds, digest = self._burners[job.core].progress() if self._burners else (0, b"")
        if not rounds:
            rounds, digest = 1, burner.chain(job.task.data, 1)
        if self._burners:
            self._burners[job.core].rest()
        self.tasks += 1
        self._busy_ns += job.finish_ns - job.begun_ns
        # To the moment it is really done, so that a late timer shows.
        service_s, queue_s = (now_ns - job.begun_ns) / 1e9, (job.begun_ns - job.arrived_ns) / 1e9
        fields: dict[str, Value] = {
            "cycles": job.task.cycles,
            "service_s": service_s,
            "queue_s": queue_s,
            "bytes": len(job.task.data),
            "queue_length": len(self._processor.queue),
        }
        self.node.record("task", {"client": self.node.name_of(job.client)}, fields, t_ns=now_ns)
        answer = Answer(DONE, rounds, service_s, queue_s, digest)
        self._answer(job.client, job.tag, answer, job.traffic_class)

    def _answer(self, client: int, tag: int, answer: Answer, traffic_class: int) -> None:
        def ended(outcome: Outcome) -> None:
            self.answers_lost += bool(outcome.cause)

        self.node.transfer(client, pack_answer(answer), wire.RESULT, 0, tag, ended, traffic_class)
