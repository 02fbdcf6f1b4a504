"""Forecasts of the next window: periods are found where there are some, and not where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.twin.forecast import Forecast, Levels, Seasons


def burst_train(period: int, windows: int, seed: int = 1) -> np.ndarray:
    """A quantity that is small and noisy, and large once a period."""
    random = np.random.default_rng(seed)
    values = random.normal(10.0, 1.0, windows)
    values[3::period] += 100.0
    return values


@pytest.mark.parametrize("period", [4, 8, 16])
def test_a_burst_that_comes_back_is_expected(period: int) -> None:
    forecast = Forecast(10.0, 5.0)
    values = burst_train(period, 12 * period)
    errors = []
    for number, value in enumerate(values):
        band = forecast.band(0.0, 1.0, 0.0, low=0.0)
        if number >= 4 * period:
            errors.append(abs(band.median - value))
        forecast.learn(value)
    assert np.mean(errors) < 3.0  # saying the median always errs by 100 / period on average


def test_the_band_of_a_periodic_quantity_holds_nine_in_ten() -> None:
    forecast = Forecast(10.0, 5.0)
    inside = []
    for number, value in enumerate(burst_train(8, 800)):
        if number >= 100:
            inside.append(forecast.band(0.0, 1.0, 0.0, low=0.0).holds(value))
        forecast.learn(value)
    assert 0.86 <= np.mean(inside) <= 0.96


def test_no_period_is_believed_of_noise() -> None:
    believed = 0
    for seed in range(20):
        seasons = Seasons()
        random = np.random.default_rng(seed)
        for value in random.lognormal(0.0, 1.0, 300):
            believed += seasons.expected() is not None
            seasons.learn(value, 1.0)
    assert believed < 0.01 * 20 * 300


def test_missing_windows_keep_the_phase() -> None:
    seasons = Seasons()
    values = burst_train(8, 120)
    for number, value in enumerate(values):
        if number % 11 == 5:
            seasons.miss()
        else:
            seasons.learn(value, 10.0)
    # Window 120 is of phase 0, 123 of the burst's.
    for value in burst_train(8, 128)[120:123]:
        seasons.learn(value, 10.0)
    expected = seasons.expected()
    assert expected is not None
    assert expected > 90.0


def test_a_copy_learns_on_its_own() -> None:
    forecast = Forecast(10.0, 5.0)
    for value in burst_train(8, 100):
        forecast.learn(value)
    other = forecast.copy()
    assert other.band(0, 1, 0, 0).median == forecast.band(0, 1, 0, 0).median
    ahead = [forecast.seasons.expected(steps) for steps in range(1, 9)]
    other.learn(500.0)
    assert [forecast.seasons.expected(steps) for steps in range(1, 9)] == ahead
    assert [other.seasons.expected(steps) for steps in range(1, 9)] != ahead


def test_a_period_is_seen_through_after_any_number_of_windows() -> None:
    """Past values are moved now and then to make room: no window is different for that."""
    seasons = Seasons()
    for k in range(700):
        value = float((k % 8) ** 2)
        if k > 200:
            assert seasons.expected() == value
        seasons.learn(value, 10.0)


def test_a_gap_after_a_long_time_does_not_lose_the_period() -> None:
    seasons = Seasons()
    for k in range(400):
        value = float((k % 8) ** 2)
        if k == 300:
            seasons.miss()
            continue
        if k > 301 and k != 308:  # one period after the gap there is no value to repeat
            assert seasons.expected() == value
        seasons.learn(value, 10.0)


# --- bands that hold what they say --------------------------------------------------------------


def coverage(values: np.ndarray, skip: int = 60) -> float:
    forecast, inside = Forecast(0.0, 1.0), []
    for value in values.tolist():
        inside.append(forecast.band(0.0, 1.0, 0.0, -1e9).holds(value))
        forecast.learn(value)
    return float(np.mean(inside[skip:]))


def test_a_band_holds_nine_in_ten_though_load_grows_and_falls_again() -> None:
    """Load grows for a thousand windows and is gone at once: the past alone is always too small."""
    growing = np.exp(np.arange(4000) % 1000 / 120.0)
    assert 0.88 <= coverage(growing * np.random.default_rng(11).exponential(1.0, 4000)) <= 0.92


def test_a_band_holds_nine_in_ten_of_what_does_not_change() -> None:
    assert 0.88 <= coverage(np.random.default_rng(12).exponential(1.0, 4000)) <= 0.92


def test_a_band_holds_nine_in_ten_of_what_drifts() -> None:
    rng = np.random.default_rng(13)
    assert 0.88 <= coverage(np.cumsum(rng.normal(0.0, 0.05, 4000)) + rng.normal(0.0, 1.0, 4000)) <= 0.92


def test_levels_move_against_what_was_missed_and_stay_in_bounds() -> None:
    levels = Levels()
    for _ in range(500):
        levels.learn(below=True, above=False)
    assert 0.0 < levels.low < Levels.PASSED < levels.high < 0.2


def test_looking_further_ahead_teaches_the_next_window_nothing() -> None:
    forecast = Forecast(0.0, 1.0)
    for value in np.random.default_rng(14).normal(0.0, 1.0, 60).tolist():
        forecast.band(0.0, 1.0, 0.0, -1e9)
        forecast.learn(value)
    forecast.band(0.0, 1.0, 0.0, -1e9)
    before = forecast.ends
    forecast.band(0.0, 1.0, 0.0, -1e9, steps=50)
    assert forecast.ends == before


def test_a_period_is_continued_further_ahead() -> None:
    seasons = Seasons()
    for window in range(120):
        seasons.learn(10.0 if window % 10 == 0 else 0.0, 0.0)
    expected = [seasons.expected(steps) for steps in range(1, 32)]
    assert [k for k, value in enumerate(expected) if value == 10.0] == [0, 10, 20, 30]
