"""Floors of delay: hours of skewed ones are no change, a rise is one, with a size whose interval holds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.twin.floors import FloorWatch

#: of a false alarm once in 10^8 windows
LOG_ODDS = math.log(1e8)


def floors(rng: np.random.Generator, count: int, late: float = 0.25) -> list[float]:
    """Least delays of windows: mostly a small packet's, now and then only large or queued ones came."""
    small = 0.5 + rng.exponential(0.05, count)
    large = 0.6 + rng.exponential(1.5, count)
    return [float(v) for v in np.where(rng.random(count) < late, large, small)]


def test_two_hours_of_skewed_floors_on_eight_links_are_no_change() -> None:
    rng = np.random.default_rng(12)
    for _ in range(8):
        watch = FloorWatch(LOG_ODDS)
        for number, floor in enumerate(floors(rng, 14_400)):
            assert watch.observe(floor, number * 0.5, 0.25) is None


def test_excursions_that_last_are_no_change_where_they_are_usual() -> None:
    """Once in twenty seconds a queue stands for four: what lasts that long is not yet news."""
    rng, watch = np.random.default_rng(14), FloorWatch(LOG_ODDS)
    for number, floor in enumerate(floors(rng, 7_200, late=0.02)):
        queue = 3.0 if 4 <= number % 48 < 12 else 0.0
        assert watch.observe(floor + queue, number * 0.5) is None


#: bits of packets that are large, and the mean where a small one is among them; bit/s
LARGE, MIXED, RATE = 10_000.0, 8_000.0, 20e6
LARGE_MS = 1e3 * LARGE / RATE


@pytest.mark.parametrize("added_ms", [0.0, 1.0])
def test_large_packets_alone_lift_no_floor_but_what_adds_more_than_they_can_does(added_ms: float) -> None:
    """Small packets stay away from every second window, as they do when two rhythms drift past each other."""
    rng, watch = np.random.default_rng(15), FloorWatch(LOG_ODDS)
    noticed = False
    for number in range(1_000):
        alone = number >= 500 and number % 2 == 0
        floor = float(rng.exponential(0.02)) + alone * LARGE_MS + (number >= 500) * added_ms
        alarm = watch.observe(floor, number * 0.5, 0.1, LARGE if alone else MIXED, RATE)
        noticed = noticed or alarm is not None
        if alarm is not None:
            assert 500 <= number < 512
            break
    assert noticed == (added_ms > 0.0)


def test_packets_that_are_all_of_one_size_hide_nothing() -> None:
    rng, watch = np.random.default_rng(16), FloorWatch(LOG_ODDS)
    for number in range(100):
        floor = LARGE_MS + float(rng.exponential(0.02)) + (number >= 80) * 0.45
        if watch.observe(floor, number * 0.5, 0.1, LARGE, RATE) is not None:
            break
    assert 80 <= number < 86


def test_a_rise_of_the_floor_is_found_sized_and_seen_to_end() -> None:
    rng, watch = np.random.default_rng(13), FloorWatch(LOG_ODDS)
    for number, floor in enumerate(floors(rng, 80)):
        assert watch.observe(floor, number * 0.5) is None
    number, alarm = 80, None
    while alarm is None:
        alarm = watch.observe(floors(rng, 1)[0] + 20.0, number * 0.5)
        number += 1
    assert number - 80 <= 9
    assert alarm.onset_s == pytest.approx(40.0, abs=1.0)
    assert watch.size().mean == pytest.approx(20.0, abs=1.0)
    watch.adopt()
    for floor in floors(rng, 5):
        watch.observe(floor, number * 0.5)
    assert watch.over
    assert watch.ended_s == number * 0.5


@pytest.mark.parametrize(("late", "within_s"), [(0.03, 3.0), (0.25, 7.0)])
def test_the_interval_of_a_rise_holds_as_often_as_it_says(late: float, within_s: float) -> None:
    """150 rises of 1 to 50 ms."""
    held, delays, errors = 0, [], []
    for seed in range(150):
        rng, watch, noticed = np.random.default_rng(seed), FloorWatch(LOG_ODDS), 0
        rise = float(np.exp(rng.uniform(0.0, np.log(50.0))))
        for number, floor in enumerate(floors(rng, 240, late)):
            added = rise if number >= 120 else 0.0
            if watch.observe(floor + added, number * 0.5) is not None:
                noticed = number
                watch.adopt()
            assert not watch.over
        size = watch.size()
        held += size.low95 <= rise <= size.high95
        errors.append(abs(size.mean - rise))
        delays.append(0.5 * (noticed - 119))
    assert 0.89 <= held / 150 <= 0.995
    assert np.median(errors) < 0.02
    assert 0.0 < np.quantile(delays, 0.95) <= within_s


def test_another_delay_during_an_event_is_followed() -> None:
    rng, watch = np.random.default_rng(15), FloorWatch(LOG_ODDS)
    for number, floor in enumerate(floors(rng, 250)):
        added = 0.0 if number < 100 else 20.0 if number < 150 else 8.0
        if watch.observe(floor + added, number * 0.5) is not None:
            watch.adopt()
        assert not watch.over
    assert watch.size().mean == pytest.approx(8.0, abs=0.2)
