"""Which of the planned pairs are there: they set and rise, and whether any did is told."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from emulator.geometry import ecef_from_geodetic
from emulator.orbits.motion import Motion
from emulator.plan import Plan
from emulator.profiles import Profiles
from emulator.rows import Pairs
from emulator.spec import ConstellationSpec
from emulator.topology.access import Choice
from emulator.topology.stations import Stations
from tests.emulator.worlds import DRY, gateway, terminal

PLACES = (terminal("t", 47.0, 10.0, min_elevation_deg=30.0), gateway("g", 47.0, 11.0))
CHOICE = Choice(0.0, {0: 2}, ((1, 2),))
#: over the terminal, 600 km high, and a quarter of the Earth away
OVERHEAD, AWAY = ecef_from_geodetic(47.0, 10.0, 600e3), ecef_from_geodetic(47.0, 110.0, 600e3)
NEAR = ecef_from_geodetic(47.0, 20.0, 600e3)


@pytest.fixture
def plan() -> Plan:
    """The first of two satellites serves the terminal and is fed; the two are linked."""
    spec = ConstellationSpec(isl="plus-grid")
    linked = np.array([[0, 1]], dtype=np.int32)
    return Plan(PLACES, ("one", "two"), Profiles(spec, (DRY,), ()), CHOICE, linked, Pairs.of([]))


def _refresh(plan: Plan, one: Any, two: Any) -> bool:
    motion = Motion(list(PLACES))
    published = np.stack([one, two])
    position = np.concatenate([motion.position, published])
    return plan.refresh(motion, Stations(PLACES), position, published)


def test_a_plan_is_new_at_first_and_then_when_a_pair_came_or_went(plan: Plan) -> None:
    assert _refresh(plan, OVERHEAD, NEAR)
    assert plan.alive.all()
    assert not _refresh(plan, OVERHEAD, NEAR)
    assert _refresh(plan, OVERHEAD, AWAY)
    assert not _refresh(plan, OVERHEAD, AWAY)
    assert _refresh(plan, OVERHEAD, NEAR)
    assert plan.alive.all()


def test_a_satellite_below_the_horizon_has_no_links_to_places(plan: Plan) -> None:
    _refresh(plan, AWAY, ecef_from_geodetic(47.0, 100.0, 600e3))
    kinds = plan.pairs.kind.tolist()
    assert dict(zip(kinds, plan.alive.tolist(), strict=True)) == {0: False, 1: False, 2: True}


def test_each_place_has_its_own_least_elevation(plan: Plan) -> None:
    # some 22 degrees above either's horizon: the terminal asks for 30, the gateway for 10
    _refresh(plan, ecef_from_geodetic(47.0, 25.0, 600e3), NEAR)
    assert plan.alive[:2].tolist() == [False, True]


def test_where_a_satellite_is_not_known_it_has_no_links(plan: Plan) -> None:
    _refresh(plan, np.full(3, np.nan), NEAR)
    assert not plan.alive.any()


@pytest.mark.parametrize(
    ("change", "follows"),
    [({"at_s": 9.0}, True), ({"serving": {0: 3}}, False), ({"feeders": ()}, False)],
)
def test_a_plan_follows_every_choice_of_the_same_pairs(
    plan: Plan, change: dict[str, Any], follows: bool
) -> None:
    assert plan.follows(dataclasses.replace(CHOICE, **change)) is follows
