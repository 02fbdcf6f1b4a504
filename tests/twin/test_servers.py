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
