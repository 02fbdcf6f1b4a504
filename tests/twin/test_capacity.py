"""Served rates: bits in flight are no change, a lower rate is one, another ModCod is none; overload."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from testbed.twin.capacity import LoadWatch, RateWatch

RATE_BPS, FLIGHT_S, WINDOW_S = 6.5e6, 0.012, 0.5
#: bits on the air over bits of the packet: framing the twin is not told
OVERHEAD = 1.02


def windows(seed: int, count: int, factor: Callable[[float], float]) -> list[tuple[float, float]]:
    """(bits arrived, busy seconds) of windows: 60 readings a second, a task of 50 packets now and then.

    A packet is sent when the one before it has left, at `factor` of the rate, and counted `FLIGHT_S` later.
    """
    rng, until_s = np.random.default_rng(seed), count * WINDOW_S
    packets = [(t, 1_984.0) for t in rng.uniform(0.0, until_s, rng.poisson(60.0 * until_s)).tolist()]
    for begin in rng.uniform(0.0, until_s, rng.poisson(1.2 * until_s)).tolist():
        packets += [(begin, 8_384.0)] * 50
    bits, busy, free_s = np.zeros(count + 4), np.zeros(count + 4), 0.0
    for at_s, size in sorted(packets):
        begins_s = max(at_s, free_s)
        if begins_s >= until_s:
            break
        free_s = begins_s + OVERHEAD * size / (RATE_BPS * factor(begins_s))
        busy[int(free_s / WINDOW_S)] += free_s - begins_s
        bits[int((free_s + FLIGHT_S) / WINDOW_S)] += size
    return list(zip(bits[:count].tolist(), busy[:count].tolist(), strict=True))


def watch_over(
    rows: list[tuple[float, float]], others: tuple[float, ...] = ()
) -> tuple[RateWatch, list[int]]:
    watch, alarms = RateWatch(), []
    for number, (bits, busy_s) in enumerate(rows):
        alarm = watch.observe(bits, busy_s, RATE_BPS, FLIGHT_S, others, number * WINDOW_S)
        if alarm is not None:
            alarms.append(number)
            watch.adopt(alarm.onset_s)
        if watch.over:
            watch.clear()
    return watch, alarms


def test_bits_in_flight_are_no_change_and_the_overhead_is_learned() -> None:
    for seed in range(4):
        watch, alarms = watch_over(windows(seed, 3600, lambda _: 1.0))
        assert alarms == []
        assert watch.factor == pytest.approx(1.0 / OVERHEAD, abs=0.001)


def test_the_interval_of_a_lower_rate_holds_and_sharpens() -> None:
    """60 drops by 10 to 60 %."""
    held, errors, delays = 0, [], []
    for seed in range(60):
        factor = float(np.random.default_rng([seed, 9]).uniform(0.4, 0.9))
        rows = windows(100 + seed, 240, lambda t_s, factor=factor: factor if t_s >= 60.0 else 1.0)
        watch, alarms = watch_over(rows)
        assert len(alarms) == 1
        size = watch.size()
        held += size.low95 <= factor <= size.high95
        errors.append(abs(size.mean - factor))
        delays.append((alarms[0] - 119) * WINDOW_S)
    assert held / 60 >= 0.88
    assert np.median(errors) < 0.002
    assert min(delays) > 0.0
    assert np.quantile(delays, 0.95) <= 5.0


def test_the_usual_rate_is_noticed_when_it_is_back() -> None:
    rows = windows(7, 300, lambda t_s: 0.7 if 50.0 <= t_s < 100.0 else 1.0)
    watch, alarms = watch_over(rows)
    assert len(alarms) == 1
    assert not watch.changed
    assert watch.ended_s == pytest.approx(100.0, abs=5.0)


def test_a_modcod_that_the_snr_allows_for_is_no_congestion() -> None:
    rows = windows(8, 200, lambda t_s: 0.88 if t_s >= 50.0 else 1.0)
    assert watch_over(rows)[1] != []
    watch, alarms = watch_over(rows, others=(0.88, 1.1))
    assert alarms == []
    assert watch.factor == pytest.approx(0.88 / OVERHEAD, rel=0.01)


def test_a_link_that_returns_to_the_believed_modcod_is_not_congested_either() -> None:
    rows = windows(10, 300, lambda t_s: 0.94 if 40.0 <= t_s < 90.0 else 1.0)
    watch, alarms = watch_over(rows, others=(0.94,))
    assert alarms == []
    assert watch.factor == pytest.approx(1.0 / OVERHEAD, rel=0.01)


def test_a_rate_between_two_modcods_that_lasts_is_congestion() -> None:
    rows = windows(9, 300, lambda t_s: 0.8 if t_s >= 50.0 else 1.0)
    assert watch_over(rows, others=(0.7, 1.1))[1] != []


def test_more_load_than_a_link_carries_is_told_once_its_queue_grows() -> None:
    watch, queue, alarms = LoadWatch(), 0.0, []
    for number in range(60):
        over = 10 <= number < 40
        queue = queue + 15.0 if over else 0.0
        offered = 1.3 + 0.05 * (number % 3) if over else 0.4
        alarm = watch.observe(offered, 1.0 if over else 0.4, queue, 0.0, number * WINDOW_S)
        if alarm is not None:
            alarms.append(number)
            watch.adopt()
            assert watch.size().mean == pytest.approx(1.35, abs=0.02)
            assert alarm.onset_s == 5.0
    assert alarms == [10 + LoadWatch.WINDOWS - 1]
    assert watch.over


def test_a_link_in_full_use_that_keeps_up_is_not_overloaded() -> None:
    watch = LoadWatch()
    for number in range(100):
        assert watch.observe(0.99 + 0.02 * (number % 2), 1.0, 0.0, 0.0, number * WINDOW_S) is None
