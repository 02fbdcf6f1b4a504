"""Watches over a link that need no radio: it falls silent, its floor of delay moves, it loses more.

Each watch is fed one window at a time and says when the change is certain; the false-alarm rate follows
from the stated probability. Fades and servers are watched elsewhere (`radio`, `servers`).
"""

from __future__ import annotations

import math
from statistics import NormalDist

from testbed.twin.detect import Alarm, Cusum, Whitener
from testbed.twin.filters import Reservoir

_NORMAL = NormalDist()
_TRAINING_WINDOWS = 24
#: share of the threshold below which a floor is learned at once, and windows it is held back otherwise
_CALM, _HELD_WINDOWS = 0.12, 24
#: worth of a floor far beyond all that were seen, in standard deviations
_FAR = 3.5
#: a rise of the floor below this is not worth a name, ms
SMALLEST_DELAY_MS = 0.5
#: smallest additional loss watched for
SMALLEST_LOSS = 0.05


class MissingRate:
    """Share of expected link reports that do not come, over all links of the network."""

    def __init__(self) -> None:
        self._missing = 1.0
        self._expected = 50.0

    def add(self, missing: int, expected: int) -> None:
        keep = 0.999
        self._missing = keep * self._missing + missing
        self._expected = keep * self._expected + expected

    def windows_until(self, probability: float) -> int:
        """Missing windows in a row that happen by chance with at most `probability`."""
        share = min(max(self._missing / self._expected, 0.02), 0.9)
        return max(math.ceil(math.log(probability) / math.log(share)), 3)


class SilenceWatch:
    """A link that should be up: windows in a row without a sign that it carries anything."""

    _KNOWN_AFTER = 6

    def __init__(self) -> None:
        self.reports = 0
        self.down_windows = 0
        self.onset_s = 0.0
        self.down = False
        self.back_windows = 0
        self.ended_s = 0.0
        self._had_snr = False

    def missing(self, begins_s: float) -> None:
        """No report of the link for a window, while others reported."""
        if self.reports >= self._KNOWN_AFTER:
            self._sign(True, begins_s)

    def passed(self, begins_s: float) -> None:
        """No report of the link, but packets are known to have crossed it."""
        self._sign(False, begins_s)

    def reported(self, begins_s: float, out: float, dropped_down: float, has_snr: bool) -> None:
        """A report came: packets that completed the hop, packets dropped because it was down."""
        self.reports += 1
        if (out == 0 and dropped_down > 0) or (self._had_snr and not has_snr and out == 0):
            self._sign(True, begins_s)
        elif out > 0 or (has_snr and dropped_down == 0):
            self._sign(False, begins_s)
        self._had_snr = self._had_snr or has_snr

    def _sign(self, down: bool, begins_s: float) -> None:
        if not down:
            if self.back_windows == 0:
                self.ended_s = begins_s
            self.back_windows += 1
            self.down_windows = 0
            return
        if self.down_windows == 0:
            self.onset_s = begins_s
        self.down_windows += 1
        self.back_windows = 0


