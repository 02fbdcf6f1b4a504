"""The link table of small worlds: rows, rates, delays, routes, and what adjustments do to them."""

from __future__ import annotations

import copy
import dataclasses
import os
import subprocess
import sys
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.radio.modcod import modcod_table
from emulator.radio.slant_path import rain_height_km
from emulator.satellites import published_elements
from emulator.spec import CircularShell, ConstellationSpec, FixedLink, Place, RadioSpec, Waypoint
from emulator.table import ACCESS, FEEDER, FIXED, ISL
from emulator.world import Adjustments, LinkTable, World
from tests.emulator.worlds import (
    DRY,
    gateway,
    region_spec,
    row_of,
    same_tables,
    terminal,
    world_spec,
)

SPEED_OF_LIGHT = 299_792_458.0
ten_tables_bytes = 30_000


def _route(world: World, table: LinkTable, a: str, b: str) -> list[str]:
    return [world.places[world.place_index[a]]] + [
        world.places[table.dst[row]] for row in world.route(table, a, b)
    ]


def test_places_are_the_specs_and_then_the_satellites() -> None:
    world = World(region_spec())
    assert world.places == ("north", "south", "gate", "site", "orbit", "sat-1", "sat-2", "sat-3", "sat-4")
    assert world.hosts.tolist() == [0, 1, 2, 3, 5]
    assert world.place_index["orbit"] == world.place_index["sat-1"] == 5


def test_the_same_spec_gives_the_same_tables() -> None:
    one, other = World(region_spec()), World(region_spec())
    for t_s in (0.0, 0.1, 7.3, 59.9):
        assert same_tables(one.epoch(t_s), other.epoch(t_s))


def test_published_elements_give_the_same_tables_as_their_parameters() -> None:
    spec = region_spec()
    published = dataclasses.replace(spec, constellation=ConstellationSpec(elements=published_elements(spec)))
    assert same_tables(World(spec).epoch(3.0), World(published).epoch(3.0))


def test_delay_is_slant_range_over_light_and_processing() -> None:
    world = World(region_spec())
    table = world.epoch(12.3)
    position = world.positions(12.3)
    radio = table.kind != FIXED
    apart = np.linalg.norm(position[table.src] - position[table.dst], axis=1)
    assert table.range_m[radio] == pytest.approx(apart[radio], abs=1e-3)
    expected = apart[radio] / SPEED_OF_LIGHT * 1e9 + DRY.processing_ms * 1e6
    assert table.delay_ns[radio] == pytest.approx(expected, abs=1.0)


def test_a_wired_link_is_as_given() -> None:
    link = FixedLink("gate", "site", rate_mbps=200.0, delay_ms=3.0, jitter_ms=0.2, loss=0.01, queue_packets=7)
    world = World(dataclasses.replace(region_spec(), links=(link,)))
    table = world.epoch(0.0)
    for a, b in (("gate", "site"), ("site", "gate")):
        row = row_of(world, table, a, b)
        assert table.kind[row] == FIXED
        assert (table.rate_bps[row], table.delay_ns[row], table.jitter_ns[row]) == (200e6, 3_000_000, 2e5)
        assert (table.loss[row], table.frame_error[row], table.queue_packets[row]) == (0.01, 0.0, 7)
        assert np.isnan(table.snr_db[row])
        assert table.modcod[row] == -1


def test_snr_follows_from_the_published_budget() -> None:
    world = World(region_spec())
    table = world.epoch(0.0)
    row = row_of(world, table, "north", table.serving["north"])
    loss = 20.0 * np.log10(4.0 * np.pi * table.range_m[row] * DRY.up_frequency_ghz * 1e9 / SPEED_OF_LIGHT)
    noise = -228.599 + 10.0 * np.log10(DRY.up_bandwidth_mhz * 1e6)
    expected = DRY.up_eirp_dbw + DRY.up_g_over_t_db_k - loss - DRY.implementation_loss_db - noise
    assert table.snr_db[row] == pytest.approx(expected, abs=1e-2)
    efficiency = modcod_table("dvb-s2x").efficiency[table.modcod[row]]
    assert table.rate_bps[row] == pytest.approx(efficiency * DRY.up_bandwidth_mhz * 1e6)


def test_traffic_goes_over_satellite_and_gateway_to_the_site() -> None:
    world = World(region_spec())
    table = world.epoch(0.0)
    assert _route(world, table, "north", "site") == ["north", table.serving["north"], "gate", "site"]
    assert _route(world, table, "site", "south") == ["site", "gate", table.serving["south"], "south"]
    assert _route(world, table, "north", "orbit")[-1] == "sat-1"
    there, back = world.route(table, "north", "site"), world.route(table, "site", "north")
    assert list(table.src[there]) == list(table.dst[back])[::-1]
    assert len(world.route(table, "site", "site")) == 0
    with pytest.raises(WorldError, match="route from 'north' to 'nowhere': no place 'nowhere', there"):
        world.route(table, "north", "nowhere")
    with pytest.raises(WorldError, match="route from 'north' to 'sat-2': no place 'sat-2', there"):
        world.route(table, "north", "sat-2")  # no packet ends at a satellite where no place is


