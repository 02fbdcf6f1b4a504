"""Actions on the network: what may be tried in a what-if, proposed by a policy, or ordered.

One vocabulary for the command line, the twin and whoever carries an action out. Text form, as given on the
command line:

    route:avoid=gateway-site            links of a place (or one link a>b) are not used while others are there
    handover:bar=sat-2,terminal=field-1 a terminal leaves a satellite (terminal left out: all of them)
    offload:sensor=edge-ground:3+edge-sat:1   tasks of a node (or of all of a [nodes.NAME]) go in these shares
    priority:remote-1=2                 traffic class of what a node sends, 0 to 3
    pace:sensor=reading_interval_s:1    an interval of a node, s

Nothing is carried out here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import msgspec

from testbed.errors import BadInput

#: what `route` adds to the delay of links to be avoided when routes are chosen, ms
AVOID_MS: Final = 1_000.0


class Action(msgspec.Struct, frozen=True, tag_field="kind"):
    """Base of all actions."""


class Route(Action, frozen=True, tag="route"):
    """Links of a place or satellite, or one link `a>b`, get a penalty when routes are chosen."""

    avoid: str
    penalty_ms: float = AVOID_MS


class Handover(Action, frozen=True, tag="handover"):
    """A terminal (empty: every one) is not to choose a satellite or station."""

    bar: str
    terminal: str = ""


class Offload(Action, frozen=True, tag="offload"):
    """Tasks of a node, or of all nodes of a [nodes.NAME], go to servers in these whole-number shares."""

    node: str
    servers: dict[str, int]


class Priority(Action, frozen=True, tag="priority"):
    """Traffic class of what a node sends, 0 to 3, the highest first."""

    node: str
    traffic_class: int


class Pace(Action, frozen=True, tag="pace"):
    """Intervals of a node in s; None: as it is."""

    node: str
    reading_interval_s: float | None = None
    task_interval_s: float | None = None


AnyAction = Route | Handover | Offload | Priority | Pace

_FORMS: Final = {
    "route": "route:avoid=PLACE|A>B[,penalty_ms=MS]",
    "handover": "handover:bar=SATELLITE[,terminal=PLACE]",
    "offload": "offload:NODE=SERVER:SHARE[+SERVER:SHARE...]",
    "priority": "priority:NODE=CLASS",
    "pace": "pace:NODE=reading_interval_s:S[+task_interval_s:S]",
}


def parse(text: str) -> AnyAction:
    """An action from its text form; BadInput, one sentence, for anything else."""
    kind, colon, rest = text.partition(":")
    if not colon or kind not in _FORMS:
        raise BadInput(f"action {text!r}: allowed are {', '.join(_FORMS.values())}")
    makers: dict[str, Callable[[str], AnyAction]] = {
        "route": _route, "handover": _handover, "offload": _offload, "priority": _priority, "pace": _pace,
    }  # fmt: skip
    try:
        return makers[kind](rest)
    except (ValueError, KeyError) as error:
        why = f" ({error})" if isinstance(error, _WrongError) else ""
        raise BadInput(f"action {text!r}: allowed is {_FORMS[kind]}{why}") from None


def text_of(action: AnyAction) -> str:
    """The text form of an action."""
    match action:
        case Route():
            more = "" if action.penalty_ms == AVOID_MS else f",penalty_ms={action.penalty_ms:g}"
            return f"route:avoid={action.avoid}{more}"
        case Handover():
            return f"handover:bar={action.bar}" + (f",terminal={action.terminal}" if action.terminal else "")
        case Offload():
            shares = "+".join(f"{name}:{share}" for name, share in action.servers.items())
            return f"offload:{action.node}={shares}"
        case Priority():
            return f"priority:{action.node}={action.traffic_class}"
        case Pace():
            given = {
                "reading_interval_s": action.reading_interval_s,
                "task_interval_s": action.task_interval_s,
            }
            parts = "+".join(f"{key}:{value:g}" for key, value in given.items() if value is not None)
            return f"pace:{action.node}={parts}"


class _WrongError(ValueError):
    """A value outside what is allowed; its text says which."""


def _pairs(rest: str, keys: tuple[str, ...], separator: str = ",", equals: str = "=") -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in rest.split(separator):
        key, found, value = part.partition(equals)
        if not found or not value or key not in keys or key in pairs:
            raise ValueError(part)
        pairs[key] = value
    return pairs


def _number(text: str, low: float, high: float, what: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and low <= value <= high):
        raise _WrongError(f"{what} is {text}, allowed: {low:g} to {high:g}")
    return value


def _named(rest: str) -> tuple[str, str]:
    name, found, value = rest.partition("=")
    if not (found and name and value):
        raise ValueError(rest)
    return name, value


def _route(rest: str) -> Route:
    given = _pairs(rest, ("avoid", "penalty_ms"))
    return Route(given["avoid"], _number(given.get("penalty_ms", str(AVOID_MS)), 0.001, 1e6, "penalty_ms"))


def _handover(rest: str) -> Handover:
    given = _pairs(rest, ("bar", "terminal"))
    return Handover(given["bar"], given.get("terminal", ""))


def _offload(rest: str) -> Offload:
    node, value = _named(rest)
    shares: dict[str, int] = {}
    for part in value.split("+"):
        server, found, share = part.rpartition(":")
        if not (found and server) or server in shares:
            raise ValueError(part)
        shares[server] = int(_number(str(int(share)), 0, 1000, "a share"))
    if not any(shares.values()):
        raise _WrongError("one share at least is above 0")
    return Offload(node, shares)


def _priority(rest: str) -> Priority:
    node, value = _named(rest)
    return Priority(node, int(_number(str(int(value)), 0, 3, "the traffic class")))


def _pace(rest: str) -> Pace:
    node, value = _named(rest)
    given = _pairs(value, ("reading_interval_s", "task_interval_s"), "+", ":")
    numbers = {key: _number(text, 0.001, 86_400, key) for key, text in given.items()}
    return Pace(node, numbers.get("reading_interval_s"), numbers.get("task_interval_s"))
