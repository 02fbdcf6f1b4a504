"""The engine beside a twin: what the twin believes becomes the view that policies look at.

Used by the twin's process, where what-ifs are run by a worker, and beside a plant in virtual time, where
they are run at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from nodes.wire import CommandResult, Record
from testbed.twin.act.engine import Engine, Said
from testbed.twin.act.memory import Memory
from testbed.twin.core import Twin
from testbed.twin.knowledge import Knowledge
from testbed.twin.observations import filter_record
from testbed.twin.policies import View, build
from testbed.twin.public import Public, of_document
from testbed.twin.whatif.pool import Inline, Pool, Runner

AUTO, DRY_RUN, OFF = "auto", "dry-run", "off"


def why_dry(public: Public) -> str:
    """Why actions are told and not carried out; empty when they are."""
    if public.settings.act != AUTO:
        return f"twin.act = {public.settings.act!r}"
    if public.hardware:
        return f"hardware is attached ({', '.join(sorted(public.hardware))})"
    return ""


class Acting:
    """A twin that acts, told the time by whoever owns it."""

    def __init__(self, twin: Twin, engine: Engine, runner: Runner) -> None:
        self.engine = engine
        self._twin = twin
        self._runner = runner
        self._ordered: tuple[object, object] = ({}, set())

    def begin(self, start_ns: int) -> None:
        """The run starts at `start_ns` on the host's monotonic clock."""
        self.engine.begin(start_ns)

    def take(self, records: Iterable[Record]) -> None:
        """Telemetry as it came; what may not be seen is left out."""
        self.engine.take(kept for record in records if (kept := filter_record(record)) is not None)

    def answer(self, result: CommandResult) -> None:
        """What became of a request."""
        self.engine.answer(result)

    def step(self, now_ns: int) -> list[Said]:
        """What is due now: records to be published, requests to be made."""
        if self._twin.quiet:
            return []
        said = self.engine.step(now_ns, self._view(now_ns))
        self._obey()
        return said

    def memory(self, now_ns: int) -> Memory:
        """What is known of actions now, for the twin's snapshot."""
        return self.engine.memory(now_ns)

    def resume(self, memory: Memory, now_ns: int) -> list[Said]:
        """Goes on from what an earlier process of this twin knew of its actions."""
        said = self.engine.resume(memory, now_ns)
        self._obey()
        return said

    def afresh(self) -> list[Said]:
        """Takes back whatever an earlier twin, of which nothing is known, may have ordered."""
        return self.engine.afresh()

    def _obey(self) -> None:
        plan = self.engine.plan
        if (plan.penalty_ms, plan.barred) != self._ordered:
            self._ordered = (plan.penalty_ms, plan.barred)
            self._twin.obey(plan.orders())

    def close(self) -> None:
        """Ends the workers."""
        self._runner.close()

    def _view(self, now_ns: int) -> View:
        places = self.engine.public.places
        serving = {}
        for link in self._twin.planned():
            here = places.get(link.source)
            if link.kind == "access" and here is not None and here.access == "terminal":
                serving[link.source] = link.sink
        belief = self._twin.belief(now_ns)
        return View(belief.t_s, self.engine.public, belief, tuple(self._twin.events.active), serving)


def beside(twin: Twin, knowledge: Knowledge, runner: Runner | None = None, seed: int = 0) -> Acting | None:
    """What acts beside a twin, as its settings have it; None when it is not to act.

    `runner`: where what-ifs are run; None: one worker process, which is started here. BadInput for public
    knowledge that cannot be run ahead and for policies that are none.
    """
    if knowledge.settings.act == OFF or not knowledge.settings.policies:
        return None
    public = of_document(knowledge.document)
    policies = build(knowledge.settings.policies)
    if runner is None:
        pool = Pool(public, workers=1)
        pool.warm(0.0)
        runner = pool
    return Acting(twin, Engine(public, policies, runner, why_dry=why_dry(public), seed=seed), runner)


def at_once(twin: Twin, knowledge: Knowledge, seed: int = 0) -> Acting | None:
    """The same in virtual time: a what-if takes none."""
    return beside(twin, knowledge, Inline(of_document(knowledge.document)), seed)
