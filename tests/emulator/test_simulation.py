"""A simulation in steps: the same fates in however many, and flows that are changed between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from emulator.accounting import HOP_RECORD
from emulator.layout import LOG_OVERFLOW, network_of
from emulator.simulate import ARRIVAL, Simulation, WorldTables, simulate
from emulator.table import Adjustments
from emulator.traffic.arrivals import ParetoOnOff, Periodic, Poisson, Recorded, Times
from emulator.traffic.errors import TrafficError
from emulator.traffic.flows import Flow, FlowSet, Follow
from emulator.traffic.sizes import Fixed
from emulator.world import World
from tests.emulator.chain import LEFT, MS, RIGHT, S, arrivals, chain, recorded, table
from tests.emulator.test_simulate import in_order, of_every_kind, tables
from tests.emulator.worlds import gateway, terminal, world_spec

#: standard errors that a mean of random times may be off
SIGMAS = 4.0


def sent_at_s(simulation: Simulation, until_s: float) -> list[float]:
    """When packets were sent that have crossed their last link by `until_s`, s."""
    hops = simulation.advance(round(until_s * S))
    return sorted({int(ns) / S for ns in hops["ingress_ns"]})


def of(*flows: Flow, **options: Any) -> Simulation:
    """Flows over a chain of fast links without delay."""
    quick = recorded((0, table(rate_bps=1e9, delay_ns=0)))
    return Simulation(chain(log=1 << 16), quick, flows=FlowSet(flows, seed=3), **options)


def small_world(adjustments: Adjustments | None = None) -> World:
    return World(world_spec(terminal("a", 46.0, 9.0), gateway("g", 48.0, 11.0)), adjustments)


def one(times: Times, **more: Any) -> Flow:
    return Flow("one", LEFT, RIGHT, times, **more)


@pytest.mark.parametrize("steps_ns", [[S], [100 * MS, S], [*range(7 * MS, S, 7 * MS), S], [5, 5, S]])
def test_in_how_many_steps_it_is_taken_changes_nothing(steps_ns: Sequence[int]) -> None:
    flows, batch = (
        FlowSet(of_every_kind(), seed=3),
        arrivals(np.arange(0, S, 3 * MS), port=RIGHT, target=LEFT),
    )
    whole = simulate(chain(log=1 << 17), batch, tables(), S, flows=flows, window_s=0.1, samples=50)
    simulation = Simulation(
        chain(log=1 << 17), tables(), flows=flows, arrivals=batch, window_s=0.1, samples=50, end_ns=S
    )
    hops = np.concatenate([simulation.advance(time_ns) for time_ns in steps_ns])
    assert in_order(hops).tobytes() == in_order(whole.hops).tobytes()
    results = simulation.results()
    assert results.fates.tolist() == whole.results.fates.tolist()
    assert results.histograms.tolist() == whole.results.histograms.tolist()
    assert results.samples.tobytes() == whole.results.samples.tobytes()
    assert results.windows is not None
    assert whole.results.windows is not None
    assert results.windows.tobytes() == whole.results.windows.tobytes()
    assert simulation.packet_hops == whole.packet_hops
    assert simulation.in_flight == whole.in_flight


def test_results_can_be_asked_for_on_the_way() -> None:
    simulation = of(one(Periodic(0.1)))
    counts = []
    for time_ns in (250 * MS, S):
        simulation.advance(time_ns)
        counts.append((simulation.results()["one"].sent, simulation.results().duration_s))
    assert counts == [(3, 0.25), (11, 1.0)]
    # Sent each 100 ms and there at once but for microseconds: a sawtooth from 0 to 0.1 s.
    assert simulation.results()["one"].age_mean_s == pytest.approx(0.05, abs=1e-5)


def test_hops_are_told_once_each_and_none_where_nothing_happened() -> None:
    simulation = of(one(Recorded([10 * MS, 600 * MS])))
    assert simulation.advance(5 * MS).dtype == HOP_RECORD
    assert [len(simulation.advance(time_ns)) for time_ns in (500 * MS, 550 * MS, S)] == [2, 0, 2]


def test_tables_of_a_world_are_computed_up_to_the_time_and_no_further() -> None:
    asked: list[float] = []
    world = small_world()
    simulation = Simulation(network_of(world, {}), WorldTables(world, epoch_s=0.5, before_epoch=asked.append))
    assert simulation.table is None
    simulation.advance(0)
    assert asked == [0.0]
    simulation.advance(1700 * MS)
    assert asked == [0.0, 0.5, 1.0, 1.5]
    assert simulation.table is not None
    assert simulation.table.t_s == 1.5
    ends = zip(simulation.table.src.tolist(), simulation.table.dst.tolist(), strict=True)
    for row, link in enumerate(ends):
        at = simulation.rows[link]
        assert simulation.net.links["delay_ns"][at] == simulation.table.delay_ns[row]


def test_what_is_adjusted_between_steps_is_in_force_from_the_next_epoch_on() -> None:
    adjusted = Adjustments()
    world = small_world(adjusted)
    simulation = Simulation(network_of(world, {}), WorldTables(world, epoch_s=1.0))
    simulation.advance(0)
    assert simulation.table is not None
    link = next(iter(zip(simulation.table.src.tolist(), simulation.table.dst.tolist(), strict=True)))
    adjusted.link_down.add((world.places[link[0]], world.places[link[1]]))
    row = simulation.rows[link]
    assert simulation.net.links["up"][row]
    simulation.advance(S - 1)
    assert simulation.net.links["up"][row]
    simulation.advance(S)
    assert not simulation.net.links["up"][row]


# --- changing flows -------------------------------------------------------------------------------


def test_an_interval_counts_from_the_moment_it_is_set() -> None:
    simulation = of(one(Periodic(0.1)))
    sent_at_s(simulation, 0.25)
    simulation.set_times("one", Periodic(0.3, phase_s=0.05))
    assert sent_at_s(simulation, 1.0) == [0.3, 0.6, 0.9]
    simulation.set_times("one", Periodic(0.1))
    assert sent_at_s(simulation, 1.25) == [1.0, 1.1, 1.2]


def test_a_flow_is_stopped_and_begins_again_with_its_next_number() -> None:
    simulation = of(one(Periodic(0.1)))
    sent_at_s(simulation, 0.25)
    simulation.set_times("one", None)
    assert sent_at_s(simulation, 1.0) == []
    simulation.set_times("one", Periodic(0.1, phase_s=0.5))
    hops = simulation.advance(1650 * MS)
    messages = np.ascontiguousarray(hops["header"]).view("<i8").reshape(-1, 6)[:, 4]
    assert sorted(set(messages.tolist())) == [3, 4]


def test_a_flow_that_offers_nothing_at_first_can_be_started() -> None:
    simulation = of(one(Recorded([])), Flow("two", LEFT, RIGHT, Periodic(1.0, phase_s=0.7)))
    assert sent_at_s(simulation, 0.5) == []
    simulation.set_times("one", Recorded([100 * MS, 300 * MS]))
    assert sent_at_s(simulation, 1.0) == [0.6, 0.7, 0.8]


def test_recorded_lengths_come_with_recorded_times() -> None:
    simulation = of(one(Recorded([0, MS], [70, 80])))
    simulation.advance(10 * MS)
    simulation.set_times("one", Recorded([0, MS], [90, 100]))
    hops = simulation.advance(S)
    assert sorted(set(hops["size"].tolist())) == [90, 100]
    with pytest.raises(TrafficError, match="flow 'one': each packet has a recorded length"):
        simulation.set_times("one", Periodic(0.1))


def test_poisson_times_set_anew_have_the_mean_that_was_set() -> None:
    """Setting them often is no bias: a gap that was interrupted is not drawn again."""
    simulation = of(one(Poisson(100.0)))
    for step in range(1, 1001):
        simulation.advance(step * 20 * MS)
        simulation.set_times("one", Poisson(100.0))
    expected = 100.0 * 20.0
    assert abs(simulation.results()["one"].sent - expected) < SIGMAS * np.sqrt(expected)


def test_a_message_that_has_begun_is_finished() -> None:
    simulation = of(one(Periodic(1.0), packets=4, spacing_s=0.1))
    sent_at_s(simulation, 0.15)
    simulation.set_times("one", Periodic(1.0, phase_s=1.0))
    assert sent_at_s(simulation, 1.2) == [0.2, 0.3, 1.15]


def test_the_end_of_a_flow_stays() -> None:
    simulation = of(one(Periodic(0.1), end_s=0.5))
    simulation.set_times("one", Periodic(0.2))
    assert sent_at_s(simulation, 1.0) == [0.0, 0.2, 0.4]


def test_a_class_is_that_of_what_follows_unless_it_has_its_own() -> None:
    then = (
        Follow("ack", RIGHT, LEFT, then=(Follow("again", LEFT, RIGHT),)),
        Follow("own", RIGHT, LEFT, traffic_class=1),
    )
    simulation = of(one(Periodic(0.1), then=then))
    simulation.advance(50 * MS)
    simulation.set_class("one", 3)
    hops = simulation.advance(180 * MS)
    by_packet = sorted((int(h["port"]), int(h["ingress_ns"]), int(h["traffic_class"])) for h in hops)
    headers = np.ascontiguousarray(hops["header"]).view("<i8").reshape(-1, 6)[:, 5] >> 32 & 0xFF
    assert headers.tolist() == hops["traffic_class"].tolist()
    assert {klass for port, _, klass in by_packet if port == LEFT} == {3}
    assert {klass for port, _, klass in by_packet if port == RIGHT} == {1, 3}


def test_the_highest_class_goes_first_once_it_is_set() -> None:
    flows = [Flow(name, LEFT, RIGHT, Recorded([20 * MS, 20 * MS]), Fixed(1000)) for name in ("low", "high")]
    net, slow = chain(), recorded((0, table(rate_bps=1e6)))
    simulation = Simulation(net, slow, flows=FlowSet(flows))
    simulation.advance(MS)
    simulation.set_class("high", 2)
    first = simulation.advance(S)
    first = first[first["hop"] == 0]
    order = first["traffic_class"][np.argsort(first["due_ns"], kind="stable")]
    # One of the low ones was in the transmitter already.
    assert order.tolist() == [0, 2, 2, 0]


@pytest.mark.parametrize(
    ("name", "times", "sentence"),
    [
        ("none", Periodic(1.0), "flow 'none' is unknown, allowed: one, ack"),
        ("ack", Periodic(1.0), "flow 'ack': follows another flow"),
        ("one", Periodic(-1.0), "flow 'one': times.interval_s is -1.0"),
        ("one", ParetoOnOff(0.1, 1.0, 1.0), "flow 'one': times are on and off"),
    ],
)
def test_times_that_cannot_be_are_refused_and_change_nothing(name: str, times: Times, sentence: str) -> None:
    simulation = of(one(Periodic(0.1), then=(Follow("ack", RIGHT, LEFT),)))
    with pytest.raises(TrafficError, match=sentence):
        simulation.set_times(name, times)
    simulation.advance(S)
    assert simulation.results()["one"].sent == 11


def test_a_class_that_is_none_is_refused() -> None:
    with pytest.raises(TrafficError, match="flow 'one': traffic_class is 4, allowed: 0 to 3"):
        of(one(Periodic(0.1))).set_class("one", 4)


def test_time_goes_forward() -> None:
    simulation = of(one(Periodic(0.1)))
    simulation.advance(S)
    with pytest.raises(ValueError, match="999999999 ns asked after 1000000000 ns"):
        simulation.advance(S - 1)


def test_windows_need_an_end() -> None:
    with pytest.raises(TrafficError, match=r"window_s is 0.1 without end_ns"):
        of(one(Periodic(0.1)), window_s=0.1)


def test_a_log_that_overflowed_is_told_at_once() -> None:
    net = chain(slots=64, log=4)
    simulation = Simulation(net, recorded((0, table())), arrivals=np.zeros(0, ARRIVAL))
    net.log_words[LOG_OVERFLOW] += 2
    with pytest.raises(RuntimeError, match="2 packet-hops found no room in the log of 4"):
        simulation.advance(S)
