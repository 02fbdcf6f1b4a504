"""Noise of an attenuating sky: what P.618 says it is, what it costs, and back to the attenuation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.radio.noise import (
    attenuation_of_drop_db,
    g_over_t_loss_db,
    mean_radiating_temperature_k,
    sky_noise_k,
)

EXACT_DB = 1e-9


def test_a_sky_that_lets_everything_through_is_the_cosmic_background() -> None:
    assert sky_noise_k(0.0) == pytest.approx(2.7)


def test_a_sky_that_lets_nothing_through_is_as_warm_as_the_air() -> None:
    assert sky_noise_k(200.0) == pytest.approx(275.0)
    assert sky_noise_k(200.0, 260.0) == pytest.approx(260.0)


def test_half_the_power_gone_is_half_of_both() -> None:
    assert sky_noise_k(10.0 * np.log10(2.0)) == pytest.approx((275.0 + 2.7) / 2.0)


def test_the_air_radiates_colder_than_the_surface() -> None:
    assert mean_radiating_temperature_k(293.4) == pytest.approx(275.0, abs=0.1)


@settings(deadline=None)
@given(st.floats(0.0, 60.0), st.floats(0.0, 5.0), st.floats(20.0, 2000.0))
def test_the_loss_is_the_rise_of_the_sky_over_the_noise_there_was(
    extra: float, clear: float, k: float
) -> None:
    rise_k = float(sky_noise_k(clear + extra) - sky_noise_k(clear))
    assert float(g_over_t_loss_db(extra, clear, k)) == pytest.approx(
        10.0 * np.log10(1.0 + rise_k / k), abs=EXACT_DB
    )


def test_without_a_system_noise_the_rise_of_noise_is_left_out() -> None:
    assert g_over_t_loss_db([3.0, 20.0], 0.5, 0.0).tolist() == [0.0, 0.0]
    assert attenuation_of_drop_db([3.0, 20.0], 0.5, 0.0).tolist() == [3.0, 20.0]


def test_the_loss_is_bounded_by_a_sky_as_warm_as_the_air() -> None:
    assert float(g_over_t_loss_db(1000.0, 0.0, 150.0)) == pytest.approx(10.0 * np.log10(1.0 + 272.3 / 150.0))


@settings(deadline=None)
@given(st.floats(-1.0, 200.0), st.floats(0.0, 20.0), st.floats(20.0, 5000.0))
def test_attenuation_is_found_back_from_the_drop_of_snr(extra: float, clear: float, system_k: float) -> None:
    drop = extra + g_over_t_loss_db(extra, clear, system_k)
    assert float(attenuation_of_drop_db(drop, clear, system_k)) == pytest.approx(extra, abs=EXACT_DB)


def test_a_sky_with_less_than_its_clear_attenuation_is_not_colder_than_space() -> None:
    gain = -g_over_t_loss_db([-0.5, -3.0], 0.5, 150.0)
    assert gain == pytest.approx([-10.0 * np.log10(1.0 - float(sky_noise_k(0.5) - 2.7) / 150.0)] * 2)


def test_arguments_broadcast() -> None:
    assert g_over_t_loss_db(np.ones((3, 1)), 0.3, [100.0, 200.0]).shape == (3, 2)
    assert attenuation_of_drop_db(np.ones((3, 1)), 0.3, [100.0, 200.0]).shape == (3, 2)


@pytest.mark.parametrize("system_noise_k", [-1.0, float("nan")])
def test_a_negative_system_noise_is_refused(system_noise_k: float) -> None:
    with pytest.raises(WorldError, match=r"system_noise_k is (-1|nan), allowed: above 0, or 0 for none"):
        g_over_t_loss_db(3.0, 0.5, system_noise_k)


@pytest.mark.parametrize("attenuation_db", [-5.0, float("nan")])
def test_a_sky_that_amplifies_is_refused(attenuation_db: float) -> None:
    with pytest.raises(WorldError, match=r"attenuation_db is (-5|nan), allowed: 0 and above"):
        sky_noise_k([1.0, attenuation_db])
