"""Running sums of predictions beside observations: the fidelity measures without keeping what they are of.

Every figure but those of `Digest` is exact: the same as the function of `compare` gives for all values at
once, to rounding. Nothing here knows of links, records or time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from testbed.twin import compare
from testbed.twin import running_kernels as kernels
from testbed.twin.digest import Digest, Gathered, gather
from testbed.twin.running_kernels import LAGS, Vector

__all__ = [
    "BASELINES", "LAGS", "Autocorrelation", "Compared", "Losses", "Moments", "Packets", "Sums", "crps_of",
    "rehearse",
]  # fmt: skip

#: trivial predictions that a window's is held against, in the order in which `Compared` has them
BASELINES: Final = ("constant", "propagation", "persistence")


class Compared(NamedTuple):
    """A window: mean, median and 90 % band that were predicted, and what was observed then.

    Then what trivial predictions said (see `BASELINES`), and the CRPS of a climatology; nan where there is
    none.
    """

    mean: float
    median: float
    low: float
    high: float
    observed: float
    constant: float = math.nan
    propagation: float = math.nan
    persistence: float = math.nan
    crps_climatology: float = math.nan

    def crps(self) -> float:
        """As `compare.crps_banded` has it."""
        return float(kernels.crps_banded(self.median, self.low, self.high, self.observed))


class Packets(NamedTuple):
    """A window's single values beside those predicted as equally likely.

    `crps`: its mean over the values; `inside`: how many were in their 90 % band.
    """

    observed: Gathered
    modelled: Gathered
    #: how many there are of each, finite or not
    number: int
    points: int
    crps: float
    inside: int

    @classmethod
    def of(cls, samples: Sequence[float], model: Sequence[float], crps: float, inside: int) -> Packets:
        """From the values as they are."""
        return cls(gather(samples), gather(model), len(samples), len(model), crps, inside)


def crps_of(observed: Sequence[float], samples: Sequence[float]) -> float:
    """Mean CRPS of a forecast, given as equally likely values: as `compare.crps_samples` has it."""
    return float(kernels.crps_samples(np.array(observed), np.sort(np.array(samples))))


class Moments:
    """Means, variances and the covariance of pairs. `block`: numbers of which it is a view; or its own."""

    def __init__(self, block: Vector | None = None) -> None:
        self._block = np.zeros(kernels.MOMENTS) if block is None else block

    def add(self, x: float, y: float) -> None:
        """One pair."""
        kernels.add_pair(self._block, x, y)

    @property
    def n(self) -> int:
        """Number of pairs."""
        return int(self._block[kernels.N])

    @property
    def x(self) -> float:
        """Mean of the first of each."""
        return self._block.item(kernels.X)

    @property
    def y(self) -> float:
        """Mean of the second of each."""
        return self._block.item(kernels.Y)

    @property
    def correlation(self) -> float:
        """Centred correlation; nan when either side does not vary."""
        _, _, _, xx, xy, yy = self._block.tolist()
        scale = math.sqrt(xx * yy)
        return float(xy / scale) if scale > 0.0 else math.nan

    @property
    def nrmse(self) -> float:
        """Root of the mean of (x - y)^2 over the mean of y; nan where that is nothing."""
        n, x, y, xx, xy, yy = self._block.tolist()
        if not n or y == 0.0:
            return math.nan
        spread = max(xx - 2.0 * xy + yy, 0.0)
        return float(math.sqrt(spread / n + (x - y) ** 2) / y)


class Autocorrelation:
    """Autocorrelations of a sequence at `LAGS`, as `compare.autocorrelation` defines them.

    `block`: numbers of which it is a view; or its own.
    """

    def __init__(self, block: Vector | None = None) -> None:
        self._block = np.zeros(kernels.SEQUENCE_LENGTH) if block is None else block

    def add(self, value: float) -> None:
        """The next value."""
        kernels.follow(self._block, value)

    def values(self) -> list[float]:
        """The autocorrelation at each of `LAGS`; nan where it is not defined."""
        found = np.empty(len(LAGS))
        kernels.autocorrelations(self._block, found)
        return found.tolist()


class Losses:
    """Losses counted window by window, and what their unevenness tells of a Gilbert process.

    Single fates are not reported, counts are. With losses of probability p whose indicator has the
    autocorrelation g^k at lag k, the number lost of N has the variance N p (1 - p) (1 + g) / (1 - g) for N
    much longer than a burst; g = p11 - p01. What makes the rate itself change between windows
    reads as bursts too.
    """

    __slots__ = ("_excess", "_expected", "lost", "sent")

    def __init__(self) -> None:
        self.lost = self.sent = 0.0
        self._excess = self._expected = 0.0

    def add(self, lost: float, sent: float) -> None:
        """A window: how many of `sent` were lost."""
        if sent <= 0.0:
            return
        p = (self.lost + 0.5) / (self.sent + 1.0)  # as counted before this window: they are independent
        if self.sent > 0.0:
            self._excess += (lost - sent * p) ** 2
            self._expected += sent * p * (1.0 - p) * (1.0 + sent / (self.sent + 1.0))
        self.lost += lost
        self.sent += sent

    def figures(self) -> dict[str, float]:
        """Loss rate, p01, p11 and mean burst length; nan where too little was lost to say."""
        rate = self.lost / self.sent if self.sent else math.nan
        found = {"loss_rate": rate, "p01": math.nan, "p11": math.nan, "mean_burst": math.nan}
        if self.lost < 10 or self.lost >= self.sent or self._expected <= 0.0:
            return found
        ratio = max(self._excess / self._expected, 1.0)
        g = (ratio - 1.0) / (ratio + 1.0)
        p01 = rate * (1.0 - g)
        p11 = p01 + g
        return {**found, "p01": p01, "p11": p11, "mean_burst": 1.0 / (1.0 - p11)}


class Sums:
    """One quantity of one target: everything that is summed up of its windows."""

    __slots__ = ("_sequences", "_sums", "modelled", "observed", "packets")

    def __init__(self, in_sequence: bool = True) -> None:
        """`in_sequence`: windows follow one another, so that autocorrelations mean something."""
        self._sums = np.zeros(kernels.SUMS_LENGTH)
        #: of what was predicted, and of what was observed
        self._sequences = np.zeros(2 * kernels.SEQUENCE_LENGTH) if in_sequence else None
        #: single packets: what was predicted and observed, [CRPS, inside the band, number]
        self.modelled, self.observed = Digest(), Digest()
        self.packets = [0.0, 0.0, 0.0]

    @property
    def moments(self) -> Moments:
        """Of means that were predicted, and of what was observed."""
        return Moments(self._sums[: kernels.MOMENTS])

    def __len__(self) -> int:
        return int(self._sums[kernels.N])

    def add(self, window: Compared) -> None:
        """A window."""
        kernels.add(self._sums, *window)
        self.follow(window)

    def follow(self, window: Compared) -> None:
        """Of a window only where it stands in the sequence: its sums come by `merge`."""
        if self._sequences is not None:
            kernels.follow_both(self._sequences, window.mean, window.observed)

    def merge(self, other: Sums) -> None:
        """The sums of another's windows, but neither their sequence nor their single values."""
        kernels.merge(self._sums, other._sums)

    def add_packets(self, packets: Packets) -> None:
        """A window's single values."""
        self.observed.take(packets.observed)
        self.modelled.take(packets.modelled, packets.number / packets.points)
        self.packets[0] += packets.crps * packets.number
        self.packets[1] += packets.inside
        self.packets[2] += packets.number

    def figures(self) -> dict[str, float]:
        """The measures so far, nan where one is not defined; units are those of the values."""
        moments, sums = self.moments, self._sums.tolist()
        n = moments.n
        if not n:
            return {"n": 0}
        found: dict[str, float] = {
            "n": n,
            "observed_mean": moments.y,
            "bias": moments.x - moments.y,
            "mae": sums[kernels.ABSOLUTE] / n,
            "nrmse": moments.nrmse,
            "r": moments.correlation,
            "crps": sums[kernels.CRPS] / n,
            "picp90": sums[kernels.INSIDE] / n,
            "interval_score": sums[kernels.SCORE] / n,
            "crps_skill_climatology": compare.skill(*sums[kernels.CLIMATOLOGY : kernels.CLIMATOLOGY + 2]),
            "acf_error": self._acf_error(),
        }
        for k, name in enumerate(BASELINES):
            own, other = sums[kernels.BASELINES + 2 * k :][:2]
            if other > 0.0:
                found[f"skill_{name}"] = compare.skill(own, other)
        if self.packets[2]:
            (x, wx), (y, wy) = self.modelled.points(), self.observed.points()
            found |= {
                "packets": self.packets[2],
                "ks": compare.ks(x, y, wx, wy),
                "w1": compare.w1(x, y, wx, wy),
                "packet_crps": self.packets[0] / self.packets[2],
                "packet_picp90": self.packets[1] / self.packets[2],
            }
            for level in (0.5, 0.95, 0.99):
                off = self.modelled.quantile(level) - self.observed.quantile(level)
                found[f"p{100 * level:.0f}_error"] = off
        return found

    def _acf_error(self) -> float:
        if self._sequences is None:
            return math.nan
        model, seen = np.split(self._sequences, 2)
        pairs = zip(Autocorrelation(model).values(), Autocorrelation(seen).values(), strict=True)
        known = [abs(a - b) for a, b in pairs if math.isfinite(a - b)]
        return sum(known) / len(known) if known else math.nan


def rehearse() -> None:
    """Has everything compiled, or read from the cache, that windows are summed up with."""
    sums = Sums()
    sums.add(Compared(0.0, 0.0, 0.0, 1.0, 0.0))
    sums.merge(sums)
    sums.figures()
    crps_of([0.0], [0.0])
