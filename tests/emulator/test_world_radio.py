"""Radio in the link table: the published budget, surroundings, weather counted on, and interference."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from emulator.nominal import nominal_of
from emulator.profiles import Profiles
from emulator.radio.budget import link_budget
from emulator.spec import (
    AccessSpec,
    Antenna,
    ConstellationSpec,
    FixedLink,
    OverRegion,
    Place,
    RadioSpec,
    WorldSpec,
)
from emulator.table import ACCESS, FEEDER, FIXED, Adjustments, LinkTable
from emulator.weather import Weather
from emulator.world import World
from tests.emulator.worlds import DRY, gateway, region_spec, row_of, same_tables, terminal, world_spec

SPEED_OF_LIGHT = 299_792_458.0
#: free-space constants of two kinds, and positions that are rounded to nothing
budget_db = 1e-9

URBAN = dataclasses.replace(DRY, up_frequency_ghz=2.0, down_frequency_ghz=2.2, environment="urban")
#: without hysteresis a ModCod does not depend on what came before
MEMORYLESS = {"hysteresis_db": 0.0}


def _with(spec: WorldSpec, *radios: RadioSpec) -> WorldSpec:
    return dataclasses.replace(spec, radios=radios)


@pytest.mark.parametrize(
    "radio",
    [
        DRY,
        dataclasses.replace(
            URBAN,
            place_antenna=Antenna("turnstile", "zenith"),
            far_antenna=Antenna("phased-array", diameter_m=0.3),
        ),
    ],
)
def test_links_have_the_budget_of_their_radio(radio: RadioSpec) -> None:
    world = World(_with(region_spec(), radio))
    table = world.epoch(4.0)
    up = np.flatnonzero((table.kind == ACCESS) | (table.kind == FEEDER))[0::2]
    for rows, down in ((up, False), (up + 1, True)):
        expected = link_budget(radio, table.range_m[rows], table.elevation_deg[rows], down=down)
        assert table.snr_db[rows] == pytest.approx(expected.snr_db, abs=budget_db)
        assert table.attenuation_db[rows] == pytest.approx(expected.terms.attenuation_db)
        assert np.array_equal(table.modcod[rows], expected.modcod)
        assert table.rate_bps[rows] == pytest.approx(expected.rate_bps)
        assert table.frame_error[rows] == pytest.approx(expected.frame_error)


def test_weather_counted_on_is_in_the_table() -> None:
    pytest.importorskip("itur", reason="the atmosphere needs itur")
    wet = RadioSpec("ka", weather_percent=0.5, down_system_noise_k=150.0)
    spec = _with(region_spec(), wet)
    world = World(spec)
    table = world.epoch(4.0)
    sat = table.serving["north"]
    for row, down in (
        (row_of(world, table, "north", sat), False),
        (row_of(world, table, sat, "north"), True),
    ):
        asked = table.range_m[row], table.elevation_deg[row]
        expected = link_budget(wet, *asked, down=down, place=spec.places[0])
        assert table.snr_db[row] == pytest.approx(float(expected.snr_db), abs=budget_db)
        assert expected.terms.excess_db > 0.5


def test_rain_raises_the_noise_of_the_receiver_on_the_ground_alone() -> None:
    pytest.importorskip("itur", reason="the atmosphere needs itur")
    spec = _with(region_spec(), RadioSpec("ka", down_system_noise_k=150.0))
    world, nominal = World(spec, Adjustments(attenuation_db={"north": 6.0})), World(spec)
    wet, dry = world.epoch(0.0), nominal.epoch(0.0)
    up, down = (row_of(world, wet, *ends) for ends in _both("north", wet.serving["north"]))
    assert dry.snr_db[up] - wet.snr_db[up] == pytest.approx(6.0)
    through = 10.0 ** (-0.1 * dry.attenuation_db[down])
    rise = 10.0 * math.log10(1.0 + (275.0 - 2.7) * through * (1.0 - 10.0**-0.6) / 150.0)
    assert dry.snr_db[down] - wet.snr_db[down] == pytest.approx(6.0 + rise)
    assert wet.attenuation_db[down] - dry.attenuation_db[down] == pytest.approx(6.0)


def _both(a: str, b: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (a, b), (b, a)


def test_what_decisions_rest_on_is_what_a_clear_sky_gives() -> None:
    pytest.importorskip("itur", reason="the atmosphere needs itur")
    radio = RadioSpec("ka", environment="suburban", far_antenna=Antenna("phased-array", diameter_m=0.3))
    spec = _with(region_spec(), radio)
    profiles = Profiles(spec.constellation, spec.radios, spec.links)
    nominal = nominal_of(spec.places, profiles, Weather(spec, profiles))
    world = World(spec)
    table = world.epoch(0.0)
    sat = table.serving["south"]
    row = row_of(world, table, sat, "south")
    asked = 1, table.src[[row]], table.range_m[[row]], table.elevation_deg[[row]]
    assert nominal.snr_db(*asked)[0] == table.snr_db[row]
    assert nominal.rate_bps(*asked)[0] == table.rate_bps[row] * (1.0 - table.frame_error[row])


# --- surroundings -------------------------------------------------------------------------------


def _around(seed: int | None, times: list[float]) -> list[LinkTable]:
    world = World(_with(region_spec(), URBAN), Adjustments(shadowing_seed=seed))
    return [world.epoch(t_s) for t_s in times]


def test_shadowing_depends_on_seed_and_instant_alone() -> None:
    often = _around(7, [step / 2.0 for step in range(61)])
    seldom = _around(7, [0.0, 12.5, 30.0])
    for one, other in zip(seldom, (often[0], often[25], often[60]), strict=True):
        assert np.array_equal(one.attenuation_db, other.attenuation_db, equal_nan=True)
    other_seed = _around(8, [12.5])[0]
    radio = other_seed.kind != FIXED
    assert np.all(other_seed.attenuation_db[radio] != seldom[1].attenuation_db[radio])


def test_both_directions_share_what_stands_around_a_place() -> None:
    for table in _around(7, [0.0, 3.0, 21.0]):
        sky = table.kind != FIXED
        up, down = table.attenuation_db[sky][0::2], table.attenuation_db[sky][1::2]
        assert np.array_equal(up, down)
        assert len(set(up.tolist())) == len(up)  # links apart are apart


def test_without_a_seed_surroundings_cost_their_mean() -> None:
    table = _around(None, [0.0])[0]
    row = int(np.flatnonzero(table.kind == ACCESS)[0])
    expected = link_budget(URBAN, table.range_m[row], table.elevation_deg[row]).terms.surroundings_db
    assert table.attenuation_db[row] == pytest.approx(float(expected))
    assert expected > 1.0


def test_a_link_keeps_its_shadowing_when_others_come_and_go() -> None:
    alone = _with(world_spec(terminal("north", 49.0, 9.0)), URBAN)
    world, single = (World(s, Adjustments(shadowing_seed=7)) for s in (_with(region_spec(), URBAN), alone))
    for t_s in (0.0, 20.0, 59.0):
        full, table = world.epoch(t_s), single.epoch(t_s)
        sat = table.serving["north"]
        if sat != full.serving["north"]:
            continue  # fed satellites are preferred there
        one, other = row_of(world, full, "north", sat), row_of(single, table, "north", sat)
        assert full.attenuation_db[one] == table.attenuation_db[other]


# --- interference -------------------------------------------------------------------------------

_A = RadioSpec(
    "a", up_frequency_ghz=2.0, down_frequency_ghz=2.2, up_bandwidth_mhz=10.0, down_bandwidth_mhz=10.0,
    up_eirp_dbw=-10.0, down_eirp_dbw=-10.0, up_g_over_t_db_k=-20.0, down_g_over_t_db_k=-20.0,
    weather=False, interference=True,
)  # fmt: skip
_SPOTS = {"one": (46.0, 9.0), "two": (46.0, 9.02), "three": (46.03, 9.0), "four": (46.03, 9.05)}


def _two_links(second: RadioSpec) -> World:
    places = [Place(name, "ground", *spot, 20.0) for name, spot in _SPOTS.items()]
    links = (FixedLink("one", "two", radio="a"), FixedLink("three", "four", radio=second.name))
    radios = (_A,) if second is _A else (_A, second)
    return World(world_spec(*places, constellation=ConstellationSpec(), links=links, radios=radios))


def test_interference_is_what_the_others_transmitters_send_over_free_space() -> None:
    world = _two_links(_A)
    table, position = world.epoch(0.0), world.positions(0.0)
    quiet = link_budget(_A, table.range_m, table.elevation_deg, down=False).snr_db
    # rows: one > two, two > one, three > four, four > three; up at 2.0 GHz, down at 2.2 GHz
    for row, (sender, receiver, f_hz) in enumerate(
        [(2, 1, 2.0e9), (3, 0, 2.2e9), (0, 3, 2.0e9), (1, 2, 2.2e9)]
    ):
        apart = float(np.linalg.norm(position[sender] - position[receiver]))
        loss = 20.0 * math.log10(4.0 * math.pi * apart * f_hz / SPEED_OF_LIGHT)
        i_over_n = -10.0 - 20.0 - loss + 228.599167 - 10.0 * math.log10(10e6)
        own = 20.0 * math.log10(f_hz / 2.0e9)
        expected = quiet[row] - own - 10.0 * math.log10(1.0 + 10.0 ** (0.1 * i_over_n))
        assert table.snr_db[row] == pytest.approx(expected, abs=1e-4)
        assert i_over_n > 0.0


def test_only_radios_that_ask_for_it_are_disturbed() -> None:
    deaf = dataclasses.replace(_A, name="b", interference=False)
    both, one = _two_links(_A).epoch(0.0), _two_links(deaf).epoch(0.0)
    assert np.array_equal(one.snr_db[:2], both.snr_db[:2])
    quiet = link_budget(_A, one.range_m[2:], one.elevation_deg[2:], down=False).snr_db
    assert one.snr_db[2] == pytest.approx(quiet[0])
    assert np.all(both.snr_db[2:] < one.snr_db[2:] - 3.0)


def test_links_on_other_frequencies_do_not_disturb() -> None:
    elsewhere = dataclasses.replace(_A, name="b", up_frequency_ghz=3.0, down_frequency_ghz=3.2)
    table = _two_links(elsewhere).epoch(0.0)
    quiet = link_budget(_A, table.range_m[:2], table.elevation_deg[:2], down=False).snr_db
    assert table.snr_db[0] == pytest.approx(quiet[0])


def test_panels_face_the_same_way_in_the_budget_and_towards_those_that_disturb() -> None:
    """A mast hears two senders that lie below it alike: its panel takes as much from either."""

    def world(far: Antenna, interference: bool) -> LinkTable:
        radio = dataclasses.replace(_A, far_antenna=far, interference=interference)
        places = (
            Place("served", "ground", 0.0, 9.01, 20.0),
            Place("mast", "ground", 0.0, 9.0, 2000.0),
            Place("stranger", "ground", 0.0, 8.99, 20.0),
            Place("elsewhere", "ground", 0.0, 8.9, 20.0),
        )
        links = (FixedLink("served", "mast", radio="a"), FixedLink("stranger", "elsewhere", radio="a"))
        spec = world_spec(*places, constellation=ConstellationSpec(), links=links, radios=(radio,))
        return World(spec).epoch(0.0)

    def heard(far: Antenna) -> tuple[float, float]:
        """(SNR without the others, their ratio to the noise) at the mast."""
        quiet = world(far, interference=False).snr_db[0]
        rise = quiet - world(far, interference=True).snr_db[0]
        return quiet, 10.0 ** (0.1 * rise) - 1.0

    # so small that only the scan counts
    panel = Antenna("phased-array", diameter_m=1e-4, gain_dbi=1.0)
    (open_snr, open_ratio), (panel_snr, panel_ratio) = heard(Antenna()), heard(panel)
    taken = open_snr - panel_snr
    assert 0.5 < taken < 10.0
    assert 10.0 * math.log10(open_ratio / panel_ratio) == pytest.approx(taken, abs=0.01)


# --- instants -----------------------------------------------------------------------------------


def test_what_is_asked_in_between_changes_nothing() -> None:
    """Everything at once: surroundings, interference, handovers, a satellite off its track."""
    radio = dataclasses.replace(URBAN, interference=True, weather=False, **MEMORYLESS)  # type: ignore[arg-type]
    spec = dataclasses.replace(
        _with(region_spec(), radio),
        constellation=ConstellationSpec(
            over_region=OverRegion(47.0, 10.0, 2000.0, 1000.0, columns=4, rows=4),
            isl="nearest",
            interlayer="nearest",
        ),
        access=AccessSpec("best-snr", decision_interval_s=3.0, decision_offset_s=1.0, hysteresis_db=0.0),
    )
    spec = dataclasses.replace(spec, places=(*spec.places, gateway("far", 44.0, 8.0)))

    def world() -> World:
        return World(spec, Adjustments(shadowing_seed=3, along_track_km={"sat-2": 5.0}))

    often, seldom = world(), world()
    fine = [often.epoch(step / 10.0) for step in range(401)]
    coarse = [seldom.epoch(float(step)) for step in range(41)]
    assert all(same_tables(one, other) for one, other in zip(coarse, fine[::10], strict=True))
    late = world().epoch(33.0)
    assert same_tables(late, coarse[33])
    assert len({tuple(sorted(table.serving.items())) for table in coarse}) > 1
