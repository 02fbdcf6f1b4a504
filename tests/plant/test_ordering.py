"""Orders of a network controller: read from a command, checked, and obeyed by the tables that follow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.epochs import LinkUpdates
from emulator.errors import WorldError
from emulator.layout import make_network
from emulator.world import World
from testbed.plant.deviations import Truth
from testbed.plant.epochs import LEAD, Epochs
from testbed.plant.ordering import orders_of
from testbed.scenario import load

#: makes any way that avoids it the shorter one
FAR_MS = 1_000.0


def test_orders_are_read_and_what_is_left_out_is_empty() -> None:
    orders = orders_of({"penalty_ms": {"a>b": 3}, "barred": ["t>sat-1", "t>sat-2"]})
    assert orders.route_penalty_ms == {("a", "b"): 3.0}
    assert orders.barred == {("t", "sat-1"), ("t", "sat-2")}
    assert not orders_of({}).route_penalty_ms
    assert not orders_of({}).barred


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"penalty": {}}, "'penalty' is not known, allowed: penalty_ms and barred"),
        ({"penalty_ms": ["a>b"]}, r"penalty_ms = \['a>b'\] must be ms for each link a>b"),
        ({"penalty_ms": {"a>b": "3"}}, "penalty_ms of a>b = '3' must be a number of ms"),
        ({"penalty_ms": {"a-b": 3}}, "'a-b' must be a link a>b"),
        ({"penalty_ms": {"a>b>c": 3}}, "'a>b>c' must be a link a>b"),
        ({"barred": "t>sat-1"}, "barred = 't>sat-1' must be a list of terminal>satellite"),
        ({"barred": ["sat-1"]}, "'sat-1' must be terminal>satellite"),
        ({"barred": [3]}, "3 must be terminal>satellite"),
    ],
)
def test_what_orders_cannot_be_is_one_sentence(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        orders_of(arguments)


@pytest.fixture
def epochs(tmp_path: Path) -> Iterator[tuple[World, Epochs]]:
    scenario = load("laptop")
    truth = Truth(scenario)
    world = World(scenario.world_spec(), truth.adjustments)
    net = make_network(len(world.places), len(world.hosts), 1, links=256, slots=2, log=2)
    updates = LinkUpdates(net, world.places, 1)
    made = Epochs(world, truth, updates, scenario.run.epoch_s, tmp_path / "link_table.bin")
    made.prepare(0)
    yield world, made
    made.close()


def way(world: World, epochs: Epochs, t_s: float) -> list[str]:
    table = epochs.table_at(t_s)
    assert table is not None
    return [world.places[table.dst[row]] for row in world.route(table, "field-3", "data-centre")]


def test_tables_obey_from_the_next_on_and_until_other_orders_replace_them(
    epochs: tuple[World, Epochs],
) -> None:
    world, made = epochs
    avoid = {"penalty_ms": {f"sat-{k}>gateway-site": FAR_MS for k in range(1, 5)}}
    assert made.order(orders_of(avoid)) == pytest.approx(LEAD * 0.1)
    made._step()
    made.order(orders_of({}))
    made._step()
    assert "gateway-site" in way(world, made, (LEAD - 1) * 0.1)
    assert "gateway-south" in way(world, made, LEAD * 0.1)
    assert "gateway-site" in way(world, made, (LEAD + 1) * 0.1)


def test_orders_about_what_is_not_there_are_refused_and_the_old_ones_stand(
    epochs: tuple[World, Epochs],
) -> None:
    _, made = epochs
    for arguments in ({"penalty_ms": {"sat-9>gateway-site": 1}}, {"barred": ["gateway-site>sat-1"]}):
        with pytest.raises(WorldError, match=r"orders: .*no (place|terminal)"):
            made.order(orders_of(arguments))
    assert made._ordered is None
