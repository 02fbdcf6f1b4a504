"""Which satellites a gateway follows when it cannot follow all."""

from __future__ import annotations

import numpy as np

from emulator.topology.feeders import fed

HIGH = np.array([9.9, 20.0, 80.0, 30.0, 30.0])
LOAD = np.array([9, 1, 0, 2, 2], dtype=np.int32)


def test_every_satellite_in_sight_is_fed_without_a_limit() -> None:
    assert fed(HIGH, LOAD, 10.0, 0).tolist() == [1, 2, 3, 4]


def test_a_limit_that_is_not_reached_changes_nothing() -> None:
    assert fed(HIGH, LOAD, 10.0, 4).tolist() == [1, 2, 3, 4]


def test_those_with_most_terminals_are_kept_then_the_highest_then_the_first() -> None:
    assert fed(HIGH, LOAD, 10.0, 3).tolist() == [1, 3, 4]
    assert fed(HIGH, LOAD, 10.0, 1).tolist() == [3]
    assert fed(HIGH, np.zeros(5, dtype=np.int32), 10.0, 2).tolist() == [2, 3]
