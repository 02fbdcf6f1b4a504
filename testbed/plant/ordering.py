"""What a network controller orders of the plant, from the arguments of a command: open, unlike deviations.

`orders {"penalty_ms": {"a>b": ms}, "barred": ["terminal>satellite"]}` replaces all orders given before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.orders import Orders

_ALLOWED = "penalty_ms and barred"


def orders_of(arguments: Mapping[str, Any]) -> Orders:
    """The orders that a command's arguments say; what is left out is empty.

    ValueError, one sentence, for what they cannot be. Whether the names are there is for the world to say.
    """
    for name in arguments:
        if name not in ("penalty_ms", "barred"):
            raise ValueError(f"orders: {name!r} is not known, allowed: {_ALLOWED}")
    penalties, barred = arguments.get("penalty_ms", {}), arguments.get("barred", [])
    if not isinstance(penalties, Mapping):
        raise ValueError(f"orders: penalty_ms = {penalties!r} must be ms for each link a>b")
    if not isinstance(barred, list | tuple):
        raise ValueError(f"orders: barred = {barred!r} must be a list of terminal>satellite")
    orders = Orders()
    for name, penalty_ms in penalties.items():
        if isinstance(penalty_ms, bool) or not isinstance(penalty_ms, int | float):
            raise ValueError(f"orders: penalty_ms of {name} = {penalty_ms!r} must be a number of ms")
        orders.route_penalty_ms[_pair(name, "a link a>b")] = float(penalty_ms)
    for name in barred:
        orders.barred.add(_pair(name, "terminal>satellite"))
    return orders


def _pair(name: object, what: str) -> tuple[str, str]:
    ends = name.split(">") if isinstance(name, str) else []
    if len(ends) != 2 or not all(ends):
        raise ValueError(f"orders: {name!r} must be {what}")
    return ends[0], ends[1]
