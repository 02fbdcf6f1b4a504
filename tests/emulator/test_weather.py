"""Attenuation of the moment on the rows of links: which end's it is, and how much of it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from emulator.radio.budget import path_request
from emulator.radio.slant_path import rain_height_km, slant_path
from emulator.spec import ConstellationSpec, FixedLink, Place
from emulator.table import FIXED, Adjustments
from emulator.weather import Attenuation
from emulator.world import World
from tests.emulator.worlds import DRY, region_spec, world_spec

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


def test_below_five_degrees_the_way_through_the_rain_and_what_it_takes_are_as_at_five() -> None:
    asked = set()

    def source(_place: str, _t_s: float, elevation_deg: float, _frequency_ghz: float) -> float:
        asked.add(elevation_deg)
        return 6.0

    far = dataclasses.replace(EAST, id="far", longitude_deg=9.05)
    spec = world_spec(
        EAST,
        far,
        constellation=ConstellationSpec(),
        links=(FixedLink("east", "far", radio="ka"),),
        radios=(WET,),
    )
    table = World(spec, Adjustments(attenuation_db=source)).epoch(0.0)
    assert asked == {5.0}
    whole_km = max(rain_height_km(place) for place in (EAST, far)) / math.sin(math.radians(5.0))
    least_km = min(rain_height_km(place) for place in (EAST, far)) / math.sin(math.radians(5.0))
    length_km = table.range_m[0] / 1e3
    assert 6.0 * length_km / whole_km <= table.attenuation_db[0] <= 6.0 * length_km / least_km + 1e-9


# --- a fixed link to above the weather ----------------------------------------------------------


@pytest.mark.parametrize("upwards", [True, False])
def test_a_fixed_link_to_above_the_weather_has_the_whole_atmosphere_of_the_place_below(upwards: bool) -> None:
    above = Place("above", "aerial", 46.0, 9.0, 20e3)
    wet = dataclasses.replace(WET, weather_percent=0.1, implementation_loss_db=0.0)
    places = (EAST, above) if upwards else (above, EAST)
    link = FixedLink(places[0].id, places[1].id, radio="ka")
    spec = world_spec(*places, constellation=ConstellationSpec(), links=(link,), radios=(wet,))
    table = World(spec).epoch(0.0)
    for row, down in ((0, False), (1, True)):
        path = slant_path(path_request(wet, EAST, down))
        elevation = abs(table.elevation_deg[row])
        assert elevation == pytest.approx(90.0, abs=1e-3)
        expected = path.total_db(elevation, 0.1)
        assert table.attenuation_db[row] == pytest.approx(float(expected))
    rain = World(spec, Adjustments(attenuation_db={"east": 6.0})).epoch(0.0)
    assert rain.attenuation_db - table.attenuation_db == pytest.approx(6.0)


def test_a_fixed_link_above_the_weather_or_below_it_has_no_gases() -> None:
    low = (EAST, WEST)
    high = tuple(dataclasses.replace(place, kind="aerial", altitude_m=20e3) for place in low)
    for a, b in (low, high):
        # a terminal has tables of its radio towards satellites, which are not for its other links
        served = dataclasses.replace(a, access="terminal", radio="ka")
        apart = dataclasses.replace(b, latitude_deg=46.1)
        link = FixedLink(a.id, b.id, radio="ka")
        table = World(world_spec(served, apart, links=(link,), radios=(WET,))).epoch(0.0)
        fixed = table.kind == FIXED
        assert fixed.sum() == 2
        assert np.all(table.attenuation_db[fixed] == 0.0)


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


def test_a_loss_at_a_place_on_a_satellite_is_that_of_the_satellites_links() -> None:
    spec = dataclasses.replace(region_spec(), radios=(DRY,))
    nominal = World(spec)
    table = nominal.epoch(0.0)
    worse = World(spec, Adjustments(implementation_loss_bias_db={"orbit": 0.7})).epoch(0.0)
    of_it = (table.src == nominal.place_index["sat-1"]) | (table.dst == nominal.place_index["sat-1"])
    radio = ~np.isnan(table.snr_db)
    assert (of_it & radio).any()
    assert (table.snr_db - worse.snr_db)[radio] == pytest.approx(np.where(of_it, 0.7, 0.0)[radio])
