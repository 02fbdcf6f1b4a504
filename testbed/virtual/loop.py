"""A twin beside a plant in virtual time: predict a window, let it pass, take what arrives, close it.

The twin is the live one's core, told the time and given records through the same whitelist as live, by way
of a `Delivery` that may lose or delay them. Hooks see what it says and may interfere with the plant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from nodes.wire import Record
from testbed.plant.deviations import Withheld
from testbed.scenario import Scenario
from testbed.twin import knowledge
from testbed.twin.core import Twin
from testbed.twin.knowledge import Knowledge
from testbed.twin.observations import filter_record
from testbed.virtual.delivery import Delivery, Troubles
from testbed.virtual.plant import VirtualPlant

#: from a window's end until the twin has its reports, ns
ARRIVAL_NS: Final = 50_000_000
#: the twin tells its belief this often, s
_BELIEF_S: Final = 1.0
#: what the plant alone knows
TRUTH: Final = frozenset({"plant_link", "plant_event"})


@dataclass
class Step:
    """One window: what the plant recorded, what reached the twin, what the twin said of it."""

    number: int
    now_ns: int
    observed: list[Record]
    delivered: list[Record]
    said: list[Record]


@dataclass
class Outcome:
    """All that was kept of a run: what the twin said, and the plant's records."""

    start_ns: int
    said: list[Record] = field(default_factory=list)
    observed: list[Record] = field(default_factory=list)
    #: wall time from a window's records to updated parameters, s, by window
    update_s: list[float] = field(default_factory=list)
    #: processor time of the twin altogether (predicting, taking, closing), s
    twin_cpu_s: float = 0.0
    #: records that reached the twin
    delivered: int = 0
    #: what became of the records on their way to the twin
    delivery: dict[str, int] = field(default_factory=dict)

    def of(self, measurement: str) -> list[Record]:
        """What the twin said, and what was observed, of one measurement."""
        return [r for r in (*self.said, *self.observed) if r.measurement == measurement]


#: called after each window; may order and command
Hook = Callable[[VirtualPlant, Any, Step], None]


def knowledge_of(scenario: Scenario) -> Knowledge:
    """What the twin of a scenario knows before the run, by way of the same file as live."""
    return knowledge.parse(msgspec.json.decode(msgspec.json.encode(scenario.public())))


def run(
    scenario: Scenario,
    *,
    twin_factory: Callable[[Knowledge], Any] = Twin,
    troubles: Troubles | None = None,
    keep: Callable[[Record], bool] = lambda record: True,
    hooks: Iterable[Hook] = (),
    until_s: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Outcome:
    """Run a scenario with a twin beside it, window by window.

    `twin_factory`: makes the twin from public knowledge; `keep`: which records the outcome holds, of the
    twin's and of the plant's; `until_s`: run time to stop at, by default the scenario's end; `progress` is
    told the share that is done.
    """
    plant = VirtualPlant(scenario)
    twin = twin_factory(knowledge_of(scenario))
    twin.begin(plant.start_ns)
    withheld = Withheld(scenario)
    delivery = Delivery(troubles or Troubles(), scenario.run.seed)
    outcome = Outcome(plant.start_ns, delivery=delivery.counts)
    window_s = scenario.run.window_s
    windows = int((scenario.run.duration_s if until_s is None else until_s) / window_s + 1e-9)
    hooks = tuple(hooks)
    told_s = 0.0
    cpu_s = time.process_time()
    said = twin.predict(0)
    outcome.twin_cpu_s += time.process_time() - cpu_s
    for number in range(windows):
        records = plant.window(number)
        arrived = delivery.deliver(number, visible(records, withheld, plant.start_ns))
        outcome.delivered += len(arrived)
        now_ns = plant.start_ns + round((number + 1) * window_s * 1e9) + ARRIVAL_NS
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        twin.take(arrived)
        said += twin.close(number, now_ns)
        outcome.update_s.append(time.perf_counter() - wall_s)
        if (number + 1) * window_s >= told_s + _BELIEF_S:
            told_s = (number + 1) * window_s
            said += twin.beliefs(now_ns)
        after = twin.predict(number + 1) if number + 1 < windows else []
        outcome.twin_cpu_s += time.process_time() - cpu_s
        outcome.said += [record for record in said if keep(record)]
        outcome.observed += [record for record in records if keep(record)]
        for hook in hooks:
            hook(plant, twin, Step(number, now_ns, records, arrived, said))
        said = after
        if progress is not None:
            progress((number + 1) / windows)
    return outcome


def visible(records: Iterable[Record], withheld: Withheld, start_ns: int) -> list[Record]:
    """What the supervisor would pass on to the twin."""
    passed = (filter_record(record) for record in records if record.measurement not in TRUTH)
    visible = [record for record in passed if record is not None]
    if not withheld:
        return visible
    return [record for record in visible if not withheld.takes(record, start_ns)]
