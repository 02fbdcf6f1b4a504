"""Range rate and Doppler shift: against differences of the range, and against cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.geometry import doppler_hz, range_rate_m_s
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.motion import Motion
from emulator.orbits.shells import generate
from emulator.spec import Place, Waypoint
from tests.emulator.worlds import SHELL

one_centimetre_a_second = 1e-2


def test_the_range_rate_is_how_fast_the_range_changes() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    ephemeris = Ephemeris([record for _, record in generate(SHELL, clock)], clock)
    jet = Place("jet", "aerial", waypoints=(Waypoint(0.0, 47.0, 8.0, 1e4), Waypoint(900.0, 48.0, 10.0, 1e4)))
    motion, ranges, h = Motion([jet]), [], 0.1
    for t_s in (20.0 - h, 20.0 + h, 20.0):
        motion.move_to(t_s)
        ranges.append(np.linalg.norm(ephemeris.positions(t_s) - motion.position[0], axis=1))
    rate = range_rate_m_s(
        motion.position[0],
        motion.velocity[0],
        ephemeris.positions(20.0),
        ephemeris.velocities(20.0),
    )
    assert np.abs(rate).max() > 5000.0
    assert np.abs(rate - (ranges[1] - ranges[0]) / (2.0 * h)).max() < one_centimetre_a_second


def test_what_flies_past_has_no_range_rate_at_its_nearest() -> None:
    assert range_rate_m_s([0, 0, 0], [0, 0, 0], [0, 0, 1e6], [7500.0, 0, 0]) == 0.0
    assert range_rate_m_s([0, 0, 0], [0, 0, 0], [1e6, 0, 0], [7500.0, 0, 0]) == pytest.approx(7500.0)


def test_the_carrier_rises_by_the_share_of_the_speed_of_light_while_ends_approach() -> None:
    assert doppler_hz(-2997.92458, 2e9) == pytest.approx(20_000.0)
    assert doppler_hz([299.792458, -299.792458], 20e9).tolist() == pytest.approx([-20_000.0, 20_000.0])


@pytest.mark.parametrize("frequency", [0.0, -2e9, float("nan")])
def test_a_frequency_that_is_none_is_refused(frequency: float) -> None:
    with pytest.raises(WorldError, match=r"^frequency_hz is .*, it must be above 0$"):
        doppler_hz(100.0, [1e9, frequency])
