"""Predictors by name, and which of them is taken."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured.prediction.baselines import Climatology, Persistence, Regression
from testbed.measured.prediction.choice import choose_predictor, predictor, predictors, slots_of
from testbed.measured.prediction.scoring import crps, score
from tests.measured.prediction.made import BEGIN_S, OFFSET_S, PERIOD_S, halves, round_trips, slotted


def test_slots_are_found_in_the_calibration_data():
    period_s, offset_s = slots_of([slotted()])
    assert period_s == pytest.approx(PERIOD_S)
    assert offset_s == pytest.approx(OFFSET_S, abs=0.1)


def test_on_a_path_with_slots_the_adaptive_predictor_is_taken():
    calibration, _ = halves(slotted())
    choice = choose_predictor([calibration])
    assert choice.name == "adaptive"
    assert set(choice.scores) == set(predictors())
    assert choice.scores["adaptive"].crps < choice.scores["regression"].crps


def test_an_unknown_predictor_is_refused_by_name():
    with pytest.raises(
        BadInput, match="the predictor is 'oracle', allowed: adaptive, climatology, persistence"
    ):
        predictor("oracle", [slotted(60.0)])


def test_the_regression_is_the_line_that_the_data_follow():
    random = np.random.default_rng(8)
    sent_s = BEGIN_S + np.arange(0.0, 400.0, 0.1)
    logs = np.zeros(len(sent_s))
    for row in range(20, len(logs)):
        logs[row] = 0.9 * logs[row - 20] + random.normal(0.0, 0.1)
    calibration, test = halves(round_trips(sent_s, 30.0 * np.exp(logs)))
    # the second known ends 1.03 s or more before, hence the mean holds little of what decides
    result = score(Regression([calibration]).forecasts(test, 1.0), [calibration], test, 1.0)
    assert result.crps_skill > -0.05
    assert 0.8 < result.picp90 < 0.97


def test_persistence_is_the_value_known_last_with_what_calibration_was_away():
    sent_s = BEGIN_S + np.arange(0.0, 100.0, 0.5)
    values = 30.0 + 10.0 * (np.arange(200) // 50)
    calibration, test = halves(round_trips(sent_s, values.astype(float)))
    forecasts = Persistence([calibration]).forecasts(test, 1.0)
    assert float(np.median(crps(forecasts))) < 0.5
    assert forecasts.quantiles[-1, 55] == pytest.approx(60.0)


def test_climatology_does_not_depend_on_the_test():
    calibration, test = halves(slotted(60.0))
    forecasts = Climatology([calibration]).forecasts(test, 1.0)
    assert np.ptp(forecasts.quantiles, axis=0).max() == 0.0
