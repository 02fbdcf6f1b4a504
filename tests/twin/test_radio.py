"""Belief about one radio channel: bias, fade, return, and two hours of nothing."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.twin.detect import threshold_for
from testbed.twin.radio import Phase, RadioChannel

THRESHOLD = threshold_for(1e8, 1.0)


def feed(channel: RadioChannel, level_db: float, rng: np.random.Generator, begins_s: float) -> object:
    """One report of a channel whose SNR is `level_db` above nominal, as its residual."""
    predicted = channel.bias.mean - channel.fade.mean
    return channel.observe([level_db + float(rng.normal(0.0, 0.3)) - predicted], begins_s, 0.5)


@pytest.mark.parametrize("phi", [0.0, 0.8])
def test_two_hours_of_noise_on_sixteen_channels_are_no_change(phi: float) -> None:
    rng = np.random.default_rng(9)
    for _ in range(16):
        channel, noise = RadioChannel(THRESHOLD), 0.0
        bias = float(rng.normal(0.0, 0.5))
        for number, fresh in enumerate(rng.normal(0.0, 0.4 * np.sqrt(1.0 - phi**2), 14_400).tolist()):
            noise = phi * noise + fresh
            assert channel.observe([bias + noise - channel.bias.mean], number * 0.5, 0.5) is None


def test_the_modems_bias_is_learned_with_an_honest_sd() -> None:
    rng, errors = np.random.default_rng(10), []
    for _ in range(60):
        channel, bias = RadioChannel(THRESHOLD), float(rng.normal(0.0, 0.5))
        for number in range(120):
            feed(channel, bias, rng, number * 0.5)
        errors.append((channel.bias.mean - bias) / channel.bias.sd)
    assert np.std(errors) < 1.5
    assert np.max(np.abs(errors)) < 4.5


def test_a_fade_is_followed_once_adopted_and_seen_to_end() -> None:
    rng, channel = np.random.default_rng(11), RadioChannel(THRESHOLD)
    for number in range(60):
        feed(channel, 0.2, rng, number * 0.5)
    number, alarm = 60, None
    while alarm is None:
        alarm = feed(channel, 0.2 - 6.0, rng, number * 0.5)
        number += 1
    assert number < 66
    channel.adopt()
    for _ in range(20):
        feed(channel, 0.2 - 6.0, rng, number * 0.5)
        number += 1
    assert channel.fade.mean == pytest.approx(6.0, abs=0.5)
    assert channel.bias.mean == pytest.approx(0.2, abs=0.2)
    assert not channel.over
    for _ in range(8):
        feed(channel, 0.2, rng, number * 0.5)
        number += 1
    assert channel.over
    channel.clear()
    assert channel.phase is Phase.WATCHING
    assert channel.fade.mean == 0.0
