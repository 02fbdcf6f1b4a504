"""How much slots explain, and what a slot looks like."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.measured.fidelity.slots import profile, share_of_variance
from tests.measured.fidelity.made import BEGIN_S, measurement, slotted

five_hundredths = 0.05


def test_levels_alone_are_explained_entirely_and_noise_hardly() -> None:
    assert share_of_variance(slotted(1, noise_sd=1e-9), 15.0, 12.0) == pytest.approx(1.0, abs=1e-3)
    assert share_of_variance(slotted(1, level_sd=0.0), 15.0, 12.0) == pytest.approx(0.0, abs=five_hundredths)


def test_the_share_is_that_of_levels_and_noise() -> None:
    made = slotted(2, 6000.0, 0.1, level_sd=0.03, noise_sd=0.03)
    assert share_of_variance(made, 15.0, 12.0) == pytest.approx(0.5, abs=2 * five_hundredths)


def test_the_true_offset_explains_more_than_another() -> None:
    made = slotted(3)
    assert share_of_variance(made, 15.0, 12.0) > share_of_variance(made, 15.0, 5.0) + five_hundredths


def test_spikes_in_a_slot_are_not_its_level() -> None:
    values = np.tile([40.0, 40.0, 40.0, 40.0, 400.0], 60)
    made = measurement(BEGIN_S + 0.1 * np.arange(300), values)
    assert share_of_variance(made, 15.0, 0.0) <= 0.0


def test_without_two_slots_or_variance_there_is_no_share() -> None:
    times_s = BEGIN_S + 0.1 * np.arange(10)
    assert math.isnan(share_of_variance(measurement(times_s, np.arange(10.0)), 15.0, 0.0))
    assert math.isnan(share_of_variance(measurement(times_s * 2, np.full(10, 1.0)), 1.0, 0.0))


def test_the_profile_shows_what_follows_a_boundary() -> None:
    times_s = BEGIN_S + 0.01 * np.arange(60_000)
    phase_s = (times_s + 0.02 - 3.0) % 15.0
    values = 40.0 + np.where(phase_s < 1.0, 8.0, 0.0)
    phases_s, away_ms = profile(measurement(times_s, values), 15.0, 3.0, parts=15)
    assert phases_s[0] == 0.5
    assert away_ms[0] == pytest.approx(8.0, abs=0.5)
    assert away_ms[1:] == pytest.approx(np.zeros(14), abs=0.5)
