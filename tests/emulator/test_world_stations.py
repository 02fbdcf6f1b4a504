"""Stations in the link table: base stations and platforms that serve terminals, layers, weather."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from emulator.radio.budget import link_budget
from emulator.radio.slant_path import attenuation, rain_height_km
from emulator.spec import (
    AccessSpec,
    CircularShell,
    ConstellationSpec,
    FixedLink,
    Geostationary,
    Place,
    RadioSpec,
    Waypoint,
    WorldSpec,
)
from emulator.table import ACCESS, Adjustments
from emulator.world import World
from tests.emulator.worlds import DRY, gateway, row_of, terminal, world_spec

SPEED_OF_LIGHT = 299_792_458.0
CELL = RadioSpec(
    "cell", up_frequency_ghz=2.0, down_frequency_ghz=2.1, up_bandwidth_mhz=10.0, down_bandwidth_mhz=20.0,
    up_eirp_dbw=-7.0, down_eirp_dbw=10.0, up_g_over_t_db_k=-10.0, down_g_over_t_db_k=-31.0,
    processing_ms=4.0, weather=False,
)  # fmt: skip
#: another one of the same figures, which rain reaches
WET_CELL = dataclasses.replace(CELL, weather=True, up_frequency_ghz=28.0, down_frequency_ghz=19.0)


def _station(name: str, kind: str, latitude: float, altitude_m: float = 0.0, **more: Any) -> Place:
    return Place(name, kind, latitude, 9.0, altitude_m, radio="cell", access="station", **more)


def _spec(*places: Place, radio: RadioSpec = CELL, **more: Any) -> WorldSpec:
    phone = terminal("phone", 46.0, 9.0, min_elevation_deg=10.0)
    return world_spec(phone, *places, radios=(DRY, radio), **more)


MAST = _station("mast", "ground", 46.05)
HAP = _station("hap", "aerial", 46.1, 20e3)
RELAY = _station("relay", "aerial", 46.005, 1e3)


def test_a_station_serves_with_its_own_radio() -> None:
    world = World(_spec(MAST, access=AccessSpec(layers=("station",))))
    table = world.epoch(0.0)
    assert table.serving == {"phone": "mast"}
    for ends, down in ((("phone", "mast"), False), (("mast", "phone"), True)):
        row = row_of(world, table, *ends)
        expected = link_budget(CELL, table.range_m[row], table.elevation_deg[row], down=down)
        assert table.kind[row] == ACCESS
        assert table.snr_db[row] == pytest.approx(float(expected.snr_db))
        assert table.rate_bps[row] == pytest.approx(float(expected.rate_bps))
        apart = np.linalg.norm(np.subtract(*world.positions(0.0)[:2]))
        assert table.range_m[row] == pytest.approx(apart)
        expected_ns = apart / SPEED_OF_LIGHT * 1e9 + CELL.processing_ms * 1e6
        assert table.delay_ns[row] == pytest.approx(expected_ns, abs=1.0)


def test_there_may_be_stations_without_satellites() -> None:
    core = Place("core", "ground", 46.2, 9.0)
    world = World(
        _spec(MAST, core, constellation=ConstellationSpec(), links=(FixedLink("mast", "core", delay_ms=1.0),))
    )
    table = world.epoch(0.0)
    assert (table.serving, len(table)) == ({"phone": "mast"}, 4)
    assert np.all(table.next_hop[[0, 1], [2, 0]] >= 0)


@pytest.mark.parametrize(
    ("layers", "served_by"),
    [(("station", "leo"), "mast"), (("leo", "station"), "sat-"), (("geo", "station"), "geo"), ((), "sat-")],
)
def test_the_first_layer_that_offers_anything_is_taken(layers: tuple[str, ...], served_by: str) -> None:
    shell = CircularShell(1200.0, 53.0, 400, 20, 3)
    every = ConstellationSpec(shells=(shell,), geostationary=(Geostationary("geo", 9.0),))
    world = World(_spec(MAST, constellation=every, access=AccessSpec(layers=layers)))
    assert world.epoch(0.0).serving["phone"].startswith(served_by)


def test_a_platform_above_the_weather_has_all_of_it_on_its_links() -> None:
    pytest.importorskip("itur", reason="the atmosphere needs itur")
    spec = _spec(HAP, radio=WET_CELL, access=AccessSpec(layers=("station",)))
    world = World(spec, Adjustments(attenuation_db={"phone": 5.0, "hap": 40.0}))
    table = world.epoch(0.0)
    assert table.serving == {"phone": "hap"}
    for ends, f_ghz in ((("phone", "hap"), 28.0), (("hap", "phone"), 19.0)):
        row = row_of(world, table, *ends)
        gas_db = float(attenuation(spec.places[0], f_ghz, table.elevation_deg[row], 0.0).gas_db)
        assert gas_db > 0.05
        assert table.attenuation_db[row] == pytest.approx(5.0 + gas_db)


def test_a_relay_below_the_weather_has_its_share_of_the_rain_at_either_end() -> None:
    pytest.importorskip("itur", reason="the atmosphere needs itur")
    spec = _spec(RELAY, radio=WET_CELL, access=AccessSpec(layers=("station",)))
    table = World(spec, Adjustments(attenuation_db={"phone": 5.0})).epoch(0.0)
    assert table.serving == {"phone": "relay"}
    high = np.sin(np.radians(table.elevation_deg[0]))
    share = table.range_m[0] / 1e3 / (rain_height_km(spec.places[0]) / high)
    assert table.attenuation_db == pytest.approx(5.0 * share)
    assert share < 0.5


def test_surroundings_are_in_the_way_of_the_sky_only() -> None:
    around = dataclasses.replace(CELL, environment="dense-urban")
    for place, lost in ((MAST, False), (RELAY, False), (HAP, True)):
        table = World(_spec(place, radio=around, access=AccessSpec(layers=("station",)))).epoch(0.0)
        assert (table.attenuation_db[0] > 0.0) == lost


def test_a_terminal_that_travels_leaves_its_station_between_decisions() -> None:
    train = terminal(
        "phone", 46.0, 9.0, waypoints=(Waypoint(0.0, 46.0, 9.0), Waypoint(50.0, 46.0, 9.5)),
    )  # fmt: skip
    near = _station("mast", "ground", 46.0, max_range_km=10.0)
    spec = world_spec(
        train, near, constellation=ConstellationSpec(), radios=(DRY, CELL),
        access=AccessSpec(decision_interval_s=30.0),
    )  # fmt: skip
    world = World(spec)
    # 0.5 degrees of longitude, 38.7 km, in 50 s: 10 km after 12.9 s
    kept = [len(world.epoch(t_s)) for t_s in (0.0, 12.0, 14.0, 29.0)]
    assert kept == [2, 2, 0, 0]
    assert world.epoch(29.5).serving == {"phone": "mast"}  # as last decided
    assert world.epoch(30.0).serving == {"phone": ""}


def test_a_terminal_at_its_station_has_a_finite_budget() -> None:
    here = dataclasses.replace(MAST, latitude_deg=46.0)
    table = World(_spec(here, access=AccessSpec(layers=("station",)))).epoch(0.0)
    assert table.range_m.tolist() == [0.0, 0.0]
    assert table.snr_db[0] == pytest.approx(float(link_budget(CELL, 1.0, 0.0, down=False).snr_db))


def test_a_terminal_at_sea_takes_its_links_along() -> None:
    ship = Place(
        "ship", "ship", 44.0, 8.0, radio="ka", access="terminal",
        waypoints=(Waypoint(0.0, 44.0, 8.0), Waypoint(60.0, 44.1, 8.0)),
    )  # fmt: skip
    anchored = terminal("ship", 44.0, 8.0)
    shore = gateway("shore", 45.0, 9.0)
    sailing, still = World(world_spec(ship, shore)), World(world_spec(anchored, shore))
    table, fixed = sailing.epoch(30.0), still.epoch(30.0)
    row = row_of(sailing, table, "ship", table.serving["ship"])
    position = sailing.positions(30.0)
    apart = np.linalg.norm(position[0] - position[table.dst[row]])
    assert table.range_m[row] == pytest.approx(apart)
    assert abs(table.range_m[row] - fixed.range_m[row]) > 500.0
    assert sailing.geodetic(30.0, 0)[0] == pytest.approx(44.05)
