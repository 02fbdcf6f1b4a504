"""Adjustments as columns: made anew when they are changed, however that is done, and only then."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from emulator.table import Adjustments, LinkTable
from emulator.world import World
from tests.emulator.worlds import DRY, differing, region_spec, row_of

#: without hysteresis, so that nothing is left of what was
SPEC = region_spec(radios=(dataclasses.replace(DRY, hysteresis_db=0.0),))
THERE = ("gate", "site")


def _down(hidden: Adjustments) -> None:
    hidden.link_down.add(THERE)


def _delayed(hidden: Adjustments) -> None:
    hidden.extra_delay_ms[THERE] = 4.0


def _lossy(hidden: Adjustments) -> None:
    hidden.extra_loss[THERE] = 0.25


def _slowed(hidden: Adjustments) -> None:
    hidden.rate_factor[THERE] = 0.5


def _biased(hidden: Adjustments) -> None:
    hidden.processing_bias["ka"] = 1.5


def _weakened(hidden: Adjustments) -> None:
    hidden.implementation_loss_bias_db["south"] = 0.7


CHANGES: list[Callable[[Adjustments], None]] = [_down, _delayed, _lossy, _slowed, _biased, _weakened]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_between_epochs_is_in_the_next_table(change: Callable[[Adjustments], None]) -> None:
    hidden = Adjustments()
    world = World(SPEC, hidden)
    world.epoch(0.0)
    change(hidden)
    fresh = World(SPEC, hidden)
    expected = fresh.epoch(0.0)
    after = world.epoch(0.0)
    assert differing(after, expected) == set()
    assert differing(after, World(SPEC).epoch(0.0)) != set()


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_taken_back_is_gone(change: Callable[[Adjustments], None]) -> None:
    hidden = Adjustments()
    change(hidden)
    world = World(SPEC, hidden)
    world.epoch(0.0)
    for each in vars(hidden).values():
        if isinstance(each, dict | set):
            each.clear()
    assert differing(world.epoch(0.0), World(SPEC).epoch(0.0)) == set()


def test_columns_that_nothing_changed_are_shared_by_the_tables() -> None:
    world = World(SPEC, Adjustments(link_down={THERE}))
    one, other = world.epoch(0.0), world.epoch(0.1)
    assert one.up is other.up
    assert one.loss is other.loss


def test_two_names_of_one_satellite_add_up() -> None:
    def both(*names: str) -> LinkTable:
        bias = dict.fromkeys(names, 0.4)
        return World(SPEC, Adjustments(implementation_loss_bias_db=bias)).epoch(0.0)

    world = World(SPEC)
    nominal = world.epoch(0.0)
    row = row_of(world, nominal, "gate", "sat-1")
    once, twice = both("sat-1"), both("sat-1", "orbit")
    assert nominal.snr_db[row] - once.snr_db[row] == pytest.approx(0.4)
    assert nominal.snr_db[row] - twice.snr_db[row] == pytest.approx(0.8)


def test_a_link_that_is_not_there_now_hides_nothing() -> None:
    hidden = Adjustments(link_down={("north", "south")}, rate_factor={("south", "north"): 0.1})
    found = World(SPEC, hidden).epoch(0.0)
    assert differing(found, World(SPEC).epoch(0.0)) == set()
    assert np.all(found.up)
