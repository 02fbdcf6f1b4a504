"""Times of arrival of a program that waits for each reply before it sends again."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.measured.formats.opening import open_measurement

PAUSE_S = 0.1


def _table(path, times_s, values_ms):
    rows = (f"{time:.6f},{value:.3f}" for time, value in zip(times_s, values_ms, strict=True))
    path.write_text("\n".join(["unix_s,rtt_ms", *rows]) + "\n")
    return open_measurement(path)


def _probes():
    """Times of sending and of arrival, round trips in ms."""
    values_ms = np.random.default_rng(1).uniform(20.0, 80.0, 400).round(3)
    sent_s = 1.7e9 + np.concatenate(([0.0], np.cumsum(values_ms[:-1] / 1e3 + PAUSE_S)))
    return sent_s, sent_s + values_ms / 1e3, values_ms


def test_times_of_arrival_are_known_by_the_pauses_and_taken_back(tmp_path):
    sent_s, came_s, values_ms = _probes()
    assert _table(tmp_path / "came.csv", came_s, values_ms).times_s == pytest.approx(sent_s, abs=1e-5)


def test_times_of_sending_are_left_as_they_are(tmp_path):
    sent_s, _, values_ms = _probes()
    assert _table(tmp_path / "sent.csv", sent_s, values_ms).times_s == pytest.approx(sent_s, abs=1e-5)


def test_probes_at_regular_times_are_left_as_they_are(tmp_path):
    _, _, values_ms = _probes()
    times_s = 1.7e9 + np.arange(400) * PAUSE_S
    assert _table(tmp_path / "even.csv", times_s, values_ms).times_s == pytest.approx(times_s, abs=1e-5)
