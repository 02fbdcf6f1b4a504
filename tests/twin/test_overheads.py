"""A slower server told from a busy machine, by tasks that both lengthen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.twin.overheads import Task, slower_rather_than_late

SD = 0.01
LENGTHS_S = (0.02, 0.15, 0.06, 0.1, 0.03, 0.2)


def tasks(
    factor: float, overheads_s: tuple[float, ...], lengths_s: tuple[float, ...] = LENGTHS_S
) -> list[Task]:
    made = []
    for length_s, late_s in zip(lengths_s, overheads_s, strict=True):
        service_s = length_s / factor + late_s
        made.append((math.log(length_s / service_s), service_s, 1.0))
    return made


NONE = (0.0,) * len(LENGTHS_S)


@pytest.mark.parametrize("factor", [0.9, 0.7, 0.5])
def test_the_same_share_of_every_task_is_a_speed(factor: float) -> None:
    assert slower_rather_than_late(tasks(factor, NONE), SD)


@pytest.mark.parametrize("late_s", [0.002, 0.005, 0.015])
def test_the_same_time_for_every_task_is_none(late_s: float) -> None:
    assert not slower_rather_than_late(tasks(1.0, (late_s,) * len(LENGTHS_S)), SD)


def test_delays_of_which_some_are_long_are_none() -> None:
    assert not slower_rather_than_late(tasks(1.0, (0.001, 0.03, 0.0, 0.012, 0.008, 0.0)), SD)


def test_a_task_that_was_delayed_does_not_hide_a_speed() -> None:
    assert slower_rather_than_late(tasks(0.7, (0.0, 0.0, 0.05, 0.0, 0.0, 0.0)), SD)


def test_what_no_overhead_can_be_is_a_speed_after_two_tasks() -> None:
    assert slower_rather_than_late(tasks(0.5, (0.0, 0.0), (0.15, 0.15)), SD)


def test_tasks_as_fast_as_believed_are_not_slower() -> None:
    random = np.random.default_rng(1)
    for _ in range(100):
        made = [(float(random.normal(0.0, SD)), 0.1, 1.0) for _ in range(10)]
        assert not slower_rather_than_late(made, SD)


def test_no_task_tells_nothing() -> None:
    assert not slower_rather_than_late([], SD)
