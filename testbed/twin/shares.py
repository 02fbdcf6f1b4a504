"""Shares of a whole that are counted: a sequential test that one has risen, and the interval of its size.

Reports that do not come, numbers that come twice: what is counted is the subject's own business.
"""

from __future__ import annotations

import math

from testbed.twin.attribution import Size
from testbed.twin.detect import Alarm

_Z95 = 1.959964


def share_size(hits: float, trials: float) -> Size:
    """A share from counts, with Wilson's 95 % interval (Wilson 1927, J. Am. Stat. Assoc. 22)."""
    if trials <= 0.0:
        return Size(0.0, 0.5, 0.0, 1.0)
    p = hits / trials
    z2 = _Z95**2 / trials
    middle = (p + 0.5 * z2) / (1.0 + z2)
    reach = _Z95 / (1.0 + z2) * math.sqrt(p * (1.0 - p) / trials + 0.25 * z2 / trials)
    low, high = max(middle - reach, 0.0), min(middle + reach, 1.0)
    return Size(p, max(0.5 * (high - low) / _Z95, 1e-9), low, high)


class ShareWatch:
    """Log likelihood ratio of a share of `risen` against the usual one, summed while it speaks for it.

    An alarm at `limit`: with independent trials the mean number of trials between false alarms is above
    exp(limit) (Lorden 1971, Ann. Math. Stat. 42, theorem 2). One set of trials counts for `burst` of the
    limit at most, so that a burst alone is not enough.
    """

    def __init__(self, limit: float, risen: float, burst: float = 0.4) -> None:
        self._limit, self._risen, self._burst = limit, risen, burst
        self._sum = self._back = 0.0
        self.hits = self.trials = 0.0
        self._later = [0.0, 0.0]
        self.onset_s = 0.0
        #: the rise is known: what is summed now is what speaks for its end
        self.changed = False

    @property
    def level(self) -> float:
        """How far the sum is on its way to an alarm, 0 to 1."""
        return self._sum / self._limit

    @property
    def over(self) -> bool:
        """Whether the usual share is back for certain."""
        return self.changed and self._back > self._limit

    def add(self, hits: float, trials: float, usual: float, begins_s: float) -> Alarm | None:
        """Hits among the trials of a window that began at `begins_s`; `usual`: their share otherwise."""
        usual = min(max(usual, 1e-4), 0.5 * self._risen)
        ratio = hits * math.log(self._risen / usual)
        ratio += (trials - hits) * math.log((1.0 - self._risen) / (1.0 - usual))
        if self.changed:
            # What may belong to the time after the end is not counted until it is known not to.
            self._later[0] += hits
            self._later[1] += trials
            self._back = max(self._back - max(ratio, -self._burst * self._limit), 0.0)
            if self._back == 0.0:
                self.hits += self._later[0]
                self.trials += self._later[1]
                self._later = [0.0, 0.0]
            return None
        self._sum = max(self._sum + min(ratio, self._burst * self._limit), 0.0)
        if self._sum == 0.0:
            self.hits = self.trials = 0.0
            return None
        if self.trials == 0.0:
            self.onset_s = begins_s
        self.hits += hits
        self.trials += trials
        return Alarm(1, self.onset_s, self._sum, self._limit) if self._sum >= self._limit else None

    def size(self) -> Size:
        """The share since the onset."""
        return share_size(self.hits, self.trials)

    def adopt(self) -> None:
        """The rise is known from now on."""
        self.changed, self._back, self._later = True, 0.0, [0.0, 0.0]

    def start_over(self) -> None:
        """Nothing is suspected any more."""
        self._sum = self._back = self.hits = self.trials = 0.0
        self.changed = False
