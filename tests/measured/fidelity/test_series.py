"""A measurement over time: step medians, autocorrelation, Allan deviation, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.measured.fidelity.series import (
    allan_deviation,
    autocorrelation,
    halfway_s,
    interval_s,
    sent,
    step_medians,
    stretches,
)
from testbed.measured.measurement import Measurement
from tests.measured.fidelity.made import BEGIN_S, measurement, noise

#: of an autocorrelation over 2000 correlation times
three_hundredths = 0.03
ten_percent = 0.10


def test_medians_are_of_the_samples_of_each_step() -> None:
    times_s = np.array([10.0, 10.05, 10.09, 10.1, 10.35])
    numbers, medians = step_medians(times_s, np.array([5.0, 1.0, 2.0, 7.0, 9.0]), 0.1)
    assert numbers.tolist() == [100, 101, 103]
    assert medians.tolist() == [2.0, 7.0, 9.0]


def test_steps_without_samples_lie_on_a_line_and_long_gaps_part_the_series() -> None:
    times_s = np.array([0.05, 0.35, 100.05, 100.15])
    first, second = stretches(times_s, np.array([1.0, 4.0, 8.0, 9.0]))
    assert first.values.tolist() == pytest.approx([1.0, 2.0, 3.0, 4.0])
    assert second.values.tolist() == [8.0, 9.0]
    assert second.middles_s.tolist() == pytest.approx([100.05, 100.15])


def test_autocorrelation_of_an_ar1_process_decays_with_its_time() -> None:
    rng = np.random.default_rng(1)
    times_s = BEGIN_S + 0.1 * np.arange(200_000)
    made = measurement(times_s, 40.0 + noise(rng, len(times_s), 10.0, 0.1))
    expected = [math.exp(-lag / 10.0) for lag in (1.0, 5.0, 15.0, 30.0)]
    assert autocorrelation(made) == pytest.approx(expected, abs=three_hundredths)


def test_autocorrelation_counts_no_pair_across_a_long_gap() -> None:
    rng = np.random.default_rng(2)
    values = 40.0 + noise(rng, 4000, 5.0, 0.1)
    times_s = BEGIN_S + 0.05 + 0.1 * np.arange(4000)
    times_s[2000:] += 1e6
    halves = [values[:2000], values[2000:]]
    lag, away = 50, [half - values.mean() for half in halves]
    expected = sum(float(np.sum(x[lag:] * x[:-lag])) for x in away) / float(
        np.sum((values - values.mean()) ** 2)
    )
    assert autocorrelation(measurement(times_s, values), [5.0])[0] == pytest.approx(expected)


def test_lags_shorter_than_the_sampling_or_longer_than_the_recording_are_not_told() -> None:
    made = measurement(BEGIN_S + 2.0 * np.arange(10), np.arange(10.0) + 1.0)
    told = np.isfinite(autocorrelation(made, [1.0, 5.0, 100.0]))
    assert told.tolist() == [False, True, False]
    assert np.isnan(autocorrelation(measurement(made.times_s, np.full(10, 3.0)))).all()


def test_allan_deviation_of_white_noise_falls_with_the_root_of_the_averaging_time() -> None:
    rng = np.random.default_rng(3)
    made = measurement(BEGIN_S + 0.01 * np.arange(100_000), 40.0 + rng.normal(size=100_000))
    found = allan_deviation(made, [0.1, 0.5, 1.0])
    assert found == pytest.approx([1.0 / math.sqrt(n) for n in (10, 50, 100)], rel=ten_percent)


def test_allan_deviation_of_a_drift_grows_with_the_averaging_time() -> None:
    made = measurement(BEGIN_S + 0.1 * np.arange(6000), 40.0 + 0.1 * np.arange(6000))
    # neighbouring averages over tau differ by tau times the slope of 1 a second
    assert allan_deviation(made, [1.0, 10.0]) == pytest.approx([1.0 / math.sqrt(2), 10.0 / math.sqrt(2)])


def test_allan_deviation_is_not_told_below_the_sampling_nor_of_few_neighbours() -> None:
    made = measurement(BEGIN_S + np.arange(100.0), np.arange(100.0))
    assert np.isfinite(allan_deviation(made, [0.5, 2.0, 50.0])).tolist() == [False, True, False]


def test_what_is_stamped_on_arrival_was_sent_a_round_trip_earlier_and_half_way_in_between() -> None:
    made = Measurement(
        "x", "rtt", np.array([10.0, 10.01]), np.array([20.0, 50.0]), losses_known=True, stamped="received"
    )
    assert sent(made).times_s.tolist() == pytest.approx([9.96, 9.98])
    assert sent(made).values.tolist() == [50.0, 20.0]
    assert halfway_s(sent(made)).tolist() == pytest.approx([9.985, 9.99])


def test_losses_are_left_out_and_the_usual_interval_is_between_different_times() -> None:
    made = measurement(np.array([1.0, 2.0, 3.0]), np.array([5.0, math.nan, 6.0]))
    assert sent(made).values.tolist() == [5.0, 6.0]
    assert interval_s(np.array([1.0, 1.0, 1.5, 2.0])) == 0.5
    assert math.isnan(interval_s(np.array([1.0])))
