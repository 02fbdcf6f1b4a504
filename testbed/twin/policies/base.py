"""What a policy is: it looks at the twin's view of the network and proposes actions; nothing more.

A policy neither tries nor carries out anything: what it proposes is tried in a what-if, and only done when
it keeps to the limits. A class with a `name` and a method `propose` is one, and is named in the scenario as
`[twin] policies = ["route", "my_module:MyPolicy"]`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from testbed.actions import AnyAction
from testbed.errors import BadInput
from testbed.twin.attribution import Event
from testbed.twin.belief import Belief
from testbed.twin.public import Public


@dataclass(frozen=True)
class Cause:
    """What an action is about: an event that the twin has named."""

    kind: str
    target: str
    where: str
    onset_s: float

    @classmethod
    def of(cls, event: Event) -> Cause:
        return cls(event.kind, event.target, event.where, event.onset_s)

    def matches(self, event: Event) -> bool:
        """Whether an event is this one, however its size is known by now."""
        return (self.kind, self.target, self.where) == (event.kind, event.target, event.where)

    @property
    def text(self) -> str:
        return f"{self.kind} at {self.target or self.where}"


@dataclass(frozen=True)
class InForce:
    """Something that was ordered and is still so."""

    id: str
    policy: str
    actions: tuple[AnyAction, ...]
    cause: Cause
    #: `delay` or `task`
    metric: str
    #: run time since which its cause is no more, s; None: it is still there
    over_since_s: float | None = None


@dataclass(frozen=True)
class View:
    """What a policy may look at."""

    t_s: float
    public: Public
    belief: Belief
    #: what the twin has named and what still goes on
    events: Sequence[Event] = ()
    #: terminal -> satellite or station that it is on, as published
    serving: dict[str, str] = field(default_factory=dict)
    in_force: Sequence[InForce] = ()


@dataclass(frozen=True)
class Candidate:
    """A proposal. `withdraws` names what is to be taken back instead of anything new being done."""

    policy: str
    cause: Cause
    #: whether it is for the latency of datagrams, `delay`, or of tasks, `task`
    metric: str
    actions: tuple[AnyAction, ...] = ()
    #: nodes that it is for; none: all
    nodes: tuple[str, ...] = ()
    withdraws: str = ""


class Policy(Protocol):
    """Proposes actions."""

    name: str

    def propose(self, view: View) -> list[Candidate]:
        """What might be done now, the likeliest first; the same may be proposed again and again."""


#: how long a cause has to be over before the way back is proposed, s
BACK_AFTER_S = 3.0


def ways_back(view: View, policy: str) -> list[Candidate]:
    """Taking back what this policy had done about causes that are over."""
    return [
        Candidate(policy, one.cause, one.metric, withdraws=one.id)
        for one in view.in_force
        if one.policy == policy
        and one.over_since_s is not None
        and view.t_s - one.over_since_s >= BACK_AFTER_S
    ]


def names_of(event: Event) -> Iterator[str]:
    """The places, satellites and links that an event names, each once."""
    told = [*event.target.split(","), *event.where.split(","), *sorted(event.places)]
    yield from dict.fromkeys(name for name in told if name)


def build(names: Sequence[str]) -> list[Policy]:
    """Policies by name: those shipped, and classes of others as `module:Class`. BadInput for what is none."""
    from testbed.twin.policies.association import Association
    from testbed.twin.policies.duty import DutyCycle
    from testbed.twin.policies.offloading import Offloading
    from testbed.twin.policies.priority import Priorities
    from testbed.twin.policies.routing import Routing

    shipped: dict[str, Callable[[], Policy]] = {
        one.name: one for one in (Association, Routing, Offloading, Priorities, DutyCycle)
    }
    return [shipped[name]() if name in shipped else _own(name, sorted(shipped)) for name in names]


def _own(name: str, shipped: list[str]) -> Policy:
    where, colon, kind = name.partition(":")
    if not colon:
        raise BadInput(f"twin.policies: {name!r} is none, allowed: {', '.join(shipped)} or module:Class")
    try:
        made = getattr(importlib.import_module(where), kind)()
    except (ImportError, AttributeError, TypeError) as error:
        raise BadInput(f"twin.policies: {name!r} cannot be made: {error}") from None
    if not (isinstance(getattr(made, "name", None), str) and callable(getattr(made, "propose", None))):
        raise BadInput(f"twin.policies: {name!r} is no policy: it needs a name and a method propose(view)")
    return cast(Policy, made)
