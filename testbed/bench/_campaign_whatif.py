"""What-ifs of the campaign: what the twin predicts of an action beside what the action does.

In each run something happens that the twin is not told; some time later it is asked what an action would
change, from its belief of that moment. The plant is then run twice from its beginning, with the action and
without, and the change that was predicted is laid beside the one that came. No figures here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nodes.wire import Record
from testbed.actions import AnyAction, parse
from testbed.bench._campaign_runs import QUIET_FIRST_S, SERVERS, Case, in_use, scenario_of
from testbed.scenario import Scenario
from testbed.twin.belief import Belief
from testbed.twin.public import Public, of_scenario
from testbed.twin.whatif import DELAY, TASK, Job, Trial, run
from testbed.twin.whatif.job import LOST_MS
from testbed.twin.whatif.plan import plan_of
from testbed.virtual.loop import Step
from testbed.virtual.loop import run as run_loop
from testbed.virtual.plant import VirtualPlant

#: the twin is asked so long after the start of what happened, and about so long, s
ASKED_AFTER_S: Final = 20.0
HORIZON_S: Final = 40.0
#: tasks differ little in work: what one run happens to draw would hide what an action changes
_MEGACYCLES: Final = (240.0, 260.0)
_REPLICATIONS: Final = 6


@dataclass(frozen=True)
class Question:
    """What happens, and the action that is asked about; `measure` is `delay` or `task` of the what-if."""

    case: Case
    action: str
    measure: str

    @property
    def at_s(self) -> float:
        """Run time at which it is asked, at a window's end."""
        return float(round(self.case.start_s + ASKED_AFTER_S))


@dataclass(frozen=True)
class Answered:
    """Mean latencies in ms: without the action, and what it changes, predicted (90 % interval) and real."""

    question: Question
    before_ms: float
    predicted_ms: float
    low_ms: float
    high_ms: float
    real_ms: float


def draw(number: int, seed: int) -> Question:
    """Question `number` of a seed's campaign: tasks off or onto a slow server, terminals off a slow link."""
    random = np.random.default_rng([seed, number, 54])
    start_s = float(random.uniform(QUIET_FIRST_S, QUIET_FIRST_S + 20.0))
    duration_s = round(start_s + ASKED_AFTER_S) + HORIZON_S
    run_seed = int(random.integers(1, 2**31))
    if number % 2 == 0:
        slow, other = random.permutation(SERVERS).tolist()
        factor = float(random.uniform(0.5, 0.9))
        case = Case(number, "slow_server", slow, factor, start_s, duration_s, run_seed)
        to = other if random.random() < 0.5 else slow
        return Question(case, f"offload:sensor={to}:1", TASK)
    case = Case(number, "extra_delay", "", float(random.uniform(10.0, 50.0)), start_s, duration_s, run_seed)
    lasting = in_use(scenario_of(case, bare=True), start_s)
    # one that would still be in use at the end
    links = sorted((-end_s, link) for link, end_s in lasting.items() if link.startswith("field-"))
    longest = [link for end_s, link in links if end_s == links[0][0]]
    link = longest[int(random.integers(len(longest)))]
    terminal = link.partition(">")[0]
    case = Case(number, case.kind, link, case.size, start_s, duration_s, run_seed)
    return Question(case, f"handover:bar={link.partition('>')[2]},terminal={terminal}", DELAY)


def carry_out(question: Question) -> Answered:
    """Ask the twin, and see."""
    scenario = scenario_of(question.case, megacycles=_MEGACYCLES)
    public = of_scenario(scenario)
    action = parse(question.action)
    asked = round(question.at_s / scenario.run.window_s) - 1
    beliefs: list[Belief] = []

    def ask(_: VirtualPlant, twin: Any, step: Step) -> None:
        if step.number == asked:
            beliefs.append(twin.belief(step.now_ns))

    run_loop(scenario, keep=lambda record: False, hooks=[ask], until_s=question.at_s)
    job = Job(
        question.at_s, [Trial((action,))], beliefs[0], horizon_s=HORIZON_S, replications=_REPLICATIONS,
        seed=question.case.seed % 2**31, limit_s=math.inf,
    )  # fmt: skip
    report = run(job, public)
    change = report.candidates[0].changes[question.measure].latency_ms
    without, done = (_latency_ms(scenario, public, question, acts) for acts in ([], [action]))
    return Answered(question, without, change.mean, change.low, change.high, done - without)


def _latency_ms(scenario: Scenario, public: Public, question: Question, actions: list[AnyAction]) -> float:
    """Mean latency after the moment at which it was asked, the actions carried out then."""
    plant = VirtualPlant(scenario)
    records: list[Record] = []
    window_s = scenario.run.window_s
    for number in range(round(scenario.run.duration_s / window_s)):
        if number == round(question.at_s / window_s):
            _act(plant, public, actions)
        records += plant.window(number)
    from_ns = plant.start_ns + round(question.at_s * 1e9)
    return _tasks_ms(records, from_ns) if question.measure == TASK else _datagrams_ms(records, from_ns)


def _act(plant: VirtualPlant, public: Public, actions: list[AnyAction]) -> None:
    plan = plan_of(actions, public)
    plant.order(plan.orders())
    for node, shares in plan.shares.items():
        plant.command(node, "offload", {"servers": shares})


def _tasks_ms(records: list[Record], from_ns: int) -> float:
    """Mean latency of tasks that were begun after a moment."""
    latencies = [
        1e3 * float(record.fields["latency_s"])
        for record in records
        if record.measurement == "offload"
        and record.t_ns - 1e9 * float(record.fields["latency_s"]) >= from_ns
    ]
    return float(np.mean(latencies)) if latencies else math.nan


def _datagrams_ms(records: list[Record], from_ns: int) -> float:
    """Mean latency of readings, a lost one counted as the what-if counts it."""
    total_ms, messages = 0.0, 0.0
    for record in records:
        if record.measurement == "flow" and record.tags["flow"] == "data" and record.t_ns > from_ns:
            packets, lost = (float(record.fields.get(name, 0.0)) for name in ("packets", "lost"))
            total_ms += packets * float(record.fields.get("delay_mean_ms", 0.0)) + lost * LOST_MS
            messages += packets + lost
    return total_ms / messages if messages else math.nan
