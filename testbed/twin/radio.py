"""Belief about radio conditions at one place in one direction: a modem's bias, and a fade.

The bias (implementation loss other than published) is constant but for a slow drift; the fade, by which
weather lowers the SNR, is zero unless a change was detected, and then follows the reports quickly until it
is over. Weather raises the noise of a receiver too, so the attenuation behind a fade is less. Rates and
error rates are not here: the nominal network derives them from this belief.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from enum import Enum

from testbed.twin.attribution import Z95, Size
from testbed.twin.changepoint import Level
from testbed.twin.detect import Alarm, Cusum, Whitener
from testbed.twin.filters import ScalarKalman

#: a fade below this is not worth a name, dB
SMALLEST_FADE_DB = 0.4
#: a fade counts as over below this, dB, or below half of what it was, for `QUIET_WINDOWS` in a row
OVER_DB = 0.6
QUIET_WINDOWS = 3
#: of a modem nobody has heard yet, dB
_UNKNOWN_BIAS_DB = 1.0
#: drift of a modem's bias over one second, dB: 0.06 in an hour
_BIAS_DRIFT_DB = 0.001
#: how deep weather may be after it has changed, dB
_FADE_SPREAD_DB = 6.0
_START_WINDOWS = 4
_HOLD_WINDOWS = 4
#: windows kept to tell how a fade began
_RECENT = 16


class Phase(Enum):
    """What the channel's residuals are used for."""

    WATCHING = "watching"
    FADED = "faded"


