"""Attenuation of the moment on the rows of links: which end's it is, and how much of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from emulator.radio.slant_path import rain_height_km
from emulator.spec import ConstellationSpec, FixedLink, Place
from emulator.table import Adjustments
from emulator.weather import Attenuation
from emulator.world import World
from tests.emulator.worlds import DRY, world_spec

WET = dataclasses.replace(DRY, weather=True)
#: the rain is some kilometres high: of a kilometre upwards this is the share
EAST = Place("east", "ground", 46.0, 9.0)
WEST = Place("west", "ground", 46.0, 9.0, 1e3)


@pytest.fixture(autouse=True)
def _maps() -> None:
    pytest.importorskip("itur", reason="the atmosphere needs itur")


def _attenuation(source: Attenuation, *places: Place, t_s: float = 0.0) -> float:
    """Of a radio link straight up from the first place to the second."""
    link = FixedLink(places[0].id, places[1].id, radio="ka")
    spec = world_spec(*places, constellation=ConstellationSpec(), links=(link,), radios=(WET,))
    table = World(spec, Adjustments(attenuation_db=source)).epoch(t_s)
    assert table.attenuation_db[0] == table.attenuation_db[1]
    return float(table.attenuation_db[0])


def _share(place: Place) -> float:
    """Of the way through the rain above a place, that a kilometre is."""
    return 1.0 / (rain_height_km(place) - place.altitude_m / 1e3)


def test_the_wetter_end_counts() -> None:
    both = {"east": 6.0, "west": 1.0}
    assert _attenuation(both, EAST, WEST) == pytest.approx(6.0 * _share(EAST))
    other = {"east": 1.0, "west": 6.0}
    assert _attenuation(other, EAST, WEST) == pytest.approx(6.0 * _share(WEST))


def test_a_belief_that_an_end_is_better_than_nominal_counts_where_the_other_is_dry() -> None:
    assert _attenuation({"east": -1.5}, EAST, WEST) == pytest.approx(-1.5 * _share(EAST))
    assert _attenuation({"west": -1.5}, EAST, WEST) == pytest.approx(-1.5 * _share(WEST))
    assert _attenuation({"east": -1.5, "west": 2.0}, EAST, WEST) == pytest.approx(2.0 * _share(WEST))


def test_a_function_is_asked_for_place_time_elevation_and_frequency() -> None:
    asked = set()

    def source(place: str, t_s: float, elevation_deg: float, frequency_ghz: float) -> float:
        asked.add((place, t_s, round(elevation_deg), frequency_ghz))
        return 0.0

    assert _attenuation(source, EAST, WEST, t_s=3.0) == 0.0
    frequencies = (WET.up_frequency_ghz, WET.down_frequency_ghz)
    assert asked == {(place, 3.0, 90, f_ghz) for place in ("east", "west") for f_ghz in frequencies}


def test_no_share_is_more_than_the_whole() -> None:
    above = dataclasses.replace(WEST, kind="aerial", altitude_m=12e3)
    assert _attenuation({"east": 6.0}, EAST, above) == pytest.approx(6.0)


def test_above_the_rain_there_is_none() -> None:
    low, high = (dataclasses.replace(WEST, kind="aerial", altitude_m=h, id=f"at {h}") for h in (9e3, 10e3))
    assert _attenuation({low.id: 6.0, high.id: 6.0}, low, high) == 0.0


def test_losses_of_both_ends_add_up() -> None:
    link = FixedLink("east", "west", radio="ka")
    spec = world_spec(EAST, WEST, constellation=ConstellationSpec(), links=(link,), radios=(DRY,))
    worse = World(spec, Adjustments(implementation_loss_bias_db={"east": 0.7, "west": 0.4, "gone": 9.0}))
    fall = World(spec).epoch(0.0).snr_db - worse.epoch(0.0).snr_db
    assert fall == pytest.approx(np.full(2, 1.1))
