"""Probes through a played model: what it says at the times of sending, by way of the network."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.links.model import GilbertElliott, LinkModel, Process
from testbed.measured.play import play

MS = 1e6
#: serialisation at the rate of the probes' links, ms
SERIALISED_MS = 5e-6
START_S = 1_700_000_000.0


def steps(*levels_ms: float, spread: float = 0.0) -> LinkModel:
    """Levels that hold for a second each, as given by a table of 1 ms a score."""
    patterns = np.array([[(1e9, level, spread, 0.5, 0.5) for level in levels_ms]])
    process = Process(np.array([0.0, 16.0 * MS]), -8.0, patterns=patterns)
    return LinkModel("steps", process=process, keep_order=False)


def test_a_probe_meets_what_the_model_says_at_its_time() -> None:
    times_s = START_S + np.array([0.0, 0.9, 1.1, 1.9, 2.1])
    made = play(steps(-3.0, 2.0), 4.0, times_s, START_S, 1)
    assert made == pytest.approx([9.0, 9.0, 14.0, 14.0, 9.0], abs=SERIALISED_MS)


def test_time_counts_from_the_start_of_the_run() -> None:
    made = play(steps(-3.0, 2.0), 0.0, np.array([START_S]), START_S - 1.0, 1)
    assert made == pytest.approx([10.0], abs=SERIALISED_MS)


def test_probes_may_overtake_each_other_and_are_told_in_the_order_of_sending() -> None:
    times_s = START_S + np.arange(0.0, 2.0, 1e-4)
    made = play(steps(6.0, -6.0), 0.0, times_s, START_S, 1)
    assert made == pytest.approx(np.where(times_s < START_S + 1.0, 14.0, 2.0), abs=SERIALISED_MS)


def test_lost_probes_have_no_value() -> None:
    lossy = LinkModel("lossy", loss=GilbertElliott(0.1, 0.5), process=steps(0.0).process, keep_order=False)
    made = play(lossy, 1.0, START_S + 0.01 * np.arange(20_000), START_S, 3)
    # a share of 0.1 / 0.6, with bursts of 2: four standard errors
    assert np.isnan(made).mean() == pytest.approx(1.0 / 6.0, abs=0.02)
    assert made[np.isfinite(made)] == pytest.approx(9.0, abs=SERIALISED_MS)


def test_probes_at_one_time_and_no_probes_are_played_too() -> None:
    assert play(steps(0.0), 0.0, np.full(3, START_S), START_S, 1) == pytest.approx(8.0, abs=SERIALISED_MS)
    assert len(play(steps(0.0), 0.0, np.empty(0), START_S, 1)) == 0
