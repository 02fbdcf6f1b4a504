"""Satellites of a world: where they come from, which are left out, and the links between them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from sgp4.api import WGS72, Satrec

from emulator.errors import WorldError
from emulator.orbits.elements import elements_to_text
from emulator.radio.budget import link_budget
from emulator.satellites import published_elements
from emulator.spec import (
    AccessSpec,
    Antenna,
    CircularShell,
    ConstellationSpec,
    Geostationary,
    OverRegion,
    Place,
    RadioSpec,
    WorldSpec,
)
from emulator.table import ACCESS, ISL, Adjustments, LinkTable
from emulator.world import World
from tests.emulator.worlds import DRY, gateway, region_spec, row_of, same_tables, terminal, world_spec

SHELL = CircularShell(1200.0, 60.0, 48, 6, 1)
GEO = Geostationary("geo", 10.0)
NOON = "2025-10-01T12:00:00Z"


def _isl_ends(world: World, t_s: float) -> set[tuple[int, int]]:
    return _ends(world.epoch(t_s))


def _ends(table: LinkTable) -> set[tuple[int, int]]:
    rows = np.flatnonzero(table.kind == ISL)[0::2]
    return set(zip(table.src[rows].tolist(), table.dst[rows].tolist(), strict=True))


# --- where satellites come from -----------------------------------------------------------------


def test_elements_shells_and_geostationary_satellites_stand_side_by_side() -> None:
    published = published_elements(region_spec())
    spec = world_spec(
        terminal("dish", 47.0, 10.0),
        constellation=ConstellationSpec(
            elements=published,
            shells=(dataclasses.replace(SHELL, name="walker"),),
            geostationary=(GEO,),
            interlayer="nearest",
        ),
        access=AccessSpec(layers=("geo",)),
    )
    world = World(spec)
    names = world.satellites
    assert (names[:4], names[4], names[-1]) == (("sat-1", "sat-2", "sat-3", "sat-4"), "walker-01-01", "geo")
    assert len(names) == 4 + 48 + 1
    table = world.epoch(0.0)
    assert table.serving == {"dish": "geo"}
    row = row_of(world, table, "dish", "geo")
    # over longitude 10, seen from latitude 47
    a, r, cosine = 6_366e3, 42_164e3, math.cos(math.radians(47.0))
    assert table.range_m[row] == pytest.approx(math.sqrt(a * a + r * r - 2.0 * a * r * cosine), rel=1e-3)


def test_every_satellite_in_sight_of_the_layer_above_is_linked_to_it() -> None:
    spec = world_spec(
        constellation=ConstellationSpec(shells=(SHELL,), geostationary=(GEO,), interlayer="nearest")
    )
    world = World(spec)
    ends = _isl_ends(world, 0.0)
    geo = world.place_index["geo"]
    assert 24 < len(ends) < 48  # the Earth hides the geostationary one from a third
    assert {max(pair) for pair in ends} == {geo}
    position = world.positions(0.0)
    grazing_m = 6_378e3 + 80e3
    for a, b in ends:
        ray = position[b] - position[a]
        share = min(max(-float(position[a] @ ray) / float(ray @ ray), 0.0), 1.0)
        assert np.linalg.norm(position[a] + share * ray) > grazing_m - 25e3  # the Earth is flattened


@pytest.mark.parametrize(("choice", "age_s"), [("published", 86_400.0), ("nearest", -21_600.0)])
def test_of_several_sets_the_one_asked_for_is_flown(choice: str, age_s: float) -> None:
    old, new = (
        published_elements(dataclasses.replace(region_spec(), start_utc=start))
        for start in ("2025-09-30T12:00:00Z", "2025-10-01T18:00:00Z")
    )
    both, chosen = (
        dataclasses.replace(
            region_spec(), constellation=ConstellationSpec(elements=text, elements_choice=choice), places=()
        )
        for text in (f"{old}\n{new}", old if choice == "published" else new)
    )
    both, chosen = (dataclasses.replace(spec, links=()) for spec in (both, chosen))
    world, only = World(both), World(chosen)
    assert world.satellites == only.satellites == ("sat-1", "sat-2", "sat-3", "sat-4")
    assert world.element_ages_s == pytest.approx([age_s] * 4, abs=1e-3)
    assert np.array_equal(world.positions(9.0), only.positions(9.0))


def _decaying(name: str, number: int) -> tuple[str, Satrec]:
    record = Satrec()
    days = 27_666.5  # 2025-09-30T12:00 since 1949-12-31
    # 180 km up, with the drag of a balloon
    record.sgp4init(
        WGS72, "i", number, days, 0.02, 0.0, 0.0, 0.001, 0.0, math.radians(53.0), 0.0, 0.0713, 0.0
    )
    return name, record


def test_satellites_that_do_not_last_are_left_out_with_the_reason() -> None:
    text = published_elements(region_spec()) + "\n" + elements_to_text([_decaying("FALLEN", 90_001)])
    spec = world_spec(terminal("dish", 47.0, 10.0), constellation=ConstellationSpec(elements=text))
    world = World(spec)
    assert world.satellites == ("sat-1", "sat-2", "sat-3", "sat-4")
    assert list(world.skipped) == ["FALLEN"]
    assert world.skipped["FALLEN"]
    assert len(world.element_ages_s) == 4
    on_it = dataclasses.replace(spec, places=(Place("orbit", "satellite", satellite="FALLEN"),))
    with pytest.raises(WorldError, match=r"no satellite 'FALLEN' \(it cannot be propagated to this run\)"):
        World(on_it)


# --- links between satellites -------------------------------------------------------------------


def _nearest() -> WorldSpec:
    crossing = (
        CircularShell(800.0, 60.0, 60, 6, 1, name="low"),
        CircularShell(900.0, 85.0, 60, 6, 1, name="high"),
    )
    return world_spec(
        constellation=ConstellationSpec(
            shells=crossing, isl="nearest", isl_neighbours=3, isl_max_range_km=2500.0
        ),
        duration_s=120.0,
    )


def test_the_nearest_satellites_are_linked_anew_every_thirty_seconds() -> None:
    world = World(_nearest())
    found = {t_s: _isl_ends(world, t_s) for t_s in (0.0, 15.0, 29.9, 30.0, 59.9, 60.0)}
    assert found[0.0] == found[15.0] == found[29.9]
    assert found[30.0] == found[59.9]
    assert len(found[0.0] ^ found[60.0]) > 0
    late = World(_nearest())
    assert same_tables(late.epoch(60.0), world.epoch(60.0))
    degree = np.bincount(np.array(sorted(found[0.0])).ravel())
    assert degree.max() == 3


def test_a_link_behind_the_earth_is_not_there() -> None:
    # three satellites of a plane, neighbours of each other 120 degrees apart
    ring = ConstellationSpec(shells=(CircularShell(550.0, 53.0, 3, 1, 0),), isl="plus-grid")
    high = ConstellationSpec(shells=(CircularShell(9000.0, 53.0, 3, 1, 0),), isl="plus-grid")
    assert len(_isl_ends(World(world_spec(constellation=ring)), 0.0)) == 0
    assert len(_isl_ends(World(world_spec(constellation=high)), 0.0)) == 3


def test_satellites_off_their_elements_have_other_ranges_between_them() -> None:
    spec = world_spec(constellation=ConstellationSpec(shells=(SHELL,), isl="plus-grid"))
    true, published = World(spec, Adjustments(along_track_km={"sat-01-01": 10.0})), World(spec)
    a, b = true.epoch(5.0), published.epoch(5.0)
    assert np.array_equal(a.src, b.src)
    touched = (a.src == true.place_index["sat-01-01"]) | (a.dst == true.place_index["sat-01-01"])
    assert np.all(np.abs(a.range_m - b.range_m)[touched] > 1.0)
    assert np.array_equal(a.range_m[~touched], b.range_m[~touched])


def test_a_satellite_that_nobody_knows_changes_nothing() -> None:
    hidden = Adjustments()
    world = World(region_spec(), hidden)
    hidden.along_track_km["no-such"] = 10.0
    hidden.along_track_km["gate"] = 10.0
    assert same_tables(world.epoch(1.0), World(region_spec()).epoch(1.0))


# --- who serves ---------------------------------------------------------------------------------


def test_best_snr_takes_the_satellite_of_the_highest_published_snr() -> None:
    # an antenna that looks up and clutter: not the nearest, not only the highest
    radio = dataclasses.replace(
        DRY,
        up_frequency_ghz=2.0,
        down_frequency_ghz=2.2,
        environment="urban",
        place_antenna=Antenna("turnstile", "zenith"),
    )
    shells = (CircularShell(600.0, 53.0, 400, 20, 3, name="low"), CircularShell(1400.0, 60.0, 300, 15, 1))
    spec = world_spec(
        terminal("dish", 47.0, 10.0),
        constellation=ConstellationSpec(shells=shells),
        radios=(radio,),
        access=AccessSpec("best-snr", hysteresis_db=0.0, decision_interval_s=10.0),
    )
    world = World(spec)
    for t_s in (0.0, 20.0, 40.0):
        table = world.epoch(t_s)
        row = row_of(world, table, table.serving["dish"], "dish")
        assert table.snr_db[row] == pytest.approx(_best_snr_db(world, radio, t_s, t_s + 10.0), abs=1e-6)


def _best_snr_db(world: World, radio: RadioSpec, t_s: float, until_s: float) -> float:
    """Of all satellites that stay above 10 degrees."""
    from emulator.geometry import ecef_from_geodetic, elevation_deg, enu_axes

    here, up = ecef_from_geodetic(47.0, 10.0, 0.0), enu_axes(47.0, 10.0)[2]
    then, now = (world.positions(at)[world.first_satellite :] for at in (until_s, t_s))
    high = elevation_deg(here, up, now)
    stays = (high >= 10.0) & (elevation_deg(here, up, then) >= 10.0)
    range_m = np.linalg.norm(now[stays] - here, axis=1)
    return float(link_budget(radio, range_m, high[stays]).snr_db.max())


def test_links_of_a_satellite_that_set_for_good_are_gone() -> None:
    """Also when nothing at all is left, just as a new decision is taken."""
    lonely = ConstellationSpec(over_region=OverRegion(47.0, 10.0, 100.0, 500.0, columns=1, rows=1, at_s=0.0))
    spec = world_spec(terminal("dish", 47.0, 10.0), constellation=lonely, duration_s=900.0)
    world = World(spec)
    assert len(world.epoch(0.0)) == 2
    for t_s in np.arange(1.0, 900.0, 7.3):
        table = world.epoch(float(t_s))
        assert len(table) == (2 if table.serving["dish"] else 0)
    assert world.epoch(900.0).serving == {"dish": ""}


def test_links_that_stay_keep_their_rows_over_decisions() -> None:
    spec = dataclasses.replace(region_spec(), access=AccessSpec(decision_interval_s=1.0))
    world = World(spec)
    first, second = world.epoch(0.0), world.epoch(1.0)
    assert first.serving == second.serving
    assert second.src is first.src


def test_the_bound_on_rows_holds() -> None:
    nearest = dataclasses.replace(
        _nearest(),
        places=(
            terminal("dish", 47.0, 10.0),
            gateway("gate", 48.0, 11.0),
            gateway("other", 40.0, 11.0),
            Place("a", "satellite", satellite="low-01-01"),
            Place("b", "satellite", satellite="low-02-01"),
        ),
    )
    for spec in (nearest, region_spec()):
        world = World(spec)
        bound = world.most_rows()
        assert all(len(world.epoch(t_s)) <= bound // 2 for t_s in np.arange(0.0, 60.0, 5.0))


def test_places_on_satellites_are_fed_by_gateways() -> None:
    spec = region_spec()
    world = World(spec)
    table = world.epoch(0.0)
    fed = {world.places[d] for d in table.dst[table.src == world.place_index["gate"]]} - {"site"}
    assert "sat-1" in fed  # carries "orbit"
    assert fed == {"sat-1", *(name for name in table.serving.values() if name)}
    assert np.sum(table.kind == ACCESS) == 4


def test_the_start_is_the_zero_of_run_time() -> None:
    later = dataclasses.replace(region_spec(), start_utc="2025-10-01T12:00:30Z")
    text = published_elements(region_spec())
    one, other = (
        World(dataclasses.replace(spec, constellation=ConstellationSpec(elements=text)))
        for spec in (region_spec(), later)
    )
    assert one.positions(40.0) == pytest.approx(other.positions(10.0), abs=1e-3)
