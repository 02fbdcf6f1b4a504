"""Ranges of single figures of a specification: a sentence for the first that no link can have.

Every function looks at fields of `of` by name and raises `WorldError` naming `what`, the field, the value
given and what is allowed. Whether figures fit together is not seen here.
"""

from __future__ import annotations

import math
from typing import Any

from emulator.errors import WorldError

#: what the link table holds
_MOST_PACKETS = 2**31 - 1


def above_zero(of: Any, what: str, *names: str) -> None:
    """Finite numbers above 0."""
    for name in names:
        if not 0.0 < getattr(of, name) < math.inf:
            raise WorldError(f"{what}{name} is {getattr(of, name):g}, it must be above 0 and finite")


def not_below_zero(of: Any, what: str, *names: str) -> None:
    """Finite numbers from 0."""
    for name in names:
        if not 0.0 <= getattr(of, name) < math.inf:
            raise WorldError(f"{what}{name} is {getattr(of, name):g}, it must not be below 0, and finite")


def finite(of: Any, what: str, *names: str) -> None:
    """Any numbers but infinite ones."""
    for name in names:
        if not math.isfinite(getattr(of, name)):
            raise WorldError(f"{what}{name} is {getattr(of, name):g}, it must be a finite number")


def probability(of: Any, what: str, *names: str) -> None:
    """Numbers from 0 to 1."""
    for name in names:
        if not 0.0 <= getattr(of, name) <= 1.0:
            raise WorldError(f"{what}{name} is {getattr(of, name):g}, allowed: 0 to 1")


def room_for_a_packet(of: Any, what: str, *names: str) -> None:
    """Bounds of queues in packets."""
    for name in names:
        if not 1 <= getattr(of, name) <= _MOST_PACKETS:
            raise WorldError(f"{what}{name} is {getattr(of, name)}, allowed: 1 to {_MOST_PACKETS}")
