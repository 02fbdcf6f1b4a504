"""Losses of a link: how clustered they are, when they become more, and by how much.

Windows are counted, not packets followed, so bursts show as counts that scatter more than independent
losses would: the index of dispersion. Everything said of losses (alarms, intervals) takes it into account.
What a fade explains is not shown to this watch (see `watching`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from testbed.twin.attribution import Z95, Size
from testbed.twin.detect import Alarm

#: smallest additional loss watched for, and the larger ones beside it
SMALLEST_LOSS = 0.005
_ADDED = (SMALLEST_LOSS, 0.01, 0.02, 0.05, 0.1, 0.25)
_KEPT = tuple(math.log(1.0 - added) for added in _ADDED)
#: no loss is believed to be less likely than this
_LEAST_LOSS = 0.002
#: windows that independent losses are worth beforehand, and those remembered
_PRIOR_WINDOWS, _MEMORY = 30.0, 600.0
#: share of the evidence for an alarm that a single window may give: a burst is not enough
_ONE_WINDOW = 0.4


class Gilbert(NamedTuple):
    """Two-state loss process: probability of a loss after a packet that came, and after one that did not."""

    p01: float
    p11: float


def dispersion_of(p01: float, p11: float, packets: float) -> float:
    """Variance of the losses among `packets` over that of independent ones (Gilbert 1960; a Markov chain)."""
    rho = p11 - p01
    if rho == 0.0 or packets <= 1.0:
        return 1.0
    border: float = 2.0 * rho * (1.0 - rho**packets) / (packets * (1.0 - rho) ** 2)
    return (1.0 + rho) / (1.0 - rho) - border


class Dispersion:
    """Index of dispersion of windowed losses, learned against an expected share."""

    def __init__(self, value: float = 1.0, weight: float = _PRIOR_WINDOWS) -> None:
        self._weight = weight
        self._sum = weight * value
        self._packets = 0.0
        self.windows = 0.0

    def add(self, lost: float, sent: float, share: float) -> None:
        """Losses of one window of `sent` packets, of which `share` were expected to be lost."""
        variance = sent * share * (1.0 - share)
        if variance <= 0.0:
            return
        keep = 1.0 - 1.0 / _MEMORY
        # windows with hardly any expected loss say hardly anything about their scatter
        weight = min(variance / 0.5, 1.0)
        self._weight = keep * self._weight + weight
        self._sum = keep * self._sum + weight * (lost - sent * share) ** 2 / variance
        self._packets += (sent - self._packets) / min(self.windows + 1.0, _MEMORY)
        self.windows += 1.0

    @property
    def value(self) -> float:
        """At least 1: fewer losses than independent ones would scatter are luck."""
        return max(self._sum / self._weight, 1.0)

    def process(self, share: float) -> Gilbert:
        """The loss process behind it; independent losses where it cannot be told from them."""
        doubt = math.sqrt(2.0 / self._weight)
        if share <= 0.0 or self.value < 1.0 + 3.0 * doubt:
            return Gilbert(share, share)
        low, high = 0.0, 0.99
        for _ in range(30):
            rho = 0.5 * (low + high)
            p01 = share * (1.0 - rho)
            less = dispersion_of(p01, p01 + rho, max(self._packets, 2.0)) < self.value
            low, high = (rho, high) if less else (low, rho)
        return Gilbert(share * (1.0 - low), share + low * (1.0 - share))


def wilson(share: float, trials: float) -> tuple[float, float]:
    """95 % interval of a probability from the share of `trials` (Wilson 1927)."""
    square = Z95 * Z95 / max(trials, 1e-9)
    centre = (share + 0.5 * square) / (1.0 + square)
    half = math.sqrt(max(square * (share * (1.0 - share) + 0.25 * square), 0.0)) / (1.0 + square)
    return max(centre - half, 0.0), min(centre + half, 1.0)


class LossWatch:
    """Likelihood ratios of additional losses, independent of the usual ones, summed while they speak for it.

    `log_odds`: of a false alarm per window, all sizes together.
    """

    def __init__(self, log_odds: float) -> None:
        self._limit = log_odds + math.log(len(_ADDED))
        self._sums = [0.0] * len(_ADDED)
        #: since each sum left zero: run time, packets lost, packets sent
        self._since = [(0.0, 0.0, 0.0)] * len(_ADDED)
        self._calm = True
        self.dispersion = Dispersion()
        self._usual_lost = self._usual_sent = 0.0
        self._after = Dispersion()
        self.lost = self.sent = 0.0
        self._usual = 0.0
        self.changed = False
        self._back = 0.0
        self.ended_s = 0.0

    def inherit(self, other: LossWatch) -> None:
        """Losses come as clustered as on a link of the same design, until more is known."""
        self.dispersion = Dispersion(other.dispersion.value)

    def observe(self, lost: float, sent: float, predicted: float, begins_s: float) -> Alarm | None:
        """Packets lost of those sent in a window whose predicted loss is `predicted`."""
        if self.changed:
            self._follow(lost, sent, begins_s)
            return None
        p0 = min(max(predicted, _LEAST_LOSS), 0.9)
        if lost == 0.0 and self._calm:
            self._learn(lost, sent, p0)
            return None
        scatter = self.dispersion.value
        alarm = None
        self._calm = True
        for index, added in enumerate(_ADDED):
            gain = (sent - lost) * _KEPT[index]
            if lost > 0.0:
                gain += lost * math.log((p0 + added * (1.0 - p0)) / p0)
            total = self._sums[index]
            grown = total + min(gain / scatter, _ONE_WINDOW * self._limit)
            if grown <= 0.0:
                self._sums[index] = 0.0
                continue
            since, lost_since, sent_since = self._since[index] if total > 0.0 else (begins_s, 0.0, 0.0)
            self._since[index] = (since, lost_since + lost, sent_since + sent)
            self._sums[index] = grown
            self._calm = False
            if grown >= self._limit and (alarm is None or grown > alarm.statistic):
                alarm = Alarm(1, since, grown, self._limit)
                _, self.lost, self.sent = self._since[index]
        if alarm is None and max(self._sums) < 0.3 * self._limit:
            self._learn(lost, sent, p0)
        return alarm

    def _learn(self, lost: float, sent: float, p0: float) -> None:
        self.dispersion.add(lost, sent, p0)
        keep = 1.0 - 1.0 / _MEMORY
        self._usual_lost = keep * self._usual_lost + lost
        self._usual_sent = keep * self._usual_sent + sent

    def _follow(self, lost: float, sent: float, begins_s: float) -> None:
        """A window after the alarm: more is known of the size, or it is over."""
        now = min(max(self.lost / max(self.sent, 1.0), 1.5 * self._usual), 0.95)
        usual = self._usual
        ratio = lost * math.log(now / usual) + (sent - lost) * math.log((1.0 - now) / (1.0 - usual))
        if self._back == 0.0:
            self.ended_s = begins_s
        self._back = max(self._back - ratio / self.dispersion.value, 0.0)
        if self._back < 0.3 * self._limit:
            self._after.add(lost, sent, now)
            self.lost += lost
            self.sent += sent

    @property
    def usual(self) -> float:
        """Share lost while nothing was wrong; what was predicted counts like 200 packets."""
        return (self._usual_lost + 200.0 * self._usual) / (self._usual_sent + 200.0)

    def size(self) -> Size:
        """Additional loss: of the packets that would have come, the share that was lost since the onset.

        Interval: Wilson's of both shares, combined by their distances (Newcombe 1998, method 10); counts
        are worth as many independent ones as their dispersion says.
        """
        before, trials = self.usual, (self._usual_sent + 200.0) / self.dispersion.value
        after, since = self.lost / max(self.sent, 1.0), self.sent / max(self._after.value, 1.0)
        low_before, high_before = wilson(before, trials)
        low_after, high_after = wilson(after, since)
        mean = (after - before) / (1.0 - before)
        below = math.hypot(after - low_after, high_before - before) / (1.0 - before)
        above = math.hypot(high_after - after, before - low_before) / (1.0 - before)
        return Size(mean, 0.5 * (below + above) / Z95, mean - below, mean + above)

    def adopt(self, predicted: float) -> None:
        """The change is known, `predicted` was usual: wait for the old loss."""
        self._usual = min(max(predicted, _LEAST_LOSS), 0.5)
        self._after = Dispersion(self.dispersion.value)
        self.changed, self._back = True, 0.0

    @property
    def counts(self) -> tuple[float, float]:
        """Packets lost and sent while it was as it is now."""
        return (self.lost, self.sent) if self.changed else (self._usual_lost, self._usual_sent)

    @property
    def over(self) -> bool:
        """Whether losses are as they were before."""
        return self.changed and self._back > 0.6 * self._limit

    @property
    def rising(self) -> bool:
        """Whether additional losses are suspected."""
        return not self._calm and max(self._sums) > 0.3 * self._limit

    def clear(self) -> None:
        """Nothing is wrong as far as is known."""
        self._sums = [0.0] * len(_ADDED)
        self._calm = True
        self.lost = self.sent = 0.0
        self.changed = False
