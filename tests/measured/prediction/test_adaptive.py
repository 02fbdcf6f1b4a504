"""The adaptive predictor on made-up paths whose best forecast is known, and what it may know when."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured.measurement import Measurement
from testbed.measured.prediction.adaptive import Adaptive
from testbed.measured.prediction.baselines import Regression
from testbed.measured.prediction.forecasts import LEVELS, samples_of
from testbed.measured.prediction.scoring import crps, crps_of_values, score
from tests.measured.prediction.made import BEGIN_S, OFFSET_S, PERIOD_S, halves, round_trips, slotted

HORIZON_S = 1.0
SLOTS = (PERIOD_S, OFFSET_S)


@pytest.fixture(scope="module")
def path():
    return halves(slotted())


@pytest.fixture(scope="module")
def calibrated(path):
    return Adaptive([path[0]], SLOTS)


@pytest.fixture(scope="module")
def told(path, calibrated):
    return calibrated.forecasts(path[1], HORIZON_S)


def test_every_answered_sample_has_a_forecast_and_no_lost_one(path, told):
    answered = path[1].answered
    assert told.times_s == pytest.approx(path[1].times_s[answered])
    assert told.observed == pytest.approx(path[1].values[answered])
    assert np.isfinite(told.quantiles).all()
    assert (np.diff(told.quantiles, axis=1) >= 0.0).all()


def test_forecasts_within_a_slot_are_nearly_as_good_as_knowing_its_level(path, told):
    errors = crps(told)
    since_s = (told.times_s - OFFSET_S) % PERIOD_S
    noise = np.random.default_rng(9).gamma(2.0, 2.0, 20_000)
    least = crps_of_values(noise[:2000], noise).mean()
    assert errors[since_s > 4.0].mean() < 1.15 * least
    # and where a boundary lies between, it can only be told that levels are from 20 to 60 ms
    assert errors[since_s < 0.9].mean() > 3.0 * least


def test_it_beats_the_regression_and_covers_what_it_says(path, told):
    own = score(told, [path[0]], path[1], HORIZON_S)
    line = score(Regression([path[0]], SLOTS).forecasts(path[1], HORIZON_S), [path[0]], path[1], HORIZON_S)
    assert own.crps_skill > line.crps_skill
    assert 0.87 <= own.picp90 <= 0.93


def test_what_was_not_known_a_horizon_before_changes_no_forecast(path, calibrated, told):
    _, test = path
    samples = samples_of(test)
    row = 2000
    now_s = samples.sent_s[row] - HORIZON_S
    later = np.flatnonzero(samples.known_s > now_s)
    values = samples.values.copy()
    values[later] = np.random.default_rng(2).uniform(100.0, 200.0, len(later))
    other = calibrated.forecasts(round_trips(samples.sent_s, values), HORIZON_S)
    assert np.array_equal(other.quantiles[: row + 1], told.quantiles[: row + 1])
    assert not np.array_equal(other.quantiles[row + 40], told.quantiles[row + 40])


def test_what_was_known_just_a_horizon_before_counts():
    sent_s = np.arange(0.0, 30.0, 0.25)
    calibration = round_trips(sent_s, 40.0 + np.random.default_rng(1).normal(0.0, 2.0, len(sent_s)))
    later_s = np.array([100.0, 101.25])
    by_ms = [Adaptive([calibration], None).forecasts(round_trips(later_s, np.array([ms, 40.0])), HORIZON_S)
             for ms in (80.0, 249.9, 250.1)]  # fmt: skip
    medians = [float(result.quantiles[1, 55]) for result in by_ms]
    assert medians[2] == pytest.approx(40.0, abs=2.0)
    assert min(medians[:2]) > 50.0


def test_samples_one_by_one_give_the_same_as_the_whole_recording(path, calibrated, told):
    samples = samples_of(path[1])
    live = calibrated.begin(HORIZON_S)
    seen = 0
    for row in range(600):
        known = int(samples.known_by(np.array([samples.sent_s[row] - HORIZON_S]))[0])
        for place in samples.order[seen:known]:
            live.observe(float(samples.sent_s[place]), float(samples.values[place]))
        seen = known
        quantiles = live.forecast(float(samples.sent_s[row])).astype(np.float32)
        assert np.array_equal(quantiles, told.quantiles[row])


def test_a_test_before_the_calibration_is_told_as_well(path):
    before, after = path
    result = score(Adaptive([after], SLOTS).forecasts(before, HORIZON_S), [after], before, HORIZON_S)
    assert result.crps_skill > 0.6


def test_one_predictor_gives_the_same_twice(path, calibrated, told):
    assert np.array_equal(calibrated.forecasts(path[1], HORIZON_S).quantiles, told.quantiles)


def test_a_cycle_within_the_slots_is_found_and_used():
    random = np.random.default_rng(3)
    sent_s = BEGIN_S + np.cumsum(random.uniform(0.01, 0.03, 12_000))
    cycle_s = 50 / 750
    values = 40.0 + 20.0 * ((sent_s - BEGIN_S) % cycle_s) / cycle_s + random.normal(0.0, 0.5, len(sent_s))
    calibration, test = halves(round_trips(sent_s, values))
    forecasts = Adaptive([calibration], SLOTS).forecasts(test, HORIZON_S)
    late = (forecasts.times_s - OFFSET_S) % PERIOD_S > 6.0
    usual = crps_of_values(forecasts.observed[late], calibration.values).mean()
    assert crps(forecasts)[late].mean() < 0.5 * usual


def test_spikes_that_every_boundary_brings_are_expected():
    calm = slotted(noise_ms=0.5)
    since_s = (calm.times_s - OFFSET_S) % PERIOD_S
    values = np.where(since_s < 0.12, 150.0 - 500.0 * since_s, calm.values)
    calibration, test = halves(round_trips(calm.times_s, values))
    forecasts = Adaptive([calibration], SLOTS).forecasts(test, HORIZON_S)
    spikes = (forecasts.times_s - OFFSET_S) % PERIOD_S < 0.12
    away = np.abs(forecasts.quantiles[spikes, 55] - forecasts.observed[spikes])
    assert np.median(away) < 20.0


def test_noise_without_any_structure_is_left_as_the_calibration_had_it():
    random = np.random.default_rng(5)
    whole = round_trips(BEGIN_S + np.arange(0, 400, 0.1), random.gamma(4.0, 10.0, 4000))
    calibration, test = halves(whole)
    result = score(Adaptive([calibration], None).forecasts(test, HORIZON_S), [calibration], test, HORIZON_S)
    assert -0.02 < result.crps_skill < 0.02
    assert 0.87 <= result.picp90 <= 0.93


def test_rates_that_are_zero_at_times_are_forecast_too():
    random = np.random.default_rng(6)
    rates = np.repeat(np.where(random.random(60) < 0.3, 0.0, random.uniform(50.0, 200.0, 60)), 20)
    whole = Measurement("x", "rate", BEGIN_S + np.arange(1200.0), rates, True)
    calibration, test = whole.between(BEGIN_S, BEGIN_S + 600), whole.between(BEGIN_S + 600, np.inf)
    forecasts = Adaptive([calibration], None).forecasts(test, HORIZON_S)
    assert forecasts.quantiles.min() > -5.0
    assert score(forecasts, [calibration], test, HORIZON_S).crps_skill > 0.5


def test_a_value_that_never_changes_is_forecast_as_it_is():
    whole = round_trips(BEGIN_S + np.arange(0, 60, 0.1), np.full(600, 25.0))
    calibration, test = halves(whole)
    forecasts = Adaptive([calibration], None).forecasts(test, HORIZON_S)
    assert np.abs(forecasts.quantiles - 25.0).max() < 1.0


@pytest.mark.parametrize("horizon_s", [-1.0, 31.0, float("nan")])
def test_a_horizon_out_of_range_is_refused(calibrated, path, horizon_s):
    with pytest.raises(BadInput, match=r"the horizon is .* s, allowed: 0 to 30"):
        calibrated.forecasts(path[1], horizon_s)


def test_too_few_samples_are_refused():
    with pytest.raises(BadInput, match="made-up: 10 answered samples calibrate no predictor, at least 50 do"):
        Adaptive([round_trips(np.arange(10.0), np.full(10, 5.0))], None)


def test_the_levels_are_those_of_the_forecasts(told):
    assert told.levels is LEVELS
