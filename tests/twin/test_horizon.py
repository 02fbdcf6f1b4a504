"""The long forecast of who serves whom, against the emulator's own world stepped epoch by epoch."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from emulator.orders import Orders
from emulator.spec import AccessSpec, CircularShell, ConstellationSpec, Place, RadioSpec, WorldSpec
from emulator.world import World
from testbed.twin.horizon import Handover, Horizon

#: a radio without weather: no maps are needed
DRY = RadioSpec("ka", weather=False)
SHELL = ConstellationSpec(shells=(CircularShell(550.0, 53.0, 396, 36, 17),))
PLACES = (
    Place("lagos", "ground", 6.5, 3.4, radio="ka", access="terminal", min_elevation_deg=20.0),
    Place("louvain", "ground", 50.7, 4.6, radio="ka", access="terminal", min_elevation_deg=20.0),
    Place("frankfurt", "ground", 50.1, 8.7, radio="ka", access="gateway"),
)
AHEAD_S = 240.0


def spec(**access: Any) -> WorldSpec:
    return WorldSpec(
        "2025-10-01T12:00:07Z", 600.0, 0.1, PLACES, SHELL, radios=(DRY,), access=AccessSpec(**access)
    )


def what_happens(world: WorldSpec, until_s: float) -> list[Handover]:
    """As the plant notes handovers: at the epoch at which another satellite serves."""
    network, serving, found = World(world), {}, []
    for epoch in range(round(until_s / world.epoch_s) + 1):
        t_s = epoch * world.epoch_s
        table = network.epoch(t_s)
        for terminal, satellite in table.serving.items():
            if serving and serving[terminal] != satellite:
                found.append(Handover(t_s, terminal, serving[terminal], satellite))
        serving = dict(table.serving)
    return found


def looked(world: WorldSpec, now_s: float = 0.0, ahead_s: float = AHEAD_S) -> Horizon:
    horizon = Horizon(world, ahead_s)
    while not horizon.advance(now_s, 20):
        pass
    return horizon


@pytest.mark.parametrize(
    "access",
    [
        {"decision_interval_s": 15.0, "decision_offset_s": 12.0},
        {"decision_interval_s": 1.0},
        {"decision_interval_s": 0.25, "hysteresis_deg": 1.0},
        {"decision_interval_s": 7.3, "decision_offset_s": 0.4, "hysteresis_deg": 2.0},
    ],
    ids=["starlink grid", "every second", "finer than needed", "between epochs"],
)
def test_handovers_are_foreseen_to_the_epoch(access: dict[str, Any]) -> None:
    world = spec(**access)
    happened = what_happens(world, AHEAD_S)
    assert len(happened) >= 2
    foreseen = looked(world).handovers
    assert [one[1:] for one in foreseen] == [one[1:] for one in happened]
    assert [one.t_s for one in foreseen] == pytest.approx([one.t_s for one in happened], abs=1e-9)


def test_who_serves_is_told_for_any_moment_ahead() -> None:
    world = spec(decision_interval_s=15.0, decision_offset_s=12.0)
    horizon, network = looked(world), World(world)
    for t_s in (0.0, 5.0, 50.0, 100.0, AHEAD_S):
        assert horizon.serving(t_s) == network.epoch(t_s).serving


def test_what_is_over_is_forgotten_and_the_rest_is_the_same() -> None:
    world = spec(decision_interval_s=15.0, decision_offset_s=12.0)
    horizon, later = looked(world), 120.0
    first = list(horizon.handovers)
    while not horizon.advance(later, 20):
        pass
    assert horizon.known_s == later + AHEAD_S
    assert [one for one in first if one.t_s > later] == [
        one for one in horizon.handovers if one.t_s <= AHEAD_S
    ]
    assert horizon.serving(later) == World(world).epoch(later).serving
    assert len(horizon.links(later)) > 0


def test_links_ahead_are_those_of_the_world_then() -> None:
    world = spec(decision_interval_s=15.0, decision_offset_s=12.0)
    table = World(world).epoch(100.0)
    assert {link.rate_bps for link in looked(world).links(100.0)} == set(table.rate_bps.tolist())


def test_one_call_does_no_more_than_it_is_asked_to() -> None:
    class Counted:
        def __init__(self, *_given: object) -> None:
            self.asked = 0

        def at(self, t_s: float, isl: frozenset[str] = frozenset()) -> list[Any]:
            self.asked += 1
            return []

        def serving(self, t_s: float) -> dict[str, str]:
            self.asked += 1
            return {}

    network = Counted()
    horizon = Horizon(spec(), AHEAD_S, build=lambda *_: network)
    horizon.advance(0.0, 5)
    assert network.asked <= 10  # a decision and a look each, at most


def test_memory_is_bounded_however_many_links_there_are() -> None:
    class Wide:
        def __init__(self, *_given: object) -> None:
            pass

        def at(self, t_s: float, isl: frozenset[str] = frozenset()) -> list[Any]:
            return [None] * 4000

        def serving(self, t_s: float) -> dict[str, str]:
            return {}

    horizon = Horizon(dataclasses.replace(spec(), places=()), 1800.0, build=Wide)
    while not horizon.advance(0.0, 100):
        pass
    assert sum(map(len, horizon._links)) <= 44_000


def test_a_world_where_nobody_chooses_is_only_looked_at() -> None:
    world = dataclasses.replace(spec(), places=(Place("alone", "ground"),))
    horizon = looked(world)
    assert (list(horizon.handovers), horizon.serving(0.0), horizon.next_handover("alone")) == ([], {}, None)


def under_orders(world: WorldSpec, orders: list[tuple[float, set[tuple[str, str]]]], until_s: float) -> Any:
    """What happens when the network is told at these times what terminals are barred from."""
    network, serving, found = World(world), {}, []
    for epoch in range(round(until_s / world.epoch_s) + 1):
        t_s = epoch * world.epoch_s
        network.orders = Orders(barred=next(barred for since_s, barred in reversed(orders) if since_s <= t_s))
        table = network.epoch(t_s)
        for terminal, satellite in table.serving.items():
            if serving and serving[terminal] != satellite:
                found.append(Handover(t_s, terminal, serving[terminal], satellite))
        serving = dict(table.serving)
    return found


def test_what_terminals_are_barred_from_is_foreseen_under_the_orders_of_its_time() -> None:
    world = spec(decision_interval_s=15.0, decision_offset_s=12.0)
    horizon = looked(world)
    now_s = 40.0
    barred = {(one.terminal, one.after) for one in horizon.handovers if one.t_s > now_s and one.after}
    assert horizon.obey(Orders(barred=barred), now_s)
    assert horizon.known_s == -math.inf  # what was foreseen does not hold any more
    while not horizon.advance(now_s, 20):
        pass
    happened = under_orders(world, [(0.0, set()), (now_s, barred)], now_s + AHEAD_S)
    expected = [one for one in happened if one.t_s > now_s]
    assert expected != [one for one in what_happens(world, now_s + AHEAD_S) if one.t_s > now_s]
    assert [one[1:] for one in horizon.handovers] == [one[1:] for one in expected]
    assert [one.t_s for one in horizon.handovers] == pytest.approx([one.t_s for one in expected], abs=1e-9)


def test_orders_that_bar_nobody_leave_what_is_foreseen() -> None:
    horizon = looked(spec(decision_interval_s=15.0, decision_offset_s=12.0))
    handovers, known_s = list(horizon.handovers), horizon.known_s
    assert not horizon.obey(Orders(route_penalty_ms={("lagos", "x"): 5.0}), 10.0)
    assert (list(horizon.handovers), horizon.known_s) == (handovers, known_s)


def test_links_are_those_of_the_satellites_that_are_not_barred() -> None:
    world = spec(decision_interval_s=15.0, decision_offset_s=12.0)
    horizon = looked(world)
    serving = horizon.serving(20.0)["lagos"]
    horizon.obey(Orders(barred={("lagos", serving)}), 20.0)
    while not horizon.advance(20.0, 20):
        pass
    later = {link.id for link in horizon.links(60.0)}
    assert later
    assert f"lagos>{serving}" not in later
