"""Who is served by which satellite: when that may change, and what is preferred."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.geometry import ecef_from_geodetic, elevation_deg, enu_axes
from emulator.spec import AccessSpec, ConstellationSpec
from emulator.world import Adjustments, World
from tests.emulator.worlds import (
    SHELL,
    STARLINK_GRID,
    gateway,
    region_spec,
    starlink_text,
    terminal,
    world_spec,
)


def _shell_spec(**more):  # type: ignore[no-untyped-def]
    places = (
        terminal("dish", 47.0, 8.0, min_elevation_deg=25.0),
        gateway("gate", 50.0, 8.6, min_elevation_deg=25.0),
    )
    values = {"constellation": SHELL, "access": STARLINK_GRID, "duration_s": 300.0, **more}
    return world_spec(*places, **values)


def _servings(world: World, times: np.ndarray) -> list[str]:
    return [world.epoch(float(t)).serving["dish"] for t in times]


def _elevations(world: World, t_s: float, place: tuple[float, float]) -> dict[str, float]:
    positions = world.positions(t_s)[world.first_satellite :]
    found = elevation_deg(ecef_from_geodetic(*place, 0.0), enu_axes(*place)[2], positions)
    return dict(zip(world.satellites, found.tolist(), strict=True))


def test_with_real_elements_satellites_change_only_on_the_grid() -> None:
    spec = _shell_spec(constellation=ConstellationSpec(elements=starlink_text()))
    world = World(spec)
    times = np.round(np.arange(0.0, 300.0, 0.1), 1)
    serving = _servings(world, times)
    changes = [t for t, a, b in zip(times[1:], serving[1:], serving[:-1], strict=False) if a != b]
    assert len(changes) >= 2
    # the run starts at noon: seconds of the minute are run time modulo 60
    assert {round(t % 60.0, 1) for t in changes} <= {12.0, 27.0, 42.0, 57.0}


def test_the_table_has_no_row_to_a_satellite_that_does_not_serve() -> None:
    world = World(_shell_spec())
    for t_s in range(0, 60, 5):
        table = world.epoch(float(t_s))
        dish = world.place_index["dish"]
        peers = {world.places[d] for d in table.dst[table.src == dish]}
        assert peers == {table.serving["dish"]}


def _many(**more):  # type: ignore[no-untyped-def]
    """Terminals all over Europe and gateways between them, no hysteresis: choices are often close."""
    spots = [(float(lat), float(lon)) for lat in range(36, 56, 4) for lon in range(-8, 28, 6)]
    places = [terminal(f"t{k}", *spot, min_elevation_deg=25.0) for k, spot in enumerate(spots)]
    places += [
        gateway(f"g{k}", lat + 2.0, lon, min_elevation_deg=25.0) for k, (lat, lon) in enumerate(spots[::3])
    ]
    access = dataclasses.replace(STARLINK_GRID, hysteresis_deg=0.0)
    return world_spec(*places, **{"constellation": SHELL, "access": access, "duration_s": 120.0, **more})


def test_those_who_ask_at_other_times_find_the_same_satellites() -> None:
    spec = _many(start_utc="2025-10-01T12:00:03.700Z")
    often, seldom, late = World(spec), World(spec), World(spec)
    fine = [often.epoch(step / 10.0).serving for step in range(1000)]
    for step in range(0, 1000, 71):
        assert seldom.epoch(step / 10.0).serving == fine[step]
    assert late.epoch(99.9).serving == fine[999]
    assert fine[999] != fine[0]


def test_adjustments_do_not_change_which_links_there_are() -> None:
    spec = _many()
    plain = World(spec)
    hidden = Adjustments(
        attenuation_db={"t1": 30.0},
        along_track_km=dict.fromkeys(plain.satellites, -60.0),
        link_down={("t0", plain.epoch(0.0).serving["t0"])},
    )
    plant = World(spec, hidden)
    for t_s in range(60):
        there, here = plant.epoch(float(t_s)), plain.epoch(float(t_s))
        assert there.serving == here.serving
        assert np.array_equal(there.src, here.src)
        assert np.array_equal(there.dst, here.dst)
    assert np.any(there.delay_ns != here.delay_ns)


def test_links_are_left_out_when_they_set_and_not_replaced_before_a_decision() -> None:
    world = World(_many())
    links, decided = None, 0
    for step in range(600):
        table = world.epoch(step / 10.0)
        now = set(zip(table.src.tolist(), table.dst.tolist(), strict=True))
        if links is not None and (step - 120) % 150:
            assert now <= links
            decided += now < links
        links = now
    assert decided > 0


def test_a_satellite_is_not_held_when_it_sets_before_the_next_decision() -> None:
    clinging = dataclasses.replace(STARLINK_GRID, hysteresis_deg=90.0)
    spec = _shell_spec(access=clinging)
    world = World(dataclasses.replace(spec, places=spec.places[:1]))
    for t_s in range(12, 297, 15):
        chosen = world.epoch(float(t_s)).serving["dish"]
        assert _elevations(world, t_s + 15.0, (47.0, 8.0))[chosen] > 25.0 - 1e-3


def test_the_chosen_satellite_is_high_enough_until_the_next_decision() -> None:
    world = World(_shell_spec())
    for t_s in range(12, 297, 15):
        chosen = world.epoch(float(t_s)).serving["dish"]
        assert _elevations(world, t_s, (47.0, 8.0))[chosen] > 25.0
        assert _elevations(world, t_s + 15.0, (47.0, 8.0))[chosen] > 25.0 - 1e-3


def test_without_inter_satellite_links_the_chosen_satellite_sees_the_gateway() -> None:
    far = gateway("gate", 47.0, 24.0, min_elevation_deg=25.0)
    spec = _shell_spec()
    spec = dataclasses.replace(spec, places=(spec.places[0], far))
    relayed = dataclasses.replace(spec, constellation=dataclasses.replace(SHELL, isl="plus-grid"))
    bent, free = World(spec), World(relayed)
    highest = []
    for t_s in range(12, 297, 15):
        sees = _elevations(bent, t_s, (47.0, 24.0))
        mine = _elevations(bent, t_s, (47.0, 8.0))
        assert sees[bent.epoch(float(t_s)).serving["dish"]] > 25.0
        chosen = free.epoch(float(t_s)).serving["dish"]
        highest.append(mine[chosen] > max(mine.values()) - 5.0 - 1e-6)
    assert all(highest[1:])


def test_hysteresis_keeps_a_satellite_that_is_nearly_as_high() -> None:
    eager = dataclasses.replace(STARLINK_GRID, hysteresis_deg=0.0)
    patient = dataclasses.replace(STARLINK_GRID, hysteresis_deg=40.0)
    times = np.arange(0.0, 300.0, 15.0)
    changes = []
    for access in (eager, patient):
        serving = _servings(World(_shell_spec(access=access)), times)
        changes.append(sum(a != b for a, b in zip(serving[1:], serving[:-1], strict=True)))
    assert changes[1] < changes[0]


def test_longest_visibility_changes_less_often_than_highest_elevation() -> None:
    longest = dataclasses.replace(STARLINK_GRID, policy="longest-visibility")
    times = np.arange(0.0, 300.0, 15.0)
    held = _servings(World(_shell_spec(access=longest)), times)
    highest = _servings(World(_shell_spec()), times)
    assert len(set(held)) <= len(set(highest))
    # what was chosen first outlasts every other that was there
    world = World(_shell_spec(access=longest))
    first = world.epoch(0.0).serving["dish"]
    stays = []
    for name, high in _elevations(world, -3.0, (47.0, 8.0)).items():
        if high >= 25.0:
            later = [_elevations(world, t, (47.0, 8.0))[name] for t in np.arange(-3.0, 400.0, 20.0)]
            stays.append((next((k for k, e in enumerate(later) if e < 25.0), 99), name))
    assert {name: k for k, name in stays}[first] == max(stays)[0]


def test_nobody_serves_where_no_satellite_is_high_enough() -> None:
    spec = region_spec()
    away = terminal("away", -40.0, -170.0)
    world = World(dataclasses.replace(spec, places=(*spec.places, away)))
    table = world.epoch(0.0)
    assert table.serving["away"] == ""
    assert np.all(table.next_hop[world.place_index["away"]] == -1)


def test_gateways_feed_the_satellites_in_use_and_no_others() -> None:
    world = World(region_spec())
    table = world.epoch(10.0)
    fed = {world.places[d] for d in table.dst[(table.kind == 1) & (table.src == 2)]}
    assert fed == set(table.serving.values()) | {"sat-1"}


def test_unknown_policy_and_empty_interval_are_refused() -> None:
    with pytest.raises(WorldError, match=r"access\.policy is 'best', allowed: highest-elevation, longest"):
        World(region_spec(access=AccessSpec(policy="best")))
    with pytest.raises(WorldError, match="decision_interval_s is 0, it must be above 0"):
        World(region_spec(access=AccessSpec(decision_interval_s=0.0)))
