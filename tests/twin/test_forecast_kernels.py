"""The compiled sample and sums beside what numpy says of the same values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.twin import forecast_kernels as kernels
from testbed.twin.filters import Reservoir

#: what rounding may do to a sum of a hundred values
ROUNDING = 1e-12


def block(size: int) -> np.ndarray:
    made = np.zeros(kernels.sample_length(size))
    kernels.new_sample(made)
    return made


def ordered(sample: np.ndarray, size: int) -> list[float]:
    return list(sample[-size:][: int(sample[0])])


@pytest.mark.parametrize("size", [8, 96])
def test_a_sample_keeps_what_a_reservoir_keeps(size: int) -> None:
    sample, reservoir = block(size), Reservoir(size)
    for value in np.random.default_rng(5).integers(0, 40, 4 * size).astype(float).tolist():  # many are equal
        kernels.sample_add(sample, value)
        reservoir.add(value)
        assert ordered(sample, size) == reservoir.ordered().tolist()
        assert kernels._moments(sample) == pytest.approx(reservoir.moments(), rel=ROUNDING)
        for level in (0.0, 0.05, 0.5, 0.97, 1.0):
            assert kernels._quantile(sample, level) == reservoir.quantile(level)


def test_what_is_no_number_passes_through_a_sample_and_leaves_it_in_order() -> None:
    sample = block(4)
    kernels.sample_add(sample, math.nan)
    for value in range(40):
        kernels.sample_add(sample, float(-value))
    left = ordered(sample, 4)
    assert left == sorted(left)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 95, 96])
def test_powers_are_summed_over_all_values(count: int) -> None:
    values = np.random.default_rng(count).lognormal(0.0, 2.0, count)
    assert kernels._sum_of_powers(values, 0.0, 1) == pytest.approx(math.fsum(values), rel=ROUNDING)
    squares = math.fsum((values - 3.0) ** 2)
    assert kernels._sum_of_powers(values, 3.0, 2) == pytest.approx(squares, rel=ROUNDING)


def test_a_renewed_forecast_keeps_what_was_usual_and_forgets_what_was_last() -> None:
    forecast = kernels.new_forecast(1.0, 1.0, 1e-3, 120.0, 4.0)
    for value in (5.0 + np.cos(np.arange(100) / 3.0)).tolist():  # the last residual tells of the next one
        kernels.forecast_band(forecast, 0.0, 1.0, 0.0, 0.0, 1)
        kernels.forecast_learn(forecast, value)
    other = kernels.renewed(forecast)
    assert kernels.forecast_mean(other) == kernels.forecast_mean(forecast)
    assert math.isnan(other[kernels.ENDS])
    assert kernels._foreseen(other) == 0.0 != kernels._foreseen(forecast)
