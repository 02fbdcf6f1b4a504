"""What modems report of the distance: the mean of the window, a constant of the place, and noise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from testbed.plant.ranging import Ranging

C_M_PER_US = 299.792458
PLACES = ("a", "b", "c")


def _table(t_s: float, range_m: dict[tuple[int, int], float], radio: bool = True, up: bool = True) -> Any:
    count = len(range_m)
    return SimpleNamespace(
        t_s=t_s,
        src=np.array([a for a, _ in range_m], np.int32),
        dst=np.array([b for _, b in range_m], np.int32),
        range_m=np.array(list(range_m.values())),
        snr_db=np.full(count, 10.0 if radio else np.nan),
        up=np.full(count, up),
    )


def test_the_range_of_a_window_is_that_at_its_middle() -> None:
    ranging = Ranging(PLACES, 1, {}, 0.0)
    first, last = _table(1.2, {(0, 1): 1000e3}), _table(1.5, {(0, 1): 1300e3})
    # 0.05 s into the 0.3 s between the tables
    assert ranging.of(2, first, last, 1.25) == {(0, 1): pytest.approx(1050e3 / C_M_PER_US)}


def test_both_ends_are_off_by_their_own() -> None:
    ranging = Ranging(PLACES, 1, {"a": 2.0, "c": -0.5}, 0.0)
    table = _table(0.0, {(0, 1): 0.0, (0, 2): 0.0})
    assert ranging.of(0, table, table, 0.0) == {(0, 1): pytest.approx(2.0), (0, 2): pytest.approx(1.5)}


def test_noise_has_the_spread_that_is_asked_for_and_follows_from_the_seed() -> None:
    table = _table(0.0, {(0, 1): 0.0, (1, 0): 0.0})

    def reports(seed: int) -> list[float]:
        ranging = Ranging(PLACES, seed, {}, 0.5)
        return [value for k in range(2_000) for value in ranging.of(k, table, table, 0.0).values()]

    values = reports(1)
    five_sigma = 5 * 0.5 / np.sqrt(2 * len(values))
    assert np.std(values) == pytest.approx(0.5, abs=five_sigma)
    assert values == reports(1) != reports(2)


@pytest.mark.parametrize("changes", [{"radio": False}, {"up": False}])
def test_a_line_and_a_link_that_is_down_report_no_range(changes: dict[str, bool]) -> None:
    table = _table(0.0, {(0, 1): 1e6}, **changes)
    assert Ranging(PLACES, 1, {}, 0.0).of(0, table, table, 0.0) == {}


def test_a_link_that_came_after_the_middle_is_not_reported_yet() -> None:
    first, last = _table(1.2, {(0, 1): 1e6}), _table(1.5, {(0, 2): 2e6, (0, 1): 1e6})
    assert set(Ranging(PLACES, 1, {}, 0.0).of(2, first, last, 1.25)) == {(0, 1)}
