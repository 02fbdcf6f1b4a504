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


def test_what_a_fade_taught_of_the_modem_before_it_was_noticed_is_forgotten() -> None:
    rng, channel = np.random.default_rng(8), RadioChannel(THRESHOLD)
    biases, number, alarm = list[float](), 0, None
    while alarm is None:
        biases.append(channel.bias.mean)
        alarm = feed(channel, 0.5 if number < 200 else -0.1, rng, number * 0.5)
        number += 1
    onset = round(channel.cusum.onset_s(-1) / 0.5)
    assert 195 <= onset < number - 5
    assert channel.bias.mean != biases[onset]
    channel.adopt()
    assert channel.bias.mean == biases[onset]


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_the_interval_of_a_fade_holds_its_size_as_often_as_it_says(phi: float) -> None:
    """400 fades of 2 to 10 dB, each reached in two seconds, of a modem of unknown bias."""
    held, errors, fresh_sd = 0, [], 0.3 * np.sqrt(1.0 - phi**2)
    for seed in range(400):
        rng, channel, noise = np.random.default_rng(seed), RadioChannel(THRESHOLD), 0.0
        bias, size = float(rng.normal(0.0, 0.4)), float(rng.uniform(2.0, 10.0))
        begin, count = int(rng.integers(120, 200)), int(rng.integers(60, 120))
        for number in range(begin + count):
            noise = phi * noise + float(rng.normal(0.0, fresh_sd))
            fall = size * min(max((number - begin + 0.5) / 4, 0.0), 1.0)
            predicted = channel.bias.mean - channel.fade.mean
            if channel.observe([bias - fall + noise - predicted], number * 0.5, 0.5) is not None:
                assert number >= begin
                channel.adopt()
            assert not channel.over
        assert channel.phase is Phase.FADED
        found = channel.attenuation()
        held += found.low95 <= size <= found.high95
        errors.append(abs(found.mean - size))
    assert 0.91 <= held / 400 <= 0.99
    assert np.median(errors) < 0.1
