"""Saying only what the other side would not have guessed: dual prediction with a bound on the error.

A source runs the predictor of its receiver, and speaks only when that errs by more than a bound, or when it
has been silent for a while, so that a loss is noticed. Between messages the receiver goes on with what it was
told: value plus slope times windows. Every message holds all that the predictor knows, so one that comes
repairs whatever was lost before it.

What holds by construction: in every window up to which no message is missing, the receiver's value differs
from the source's by no more than the bound. After a lost message that ends with the next one that comes, at
most `heartbeat` windows later if that one comes.

The first half of this module is about series of observations, the second about tables of the twin's state.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from testbed.twin.state import Entry, StateTable

#: windows that the slope of a series is taken from
_SLOPE_WINDOWS: Final = 8
#: a slope counts when it is this many times its standard error
_SLOPE_SDS: Final = 3.0
#: a variance is told again when it changed by more than this factor
_VARIANCE_FACTOR: Final = 2.0


class Update(msgspec.Struct, array_like=True):
    """All that a predictor knows: values at a window, and by how much they change in one."""

    number: int
    window: int
    values: dict[str, float]
    slopes: dict[str, float]


def predicted(update: Update, name: str, window: int) -> float:
    """The value that both sides believe for a window."""
    return update.values[name] + update.slopes.get(name, 0.0) * (window - update.window)


class Source:
    """The side that observes.

    `bounds`: largest error of the receiver by quantity, in its unit; `heartbeat`: most windows between two
    messages. A quantity without a bound is sent along and never a reason to send.
    """

    def __init__(self, bounds: Mapping[str, float], heartbeat: int) -> None:
        self._bounds, self._heartbeat = dict(bounds), heartbeat
        self._said: Update | None = None
        self._past: dict[str, deque[tuple[int, float]]] = {}
        self.number = 0

    def offer(self, window: int, values: Mapping[str, float]) -> Update | None:
        """The values of a window (windows rise); what has to be sent, if anything."""
        for name, value in values.items():
            self._past.setdefault(name, deque(maxlen=_SLOPE_WINDOWS)).append((window, value))
        said = self._said
        if (
            said is not None
            and window - said.window < self._heartbeat
            and self._guessed(said, window, values)
        ):
            return None
        self.number += 1
        slopes = {name: slope for name in values if (slope := self._slope(name))}
        self._said = Update(self.number, window, dict(values), slopes)
        return self._said

    def _guessed(self, said: Update, window: int, values: Mapping[str, float]) -> bool:
        if said.values.keys() != values.keys():
            return False
        return all(
            _close(predicted(said, name, window), values[name], bound)
            for name, bound in self._bounds.items()
            if name in values
        )

    def _slope(self, name: str) -> float:
        """Change in one window by least squares over the last ones, or 0 where it is hidden by noise."""
        past = self._past[name]
        n = len(past)
        if n < _SLOPE_WINDOWS or not all(math.isfinite(value) for _, value in past):
            return 0.0
        x0, y0 = sum(x for x, _ in past) / n, sum(y for _, y in past) / n
        xx = sum((x - x0) ** 2 for x, _ in past)
        slope = sum((x - x0) * (y - y0) for x, y in past) / xx
        rest = sum((y - y0 - slope * (x - x0)) ** 2 for x, y in past) / (n - 2)
        if not math.isfinite(slope) or abs(slope) <= _SLOPE_SDS * math.sqrt(rest / xx):
            return 0.0
        return slope


class Receiver:
    """The side that believes. `lost` counts messages that were noticed to be missing."""

    def __init__(self, heartbeat: int) -> None:
        self._heartbeat = heartbeat
        self._known: Update | None = None
        self.lost = 0

    def take(self, update: Update) -> None:
        """A message; one that is older than the newest changes nothing."""
        before = 0 if self._known is None else self._known.number
        if update.number <= before:
            return
        self.lost += update.number - before - 1
        self._known = update

    def values(self, window: int) -> dict[str, float]:
        """What is believed of a window."""
        known = self._known
        return {} if known is None else {name: predicted(known, name, window) for name in known.values}

    def holds(self, window: int) -> bool:
        """Whether the bound can be relied on: False when the source has been silent for too long."""
        return self._known is not None and window - self._known.window < self._heartbeat


def _close(guessed: float, value: float, bound: float) -> bool:
    if math.isnan(value) or math.isnan(guessed):
        return math.isnan(value) and math.isnan(guessed)
    return guessed == value or abs(guessed - value) <= bound


# --- tables of states ---------------------------------------------------------------------------


class Telling:
    """Which states of a table have to be told to another side, whose copy is `told`.

    `bound_sds`: largest error of the other side's mean, in the standard deviation that it was told, or that
    is now believed if less. `allowed`: by name, a larger error in the state's own unit. Variances are told
    again when they changed by a factor of two.
    """

    def __init__(self, bound_sds: float, allowed: Mapping[str, float] | None = None) -> None:
        self.bound_sds = bound_sds
        self.allowed = dict(allowed or {})
        self.told = StateTable()
        self._seen = 0

    def look(self, table: StateTable) -> None:
        """Takes what changed in `table` since the last time into `told`, where it has to be told."""
        delta = table.delta(self._seen)
        self._seen = delta.version
        if delta.whole:
            existing = {entry.target for entry in delta.entries}
            for target in {entry.target for entry in self.told.query()} - existing:
                self.told.drop(target)
        for target in delta.gone:
            self.told.drop(target)
        for entry in delta.entries:
            told = self.told.get(entry.target, entry.name)
            if told is None or not self.within(entry, told):
                self.told.update(entry.target, entry.name, entry.mean, entry.variance, entry.t_s)

    def within(self, entry: Entry, told: Entry) -> bool:
        """Whether what was told of a state is still good enough."""
        sd = math.sqrt(max(min(entry.variance, told.variance), 0.0))
        bound = max(self.bound_sds * sd, self.allowed.get(entry.name, 0.0))
        if not _close(told.mean, entry.mean, bound):
            return False
        low, high = sorted((entry.variance, told.variance))
        return high <= _VARIANCE_FACTOR * low
