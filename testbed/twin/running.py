"""Running sums of predictions beside observations: the fidelity measures without keeping what they are of.

Every figure but those of `Digest` is exact: the same as the function of `compare` gives for all values at
once, to rounding. Nothing here knows of links, records or time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from testbed.twin import compare
from testbed.twin.digest import Digest, Gathered, gather
from testbed.twin.filters import Z90

#: lags at which autocorrelations are compared, in windows
LAGS: Final = (1, 2, 4, 8, 16, 32)
_NUMBERED: Final = tuple(enumerate(LAGS))


class Compared(NamedTuple):
    """A window: mean, median and 90 % band that were predicted, and what was observed then."""

    mean: float
    median: float
    low: float
    high: float
    observed: float

    def crps(self) -> float:
        """As `compare.crps_banded` has it."""
        error = self.observed - self.median
        above, below = (self.high - self.median) / Z90, (self.median - self.low) / Z90
        near, far = (above, below) if error >= 0.0 else (below, above)
        return compare.crps_one_side(abs(error), max(near, 0.0), max(far, 0.0))

    def interval_score(self) -> float:
        """As `compare.interval_score` has it."""
        miss = max(self.low - self.observed, self.observed - self.high, 0.0)
        return self.high - self.low + 20.0 * miss

    def scored(self, baselines: Mapping[str, float], crps_climatology: float | None = None) -> Scored:
        """Everything that is summed up of a window; `baselines`: what trivial predictions said, by name."""
        observed = self.observed
        return Scored(
            self.mean, observed, abs(self.median - observed), self.crps(),
            self.low <= observed <= self.high, self.interval_score(),
            [(name, abs(value - observed)) for name, value in baselines.items() if math.isfinite(value)],
            crps_climatology,
        )  # fmt: skip


class Scored(NamedTuple):
    """A window's prediction and observation, and how far they are apart."""

    mean: float
    observed: float
    error: float
    crps: float
    inside: bool
    score: float
    #: absolute error of each baseline that has one
    baselines: list[tuple[str, float]]
    crps_climatology: float | None


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


class Moments:
    """Means, variances and the covariance of pairs (Welford's recurrence)."""

    __slots__ = ("_xx", "_xy", "_yy", "n", "x", "y")

    def __init__(self) -> None:
        self.n = 0
        self.x = self.y = 0.0
        self._xx = self._xy = self._yy = 0.0

    def add(self, x: float, y: float) -> None:
        """One pair."""
        self.n += 1
        dx, dy = x - self.x, y - self.y
        self.x += dx / self.n
        self.y += dy / self.n
        self._xx += dx * (x - self.x)
        self._xy += dx * (y - self.y)
        self._yy += dy * (y - self.y)

    def merge(self, other: Moments) -> None:
        """All pairs of another (Chan, Golub and LeVeque 1983, eq. 2.1)."""
        if not other.n:
            return
        n = self.n + other.n
        dx, dy, weight = other.x - self.x, other.y - self.y, self.n * other.n / n
        self.x += dx * other.n / n
        self.y += dy * other.n / n
        self._xx += other._xx + dx * dx * weight
        self._xy += other._xy + dx * dy * weight
        self._yy += other._yy + dy * dy * weight
        self.n = n

    @property
    def correlation(self) -> float:
        """Centred correlation; nan when either side does not vary."""
        scale = math.sqrt(self._xx * self._yy)
        return self._xy / scale if scale > 0.0 else math.nan

    @property
    def nrmse(self) -> float:
        """Root of the mean of (x - y)^2 over the mean of y; nan where that is nothing."""
        if not self.n or self.y == 0.0:
            return math.nan
        spread = max(self._xx - 2.0 * self._xy + self._yy, 0.0)
        return math.sqrt(spread / self.n + (self.x - self.y) ** 2) / self.y


