"""Losses: bursts are no change where losses come in bursts; more losses are, with an honest size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.twin.losses import Dispersion, LossWatch, dispersion_of, wilson

LOG_ODDS = math.log(1e8)


def chain(rng: np.random.Generator, p01: float, p11: float, windows: int, packets: int) -> list[float]:
    """Losses per window of a two-state chain."""
    state, counts = 0, []
    draws = rng.random((windows, packets)).tolist()
    for window in draws:
        count = 0
        for draw in window:
            state = draw < (p11 if state else p01)
            count += state
        counts.append(float(count))
    return counts


def test_dispersion_of_a_chain_is_that_of_its_counts() -> None:
    p01, p11, packets = 0.02, 0.5, 40
    counts = np.array(chain(np.random.default_rng(1), p01, p11, 20_000, packets))
    share = p01 / (1.0 - p11 + p01)
    seen = counts.var() / (packets * share * (1.0 - share))
    assert dispersion_of(p01, p11, packets) == pytest.approx(seen, rel=0.05)
    assert dispersion_of(0.1, 0.1, packets) == 1.0


def test_the_loss_process_is_found_from_windowed_counts() -> None:
    p01, p11 = 0.02, 0.5
    share, learned = p01 / (1.0 - p11 + p01), Dispersion()
    for lost in chain(np.random.default_rng(2), p01, p11, 3000, 40):
        learned.add(lost, 40.0, share)
    found = learned.process(share)
    assert found.p01 == pytest.approx(p01, rel=0.15)
    assert found.p11 == pytest.approx(p11, abs=0.08)


def test_independent_losses_are_told_to_be_independent() -> None:
    rng, learned = np.random.default_rng(3), Dispersion()
    for lost in rng.binomial(40, 0.02, 3000).tolist():
        learned.add(float(lost), 40.0, 0.02)
    assert learned.process(0.02) == (0.02, 0.02)


def test_wilsons_interval_is_the_published_one() -> None:
    """81 of 263 (Newcombe 1998, table I): 0.2553 to 0.3662."""
    assert wilson(81 / 263, 263.0) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_a_burst_of_losses_in_one_window_is_no_change() -> None:
    watch = LossWatch(LOG_ODDS)
    for number in range(100):
        lost = 30.0 if number == 50 else 0.0
        assert watch.observe(lost, 30.0, 0.01, number * 0.5) is None


@pytest.mark.parametrize(("p01", "p11"), [(0.004, 0.004), (0.005, 0.5)])
def test_losses_as_predicted_are_no_change_in_bursts_or_not(p01: float, p11: float) -> None:
    rng, share = np.random.default_rng(4), p01 / (1.0 - p11 + p01)
    for _ in range(4):
        watch = LossWatch(LOG_ODDS)
        for number, lost in enumerate(chain(rng, p01, p11, 5000, 60)):
            assert watch.observe(lost, 60.0, share, number * 0.5) is None


def test_the_interval_of_an_additional_loss_holds_as_often_as_it_says() -> None:
    """150 additional losses of 1 to 10 % on top of 0.4 %, 100 packets a window."""
    held, delays = 0, []
    for seed in range(150):
        rng, watch, noticed = np.random.default_rng(seed), LossWatch(LOG_ODDS), 0
        added = float(rng.uniform(0.01, 0.1))
        for number in range(300):
            share = 0.004 if number < 120 else 1.0 - 0.996 * (1.0 - added)
            lost = float(rng.binomial(100, share))
            if watch.observe(lost, 100.0, 0.004, number * 0.5) is not None:
                assert number >= 120
                noticed = number
                watch.adopt()
            assert not watch.over
        assert noticed
        size = watch.size()
        held += size.low95 <= added <= size.high95
        delays.append(0.5 * (noticed - 119))
    assert 0.89 <= held / 150 <= 0.995
    assert np.median(delays) <= 5.0


def test_intervals_hold_where_nothing_was_lost_before_and_few_packets_pass() -> None:
    """150 losses of 2 to 10 % where none were usual, 12 and 23 packets a window by turns, told at the end."""
    held, noticed = 0, 0
    for seed in range(150):
        rng, watch = np.random.default_rng(seed), LossWatch(LOG_ODDS)
        added, usual = float(rng.uniform(0.02, 0.1)), int(rng.integers(20, 300))
        for number in range(usual + 200):
            sent = 23 if number % 2 else 12
            lost = float(rng.binomial(sent, added if number >= usual else 0.0))
            if watch.observe(lost, float(sent), 0.0, number * 0.5) is not None:
                watch.adopt()
        if watch.changed:
            noticed += 1
            held += watch.size().low95 <= added <= watch.size().high95
    assert noticed >= 135
    assert 0.91 <= held / noticed <= 0.99


def test_one_loss_in_a_hundred_is_noticed_the_sooner_the_longer_nothing_was_lost() -> None:
    def windows_until_noticed(usual: int, seed: int) -> int:
        rng, watch = np.random.default_rng(seed), LossWatch(LOG_ODDS)
        for number in range(usual + 2000):
            lost = float(rng.binomial(40, 0.01)) if number >= usual else 0.0
            if watch.observe(lost, 40.0, 0.0, number * 0.5) is not None:
                return number - usual
        return 2000

    young, old = ([windows_until_noticed(usual, seed) for seed in range(20)] for usual in (20, 600))
    assert np.median(old) < 0.5 * np.median(young)


def test_losses_that_turn_out_to_be_usual_are_no_change() -> None:
    """What is published says nothing of them: the first packets have to."""
    rng, watch = np.random.default_rng(9), LossWatch(LOG_ODDS)
    for number in range(5000):
        assert watch.observe(float(rng.binomial(60, 0.02)), 60.0, 0.0, number * 0.5) is None
    assert watch.usual == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(("first", "then"), [(0.02, 0.08), (0.08, 0.02)])
def test_the_size_follows_a_loss_that_changes(first: float, then: float) -> None:
    rng, watch = np.random.default_rng(10), LossWatch(LOG_ODDS)
    for number in range(900):
        share = 0.0 if number < 200 else first if number < 500 else then
        if watch.observe(float(rng.binomial(40, share)), 40.0, 0.0, number * 0.5) is not None:
            watch.adopt()
        assert not watch.over
    assert watch.size().low95 <= then <= watch.size().high95


def test_the_usual_loss_is_noticed_when_it_is_back() -> None:
    rng, watch = np.random.default_rng(6), LossWatch(LOG_ODDS)
    for number in range(400):
        share = 0.1 if 100 <= number < 200 else 0.004
        if watch.observe(float(rng.binomial(60, share)), 60.0, 0.004, number * 0.5) is not None:
            watch.adopt()
        if watch.over:
            break
    assert 200 < number < 220
    assert watch.ended_s == pytest.approx(100.0, abs=1.5)
    assert watch.size().mean == pytest.approx(0.096, abs=0.015)
