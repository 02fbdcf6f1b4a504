"""What an engine knows of the actions that it began: data, of which another engine can go on.

Nothing is decided here. What is missing: a what-if that is being run ends with the process that runs it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from testbed.twin.act.commands import Order
from testbed.twin.act.effect import Level, Seen
from testbed.twin.policies import Candidate, InForce
from testbed.twin.whatif import Trial
from testbed.twin.whatif.job import Outcome
from testbed.twin.whatif.plan import Plan


@dataclass
class Action:
    """One action on its way from proposal to verification."""

    id: str
    candidate: Candidate
    trial: Trial
    text: str
    outcome: Outcome | None = None
    step: str = "proposed"
    ordered_s: float = 0.0
    applied_s: float = 0.0
    #: numbers of its requests that are not answered yet
    open: set[int] = field(default_factory=set)
    done: int = 0
    plan: Plan = field(default_factory=Plan)
    during: Level = field(default_factory=Level)
    before: Level = field(default_factory=Level)
    #: why it is undone, while its undoing is on the way
    undoing: str = ""
    #: what was asked for last
    orders: list[Order] = field(default_factory=list)


@dataclass
class Memory:
    """Everything by which an engine goes on in the place of another."""

    numbers: int = 0
    requests: int = 0
    jobs: int = 0
    #: what was ordered and is still so, by number
    standing: dict[str, InForce] = field(default_factory=dict)
    #: actions that are ordered and not verified yet, by number
    acting: dict[str, Action] = field(default_factory=dict)
    #: candidates of the what-if that was being run
    trying: list[Action] = field(default_factory=list)
    #: when what was rejected was, s
    rejected: dict[tuple[str, ...], float] = field(default_factory=dict)
    #: when actions were ordered, within the last minute, s
    times_s: deque[float] = field(default_factory=deque)
    #: latencies that were observed lately
    seen: dict[str, Seen] = field(default_factory=dict)
