"""Belief about radio conditions at one place in one direction: a modem's bias, and a fade.

The bias (implementation loss other than published) is constant but for a slow drift; the fade, by which
weather lowers the SNR, is zero unless a change was detected, and then follows the reports quickly until it
is over. Weather raises the noise of a receiver too, so the attenuation behind a fade is less. Rates and
error rates are not here: the nominal network derives them from this belief.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum

from testbed.twin.detect import Alarm, Cusum, Whitener
from testbed.twin.filters import ScalarKalman

#: a fade below this is not worth a name, dB
SMALLEST_FADE_DB = 0.75
#: a fade counts as over below this, dB, for `QUIET_WINDOWS` in a row
OVER_DB = 0.6
QUIET_WINDOWS = 3
#: of a modem nobody has heard yet, dB
_UNKNOWN_BIAS_DB = 1.0
_START_WINDOWS = 4
_HOLD_WINDOWS = 4


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
        self.bias = ScalarKalman(0.0, sd=_UNKNOWN_BIAS_DB, process_sd=0.01)
        self.fade = ScalarKalman(0.0, sd=0.0, process_sd=0.0)
        # Until it is known whether reports are correlated, they are taken to be: the careful side.
        self.noise = Whitener(prior_sd=0.4, floor_sd=0.1, prior_phi=0.5)
        self.cusum = Cusum(threshold)
        self.phase = Phase.WATCHING
        self.windows = 0
        #: residual of the last window, mean over the links, and their number
        self.last: tuple[float, int] = (0.0, 0)
        self._hold = _START_WINDOWS
        self._quiet = 0
        self._ended_s = 0.0

    @property
    def sd(self) -> float:
        """Uncertainty of a predicted report: belief and report noise together, dB."""
        stationary = self.noise.sd / math.sqrt(1.0 - self.noise.phi**2)
        return math.sqrt(self.bias.variance + self.fade.variance + stationary**2)

    def observe(self, residuals: list[float], begins_s: float, window_s: float) -> Alarm | None:
        """The residuals of one window's reports; an alarm when they no longer fit."""
        residual = sum(residuals) / len(residuals)
        self.last = (residual, len(residuals))
        self.windows += 1
        noise_sd = self.noise.sd / math.sqrt(len(residuals))
        self.bias.advance(window_s)
        if self.phase is Phase.FADED:
            self.fade.advance(window_s)
            self.fade.update(self.fade.mean - residual, noise_sd, clip_sds=6.0)
            self.noise.skip()
            self._count_quiet(noise_sd, begins_s + window_s)
            return None
        scaled = residual * math.sqrt(len(residuals))
        if self._hold > 0:
            # The first reports teach the bias; they cannot be a change of anything.
            self._hold -= 1
            self.bias.update(self.bias.mean + residual, noise_sd)
            self.noise.skip(scaled if self._hold == 0 else None)
            return None
        alarm = self.cusum.add(self.noise.innovation(scaled), begins_s)
        if self.cusum.level() < 0.3:
            self.noise.learn(scaled)
            self.bias.update(self.bias.mean + residual, noise_sd)
        else:
            self.noise.skip(scaled)
        return alarm

    def attenuation(self) -> tuple[float, float]:
        """The attenuation behind the present fade in dB, and its standard deviation."""
        fall, sd = self.size()
        slope = (self._attenuation_of(fall + 0.1) - self._attenuation_of(fall - 0.1)) / 0.2
        return self._attenuation_of(fall), slope * sd

    def size(self) -> tuple[float, float]:
        """Present fade in dB, positive when the SNR fell, and its standard deviation.

        While watching it is the last residual: a fade that still grows has no better estimate.
        """
        if self.phase is Phase.FADED:
            return self.fade.mean, self.fade.sd
        return -self.last[0], self.noise.sd / math.sqrt(max(self.last[1], 1))

    def adopt(self) -> None:
        """The change is taken into the belief: the fade follows the reports from now on."""
        size, sd = self.size()
        self.phase = Phase.FADED
        self._quiet = 0
        self.fade = ScalarKalman(size, sd=max(sd, 0.5), process_sd=1.5)
        self.cusum.reset()

    def dismiss(self) -> None:
        """The change is taken as a new normal: into the bias."""
        self.bias = ScalarKalman(self.bias.mean + self.last[0], sd=0.5, process_sd=self.bias.process_sd)
        self._start_over()

    def _count_quiet(self, noise_sd: float, ends_s: float) -> None:
        limit = max(OVER_DB, 3.0 * noise_sd)
        if abs(self.fade.mean) > limit:
            self._quiet = 0
            return
        if self._quiet == 0:
            self._ended_s = ends_s
        self._quiet += 1

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