class Autocorrelation:
    """Autocorrelations of a sequence at `LAGS`, as `compare.autocorrelation` defines them."""

    __slots__ = ("_cross", "_first", "_last", "_origin", "_square", "_sum", "n")

    def __init__(self) -> None:
        self.n = 0
        self._origin = math.nan  # values are counted from the first: no digits are lost to a large mean
        self._sum = self._square = 0.0
        self._cross = [0.0] * len(LAGS)
        self._first: list[float] = []
        self._last: deque[float] = deque(maxlen=LAGS[-1])

    def add(self, value: float) -> None:
        """The next value."""
        if not self.n:
            self._origin = value
        x = value - self._origin
        self.n += 1
        self._sum += x
        self._square += x * x
        last, cross = self._last, self._cross
        known = len(last)
        for k, lag in _NUMBERED:
            if lag > known:
                break
            cross[k] += x * last[-lag]
        if known < LAGS[-1]:
            self._first.append(x)
        last.append(x)

    def values(self) -> list[float]:
        """The autocorrelation at each of `LAGS`; nan where it is not defined."""
        if not self.n:
            return [math.nan] * len(LAGS)
        mean = self._sum / self.n
        power = self._square - self.n * mean * mean
        if power <= 1e-12 * self._square:
            return [math.nan] * len(LAGS)
        last, found = list(self._last), []
        for k, lag in enumerate(LAGS):
            if lag >= self.n:
                found.append(math.nan)
                continue
            early, late = self._sum - sum(last[-lag:]), self._sum - sum(self._first[:lag])
            found.append((self._cross[k] - mean * (early + late) + (self.n - lag) * mean * mean) / power)
        return found


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

    __slots__ = (
        "_absolute", "_baselines", "_climatology", "_crps", "_inside", "_model", "_score", "_seen",
        "modelled", "moments", "observed", "packets",
    )  # fmt: skip

    def __init__(self, in_sequence: bool = True) -> None:
        """`in_sequence`: windows follow one another, so that autocorrelations mean something."""
        self.moments = Moments()
        self._absolute = self._crps = self._inside = self._score = 0.0
        #: by baseline: summed errors of the prediction and of the baseline, over windows that have both
        self._baselines: dict[str, list[float]] = {}
        self._climatology = [0.0, 0.0]
        self._model = Autocorrelation() if in_sequence else None
        self._seen = Autocorrelation() if in_sequence else None
        #: single packets: what was predicted and observed, [CRPS, inside the band, number]
        self.modelled, self.observed = Digest(), Digest()
        self.packets = [0.0, 0.0, 0.0]

    def add(self, window: Scored) -> None:
        """A window."""
        error, crps = window.error, window.crps
        self.moments.add(window.mean, window.observed)
        self._absolute += error
        self._crps += crps
        self._inside += window.inside
        self._score += window.score
        for name, other in window.baselines:
            sums = self._baselines.get(name)
            if sums is None:
                sums = self._baselines[name] = [0.0, 0.0]
            sums[0] += error
            sums[1] += other
        if window.crps_climatology is not None:
            self._climatology[0] += crps
            self._climatology[1] += window.crps_climatology
        self.follow(window)

    def follow(self, window: Scored) -> None:
        """Of a window only where it stands in the sequence: its sums come by `merge`."""
        if self._model is not None and self._seen is not None:
            self._model.add(window.mean)
            self._seen.add(window.observed)

    def merge(self, other: Sums) -> None:
        """The sums of another's windows, but neither their sequence nor their single values."""
        self.moments.merge(other.moments)
        self._absolute += other._absolute
        self._crps += other._crps
        self._inside += other._inside
        self._score += other._score
        for name, (error, baseline) in other._baselines.items():
            sums = self._baselines.setdefault(name, [0.0, 0.0])
            sums[0] += error
            sums[1] += baseline
        self._climatology[0] += other._climatology[0]
        self._climatology[1] += other._climatology[1]

    def add_packets(self, packets: Packets) -> None:
        """A window's single values."""
        self.observed.take(packets.observed)
        self.modelled.take(packets.modelled, packets.number / packets.points)
        self.packets[0] += packets.crps * packets.number
        self.packets[1] += packets.inside
        self.packets[2] += packets.number

    def figures(self) -> dict[str, float]:
        """The measures so far, nan where one is not defined; units are those of the values."""
        n = self.moments.n
        if not n:
            return {"n": 0}
        found: dict[str, float] = {
            "n": n,
            "observed_mean": self.moments.y,
            "bias": self.moments.x - self.moments.y,
            "mae": self._absolute / n,
            "nrmse": self.moments.nrmse,
            "r": self.moments.correlation,
            "crps": self._crps / n,
            "picp90": self._inside / n,
            "interval_score": self._score / n,
            "crps_skill_climatology": compare.skill(*self._climatology),
            "acf_error": self._acf_error(),
        }
        for name, (own, other) in sorted(self._baselines.items()):
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
        if self._model is None or self._seen is None:
            return math.nan
        differences = [abs(a - b) for a, b in zip(self._model.values(), self._seen.values(), strict=True)]
        known = [value for value in differences if math.isfinite(value)]
        return sum(known) / len(known) if known else math.nan