class FloorWatch:
    """The least delay of a window, above nominal, against what it usually was.

    Ranks among past floors are used: their distribution is skewed and belongs to the traffic. A single
    wild value is therefore worth little.
    """

    def __init__(self, threshold: float) -> None:
        self._past = Reservoir(128)
        # Ranks have unit variance by construction. What is learned in calm windows only would make it, and
        # their correlation, look smaller.
        self._noise = Whitener(prior_sd=1.0, floor_sd=1.0, prior_weight=100.0, prior_phi=0.3)
        self._cusum = Cusum(threshold, clip=3.0)
        self._recent: list[float] = []
        self._held: list[float] = []
        self.changed = False
        self.back_windows = 0
        self.ended_s = 0.0
        self._usual = 0.0
        self._size = 0.0

    def observe(self, offset_ms: float, begins_s: float, least_ms: float = 0.0) -> Alarm | None:
        """The floor of one window, ms above the nominal delay; an alarm when it moved up for good.

        Changes below `least_ms` or `SMALLEST_DELAY_MS` are learned instead.
        """
        self._recent = [*self._recent[-5:], offset_ms]
        if self.changed:
            back = offset_ms < self._usual + 0.5 * self._size
            if back and self.back_windows == 0:
                self.ended_s = begins_s
            self.back_windows = self.back_windows + 1 if back else 0
            return None
        if self._past.count < _TRAINING_WINDOWS:
            self._past.add(offset_ms)
            return None
        z = self._score(offset_ms, least_ms)
        alarm = self._cusum.add(self._noise.innovation(z), begins_s)
        if self._cusum.level() < _CALM:
            self._noise.learn(z)
            for past in (*self._held, offset_ms):
                self._past.add(past)
            self._held = []
        else:
            # Ranks grow slowly: what is learned meanwhile would become usual before it could alarm.
            self._noise.skip(z)
            self._held.append(offset_ms)
            if alarm is None and len(self._held) > _HELD_WINDOWS:
                self._cusum.reset()
        if alarm is None:
            return None
        size, sd = self.size()
        if alarm.sign < 0 or size < max(SMALLEST_DELAY_MS, least_ms, 4.0 * sd):
            self.start_over()
            return None
        return alarm

    def _score(self, offset_ms: float, least_ms: float) -> float:
        """The floor's rank among the past ones as a standard normal value.

        Ranks among few values never say much; twice as far out as any of them counts as `_FAR`.
        """
        past = self._past.ordered()
        middle, most = float(past[len(past) // 2]), float(past[-1])
        if offset_ms > most + (most - middle) + max(SMALLEST_DELAY_MS, least_ms):
            return _FAR
        return _NORMAL.inv_cdf(self._past.rank(offset_ms))

    def size(self) -> tuple[float, float]:
        """How far the floor rose, ms, and its standard deviation."""
        ordered = sorted(self._recent[-4:])
        usual = self._past.ordered()
        spread = float(usual[len(usual) * 3 // 4] - usual[len(usual) // 4]) / 1.35
        return ordered[len(ordered) // 2] - float(usual[len(usual) // 2]), spread + 1e-3

    def adopt(self) -> None:
        """The new floor is known: wait for the old one."""
        self._size = self.size()[0]
        self._usual = float(self._past.quantile(0.5))
        self.changed, self.back_windows = True, 0

    def start_over(self) -> None:
        """Forget what was usual; learn it anew."""
        self._past = Reservoir(128)
        self._held = []
        self._noise.skip()
        self._cusum.reset()
        self.changed, self.back_windows = False, 0

    def pause(self) -> None:
        """A window that says nothing about the floor (fade, congestion, no packets)."""
        self._noise.skip()
        self._cusum.reset()


class LossWatch:
    """Likelihood ratio of `SMALLEST_LOSS` more loss than predicted, summed while it speaks for it."""

    def __init__(self, log_odds: float) -> None:
        self._limit = log_odds
        self._sum = 0.0
        self._lost = self._sent = 0.0
        self.onset_s = 0.0
        self.changed = False
        self.back = 0.0

    def observe(self, lost: float, sent: float, predicted: float, begins_s: float) -> Alarm | None:
        """Packets lost of those sent in a window whose predicted loss is `predicted`."""
        p0 = min(max(predicted, 0.01), 0.9)
        p1 = min(max(2.0 * p0, p0 + SMALLEST_LOSS), 0.95)
        ratio = lost * math.log(p1 / p0) + (sent - lost) * math.log((1.0 - p1) / (1.0 - p0))
        if self.changed:
            self.back = max(self.back - ratio, 0.0)
            return None
        # One window of losses, a burst, must not be enough.
        self._sum = max(self._sum + min(ratio, 0.4 * self._limit), 0.0)
        if self._sum == 0.0:
            self._lost = self._sent = 0.0
            self.onset_s = begins_s + 1e-9
            return None
        self._lost += lost
        self._sent += sent
        if self._sum < self._limit:
            return None
        return Alarm(1, self.onset_s, self._sum, self._limit)

    def size(self) -> tuple[float, float]:
        """Loss since the onset, and its standard deviation."""
        p = self._lost / max(self._sent, 1.0)
        return p, math.sqrt(p * (1.0 - p) / max(self._sent, 1.0))

    def adopt(self) -> None:
        self.changed, self.back = True, 0.0

    @property
    def over(self) -> bool:
        return self.changed and self.back > self._limit

    def start_over(self) -> None:
        self._sum = self._lost = self._sent = 0.0
        self.changed = False
