"""What became of the flows of a simulation: counts by cause, delays, throughput, age of information.

Everything is arrays over flows, in the order of `names`; `Results[name]`, `Results.matching` and
`Results.together` give one flow, or several as one. Quantiles come from histograms with sixteen buckets an
octave, read in between by a straight line: within some percent of the true ones, and exact at both ends.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.accounting import DELIVERED, DROPS, FATE_NAMES
from emulator.traffic.errors import TrafficError
from emulator.traffic.layout import BUCKETS, OCTAVE, SAMPLES, UNSAMPLED, WINDOW_NS, Traffic
from emulator.traffic.servers import ServerResult

Floats = NDArray[np.float64]
_DROPS: Final = list(DROPS)


def bucket_edges_ns() -> Floats:
    """Edges of the buckets of delay, ns [BUCKETS + 1]; bucket i holds edges[i] <= delay < edges[i + 1]."""
    index = np.arange(BUCKETS + 1)
    octave = index // OCTAVE + 3
    return np.where(index < OCTAVE, index, (OCTAVE + index % OCTAVE) * 2.0 ** (octave - 4)).astype(np.float64)


@dataclass(frozen=True)
class FlowResult:
    """What became of one flow, or of several taken together.

    Packets: `sent`, `copied` (made on the way), `delivered` and `dropped` (by cause); bytes `sent_bytes`,
    `delivered_bytes`. Delays are in s, from when the first flow of a chain sent.
    """

    name: str
    duration_s: float
    sent: int
    sent_bytes: int
    copied: int
    delivered: int
    delivered_bytes: int
    dropped: dict[str, int]
    delay_sum_s: float
    delay_squares_s2: float
    delay_min_s: float
    delay_max_s: float
    histogram: NDArray[np.int64]  # [BUCKETS]
    #: mean age of information from the first delivery on, s; of several flows their mean
    age_mean_s: float
    age_max_s: float

    @property
    def lost(self) -> int:
        """Packets dropped, whatever the cause."""
        return sum(self.dropped.values())

    @property
    def in_flight(self) -> int:
        """Packets that had neither arrived nor been dropped at the end."""
        return self.sent + self.copied - self.delivered - self.lost

    @property
    def loss_rate(self) -> float:
        """Share of the packets whose fate is known that were dropped; not a number without any."""
        ended = self.delivered + self.lost
        return self.lost / ended if ended else float("nan")

    @property
    def throughput_bps(self) -> float:
        """Bits delivered per second of the simulation."""
        return 8.0 * self.delivered_bytes / self.duration_s if self.duration_s > 0 else float("nan")

    @property
    def offered_bps(self) -> float:
        """Bits sent per second of the simulation."""
        return 8.0 * self.sent_bytes / self.duration_s if self.duration_s > 0 else float("nan")

    @property
    def delay_mean_s(self) -> float:
        """Mean delay; not a number when nothing arrived."""
        return self.delay_sum_s / self.delivered if self.delivered else float("nan")

    @property
    def delay_std_s(self) -> float:
        """Standard deviation of the delay; not a number when nothing arrived."""
        if not self.delivered:
            return float("nan")
        variance = self.delay_squares_s2 / self.delivered - self.delay_mean_s**2
        return float(np.sqrt(max(0.0, variance)))

    def delay_quantile_s(self, share: ArrayLike) -> Any:
        """The delay that a share (0 to 1) of the delivered packets does not exceed, s; array as `share`."""
        wanted = np.asarray(share, dtype=np.float64)
        if np.any((wanted < 0.0) | (wanted > 1.0)):
            raise TrafficError(f"quantile of the share {share!r}, allowed: 0 to 1")
        if not self.delivered:
            return np.full(wanted.shape, np.nan)[()]
        used = np.flatnonzero(self.histogram)
        edges = bucket_edges_ns() * 1e-9
        low = np.maximum(edges[used], self.delay_min_s)
        high = np.minimum(edges[used + 1], self.delay_max_s)
        running = np.concatenate(([0], np.cumsum(self.histogram[used]))) / self.histogram.sum()
        at = np.clip(np.searchsorted(running, wanted, side="left") - 1, 0, len(used) - 1)
        part = (wanted - running[at]) / (running[at + 1] - running[at])
        return (low[at] + part * np.maximum(0.0, high[at] - low[at]))[()]


class Results:
    """What became of every flow; arrays [flows] in the order of `names`. Times in s where not said."""

    def __init__(
        self,
        names: Sequence[str],
        duration_s: float,
        traffic: Traffic,
        servers: Mapping[str, ServerResult] | None = None,
    ) -> None:
        self.names = tuple(names)
        #: what became of the tasks of each server, by name
        self.servers: dict[str, ServerResult] = dict(servers or {})
        #: of the simulation, s
        self.duration_s = duration_s
        count = len(self.names)
        self._tally = np.asarray(traffic.tally)[:count].copy()
        #: [flows, fates] how packets ended, by emulator.accounting
        self.fates: NDArray[np.int64] = traffic.fates[:count].copy()
        #: [flows, BUCKETS] delays, see `bucket_edges_ns`
        self.histograms: NDArray[np.int64] = traffic.delays[:count].astype(np.int64)
        self.window_s = float(traffic.state[WINDOW_NS]) * 1e-9
        #: [flows, windows] emulator.traffic.layout.WINDOW, by when packets were sent; None: none asked for
        self.windows = np.asarray(traffic.windows)[:count].copy() if self.window_s else None
        #: emulator.traffic.layout.SAMPLE: the first packets to end, as many as were asked for
        self.samples = np.asarray(traffic.samples)[: int(traffic.state[SAMPLES])].copy()
        #: packets that found no room there
        self.unsampled = int(traffic.state[UNSAMPLED]) if len(traffic.samples) > 1 else 0

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> FlowResult:
        return self._result(name, [self.index(name)])

    def index(self, name: str) -> int:
        """Place of a flow in all arrays; TrafficError for an unknown one."""
        found = self._places.get(name)
        if found is None:
            shown = ", ".join(self.names[:8]) + (", ..." if len(self.names) > 8 else "")
            raise TrafficError(f"results of flow {name!r}, allowed: {shown}")
        return found

    def together(self, names: Iterable[str] | None = None, name: str = "all") -> FlowResult:
        """Several flows as one, all of them by default."""
        return self._result(name, list(range(len(self))) if names is None else [self.index(n) for n in names])

    def matching(self, pattern: str) -> FlowResult:
        """All flows whose name is like `pattern` (* stands for anything), as one."""
        return self.together(fnmatch.filter(self.names, pattern), pattern)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @property
    def sent(self) -> NDArray[np.int64]:
        """Packets sent [flows]."""
        return np.asarray(self._tally["sent"])

    @property
    def copied(self) -> NDArray[np.int64]:
        """Duplicates made on the way [flows]."""
        return np.asarray(self._tally["copied"])

    @property
    def delivered(self) -> NDArray[np.int64]:
        """Packets delivered, duplicates too [flows]."""
        return np.asarray(self._tally["delivered"])

    @property
    def lost(self) -> NDArray[np.int64]:
        """Packets dropped [flows]."""
        return np.asarray(self.fates[:, _DROPS].sum(axis=1))

    @property
    def in_flight(self) -> NDArray[np.int64]:
        """Packets that had not ended [flows]."""
        return np.asarray(self.sent + self.copied - self.delivered - self.lost)

    @property
    def delay_mean_s(self) -> Floats:
        """Mean delay [flows]; not a number where nothing arrived."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self._tally["delay_sum_ns"] * 1e-9 / self.delivered)

    @property
    def throughput_bps(self) -> Floats:
        """Bits delivered per second of the simulation [flows]."""
        return np.asarray(8.0 * self._tally["delivered_bytes"] / self.duration_s)

    def _result(self, name: str, rows: list[int]) -> FlowResult:
        if not rows:
            raise TrafficError(f"results of flows {name!r}, allowed: at least one flow")
        part = self._tally[rows]
        fates = self.fates[rows].sum(axis=0)
        delivered = int(fates[DELIVERED])
        since_s = np.where(part["first_ns"] < 0, 0.0, (part["aged_ns"] - part["first_ns"]) * 1e-9)
        with np.errstate(invalid="ignore", divide="ignore"):
            ages_s = np.where(since_s > 0.0, part["age_squares"] * 0.5e-18 / since_s, np.nan)
        known = ages_s[np.isfinite(ages_s)]
        return FlowResult(
            name=name,
            duration_s=self.duration_s,
            sent=int(part["sent"].sum()),
            sent_bytes=int(part["sent_bytes"].sum()),
            copied=int(part["copied"].sum()),
            delivered=delivered,
            delivered_bytes=int(part["delivered_bytes"].sum()),
            dropped={FATE_NAMES[fate]: int(fates[fate]) for fate in DROPS if fates[fate]},
            delay_sum_s=float(part["delay_sum_ns"].sum()) * 1e-9,
            delay_squares_s2=float(part["delay_squares"].sum()) * 1e-18,
            delay_min_s=float(part["delay_min_ns"].min()) * 1e-9 if delivered else float("nan"),
            delay_max_s=float(part["delay_max_ns"].max()) * 1e-9 if delivered else float("nan"),
            histogram=self.histograms[rows].sum(axis=0),
            age_mean_s=float(known.mean()) if len(known) else float("nan"),
            age_max_s=float(part["age_max_ns"].max()) * 1e-9 if len(known) else float("nan"),
        )
