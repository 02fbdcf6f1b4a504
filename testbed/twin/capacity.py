"""What a link really lets through: served rate over that of the believed ModCod, and load beyond it.

A transmitter that was busy for so long served so many bits. What it sent last is still in the air when a
window ends: single windows scatter by that much, and what one lacks the next one has too much, so sums
over many windows hardly do. What lacks for good is a lower rate, unless the SNR allows for a ModCod that
has just that rate.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from testbed.twin.attribution import Size, gaussian_size
from testbed.twin.detect import Alarm

#: a change of the factor below this is not worth a name
SMALLEST_CHANGE = 0.04
#: spread of lasting factors (overhead of framing) around 1
_FACTOR_SD = 0.05
#: doubt for other reasons than the air: of a window, and of a sum however long, as a share of it
_OTHER, _LASTING = 0.002, 0.001
#: bits of the packets that are on both sides of a border
_PACKETS_BITS = 24_000.0
#: what may lack, in units of what can be in the air, and in units of the most that lacked before
_BOUND, _SEEN = 1.5, 2.0
#: windows until they are learned from, remembered, and until the first ones are enough
_WAIT, _MEMORY, _START_WINDOWS = 16, 600.0, 12
#: windows that what is known of another link is worth
_INHERITED = 20.0
_BACK_WINDOWS = 3
#: how closely a ModCod has to fit what is served
_FITS = 0.01
#: windows clearly used the believed ModCod within this share of the way to the next one
_CLEARLY = 0.25
#: halves of a stretch tell whether it is all of a kind when their difference is known so well
_TELLING = 0.02
#: windows after which it has to be told
_LONGEST = 60


class _Sums:
    """Bits served over bits that could have been, and the doubt about their ratio."""

    __slots__ = ("capable", "served", "windows")

    def __init__(self) -> None:
        self.served = self.capable = self.windows = 0.0

    def add(self, served: float, capable: float, keep: float = 1.0) -> None:
        self.served = keep * self.served + served
        self.capable = keep * self.capable + capable
        self.windows = keep * self.windows + 1.0

    def ratio(self, border_bits: float, prior_sd: float) -> tuple[float, float]:
        """The factor and its standard deviation, beside a prior of 1 with `prior_sd`."""
        if self.capable <= 0.0:
            return 1.0, prior_sd
        seen = self.served / self.capable
        variance = 2.0 * (border_bits / self.capable) ** 2 + _OTHER**2 / self.windows + _LASTING**2
        weight = prior_sd**2 / (prior_sd**2 + variance)
        return 1.0 + weight * (seen - 1.0), math.sqrt(weight * variance)


class _Window(NamedTuple):
    begins_s: float
    served: float
    capable: float
    #: rates over the believed one of ModCods that might have been in use instead
    others: tuple[float, ...]


class RateWatch:
    """The served rate of one link, window by window.

    Page's test (Biometrika 1954) in bits, against what can be in the air and the most that lacked so far.
    """

    def __init__(self) -> None:
        self._usual, self._now = _Sums(), _Sums()
        #: windows not learned from yet, or the last ones
        self._recent: deque[_Window] = deque()
        self._lacks, self._onset_s = [0.0, 0.0], [0.0, 0.0]
        self._most_lacking = 0.0
        #: mean square of what single windows lack or have too much, bits^2
        self._scatter = _PACKETS_BITS**2
        self._bound = _PACKETS_BITS
        #: rate over the believed one of the ModCod that is in use instead
        self._modcod, self._believed_bps = 1.0, 0.0
        self._windows = 0
        self.changed = False
        self._most = 0.0
        self._back = 0
        self.ended_s = 0.0

    def inherit(self, other: RateWatch) -> None:
        """The lasting factor of a link of the same design is expected here, too."""
        share = min(_INHERITED / max(other._usual.windows, 1.0), 1.0)
        self._usual.served, self._usual.capable = share * other._usual.served, share * other._usual.capable
        self._usual.windows = share * other._usual.windows
        self._scatter = other._scatter

    @property
    def usual(self) -> tuple[float, float]:
        """Served rate over that of the ModCod while nothing is wrong, and its standard deviation."""
        return self._usual.ratio(math.sqrt(0.5 * self._scatter), _FACTOR_SD)

    @property
    def now(self) -> tuple[float, float]:
        """The same as it is now."""
        return self._now.ratio(math.sqrt(0.5 * self._scatter), 1.0) if self.changed else self.usual

    @property
    def factor(self) -> float:
        """Served rate over that of the believed ModCod."""
        return self.now[0] * self._modcod

    @property
    def suspected(self) -> bool:
        """Whether the rate seems to have changed, known or not."""
        return self.changed or max(self._lacks) > 0.7 * self._limit

    @property
    def _limit(self) -> float:
        return max(_BOUND * self._bound, _SEEN * self._most_lacking)

    def observe(
        self,
        bits: float,
        busy_s: float,
        rate_bps: float,
        flight_s: float,
        others: Sequence[float],
        begins_s: float,
    ) -> Alarm | None:
        """Bits that arrived in a window in which the transmitter was busy for `busy_s`; an alarm when the
        factor changed.

        `rate_bps`: of the believed ModCod; `others`: rates over it of ModCods that it may be instead;
        `flight_s`: from the transmitter to the count of what arrived.
        """
        if rate_bps != self._believed_bps or self._modcod not in (1.0, *others):
            self._believed_bps, self._modcod = rate_bps, 1.0
        capable = busy_s * rate_bps * self._modcod
        self._bound = rate_bps * flight_s + _PACKETS_BITS
        self._recent.append(_Window(begins_s, bits, capable, tuple(others)))
        self._windows += 1
        factor, doubt = self.now
        lack = factor * capable - bits
        if self._windows <= _START_WINDOWS:
            if self._windows == _START_WINDOWS:
                self._learn(len(self._recent))
            return None
        slack = (0.5 * SMALLEST_CHANGE + 2.0 * doubt) * factor * capable
        for side, sign in ((0, 1.0), (1, -1.0)):
            grown = self._lacks[side] + sign * lack - slack
            if grown <= 0.0:
                self._lacks[side] = 0.0
                continue
            if self._lacks[side] == 0.0:
                self._onset_s[side] = begins_s
            self._lacks[side] = grown
        if self.changed:
            self._follow(bits, capable, begins_s)
            return None
        side = 0 if self._lacks[0] >= self._lacks[1] else 1
        if self._lacks[side] < self._limit:
            self._most_lacking = max(0.999 * self._most_lacking, min(max(self._lacks), self._bound))
            if len(self._recent) >= 2 * _WAIT:
                self._learn(_WAIT)
            return None
        onset_s, limit, lacks = self._onset_s[side], self._limit, self._lacks[side]
        since = [row for row in self._recent if row.begins_s >= onset_s]
        # What comes later from now on lacks once: several windows have to agree.
        once = max(abs(factor * row.capable - row.served) for row in since)
        if lacks - once < 0.5 * limit or self._explained(since):
            return None
        if abs(self._since(onset_s).ratio(0.0, 1e3)[0] / factor - 1.0) < SMALLEST_CHANGE:
            self._most_lacking = max(self._most_lacking, lacks)
            self._lacks = [0.0, 0.0]
            return None
        return Alarm(-1 if side == 0 else 1, onset_s, lacks, limit)

    def _learn(self, count: int) -> None:
        """The oldest windows have turned out to be usual, unless another ModCod was in use in them.

        All of them or none: what a border takes from one window it gives to the next.
        """
        rows = [self._recent.popleft() for _ in range(count)]
        usual = self.usual[0]
        for row in rows:
            lack = usual * row.capable - row.served
            self._scatter += (lack * lack - self._scatter) / min(self._windows + 4.0, _MEMORY)
        others = {other for row in rows for other in row.others}
        seen = self._ratio(rows)[0] / self._modcod
        if others and abs(seen - 1.0) > _CLEARLY * min(abs(other - 1.0) for other in others):
            return
        for row in rows:
            self._usual.add(row.served, row.capable, 1.0 - 1.0 / _MEMORY)

    def _since(self, onset_s: float) -> _Sums:
        sums = _Sums()
        for row in self._recent:
            if row.begins_s >= onset_s:
                sums.add(row.served, row.capable)
        return sums

    def _explained(self, since: Sequence[_Window]) -> bool:
        """Whether ModCods that the SNR allows for have the rate that is served since `onset_s`.

        One of them all the time: it is the one in use. Something between them is explained by a change from
        one to another, but not when it was served in both halves of the time.
        """
        others = {other for row in since for other in row.others}
        if self._modcod != 1.0:
            others = (others | {1.0}) - {self._modcod}  # the believed one after all
        if not others:
            return False
        seen, sd = self._ratio(since)
        found = min(others, key=lambda other: abs(seen / other - 1.0))
        if abs(seen / found - 1.0) <= _FITS + sd:
            self._recent = deque(row for row in self._recent if row.begins_s < since[0].begins_s)
            self._modcod = found
            self._lacks = [0.0, 0.0]
            return True
        if not min(1.0, *others) - _FITS < seen < max(1.0, *others) + _FITS:
            return False
        (early, early_sd), (late, late_sd) = (
            self._ratio(since[: len(since) // 2]),
            self._ratio(since[len(since) // 2 :]),
        )
        doubt = math.hypot(early_sd, late_sd)
        if doubt > _TELLING and len(since) < _LONGEST:
            return True  # not known yet
        if abs(early - late) < _FITS + 2.0 * doubt:
            return False
        self._lacks = [0.0, 0.0]
        return True

    def _ratio(self, rows: Sequence[_Window]) -> tuple[float, float]:
        """Served rate of windows over the usual one of the believed ModCod, and its standard deviation."""
        sums = _Sums()
        for row in rows:
            sums.add(row.served, row.capable)
        seen, sd = sums.ratio(math.sqrt(0.5 * self._scatter), 1e3)
        scale = self._modcod / self.usual[0]
        return seen * scale, sd * scale

    def _follow(self, bits: float, capable: float, begins_s: float) -> None:
        """A window after the alarm: more is known of the factor, it changed again, or it is over."""
        self._now.add(bits, capable)
        if len(self._recent) > _WAIT:
            self._recent.popleft()
        side = 0 if self._lacks[0] >= self._lacks[1] else 1
        if self._lacks[side] >= self._limit:
            self._now = self._since(self._onset_s[side])
            self._lacks = [0.0, 0.0]
        change = abs(self.now[0] / self.usual[0] - 1.0)
        if change > max(0.5 * SMALLEST_CHANGE, 0.3 * self._most) or self.now[1] > 0.2 * self._most:
            self._back = 0
            return
        if self._back == 0:
            self.ended_s = begins_s
        self._back += 1

    def size(self) -> Size:
        """Served rate over the usual one since the change."""
        (now, now_sd), (usual, usual_sd) = self.now, self.usual
        factor = now / usual
        return gaussian_size(factor, factor * math.hypot(now_sd / now, usual_sd / usual))

    def adopt(self, onset_s: float) -> None:
        """The change is known: the factor follows what is served from now on."""
        self._now = self._since(onset_s)
        self.changed = True
        self._most = abs(self.size().mean - 1.0)
        self._back = 0
        self._lacks = [0.0, 0.0]

    @property
    def over(self) -> bool:
        """Whether the usual rate is back."""
        return self.changed and self._back >= _BACK_WINDOWS

    def clear(self) -> None:
        """The usual rate is back."""
        self.changed = False
        self.gap()

    def gap(self) -> None:
        """A window that says nothing of the rate (a fade, no report)."""
        self._recent.clear()
        self._lacks = [0.0, 0.0]


class LoadWatch:
    """Offered load above capacity: the link is in use all the time, and what waits grows or is dropped."""

    #: share of a window in use that counts as all of it, and below which it is over
    FULL, EASED = 0.97, 0.9
    #: windows in a row until it is told
    WINDOWS = 10

    def __init__(self) -> None:
        self._loads: deque[float] = deque(maxlen=240)
        self._queued = self._dropped = 0.0
        self.onset_s = 0.0
        self.changed = False
        self._eased = 0
        self.ended_s = 0.0

    def observe(
        self, offered: float, busy: float, queued: float, dropped: float, begins_s: float
    ) -> Alarm | None:
        """A window: `offered` load over capacity, share of it in use, packets waiting, packets dropped."""
        if busy < (self.EASED if self.changed else self.FULL):
            if self._eased == 0:
                self.ended_s = begins_s
            self._eased += 1
            if not self.changed:
                self._loads.clear()
            return None
        self._eased = 0
        if not self._loads:
            self.onset_s, self._queued, self._dropped = begins_s, queued, 0.0
        self._loads.append(offered)
        self._dropped += dropped
        if self.changed or len(self._loads) < self.WINDOWS:
            return None
        if self.size().low95 <= 1.0 or not (self._dropped or queued > self._queued):
            return None
        return Alarm(1, self.onset_s, float(len(self._loads)), float(self.WINDOWS))

    def size(self) -> Size:
        """Offered load over capacity since the onset."""
        count = len(self._loads)
        mean = sum(self._loads) / count
        variance = sum((load - mean) ** 2 for load in self._loads) / max(count - 1, 1)
        return gaussian_size(mean, math.sqrt(variance / count))

    def adopt(self) -> None:
        """The load is known: wait until it eases."""
        self.changed = True

    @property
    def over(self) -> bool:
        """Whether the link has time to spare again."""
        return self.changed and self._eased >= _BACK_WINDOWS

    def clear(self) -> None:
        """Nothing is known of an overload."""
        self._loads.clear()
        self.changed = False
        self._eased = 0