def test_a_place_on_a_satellite_sends_as_the_satellite() -> None:
    world = World(region_spec())
    table = world.epoch(0.0)
    assert np.array_equal(table.next_hop[4], table.next_hop[5])
    assert np.array_equal(world.positions(5.0)[4], world.positions(5.0)[5])
    assert world.geodetic(5.0, 4) == world.geodetic(5.0, 5)


def test_with_a_grid_traffic_crosses_the_constellation() -> None:
    spec = world_spec(
        terminal("dish", 47.0, 8.0, min_elevation_deg=25.0),
        gateway("gate", 40.0, -100.0, min_elevation_deg=25.0),
        # with this phasing neighbours in the next plane are abreast, so that ways are nearly straight
        constellation=ConstellationSpec(shells=(CircularShell(550.0, 53.0, 1584, 72, 58),), isl="plus-grid"),
    )
    world = World(spec)
    table = world.epoch(0.0)
    assert np.sum(table.kind == ISL) == 4 * 1584
    way = _route(world, table, "dish", "gate")
    assert len(way) > 5
    rows = [row_of(world, table, a, b) for a, b in pairwise(way)]
    assert table.kind[rows].tolist() == [ACCESS, *[ISL] * (len(way) - 3), FEEDER]
    great_circle_m = 8.0e6
    assert great_circle_m < np.nansum(table.range_m[rows]) < 1.6 * great_circle_m


def test_a_platform_that_moves_takes_its_links_along() -> None:
    track = (Waypoint(0.0, 46.0, 9.0, 20e3), Waypoint(50.0, 46.4, 9.0, 20e3))
    platform = Place("platform", "aerial", 46.0, 9.0, 20e3, waypoints=track)
    valley = Place("valley", "ground", 46.0, 9.0)
    world = World(world_spec(platform, valley, links=(FixedLink("valley", "platform", radio="ka"),)))
    start, end = world.epoch(0.0), world.epoch(55.0)
    assert start.range_m[0] == pytest.approx(20e3, abs=1.0)
    assert start.elevation_deg[0] == pytest.approx(90.0, abs=1e-3)
    assert end.range_m[0] == pytest.approx(np.hypot(20e3, 44.6e3), rel=5e-3)
    assert world.geodetic(25.0, 0)[0] == pytest.approx(46.2)
    assert end.snr_db[0] < start.snr_db[0]


def test_weather_at_a_place_attenuates_both_directions_of_its_links_only() -> None:
    rainy = dataclasses.replace(DRY, weather=True)
    spec = dataclasses.replace(region_spec(), radios=(rainy,))
    nominal, wet = World(spec), World(spec, Adjustments(attenuation_db=_only("north", 8.0)))
    before, after = nominal.epoch(0.0), wet.epoch(0.0)
    north = (before.src == 0) | (before.dst == 0)
    radio = before.kind != FIXED
    assert np.all(before.attenuation_db[radio] > 0.0)  # gases
    fall = before.snr_db - after.snr_db
    assert fall[north] == pytest.approx(8.0)
    assert fall[radio & ~north] == pytest.approx(0.0)
    assert np.all(after.rate_bps[north] < before.rate_bps[north])
    assert np.array_equal(after.delay_ns, before.delay_ns)


def _only(wanted: str, amount: float):  # type: ignore[no-untyped-def]
    def extra(place: str, t_s: float, elevation_deg: float, frequency_ghz: float) -> float:
        assert t_s >= 0.0
        assert 0.0 < elevation_deg <= 90.0
        assert frequency_ghz in (DRY.up_frequency_ghz, DRY.down_frequency_ghz)
        return amount if place == wanted else 0.0

    return extra


def test_a_short_radio_link_gets_its_share_of_the_rain() -> None:
    wet = dataclasses.replace(DRY, weather=True)
    places = (
        Place("valley", "ground", 46.0, 9.0),
        Place("near", "aerial", 46.0, 9.0, 1e3),
        Place("far", "aerial", 46.0, 9.0, 20e3),
    )
    links = (FixedLink("valley", "near", radio="ka"), FixedLink("valley", "far", radio="ka"))
    spec = world_spec(*places, links=links, radios=(wet,))
    gases = World(spec).epoch(0.0).attenuation_db
    table = World(spec, Adjustments(attenuation_db={"valley": 6.0})).epoch(0.0)
    expected = [6.0 / rain_height_km(places[0])] * 2 + [6.0] * 2
    assert table.attenuation_db - gases == pytest.approx(expected)
    # above the rain there is none, whatever is said to fall there
    table = World(spec, Adjustments(attenuation_db={"far": 6.0})).epoch(0.0)
    assert np.array_equal(table.attenuation_db, gases)


