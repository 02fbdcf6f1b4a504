"""Acting step by step: proposed, validated, ordered, applied, verified, and undone where it was wrong.

Time, observations, what-ifs and answers are made here; nothing is run.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from nodes.wire import CommandResult, Record, Request
from testbed.actions import AnyAction, parse, text_of
from testbed.scenario import load
from testbed.twin import freeze, public
from testbed.twin.act.engine import Engine
from testbed.twin.act.memory import Memory
from testbed.twin.attribution import Event
from testbed.twin.belief import Belief
from testbed.twin.knowledge import Limits
from testbed.twin.policies import Candidate, Cause, View, ways_back
from testbed.twin.whatif.job import DELAY, Change, Job, Measures, Outcome, Report, Spread

KNOWN = public.of_scenario(load("laptop"))
KNOWN = replace(KNOWN, run=replace(KNOWN.run, duration_s=600.0))
LIMITS = Limits(verification_s=4.0, actions_per_minute=3)
EVENT = Event("attenuation", "gateway-site", "gateway-site", 20.0, 22.0, 8.0, 0.1, "dB", 1.0, 1.0)
ROUTE = parse("route:avoid=gateway-site")
#: observed latency before, during and after, ms
GOOD, BAD = 20.0, 200.0


class Rains:
    """A policy for tests: does one thing about attenuation, and takes it back."""

    name = "rains"

    def __init__(self, *actions: AnyAction) -> None:
        self.actions = actions or (ROUTE,)

    def propose(self, view: View) -> list[Candidate]:
        there = {one.actions for one in view.in_force}
        found = ways_back(view, self.name)
        for event in view.events:
            found += [
                Candidate(self.name, Cause.of(event), DELAY, (action,))
                for action in self.actions
                if (action,) not in there
            ]
        return found


class Oracle:
    """A what-if that says what it is told; `changes_ms` by the text of a candidate."""

    def __init__(self, changes_ms: dict[str, float] | None = None, sure: float = 0.99) -> None:
        self.changes_ms = changes_ms or {}
        self.sure = sure
        self.jobs: list[Job] = []
        self.ready = True
        self.broken = ""
        self.harmed: dict[str, float] = {}

    def submit(self, job: Job) -> Oracle:
        self.jobs.append(job)
        return self

    def close(self) -> None:
        """Nothing is open."""

    def poll(self) -> Report | None:
        if self.broken:
            raise RuntimeError(self.broken)
        if not self.ready:
            return None
        job = self.jobs[-1]
        base = Outcome("nothing", {}, {})
        return Report(
            job.at_s, job.horizon_s, 9.0, 4, base, [self._outcome(one.text) for one in job.candidates]
        )

    def _outcome(self, text: str) -> Outcome:
        default = -10.0 if text.startswith("without") else GOOD - BAD
        by = self.changes_ms.get(text, default)
        change = _change(by, self.sure)
        measures = _measures(BAD), _measures(BAD + by)
        flows = {name: _change(ms, 0.0) for name, ms in self.harmed.items()}
        return Outcome(text, {}, {}, {DELAY: change, **flows}, {DELAY: (*measures, change)})


def _measures(ms: float) -> Measures:
    return Measures(100.0, Spread(ms, ms - 5.0, ms + 5.0), ms, ms, 0.0, 1e4)


def _change(ms: float, sure: float) -> Change:
    share = ms / BAD
    return Change(
        Spread(ms, ms - 1.0, ms + 1.0), Spread(share, share - 0.01, share + 0.01), Spread(0, 0, 0), sure
    )


class Stage:
    """Drives an engine second by second and keeps what it said."""

    def __init__(self, oracle: Oracle | None = None, policy: Rains | None = None, why_dry: str = "") -> None:
        self.oracle = oracle or Oracle()
        self.engine = Engine(KNOWN, [policy or Rains()], self.oracle, LIMITS, why_dry)
        self.engine.begin(0)
        self.t_s = 0.0
        self.records: list[Record] = []
        self.requests: list[Request] = []
        self.refuse = ""
        self.silent = False

    def go(self, until_s: float, latency_ms: float, *events: Event) -> None:
        while self.t_s < until_s:
            self.t_s += 0.5
            fields: dict[str, bool | int | float | str] = {
                "packets": 10,
                "lost": 0,
                "delay_mean_ms": latency_ms,
            }
            now_ns = round(self.t_s * 1e9)
            tags = {"source": "sensor-1", "node": "gateway-1", "flow": "data"}
            self.engine.take([Record(now_ns, "flow", tags, fields)])
            view = View(self.t_s, KNOWN, Belief(self.t_s), events)
            for said in self.engine.step(now_ns, view):
                if isinstance(said, Record):
                    self.records.append(said)
                else:
                    self.requests.append(said)
                    if not self.silent:
                        self.engine.answer(CommandResult(said.number, not self.refuse, self.refuse))

    def steps(self, number: str = "1") -> list[str]:
        return [r.tags["step"] for r in self.records if r.tags["id"] == number]

    def last(self, step: str) -> dict[str, object]:
        return dict(next(r for r in reversed(self.records) if r.tags["step"] == step).fields)


def _rained(stage: Stage, latency_after_ms: float = GOOD) -> Stage:
    """Twenty good seconds, four of rain that is not known of, then the event is."""
    stage.go(20.0, GOOD)
    stage.go(24.0, BAD)
    stage.go(24.5, BAD, EVENT)
    stage.go(40.0, latency_after_ms, EVENT)
    return stage


def test_an_action_is_proposed_validated_ordered_applied_and_verified() -> None:
    stage = _rained(Stage())
    assert stage.steps() == ["proposed", "validated", "ordered", "applied", "verified"]
    assert [(r.member, r.name) for r in stage.requests] == [("channel", "orders")]
    verified = stage.last("verified")
    assert verified["holds"] is True
    assert verified["predicted_ms"] == GOOD
    assert verified["observed_ms"] == GOOD
    assert verified["during_ms"] == BAD
    assert verified["recovered_share"] == 1.0
    assert verified["recovered_against"] == "observed"


def test_the_what_if_begins_with_the_deviation_and_what_is_in_force() -> None:
    stage = _rained(Stage())
    job = stage.oracle.jobs[0]
    assert job.warm_s == job.at_s - EVENT.onset_s
    assert job.standing == []


def test_the_way_back_is_taken_when_the_cause_is_over() -> None:
    stage = _rained(Stage())
    stage.go(70.0, GOOD)
    assert stage.steps("2") == ["proposed", "validated", "ordered", "applied", "withdrawn"]
    assert stage.requests[-1].arguments == {"penalty_ms": {}, "barred": []}
    assert stage.engine.in_force == ()
    assert [text_of(a) for a in stage.oracle.jobs[-1].standing] == ["route:avoid=gateway-site"]


def test_an_action_without_the_promised_effect_is_rolled_back() -> None:
    stage = _rained(Stage(), latency_after_ms=BAD)
    assert stage.steps() == ["proposed", "validated", "ordered", "applied", "verified", "rolled_back"]
    assert stage.last("verified")["holds"] is False
    assert stage.requests[-1].arguments == {"penalty_ms": {}, "barred": []}
    assert stage.engine.in_force == ()


def test_too_small_a_gain_is_rejected_and_not_asked_for_again_at_once() -> None:
    stage = _rained(Stage(Oracle({"route:avoid=gateway-site": -5.0})))
    assert stage.steps() == ["proposed", "rejected"]
    assert "predicted gain 2%, least allowed 10%" in str(stage.last("rejected")["why"])
    assert stage.requests == []
    assert 1 < len(stage.oracle.jobs) <= 3


def test_an_uncertain_gain_is_rejected() -> None:
    stage = _rained(Stage(Oracle(sure=0.7)))
    assert "probability of a gain 70%" in str(stage.last("rejected")["why"])


def test_harm_to_any_flow_is_rejected() -> None:
    oracle = Oracle()
    oracle.harmed = {"remote-1>gateway-1 reading": 60.0}
    stage = _rained(Stage(oracle))
    assert "remote-1>gateway-1 reading would have +30% latency" in str(stage.last("rejected")["why"])


def test_of_several_candidates_the_best_is_taken() -> None:
    other = parse("route:avoid=sat-1")
    stage = _rained(Stage(Oracle({"route:avoid=sat-1": -50.0}), Rains(other, ROUTE)))
    assert stage.steps("2")[:4] == ["proposed", "validated", "ordered", "applied"]
    assert "action 2 promises more" in [
        str(r.fields.get("why")) for r in stage.records if r.tags["id"] == "1"
    ]


def test_a_dry_run_says_what_it_would_do_and_does_not() -> None:
    stage = _rained(Stage(why_dry="hardware is attached (mcu-1)"))
    assert stage.steps() == ["proposed", "validated", "refused"]
    assert stage.last("refused")["why"] == "dry run: hardware is attached (mcu-1)"
    assert stage.requests == []


def test_what_is_refused_is_not_in_force() -> None:
    stage = Stage()
    stage.refuse = "gateway-site is not there"
    _rained(stage, BAD)
    assert stage.steps() == ["proposed", "validated", "ordered", "refused"]
    assert stage.last("refused")["why"] == "gateway-site is not there"
    assert stage.engine.in_force == ()


def test_silence_is_taken_for_a_refusal() -> None:
    stage = Stage()
    stage.silent = True
    _rained(stage, BAD)
    assert "no answer within" in str(stage.last("refused")["why"])


def test_a_what_if_that_takes_long_holds_nothing_up() -> None:
    stage = Stage()
    stage.oracle.ready = False
    _rained(stage, BAD)
    assert stage.steps() == ["proposed"]
    assert len(stage.oracle.jobs) == 1
    stage.oracle.ready = True
    stage.go(50.0, GOOD, EVENT)
    assert stage.steps() == ["proposed", "validated", "ordered", "applied", "verified"]


def test_a_what_if_that_broke_rejects_its_candidates() -> None:
    stage = Stage()
    stage.oracle.broken = "a worker ended"
    _rained(stage, BAD)
    assert stage.last("rejected")["why"] == "a worker ended"


def test_no_more_than_so_many_actions_a_minute() -> None:
    others = [parse(f"route:avoid=sat-{n}") for n in (1, 2, 3, 4)]
    stage = Stage(policy=Rains(*others))
    stage.go(20.0, GOOD)
    stage.go(24.0, BAD)
    ordered_s = []
    while stage.t_s < 120.0:
        before = len(stage.requests)
        stage.go(stage.t_s + 0.5, GOOD, EVENT)
        ordered_s += [stage.t_s] * (len(stage.requests) - before)
    assert len(ordered_s) == 4
    assert ordered_s[3] - ordered_s[0] >= 60.0


def test_an_action_before_queues_grew_is_held_to_what_was_predicted() -> None:
    stage = Stage()
    stage.go(22.0, GOOD)
    stage.go(40.0, GOOD, EVENT)
    verified = stage.last("verified")
    assert verified["recovered_against"] == "predicted"
    assert abs(float(str(verified["recovered_share"])) - 1.0) < 0.01


def test_every_step_says_what_why_and_how_much() -> None:
    for record in _rained(Stage()).records:
        assert record.tags.keys() == {"id", "policy", "step"}
        assert {"action", "cause", "metric", "t_s"} <= record.fields.keys()
        assert record.fields["cause"] == "attenuation at gateway-site"


# --- from one engine to another ---------------------------------------------------------------------


def _replace(stage: Stage, after_s: float = 0.0) -> None:
    """Another engine takes the place of the stage's, by way of a snapshot, some time later."""
    now_ns = round(stage.t_s * 1e9)
    data = msgspec.msgpack.decode(msgspec.msgpack.encode(freeze.freeze(stage.engine.memory(now_ns))))
    memory = Memory()
    freeze.thaw(data, memory)
    stage.engine = Engine(KNOWN, [Rains()], stage.oracle, LIMITS)
    stage.engine.begin(0)
    stage.t_s += after_s
    for said in stage.engine.resume(memory, round(stage.t_s * 1e9)):
        if isinstance(said, Record):
            stage.records.append(said)
        else:
            stage.requests.append(said)
            if not stage.silent:
                stage.engine.answer(CommandResult(said.number, True))


