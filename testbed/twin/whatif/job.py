"""What is asked of a what-if, and what it answers: plain data, modelled on the job and report of a network
digital twin in 3GPP TS 28.561 (scope, actions, limits; predicted effect, uncertainty, validity).

Nothing is run here. Latency is a message's delay, where one that never arrives counts `LOST_MS`, or, for a
task, the time after which its sender gives it up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec

from testbed.actions import (
    AnyAction,
    Handover,
    Offload,
    Pace,
    Priority,
    Route,
    parse,
    text_of,
)
from testbed.errors import BadInput
from testbed.scenario.node_tables import SensorNode
from testbed.twin.belief import Belief
from testbed.twin.public import Public

#: what a lost datagram counts in a mean latency, ms
LOST_MS: Final = 500.0
#: all datagrams (readings, publications, pings, bulk) and all tasks, each taken together
DELAY, TASK = "delay", "task"
MOST_CANDIDATES: Final = 200


class Trial(msgspec.Struct, frozen=True):
    """One candidate: what is done, which standing actions are taken back, and for which nodes (none: all)."""

    actions: tuple[AnyAction, ...] = ()
    withdrawn: tuple[AnyAction, ...] = ()
    nodes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As on the command line, parts separated by semicolons."""
        undone = (f"without {text_of(action)}" for action in self.withdrawn)
        return "; ".join((*map(text_of, self.actions), *undone))


class Job(msgspec.Struct):
    """Candidates to be tried from a belief on, against doing nothing.

    `scope`: nodes or flows that are told one by one, empty: all. `standing`: actions in force. `at_s`: run
    time at which candidates begin; `warm_s`: how long before that the belief is taken to hold, so that
    queues are what they are by then. Messages count that are sent from `settle_s` after that moment until the
    horizon. `limit_s`: most time it may take; what is not done by then is left out.
    """

    at_s: float
    candidates: list[Trial]
    belief: Belief = msgspec.field(default_factory=Belief)
    standing: list[AnyAction] = []
    scope: list[str] = []
    horizon_s: float = 20.0
    warm_s: float = 5.0
    settle_s: float = 0.0
    limit_s: float = 30.0
    replications: int = 6
    seed: int = 0
    #: link tables are so far apart, s; 0: at instants at which something changes
    epoch_s: float = 0.0


class Spread(msgspec.Struct, frozen=True):
    """A mean and its 90 % interval: where the outcome of one run is expected."""

    mean: float
    low: float
    high: float


class Measures(msgspec.Struct, frozen=True):
    """What is predicted of one flow, or of several together; not a number where nothing was sent."""

    messages: float
    latency_ms: Spread
    delay_ms: float  # mean of what arrives
    p95_ms: float
    loss: float
    throughput_bps: float


class Change(msgspec.Struct, frozen=True):
    """Difference from doing nothing: of latency in ms, as a share of it, and of loss."""

    latency_ms: Spread
    share: Spread
    loss: Spread
    #: probability that latency falls
    gain_probability: float


class Outcome(msgspec.Struct):
    """What is predicted of a candidate, or of doing nothing; `changes` are empty for the latter."""

    text: str
    #: by name of flow, and `delay` and `task` for all of either kind
    flows: dict[str, Measures]
    #: offered load of each server over what it can do
    server_load: dict[str, float]
    changes: dict[str, Change] = {}
    #: `delay` and `task` of the nodes that the candidate is for: as it is, with it, and the change
    concerned: dict[str, tuple[Measures, Measures, Change]] = {}


class Report(msgspec.Struct):
    """The answer to a job. `complete` is False when the time was up; `sentence` then says what is missing."""

    t_s: float
    horizon_s: float
    #: how long the prediction holds for an action that is taken later, s: up to the next change of links
    validity_s: float
    replications: int
    baseline: Outcome
    candidates: list[Outcome]
    complete: bool = True
    sentence: str = ""
    took_s: float = 0.0


