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
#: packets that the published share of losses counts like, and the least share that is expected so
_PRIOR_PACKETS, _LEAST_LOSS = 200.0, 0.002
#: packets that those of a link of the same design count like at most
_INHERITED = 1_000.0
#: windows that independent losses are worth beforehand, and those remembered
_PRIOR_WINDOWS, _MEMORY = 30.0, 600.0
#: share of the evidence for an alarm that a single window may give: a burst is not enough
_ONE_WINDOW = 0.4
#: share of the evidence for an alarm from which on a change is suspected, and windows held back while it is
_RISING, _HELD = 0.3, 240
#: share of it that a change of what has changed takes: it is not told, and the size follows
_INSIDE = 0.5


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


class _Stretch:
    """Windows that speak for another loss, one after another: the sum of their log likelihood ratios."""

    __slots__ = ("begins_s", "first", "lost", "sent", "sum", "usual")

    def __init__(self) -> None:
        self.sum = self.lost = self.sent = self.begins_s = 0.0
        #: packets lost and sent in the window it began with
        self.first = (0.0, 0.0)
        #: usual packets lost and sent when it began
        self.usual = (0.0, 0.0)

    def add(
        self, gain: float, lost: float, sent: float, begins_s: float, usual: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        """A window; the stretch ends where nothing speaks for it any more."""
        if self.sum + gain <= 0.0:
            self.sum = self.lost = self.sent = 0.0
            return
        if self.sum == 0.0:
            self.begins_s, self.first, self.usual = begins_s, (lost, sent), usual
        self.sum += gain
        self.lost += lost
        self.sent += sent

    def counts(self) -> tuple[float, float]:
        """Packets lost and sent behind its first window: that one was chosen for what was lost in it."""
        return self.lost - self.first[0], self.sent - self.first[1]


class LossWatch:
    """Bayes factors of additional losses, independent of the usual ones, summed while they speak for it.

    How large the usual loss is, is itself known only so well: a share that is published, worth
    `_PRIOR_PACKETS`, and the packets counted so far make a beta distribution, whose predictive probability
    of the losses of a stretch is what that of a larger loss is held against.

    `log_odds`: of a false alarm per window, all sizes together.
    """

    def __init__(self, log_odds: float) -> None:
        self._limit = log_odds + math.log(len(_ADDED))
        self._stretches = [_Stretch() for _ in _ADDED]
        self._calm = True
        self.dispersion = Dispersion()
        self._usual_lost = self._usual_sent = 0.0
        #: lost, sent, expected share of windows that are suspected, and not learned from yet
        self._held: list[tuple[float, float, float]] = []
        self._nominal = _LEAST_LOSS
        self._after = Dispersion()
        self.lost = self.sent = 0.0
        self.changed = False
        self._back, self._more, self._less = _Stretch(), _Stretch(), _Stretch()

    def inherit(self, other: LossWatch) -> None:
        """Losses are as many and as clustered as on a link of the same design, until more is known."""
        self.dispersion = Dispersion(other.dispersion.value)
        share = min(_INHERITED / max(other._usual_sent, 1.0), 1.0)
        self._usual_lost, self._usual_sent = share * other._usual_lost, share * other._usual_sent

    def observe(self, lost: float, sent: float, nominal: float, begins_s: float) -> Alarm | None:
        """Packets lost of those sent in a window; `nominal`: share that is lost by what is published."""
        self._nominal = min(max(nominal, _LEAST_LOSS), 0.9)
        if self.changed:
            self._follow(lost, sent, begins_s)
            return None
        if lost == 0.0 and self._calm:
            self._learn(lost, sent, self.usual)
            return None
        usual = self._usual_lost, self._usual_sent
        most = self._limit * _ONE_WINDOW
        scatter = self.dispersion.value
        for added, stretch in zip(_ADDED, self._stretches, strict=True):
            counted = stretch.usual if stretch.sum > 0.0 else usual
            gain = self._gain(lost, sent, added, counted, stretch)
            stretch.add(min(gain / scatter, most), lost, sent, begins_s, usual)
        strongest = max(self._stretches, key=_sum_of)
        self._calm = strongest.sum == 0.0
        if strongest.sum >= self._limit:
            self.lost, self.sent = strongest.counts()
            self._usual_lost, self._usual_sent = strongest.usual
            return Alarm(1, strongest.begins_s, strongest.sum, self._limit)
        self._held.append((lost, sent, self.usual))
        if strongest.sum < _RISING * self._limit or len(self._held) > _HELD:
            for window in self._held:
                self._learn(*window)
            self._held.clear()
        return None

    def _gain(
        self, lost: float, sent: float, added: float, counted: tuple[float, float], stretch: _Stretch
    ) -> float:
        """Log likelihood ratio of a window: `added` loss against the usual one, of which `counted` are known
        and whatever the stretch has shown so far.
        """
        hits = _PRIOR_PACKETS * self._nominal + counted[0]
        misses = _PRIOR_PACKETS + counted[1] - hits
        usual = hits / (hits + misses)
        more = usual + added * (1.0 - usual)
        hits += stretch.lost
        misses += stretch.sent - stretch.lost
        came = sent - lost
        predictive = _log_beta(hits + lost, misses + came) - _log_beta(hits, misses)
        return lost * math.log(more) + came * math.log(1.0 - more) - predictive

    def _learn(self, lost: float, sent: float, share: float) -> None:
        self.dispersion.add(lost, sent, share)
        keep = 1.0 - 1.0 / _MEMORY
        self._usual_lost = keep * self._usual_lost + lost
        self._usual_sent = keep * self._usual_sent + sent

    def _follow(self, lost: float, sent: float, begins_s: float) -> None:
        """A window after the alarm: more is known of the size, it changed again, or it is over."""
        now, usual = self._now, self.usual
        scatter = self.dispersion.value
        self._after.add(lost, sent, now)
        self.lost += lost
        self.sent += sent
        others = ((self._back, usual), (self._more, min(2.0 * now, 0.97)), (self._less, 0.5 * now))
        for stretch, share in others:
            gain = lost * math.log(share / now) + (sent - lost) * math.log((1.0 - share) / (1.0 - now))
            stretch.add(min(gain / scatter, _ONE_WINDOW * self._limit), lost, sent, begins_s)
        for stretch in (self._more, self._less):
            if stretch.sum >= _INSIDE * self._limit and stretch.sum > self._back.sum:
                self.lost, self.sent = stretch.counts()
                self._more, self._less = _Stretch(), _Stretch()
                break

    @property
    def _now(self) -> float:
        """Share lost since the change, at least somewhat more than usual."""
        return min(max(self.lost / max(self.sent, 1.0), 1.5 * self.usual), 0.95)

    @property
    def usual(self) -> float:
        """Share lost while nothing was wrong, what is published counted like `_PRIOR_PACKETS` packets."""
        return (self._usual_lost + _PRIOR_PACKETS * self._nominal) / (self._usual_sent + _PRIOR_PACKETS)

    def size(self) -> Size:
        """Additional loss: of the packets that would have come, the share that was lost since the onset.

        Interval: Wilson's of both shares, combined by their distances (Newcombe 1998, method 10); counts
        are worth as many independent ones as their dispersion says.
        """
        lost, sent = self.lost, self.sent
        if self._back.sum >= _RISING * self._limit:  # it seems to be over since then
            lost, sent = lost - self._back.lost, sent - self._back.sent
        before, trials = self.usual, (self._usual_sent + _PRIOR_PACKETS) / self.dispersion.value
        after, since = lost / max(sent, 1.0), sent / max(self._after.value, 1.0)
        low_before, high_before = wilson(before, trials)
        low_after, high_after = wilson(after, since)
        mean = (after - before) / (1.0 - before)
        below = math.hypot(after - low_after, high_before - before) / (1.0 - before)
        above = math.hypot(high_after - after, before - low_before) / (1.0 - before)
        return Size(mean, 0.5 * (below + above) / Z95, mean - below, mean + above)

    def adopt(self) -> None:
        """The change is known: wait for the usual loss."""
        self._after = Dispersion(self.dispersion.value)
        self._held.clear()
        self._back, self._more, self._less = _Stretch(), _Stretch(), _Stretch()
        self.changed = True

    @property
    def counts(self) -> tuple[float, float]:
        """Packets lost and sent while it was as it is now."""
        return (self.lost, self.sent) if self.changed else (self._usual_lost, self._usual_sent)

    @property
    def over(self) -> bool:
        """Whether losses are as they were before."""
        return self.changed and self._back.sum > 0.6 * self._limit

    @property
    def ended_s(self) -> float:
        """Run time since which losses seem to be as they were before."""
        return self._back.begins_s

    @property
    def rising(self) -> bool:
        """Whether additional losses are suspected."""
        return not self._calm and max(map(_sum_of, self._stretches)) > _RISING * self._limit

    def clear(self) -> None:
        """Nothing is wrong as far as is known."""
        self._stretches = [_Stretch() for _ in _ADDED]
        self._held.clear()
        self._calm = True
        self.lost = self.sent = 0.0
        self.changed = False


def _sum_of(stretch: _Stretch) -> float:
    return stretch.sum


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