def test_another_engine_takes_back_what_is_in_force_when_its_cause_is_over() -> None:
    stage = _rained(Stage())
    _replace(stage)
    assert [text_of(a) for one in stage.engine.in_force for a in one.actions] == ["route:avoid=gateway-site"]
    stage.go(70.0, GOOD)
    assert stage.steps("2") == ["proposed", "validated", "ordered", "applied", "withdrawn"]
    assert stage.engine.in_force == ()


def test_another_engine_asks_again_for_what_was_not_answered_and_numbers_go_on() -> None:
    stage = Stage()
    stage.silent = True
    stage.go(20.0, GOOD)
    stage.go(24.0, BAD)
    stage.go(24.5, BAD, EVENT)
    assert stage.steps() == ["proposed", "validated", "ordered"]
    stage.silent = False
    _replace(stage, after_s=2.0)
    first, again = stage.requests
    assert again == Request(first.number + 1, first.member, first.name, first.arguments)
    stage.go(40.0, GOOD, EVENT)
    assert stage.steps() == ["proposed", "validated", "ordered", "applied", "verified"]
    assert stage.last("verified")["observed_ms"] == GOOD


def test_another_engine_watches_an_effect_from_then_on_with_what_was_known_before() -> None:
    stage = Stage()
    stage.go(20.0, GOOD)
    stage.go(24.0, BAD)
    stage.go(26.0, BAD, EVENT)
    assert stage.steps()[-1] == "applied"
    _replace(stage, after_s=10.0)
    resumed_s = stage.t_s
    stage.go(60.0, GOOD, EVENT)
    verified = stage.last("verified")
    assert float(str(verified["t_s"])) == resumed_s + LIMITS.verification_s
    assert (verified["before_ms"], verified["during_ms"], verified["observed_ms"]) == (GOOD, BAD, GOOD)


