"""Scores of forecasts against closed forms and plain loops."""

from __future__ import annotations

import json

import numpy as np
import pytest

from testbed.measured.measurement import Measurement
from testbed.measured.prediction.forecasts import LEVELS, Quantiles
from testbed.measured.prediction.scoring import band, crps, crps_of_values, score, score_by_horizon
from testbed.twin.compare import crps_gaussian, crps_samples

from scipy.stats import norm  # isort: skip

#: 110 quantiles stand for a Gaussian this well
of_quantiles = 3e-3


def _gaussian(observed, mean, sd, levels=LEVELS):
    quantiles = np.asarray(mean)[:, None] + np.asarray(sd)[:, None] * norm.ppf(levels)
    return Quantiles(np.arange(len(observed), dtype=float), observed, levels, quantiles.astype(np.float32))


def test_crps_of_quantiles_of_a_gaussian_is_the_closed_form():
    random = np.random.default_rng(3)
    mean, sd = random.normal(30.0, 5.0, 200), random.uniform(1.0, 4.0, 200)
    observed = random.normal(mean, 2.0 * sd)
    assert crps(_gaussian(observed, mean, sd)).mean() == pytest.approx(
        crps_gaussian(observed, mean, sd), rel=of_quantiles
    )


def test_uneven_levels_count_by_what_is_nearest_to_them():
    random = np.random.default_rng(4)
    levels = np.sort(np.concatenate((LEVELS[::2], LEVELS[:20])) + random.uniform(0, 1e-4, 75))
    observed = random.normal(10.0, 2.0, 100)
    forecasts = _gaussian(observed, np.full(100, 10.0), np.full(100, 2.0), levels)
    assert crps(forecasts).mean() == pytest.approx(crps_gaussian(observed, 10.0, 2.0), rel=2e-2)


def test_crps_of_one_distribution_is_that_of_its_equally_likely_values():
    random = np.random.default_rng(5)
    values, observed = random.gamma(2.0, 3.0, 5000), random.gamma(2.0, 4.0, 50)
    expected = crps_samples(observed, np.quantile(values, LEVELS))
    assert crps_of_values(observed, values).mean() == pytest.approx(expected, rel=1e-9)


def test_the_band_is_read_between_levels_too():
    levels = np.array([0.01, 0.09, 0.5, 0.91, 0.99])
    forecasts = Quantiles(
        np.zeros(1), np.zeros(1), levels, np.array([[1.0, 9.0, 50.0, 91.0, 99.0]], np.float32)
    )
    assert [float(end[0]) for end in band(forecasts)] == pytest.approx([5.0, 95.0])


def _white(count=4000, seed=7):
    random = np.random.default_rng(seed)
    return Measurement("x", "rtt", np.arange(count) * 0.1, random.normal(50.0, 5.0, count), True)


def test_climatology_has_no_skill_and_covers_what_it_says():
    whole = _white()
    calibration, test = whole.between(0.0, 200.0), whole.between(200.0, 400.0)
    quantiles = np.tile(np.quantile(calibration.values, LEVELS), (len(test), 1)).astype(np.float32)
    result = score(Quantiles(test.times_s, test.values, LEVELS, quantiles), [calibration], test, 1.0)
    assert result.crps_skill == pytest.approx(0.0, abs=1e-6)
    assert result.picp90 == pytest.approx(0.9, abs=0.02)
    assert result.interval_score == pytest.approx(result.interval_score_climatology, rel=1e-2)
    # the mean distance of two Gaussian values is 2 sd / sqrt(pi)
    assert result.crps_persistence == pytest.approx(10.0 / np.sqrt(np.pi), rel=0.05)


def test_the_interval_of_the_skill_holds_it_and_narrows_with_more_data():
    widths = []
    for count in (2000, 20000):
        test = _white(count)
        forecasts = _gaussian(test.values, 50.0 + 0.5 * (test.values - 50.0), np.full(count, 3.0))
        forecasts.times_s = test.times_s
        result = score(forecasts, [_white(seed=1)], test, 1.0)
        low, high = result.crps_skill_interval
        assert low < result.crps_skill < high
        widths.append(high - low)
    assert widths[1] < 0.6 * widths[0]


def test_persistence_knows_replies_that_came_and_not_probes_that_were_sent():
    test = Measurement("x", "rtt", np.array([0.0, 0.5, 1.5]), np.array([900.0, 10.0, 10.0]), True)
    forecasts = _gaussian(test.values, test.values, np.ones(3))
    forecasts.times_s = test.times_s
    calibration = Measurement("c", "rtt", np.arange(3.0), np.array([4.0, 4.0, 4.0]), True)
    # a second before each of the three nothing is known: the first reply comes at 0.51 s, before 0.9 s
    assert score(forecasts, [calibration], test, 1.0).crps_persistence == pytest.approx(
        (896.0 + 6.0 + 6.0) / 3
    )
    assert score(forecasts, [calibration], test, 0.9).crps_persistence == pytest.approx(
        (896.0 + 6.0 + 0.0) / 3
    )


def test_scores_are_json_and_one_a_horizon():
    class Fixed:
        def forecasts(self, test, horizon_s):
            return _gaussian(test.values, np.full(len(test), 50.0 + horizon_s), np.full(len(test), 5.0))

    test = _white(500)
    results = score_by_horizon(Fixed(), [test], test, (0.5, 20.0))
    assert [result.horizon_s for result in results] == [0.5, 20.0]
    assert results[0].crps < results[1].crps
    assert json.loads(json.dumps(results[0].as_dict(), allow_nan=False))["samples"] == 500


def test_a_gap_of_years_is_no_window():
    times_s = np.append(np.arange(100.0), 3e9 + np.arange(100.0))
    observed = np.random.default_rng(1).normal(30.0, 2.0, 200)
    test = Measurement("gap", "rtt", times_s, observed, True)
    quantiles = _gaussian(observed, np.full(200, 30.0), np.full(200, 2.0)).quantiles
    found = score(Quantiles(times_s, observed, LEVELS, quantiles), [test], test, 1.0)
    assert np.isfinite(found.crps_skill_interval).all()
