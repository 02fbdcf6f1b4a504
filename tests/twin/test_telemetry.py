"""Reports that are lost: of a place's links and of nodes, told from links and nodes that went silent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nodes.wire import Record
from testbed.twin.attribution import LINK_DOWN, Event
from testbed.twin.detect import threshold_for
from testbed.twin.events import Events
from testbed.twin.nominal import NominalLink
from testbed.twin.parts import Window
from testbed.twin.shares import ShareWatch, share_size
from testbed.twin.telemetry import Telemetry

WINDOW_S = 0.5
THRESHOLD = threshold_for(1e8, 1.0)
TERMINALS = ("field-1", "field-2", "field-3")
HOSTS = {**{f"sensor-{n}": f"field-{n}" for n in (1, 2, 3)}, "gateway-1": "gateway"}
PAIRS = (*((place, "sat-1") for place in TERMINALS), ("gateway", "sat-1"))
LINKS = tuple(f"{a}>{b}" for pair in PAIRS for a, b in (pair, pair[::-1]))


def link(name: str) -> NominalLink:
    source, _, sink = name.partition(">")
    return NominalLink(
        name, source, sink, "access", "", "up", "g", 5.0, 4.0, 0.1, 1e6, math.nan, 0.0, 0.0, 0
    )  # fmt: skip


class Bench:
    """Three terminals and a gateway at one satellite, and a part that hears of them.

    `lost(source, t_s)`: chance that a report of a link or node is lost; `down`: links that carry nothing.
    """

    def __init__(
        self, seed: int, lost: Callable[[str, float], float], down: Callable[[str, float], bool] | None = None
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._lost, self._down = lost, down or (lambda _link, _t: False)
        self.events = Events(WINDOW_S)
        self.part = Telemetry(HOSTS, self.events, THRESHOLD)
        #: how long after its end a window is closed, s
        self.behind_s = 0.0

    def run(self, windows: range) -> list[Record]:
        said = []
        for number in windows:
            begins_s = number * WINDOW_S
            now_s = begins_s + WINDOW_S
            reports = {
                name: Record(round(now_s * 1e9), "link", {"link": name}, {"packets_out": 3})
                for name in LINKS
                if self._random.random() >= self._lost(name, begins_s) and not self._down(name, begins_s)
            }
            records = self._nodes(now_s) if number % 2 else []
            window = Window(
                number, round(begins_s * 1e9), begins_s, WINDOW_S, round((now_s + self.behind_s) * 1e9),
                now_s + self.behind_s, {name: link(name) for name in LINKS}, reports, False,
            )  # fmt: skip
            said += self.part.close(window, records)
        return said

    def _nodes(self, now_s: float) -> list[Record]:
        t_ns = round(now_s * 1e9)
        records = [
            Record(t_ns, "node", {"node": node, "role": "sensor"}, {"sent": 1})
            for node in HOSTS
            if self._random.random() >= self._lost(node, now_s)
        ]
        for terminal in TERMINALS:
            way = (f"{terminal}>sat-1", "sat-1>gateway")
            fields: dict[str, Any] = {"packets": 0}
            if not any(self._down(name, now_s) for name in way):
                fields = {"packets": 4, "age_s": 0.1}
            tags = {"node": "gateway-1", "source": terminal.replace("field", "sensor"), "flow": "data"}
            records.append(Record(t_ns, "flow", tags, fields))
        return records


def lost_at(
    place: str, share: float, from_s: float, until_s: float = math.inf
) -> Callable[[str, float], float]:
    def lost(source: str, t_s: float) -> float:
        return share if place in source.split(">") and from_s <= t_s < until_s else 0.0

    return lost


@pytest.mark.parametrize(("share", "seed", "within_s"), [(1.0, 1, 5.0), (0.5, 2, 10.0)])
def test_reports_of_a_place_that_are_lost_are_named_and_measured(
    share: float, seed: int, within_s: float
) -> None:
    bench = Bench(seed, lost_at("field-2", share, 60.0))
    said = bench.run(range(400))
    assert [(r.measurement, r.tags) for r in said] == [
        ("detection", {"kind": "lost_telemetry", "target": "field-2", "where": "field-2"})
    ]
    assert 60.0 < said[0].fields["detected_s"] < 60.0 + within_s
    (event,) = bench.events.active
    assert event.unit == "share"
    assert event.low95 <= share <= event.high95 + 1e-9


def test_a_gateways_lost_reports_are_not_the_satellites() -> None:
    said = Bench(3, lost_at("gateway", 0.6, 60.0)).run(range(300))
    assert [r.tags["target"] for r in said] == ["gateway"]


def test_a_satellites_lost_reports_are_its_own() -> None:
    said = Bench(4, lost_at("sat-1", 0.5, 60.0)).run(range(300))
    assert said[0].tags["target"] == "sat-1"


def test_lost_reports_that_come_again_are_a_recovery() -> None:
    said = Bench(5, lost_at("field-1", 0.7, 60.0, 120.0)).run(range(400))
    assert [r.measurement for r in said] == ["detection", "recovery"]
    assert 120.0 < said[1].fields["recovered_s"] < 150.0
    assert said[1].fields["size"] == pytest.approx(0.7, abs=0.1)


def test_a_link_that_is_down_and_silent_has_lost_no_reports() -> None:
    bench = Bench(6, lambda _s, _t: 0.0, lambda name, t: "field-2" in name and t >= 60.0)
    assert bench.run(range(400)) == []
    assert not bench.part.passes("field-2>sat-1", 60.0)


def test_links_of_a_known_outage_are_not_asked_for_reports() -> None:
    bench = Bench(7, lost_at("field-2", 1.0, 60.0))
    bench.run(range(119))
    down = ["field-2>sat-1", "sat-1>field-2"]
    bench.events.active.append(
        Event(LINK_DOWN, down[0], down[0], 59.5, 60.0, 1.0, 0.0, "share", 1.0, 1.0, down)
    )
    assert bench.run(range(119, 300)) == []


def test_a_packet_that_arrived_has_crossed_the_only_way() -> None:
    bench = Bench(8, lambda _s, _t: 0.0)
    bench.run(range(20))
    assert bench.part.passes("field-2>sat-1", 9.0)
    assert bench.part.passes("sat-1>gateway", 9.0)
    assert not bench.part.passes("sat-1>field-2", 9.0)  # nothing goes there
    assert not bench.part.passes("field-2>sat-1", 9.95)  # what arrived was sent before


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05])
def test_reports_that_are_lost_everywhere_alike_are_no_deviation(share: float) -> None:
    for seed in (10, 11, 12):
        assert Bench(seed, lambda _s, _t: share).run(range(2400)) == []


def test_a_nodes_reports_that_are_lost_while_its_packets_arrive_are_named() -> None:
    bench = Bench(13, lambda source, t: 1.0 if source == "sensor-1" and t >= 60.0 else 0.0)
    said = bench.run(range(200))
    assert [r.tags for r in said] == [{"kind": "lost_telemetry", "target": "sensor-1", "where": "field-1"}]


def test_the_share_of_a_nodes_reports_is_measured_though_they_come_seldom() -> None:
    bench = Bench(16, lambda source, t: 0.6 if source == "sensor-2" and t >= 60.0 else 0.0)
    said = bench.run(range(520))
    assert [r.tags["target"] for r in said] == ["sensor-2"]
    (event,) = bench.events.active
    assert event.low95 < 0.6 < event.high95


def test_a_node_that_is_gone_has_lost_no_reports() -> None:
    bench = Bench(
        14, lambda source, t: 1.0 if source == "sensor-1" and t >= 60.0 else 0.0,
        lambda name, t: name == "field-1>sat-1" and t >= 60.0,
    )  # fmt: skip
    assert bench.run(range(200)) == []


def test_when_traffic_is_ended_silence_is_no_loss() -> None:
    bench = Bench(15, lost_at("field-1", 0.0, 0.0))
    bench.run(range(100))
    for number in range(100, 140):
        window = Window(
            number, 0, number * WINDOW_S, WINDOW_S, 0, (number + 1) * WINDOW_S,
            {name: link(name) for name in LINKS}, {}, True,
        )  # fmt: skip
        assert bench.part.close(window, []) == []


# --- the twin's own way ---------------------------------------------------------------------------


def test_when_every_source_is_silent_at_once_no_node_is_to_blame() -> None:
    for seconds in (1.0, 2.5, 5.0):
        bench = Bench(20, lambda _s, t, end=60.0 + seconds: 1.0 if 60.0 <= t < end else 0.0)  # type: ignore[misc]
        assert bench.run(range(300)) == []


def test_stalls_that_come_back_again_and_again_do_not_add_up_to_a_loss() -> None:
    assert Bench(21, lambda _s, t: 1.0 if t > 20.0 and t % 10.0 < 3.0 else 0.0).run(range(600)) == []


def test_a_twin_that_closes_its_windows_late_hears_of_no_loss() -> None:
    bench = Bench(22, lambda _s, _t: 0.0)
    bench.run(range(60))
    bench.behind_s = 6.0
    assert bench.run(range(60, 200)) == []


def test_a_node_whose_reports_are_lost_is_found_after_a_stall_too() -> None:
    def lost(source: str, t_s: float) -> float:
        return 1.0 if 60.0 <= t_s < 65.0 or (source == "sensor-1" and t_s >= 60.0) else 0.0

    said = Bench(23, lost).run(range(260))
    assert [r.tags["target"] for r in said] == ["sensor-1"]
    assert said[0].fields["detected_s"] > 65.0


# --- shares -------------------------------------------------------------------------------------


def test_the_interval_of_a_share_is_wilsons() -> None:
    """Newcombe 1998 (Stat. Med. 17, 857, table I): 15 of 148 give 0.0624 to 0.1605."""
    size = share_size(15, 148)
    assert (size.low95, size.high95) == (pytest.approx(0.0624, abs=1e-4), pytest.approx(0.1605, abs=1e-4))
    assert share_size(0, 20).low95 == 0.0
    assert share_size(20, 20).high95 == 1.0


def test_trials_between_false_alarms_are_as_many_as_the_limit_says() -> None:
    random, limit, runs = np.random.default_rng(16), 4.0, 200
    lengths = []
    for _ in range(runs):
        watch, count = ShareWatch(limit, 0.3), 0
        while watch.add(float(random.random() < 0.05), 1.0, 0.05, float(count)) is None:
            count += 1
        lengths.append(count)
    assert np.mean(lengths) > math.exp(limit)


def test_a_risen_share_is_noticed_with_its_onset_and_its_end() -> None:
    watch = ShareWatch(10.0, 0.3)
    assert all(watch.add(0.0, 4.0, 0.02, float(t)) is None for t in range(50))
    alarms = [watch.add(2.0, 4.0, 0.02, 50.0 + t) for t in range(4)]
    alarm = next(one for one in alarms if one is not None)
    assert alarm.onset_s == 50.0
    watch.adopt()
    for t in range(7):
        assert watch.add(0.0, 4.0, 0.02, 60.0 + t) is None
        assert not watch.over
    watch.add(0.0, 4.0, 0.02, 67.0)
    assert watch.over
