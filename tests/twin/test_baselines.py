"""Trivial predictions: medians and distributions of the calibration part."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.twin import compare
from testbed.twin.baselines import Climatology, ConstantBaseline

CALIBRATION_S = 10.0


def baseline(values: list[float]) -> ConstantBaseline:
    made = ConstantBaseline(CALIBRATION_S)
    for k, value in enumerate(values):
        made.add("a", "delay_ms", value, CALIBRATION_S * k / len(values))
    return made


def test_the_crps_of_a_climatology_is_that_of_its_values() -> None:
    values = np.random.default_rng(4).exponential(3.0, 200)
    for observed in (-1.0, 0.3, float(values[7]), 50.0):
        expected = compare.crps_samples([observed], values)
        assert Climatology(values.tolist()).crps(observed) == pytest.approx(expected)


def test_what_comes_after_the_calibration_part_changes_nothing() -> None:
    made = baseline([1.0, 2.0, 3.0, 4.0, 5.0])
    before = made.climatology("a", "delay_ms", CALIBRATION_S + 1.0)
    made.add("a", "delay_ms", 100.0, CALIBRATION_S + 1.0)
    after = made.climatology("a", "delay_ms", CALIBRATION_S + 2.0)
    assert before is not None
    assert after is before
    assert made.value("a", "delay_ms") == 3.0


def test_there_is_no_climatology_before_its_part_is_over_or_without_values() -> None:
    made = baseline([1.0] * 5)
    assert made.climatology("a", "delay_ms", CALIBRATION_S) is None
    assert made.climatology("b", "delay_ms", CALIBRATION_S + 1.0) is None
    made.add("late", "delay_ms", 1.0, CALIBRATION_S + 1.0)
    assert made.climatology("late", "delay_ms", CALIBRATION_S + 1.0) is None


def test_a_long_calibration_part_is_kept_evenly_and_in_bounds() -> None:
    made = baseline([float(k) for k in range(100_000)])
    kept = made._values[("a", "delay_ms")]
    assert len(kept) <= 2049
    assert set(np.diff(kept)) == {64.0}
    assert made.value("a", "delay_ms") == pytest.approx(50_000, rel=0.01)


def test_the_constant_is_the_median_after_every_value() -> None:
    made, values = baseline([]), np.random.default_rng(8).exponential(1.0, 5000).tolist()
    for count, value in enumerate(values[:60], 1):
        made.add("a", "delay_ms", value, 0.0)
        assert made.value("a", "delay_ms") == pytest.approx(np.median(values[:count]), rel=1e-12)
    for value in values[60:]:
        made.add("a", "delay_ms", value, 0.0)
    assert made.value("a", "delay_ms") == pytest.approx(np.median(made._values["a", "delay_ms"]), rel=1e-12)


def test_what_is_forgotten_is_learned_anew() -> None:
    made = baseline([1.0, 2.0, 3.0, 4.0])
    made.forget("a")
    assert made.value("a", "delay_ms") is None
    made.add("a", "delay_ms", 7.0, CALIBRATION_S + 1.0)
    assert made.value("a", "delay_ms") == 7.0
