"""Outages and stalls are found where they are, and nothing is where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.measured.measurement import Array
from testbed.measured.models.disturbances import (
    Found,
    anywhere,
    at_boundaries,
    find,
    gathered_losses,
    with_losses,
)

STEP_S = 0.01
#: a start or an end lies between two samples
SAMPLED = 1.5 * STEP_S
#: jitter on top of a tooth, s
JITTER_S = 0.004


def quiet(span_s: float = 60.0) -> tuple[Array, Array]:
    """30 ms and a little, sampled at 100 Hz."""
    times_s = np.arange(0.0, span_s, STEP_S)
    return times_s, 30.0 + np.random.default_rng(3).gamma(2.0, 0.5, len(times_s))


def with_tooth(times_s: Array, values: Array, start_s: float, outage_s: float, stall_s: float) -> None:
    """Lose what is sent in the outage, delay what is sent in the stall."""
    values[(times_s >= start_s) & (times_s < start_s + outage_s)] = np.nan
    until_s = start_s + outage_s + stall_s
    waiting = (times_s >= start_s + outage_s) & (times_s < until_s)
    values[waiting] += 1e3 * (until_s - times_s[waiting])


def found_in(times_s: Array, values: Array) -> Found:
    return find(times_s, values, np.full(len(values), float(np.nanmedian(values))))


def test_a_stall_is_found_with_its_length() -> None:
    times_s, values = quiet()
    with_tooth(times_s, values, 20.0, 0.0, 0.25)
    found = found_in(times_s, values)
    assert found.start_s == pytest.approx([20.0], abs=SAMPLED)
    assert found.stall_s == pytest.approx([0.25], abs=SAMPLED + JITTER_S)
    assert found.outage_s.tolist() == [0.0]
    touched_s = times_s[found.touched]
    assert (touched_s[0], touched_s[-1]) == pytest.approx((20.0, 20.25), abs=SAMPLED)


def test_an_outage_and_the_stall_after_it_are_one() -> None:
    times_s, values = quiet()
    with_tooth(times_s, values, 20.0, 0.4, 0.2)
    found = found_in(times_s, values)
    assert len(found) == 1
    assert found.outage_s == pytest.approx([0.4], abs=SAMPLED)
    assert found.stall_s == pytest.approx([0.2], abs=SAMPLED + JITTER_S)


def test_an_outage_without_a_stall_is_one_and_a_single_loss_is_none() -> None:
    times_s, values = quiet()
    with_tooth(times_s, values, 20.0, 0.4, 0.0)
    values[4000] = np.nan
    found = found_in(times_s, values)
    assert found.outage_s == pytest.approx([0.4], abs=SAMPLED)
    assert found.stall_s.tolist() == [0.0]
    assert not found.touched[4000]


def test_jitter_and_a_level_that_rises_are_no_stalls() -> None:
    times_s, values = quiet()
    values[3000:3200] += 40.0  # a plateau
    values[4000] += 100.0  # one late packet
    assert len(found_in(times_s, values)) == 0


def test_on_a_grid_those_near_a_boundary_belong_to_it() -> None:
    times_s, values = quiet()
    for start_s in (14.9, 29.9, 37.0):
        with_tooth(times_s, values, start_s, 0.1, 0.1)
    at, left = at_boundaries(found_in(times_s, values), 15.0, 0.0, 4)
    assert at.chance == 0.5
    assert at.after_s == pytest.approx([-0.1, -0.1], abs=SAMPLED)
    assert at.stall_s == pytest.approx([0.1, 0.1], abs=SAMPLED + JITTER_S)
    assert left.start_s == pytest.approx([37.0], abs=SAMPLED)


def test_without_a_grid_the_largest_belong_to_segments() -> None:
    found = Found(np.arange(10.0), np.zeros(10), np.linspace(0.1, 1.0, 10), np.zeros(1, bool))
    at, left = at_boundaries(found, 10.0, None, 5)
    assert at.chance == 0.8
    assert at.stall_s == pytest.approx([0.7, 0.8, 0.9, 1.0])
    assert len(left) == 6


def test_those_at_any_time_fit_into_their_cells() -> None:
    found = Found(np.arange(20.0), np.full(20, 0.1), np.full(20, 0.3), np.zeros(1, bool))
    strays, cell_s = anywhere(found, 100.0)
    assert strays.chance / cell_s == pytest.approx(0.2)
    assert strays.after_s[-1] + 0.4 <= cell_s


def test_losses_that_gather_in_a_phase_are_told_from_those_at_any_time() -> None:
    times_s = np.arange(0.0, 3000.0, 0.25)
    random = np.random.default_rng(5)
    lost = random.random(len(times_s)) < 0.01
    assert not gathered_losses(times_s, lost, 15.0, 0.0).any()
    at_phase = np.isclose(times_s % 15.0, 4.5) & (random.random(len(times_s)) < 0.4)
    gathered = gathered_losses(times_s, lost | at_phase, 15.0, 0.0)
    assert np.all(gathered[at_phase])
    assert np.all(np.abs(times_s[gathered] % 15.0 - 4.5) <= 1.0)


def test_losses_taken_as_outages_are_too_short_for_two_probes() -> None:
    times_s = np.arange(0.0, 10.0, 0.5)
    found = with_losses(found_in(times_s, np.full(20, 5.0)), times_s, times_s == 4.0, 0.5)
    assert (found.start_s.tolist(), found.outage_s.tolist()) == ([3.8125], [0.375])