class RadioChannel:
    """SNR residuals (observed minus predicted, dB) of the links of one place and direction."""

    def __init__(
        self, threshold: float, attenuation_of_fall: Callable[[float], float] = lambda fall_db: fall_db
    ) -> None:
        self._attenuation_of = attenuation_of_fall
        self.bias = ScalarKalman(0.0, sd=_UNKNOWN_BIAS_DB, process_sd=_BIAS_DRIFT_DB)
        self.fade = ScalarKalman(0.0, sd=0.0, process_sd=0.0)
        # Until it is known whether reports are correlated, they are taken to be: the careful side.
        self.noise = Whitener(prior_sd=0.4, floor_sd=0.1, prior_weight=10, prior_phi=0.5)
        self.cusum = Cusum(threshold)
        self.phase = Phase.WATCHING
        self.windows = 0
        self._level = Level(0.0, _FADE_SPREAD_DB)
        self._most = 0.0
        #: (begin, SNR above the unfaded prediction without bias in dB, links) of the last windows
        self._recent: deque[tuple[float, float, int]] = deque(maxlen=_RECENT)
        #: windows seen, phase then, and the attenuation told of them
        self._told = (-1, Phase.WATCHING, Size(0.0, 0.0, 0.0, 0.0))
        self._hold = _START_WINDOWS
        #: mean and variance of the bias when the SNR was last not below what is believed
        self._bias_at_onset = self.bias.mean, self.bias.variance
        self._quiet = 0
        self._ended_s = 0.0

    @property
    def sd(self) -> float:
        """Uncertainty of a predicted report: belief and report noise together, dB."""
        stationary = self.noise.sd / math.sqrt(1.0 - self.noise.phi**2)
        return math.sqrt(self.bias.variance + self.fade.variance + stationary**2)

    def observe(self, residuals: list[float], begins_s: float, window_s: float) -> Alarm | None:
        """The residuals of one window's reports; an alarm when they no longer fit."""
        count = len(residuals)
        residual = sum(residuals) / count
        self.windows += 1
        self.bias.advance(window_s)
        self._recent.append((begins_s, residual + self.bias.mean - self.fade.mean, count))
        if self.phase is Phase.FADED:
            self._follow(begins_s, window_s)
            return None
        scaled = residual * math.sqrt(count)
        if self._hold > 0:
            # The first reports teach the bias; they cannot be a change of anything.
            self._hold -= 1
            self._learn_bias(residual, count)
            self.noise.skip(scaled if self._hold == 0 else None)
            return None
        calm = self.cusum.level(-1) == 0.0
        alarm = self.cusum.add(self.noise.innovation(scaled), begins_s)
        if calm:
            # should this be how a fade begins, nothing is to be learned of the bias from here on
            self._bias_at_onset = self.bias.mean, self.bias.variance
        if self.cusum.level() < 0.3:
            self._learn_bias(residual, count)
            self.noise.learn(scaled)
        else:
            self.noise.skip(scaled)
        return alarm

    def _learn_bias(self, residual: float, count: int) -> None:
        """Correlated reports say less than independent ones: only what is new in them counts."""
        phi, sd = self.noise.memory_phi, self.noise.sd / math.sqrt(count)
        if phi == 0.0 or self.noise.previous is None:
            self.bias.update(self.bias.mean + residual, sd / math.sqrt(1.0 - phi * phi))
            return
        fresh = (residual - phi * self.noise.previous / math.sqrt(count)) / (1.0 - phi)
        self.bias.update(self.bias.mean + fresh, sd / (1.0 - phi))

    def _follow(self, begins_s: float, window_s: float) -> None:
        """The fade's level after the last report; whether it is still there."""
        _, offset, count = self._recent[-1]
        self._level.add(self.bias.mean - offset, self.noise.sd / math.sqrt(count), self.noise.memory_phi)
        self.fade.mean, self.fade.variance = self._level.mean, self._level.variance
        self._most = max(self._most, self._level.mean)
        present_db, _, windows = self._level.likeliest()
        if abs(present_db) > min(OVER_DB, 0.5 * self._most):
            self._quiet = 0
            return
        if self._quiet == 0:
            self._ended_s = begins_s - (windows - 2) * window_s
        self._quiet += 1

    def attenuation(self) -> Size:
        """The attenuation behind the present fade, dB."""
        if self._told[0] != self.windows or self._told[1] is not self.phase:
            self._told = (self.windows, self.phase, self._attenuation())
        return self._told[2]

    def _attenuation(self) -> Size:
        if self.phase is Phase.FADED:
            doubt = self.bias.sd
            low, high = (self._level.quantile(p, doubt) for p in (0.025, 0.975))
            fall, sd = self._level.mean, math.sqrt(self._level.variance + self.bias.variance)
        else:
            fall, sd = self.size()
            low, high = fall - Z95 * sd, fall + Z95 * sd
        at_low, at_high = self._attenuation_of(low), self._attenuation_of(high)
        slope = (at_high - at_low) / (high - low)
        return Size(self._attenuation_of(fall), slope * sd, at_low, at_high)

    def size(self) -> tuple[float, float]:
        """Present fade in dB, positive when the SNR fell, and its standard deviation.

        While watching it is the median of the last reports: a fade that still grows has no better estimate.
        """
        if self.phase is Phase.FADED:
            return self.fade.mean, self.fade.sd
        last = sorted(self.bias.mean - offset for _, offset, _ in list(self._recent)[-3:])
        count = sum(links for _, _, links in list(self._recent)[-3:])
        return (last[len(last) // 2] if last else 0.0), 1.25 * self.noise.sd / math.sqrt(max(count, 1))

    def adopt(self) -> None:
        """The change is taken into the belief: the fade follows the reports from now on."""
        onset_s = self.cusum.onset_s(-1)
        if self.cusum.level(-1) > 0.0:
            self.bias.mean, self.bias.variance = self._bias_at_onset
        size, _ = self.size()
        self.phase = Phase.FADED
        self._quiet = 0
        self._level = Level(0.0, _FADE_SPREAD_DB)
        for begins_s, offset, count in self._recent:
            if begins_s >= onset_s:
                self._level.add(
                    self.bias.mean - offset, self.noise.sd / math.sqrt(count), self.noise.memory_phi
                )
        self._most = size
        self.fade = ScalarKalman(self._level.mean, sd=math.sqrt(self._level.variance), process_sd=0.0)
        self.noise.skip()
        self.cusum.reset()

    def dismiss(self) -> None:
        """The change is taken as a new normal: into the bias."""
        size, _ = self.size()
        self.bias = ScalarKalman(self.bias.mean - size, sd=0.5, process_sd=self.bias.process_sd)
        self._start_over()

    @property
    def over(self) -> bool:
        """Whether a fade has been gone for long enough."""
        return self.phase is Phase.FADED and self._quiet >= QUIET_WINDOWS

    @property
    def ended_s(self) -> float:
        """Run time at which the fade was first seen to be gone."""
        return self._ended_s

    def clear(self) -> None:
        """The fade is over: none is left, and a little doubt about the bias."""
        self.phase = Phase.WATCHING
        self.fade = ScalarKalman(0.0, sd=0.0, process_sd=0.0)
        self.bias.variance += 0.2**2
        self._start_over()

    def moved(self) -> None:
        """The other end is another modem now: as much is known of the bias as at first."""
        self.bias.variance = max(self.bias.variance, _UNKNOWN_BIAS_DB**2)
        self._start_over()

    def _start_over(self) -> None:
        self.cusum.reset()
        self.noise.skip()
        self._hold = _HOLD_WINDOWS
