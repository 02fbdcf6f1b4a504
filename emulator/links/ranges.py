"""Ranges of the settings that the modules of this package have in common: durations and whole numbers.

Single figures only, as in `emulator.ranges`: one sentence naming the key, the value and what is allowed.
"""

from __future__ import annotations

from typing import Any, Final

from emulator.errors import WorldError

#: the shortest duration that kernels can tell from none, and one longer than any run (in ms: a ns, 11 days)
SHORTEST_MS: Final = 1e-6
LONGEST_MS: Final = 1e9


def duration_ms(of: Any, where: str, *names: str) -> None:
    """Durations in ms that must not be zero."""
    for name in names:
        if not SHORTEST_MS <= getattr(of, name) <= LONGEST_MS:
            raise WorldError(
                f"{where}{name} is {getattr(of, name):g}, allowed: {SHORTEST_MS:g} to {LONGEST_MS:g} ms"
            )


def duration_or_none_ms(of: Any, where: str, *names: str) -> None:
    """Durations in ms, 0 for none."""
    for name in names:
        if not 0.0 <= getattr(of, name) <= LONGEST_MS:
            raise WorldError(f"{where}{name} is {getattr(of, name):g}, allowed: 0 to {LONGEST_MS:g} ms")


def between(of: Any, where: str, low: float, high: float, *names: str) -> None:
    """Numbers from `low` to `high`."""
    for name in names:
        if not low <= getattr(of, name) <= high:
            raise WorldError(f"{where}{name} is {getattr(of, name):g}, allowed: {low:g} to {high:g}")


def ns(ms: float) -> int:
    """Whole nanoseconds of a duration in milliseconds."""
    return round(ms * 1e6)
