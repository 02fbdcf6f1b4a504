"""Commands that a node may be given while it runs: what their arguments may be, and those every role obeys.

`priority {traffic_class}` is obeyed by every role that sends of its own accord, `set_clock {offset_ms,
skew_ppm}` by every node, but only when the plant asks: it makes a clock wrong. All others are the roles'
(`Role.on_command`), which take their arguments through the checks here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nodes import wire
from nodes.node import CommandError, Node

#: shortest and longest interval that a node can be paced to, s; 0 ends the series
INTERVAL_S: Final = (0.001, 86_400.0)
#: largest share of the tasks that a server may be given
SHARE_MAX: Final = 1_000
_OFFSET_MS_MAX: Final = 1e7
_SKEW_PPM_MAX: Final = 1e5


def obey(node: Node, name: str, arguments: dict[str, Any], by: str) -> str:
    """Carry out a command and say what was done; CommandError, one sentence, when it cannot be."""
    if name == "set_clock" and by == "plant":
        offset_ms, skew_ppm = clock_of(arguments)
        node.clock.set(offset_ms, skew_ppm, node.now_ns())
        return f"the clock is {offset_ms:g} ms ahead, and {skew_ppm:g} ppm fast"
    if name == "priority" and node.role.initiates:
        before, node.traffic_class = node.traffic_class, class_of(arguments)
        return f"traffic class {before} -> {node.traffic_class}"
    return node.role.on_command(name, arguments)


def class_of(arguments: Mapping[str, Any]) -> int:
    """The traffic class of `priority`."""
    _only(arguments, "priority", ("traffic_class",))
    given = arguments.get("traffic_class")
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= wire.TRAFFIC_CLASS_MAX:
        raise CommandError(
            f"priority: traffic_class = {given!r} must be a whole number from 0 to {wire.TRAFFIC_CLASS_MAX}"
        )
    return given


def intervals_of(arguments: Mapping[str, Any], allowed: Sequence[str]) -> dict[str, float]:
    """The intervals of `pace`, s, by name; at least one of `allowed`."""
    _only(arguments, "pace", allowed)
    if not arguments:
        raise CommandError(f"pace: nothing is given, allowed: {' and '.join(allowed)}")
    low, high = INTERVAL_S
    for name, given in arguments.items():
        if not _number(given) or not (given == 0 or low <= given <= high):
            raise CommandError(f"pace: {name} = {given!r} must be 0 (none) or from {low:g} to {high:g} s")
    return {name: float(given) for name, given in arguments.items()}


def shares_of(arguments: Mapping[str, Any], allowed: Sequence[str]) -> dict[str, int]:
    """The servers of `offload` and their shares, in the order of `allowed`; those left out get nothing."""
    _only(arguments, "offload", ("servers",))
    given = arguments.get("servers")
    if not isinstance(given, dict) or not given:
        raise CommandError(f"offload: servers = {given!r} must be a share for each server by name")
    for name, share in given.items():
        if name not in allowed:
            raise CommandError(f"offload: server {name!r} is not one of {', '.join(allowed) or 'none'}")
        if isinstance(share, bool) or not isinstance(share, int) or not 0 <= share <= SHARE_MAX:
            raise CommandError(
                f"offload: the share of {name} = {share!r} must be a whole number from 0 to {SHARE_MAX}"
            )
    if not any(given.values()):
        raise CommandError("offload: every share is 0, but one at least must be above it")
    return {name: given.get(name, 0) for name in allowed}


def clock_of(arguments: Mapping[str, Any]) -> tuple[float, float]:
    """Offset (ms) and skew (ppm) of `set_clock`."""
    _only(arguments, "set_clock", ("offset_ms", "skew_ppm"))
    values = []
    for name, most in (("offset_ms", _OFFSET_MS_MAX), ("skew_ppm", _SKEW_PPM_MAX)):
        given = arguments.get(name, 0.0)
        if not _number(given) or not -most <= given <= most:
            raise CommandError(f"set_clock: {name} = {given!r} must be a number from {-most:g} to {most:g}")
        values.append(float(given))
    return values[0], values[1]


def _only(arguments: Mapping[str, Any], command: str, allowed: Sequence[str]) -> None:
    unknown = [name for name in arguments if name not in allowed]
    if unknown:
        raise CommandError(f"{command}: {unknown[0]!r} is not known, allowed: {', '.join(allowed)}")


def _number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
