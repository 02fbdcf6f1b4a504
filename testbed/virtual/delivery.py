"""How telemetry reaches the twin: most of it at once, some of it never, late, twice or out of order.

A record's fate follows from the seed and its place in the run. What a scenario's own deviations withhold is
in `plant.deviations`; here are the troubles of any network of reports.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from nodes.wire import Record

_DRAWS: Final = 41  # tells these draws from others of the same seed


@dataclass(frozen=True)
class Troubles:
    """Shares of the records, 0 to 1, each drawn by itself; `late_windows`: by how many a late one is."""

    lost: float = 0.0
    late: float = 0.0
    late_windows: int = 2
    duplicated: float = 0.0
    #: whether the records of a window arrive in any order
    shuffled: bool = False
    #: the first window with such troubles, and the first one without them again; None: to the end
    from_window: int = 0
    until_window: int | None = None

    def at(self, window: int) -> bool:
        """Whether a window's records meet with these troubles."""
        return window >= self.from_window and (self.until_window is None or window < self.until_window)


class Delivery:
    """Passes records on, window by window; `seed` decides which of them meet with what."""

    def __init__(self, troubles: Troubles, seed: int) -> None:
        self._troubles = troubles
        self._seed = seed
        self._late: dict[int, list[Record]] = {}
        self.counts = {"sent": 0, "lost": 0, "late": 0, "duplicated": 0}

    def deliver(self, window: int, records: Iterable[Record]) -> list[Record]:
        """What arrives of a window's records, and of those of earlier windows that are late."""
        records = list(records)
        self.counts["sent"] += len(records)
        troubles = self._troubles
        if troubles == Troubles():
            return records
        if not troubles.at(window):
            return [*self._late.pop(window, []), *records]
        random = np.random.default_rng([self._seed, window, _DRAWS])
        draws = random.random((3, len(records)))
        arrived = self._late.pop(window, [])
        for record, lost, late, twice in zip(records, *draws.tolist(), strict=True):
            if lost < troubles.lost:
                self.counts["lost"] += 1
                continue
            target = arrived
            if late < troubles.late:
                self.counts["late"] += 1
                target = self._late.setdefault(window + troubles.late_windows, [])
            target.append(record)
            if twice < troubles.duplicated:
                self.counts["duplicated"] += 1
                target.append(record)
        if troubles.shuffled:
            arrived = [arrived[k] for k in random.permutation(len(arrived))]
        return arrived
