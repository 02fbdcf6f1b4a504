"""Belief about one server: how its real service rate relates to the nominal one.

The state is the logarithm of that factor. It is learned task by task; when the tasks no longer fit it, an
alarm is raised, the belief jumps to the new speed and follows quickly until the old one is back. What a busy
machine adds to a task (`overheads`) is no speed, and tasks that it explains better raise none.
"""

from __future__ import annotations

import math
from collections import deque

from testbed.twin.attribution import Size
from testbed.twin.changepoint import Level
from testbed.twin.detect import Alarm, Cusum, Whitener
from testbed.twin.filters import Reservoir, ScalarKalman
from testbed.twin.overheads import slower_rather_than_late

#: a change of speed below this share is not worth a name
SMALLEST_CHANGE = 0.04
_START_TASKS = 4
_QUIET_TASKS = 2
#: drift of the logarithm of a speed over one second
_DRIFT = 0.0001
#: logarithm of the factor by which a speed may lie off after a change
_SPREAD = 0.5
#: tasks that are remembered
_RECENT = 16
#: an overhead of the machine changes a task of this length as much as everything else does, s
_OVERHEAD_S = 0.03


class ServerBelief:
    """Service rate of one server from its finished tasks."""

    def __init__(self, nominal_hz: float, threshold: float) -> None:
        self.nominal_hz = nominal_hz
        self.factor_log = ScalarKalman(0.0, sd=0.15, process_sd=_DRIFT)
        #: of a long task; alarms keep a respectful distance to what a machine may do
        self.noise = Whitener(prior_sd=0.06, floor_sd=0.02, memory=120, prior_weight=8)
        #: the same for what is claimed of a size: no more than was seen
        self._fine = Whitener(prior_sd=0.015, floor_sd=0.001, memory=120, prior_weight=2)
        self.cusum = Cusum(threshold, clip=6.0)
        self.residuals = Reservoir(64)
        self.changed = False
        self.tasks = 0
        self.ended_s = 0.0
        self._before = self.factor_log.copy()
        self._level = Level(0.0, _SPREAD)
        #: (began, log factor, scale of its noise, service time s) of the last tasks
        self._recent: deque[tuple[float, float, float, float]] = deque(maxlen=_RECENT)
        self._most = 0.0
        self._quiet = 0
        self._last_s = 0.0

    @property
    def mean_hz(self) -> float:
        return self.nominal_hz * math.exp(self.factor_log.mean)

    @property
    def median_hz(self) -> float:
        """Median of the rate seen in a window: overheads lower short tasks' rates more than long ones'."""
        usual = self.residuals.quantile(0.5) if self.residuals.count >= 12 and not self.changed else 0.0
        return self.mean_hz * math.exp(usual)

    @property
    def sd_log(self) -> float:
        """Standard deviation of the logarithm of a window's rate."""
        return math.sqrt(self.factor_log.variance + self.noise.sd**2)

    def band_hz(self) -> tuple[float, float]:
        """90 % band of the rate seen in a window."""
        low, high = -1.645 * self.sd_log, 1.645 * self.sd_log
        if self.residuals.count >= 12:
            low, high = self.residuals.quantile(0.05), self.residuals.quantile(0.95)
            # Paced work varies by fractions of a millisecond: a band of no width would never be right.
            low, high = min(low, -0.002), max(high, 0.002)
        return self.mean_hz * math.exp(low), self.mean_hz * math.exp(high)

    def observe(self, cycles: float, service_s: float, done_s: float) -> Alarm | None:
        """One task: cycles, seconds of service, run time of its completion."""
        if cycles <= 0.0 or service_s <= 0.0:
            return None
        log_factor = math.log(cycles / service_s / self.nominal_hz)
        self.factor_log.advance(max(done_s - self._last_s, 0.0))
        self._last_s = max(self._last_s, done_s)
        residual = log_factor - self.factor_log.mean
        self.tasks += 1
        scale = math.hypot(1.0, _OVERHEAD_S / service_s)
        self._recent.append((done_s - service_s, log_factor, scale, service_s))
        if self.changed:
            self._follow()
            return None
        if self.tasks <= _START_TASKS:
            self.factor_log.update(log_factor, self.noise.sd * scale)
            return None
        whole = residual / scale
        alarm = self.cusum.add(self.noise.innovation(whole), done_s - service_s)
        if self.cusum.level() < 0.3:
            self.noise.learn(whole)
            self._fine.learn(whole)
            self.factor_log.update(log_factor, self._fine.sd * scale)
        else:
            self.noise.skip(whole)
            self._fine.skip(whole)
        if alarm is None or not self._agree():
            return None
        return alarm if alarm.sign > 0 or self._slower(alarm.onset_s) else None

    def _agree(self) -> bool:
        """Whether the last two tasks tell the same speed: two hiccups of the machine would not."""
        before, last = self._recent[-2][1], self._recent[-1][1]
        return abs(last - before) < max(0.06, 4.0 * self.noise.sd)

    def _slower(self, onset_s: float) -> bool:
        """Whether the tasks since `onset_s` speak of a lower speed rather than of a machine that is busy."""
        since = [
            (log_factor - self.factor_log.mean, service_s, scale)
            for began_s, log_factor, scale, service_s in self._recent
            if began_s >= onset_s - 1e-9
        ]
        if slower_rather_than_late(since, self._fine.sd):
            return True
        if len(since) == _RECENT:
            # a machine that stays busy: this is how its tasks vary now, and what comes is looked at anew
            self.cusum.reset()
            for residual, _, scale in since:
                self.noise.learn(residual / scale)
        return False

    def _follow(self) -> None:
        """The new speed after the last task; whether the old one is back."""
        _, log_factor, scale, _ = self._recent[-1]
        self._level.add(log_factor, self._fine.sd * scale)
        self.factor_log.mean, self.factor_log.variance = self._level.mean, self._level.variance
        before = self._before.mean
        present, _, tasks = self._level.likeliest()
        if abs(present - before) > max(0.3 * self._most, 0.5 * SMALLEST_CHANGE):
            self._quiet = 0
            self._most = max(self._most, abs(present - before) if tasks > 1 else 0.0)
            return
        if self._quiet == 0:
            self.ended_s = self._recent[max(-tasks, -len(self._recent))][0]
        self._quiet += 1

    def likely_size(self, onset_s: float) -> tuple[float, float]:
        """Speed relative to before an alarm, from the tasks since `onset_s`, and its sd.

        The median: the first of these tasks may have begun before the change and is no measure of it.
        """
        since = sorted(value for began, value, *_ in self._recent if began >= onset_s - 1e-9)
        if not since:
            since = [self._recent[-1][1]]
        middle = since[len(since) // 2] if len(since) % 2 else 0.5 * sum(since[len(since) // 2 - 1 :][:2])
        factor = math.exp(middle - self.factor_log.mean)
        return factor, factor * self.noise.sd * 1.25 / math.sqrt(len(since))

    def size(self) -> Size:
        """Speed relative to before the change, by what the tasks since have told."""
        doubt = self._before.sd
        low, high = (self._level.quantile(p, doubt) for p in (0.025, 0.975))
        factor = math.exp(self._level.mean - self._before.mean)
        sd = factor * math.sqrt(self._level.variance + self._before.variance)
        return Size(factor, sd, *(math.exp(end - self._before.mean) for end in (low, high)))

    def adopt(self, onset_s: float) -> None:
        """The change is taken into the belief, which follows the tasks quickly from now on."""
        self._before = self.factor_log.copy()
        self._level = Level(self._before.mean, _SPREAD)
        for began_s, log_factor, scale, _ in self._recent:
            if began_s >= onset_s - 1e-9:
                self._level.add(log_factor, self._fine.sd * scale)
        self.factor_log = ScalarKalman(self._level.mean, math.sqrt(self._level.variance), 0.0)
        self._most = abs(self._level.likeliest()[0] - self._before.mean)
        self.changed = True
        self._quiet = 0
        self.cusum.reset()

    @property
    def over(self) -> bool:
        """Whether the server works as it did before the change."""
        return self.changed and self._quiet >= _QUIET_TASKS

    def clear(self) -> None:
        self.factor_log = self._before.copy(extra_sd=0.02)
        self.changed = False
        self._quiet = 0
        self.noise.skip()
        self._fine.skip()
        self.cusum.reset()
