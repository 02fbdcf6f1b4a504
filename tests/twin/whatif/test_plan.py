"""What actions come to: orders for the network and settings of nodes."""

from __future__ import annotations

import pytest

from testbed.actions import parse
from testbed.scenario import load
from testbed.twin import public
from testbed.twin.whatif.plan import Plan, plan_of, turns

KNOWN = public.of_scenario(load("laptop"))


def _plan(*texts: str) -> Plan:
    return plan_of([parse(text) for text in texts], KNOWN)


def test_a_gateway_is_avoided_on_its_links_to_satellites_and_not_on_its_line() -> None:
    penalties = _plan("route:avoid=gateway-site").penalty_ms
    assert penalties["gateway-site", "sat-3"] == penalties["sat-3", "gateway-site"] == 1000.0
    assert ("data-centre", "gateway-site") not in penalties


def test_a_link_is_avoided_in_its_own_direction() -> None:
    assert _plan("route:avoid=data-centre>gateway-site,penalty_ms=7").penalty_ms == {
        ("data-centre", "gateway-site"): 7.0
    }


def test_a_place_without_radio_is_avoided_on_its_lines() -> None:
    assert set(_plan("route:avoid=data-centre").penalty_ms) == {
        ("data-centre", "gateway-site"), ("gateway-site", "data-centre"),
        ("data-centre", "gateway-south"), ("gateway-south", "data-centre"),
    }  # fmt: skip


def test_a_satellite_is_barred_for_one_or_for_all_terminals() -> None:
    assert _plan("handover:bar=sat-1,terminal=board").barred == {("board", "sat-1")}
    everybody = {name for name, place in KNOWN.places.items() if place.access == "terminal"}
    assert _plan("handover:bar=sat-1").barred == {(name, "sat-1") for name in everybody}


def test_the_later_of_two_actions_on_a_node_wins() -> None:
    plan = _plan(
        "pace:sensor=reading_interval_s:1", "pace:sensor-2=reading_interval_s:3", "priority:sensor-2=1"
    )
    assert plan.settings["sensor-1"] == {"reading_interval_s": 1.0}
    assert plan.settings["sensor-2"] == {"reading_interval_s": 3.0, "traffic_class": 1}


def test_servers_that_are_not_named_get_no_tasks() -> None:
    plan = _plan("offload:sensor-1=edge-ground:2")
    assert plan.shares_of(KNOWN, "sensor-1") == {"edge-ground": 2, "edge-sat": 0}
    assert plan.shares_of(KNOWN, "sensor-2") == {"edge-ground": 1, "edge-sat": 1}


def test_the_load_of_a_server_is_what_comes_over_what_it_can_do() -> None:
    # ten nodes, a task each 1.5 s, 280 megacycles on average, half to either server
    load_of = Plan().server_load(KNOWN, {"edge-sat": 0.5})
    assert load_of["edge-ground"] == pytest.approx(10 / 3.0 * 280 / 6000)
    assert load_of["edge-sat"] == pytest.approx(10 / 3.0 * 280 / 1500)
    assert _plan("offload:sensor=edge-ground:1").server_load(KNOWN, {})["edge-sat"] == pytest.approx(
        3 / 3.0 * 280 / 3000
    )


@pytest.mark.parametrize(
    ("shares", "order"),
    [
        ({"a": 1, "b": 1}, "ab"),
        ({"a": 3, "b": 1}, "aaba"),
        ({"a": 0, "b": 2}, "bb"),
        ({"a": 2, "b": 1}, "aba"),
    ],
)
def test_turns_are_spread_as_evenly_as_shares_allow(shares: dict[str, int], order: str) -> None:
    assert "".join(turns(shares)) == order


def test_turns_are_those_that_a_node_takes() -> None:
    from nodes.roles.sensor import Turns  # the node's own, which is told the same shares

    shares = {"edge-ground": 5, "edge-sat": 2, "third": 4}
    node = Turns(list(shares))
    node.set_shares(shares)
    assert turns(shares) == [node.next() for _ in range(11)]
