"""Belief about one server: how its real service rate relates to the nominal one.

The state is the logarithm of that factor. It is learned task by task; when the tasks no longer fit it, an
alarm is raised, the belief jumps to the new speed and follows quickly until the old one is back.
"""

from __future__ import annotations

import math

from testbed.twin.detect import Alarm, Cusum, Whitener
from testbed.twin.filters import Reservoir, ScalarKalman

#: a change of speed below this share is not worth a name
SMALLEST_CHANGE = 0.12
_START_TASKS = 4
_QUIET_TASKS = 2
_SLOW_DRIFT, _FAST_DRIFT = 0.003, 0.1


class ServerBelief:
    """Service rate of one server from its finished tasks."""

    def __init__(self, nominal_hz: float, threshold: float) -> None:
        self.nominal_hz = nominal_hz
        self.factor_log = ScalarKalman(0.0, sd=0.15, process_sd=_SLOW_DRIFT)
        self.noise = Whitener(prior_sd=0.06, floor_sd=0.03, memory=120, prior_weight=8)
        self.cusum = Cusum(threshold, clip=6.0)
        self.residuals = Reservoir(64)
        self.changed = False
        self.tasks = 0
        self.ended_s = 0.0
        self._before = 0.0
        self._recent: list[tuple[float, float]] = []  # (began, log factor of the task)
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
        self._recent = [*self._recent[-15:], (done_s - service_s, log_factor)]
        if self.changed:
            self.factor_log.update(log_factor, self.noise.sd)
            back = abs(log_factor - self._before) < max(SMALLEST_CHANGE, 4.0 * self.noise.sd)
            if back and self._quiet == 0:
                self.ended_s = done_s - service_s
            self._quiet = self._quiet + 1 if back else 0
            return None
        if self.tasks <= _START_TASKS:
            self.factor_log.update(log_factor, self.noise.sd)
            return None
        alarm = self.cusum.add(self.noise.innovation(residual), done_s - service_s)
        if self.cusum.level() < 0.3:
            self.noise.learn(residual)
            self.factor_log.update(log_factor, self.noise.sd)
        else:
            self.noise.skip(residual)
        return alarm if self._agree() else None

    def _agree(self) -> bool:
        """Whether the last two tasks tell the same speed: two hiccups of the machine would not."""
        (_, before), (_, last) = self._recent[-2:]
        return abs(last - before) < max(0.15, 4.0 * self.noise.sd)

    def size(self, onset_s: float) -> tuple[float, float]:
        """Speed relative to before the change, from the tasks since `onset_s`, and its sd.

        The median: the first of these tasks may have begun before the change and is no measure of it.
        """
        since = sorted(value for began, value in self._recent if began >= onset_s - 1e-9)
        if not since:
            since = [self._recent[-1][1]]
        middle = since[len(since) // 2] if len(since) % 2 else 0.5 * sum(since[len(since) // 2 - 1 :][:2])
        factor = math.exp(middle - self.factor_log.mean)
        return factor, factor * self.noise.sd * 1.25 / math.sqrt(len(since))

    def adopt(self, factor: float, sd: float) -> None:
        """The change is taken into the belief, which follows the tasks quickly from now on."""
        self._before = self.factor_log.mean
        mean = self._before + math.log(factor)
        self.factor_log = ScalarKalman(mean, sd=max(sd / factor, 0.05), process_sd=_FAST_DRIFT)
        self.changed = True
        self._quiet = 0
        self.cusum.reset()

    @property
    def over(self) -> bool:
        """Whether the server works as it did before the change."""
        return self.changed and self._quiet >= _QUIET_TASKS

    def clear(self) -> None:
        self.factor_log = ScalarKalman(self._before, sd=0.05, process_sd=_SLOW_DRIFT)
        self.changed = False
        self._quiet = 0
        self.noise.skip()
        self.cusum.reset()
