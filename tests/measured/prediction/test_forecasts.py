"""When samples were sent and known; the levels of forecasts."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.measured.measurement import Measurement
from testbed.measured.prediction.forecasts import HIGH, LEVELS, LOW, samples_of


def test_a_round_trip_is_known_when_the_reply_came():
    samples = samples_of(Measurement("x", "rtt", np.array([10.0, 11.0]), np.array([500.0, 40.0]), True))
    assert samples.known_s == pytest.approx([10.5, 11.04])


def test_times_of_arrival_are_taken_back_to_those_of_sending():
    whole = Measurement("x", "rtt", np.array([10.0, 10.1]), np.array([100.0, 300.0]), True, "received")
    samples = samples_of(whole)
    assert samples.sent_s == pytest.approx([9.8, 9.9])
    assert samples.values == pytest.approx([300.0, 100.0])
    assert samples.known_s == pytest.approx([10.1, 10.0])
    assert samples.order.tolist() == [1, 0]


def test_what_is_known_by_a_time_counts_replies_and_not_probes():
    samples = samples_of(Measurement("x", "rtt", np.array([10.0, 10.1]), np.array([900.0, 50.0]), True))
    assert samples.known_by(np.array([10.14, 10.16, 10.95])).tolist() == [0, 1, 2]


def test_a_throughput_is_known_at_the_end_of_its_interval():
    samples = samples_of(Measurement("x", "rate", np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]), True))
    assert samples.known_s.tolist() == [2.0, 4.0, 6.0]


def test_lost_probes_are_left_out():
    samples = samples_of(Measurement("x", "rtt", np.array([1.0, 2.0]), np.array([np.nan, 5.0]), True))
    assert samples.sent_s.tolist() == [2.0]


def test_the_ends_of_the_band_are_among_the_levels():
    assert LEVELS[[LOW, HIGH]] == pytest.approx([0.05, 0.95])