def test_a_belief_may_make_a_link_better_than_nominal() -> None:
    spec = dataclasses.replace(region_spec(), radios=(dataclasses.replace(DRY, weather=True),))
    nominal, better = (
        World(spec).epoch(0.0),
        World(spec, Adjustments(attenuation_db={"north": -1.5})).epoch(0.0),
    )
    north = (nominal.src == 0) | (nominal.dst == 0)
    assert (better.snr_db - nominal.snr_db)[north] == pytest.approx(1.5)


def test_a_radio_without_weather_feels_none() -> None:
    spec = region_spec()
    wet = World(spec, Adjustments(attenuation_db={"north": 8.0}))
    assert np.array_equal(wet.epoch(0.0).snr_db, World(spec).epoch(0.0).snr_db, equal_nan=True)


def test_a_link_that_is_down_stays_in_the_table_and_traffic_goes_around() -> None:
    other = gateway("other", 47.0, 9.0)
    links = (FixedLink("gate", "site", delay_ms=0.6), FixedLink("other", "site", delay_ms=5.0))
    spec = region_spec()
    spec = dataclasses.replace(spec, places=(*spec.places, other), links=links)
    hidden = Adjustments()
    world = World(spec, hidden)
    before = world.epoch(0.0)
    sat = before.serving["north"]
    assert _route(world, before, "north", "site") == ["north", sat, "gate", "site"]
    hidden.link_down.add((sat, "gate"))
    after = world.epoch(0.1)
    row = row_of(world, after, sat, "gate")
    assert not after.up[row]
    assert after.up.sum() == len(after) - 1
    assert _route(world, after, "north", "site") == ["north", sat, "other", "site"]


def test_hidden_delay_loss_rate_and_processing_change_their_link_alone() -> None:
    spec = region_spec()
    nominal = World(spec).epoch(0.0)
    hidden = Adjustments(
        extra_delay_ms={("gate", "site"): 4.0},
        extra_loss={("gate", "site"): 0.25},
        rate_factor={("site", "gate"): 0.5},
        processing_bias={"ka": 1.5},
        implementation_loss_bias_db={"south": 0.7},
    )
    world = World(spec, hidden)
    table = world.epoch(0.0)
    there, back = row_of(world, table, "gate", "site"), row_of(world, table, "site", "gate")
    assert table.delay_ns[there] - nominal.delay_ns[there] == 4_000_000
    assert table.loss[there] == 0.25
    assert table.rate_bps[back] == 0.5 * nominal.rate_bps[back]
    radio = table.kind != FIXED
    assert np.all(table.delay_ns[radio] - nominal.delay_ns[radio] == 1_000_000)
    south = (table.src == 1) | (table.dst == 1)
    assert (nominal.snr_db - table.snr_db)[radio] == pytest.approx(np.where(south, 0.7, 0.0)[radio])


def test_a_satellite_off_its_elements_changes_ranges() -> None:
    spec = region_spec()
    plant = World(spec, Adjustments(along_track_km={"sat-1": 20.0}))
    moved = plant.positions(10.0) - World(spec).positions(10.0)
    assert np.linalg.norm(moved[5]) == pytest.approx(20e3, rel=0.08)  # less the turn of the Earth
    assert np.all(moved[6:] == 0.0)
    row = row_of(plant, plant.epoch(10.0), "gate", "sat-1")
    assert abs(plant.epoch(10.0).range_m[row] - World(spec).epoch(10.0).range_m[row]) > 100.0


def test_a_link_keeps_its_modcod_when_others_come_and_go() -> None:
    # held a little above the threshold, a link that was faster before keeps what a new one would not take
    hysteresis = dataclasses.replace(DRY, hysteresis_db=3.0)
    spec = dataclasses.replace(region_spec(), radios=(dataclasses.replace(hysteresis, weather=True),))
    hidden = Adjustments(attenuation_db={"gate": 9.0})
    world = World(spec, hidden)
    slow = world.epoch(0.0)
    row = row_of(world, slow, "gate", "sat-1")
    hidden.attenuation_db = {"gate": 7.0}
    fresh = World(spec, Adjustments(attenuation_db={"gate": 7.0})).epoch(45.0)
    held = world.epoch(45.0)
    assert held.serving != slow.serving  # rows were made anew in between
    again = row_of(world, held, "gate", "sat-1")
    assert held.snr_db[again] > slow.snr_db[row] + 1.0
    assert held.modcod[again] == slow.modcod[row] < fresh.modcod[again]


