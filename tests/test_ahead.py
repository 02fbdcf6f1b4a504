"""A scenario run ahead: its nodes' traffic in virtual time, the same world for every further run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.orders import Orders
from emulator.table import Adjustments
from emulator.traffic.arrivals import Periodic
from emulator.traffic.errors import TrafficError
from emulator.traffic.flows import Flow
from testbed.ahead import Ahead
from testbed.errors import BadInput
from testbed.offered import Offered
from testbed.ports import Ports
from testbed.scenario import Scenario, load, shipped

FILES = {name: path for name, _, path in shipped()}
DURATION_S = 10.0
a_tenth = 0.1


def scenario(name: str) -> Scenario:
    return load(FILES[name])


@pytest.fixture(scope="module")
def laptop() -> Ahead:
    return Ahead(scenario("laptop"))


def test_readings_come_as_often_as_the_scenario_says(laptop: Ahead) -> None:
    results = laptop.run(DURATION_S)
    for number in range(1, 8):
        assert results[f"sensor-{number}>gateway-1 reading"].sent == 50
    assert results["mcu-1>gateway-1 reading"].sent == 20


def test_what_goes_by_a_relay_has_two_parts_of_its_way(laptop: Ahead) -> None:
    results = laptop.run(DURATION_S)
    first = results["remote-1>gateway-1 reading via relay-1"]
    onward = results["remote-1>gateway-1 reading"]
    assert onward.sent == first.delivered
    assert onward.delay_mean_s > first.delay_mean_s > 0


def test_tasks_are_fragments_acknowledged_and_answered(laptop: Ahead) -> None:
    results = laptop.run(DURATION_S)
    task = results["sensor-1>edge-sat task"]
    # 90 kB and eight bytes in fragments of 1200, and what a header adds to each.
    assert task.sent % 76 == 0
    assert task.sent_bytes == task.sent // 76 * (90_008 + 76 * 48)
    assert results["sensor-1>edge-sat task ack"].sent == task.delivered
    assert results["edge-sat>sensor-1 result"].sent <= task.sent // 76
    servers = results.matching("sensor-*>edge-* task").sent // 76
    assert servers == pytest.approx(7 * DURATION_S / 1.5, abs=7)


def test_the_latency_of_tasks_has_the_work_of_servers_in_it(laptop: Ahead) -> None:
    at_once = [replace(server, rate_hz=1e18) for server in laptop.servers()]
    results, without = laptop.run(20.0), laptop.run(20.0, servers=at_once)
    usual_cycles = np.mean(laptop.scenario.nodes["sensor-1"].task_megacycles) * 1e6  # type: ignore[union-attr]
    for name in ("edge-ground", "edge-sat"):
        server = results.servers[name]
        mean_s = results.matching(f"{name}>* result").delay_mean_s
        more_s = mean_s - without.matching(f"{name}>* result").delay_mean_s
        # Answers come back in another order, and a last one may not come back in time.
        assert more_s == pytest.approx(server.wait_mean_s + server.busy_s / server.done, rel=a_tenth)
        assert server.cycles / server.done == pytest.approx(usual_cycles, rel=3 * a_tenth)
    assert results.servers["edge-sat"].utilisation > results.servers["edge-ground"].utilisation > 0.1


def test_tasks_of_a_slower_server_take_longer_and_wait_longer(laptop: Ahead) -> None:
    slower = [replace(server, rate_hz=0.5 * server.rate_hz) for server in laptop.servers()]
    usual, slow = laptop.run(20.0).servers["edge-sat"], laptop.run(20.0, servers=slower).servers["edge-sat"]
    assert slow.busy_s / slow.done > 1.5 * usual.busy_s / usual.done
    assert slow.wait_mean_s > usual.wait_mean_s


def test_every_task_that_has_arrived_is_done_waits_or_was_refused(laptop: Ahead) -> None:
    results = laptop.run(DURATION_S)
    fragments = next(flow.packets for flow in laptop.flows() if flow.name.endswith(" task"))
    for name, server in results.servers.items():
        arrived = results.matching(f"*>{name} task").delivered / fragments
        taken = server.done + server.running + server.waiting + server.refused
        # The rest has lost a fragment on the way, or is not yet whole.
        assert 0.6 * arrived < taken <= arrived
        assert results.matching(f"{name}>* result").sent == server.done


def test_orders_are_obeyed() -> None:
    plain = Ahead(scenario("laptop"))
    on = plain.world.epoch(0.0).serving["field-1"]
    ahead = Ahead(scenario("laptop"), orders=Orders(barred={("field-1", on)}))
    ends = [ahead.world.place_index[name] for name in ("field-1", on)]
    hops = ahead.simulate(DURATION_S).hops
    from_field = hops[hops["from_place"] == ends[0]]
    assert len(from_field)
    assert not (from_field["to_place"] == ends[1]).any()
    with pytest.raises(WorldError, match="no satellite or station 'sat-9'"):
        Ahead(scenario("laptop"), orders=Orders(barred={("field-1", "sat-9")}))


def test_what_is_known_of_a_scenario_is_enough(laptop: Ahead) -> None:
    loaded = laptop.scenario
    known = SimpleNamespace(
        run=SimpleNamespace(duration_s=60.0, epoch_s=0.1, seed=loaded.run.seed),
        network=SimpleNamespace(guests=True),
        places=dict.fromkeys(loaded.places),
        nodes=dict(loaded.nodes),
        world_spec=loaded.world_spec,
    )
    assert Ahead(known).simulate(2.0).hops.tobytes() == laptop.simulate(2.0).hops.tobytes()


def test_nothing_is_lost_from_the_books(laptop: Ahead) -> None:
    run = laptop.simulate(DURATION_S)
    results = run.results
    assert np.array_equal(results.sent, results.delivered + results.lost + results.in_flight)
    assert results.in_flight.sum() == run.in_flight


def test_a_run_repeats_and_another_seed_is_another_run(laptop: Ahead) -> None:
    first, again = laptop.simulate(DURATION_S), laptop.simulate(DURATION_S)
    assert first.hops.tobytes() == again.hops.tobytes()
    other = laptop.simulate(DURATION_S, seed=2)
    assert other.hops.tobytes() != first.hops.tobytes()
    assert laptop.simulate(DURATION_S, seed=2).hops.tobytes() == other.hops.tobytes()
    assert laptop.simulate(DURATION_S).hops.tobytes() == first.hops.tobytes()


def test_another_seed_is_what_it_would_be_from_the_beginning(laptop: Ahead) -> None:
    own = Ahead(load(FILES["laptop"], seed=2))
    flows = laptop.flows(2)
    there = own.simulate(DURATION_S, flows=flows)
    assert laptop.simulate(DURATION_S, seed=2, flows=flows).hops.tobytes() == there.hops.tobytes()


def test_epochs_are_computed_once(laptop: Ahead) -> None:
    told: list[float] = []
    assert laptop.tables(DURATION_S)[0] is laptop.tables(DURATION_S, told.append)[0]
    assert not told
    assert len(laptop.tables(DURATION_S)) == 100


def test_what_is_run_once_meets_the_same_fates_and_keeps_nothing(laptop: Ahead) -> None:
    kept, told = laptop.simulate(DURATION_S), []
    once = Ahead(scenario("laptop"), once=True)
    run = once.simulate(DURATION_S, progress=told.append)
    order = [np.lexsort((hops["hop"], hops["packet"], hops["port"])) for hops in (kept.hops, run.hops)]
    assert run.hops[order[1]].tobytes() == kept.hops[order[0]].tobytes()
    assert run.results.histograms.tolist() == kept.results.histograms.tolist()
    assert told[-1] == 1.0
    with pytest.raises(ValueError, match="are not kept"):
        once.tables(DURATION_S)
    with pytest.raises(ValueError, match="to be run once, and has been"):
        once.run(DURATION_S)


def test_flows_can_be_others(laptop: Ahead) -> None:
    ports = Ports(laptop.scenario).of
    one = Flow("mine", ports["sensor-1"], ports["gateway-1"], Periodic(1.0, phase_s=0.5))
    results = laptop.run(DURATION_S, flows=[one], window_s=1.0)
    assert results.names == ("mine",)
    assert results.windows is not None
    assert results.windows["sent"][0].tolist() == [1] * 10 + [0]
    with pytest.raises(TrafficError, match="target is 99, allowed: a port that stands at a place"):
        laptop.run(DURATION_S, flows=[Flow("x", 1, 99, Periodic(1.0))])


def test_adjustments_are_felt() -> None:
    adjusted = Adjustments()

    def cut(t_s: float) -> None:
        adjusted.link_down.clear()
        if t_s >= 5.0:
            adjusted.link_down |= {("data-centre", "gateway-site"), ("data-centre", "gateway-south")}

    ahead = Ahead(scenario("laptop"), adjustments=adjusted, before_epoch=cut)
    acks = ahead.run(DURATION_S).matching("*>edge-ground task ack")
    assert acks.dropped.get("no_route", 0) + acks.dropped.get("link_down", 0) > 0


def test_it_can_begin_later() -> None:
    ahead = Ahead(scenario("laptop"), start_s=55.0)
    run = ahead.simulate()
    assert run.hops["ingress_ns"].min() >= 55_000_000_000
    assert run.results.duration_s == 5.0


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_shipped_scenario_delivers(name: str) -> None:
    ahead = Ahead(scenario(name))
    results = ahead.run(min(30.0, ahead.scenario.run.duration_s))
    assert results.together().delivered > 0


def test_publications_go_by_the_broker_to_who_subscribed() -> None:
    names = {flow.name: flow for flow in Offered(scenario("iot-direct"), 1).flows()}
    flow = names["sensor-1>broker-1 publication"]
    assert [one.name for one in flow.then] == ["sensor-1>gateway-1 publication"]
    assert "gateway-1>broker-1 subscription soil" in names


def test_a_probe_has_its_pings_answered(tmp_path: Path) -> None:
    text = FILES["laptop"].read_text()
    text += (
        '\n[nodes.probe-1]\nrole = "probe"\nplace = "board"\ntarget = "gateway-1"\n'
        "ping_interval_s = 0.5\nbulk_interval_s = 2\nbulk_kbytes = 5\n"
    )
    path = tmp_path / "probed.toml"
    path.write_text(text)
    results = Ahead(load(path)).run(DURATION_S)
    ping, pong = results["probe-1>gateway-1 ping"], results["gateway-1>probe-1 pong"]
    assert ping.sent == 20
    assert pong.sent == ping.delivered
    assert pong.delay_mean_s > 1.5 * ping.delay_mean_s
    assert results["probe-1>gateway-1 bulk"].sent == 5 * 5


@pytest.mark.parametrize("duration_s", [0.0, 61.0])
def test_a_duration_outside_the_scenario_is_refused(laptop: Ahead, duration_s: float) -> None:
    with pytest.raises(BadInput, match=r"duration_s = .*, allowed: above 0 and up to 60 s"):
        laptop.run(duration_s)


def test_a_start_outside_the_scenario_is_refused() -> None:
    with pytest.raises(BadInput, match=r"start_s = 61.0, allowed: 0 to the run's 60 s"):
        Ahead(scenario("laptop"), start_s=61.0)
