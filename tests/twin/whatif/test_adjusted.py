"""Truths as the world takes them: what all links of a radio share is found on links that nobody used yet."""

from __future__ import annotations

import pytest

from emulator.world import World
from testbed.scenario import load
from testbed.twin import public
from testbed.twin.belief import Belief, Estimate
from testbed.twin.whatif.adjusted import adjustments

KNOWN = public.of_scenario(load("laptop"))
T_S = 20.0
#: of arithmetic in ms on numbers of ns
ROUNDING_MS = 1e-5


def delays_ms(belief: Belief) -> dict[str, float]:
    """Delay of every link at a moment."""
    world = World(KNOWN.world_spec(), adjustments(belief, KNOWN))
    table = world.epoch(T_S)
    ends = zip(table.src.tolist(), table.dst.tolist(), table.delay_ns.tolist(), strict=True)
    return {f"{world.places[a]}>{world.places[b]}": ns / 1e6 for a, b, ns in ends}


def more_ms(**delay_ms: float) -> dict[str, float]:
    """By how much each link is slower for a belief; names are `a__b`, with _ for -."""
    named = {name.replace("__", ">").replace("_", "-"): Estimate(ms) for name, ms in delay_ms.items()}
    published, believed = delays_ms(Belief()), delays_ms(Belief(delay_ms=named))
    return {name: believed[name] - published[name] for name in published}


def terminals() -> list[str]:
    """Links of terminals with satellites, both ways."""
    return [name for name in delays_ms(Belief()) if "sat-" in name and "gateway" not in name]


def test_what_modems_take_longer_they_take_on_links_that_nobody_used() -> None:
    one, *others = terminals()
    more = more_ms(**{one.replace("-", "_").replace(">", "__"): 0.8})
    assert others
    for name in (one, *others):
        assert more[name] == pytest.approx(0.8, abs=ROUNDING_MS)


def test_other_radios_are_left_alone() -> None:
    one = terminals()[0]
    more = more_ms(**{one.replace("-", "_").replace(">", "__"): 0.8})
    feeders = [name for name in more if "gateway" in name or "valley" in name]
    assert feeders
    assert all(more[name] == 0.0 for name in feeders)


def test_what_was_added_to_one_link_stays_that_links_own() -> None:
    slow, usual, unseen = terminals()[0], terminals()[1], terminals()[2]
    given = {slow: 45.0, usual: 0.7}
    more = more_ms(**{name.replace("-", "_").replace(">", "__"): ms for name, ms in given.items()})
    assert more[slow] == pytest.approx(45.0, abs=ROUNDING_MS)
    assert more[usual] == pytest.approx(0.7, abs=ROUNDING_MS)
    assert more[unseen] == pytest.approx(0.7, abs=ROUNDING_MS)


def test_no_modem_takes_less_than_nothing() -> None:
    one = terminals()[0]
    more = more_ms(**{one.replace("-", "_").replace(">", "__"): -100.0})
    published = delays_ms(Belief())
    assert all(published[name] + more[name] > 0.0 for name in published)


def test_what_no_modem_takes_is_not_expected_of_others() -> None:
    slow, unseen = terminals()[0], terminals()[2]
    more = more_ms(**{slow.replace("-", "_").replace(">", "__"): 40.0})
    assert more[slow] == pytest.approx(40.0, abs=ROUNDING_MS)
    assert more[unseen] == 0.0
