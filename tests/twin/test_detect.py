"""Whitening and CUSUM: stated false-alarm rate, outliers, onset."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.twin.detect import Cusum, Whitener, average_run_length, threshold_for


def ar1(rng: np.random.Generator, phi: float, count: int) -> list[float]:
    fresh = rng.normal(size=count) * np.sqrt(1.0 - phi**2)
    values, last = [], rng.normal()
    for noise in fresh:
        last = phi * last + noise
        values.append(float(last))
    return values


def run_lengths(cusum: Cusum, values: list[float], whitener: Whitener | None = None) -> list[int]:
    lengths, since = [], 0
    for value in values:
        since += 1
        z = value
        if whitener is not None:
            z = whitener.innovation(value)
            whitener.learn(value)
        if cusum.add(z, 0.0):
            lengths.append(since)
            since = 0
            cusum.reset()
    return lengths


@pytest.mark.parametrize(("reference", "run_length"), [(0.5, 500.0), (1.0, 1000.0)])
def test_alarms_without_a_change_come_as_seldom_as_stated(reference: float, run_length: float) -> None:
    threshold = threshold_for(run_length, reference)
    assert average_run_length(threshold, reference) == pytest.approx(run_length, rel=1e-6)
    values = np.random.default_rng(4).normal(size=400_000).tolist()
    clip = min(4.0, threshold + reference - 0.05)
    lengths = run_lengths(Cusum(threshold, reference, clip), values)
    assert np.mean(lengths) == pytest.approx(run_length, rel=0.25)


def test_whitening_restores_the_rate_on_autocorrelated_residuals() -> None:
    values = ar1(np.random.default_rng(5), 0.8, 100_000)
    threshold = threshold_for(2000.0, 0.5)
    plain = np.mean(run_lengths(Cusum(threshold, 0.5), values))
    white = np.mean(run_lengths(Cusum(threshold, 0.5), values, Whitener(1.0, 0.1)))
    assert plain < 100.0
    assert white > 1000.0


def test_whitening_finds_correlation_and_scale() -> None:
    whitener = Whitener(prior_sd=0.3, floor_sd=0.01)
    for value in ar1(np.random.default_rng(6), 0.7, 5000):
        whitener.learn(value)
    assert whitener.phi == pytest.approx(0.7, abs=0.1)
    assert whitener.sd == pytest.approx(np.sqrt(1.0 - 0.7**2), rel=0.15)


def test_a_few_wild_values_do_not_spoil_the_scale() -> None:
    rng, whitener = np.random.default_rng(7), Whitener(1.0, 0.1)
    for index, value in enumerate(rng.normal(size=2000).tolist()):
        whitener.learn(value if index % 50 else 1000.0)
    assert whitener.sd < 1.5


def test_a_single_outlier_cannot_alarm() -> None:
    cusum = Cusum(threshold_for(1e8, 1.0))
    assert cusum.add(1e12, 0.0) is None
    assert cusum.level() < 1.0


def test_a_threshold_that_one_value_could_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="a single clipped value"):
        Cusum(2.0, reference=0.5, clip=4.0)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_shift_is_found_with_its_sign_and_onset(sign: int) -> None:
    rng, cusum = np.random.default_rng(8), Cusum(threshold_for(1e8, 1.0))
    for index in range(200):
        shift = 3.0 * sign if index >= 100 else 0.0
        alarm = cusum.add(float(rng.normal()) + shift, index * 0.5)
        if alarm:
            break
    assert alarm is not None
    assert alarm.sign == sign
    assert alarm.onset_s == pytest.approx(50.0, abs=1.0)
    assert index * 0.5 < 55.0
