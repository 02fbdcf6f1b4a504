"""Clocks against exchanges whose truth is known: jumps, ramps, another epoch, what flows show of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nodes.wire import Record
from testbed.twin.attribution import gaussian_size
from testbed.twin.belief import Belief
from testbed.twin.clockfilter import ClockFilter, Exchange, exchange
from testbed.twin.clocks import SMALLEST_MS, Clocks
from testbed.twin.detect import threshold_for
from testbed.twin.events import Events
from testbed.twin.parts import Window

THRESHOLD = threshold_for(1e8, 1.0)
HOST_NS = 7_000_000_000_000
#: least time under way in either direction, and the mean of what is added, ms
WAY_MS, QUEUE_MS = 0.025, 0.06


class Bench:
    """Nodes whose clocks are ahead by `offset_ms(node, t_s)`, an exchange a second, a part fed with it."""

    def __init__(
        self, seed: int, offset_ms: Callable[[str, float], float], nodes: tuple[str, ...] = ("edge", "field")
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._offset_ms, self._nodes = offset_ms, nodes
        self.events = Events(1.0)
        self.part = Clocks({"edge": "data-centre"}, self.events, THRESHOLD)

    def run(self, seconds: range, flows: bool = False) -> list[Record]:
        said = []
        for second in seconds:
            records = [self._exchange(node, second + 0.5) for node in self._nodes]
            records += [self._flow(second + 0.5)] * flows
            said += self.part.close(
                Window(
                    second, HOST_NS + second * 10**9, float(second), 1.0, HOST_NS + (second + 1) * 10**9,
                    second + 1.0, {}, {}, False,
                ),
                records,
            )  # fmt: skip
        return said

    def _exchange(self, node: str, t_s: float) -> Record:
        there, back = WAY_MS + self._random.exponential(QUEUE_MS, 2)
        t2 = HOST_NS + round(t_s * 1e9)
        ahead = round(self._offset_ms(node, t_s) * 1e6)
        fields: dict[str, Any] = {
            "t1_ns": t2 - round(there * 1e6) + ahead, "t2_ns": t2, "t3_ns": t2 + 40_000,
            "t4_ns": t2 + 40_000 + round(back * 1e6) + ahead,
        }  # fmt: skip
        return Record(t2, "clock", {"node": node}, fields)

    def _flow(self, t_s: float) -> Record:
        delay_ms = 20.0 + self._random.normal(0.0, 0.3) - self._offset_ms("edge", t_s)
        tags = {"node": "gateway", "source": "edge", "flow": "data"}
        return Record(HOST_NS + round(t_s * 1e9), "flow", tags, {"packets": 5, "delay_mean_ms": delay_ms})


def jump(node: str, ms: float, from_s: float, until_s: float = math.inf) -> Callable[[str, float], float]:
    return lambda who, t_s: ms if who == node and from_s <= t_s < until_s else 0.0


def in_time(_node: str, _t_s: float) -> float:
    return 0.0


def test_four_stamps_give_offset_and_delay() -> None:
    """The node is 5 ms ahead; 1 ms there, 3 ms back, 10 ms at the host: off by half of the asymmetry."""
    stamps = {"t1_ns": 5e6, "t2_ns": 1e6, "t3_ns": 11e6, "t4_ns": 19e6}
    one = exchange(stamps, 3.0)
    assert one == Exchange(3.0, pytest.approx(5.0 + 1.0), pytest.approx(4.0))


@pytest.mark.parametrize(("ms", "seed"), [(1.0, 1), (-7.0, 2), (50.0, 3)])
def test_a_jump_is_found_named_and_measured(ms: float, seed: int) -> None:
    bench = Bench(seed, jump("edge", ms, 60.0))
    said = bench.run(range(180))
    assert [(r.measurement, r.tags) for r in said] == [
        ("detection", {"kind": "clock", "target": "edge", "where": "data-centre"})
    ]
    assert 60.0 < said[0].fields["detected_s"] < 65.0
    assert said[0].fields["onset_s"] == pytest.approx(60.5)
    (event,) = bench.events.active
    assert event.unit == "ms"
    assert event.size == pytest.approx(ms, abs=0.05)
    assert event.low95 < ms < event.high95


def test_a_clock_that_is_off_from_the_start_is_found() -> None:
    bench = Bench(4, jump("edge", 12.0, 0.0))
    said = bench.run(range(60))
    assert [r.tags["target"] for r in said] == ["edge"]
    assert said[0].fields["detected_s"] < 5.0
    assert bench.events.active[0].size == pytest.approx(12.0, abs=0.3)


def test_a_jump_back_is_its_end() -> None:
    bench = Bench(5, jump("edge", 4.0, 40.0, 80.0))
    said = bench.run(range(120))
    assert [r.measurement for r in said] == ["detection", "recovery"]
    assert said[1].fields["ended_s"] == pytest.approx(80.5)
    assert said[1].fields["size"] == pytest.approx(4.0, abs=0.1)
    assert bench.events.active == []


def test_a_change_of_pace_is_found_when_it_has_become_an_offset() -> None:
    ppm = 80.0
    bench = Bench(6, lambda node, t: max(t - 60.0, 0.0) * ppm * 1e-3 if node == "edge" else 0.0)
    said = bench.run(range(180))
    assert [r.tags["target"] for r in said] == ["edge"]
    (event,) = bench.events.active
    assert event.size == pytest.approx((179.5 - 60.0) * ppm * 1e-3, rel=0.02)
    skew = next(s for s in bench.part.states() if s[:2] == ("edge", "clock_skew_ppm"))
    assert skew.mean == pytest.approx(ppm, rel=0.05)


@pytest.mark.parametrize("ppm", [0.0, 25.0, -40.0])
def test_clocks_that_go_on_as_they_did_are_no_news(ppm: float) -> None:
    for seed in range(10, 14):
        bench = Bench(seed, lambda _node, t: t * ppm * 1e-3)
        assert bench.run(range(1200)) == []


def test_a_clock_of_another_epoch_is_learned_and_its_jump_still_found() -> None:
    bench = Bench(7, lambda node, t: 3.7e8 + (20.0 if t > 60.0 else 0.0) if node == "edge" else 0.0)
    said = bench.run(range(100))
    assert [r.measurement for r in said] == ["detection"]
    assert bench.events.active[0].size == pytest.approx(20.0, abs=0.2)


def test_a_small_jump_is_learned_and_not_told() -> None:
    bench = Bench(8, jump("edge", 0.6 * SMALLEST_MS, 60.0))
    assert bench.run(range(240)) == []
    belief = Belief()
    bench.part.tell(belief)
    assert belief.clock_offset_ms["edge"].mean == pytest.approx(0.6 * SMALLEST_MS, abs=0.05)


def test_the_bound_is_half_of_the_least_delay_and_is_in_the_belief() -> None:
    bench = Bench(9, in_time)
    bench.run(range(120))
    states = {s[:2]: s.mean for s in bench.part.states()}
    bound_ms = states["edge", "clock_bound_ms"]
    assert WAY_MS < bound_ms < WAY_MS + 0.3 * QUEUE_MS
    belief = Belief()
    bench.part.tell(belief)
    assert belief.clock_offset_ms["edge"].sd >= bound_ms / math.sqrt(3.0)


def test_flows_whose_delay_jumped_with_the_clock_are_explained_by_it() -> None:
    bench = Bench(10, jump("edge", 15.0, 60.0))
    said = bench.run(range(100), flows=True)
    assert said[0].fields["links"] == "edge>gateway"
    assert bench.part.explains("unknown", "edge>gateway")
    assert not bench.part.explains("unknown", "field>gateway")


def test_one_exchange_that_took_long_is_no_jump() -> None:
    bench = Bench(11, in_time)
    bench.run(range(60))
    late = Record(
        HOST_NS + 60 * 10**9, "clock", {"node": "edge"},
        {"t1_ns": HOST_NS, "t2_ns": HOST_NS + 80 * 10**6, "t3_ns": HOST_NS + 80 * 10**6,
         "t4_ns": HOST_NS + 80 * 10**6 + 30_000},
    )  # fmt: skip
    window = Window(60, HOST_NS + 60 * 10**9, 60.0, 1.0, HOST_NS + 61 * 10**9, 61.0, {}, {}, False)
    for _ in range(5):
        assert bench.part.close(window, [late]) == []
    assert bench.run(range(61, 120)) == []
    assert bench.part._clocks["edge"].filter.offset()[0] == pytest.approx(0.0, abs=0.05)


def test_the_interval_of_a_jump_holds_it_at_least_as_often_as_it_says() -> None:
    held, runs = 0, 300
    random = np.random.default_rng(12)
    for _ in range(runs):
        clock, ms = ClockFilter(THRESHOLD), random.uniform(1.0, 50.0)
        for second in range(150):
            there, back = WAY_MS + random.exponential(QUEUE_MS, 2)
            ahead = ms * (second >= 60) + 0.5 * (there - back)
            clock.observe(Exchange(float(second), ahead, there + back))
        size = clock.change()
        held += size.low95 < ms < size.high95
    # Three standard deviations of a binomial of 0.95. Above it there is room: the least delay is doubted.
    assert held / runs > 0.95 - 3.0 * math.sqrt(0.95 * 0.05 / runs)
    assert size.sd < 0.02


def test_without_a_change_there_is_none_to_measure() -> None:
    assert ClockFilter(THRESHOLD).change() == gaussian_size(0.0, 0.0)


def test_queues_on_the_way_back_only_do_not_pull_the_offset() -> None:
    """What exchanges take too long is all spent in one direction: it is learned which."""
    clock, random = ClockFilter(THRESHOLD), np.random.default_rng(13)
    for second in range(200):
        there, back = WAY_MS, WAY_MS + random.uniform(0.0, 0.35)
        assert clock.observe(Exchange(float(second), 0.5 * (back - there), there + back)) is None
    mean, sd = clock.offset()
    assert abs(mean) < 0.01
    assert sd < 0.01