def check(job: Job, public: Public) -> Job:
    """The job with a horizon that the run allows; BadInput, one sentence, for what is not there."""
    left_s = public.run.duration_s - job.at_s
    if not 0.0 <= job.at_s < public.run.duration_s:
        raise BadInput(f"--at {job.at_s:g}: allowed is 0 to less than the run's {public.run.duration_s:g} s")
    if not (math.isfinite(job.horizon_s) and 0.1 <= job.horizon_s <= left_s + 1e-6):
        raise BadInput(
            f"--horizon {job.horizon_s:g}: allowed is 0.1 to the {left_s:g} s that are left of the run"
        )
    if not 0.0 <= job.settle_s < job.horizon_s:
        raise BadInput(
            f"settle_s = {job.settle_s:g}: allowed is 0 to less than the {job.horizon_s:g} s ahead"
        )
    if not job.candidates or len(job.candidates) > MOST_CANDIDATES:
        raise BadInput(f"{len(job.candidates)} candidates, allowed: 1 to {MOST_CANDIDATES}")
    for name in job.scope:
        if name not in public.nodes and name not in public.groups:
            raise BadInput(f"scope {name!r}: no such node, allowed are {_some(public.nodes)}")
    for trial in job.candidates:
        for action in trial.actions:
            check_action(action, public)
    return job


def check_action(action: AnyAction, public: Public) -> None:
    """BadInput, one sentence, for an action on what is not there."""
    where = f"action {text_of(action)!r}: "
    match action:
        case Route(avoid):
            ends = avoid.split(">") if ">" in avoid else [avoid]
            for end in ends:
                _require(end, {**dict.fromkeys(public.places), **dict.fromkeys(public.satellites)}, where)
            if len(ends) == 1 and not _has_links(avoid, public):
                raise BadInput(f"{where}{avoid!r} has no links that could be avoided")
        case Handover(bar, terminal):
            stations = [name for name, place in public.places.items() if place.access == "station"]
            _require(bar, dict.fromkeys([*sorted(public.satellites), *stations]), where)
            terminals = [name for name, place in public.places.items() if place.access == "terminal"]
            if terminal:
                _require(terminal, dict.fromkeys(terminals), where)
        case Offload(node, servers):
            _require_node(node, public, where)
            for name in public.nodes_called(node):
                table = public.nodes[name]
                if not isinstance(table, SensorNode) or not table.task_interval_s:
                    raise BadInput(f"{where}{name} offloads no tasks")
                for server in servers:
                    if server not in table.servers:
                        known = ", ".join(table.servers)
                        raise BadInput(f"{where}{server!r} takes no tasks of {name}, allowed: {known}")
        case Priority(node):
            _require_node(node, public, where)
            for name in public.nodes_called(node):
                if not hasattr(public.nodes[name], "traffic_class"):
                    raise BadInput(f"{where}{name} sends nothing of its own accord")
        case Pace(node, reading_interval_s, task_interval_s):
            _require_node(node, public, where)
            for name in public.nodes_called(node):
                given = {"reading_interval_s": reading_interval_s, "task_interval_s": task_interval_s}
                for key, value in given.items():
                    if value is not None and not getattr(public.nodes[name], key, 0.0):
                        raise BadInput(f"{where}{name} has no {key} to be changed")


def trial(text: str) -> Trial:
    """A candidate from its text: actions separated by semicolons."""
    return Trial(tuple(parse(part.strip()) for part in text.split(";") if part.strip()))


def _require(name: str, known: dict[str, None], where: str) -> None:
    if name not in known:
        raise BadInput(f"{where}there is no {name!r}, allowed are {_some(known)}")


def _require_node(name: str, public: Public, where: str) -> None:
    if not public.nodes_called(name):
        known = {**public.groups, **{name: () for name in public.nodes if name not in public.servers}}
        raise BadInput(f"{where}there is no node {name!r}, allowed are {_some(known)}")


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:12]) + (", ..." if len(listed) > 12 else "")


def _has_links(name: str, public: Public) -> bool:
    place = public.places.get(name)
    if place is None or place.access in ("terminal", "gateway", "station"):
        return True
    return any(name in (link.a, link.b) for link in public.world.links)
