"""Finding the grid on which a path changes: period, offset, boundary; and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.measured.fidelity.grid import FALSE_GRID_RATE, find_grid
from testbed.measured.measurement import Measurement
from tests.measured.fidelity.made import BEGIN_S, measurement, noise, slotted, times

fifty_ms = 0.050
#: of 40 measurements without a grid, so many may show one at a rate of 1 in 1000 (chance of more: 0.1 %)
AT_MOST_OF_40 = 1


def _off(found_s: float, true_s: float, period_s: float) -> float:
    """Distance of two offsets of the same grid, s."""
    return abs((found_s - true_s + period_s / 2.0) % period_s - period_s / 2.0)


@pytest.mark.parametrize(
    ("period_s", "offset_s", "interval_s"),
    [(15.0, 12.0, 0.02), (15.0, 3.4, 0.15), (20.0, 7.7, 0.05), (7.5, 1.2, 0.02), (30.0, 29.9, 0.1)],
)
def test_period_and_offset_are_found_without_being_told(
    period_s: float, offset_s: float, interval_s: float
) -> None:
    grid = find_grid(slotted(1, 900.0, interval_s, period_s, offset_s, 0.3))
    assert grid is not None
    assert grid.period_s == period_s
    assert _off(grid.offset_s, offset_s, period_s) <= fifty_ms
    assert grid.significance < FALSE_GRID_RATE


def test_a_period_that_is_not_round_is_found_too() -> None:
    grid = find_grid(slotted(2, 1200.0, 0.05, 13.37, 5.0))
    assert grid is not None
    assert abs(grid.period_s - 13.37) < 0.01


def test_probes_are_sent_half_their_round_trip_before_the_boundary_they_meet() -> None:
    made = slotted(6)
    grid = find_grid(made)
    assert grid is not None
    assert grid.lead_s == pytest.approx(np.median(made.values) / 2e3)
    assert grid.sending_offset_s == pytest.approx(grid.offset_s - grid.lead_s)


def test_stamps_of_arrival_give_the_same_grid_as_stamps_of_sending() -> None:
    made = slotted(7)
    arrived_s = made.times_s + made.values / 1e3
    order = np.argsort(arrived_s)
    other = Measurement(
        "made.csv", "rtt", arrived_s[order], made.values[order], losses_known=True, stamped="received"
    )
    ours, theirs = find_grid(made), find_grid(other)
    assert ours is not None
    assert theirs is not None
    assert theirs.offset_s == pytest.approx(ours.offset_s, abs=0.006)


def test_a_single_wild_spike_in_every_minute_does_not_hide_the_grid() -> None:
    made = slotted(5, level_sd=0.3)
    values = made.values.copy()
    values[::3000] = 5000.0
    grid = find_grid(measurement(made.times_s, values))
    assert grid is not None
    assert grid.period_s == 15.0


def test_noise_of_any_memory_shows_no_grid() -> None:
    """False-grid rate: stated 1 in 1000 for each measurement, held over 40 of several kinds."""
    rng = np.random.default_rng(6)
    found = 0
    for index in range(40):
        sent_s = times(rng, 250.0, 0.1)
        slow = noise(rng, len(sent_s), (0.2, 1.0, 5.0, 30.0)[index % 4], 0.1)
        scatter = rng.standard_t(2.0, len(sent_s)) if index % 3 else rng.normal(size=len(sent_s))
        values = 40.0 * np.exp(0.2 * slow + 0.1 * np.clip(scatter, -9.0, 9.0))
        found += find_grid(measurement(sent_s, values)) is not None
    assert found <= AT_MOST_OF_40


def test_bursts_at_random_instants_are_no_grid() -> None:
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(8):
        sent_s = times(rng, 400.0, 0.1)
        values = 40.0 + rng.normal(size=len(sent_s))
        for begin in rng.uniform(BEGIN_S, sent_s[-1], 40):
            inside = (sent_s >= begin) & (sent_s < begin + rng.exponential(5.0))
            values[inside] += rng.exponential(20.0)
        found += find_grid(measurement(sent_s, values)) is not None
    assert found == 0


@pytest.mark.parametrize("values", [np.full(1000, 40.0), np.full(3, 40.0), np.full(1, 40.0)])
def test_what_does_not_vary_or_is_too_short_has_no_grid(values: np.ndarray) -> None:
    assert find_grid(measurement(BEGIN_S + 0.1 * np.arange(len(values)), values)) is None


def test_a_recording_of_fewer_than_six_slots_has_no_grid() -> None:
    made = slotted(8, 600.0)
    assert find_grid(made.between(BEGIN_S, BEGIN_S + 29.0)) is None


def test_samples_further_apart_than_a_quarter_of_the_shortest_period_have_no_grid() -> None:
    assert find_grid(slotted(9, 6000.0, 2.0)) is None


def test_a_recording_with_hours_in_between_may_have_no_grid() -> None:
    rng = np.random.default_rng(1)
    times_s = np.append(times(rng, 600.0, 0.1), 9000.0 + times(rng, 600.0, 0.1))
    assert find_grid(measurement(times_s, 40.0 + rng.random(len(times_s)))) is None
