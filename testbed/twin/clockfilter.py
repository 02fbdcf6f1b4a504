"""One clock against another: offset and skew from exchanges of four stamps; when it jumps or changes pace.

t1 and t4 are on the node's clock, t2 and t3 on the host's: the node is ahead by ((t1 - t2) + (t4 - t3)) / 2,
up to half of what the way takes longer in one direction than in the other. An exchange that took long says
little and counts little, so that the exchanges of least delay decide. What follows from it: see `clocks`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from testbed.twin.attribution import Size, gaussian_size
from testbed.twin.detect import Alarm, Cusum, Whitener
from testbed.twin.filters import ForgettingMean
from testbed.twin.kalman import Floats, Kalman

#: a node that is off by more than this when first heard has a clock of another epoch: that is no news
EPOCH_MS = 1_000.0
#: offset and pace of a clock that somebody keeps, before it was measured
_PRIOR_MS, _PRIOR_PPM = 0.1, 30.0
#: how unlike the two directions are; of an exchange that took longer than this the rest says nothing, ms
_PRIOR_LEAN, _LATEST_MS = 0.5, 2.0
#: how far a clock may jump, ms, and its pace change, ppm
_JUMP_MS, _BEND_PPM = 1e4, 500.0
#: what a crystal wanders by over one second: ms, ppm
_WANDER_MS, _WANDER_PPM = 1e-4, 1e-3
#: what stamps scatter by without a queue, ms
_FLOOR_MS = 0.003
#: exchanges whose least delay counts as that of the way; exchanges held back while a change is suspected
_WAYS, _HELD = 256, 12
#: after how many exchanges, in roots, the least delay is taken for the way's own, up to a share of doubt
_TRUST, _DOUBT = 4.0, 0.1
#: innovations that teach the scatter are cut off there; mean of min(z^2, 2.5^2) for a standard normal z
_SPREAD_CLIP, _CLIPPED_SECOND_MOMENT = 2.5, 0.9776
#: worth of one exchange at most, in standard deviations; share of the threshold that is a suspicion
_CLIP, _SUSPECT = 6.0, 0.3
#: standard deviations by which a change of pace must be certain before it is part of the change
_CERTAIN = 4.0
_MS_PER_PPM_S = 1e-3


class Exchange(NamedTuple):
    """What one exchange says: run time s, by how much the node is ahead ms, time under way ms."""

    t_s: float
    offset_ms: float
    delay_ms: float


def exchange(stamps: Mapping[str, float], t_s: float) -> Exchange:
    """An exchange from its stamps `t1_ns` to `t4_ns`, at run time `t_s`.

    Mills et al. 2010, RFC 5905, section 8 (theta with the other sign: positive for a node ahead).
    """
    t1, t2, t3, t4 = (stamps[f"t{n}_ns"] for n in range(1, 5))
    return Exchange(t_s, 0.5 * ((t1 - t2) + (t4 - t3)) / 1e6, ((t4 - t1) - (t3 - t2)) / 1e6)


class ClockFilter:
    """Offset ms and skew ppm of a clock, and since a change the jump and the change of pace.

    `threshold` is that of every CUSUM of the twin. Jump and change of pace are states of their own beside the
    offset and skew that there would be without them: the asymmetry of the way is in both and does not blur
    them, and their covariance says what the exchanges before and after tell. What an exchange took too long
    may be spent in one direction more than in the other; by how much is learned too (`lean`, -1: all of it on
    the way there, 1: back).
    """

    # states: offset, skew, lean, and since a change jump and bend

    def __init__(self, threshold: float) -> None:
        self._state = Kalman(np.zeros(3), np.diag([_PRIOR_MS**2, _PRIOR_PPM**2, _PRIOR_LEAN**2]))
        self._cusum = Cusum(threshold, clip=_CLIP)
        # Innovations have unit variance by construction: what is learned is their correlation.
        self._noise = Whitener(prior_sd=1.0, floor_sd=1.0, prior_weight=100.0)
        self._ways: deque[float] = deque(maxlen=_WAYS)
        self._held: list[Exchange] = []
        self._spread = ForgettingMean(200, 1.0)
        self._spread.count = 20
        self._t_s = 0.0
        self.exchanges = 0
        #: run time of the change that is part of the state
        self.onset_s = math.nan

    @property
    def changed(self) -> bool:
        """Whether a change is part of the state."""
        return len(self._state.mean) > 3

    @property
    def bound_ms(self) -> float:
        """By how much an offset may be off for the asymmetry of the way: half of the least delay, ms."""
        return 0.5 * min(self._ways) if self._ways else math.inf

    def offset(self) -> tuple[float, float]:
        """By how much the clock was ahead at the last exchange, ms, and the standard deviation."""
        return self._value(self._row(self._t_s))

    def skew(self) -> tuple[float, float]:
        """By how much it runs too fast, ppm, and the standard deviation."""
        return self._value(np.array([0.0, 1.0, 0.0, 0.0, 1.0])[: len(self._state.mean)])

    def change(self) -> Size:
        """How far the clock is from where it would be without the change, ms; 0 without one.

        The jump alone, unless the change of pace is certain.
        """
        if not self.changed:
            return gaussian_size(0.0, 0.0)
        jump, bend = self._state.mean[3:].tolist()
        covariance = self._state.covariance[3:, 3:]
        if abs(bend) > _CERTAIN * math.sqrt(float(covariance[1, 1])):
            row = self._row(self._t_s)
            row[:3] = 0.0
            return gaussian_size(*self._value(row))
        # the pace did not change: what the jump is under that condition
        share = float(covariance[0, 1] / covariance[1, 1])
        variance = float(covariance[0, 0]) - share * float(covariance[0, 1])
        return gaussian_size(jump - share * bend, math.sqrt(max(variance, 0.0)))

    def observe(self, one: Exchange) -> Alarm | None:
        """Takes an exchange; an alarm when the clock does not go on as it did. Old ones are left out."""
        if one.delay_ms < 0.0 or (self.exchanges and one.t_s <= self._latest_s):
            return None
        self._ways.append(one.delay_ms)
        self.exchanges += 1
        if self.exchanges == 1:
            self._t_s = one.t_s
            if abs(one.offset_ms) > EPOCH_MS:
                variance = self._variance(one.delay_ms)
                self._state.mean[0], self._state.covariance[0, 0] = one.offset_ms, variance
                return None
        expected, variance = self._foresee(one)
        z = self._noise.innovation((one.offset_ms - expected) / math.sqrt(variance))
        alarm = self._cusum.add(z, one.t_s)
        if alarm is None and self._cusum.level() > _SUSPECT and len(self._held) < _HELD:
            self._held.append(one)
            return None
        if alarm is not None:
            self._change(alarm.onset_s)
        else:
            self._noise.learn(z)
            if self._variance(one.delay_ms) > 0.5 * variance:
                square = min(z * z, _SPREAD_CLIP**2) / _CLIPPED_SECOND_MOMENT
                self._spread.add(self._spread.value * square)
        held, self._held = self._held, []
        for earlier in (*held, one):
            self._take(earlier)
        return alarm

    def settle(self) -> None:
        """The change is over or taken for granted: offset and skew go on from here."""
        if not self.changed:
            return
        fold = np.zeros((3, 5))
        fold[0] = self._row(self._t_s)
        fold[1, [1, 4]] = fold[2, 2] = 1.0
        self._state = Kalman(fold @ self._state.mean, fold @ self._state.covariance @ fold.T)
        self.onset_s = math.nan

    # --- the state ----------------------------------------------------------------------------

    @property
    def _latest_s(self) -> float:
        return self._held[-1].t_s if self._held else self._t_s

    def _row(self, t_s: float, late_ms: float = 0.0) -> Floats:
        """How the states, at a time to which they have been advanced, make the offset that an exchange shows
        which took `late_ms` longer than the quickest."""
        if not self.changed:
            return np.array([1.0, 0.0, 0.5 * late_ms])
        return np.array([1.0, 0.0, 0.5 * late_ms, 1.0, (t_s - self.onset_s) * _MS_PER_PPM_S])

    def _late_ms(self, one: Exchange) -> float:
        return min(one.delay_ms - min(self._ways), _LATEST_MS)

    def _value(self, row: Floats) -> tuple[float, float]:
        variance = float(row @ self._state.covariance @ row)
        return float(row @ self._state.mean), math.sqrt(max(variance, 0.0))

    def _variance(self, delay_ms: float) -> float:
        """Of an exchange's offset, ms^2.

        What it took longer than the way needs was spent in either direction, in unknown shares: uniform over
        half of it to both sides. Of the least delay seen so far only a share that grows with the exchanges is
        taken for the way's own; the innovations say whether exchanges scatter more than that.
        """
        least, count = min(self._ways), len(self._ways)
        spent = delay_ms - least + least * max(min(_TRUST / math.sqrt(count), 1.0), _DOUBT)
        return self._spread.value * ((0.5 * spent) ** 2 / 3.0 + _FLOOR_MS**2)

    def _foresee(self, one: Exchange) -> tuple[float, float]:
        """What an exchange's offset is expected to be if the clock goes on as it did, and the variance."""
        seconds = one.t_s - self._t_s
        row = self._row(one.t_s, self._late_ms(one))
        row[1] = seconds * _MS_PER_PPM_S
        mean, sd = self._value(row)
        return mean, sd**2 + _WANDER_MS**2 * seconds + self._variance(one.delay_ms)

    def _take(self, one: Exchange) -> None:
        seconds = one.t_s - self._t_s
        size = len(self._state.mean)
        move, noise = np.eye(size), np.zeros((size, size))
        move[0, 1] = seconds * _MS_PER_PPM_S
        noise[0, 0], noise[1, 1] = _WANDER_MS**2 * seconds, _WANDER_PPM**2 * seconds
        self._state.advance(move, noise)
        self._t_s = one.t_s
        row = self._row(one.t_s, self._late_ms(one))
        expected, sd = self._value(row)
        variance = self._variance(one.delay_ms)
        # an exchange that still does not fit moves the state by a bounded step
        excess = abs(one.offset_ms - expected) / (_CLIP * math.sqrt(sd**2 + variance))
        self._state.update(one.offset_ms, row, variance * max(excess, 1.0) ** 2)

    def _change(self, onset_s: float) -> None:
        """From `onset_s` on the clock may be anywhere, and have any pace."""
        if self.changed:
            move = np.eye(5)
            move[3, 4] = (onset_s - self.onset_s) * _MS_PER_PPM_S
            self._state.advance(move)
        else:
            covariance = np.zeros((5, 5))
            covariance[:3, :3] = self._state.covariance
            self._state = Kalman([*self._state.mean.tolist(), 0.0, 0.0], covariance)
        self._state.advance(None, np.diag([0.0, 0.0, 0.0, _JUMP_MS**2, _BEND_PPM**2]))
        self.onset_s = onset_s
        self._cusum.reset()
        self._noise.skip()
