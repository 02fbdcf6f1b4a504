"""What is offered and how it ranks, against looking at every satellite at both ends of the interval."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from emulator.geometry import elevation_deg
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.motion import Motion
from emulator.orbits.shells import generate
from emulator.spec import Geostationary
from emulator.topology.offers import LAYERS, Providers
from tests.emulator.worlds import SHELL, gateway, terminal

CLOCK = RunClock("2025-10-01T12:00:00Z")
#: how far ahead an interval ends: in a minute low satellites rise and set
INTERVAL_S = 60.0
PLACES = (
    terminal("north", 50.0, 5.0, min_elevation_deg=25.0),
    terminal("south", 42.0, 12.0, min_elevation_deg=20.0),
    gateway("gate", 47.0, 14.0, min_elevation_deg=30.0),
)


@pytest.fixture(scope="module")
def ephemeris() -> Ephemeris:
    """A shell in low orbit, and a geostationary satellite."""
    spec = dataclasses.replace(SHELL, geostationary=(Geostationary("geo", 10.0),))
    return Ephemeris([record for _, record in generate(spec, CLOCK)], CLOCK)


def _sees(ephemeris: Ephemeris, t_s: float) -> NDArray[np.bool_]:
    """Whether each place [p] sees each satellite [n]."""
    motion, position = Motion(list(PLACES)), ephemeris.positions(t_s)
    high = elevation_deg(motion.position[:, None], motion.axes[:, None, 2], position)
    return np.asarray(high >= np.array([[place.min_elevation_deg] for place in PLACES]))


@pytest.mark.parametrize("relayed", [False, True])
def test_offers_rank_by_whether_they_last_and_are_fed(ephemeris: Ephemeris, relayed: bool) -> None:
    providers = Providers(PLACES, ephemeris, relayed)
    ranks = set()
    for at_s in np.arange(0.0, 600.0, 40.0):
        offers = providers.look(at_s, at_s + INTERVAL_S)
        now, end = _sees(ephemeris, at_s), _sees(ephemeris, at_s + INTERVAL_S)
        fed_now = np.ones(now.shape[1], dtype=np.bool_) if relayed else now[2]
        fed_through = fed_now if relayed else now[2] & end[2]
        satellite = offers.provider - len(PLACES)
        assert np.array_equal(offers.place, np.nonzero(now)[0])
        assert np.array_equal(satellite, np.nonzero(now)[1])
        lasts = end[offers.place, satellite]
        expected = np.where(fed_now[satellite], 2, lasts)
        expected[lasts & fed_through[satellite]] = 3
        assert np.array_equal(offers.rank, expected)
        ranks |= set(offers.rank.tolist())
    assert ranks == ({2, 3} if relayed else {0, 1, 2, 3})


def test_each_satellite_is_of_the_layer_of_its_height(ephemeris: Ephemeris) -> None:
    offers = Providers(PLACES, ephemeris, relayed=True).look(0.0, INTERVAL_S)
    height_km = np.linalg.norm(ephemeris.positions(0.0)[offers.provider - len(PLACES)], axis=1) / 1e3 - 6378.0
    high = height_km > 30_000.0
    assert set(offers.layer[high].tolist()) == {LAYERS.index("geo")}
    assert set(offers.layer[~high].tolist()) == {LAYERS.index("leo")}
