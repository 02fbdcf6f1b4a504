"""The state of the twin as a table: of every target and name a mean, a variance, and how recent they are.

Targets are links `a>b`, nodes, places, satellites and flows `a>b:name`; names carry their units. Every change
has a number, so that what changed since any of them can be asked for. What the states mean is not known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

#: targets that are gone are remembered so far back; whoever is further behind needs the whole table
REMEMBERED: Final = 4_096


class Entry(NamedTuple):
    """One state. `version`: number of the table's change that set it; `updates`: how often it was set;
    `t_s`: run time of the newest observation behind it (-inf: none yet)."""

    target: str
    name: str
    mean: float
    variance: float
    version: int
    updates: int
    t_s: float


class Delta(NamedTuple):
    """What changed from one version of a table to another; `whole`: everything, whatever was before."""

    since: int
    version: int
    entries: list[Entry]
    gone: list[str]
    whole: bool = False


class StateTable:
    """States by target and name, and the number of the last change."""

    def __init__(self) -> None:
        self.version = 0
        self._entries: dict[tuple[str, str], Entry] = {}  # in order of version
        self._gone: dict[str, int] = {}  # target -> version, in order of version
        #: deltas since an earlier version cannot be told any more
        self._floor = 0

    def __len__(self) -> int:
        return len(self._entries)

    def update(self, target: str, name: str, mean: float, variance: float, t_s: float = -math.inf) -> Entry:
        """Sets a state; `t_s` is when the newest observation behind it was made, none: as before."""
        key = (target, name)
        before = self._entries.pop(key, None)
        updates = 1
        if before is not None:
            updates = before.updates + 1
            if before.t_s > t_s:
                t_s = before.t_s
        self.version += 1
        entry = self._entries[key] = Entry(target, name, mean, variance, self.version, updates, t_s)
        return entry

    def observed(self, target: str, name: str, t_s: float) -> None:
        """An observation of a state came, whatever it changed: it is no new version of it."""
        entry = self._entries.get((target, name))
        if entry is not None and t_s > entry.t_s:
            self._entries[target, name] = entry._replace(t_s=t_s)

    def drop(self, target: str) -> None:
        """The target exists no more."""
        keys = [key for key in self._entries if key[0] == target]
        if not keys:
            return
        for key in keys:
            del self._entries[key]
        self.version += 1
        self._gone.pop(target, None)
        self._gone[target] = self.version
        if len(self._gone) > REMEMBERED:
            oldest = next(iter(self._gone))
            self._floor = self._gone.pop(oldest)

    def get(self, target: str, name: str) -> Entry | None:
        """One state, if it is known."""
        return self._entries.get((target, name))

    def query(self, target: str = "*", name: str = "*", since_version: int = 0) -> list[Entry]:
        """States whose target and name match shell patterns, set after `since_version`; by target, name."""
        found = [
            entry for entry in self._since(since_version)
            if fnmatchcase(entry.target, target) and fnmatchcase(entry.name, name)
        ]  # fmt: skip
        return sorted(found)

    def delta(self, since: int = 0) -> Delta:
        """What changed after version `since`; the whole table when that is too long ago, or not of here."""
        whole = since < self._floor or since > self.version or since <= 0
        if whole:
            return Delta(0, self.version, list(self._entries.values()), [], True)
        gone = [target for target, version in self._gone.items() if version > since]
        return Delta(since, self.version, self._since(since), gone)

    def _since(self, version: int) -> list[Entry]:
        """Entries set after a version, in order of version; as many steps as there are such entries."""
        found = []
        for entry in reversed(self._entries.values()):
            if entry.version <= version:
                break
            found.append(entry)
        return found[::-1]

    def apply(self, delta: Delta) -> bool:
        """Takes over another table's changes; False, changing nothing, when some before them are missing."""
        if not delta.whole and delta.since > self.version:
            return False
        if delta.version < self.version:
            return True  # a repetition of what is known
        if delta.whole:
            self._entries.clear()
            self._gone.clear()
            self._floor = delta.version
        for target in delta.gone:
            for key in [key for key in self._entries if key[0] == target]:
                del self._entries[key]
        self._put(delta.entries)
        self.version = delta.version
        return True

    def _put(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            key = (entry.target, entry.name)
            self._entries.pop(key, None)
            self._entries[key] = entry