def test_lora_links_have_lora_rates() -> None:
    lora = RadioSpec(
        "ka", modcods="lora", up_frequency_ghz=0.868, down_frequency_ghz=0.868,
        up_bandwidth_mhz=0.125, down_bandwidth_mhz=0.125, up_eirp_dbw=-16.0, down_eirp_dbw=-10.0,
        up_g_over_t_db_k=-24.0, down_g_over_t_db_k=-26.0, weather=False,
    )  # fmt: skip
    world = World(dataclasses.replace(region_spec(), radios=(lora,)))
    table = world.epoch(0.0)
    rates = set(np.rint(table.rate_bps[table.kind == ACCESS]).tolist())
    assert rates <= {293.0, 537.0, 977.0, 1758.0, 3125.0, 5469.0}


def test_tables_stay_as_they_were_while_later_ones_are_made() -> None:
    hidden = Adjustments()
    world = World(region_spec(), hidden)
    first = world.epoch(0.0)
    kept = copy.deepcopy(first)
    hidden.extra_loss["gate", "site"] = 0.5
    hidden.link_down.add(("site", "gate"))
    for number in range(1, 40):
        world.epoch(number * 1.0)
    assert same_tables(first, kept)


def test_ten_thousand_further_epochs_take_no_more_memory() -> None:
    world = World(region_spec(), Adjustments(extra_delay_ms={("gate", "site"): 1.0}))
    tracemalloc.start()
    try:
        for number in range(3000):
            world.epoch(number * 0.1)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(3000, 13_000):
            world.epoch(number * 0.1)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < ten_tables_bytes


def test_time_does_not_go_back() -> None:
    world = World(region_spec())
    world.epoch(5.0)
    world.epoch(5.0)
    with pytest.raises(ValueError, match="epochs go forward"):
        world.epoch(4.9)


def test_a_world_without_satellites_has_its_wires() -> None:
    places = (Place("a", "ground"), Place("b", "ground", 1.0))
    world = World(world_spec(*places, constellation=ConstellationSpec(), links=(FixedLink("a", "b"),)))
    table = world.epoch(0.0)
    assert (len(table), table.next_hop.tolist()) == (2, [[-1, 0], [1, -1]])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"places": (Place("x", "balloon"),)},
            "place 'x': kind is 'balloon', allowed: ground, ship, aerial, satellite",
        ),
        ({"places": (terminal("x", 1.0, 1.0, radio="ku"),)}, "place 'x': no radio 'ku', there is ka"),
        ({"places": (terminal("x", 91.0, 1.0),)}, "place 'x': latitude is 91 deg, allowed: -90 to 90"),
        (
            {"places": (Place("x", "satellite", satellite="sat-9"),)},
            "place 'x': no satellite 'sat-9', there is sat-1, sat-2, sat-3, sat-4",
        ),
        ({"places": (Place("sat-1", "ground"),)}, "place 'sat-1': the name is used twice"),
        (
            {"links": (FixedLink("gate", "sight"),)},
            "link gate - sight: no place 'sight', there is gate, north",
        ),
        ({"start_utc": "today"}, "start_utc is 'today', should be like 2025-10-01T12:00:00Z"),
        ({"radios": (RadioSpec("ka", modcods="morse"),)}, "modcods is 'morse', allowed: dvb-s2x, lora"),
        ({"constellation": ConstellationSpec()}, "access is 'terminal', but there is no constellation"),
        (
            {"constellation": ConstellationSpec(elements="1 2 3\nfoo")},
            "constellation.elements: line 2: expected line 1 of '1 2 3'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(change: dict, sentence: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(WorldError) as caught:
        World(dataclasses.replace(region_spec(), **({"links": ()} | change)))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


_SMALL = """
import numpy as np
from emulator.world import World
from tests.emulator.worlds import region_spec
world = World(region_spec())
for t_s in (0.0, 0.5, 14.2):
    table = world.epoch(t_s)
    print(repr((table.src.tolist(), table.delay_ns.tolist(), table.snr_db.round(9).tolist(),
                table.next_hop.tolist(), table.serving)))
"""


def test_kernels_give_the_same_tables_uncompiled() -> None:
    answers = []
    for disabled in ("0", "1"):
        result = subprocess.run(
            [sys.executable, "-c", _SMALL],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        answers.append(result.stdout)
    assert answers[0] == answers[1] != ""


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, emulator; print(sorted({'numba', 'numpy', 'scipy', 'sgp4'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