def test_an_effect_for_which_too_little_of_the_run_is_left_is_said_not_to_be_verified() -> None:
    stage = Stage()
    stage.go(20.0, GOOD)
    stage.go(24.0, BAD)
    stage.go(26.0, BAD, EVENT)
    _replace(stage, after_s=KNOWN.run.duration_s - 26.0 - LIMITS.verification_s / 2.0)
    assert stage.steps()[-1] == "unverified"
    assert "too little of the run is left" in str(stage.last("unverified")["why"])
    assert "holds" not in stage.last("unverified")
    assert len(stage.engine.in_force) == 1


def test_what_was_being_tried_is_told_to_be_lost_and_proposed_again() -> None:
    stage = Stage()
    stage.oracle.ready = False
    stage.go(20.0, GOOD)
    stage.go(24.0, BAD)
    stage.go(24.5, BAD, EVENT)
    stage.oracle.ready = True
    _replace(stage)
    assert stage.last("rejected")["why"] == "the twin ended before it was tried"
    stage.go(40.0, GOOD, EVENT)
    assert stage.steps("2") == ["proposed", "validated", "ordered", "applied", "verified"]


def test_what_nobody_told_the_effect_of_is_not_called_verified() -> None:
    stage = Stage()
    stage.go(20.0, GOOD)
    stage.go(24.0, BAD)
    stage.go(24.5, BAD, EVENT)
    stage.engine.take = lambda records: None  # type: ignore[method-assign]
    stage.go(40.0, GOOD, EVENT)
    assert stage.steps()[-1] == "unverified"
    assert stage.last("unverified")["why"] == "nothing was observed of its effect"


def test_an_engine_that_knows_nothing_of_the_one_before_has_everything_as_configured() -> None:
    asked = [said for said in Stage().engine.afresh() if isinstance(said, Request)]
    assert asked[0].arguments == {"penalty_ms": {}, "barred": []}
    assert {(r.member, r.name) for r in asked} >= {("channel", "orders"), ("sensor-1", "offload")}
    assert len({r.number for r in asked}) == len(asked)
    assert Stage(why_dry="twin.act = 'dry-run'").engine.afresh() == []
