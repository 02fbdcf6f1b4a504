"""Acting: policies propose, a what-if validates, a request goes out, its effect is held to the prediction.

`Engine` is told the time and returns what is to be said (records) and asked for (requests); it opens nothing
and waits for nobody. What-if jobs are run by a `Runner` and looked for at every step. Every step of every
action is an `action` record, tags {id, policy, step}.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from nodes.wire import CommandResult, Record, Request, Value
from testbed.actions import AnyAction
from testbed.errors import BadInput
from testbed.twin.act.commands import Order, as_configured, commands
from testbed.twin.act.effect import Latencies, Level, recovered_share
from testbed.twin.act.judge import gain_ms, of_metric, why_not
from testbed.twin.act.memory import Action, Memory
from testbed.twin.filters import Z90
from testbed.twin.knowledge import Limits
from testbed.twin.policies import Candidate, InForce, Policy, View
from testbed.twin.public import Public
from testbed.twin.whatif import Job, Report, Spread, Trial
from testbed.twin.whatif.plan import Plan, plan_of
from testbed.twin.whatif.pool import Runner, Running

#: an event must have lasted so long before anything is proposed about it: its size is still settling, s
_SETTLED_S: Final = 1.0
#: what was rejected is not tried again for so long, s
_AGAIN_S: Final = 10.0
#: queues that the action found are given so long to drain before its effect is watched, s
_DRAINING_S: Final = 2.0
#: a request that is not answered for so long is taken for refused, s
_ANSWER_S: Final = 5.0
#: replications of a what-if, and the most candidates of one
_REPLICATIONS: Final = 5
_MOST_TRIALS: Final = 12
#: latency before the deviation is that of so long, s
_BEFORE_S: Final = 15.0
#: a warm-up is at most this long, s
_WARM_S: Final = 10.0
#: time that an action's effect needs at least, s
_LEAST_AHEAD_S: Final = 3.0

#: blocks that are taken for as good as infinitely many
_MANY: Final = 1_000

#: latencies of so long are kept for the engine of a twin that takes this one's place, s
_REMEMBERED_S: Final = 60.0
#: step of an action whose effect was not seen, by whether it was a way back
_UNSEEN: Final = {False: "unverified", True: "withdrawn"}

Said = Record | Request


class Engine:
    """Acts on what policies propose, within limits.

    `why_dry`: why nothing is to be carried out, empty when it is. `runner`: where what-ifs are run.
    """

    def __init__(
        self,
        public: Public,
        policies: Sequence[Policy],
        runner: Runner,
        limits: Limits | None = None,
        why_dry: str = "",
        seed: int = 0,
    ) -> None:
        self.public = public
        self.limits = limits or public.settings.limits
        self.latencies = Latencies()
        self._policies = list(policies)
        self._runner = runner
        self._why_dry = why_dry
        self._seed = seed
        self._start_ns = 0
        self._numbers = self._requests = self._jobs = 0
        self._standing: dict[str, InForce] = {}
        self._acting: dict[str, Action] = {}
        self._trying: tuple[Running, list[Action]] | None = None
        self._rejected: dict[tuple[str, ...], float] = {}
        self._times_s: deque[float] = deque()
        self._results: list[CommandResult] = []

    def begin(self, start_ns: int) -> None:
        """The run starts at `start_ns` on the host's monotonic clock."""
        self._start_ns = start_ns

    def take(self, records: Iterable[Record]) -> None:
        """What was observed, as the twin may see it."""
        self.latencies.take(records, self._start_ns)

    def answer(self, result: CommandResult) -> None:
        """What became of a request; looked at in the next step."""
        self._results.append(result)

    @property
    def in_force(self) -> tuple[InForce, ...]:
        """What was ordered and is still so."""
        return tuple(self._standing.values())

    @property
    def plan(self) -> Plan:
        """What is in force, as orders and settings."""
        return self._plan(self.in_force)

    def step(self, now_ns: int, view: View) -> list[Said]:
        """Everything that is due at a moment; `view.in_force` is filled in here."""
        now_s = (now_ns - self._start_ns) / 1e9
        said: list[Said] = []
        self._look_at_causes(view, now_s)
        view = replace(view, in_force=self.in_force)
        said += self._answers(now_ns, now_s)
        said += self._verify(now_ns, now_s)
        said += self._tried(now_ns, now_s)
        if self._trying is None and not self._acting:
            said += self._propose(view, now_ns, now_s)
            said += self._tried(now_ns, now_s)  # where what-ifs take no time
        return said

    # --- from one engine to another -----------------------------------------------------------

    def memory(self, now_ns: int) -> Memory:
        """What is known now; it is for `freeze`, and shares what it holds with this engine."""
        now_s = (now_ns - self._start_ns) / 1e9
        return Memory(
            self._numbers, self._requests, self._jobs, self._standing, self._acting,
            [] if self._trying is None else self._trying[1], self._rejected, self._times_s,
            self.latencies.kept(now_s - _REMEMBERED_S),
        )  # fmt: skip

    def resume(self, memory: Memory, now_ns: int) -> list[Said]:
        """Goes on in the place of an engine that is no more: to be called on a new one, after `begin`.

        Its requests may have been carried out or not, and are made again. What was being tried is proposed
        anew if need be. An effect that was watched is watched from now on; where too little of the run is
        left for that, it is said.
        """
        now_s = (now_ns - self._start_ns) / 1e9
        self._numbers, self._requests, self._jobs = memory.numbers, memory.requests, memory.jobs
        self._standing, self._acting = memory.standing, memory.acting
        self._rejected, self._times_s = memory.rejected, memory.times_s
        self.latencies.restore(memory.seen)
        said: list[Said] = [
            self._record(one, "rejected", now_ns, why="the twin ended before it was tried")
            for one in memory.trying
        ]
        for one in list(self._acting.values()):
            if one.step == "ordered":
                said += self._send(one, one.orders, now_ns, now_s, again=True)
                continue
            one.applied_s = max(one.applied_s, now_s - _DRAINING_S)
            if one.applied_s + _DRAINING_S + self.limits.verification_s > self.public.run.duration_s:
                del self._acting[one.id]
                step = _UNSEEN[bool(one.candidate.withdraws)]
                why = "the twin ended while its effect was watched, and too little of the run is left"
                said.append(self._record(one, step, now_ns, why=why))
        return said

    def afresh(self) -> list[Said]:
        """Requests after which nothing is in force: for an engine that knows nothing of one before it."""
        if self._why_dry:
            return []
        said: list[Said] = []
        for order in as_configured(self.public):
            self._requests += 1
            said.append(Request(self._requests, order.member, order.name, order.arguments))
        return said

    # --- propose ------------------------------------------------------------------------------

    def _look_at_causes(self, view: View, now_s: float) -> None:
        """Notes since when the causes of what is in force are over."""
        for number, one in self._standing.items():
            there = any(one.cause.matches(event) for event in view.events)
            if there and one.over_since_s is not None:
                self._standing[number] = replace(one, over_since_s=None)
            elif not there and one.over_since_s is None:
                self._standing[number] = replace(one, over_since_s=now_s)

    def _propose(self, view: View, now_ns: int, now_s: float) -> list[Said]:
        left_s = self.public.run.duration_s - now_s
        if left_s < _LEAST_AHEAD_S or self._too_many(now_s):
            return []
        found: list[Action] = []
        standing = _actions(self.in_force)
        for policy in self._policies:
            for candidate in policy.propose(view):
                fresh = candidate.withdraws or not all(a in standing for a in candidate.actions)
                settled = candidate.withdraws or now_s - candidate.cause.onset_s >= _SETTLED_S
                if fresh and settled and self._may_try(candidate, now_s) and len(found) < _MOST_TRIALS:
                    found.append(self._new(candidate))
        if not found:
            return []
        said: list[Said] = [self._record(one, "proposed", now_ns) for one in found]
        onset_s = min(one.candidate.cause.onset_s for one in found)
        self._jobs += 1
        job = Job(
            now_s,
            [one.trial for one in found],
            view.belief,
            [action for one in self.in_force for action in one.actions],
            horizon_s=min(self.limits.horizon_s, left_s - 0.1),
            warm_s=min(max(now_s - onset_s, 1.0), _WARM_S),
            settle_s=min(_DRAINING_S, (left_s - 0.1) / 2.0),
            limit_s=max(self.limits.horizon_s / 2.0, 2.0),
            replications=_REPLICATIONS,
            seed=self._seed * 100 + self._jobs,
        )
        try:
            self._trying = (self._runner.submit(job), found)
        except BadInput as error:
            said += [self._rejects(one, str(error), now_ns, now_s) for one in found]
        return said

    def _new(self, candidate: Candidate) -> Action:
        self._numbers += 1
        number = str(self._numbers)
        undone = self._standing[candidate.withdraws].actions if candidate.withdraws else ()
        trial = Trial(candidate.actions, undone, candidate.nodes)
        return Action(number, candidate, trial, trial.text)

    def _may_try(self, candidate: Candidate, now_s: float) -> bool:
        if candidate.withdraws and candidate.withdraws not in self._standing:
            return False
        return now_s - self._rejected.get(_key(candidate), -_AGAIN_S) >= _AGAIN_S

    def _too_many(self, now_s: float) -> bool:
        while self._times_s and self._times_s[0] <= now_s - 60.0:
            self._times_s.popleft()
        return len(self._times_s) >= self.limits.actions_per_minute

    # --- validate -----------------------------------------------------------------------------

    def _tried(self, now_ns: int, now_s: float) -> list[Said]:
        """The report of the what-if, when it is there: one of the candidates may be carried out."""
        if self._trying is None:
            return []
        running, found = self._trying
        try:
            report = running.poll()
        except RuntimeError as error:
            self._trying = None
            return [self._rejects(one, str(error), now_ns, now_s) for one in found]
        if report is None:
            return []
        self._trying = None
        return self._choose(report, found, now_ns, now_s)

    def _choose(self, report: Report, found: list[Action], now_ns: int, now_s: float) -> list[Said]:
        said: list[Said] = []
        allowed: list[Action] = []
        for index, one in enumerate(found):
            one.outcome = report.candidates[index] if index < len(report.candidates) else None
            way_back = bool(one.candidate.withdraws)
            why = (
                report.sentence
                if one.outcome is None
                else why_not(one.outcome, one.candidate.metric, self.limits, way_back)
            )
            if why:
                said.append(self._rejects(one, why, now_ns, now_s))
            else:
                allowed.append(one)
        # What is over goes first; then the largest gain. The others are tried again once that is in force.
        allowed.sort(key=lambda one: (not one.candidate.withdraws, -_gain_ms(one)))
        for one in allowed[1:]:
            why = f"action {allowed[0].id} promises more"
            said.append(self._record(one, "rejected", now_ns, why=why))
        for one in allowed[:1]:
            said.append(self._record(one, "validated", now_ns))
            said += self._order(one, now_ns, now_s)
        return said

    def _rejects(self, one: Action, why: str, now_ns: int, now_s: float) -> Record:
        self._rejected[_key(one.candidate)] = now_s
        return self._record(one, "rejected", now_ns, why=why)

    # --- order --------------------------------------------------------------------------------

    def _order(self, one: Action, now_ns: int, now_s: float) -> list[Said]:
        if self._why_dry:
            self._rejected[_key(one.candidate)] = now_s
            return [self._record(one, "refused", now_ns, why=f"dry run: {self._why_dry}", dry=True)]
        candidate = one.candidate
        kept = [standing for standing in self.in_force if standing.id != candidate.withdraws]
        one.plan = plan_of([*_actions(kept), *candidate.actions], self.public)
        orders = commands(self.plan, one.plan, self.public)
        self._times_s.append(now_s)
        cause = candidate.cause
        one.during = self.latencies.level(
            candidate.metric, max(cause.onset_s, now_s - self.limits.verification_s), now_s, self._nodes(one)
        )
        one.before = self.latencies.level(
            candidate.metric, cause.onset_s - _BEFORE_S, cause.onset_s, self._nodes(one)
        )
        return self._send(one, orders, now_ns, now_s)

    def _send(
        self, one: Action, orders: list[Order], now_ns: int, now_s: float, again: bool = False
    ) -> list[Said]:
        one.step, one.ordered_s, one.done, one.orders = "ordered", now_s, 0, orders
        one.open.clear()
        self._acting[one.id] = one
        said: list[Said] = []
        if not (one.undoing or again):
            said.append(self._record(one, "ordered", now_ns, commands=len(orders)))
        for order in orders:
            self._requests += 1
            one.open.add(self._requests)
            said.append(Request(self._requests, order.member, order.name, order.arguments))
        if not orders:
            said += self._settled(one, "", now_ns, now_s)
        return said

    def _answers(self, now_ns: int, now_s: float) -> list[Said]:
        said: list[Said] = []
        results, self._results = self._results, []
        for result in results:
            one = next((a for a in self._acting.values() if result.number in a.open), None)
            if one is None:
                continue
            one.open.discard(result.number)
            one.done += result.done
            if not result.done:
                said += self._settled(one, result.text or "refused", now_ns, now_s)
            elif not one.open:
                said += self._settled(one, "", now_ns, now_s)
        for one in list(self._acting.values()):
            if one.step == "ordered" and one.open and now_s - one.ordered_s > _ANSWER_S:
                said += self._settled(one, f"no answer within {_ANSWER_S:g} s", now_ns, now_s)
        return said

    def _settled(self, one: Action, problem: str, now_ns: int, now_s: float) -> list[Said]:
        """All requests of an action are answered, or one was refused."""
        one.open.clear()
        candidate = one.candidate
        if one.undoing:
            why, one.undoing = one.undoing, ""
            del self._acting[one.id]
            self._standing.pop(one.id, None)
            problem = f"; undoing it was refused: {problem}" if problem else ""
            return [self._record(one, "rolled_back", now_ns, why=why + problem)]
        if problem:
            self._rejected[_key(candidate)] = now_s
            del self._acting[one.id]
            said: list[Said] = [self._record(one, "refused", now_ns, why=problem)]
            if one.done:
                # part of it is in force: back to what was
                for order in commands(one.plan, self.plan, self.public):
                    self._requests += 1
                    said.append(Request(self._requests, order.member, order.name, order.arguments))
            return said
        one.step, one.applied_s = "applied", now_s
        if candidate.withdraws:
            self._standing.pop(candidate.withdraws, None)
            return [self._record(one, "applied", now_ns, withdraws=candidate.withdraws)]
        self._standing[one.id] = InForce(
            one.id, candidate.policy, candidate.actions, candidate.cause, candidate.metric
        )
        return [self._record(one, "applied", now_ns)]

    # --- verify -------------------------------------------------------------------------------

    def _verify(self, now_ns: int, now_s: float) -> list[Said]:
        said: list[Said] = []
        for one in list(self._acting.values()):
            watched_s = now_s - one.applied_s - _DRAINING_S
            if one.step == "applied" and watched_s >= self.limits.verification_s:
                said += self._judge(one, now_ns, now_s)
        return said

    def _judge(self, one: Action, now_ns: int, now_s: float) -> list[Said]:
        candidate = one.candidate
        from_s = one.applied_s + _DRAINING_S
        after = self.latencies.level(candidate.metric, from_s, now_s, self._nodes(one))
        assert one.outcome is not None
        _, with_it, _ = of_metric(one.outcome, candidate.metric)
        found: dict[str, Value] = {}
        for name, level in (("before", one.before), ("during", one.during), ("observed", after)):
            if level.known:
                spread = level.spread()
                found |= {
                    f"{name}_ms": spread.mean, f"{name}_low_ms": spread.low, f"{name}_high_ms": spread.high
                }  # fmt: skip
        if not candidate.withdraws:
            found |= self._recovered(one, after)
        if after.known:
            seen, said = after.spread(), with_it.latency_ms
            found["within"] = seen.low <= said.high and seen.high >= said.low
        if after.known and one.during.known:
            found["observed_change_ms"] = after.mean_ms - one.during.mean_ms
        if not after.known:
            del self._acting[one.id]
            step = _UNSEEN[bool(candidate.withdraws)]
            return [self._record(one, step, now_ns, **found, why="nothing was observed of its effect")]
        wrong = self._wrong(one, after, with_it.latency_ms.high)
        step = "withdrawn" if candidate.withdraws else "verified"
        if not wrong:
            del self._acting[one.id]
            return [self._record(one, step, now_ns, **found, holds=True)]
        told: list[Said] = [self._record(one, "verified", now_ns, **found, holds=False, why=wrong)]
        self._rejected[_key(candidate)] = now_s
        return told + self._roll_back(one, wrong, now_ns, now_s)

    def _recovered(self, one: Action, after: Level) -> dict[str, Value]:
        """Which share of the lost latency is back: of what was observed to be lost, or predicted to be.

        An action that comes before queues have grown leaves little to be observed: where the what-if said
        that doing nothing would be worse than it was so far, that is what was to be lost. What is back of
        the observed loss alone is told too.
        """
        observed = recovered_share(one.before, one.during, after)
        found: dict[str, Value] = {} if observed is None else {"recovered_observed_share": observed.mean}
        against, share = "observed", observed
        if one.outcome is not None:
            without = of_metric(one.outcome, one.candidate.metric)[0].latency_ms
            if observed is None or without.low > one.during.mean_ms:
                against, share = "predicted", recovered_share(one.before, _level_of(without), after)
        if share is None:
            return found
        return found | {
            "recovered_share": share.mean, "recovered_low": share.low, "recovered_high": share.high,
            "recovered_against": against,
        }  # fmt: skip

    def _wrong(self, one: Action, after: Level, predicted_high_ms: float) -> str:
        """Why an action was wrong, by what was observed; empty when it was not, or nothing can be said."""
        if not (after.known and one.during.known):
            return ""
        high = predicted_high_ms + after.error_ms
        if one.candidate.withdraws:
            allowed = max(one.during.mean_ms * (1.0 + self.limits.most_harm), high)
            worse = after.mean_ms > allowed + 2.0 * after.error_ms
            return f"latency {after.mean_ms:.1f} ms, was {one.during.mean_ms:.1f} ms" if worse else ""
        hoped = one.during.mean_ms * (1.0 - 0.5 * self.limits.least_gain)
        if after.mean_ms > hoped and after.mean_ms > high:
            return f"latency {after.mean_ms:.1f} ms instead of {one.during.mean_ms:.1f} ms: no gain"
        return ""

    def _roll_back(self, one: Action, why: str, now_ns: int, now_s: float) -> list[Said]:
        in_force = {**self._standing}
        if one.candidate.withdraws:
            # back again: what was withdrawn is in force once more, under this number
            undone = one.trial.withdrawn
            cause, metric = one.candidate.cause, one.candidate.metric
            again = InForce(one.id + "r", one.candidate.policy, undone, cause, metric)
            self._standing[again.id] = again
            to = self._plan((*in_force.values(), again))
        else:
            in_force.pop(one.id, None)
            to = self._plan(tuple(in_force.values()))
        one.undoing = why
        orders = commands(one.plan, to, self.public)
        self._times_s.append(now_s)
        return self._send(one, orders, now_ns, now_s)

    # --- saying -------------------------------------------------------------------------------

    def _plan(self, in_force: Sequence[InForce]) -> Plan:
        return plan_of(_actions(in_force), self.public)

    def _nodes(self, one: Action) -> tuple[str, ...]:
        return tuple(node for name in one.candidate.nodes for node in self.public.nodes_called(name))

    def _record(self, one: Action, step: str, now_ns: int, **more: Value) -> Record:
        candidate = one.candidate
        fields: dict[str, Value] = {
            "action": one.text, "cause": candidate.cause.text, "metric": candidate.metric,
            "t_s": (now_ns - self._start_ns) / 1e9,
        }  # fmt: skip
        if one.outcome is not None and candidate.metric in one.outcome.concerned:
            without, with_it, change = of_metric(one.outcome, candidate.metric)
            fields |= {
                "predicted_ms": with_it.latency_ms.mean,
                "predicted_low_ms": with_it.latency_ms.low,
                "predicted_high_ms": with_it.latency_ms.high,
                "unchanged_ms": without.latency_ms.mean,
                "change_ms": change.latency_ms.mean,
                "change_low_ms": change.latency_ms.low,
                "change_high_ms": change.latency_ms.high,
                "gain_probability": change.gain_probability,
            }
        tags = {"id": one.id, "policy": candidate.policy, "step": step}
        return Record(now_ns, "action", tags, {**fields, **more})


def _actions(in_force: Iterable[InForce]) -> list[AnyAction]:
    return [action for one in in_force for action in one.actions]


def _level_of(spread: Spread) -> Level:
    """A prediction as if it had been observed: its 90 % interval as an error."""
    return Level(spread.mean, (spread.high - spread.low) / 2.0 / Z90, 1, _MANY)


def _key(candidate: Candidate) -> tuple[str, ...]:
    """What makes two proposals the same."""
    return (candidate.policy, candidate.withdraws, *map(repr, candidate.actions))


def _gain_ms(one: Action) -> float:
    assert one.outcome is not None
    return gain_ms(one.outcome, one.candidate.metric)
