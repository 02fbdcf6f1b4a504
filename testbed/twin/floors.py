"""The least delay of a link's windows: when it rises for good, and by how much.

A floor lies at the delay of a small packet that waited for nothing, or above it when none came; its
distribution is skewed and belongs to the traffic. So nothing is assumed of it but how often it used to
exceed each of a few heights: many windows in a row above one that used to be rare are an added delay.
Windows in which larger packets alone may have lifted it over a height speak neither for nor against that.
"""

from __future__ import annotations

import math

import numpy as np

from testbed.twin.attribution import Z95, Size
from testbed.twin.detect import Alarm
from testbed.twin.filters import Reservoir

#: a rise of the floor below this is not worth a name, ms
SMALLEST_DELAY_MS = 0.4
#: heights above the usual floor that are watched, ms
_HEIGHTS_MS = (0.25, 0.6, 2.0, 6.0, 20.0)
#: share of windows above a height that an added delay beyond it brings about
_ABOVE = 0.95
_TRAINING_WINDOWS = 24
#: windows in which an excursion that does not become an alarm is held back from what is usual
_HELD_WINDOWS = 40
#: windows remembered of how often a height was exceeded
_MEMORY = 400.0
#: windows in a row that show another delay than those before
_AGAIN = 6
#: share of a rise below which the old floor is back, for so many windows in a row
_BACK, _BACK_WINDOWS = 0.3, 3
#: floors since the onset that tell its size, at most
_SINCE = 240
#: packets larger than usual by this factor may lift a floor; what is usual fades so quickly, per window
_LARGER, _FADING = 1.02, 0.999


