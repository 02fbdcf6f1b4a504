"""What the plant does by its scenario and tells nobody: how deviations become adjustments, floods, losses."""

from __future__ import annotations

import pytest

from nodes.wire import Record
from testbed.plant.deviations import (
    Truth,
    Withheld,
    clock_offsets,
    floods,
    impostors,
)
from testbed.scenario import Scenario, load

START_NS = 7_000_000_000
#: of thousands of draws, five standard deviations
SHARE_TOLERANCE = 0.04


def _laptop(deviation: str) -> Scenario:
    return load("laptop", [f"deviations=[{{{deviation}, at=0.5, for=0.25}}]"], 40.0)


def test_a_link_of_less_capacity_has_its_factor_while_it_lasts() -> None:
    truth = Truth(_laptop("kind='capacity', target='board>sat-1', factor=0.4"))
    factors = []
    for t_s in (19.9, 20.0, 29.9, 30.0):
        truth.at(t_s)
        factors.append(dict(truth.adjustments.rate_factor))
    assert factors == [{}, {("board", "sat-1"): 0.4}, {("board", "sat-1"): 0.4}, {}]


def test_a_clock_and_an_impostor_are_left_to_others() -> None:
    scenario = _laptop("kind='clock_offset', target='sensor-1', offset_ms=-3.0, skew_ppm=20.0")
    ((moment, clock),) = clock_offsets(scenario)
    assert (moment.start_s, moment.end_s) == (20.0, 30.0)
    assert (clock.target, clock.offset_ms, clock.skew_ppm) == ("sensor-1", -3.0, 20.0)
    ((_, impostor),) = impostors(_laptop("kind='impostor', target='mcu-1'"))
    assert impostor.target == "mcu-1"


@pytest.mark.parametrize(
    ("link", "source", "target"),
    [
        ("gateway-site>data-centre", "gateway-site", "edge-ground"),
        ("field-3>sat-2", "field-3", "gateway-1"),
        ("gateway-site>sat-1", "gateway-site", "edge-sat"),
        ("gateway-site>sat-2", "gateway-site", "sensor-1"),
        ("valley-1>platform", "valley-1", "relay-1"),
    ],
)
def test_a_flood_is_addressed_to_somebody_behind_its_link(link: str, source: str, target: str) -> None:
    (way,) = floods(_laptop(f"kind='flood', target='{link}', rate_mbps=3.0"))
    assert (way.source, way.target, way.flood.rate_mbps) == (source, target, 3.0)


def _link(source: str, sink: str, t_s: float) -> Record:
    tags = {"link": f"{source}>{sink}", "from": source, "to": sink, "kind": "access"}
    return Record(START_NS + round(t_s * 1e9), "link", tags, {"packets_in": 1})


def test_reports_of_a_places_links_get_lost_with_the_share_that_is_asked_for() -> None:
    withheld = Withheld(_laptop("kind='lost_telemetry', target='board', share=0.3"))
    times_s = [20.0 + k * 0.002 for k in range(4_000)]
    lost = [withheld.takes(_link("board", "sat-1", t_s), START_NS) for t_s in times_s]
    assert sum(lost) / len(lost) == pytest.approx(0.3, abs=SHARE_TOLERANCE)
    assert lost == [withheld.takes(_link("board", "sat-1", t_s), START_NS) for t_s in times_s]


def test_other_reports_and_other_times_are_left_alone() -> None:
    withheld = Withheld(_laptop("kind='lost_telemetry', target='board', share=1.0"))
    assert withheld.takes(_link("sat-1", "board", 25.0), START_NS)
    assert not withheld.takes(_link("board", "sat-1", 19.0), START_NS)
    assert not withheld.takes(_link("field-1", "sat-1", 25.0), START_NS)
    own = Record(START_NS + 25_000_000_000, "flow", {"node": "mcu-1"}, {"packets": 1})
    assert not withheld.takes(own, START_NS)


def test_a_node_whose_reports_are_lost_keeps_those_of_its_links() -> None:
    withheld = Withheld(_laptop("kind='lost_telemetry', target='mcu-1', share=1.0"))
    own = Record(START_NS + 25_000_000_000, "flow", {"node": "mcu-1"}, {"packets": 1})
    assert withheld.takes(own, START_NS)
    assert not withheld.takes(_link("board", "sat-1", 25.0), START_NS)


def test_reports_from_a_satellite_are_those_of_the_place_on_board() -> None:
    withheld = Withheld(_laptop("kind='lost_telemetry', target='on-board', share=1.0"))
    assert withheld.takes(_link("sat-1", "board", 25.0), START_NS)


def test_a_scenario_without_lost_telemetry_withholds_nothing() -> None:
    assert not Withheld(_laptop("kind='impostor', target='mcu-1'"))
    assert Withheld(_laptop("kind='lost_telemetry', target='mcu-1', share=1.0"))


def test_what_ranging_is_off_by_is_drawn_once_from_the_seed() -> None:
    first, again, other = (
        Truth(load("laptop", [f"run.seed={seed}", "plant.range_bias_sigma_us=2.0"])).range_bias_us
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert set(first) == set(load("laptop").places)
    exact = Truth(load("laptop", ["plant.range_bias_sigma_us=0.0"])).range_bias_us
    assert set(exact.values()) == {0.0}
