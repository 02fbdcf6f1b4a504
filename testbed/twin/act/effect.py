"""What users see: latency of datagrams and of tasks as observed, and its change with an interval.

From `flow` and `offload` records as the twin receives them. A datagram that was lost counts as in a what-if
(`LOST_MS`); a task counts the time until it was answered or given up. Nothing is predicted here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from nodes.wire import Record
from testbed.twin.observations import numbers
from testbed.twin.whatif.job import DELAY, LOST_MS, TASK, Spread

#: observations are kept for so long, s
_KEPT_S: Final = 900.0
#: length of the blocks whose means are taken for independent, s
_BLOCK_S: Final = 1.0
_DRAWS: Final = 4_000


@dataclass
class Seen:
    """Observed latencies as columns: run time s, index of the node, messages, sum of latency ms."""

    nodes: list[str]
    rows: NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """Mean latency over a stretch of time, its standard error, and from how many messages."""

    mean_ms: float = math.nan
    error_ms: float = math.nan
    messages: int = 0
    blocks: int = 0

    @property
    def known(self) -> bool:
        return self.messages > 0 and math.isfinite(self.mean_ms)

    def spread(self) -> Spread:
        """The mean with its 90 % interval."""
        half = self.error_ms * float(special.stdtrit(max(self.blocks - 1, 1), 0.95))
        return Spread(self.mean_ms, self.mean_ms - half, self.mean_ms + half)


class Latencies:
    """Latencies that were observed, by kind and by the node that sent; kept for `kept_s`."""

    def __init__(self, kept_s: float = _KEPT_S) -> None:
        self._kept_s = kept_s
        #: (run time s, node, messages, sum of latency ms)
        self._seen: dict[str, deque[tuple[float, str, float, float]]] = {DELAY: deque(), TASK: deque()}

    def take(self, records: Iterable[Record], start_ns: int) -> None:
        """Observations of a window; other measurements are passed over."""
        for record in records:
            t_s = (record.t_ns - start_ns) / 1e9
            number = numbers(record)
            if record.measurement == "flow":
                name = record.tags.get("flow", "")
                if name == "data" or name.startswith("publish"):
                    packets, lost = number.get("packets", 0.0), max(number.get("lost", 0.0), 0.0)
                    delay_ms = number.get("delay_mean_ms", math.nan)
                    if packets and not math.isfinite(delay_ms):
                        continue  # of another clock: how long it took is not known
                    if packets or lost:
                        total = (packets * delay_ms if packets else 0.0) + lost * LOST_MS
                        self._add(DELAY, t_s, record.tags.get("source", ""), packets + lost, total)
            elif record.measurement == "offload" and "latency_s" in number:
                self._add(TASK, t_s, record.tags.get("node", ""), 1.0, number["latency_s"] * 1e3)

    def _add(self, kind: str, t_s: float, node: str, messages: float, total_ms: float) -> None:
        seen = self._seen[kind]
        seen.append((t_s, node, messages, total_ms))
        while seen and seen[0][0] < t_s - self._kept_s:
            seen.popleft()

    def kept(self, from_s: float) -> dict[str, Seen]:
        """What was observed after a run time, by kind, as data."""
        found = {}
        for kind, seen in self._seen.items():
            lately = [one for one in seen if one[0] > from_s]
            index = {node: k for k, node in enumerate(dict.fromkeys(one[1] for one in lately))}
            rows = [(t_s, index[node], count, total) for t_s, node, count, total in lately]
            found[kind] = Seen(list(index), np.array(rows, np.float64).reshape(-1, 4))
        return found

    def restore(self, kept: dict[str, Seen]) -> None:
        """Goes on from what was kept."""
        for kind, seen in kept.items():
            rows = ((t, seen.nodes[int(k)], count, total) for t, k, count, total in seen.rows.tolist())
            self._seen[kind] = deque(rows)

    def series(self, kind: str) -> list[tuple[float, float]]:
        """Middle of each second in which something was told, s, and the mean latency then, ms."""
        messages: dict[int, float] = {}
        totals: dict[int, float] = {}
        for t_s, _, count, total in self._seen[kind]:
            block = int(t_s / _BLOCK_S)
            messages[block] = messages.get(block, 0.0) + count
            totals[block] = totals.get(block, 0.0) + total
        return [((b + 0.5) * _BLOCK_S, totals[b] / messages[b]) for b in sorted(messages)]

    def level(self, kind: str, from_s: float, to_s: float, nodes: Sequence[str] = ()) -> Level:
        """Mean latency of what was told between two run times, of some nodes or of all."""
        wanted = frozenset(nodes)
        messages: dict[int, float] = {}
        totals: dict[int, float] = {}
        for t_s, node, count, total in self._seen[kind]:
            if from_s < t_s <= to_s and (not wanted or node in wanted):
                block = int(t_s / _BLOCK_S)
                messages[block] = messages.get(block, 0.0) + count
                totals[block] = totals.get(block, 0.0) + total
        count = sum(messages.values())
        if not count:
            return Level()
        weights = np.array(list(messages.values()))
        means = np.array(list(totals.values())) / weights
        mean = float(np.average(means, weights=weights))
        if len(means) < 2:
            return Level(mean, abs(mean), int(count), 1)
        share = weights / count
        # of a ratio: the blocks hold different numbers of messages (Cochran, Sampling Techniques, 2.11)
        variance = float((share**2 * (means - mean) ** 2).sum()) * len(means) / (len(means) - 1)
        return Level(mean, math.sqrt(variance), int(count), len(means))


def recovered_share(before: Level, during: Level, after: Level) -> Spread | None:
    """(during - after) / (during - before) with its 90 % interval; None where there was nothing to recover.

    1: as before the deviation; 0: as bad as during it. Nothing to recover: latency rose by less than what
    would be taken for chance (two standard errors).
    """
    if not (before.known and during.known and after.known):
        return None
    lost = during.mean_ms - before.mean_ms
    doubt = math.hypot(during.error_ms, before.error_ms)
    if lost <= 2.0 * doubt:
        return None
    rng = np.random.default_rng(1)
    a, b, c = (one.mean_ms + one.error_ms * rng.standard_normal(_DRAWS) for one in (before, during, after))
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = (b - c) / (b - a)
    low, high = np.quantile(shares[np.isfinite(shares)], (0.05, 0.95))
    return Spread((during.mean_ms - after.mean_ms) / lost, float(low), float(high))
