"""Belief about a server's speed: changes of a tenth are found, sized with an honest interval, and ended."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.twin.detect import threshold_for
from testbed.twin.servers import ServerBelief

THRESHOLD = threshold_for(1e8, 1.0)
HZ = 6e9


class Machine:
    """A server that finishes a task of 0.1 to 1.4 gigacycles each 0.8 s."""

    def __init__(self, seed: int, noise_log: float = 0.01) -> None:
        self.rng, self.now_s, self._noise = np.random.default_rng(seed), 0.0, noise_log

    def task(self, factor: float) -> tuple[float, float, float]:
        self.now_s += 0.8
        cycles = float(self.rng.uniform(1e8, 1.4e9))
        return cycles, cycles / (HZ * factor) * float(np.exp(self.rng.normal(0.0, self._noise))), self.now_s


def changed(seed: int, factor: float, before: int = 80, after: int = 60) -> tuple[ServerBelief, int]:
    """A server that changed its speed once, and how many tasks it took to notice."""
    machine, belief, noticed = Machine(seed), ServerBelief(HZ, THRESHOLD), 0
    for number in range(before + after):
        alarm = belief.observe(*machine.task(factor if number >= before else 1.0))
        if alarm is not None:
            assert number >= before
            noticed = noticed or number - before + 1
            belief.adopt(alarm.onset_s)
    return belief, noticed


@pytest.mark.parametrize("factor", [0.9, 0.7, 0.5])
def test_a_change_is_noticed_within_a_few_tasks(factor: float) -> None:
    for seed in range(20):
        belief, noticed = changed(seed, factor)
        assert 1 <= noticed <= 6
        assert belief.size().mean == pytest.approx(factor, rel=0.02)


def test_the_interval_holds_the_factor_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        factor = float(np.random.default_rng([seed, 7]).uniform(0.5, 0.9))
        size = changed(seed, factor, after=40)[0].size()
        held += size.low95 <= factor <= size.high95
    assert 0.91 <= held / 200 <= 0.99


def test_a_day_of_tasks_at_one_speed_is_no_change() -> None:
    machine, belief = Machine(1, noise_log=0.03), ServerBelief(HZ, THRESHOLD)
    assert all(belief.observe(*machine.task(1.0)) is None for _ in range(50_000))


def test_the_old_speed_is_noticed_when_it_is_back() -> None:
    machine, belief = Machine(2), ServerBelief(HZ, THRESHOLD)
    for number in range(100):
        alarm = belief.observe(*machine.task(0.8 if 50 <= number < 80 else 1.0))
        if alarm is not None:
            belief.adopt(alarm.onset_s)
        if belief.over:
            break
    assert 80 <= number <= 84
    assert belief.ended_s == pytest.approx(80 * 0.8 + 0.7, abs=1.0)


def noticed_when_busy(seed: int, mean_s: float, shrink: float) -> bool:
    """Whether a machine that adds exponential overheads to tasks `shrink` as long is called slow."""
    machine, belief = Machine(seed), ServerBelief(HZ, THRESHOLD)
    for number in range(200):
        cycles, service_s, now_s = machine.task(1.0)
        late_s = float(machine.rng.exponential(mean_s)) if number >= 80 else 0.0
        if belief.observe(shrink * cycles, shrink * service_s + late_s, now_s) is not None:
            return True
    return False


@pytest.mark.parametrize(("mean_s", "shrink"), [(0.001, 1.0), (0.005, 1.0), (0.005, 0.4)])
def test_a_busy_machine_that_lets_tasks_wait_is_seldom_called_slow(mean_s: float, shrink: float) -> None:
    """What is called slow here may still be dismissed for its size."""
    assert sum(noticed_when_busy(seed, mean_s, shrink) for seed in range(40)) <= 4


def test_a_server_that_is_slower_on_a_busy_machine_is_noticed() -> None:
    for seed in range(10):
        machine, belief = Machine(seed), ServerBelief(HZ, THRESHOLD)
        for number in range(120):
            cycles, service_s, now_s = machine.task(0.7 if number >= 80 else 1.0)
            alarm = belief.observe(cycles, service_s + float(machine.rng.exponential(0.001)), now_s)
            if alarm is not None:
                break
        assert 80 <= number <= 86
