"""The link budget against closed forms worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from emulator.radio.budget import free_space_loss_db, snr_db


def test_free_space_loss_is_the_closed_form() -> None:
    expected = 20.0 * math.log10(4.0 * math.pi * 1_000e3 * 20e9 / 299_792_458.0)
    assert float(free_space_loss_db(1_000e3, 20.0)) == pytest.approx(expected, abs=1e-9)
    # ITU-R P.525 in its units for engineers: 92.4 + 20 log f(GHz) + 20 log d(km), rounded
    assert float(free_space_loss_db(1e3, 1.0)) == pytest.approx(92.4, abs=0.05)


def test_twice_the_distance_costs_six_decibels() -> None:
    near, far = free_space_loss_db(np.array([1e6, 2e6]), 12.0)
    assert far - near == pytest.approx(20.0 * math.log10(2.0))


def test_snr_of_a_budget_worked_by_hand() -> None:
    # 40 dBW + 10 dB/K - 180 dB + 228.599 dBW/K/Hz - 80 dBHz (100 MHz)
    one = np.array([1.0])
    assert snr_db(40.0 * one, 10.0 * one, 100.0 * one, 180.0 * one)[0] == pytest.approx(18.599, abs=1e-3)
