"""What a network controller orders: ways that are avoided, satellites that are left."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from emulator.accounting import DELIVERED, DROPS
from emulator.errors import WorldError
from emulator.layout import IN_USE, network_of
from emulator.orders import Orders
from emulator.simulate import Simulation, WorldTables
from emulator.spec import AccessSpec, ConstellationSpec, FixedLink, Geostationary, Place
from emulator.table import LinkTable
from emulator.traffic.arrivals import Periodic
from emulator.traffic.flows import Flow, FlowSet
from emulator.world import World
from tests.emulator.chain import S
from tests.emulator.worlds import differing, region_spec, terminal, world_spec

#: seen by all of Europe at 40 degrees or less, one higher than the other
TWO = ConstellationSpec(geostationary=(Geostationary("east", 15.0), Geostationary("west", -10.0)))
DISH = terminal("dish", 45.0, 14.0)


def diamond(orders: Orders | None = None) -> World:
    """From a to d over b, or over c, which takes 1 ms more a link."""
    places = [Place(name, "ground", 47.0 + k, 10.0) for k, name in enumerate("abcd")]
    links = (
        FixedLink("a", "b", delay_ms=1.0), FixedLink("b", "d", delay_ms=1.0),
        FixedLink("a", "c", delay_ms=2.0), FixedLink("c", "d", delay_ms=2.0),
    )  # fmt: skip
    return World(world_spec(*places, constellation=ConstellationSpec(), links=links), orders=orders)


def sky(*places: Place, orders: Orders, constellation: ConstellationSpec = TWO, **access: Any) -> World:
    rules = AccessSpec(decision_interval_s=1.0, **access)
    return World(world_spec(*places, constellation=constellation, access=rules), orders=orders)


def way(world: World, table: LinkTable, start: str, end: str) -> str:
    return "".join([start, *(world.places[table.dst[row]] for row in world.route(table, start, end))])


# --- routes ---------------------------------------------------------------------------------------


def test_routes_avoid_a_link_with_a_penalty_and_come_back() -> None:
    orders = Orders()
    world = diamond(orders)
    ways = []
    for t_s, penalty in enumerate([{}, {("b", "d"): 1000.0}, {}]):
        orders.route_penalty_ms = penalty
        ways.append(way(world, world.epoch(float(t_s)), "a", "d"))
    assert ways == ["abd", "acd", "abd"]


@pytest.mark.parametrize(("penalty_ms", "expected"), [(1.99, "abd"), (2.01, "acd")])
def test_a_penalty_counts_as_so_much_delay(penalty_ms: float, expected: str) -> None:
    world = diamond(Orders({("a", "b"): penalty_ms}))
    assert way(world, world.epoch(0.0), "a", "d") == expected
    # The other direction has no penalty.
    assert way(world, world.epoch(0.0), "d", "a") == "dba"


def test_a_penalty_changes_ways_and_nothing_else() -> None:
    told = diamond(Orders({("a", "b"): 1000.0}))
    assert differing(diamond().epoch(0.0), told.epoch(0.0)) == {"next_hop"}


def test_a_link_that_is_the_only_way_is_used_whatever_its_penalty() -> None:
    world = diamond(Orders({("a", "b"): 1000.0, ("a", "c"): 1000.0}))
    assert way(world, world.epoch(0.0), "a", "d") == "abd"


def test_links_of_a_satellite_are_named_by_it_or_by_the_place_on_it() -> None:
    spec = region_spec()
    spec = dataclasses.replace(spec, constellation=dataclasses.replace(spec.constellation, isl="nearest"))
    plain = World(spec)
    straight = way(plain, plain.epoch(0.0), "gate", "orbit")
    assert straight == "gatesat-1"
    for name in ("sat-1", "orbit"):
        world = World(spec, orders=Orders({("gate", name): 500.0}))
        assert way(world, world.epoch(0.0), "gate", "orbit") not in ("gate", straight)


# --- what is barred -------------------------------------------------------------------------------


def test_a_barred_satellite_is_not_taken() -> None:
    orders = Orders()
    assert sky(DISH, orders=orders).epoch(0.0).serving == {"dish": "east"}
    orders.barred.add(("dish", "east"))
    assert sky(DISH, orders=orders).epoch(0.0).serving == {"dish": "west"}


def test_a_terminal_leaves_a_barred_satellite_at_the_next_decision_and_no_sooner() -> None:
    orders = Orders()
    world = sky(DISH, orders=orders)
    assert world.epoch(0.0).serving == {"dish": "east"}
    orders.barred.add(("dish", "east"))
    assert world.epoch(0.9).serving == {"dish": "east"}
    assert world.epoch(1.0).serving == {"dish": "west"}


@pytest.mark.parametrize(
    "rules",
    [
        {"policy": "highest-elevation", "min_dwell_s": 60.0},
        {"policy": "highest-elevation", "hysteresis_deg": 90.0},
        {"policy": "longest-visibility"},
        {"policy": "best-snr", "hysteresis_db": 90.0},
        {"policy": "load-aware"},
    ],
    ids=["dwell", "hysteresis", "longest-visibility", "best-snr", "load-aware"],
)
def test_nothing_that_keeps_a_terminal_keeps_it_on_a_barred_satellite(rules: dict[str, Any]) -> None:
    orders = Orders()
    world = sky(DISH, orders=orders, **rules)
    on = world.epoch(0.0).serving["dish"]
    orders.barred.add(("dish", on))
    other = world.epoch(1.0).serving["dish"]
    assert {on, other} == {"east", "west"}
    orders.barred = {("dish", other)}
    assert world.epoch(2.0).serving["dish"] == on


def test_the_only_one_in_sight_stays() -> None:
    orders = Orders(barred={("dish", "east"), ("dish", "west")})
    world = sky(DISH, orders=orders)
    assert world.epoch(0.0).serving == {"dish": "east"}
    assert world.epoch(1.0).serving == {"dish": "east"}


def test_only_the_terminal_that_is_named_leaves() -> None:
    world = sky(DISH, terminal("other", 45.0, 14.0), orders=Orders(barred={("dish", "east")}))
    assert world.epoch(0.0).serving == {"dish": "west", "other": "east"}


def test_a_station_can_be_barred_and_one_that_is_full_is_no_alternative() -> None:
    def station(name: str, km: float, most: int) -> Place:
        more: dict[str, Any] = {"radio": "ka", "access": "station", "max_range_km": 20.0, "max_links": most}
        return Place(name, "ground", 47.0 + km / 111.0, 10.0, 30.0, **more)

    phones = [terminal(f"phone-{k}", 47.0, 10.0, min_elevation_deg=0.0) for k in (1, 2)]
    stations = station("near", 1.0, 0), station("far", 5.0, 1)
    orders = Orders(barred={("phone-1", "near"), ("phone-2", "near")})
    world = sky(*phones, *stations, orders=orders, constellation=ConstellationSpec())
    assert world.epoch(0.0).serving == {"phone-1": "far", "phone-2": "near"}


# --- both -----------------------------------------------------------------------------------------


def test_without_orders_tables_are_what_they_are() -> None:
    plain, told = World(region_spec()), World(region_spec(), orders=Orders())
    for t_s in (0.0, 1.0, 20.0):
        assert not differing(plain.epoch(t_s), told.epoch(t_s))


def test_orders_that_are_taken_back_leave_nothing_behind() -> None:
    eager = AccessSpec(decision_interval_s=1.0, hysteresis_deg=0.0)
    plain = World(region_spec(access=eager))
    without = plain.epoch(0.0)
    orders = Orders({("gate", "site"): 3.0}, set(without.serving.items()))
    told = World(region_spec(access=eager), orders=orders)
    assert differing(without, told.epoch(0.0)) >= {"serving", "next_hop"}
    orders.route_penalty_ms, orders.barred = {}, set()
    assert not differing(plain.epoch(1.0), told.epoch(1.0))


def test_packets_are_conserved_through_changes_of_orders() -> None:
    orders = Orders()
    world = diamond(orders)
    net = network_of(world, {1: "a", 2: "d"})
    flows = FlowSet([Flow("there", 1, 2, Periodic(0.0003)), Flow("back", 2, 1, Periodic(0.0007))])
    simulation = Simulation(net, WorldTables(world, epoch_s=0.1), flows=flows)
    over_c = 0
    for step in range(1, 21):
        hops = simulation.advance(step * S // 10)
        over_c += int((hops["to_place"] == world.place_index["c"]).sum())
        orders.route_penalty_ms = {("a", "b"): 9.0, ("d", "b"): 9.0} if step % 4 < 2 else {}
    results = simulation.results()
    assert over_c > 1000
    assert np.array_equal(results.sent, results.delivered + results.in_flight)
    assert results.in_flight.sum() == net.state[IN_USE]
    assert net.fates[:, DELIVERED].sum() == results.delivered.sum()
    assert not net.fates[:, list(DROPS)].any()


@pytest.mark.parametrize(
    ("orders", "sentence"),
    [
        (Orders({("gate", "sat-9"): 1.0}), "route_penalty_ms of gate > sat-9: no place 'sat-9', there are 9"),
        (Orders({("gate", "site"): -1.0}), "route_penalty_ms of gate > site is -1.0, it must not be below 0"),
        (Orders({("gate", "site"): math.nan}), "route_penalty_ms of gate > site is nan, it must not be"),
        (Orders(barred={("gate", "sat-1")}), "'sat-1' barred for 'gate': no terminal 'gate', there is north"),
        (Orders(barred={("north", "gate")}), "'gate' barred for 'north': no satellite or station 'gate'"),
        (Orders(barred={("north", "sat-9")}), "'sat-9' barred for 'north': no satellite or station 'sat-9'"),
    ],
)  # fmt: skip
def test_orders_that_name_what_is_not_there_are_refused(orders: Orders, sentence: str) -> None:
    with pytest.raises(WorldError, match=r"^orders: ") as caught:
        World(region_spec(), orders=orders)
    assert sentence in str(caught.value)
    with pytest.raises(WorldError, match=r"^orders: "):
        World(region_spec()).check_orders(orders)
