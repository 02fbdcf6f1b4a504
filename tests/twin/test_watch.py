"""The watches over a link: two hours of skewed floors are no change, a rise is one, and losses."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.twin.detect import threshold_for
from testbed.twin.watch import FloorWatch, LossWatch, MissingRate, SilenceWatch

THRESHOLD = threshold_for(1e8, 1.0)


def floors(rng: np.random.Generator, count: int) -> list[float]:
    """Least delays of windows: mostly a small packet's, now and then only large or queued ones came."""
    small = 0.5 + rng.exponential(0.05, count)
    large = 0.6 + rng.exponential(1.5, count)
    return [float(v) for v in np.where(rng.random(count) < 0.25, large, small)]


def test_two_hours_of_skewed_floors_on_sixteen_links_are_no_change() -> None:
    rng = np.random.default_rng(12)
    for _ in range(16):
        watch = FloorWatch(THRESHOLD)
        for number, floor in enumerate(floors(rng, 14_400)):
            assert watch.observe(floor, number * 0.5, 0.25) is None


def test_a_rise_of_the_floor_is_found_sized_and_seen_to_end() -> None:
    rng, watch = np.random.default_rng(13), FloorWatch(THRESHOLD)
    for number, floor in enumerate(floors(rng, 80)):
        assert watch.observe(floor, number * 0.5) is None
    number, alarm = 80, None
    while alarm is None:
        alarm = watch.observe(floors(rng, 1)[0] + 20.0, number * 0.5)
        number += 1
    assert number - 80 <= 9
    assert alarm.onset_s == pytest.approx(40.0, abs=1.0)
    assert watch.size()[0] == pytest.approx(20.0, abs=2.0)
    watch.adopt()
    for floor in floors(rng, 5):
        watch.observe(floor, number * 0.5)
    assert watch.back_windows == 5


def test_a_burst_of_losses_in_one_window_is_no_change() -> None:
    watch = LossWatch(18.0)
    for number in range(100):
        lost = 30.0 if number == 50 else 0.0
        assert watch.observe(lost, 30.0, 0.01, number * 0.5) is None


def test_losses_as_predicted_are_no_change_and_more_are() -> None:
    rng, watch = np.random.default_rng(14), LossWatch(18.0)
    for number in range(5000):
        assert watch.observe(float(rng.binomial(20, 0.05)), 20.0, 0.05, number * 0.5) is None
    for number in range(60):
        if watch.observe(float(rng.binomial(20, 0.25)), 20.0, 0.05, number * 0.5):
            break
    assert number < 20
    assert watch.size()[0] == pytest.approx(0.25, abs=0.1)


def test_links_are_given_longer_to_report_where_reports_are_often_missing() -> None:
    steady, lossy = MissingRate(), MissingRate()
    for _ in range(500):
        steady.add(0, 20)
        lossy.add(4, 20)
    assert steady.windows_until(1e-8) == 5
    assert lossy.windows_until(1e-8) > 10


def test_an_idle_link_that_reports_its_snr_is_not_silent() -> None:
    watch = SilenceWatch()
    for number in range(50):
        watch.reported(number * 0.5, 0.0, 0.0, has_snr=True)
    assert watch.down_windows == 0


def test_a_modem_that_reports_no_snr_any_more_and_carries_nothing_is_silent() -> None:
    watch = SilenceWatch()
    for number in range(20):
        watch.reported(number * 0.5, 3.0, 0.0, has_snr=True)
    for number in range(20, 26):
        watch.reported(number * 0.5, 0.0, 0.0, has_snr=False)
    assert (watch.down_windows, watch.onset_s) == (6, 10.0)
