"""The state behind synthetic rain: standard normal, exponentially correlated, the same whenever asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emulator.radio.rain_state import BETA_1_S, LEVELS, fill_states, place_key

YEAR_S = 365 * 86_400
#: standard errors of a sample that the sample may be off by
FOUR_SIGMA = 4.0
#: linear sums of the same numbers in the same order
SAME = 0.0


def states(start_s: float, step_s: float, count: int, key: int = 7) -> NDArray[np.float64]:
    out = np.empty(count)
    fill_states(np.uint64(key), start_s, step_s, out)
    return out


@settings(max_examples=100, deadline=None)
@given(
    st.floats(-1e9, 1e9, allow_nan=False),
    st.floats(0.05, 5000.0),
    st.integers(0, 60),
)
def test_a_value_depends_on_its_time_and_not_on_the_times_asked_before(
    start_s: float, step_s: float, index: int
) -> None:
    series = states(start_s, step_s, 61)
    alone = states(start_s + index * step_s, 1.0, 1)
    assert abs(series[index] - alone[0]) <= SAME


def test_time_may_run_backwards() -> None:
    assert states(1000.0, 1.0, 500).tolist() == states(1499.0, -1.0, 500).tolist()[::-1]


def test_between_full_seconds_it_is_linear() -> None:
    ends = states(4711.0, 1.0, 2)
    assert states(4711.25, 1.0, 1)[0] == pytest.approx(0.75 * ends[0] + 0.25 * ends[1], abs=1e-12)


def test_it_is_continuous_across_anchors() -> None:
    around = states((1 << LEVELS) - 3.0, 1.0, 7)
    one_second = np.sqrt(2.0 * BETA_1_S)
    assert np.abs(np.diff(around)).max() < FOUR_SIGMA * one_second


def test_it_is_standard_normal() -> None:
    years, step_s = 60, 256.0
    found = states(0.0, step_s, int(years * YEAR_S / step_s))
    independent = years * YEAR_S * BETA_1_S / 2.0
    assert abs(found.mean()) < FOUR_SIGMA / np.sqrt(independent)
    assert abs(found.var() - 1.0) < FOUR_SIGMA * np.sqrt(2.0 / (2.0 * independent))


@pytest.mark.parametrize("lag_s", [1, 60, 1800, 5000, 20_000])
def test_its_correlation_falls_exponentially(lag_s: int) -> None:
    step_s = min(lag_s, 64)
    found = states(0.0, float(step_s), 4_000_000)
    lag = lag_s // step_s
    expected = np.exp(-BETA_1_S * lag * step_s)
    independent = len(found) * step_s * BETA_1_S / 2.0
    # scaled by the sample's own variance: that of a slow process is known less well than its correlation
    correlation = np.mean(found[:-lag] * found[lag:]) / found.var()
    assert correlation == pytest.approx(expected, abs=FOUR_SIGMA * (1.0 - expected) / np.sqrt(independent))


def test_places_and_seeds_have_rain_of_their_own() -> None:
    keys = [place_key(1, "a"), place_key(1, "b"), place_key(2, "a")]
    found = np.array([states(0.0, 5000.0, 4000, key) for key in keys])
    correlation = np.corrcoef(found)[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() < FOUR_SIGMA * np.sqrt(2.0 / 4000)
    assert place_key(1, "a") == keys[0]
