"""How long satellites stay in sight: against SGP4 itself, for real satellites and for other orbits."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.geometry import ecef_from_geodetic, elevation_deg, enu_axes
from emulator.orbits.elements import parse_elements
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec
from emulator.topology.stay import HORIZON_S, seconds_in_sight
from tests.emulator.worlds import starlink_text

#: at setting, elevation changes by at least 0.02 degree a second for these orbits
half_a_second = 0.5

CLOCK = RunClock("2025-10-01T12:00:00Z")
PLACE, AXES = ecef_from_geodetic(48.0, 11.0, 500.0), enu_axes(48.0, 11.0)


def _exactly(ephemeris: Ephemeris, satellite: int, t_s: float, least_deg: float) -> float:
    """Seconds until setting by SGP4 every fifth of a second."""
    times = np.arange(0.0, HORIZON_S + 0.1, 0.2)
    high = elevation_deg(PLACE, AXES[2], ephemeris.exact(satellite, t_s + times))
    below = np.flatnonzero(high < least_deg)
    return float(times[below[0]]) if len(below) else HORIZON_S


def _compare(ephemeris: Ephemeris, least_deg: float, limit: int) -> np.ndarray:
    t_s = 7.0
    position, velocity = ephemeris.positions(t_s), ephemeris.velocities(t_s)
    seen = np.flatnonzero(elevation_deg(PLACE, AXES[2], position) >= least_deg)[:limit]
    assert len(seen) >= min(limit, 5)
    stay = seconds_in_sight(PLACE, AXES[2], least_deg, position[seen], velocity[seen])
    expected = [_exactly(ephemeris, int(k), t_s, least_deg) for k in seen]
    assert np.abs(stay - expected).max() < half_a_second
    return stay


def test_starlink_satellites_set_when_sgp4_says() -> None:
    elements = parse_elements(starlink_text(), "tle", source="starlink")
    _compare(Ephemeris([record for _, record in elements], CLOCK), 25.0, 80)


@pytest.mark.parametrize(
    "shell",
    [
        CircularShell(1200.0, 87.9, 200, 20, 1, pattern="star"),
        CircularShell(8062.0, 30.0, 40, 4, 1),
        CircularShell(340.0, 53.0, 1584, 72, 17),
    ],
)
def test_satellites_of_other_heights_set_when_sgp4_says(shell: CircularShell) -> None:
    elements = generate(ConstellationSpec(shells=(shell,)), CLOCK)
    _compare(Ephemeris([record for _, record in elements], CLOCK), 10.0, 40)


def test_what_does_not_set_stays_as_long_as_is_looked_ahead() -> None:
    above = ecef_from_geodetic(10.0, 11.0, 35_786e3)[None]
    assert seconds_in_sight(PLACE, AXES[2], 10.0, above, np.zeros((1, 3)))[0] == HORIZON_S


def test_what_is_below_or_lost_does_not_stay() -> None:
    below = np.vstack([ecef_from_geodetic(-48.0, 190.0, 600e3), np.full(3, np.nan)])
    assert seconds_in_sight(PLACE, AXES[2], 10.0, below, np.zeros((2, 3))).tolist() == [0.0, 0.0]