class FloorWatch:
    """Floors of one link, ms above what is published, window by window.

    `log_odds`: of a false alarm per window, all heights together; `doubt_ms`: about how usual floors move
    with range and rate of the link, standard deviation.
    """

    def __init__(self, log_odds: float, doubt_ms: float = 0.0) -> None:
        self._doubt_ms = doubt_ms
        self._limit = log_odds + math.log(len(_HEIGHTS_MS))
        self._past = Reservoir(128)
        #: mean size of packets up to which floors used to be low, bits
        self._low_bits = 0.0
        self._sums = [0.0] * len(_HEIGHTS_MS)
        self._onset_s = [0.0] * len(_HEIGHTS_MS)
        self._counts = [_Exceeded() for _ in _HEIGHTS_MS]
        #: windows not learned from yet: begin, floor, what larger packets may have added
        self._held: list[tuple[float, float, float]] = []
        self._since: list[float] = []
        self.changed = False
        self.back_windows = 0
        self.ended_s = 0.0
        self._risen_ms = 0.0

    def inherit(self, other: FloorWatch) -> None:
        """What is usual on a link of the same design is usual here until more is known."""
        self._past, self._low_bits = other._past.copy(), other._low_bits
        for mine, theirs in zip(self._counts, other._counts, strict=True):
            mine.inherit(theirs)

    def observe(
        self, offset_ms: float, begins_s: float, least_ms: float = 0.0, mean_bits: float = 0.0,
        rate_bps: float = math.inf,
    ) -> Alarm | None:  # fmt: skip
        """The floor of one window, ms above the nominal delay; an alarm when it moved up for good.

        Rises below `least_ms` or `SMALLEST_DELAY_MS` are learned instead; `mean_bits`: size of the window's
        packets, `rate_bps` at which they were sent: larger ones than usual may have lifted the floor.
        """
        if self.changed:
            self._follow(offset_ms, begins_s)
            return None
        larger_ms = self._larger_ms(mean_bits, rate_bps)
        self._held.append((begins_s, offset_ms, larger_ms))
        if self._past.count == 0:
            if len(self._held) == _TRAINING_WINDOWS:
                self._learn()
            return None
        height_ms = offset_ms - self._usual_ms()
        if height_ms <= _HEIGHTS_MS[0]:
            self._low_bits = max(_FADING * self._low_bits, mean_bits)
        suspected = self._suspect(height_ms, larger_ms, begins_s)
        if suspected < 0:
            self._learn()
            return None
        if self._sums[suspected] < self._limit:
            if len(self._held) > _HELD_WINDOWS:
                self._learn()
                self._sums = [0.0] * len(_HEIGHTS_MS)
            return None
        onset_s = self._onset_s[suspected]
        self._since = [value for at_s, value, _ in self._held if at_s >= onset_s]
        if self.size().mean < max(SMALLEST_DELAY_MS, least_ms):
            self.start_over()
            return None
        return Alarm(1, onset_s, self._sums[suspected], self._limit)

    def _suspect(self, height_ms: float, larger_ms: float, begins_s: float) -> int:
        """Adds a window's evidence; the height that most speaks for, or -1."""
        suspected = -1
        for index, least in enumerate(_HEIGHTS_MS):
            counts, before = self._counts[index], self._sums[index]
            above = _above(height_ms, larger_ms, least)
            if above is not None:
                chance = counts.chance()
                counts.above = above
                if not above and before == 0.0:
                    continue
                ratio = _ABOVE / chance if above else (1.0 - _ABOVE) / (1.0 - chance)
                if before == 0.0:
                    self._onset_s[index] = begins_s
                self._sums[index] = max(before + math.log(ratio), 0.0)
            if self._sums[index] > 0.0 and (suspected < 0 or self._sums[index] >= self._sums[suspected]):
                suspected = index
        return suspected

    def _larger_ms(self, mean_bits: float, rate_bps: float) -> float:
        """What packets of that mean size may add to a floor, ms: no small one may have been among them."""
        return mean_bits / rate_bps * 1e3 if mean_bits > _LARGER * self._low_bits else 0.0

    def _usual_ms(self) -> float:
        past = self._past.ordered()
        return float(past[len(past) // 2])

    def _learn(self) -> None:
        """What was held back is usual."""
        held, self._held = self._held, []
        floors = sorted(offset_ms for _, offset_ms, _ in held)
        usual = self._usual_ms() if self._past.count else floors[len(floors) // 2]
        for _, offset_ms, larger_ms in held:
            self._past.add(offset_ms)
            for counts, least in zip(self._counts, _HEIGHTS_MS, strict=True):
                above = _above(offset_ms - usual, larger_ms, least)
                if above is not None:
                    counts.learn(above)

    def _follow(self, offset_ms: float, begins_s: float) -> None:
        """A window after the alarm: more is known of the size, or it is over."""
        back = offset_ms < self._usual_ms() + _BACK * self._risen_ms
        if back:
            if self.back_windows == 0:
                self.ended_s = begins_s
            self.back_windows += 1
            return
        self.back_windows = 0
        self._since.append(offset_ms)
        recent, before = sorted(self._since[-_AGAIN:]), sorted(self._since[:-_AGAIN])
        if len(before) >= _AGAIN:
            least = max(SMALLEST_DELAY_MS, self._scatter_ms())
            higher = recent[0] > before[len(before) // 2] + least
            if higher or recent[_AGAIN // 2] < before[0] - least:
                # another delay than that of the onset: what is known begins here
                self._since = self._since[-_AGAIN:]
        if len(self._since) > _SINCE:
            del self._since[0]
        self._risen_ms = self._least_ms() - self._usual_ms()

    def _least_ms(self) -> float:
        """A floor that few of those since the onset lie below, ms."""
        return sorted(self._since)[len(self._since) // 10]

    def _scatter_ms(self) -> float:
        """Several times the spread of usual floors, ms."""
        past = self._past.ordered()
        return 6.0 * float(past[len(past) * 3 // 4] - past[len(past) // 4])

    def size(self) -> Size:
        """How far the floor rose, ms.

        Hodges and Lehmann's shift (1963), the median of all differences between floors after and before;
        its interval is that of the Mann-Whitney test, which assumes no shape. Floors that are alike in
        neighbouring windows count for fewer.
        """
        after, before = np.array(self._since), self._past.ordered()
        differences = np.sort(np.subtract.outer(after, before), axis=None)
        m, n = len(after), len(before)
        spread = math.sqrt(m * n * (m + n + 1.0) / 12.0 * _inflation(after))
        middle, reach = 0.5 * (m * n - 1.0), Z95 * spread + 0.5
        low = float(differences[max(math.floor(middle - reach), 0)])
        high = float(differences[min(math.ceil(middle + reach), m * n - 1)])
        middle_ms = float(np.median(differences))
        below, above = (math.hypot(end - middle_ms, Z95 * self._doubt_ms) for end in (low, high))
        return Size(middle_ms, (below + above) / (2.0 * Z95), middle_ms - below, middle_ms + above)

    def adopt(self) -> None:
        """The new floor is known: wait for the old one."""
        self._risen_ms = self._least_ms() - self._usual_ms()
        self.changed, self.back_windows = True, 0

    def start_over(self) -> None:
        """Forget what was usual; learn it anew."""
        self._past = Reservoir(128)
        self._counts = [_Exceeded() for _ in _HEIGHTS_MS]
        self._held, self._since = [], []
        self._sums = [0.0] * len(_HEIGHTS_MS)
        self.changed, self.back_windows = False, 0

    @property
    def risen_ms(self) -> float:
        """By how much the floor is believed to lie higher than usual, ms."""
        return self._risen_ms if self.changed else 0.0

    @property
    def over(self) -> bool:
        """Whether the old floor is back."""
        return self.changed and self.back_windows >= _BACK_WINDOWS

    def clear(self) -> None:
        """The old floor is back, as it was."""
        self._held, self._since = [], []
        self._sums = [0.0] * len(_HEIGHTS_MS)
        self.changed, self.back_windows = False, 0

    @property
    def rising(self) -> bool:
        """Whether an added delay is suspected."""
        return not self.changed and max(self._sums) > 0.3 * self._limit

    def pause(self) -> None:
        """A window that says nothing about the floor (fade, congestion, no packets)."""
        self._sums = [0.0] * len(_HEIGHTS_MS)
        if self._past.count:
            self._held = []


def _above(height_ms: float, larger_ms: float, least_ms: float) -> bool | None:
    """Whether a floor lies above a height; None: not if larger packets made it so."""
    if height_ms <= least_ms:
        return False
    return True if height_ms - larger_ms > least_ms else None


class _Exceeded:
    """How often a height is exceeded, after a window that exceeded it and after one that did not."""

    __slots__ = ("_after", "_learned", "_times", "above")

    def __init__(self) -> None:
        self._after = [0.0, 0.0]
        self._times = [0.0, 0.0]
        self._learned = False
        #: whether the last window did
        self.above = False

    def chance(self) -> float:
        """Probability that the next window exceeds it while nothing changes."""
        share = (sum(self._after) + 0.5) / (sum(self._times) + 20.0)
        if self.above:
            # excursions may last for several windows: as long as they used to
            share = (self._after[1] + 4.0 * share) / (self._times[1] + 4.0)
        return min(max(share, 1e-4), 0.9)

    def inherit(self, other: _Exceeded) -> None:
        """As often as there."""
        self._after, self._times = list(other._after), list(other._times)

    def learn(self, above: bool) -> None:
        """A window of usual floors."""
        keep = 1.0 - 1.0 / _MEMORY
        self._after[self._learned] = keep * self._after[self._learned] + above
        self._times[self._learned] = keep * self._times[self._learned] + 1.0
        self._learned = above


def _inflation(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """By how much the variance of a mean of these ranks grows because neighbours are alike, at least 1."""
    if len(values) < 12:
        return 1.0
    ranks = np.argsort(np.argsort(values)).astype(np.float64)
    ranks -= ranks.mean()
    rho = float(np.dot(ranks[1:], ranks[:-1]) / np.dot(ranks, ranks))
    rho = min(max(rho - 2.0 / math.sqrt(len(values)), 0.0), 0.9)
    return (1.0 + rho) / (1.0 - rho)
