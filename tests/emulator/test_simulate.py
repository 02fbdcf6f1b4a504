"""Flows in virtual time: their packets meet the fates of recorded ones, and what follows on arrival."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from emulator.accounting import DELIVERED
from emulator.epochs import LinkUpdates
from emulator.hoplog import drain_log
from emulator.jit import records
from emulator.layout import IN_USE, Network, make_network
from emulator.links.model import Faults, LinkModel, ModelSet
from emulator.simulate import ARRIVAL, Simulated, recorded_arrivals, simulate
from emulator.traffic.arrivals import ParetoOnOff, Periodic, Poisson, Recorded
from emulator.traffic.errors import TrafficError
from emulator.traffic.flows import Flow, FlowSet, Follow
from emulator.traffic.servers import Server, Work
from emulator.traffic.sizes import Empirical, Fixed, Uniform
from tests.emulator.chain import LEFT, MS, RIGHT, S, arrivals, chain, recorded, table
from tests.emulator.one_by_one import run_arrivals

MIDDLE = 3


def of_every_kind(packets_per_s: float = 500.0) -> list[Flow]:
    return [
        Flow("poisson", LEFT, RIGHT, Poisson(packets_per_s), Uniform(60, 1500)),
        Flow("bursts", LEFT, RIGHT, Periodic(0.05, 0.003, 0.02), Fixed(200), packets=8, last_bytes=77),
        Flow(
            "on-off", RIGHT, LEFT, ParetoOnOff(0.001, 0.05, 0.1), Empirical([100, 200, 200]), traffic_class=2
        ),
        Flow("recorded", LEFT, RIGHT, Recorded([5, MS, MS], [70, 80, 90]), traffic_class=3),
    ]


def tables() -> list[Any]:
    return recorded(
        (0, table(rate_bps=3e6, jitter_ns=1e5, loss=0.05, queue_packets=20)),
        (300 * MS, table(up=False)),
        (400 * MS, table(rate_bps=1e6, queue_packets=20)),
    )


def with_middle(**sizes: int) -> Network:
    """Three places in a row with a port at each."""
    net = make_network(3, 3, 8, **sizes)
    for port, place, host in ((LEFT, 0, 0), (RIGHT, 2, 1), (MIDDLE, 1, 2)):
        net.port_place[port], net.port_host[port] = place, host
    return net


def middle_tables(**columns: Any) -> list[Any]:
    """One table with which all three ports can be reached."""
    one = table(**columns)
    one.next_hop = np.column_stack((one.next_hop, np.array([0, -1, 3], np.int32)))
    return [LinkUpdates(with_middle(), ["a", "b", "c"], 1).post(0, one)]


def in_order(hops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Records by packet and hop: those of different packets are written as the network is asked to go on."""
    return hops[np.lexsort((hops["hop"], hops["packet"], hops["port"]))]


def test_flows_meet_the_fates_of_the_same_packets_recorded() -> None:
    flows = FlowSet(of_every_kind(), seed=3)
    made = simulate(chain(log=1 << 17), None, tables(), S, flows=flows)
    again = simulate(chain(log=1 << 17), recorded_arrivals(flows, S), tables(), S)
    assert len(made.hops) > 1000
    assert made.hops.tobytes() == again.hops.tobytes()
    assert made.fates.tolist() == again.fates.tolist()
    assert made.results.sent.sum() == again.results.sent.sum()


def test_the_driver_of_recorded_arrivals_alone_does_the_same() -> None:
    flows = FlowSet(of_every_kind(), seed=3)
    made = simulate(chain(log=1 << 17), None, tables(), S, flows=flows)
    net = chain(log=1 << 17)
    updates = LinkUpdates(net)
    for one in tables():
        updates.post_recorded(one)
    run_arrivals(net, records(recorded_arrivals(flows, S)), 0, S, len(net.log))
    assert drain_log(net).tobytes() == made.hops.tobytes()


def test_a_small_log_is_emptied_on_the_way_and_changes_nothing() -> None:
    flows = FlowSet(of_every_kind(), seed=3)
    large = simulate(chain(log=1 << 17), None, tables(), S, flows=flows)
    small = simulate(chain(log=1 << 8), None, tables(), S, flows=flows)
    assert small.hops.tobytes() == large.hops.tobytes()


def test_without_a_log_the_results_are_the_same() -> None:
    flows = FlowSet(of_every_kind(), seed=3)
    logged = simulate(chain(log=1 << 17), None, tables(), S, flows=flows)
    quiet = simulate(chain(log=2), None, tables(), S, flows=flows, log=False)
    assert len(quiet.hops) == 0
    assert quiet.results.fates.tolist() == logged.results.fates.tolist()
    assert quiet.results.histograms.tolist() == logged.results.histograms.tolist()
    assert quiet.packet_hops == logged.packet_hops > 0


def test_a_flow_draws_the_same_whatever_other_flows_there_are() -> None:
    alone = recorded_arrivals(FlowSet(of_every_kind()[:1], seed=3), S)
    among = recorded_arrivals(FlowSet(of_every_kind(), seed=3), S)
    mine = among[(among["port"] == LEFT) & (among["header"][:, 5] >> 16 & 0xFFFF == 1)]
    mine = mine[mine["traffic_class"] == 0]
    assert mine["time_ns"].tolist() == alone["time_ns"].tolist()
    assert mine["length"].tolist() == alone["length"].tolist()


def test_recorded_arrivals_and_flows_run_together_with_results_of_each() -> None:
    flow = Flow("flow", LEFT, RIGHT, Recorded([10 * MS, 20 * MS]))
    run = simulate(
        chain(), arrivals([5 * MS, 10 * MS, 30 * MS]), recorded((0, table())), S, flows=FlowSet([flow])
    )
    assert run.results.names == ("flow", "port 1 > port 2")
    assert run.results.sent.tolist() == [2, 3]
    assert run.results.delivered.tolist() == [2, 3]
    # At equal times the recorded one comes first.
    order = run.hops[run.hops["ingress_ns"] == 10 * MS]["packet"].tolist()
    assert order[0] == 1


def relayed(times: Any, **more: Any) -> list[Flow]:
    onward = Follow("onward", MIDDLE, RIGHT, then=more.pop("then", ()))
    return [Flow("first leg", LEFT, MIDDLE, times, Fixed(100), then=(onward,), **more)]


def test_a_relay_sends_on_what_has_arrived_at_the_moment_it_has() -> None:
    run = simulate(with_middle(), None, middle_tables(), S, flows=FlowSet(relayed(Recorded([10 * MS]))))
    hop_ns = 100 * 8 * 1000 + 5 * MS
    assert run.hops["ingress_ns"].tolist() == [10 * MS, 10 * MS + hop_ns]
    assert run.hops["port"].tolist() == [LEFT, MIDDLE]
    assert run.results["first leg"].delay_mean_s == pytest.approx(hop_ns * 1e-9)
    assert run.results["onward"].delay_mean_s == pytest.approx(2 * hop_ns * 1e-9)


def test_what_is_relayed_meets_the_fates_of_the_same_packets_recorded() -> None:
    flows = FlowSet(
        [*relayed(Poisson(300.0)), Flow("other", RIGHT, LEFT, Poisson(200.0), Uniform(60, 300))], seed=5
    )
    tables = middle_tables(rate_bps=2e6, jitter_ns=1e5, loss=0.05)
    made = simulate(with_middle(), None, tables, 3 * S, flows=flows)
    first = made.hops[made.hops["hop"] == 0]
    first = first[np.lexsort((first["packet"], first["port"], first["ingress_ns"]))]
    known = np.zeros(len(first), ARRIVAL)
    for name in ("port", "traffic_class"):
        known[name] = first[name]
    known["time_ns"], known["length"] = first["ingress_ns"], first["size"]
    known["header"] = np.ascontiguousarray(first["header"]).view("<i8").reshape(-1, 6)
    known["target"] = np.where(known["port"] == LEFT, MIDDLE, known["header"][:, 1] & 0xFFFFFFFF)
    again = simulate(with_middle(), known, tables, 3 * S)
    # What is still on its first hop at the end is in no record, and has no part in what is recorded of others
    # before.
    assert in_order(again.hops).tobytes() == in_order(made.hops).tobytes()


def test_an_answer_has_the_delay_of_the_round_trip() -> None:
    pong = Follow("pong", RIGHT, LEFT)
    flows = FlowSet([Flow("ping", LEFT, RIGHT, Recorded([0]), Fixed(100), then=(pong,))])
    run = simulate(chain(), None, recorded((0, table())), S, flows=flows)
    assert run.results["pong"].delay_mean_s == pytest.approx(2 * run.results["ping"].delay_mean_s)


def test_every_packet_is_acknowledged_and_a_message_answered_when_it_is_complete() -> None:
    then = (Follow("ack", RIGHT, LEFT, Fixed(60)), Follow("result", RIGHT, LEFT, Fixed(90), whole=True))
    flows = FlowSet(
        [Flow("task", LEFT, RIGHT, Recorded([0, S]), Fixed(1000), packets=5, last_bytes=200, then=then)]
    )
    run = simulate(chain(), None, recorded((0, table())), 3 * S, flows=flows)
    assert run.results.sent.tolist() == [10, 10, 2]
    # At 1 Mbit/s: four packets one after the other, the fourth and the last over the second hop; then the
    # answer behind the last acknowledgement.
    there_ms = 4 * 8 + 5 + 8 + 1.6 + 5
    back_ms = 0.48 + 2 * (0.72 + 5)
    assert run.results["result"].delay_min_s * 1e3 == pytest.approx(there_ms + back_ms)


@pytest.mark.parametrize(("packets", "every", "count"), [(10, 5, 2), (10, 4, 3), (3, 5, 1), (7, 1, 7)])
def test_what_follows_every_few_packets_follows_the_last_too(packets: int, every: int, count: int) -> None:
    then = (Follow("ack", RIGHT, LEFT, Fixed(60), every=every),)
    flows = FlowSet([Flow("burst", LEFT, RIGHT, Recorded([0, S]), packets=packets, then=then)])
    results = simulate(chain(), None, recorded((0, table())), 2 * S, flows=flows).results
    assert results["burst"].delivered == 2 * packets
    assert results["ack"].sent == 2 * count


def test_what_follows_every_few_packets_counts_those_that_arrived() -> None:
    then = (Follow("ack", RIGHT, LEFT, Fixed(60), every=5),)
    flows = FlowSet([Flow("burst", LEFT, RIGHT, Recorded([0]), packets=100, then=then)], seed=2)
    results = simulate(chain(), None, recorded((0, table(loss=0.3))), S, flows=flows).results
    assert results["burst"].delivered < 100
    assert results["ack"].sent == results["burst"].delivered // 5


def test_an_incomplete_message_is_not_answered() -> None:
    then = (Follow("result", RIGHT, LEFT, Fixed(90), whole=True),)
    flows = FlowSet([Flow("task", LEFT, RIGHT, Recorded([0, S]), Fixed(1000), packets=5, then=then)])
    cut = recorded((0, table(queue_packets=3)), (500 * MS, table()))
    run = simulate(chain(), None, cut, 3 * S, flows=flows)
    assert run.results["task"].dropped == {"queue_full": 2}
    assert run.results["result"].sent == 1


def test_a_chain_at_one_place_ends_although_it_takes_no_time() -> None:
    net = with_middle()
    back = Follow("back", MIDDLE, LEFT, then=(Follow("again", LEFT, MIDDLE),))
    net.port_place[MIDDLE] = 0
    run = simulate(
        net,
        None,
        middle_tables(),
        S,
        flows=FlowSet([Flow("there", LEFT, MIDDLE, Periodic(0.1), then=(back,))]),
    )
    assert run.results.delivered.tolist() == [11, 11, 11]


def test_a_network_without_room_counts_what_it_cannot_take_and_goes_on() -> None:
    flows = FlowSet(
        [Flow("burst", LEFT, RIGHT, Periodic(0.5), packets=10, then=(Follow("ack", RIGHT, LEFT),))]
    )
    net = chain(slots=4)
    run = simulate(net, None, recorded((0, table())), 800 * MS, flows=flows)
    assert run.results["burst"].dropped == {"no_buffer": 12}
    assert run.results["ack"].sent == 8
    assert net.state[IN_USE] == 0


def test_what_is_in_the_network_already_goes_on_and_is_in_no_results() -> None:
    net = chain()
    one = FlowSet([Flow("one", LEFT, RIGHT, Recorded([0, MS, 2 * MS]), then=(Follow("ack", RIGHT, LEFT),))])
    simulate(net, None, recorded((0, table())), 5 * MS, flows=one)
    after = simulate(net, None, [], S, samples=9)
    assert len(after.results) == 0
    assert len(after.results.samples) == 0
    assert after.fates[DELIVERED] == 3
    assert after.in_flight == 0
    other = FlowSet([Flow("other", RIGHT, LEFT, Recorded([2 * S]))])
    assert simulate(net, None, [], 3 * S, flows=other).results.delivered.tolist() == [1]


def test_a_duplicate_is_counted_with_its_flow_and_answered_once() -> None:
    net = chain(2, models=ModelSet([LinkModel("twice", faults=Faults(duplicate=0.5))]))
    flows = FlowSet([Flow("one", LEFT, RIGHT, Periodic(0.001), then=(Follow("ack", RIGHT, LEFT),))], seed=1)
    columns = table(2, rate_bps=1e8, model=1)
    columns.model = np.array([1, 0])
    run = simulate(net, None, recorded((0, columns), places=2), 2 * S, flows=flows)
    one, ack = run.results["one"], run.results["ack"]
    assert 900 < one.copied < 1100
    assert one.delivered == one.sent + one.copied - one.in_flight
    assert ack.sent == sum(
        run.hops["marks"][(run.hops["port"] == LEFT) & (run.hops["fate"] == DELIVERED)] == 0
    )


def test_flows_count_from_their_origin() -> None:
    flows = FlowSet([Flow("one", LEFT, RIGHT, Periodic(0.1))], origin_ns=5 * S)
    run = simulate(chain(), None, recorded((0, table())), 6 * S, flows=flows)
    assert run.hops["ingress_ns"].min() == 5 * S
    assert run.results.duration_s == 1.0


def test_progress_is_told_and_ends_at_one() -> None:
    told: list[float] = []
    many = recorded(*((k * 10 * MS, table()) for k in range(30)))
    simulate(chain(), arrivals([MS]), many, S, progress=told.append)
    assert told == sorted(told)
    assert len(told) > 1
    assert told[-1] == 1.0


@pytest.mark.parametrize(
    ("flow", "sentence"),
    [
        (
            Flow("one", LEFT, 7, Poisson(1.0)),
            "flow 'one': target is 7, allowed: a port that stands at a place",
        ),
        (
            Flow("one", 9, RIGHT, Poisson(1.0)),
            "flow 'one': port is 9, allowed: a port that stands at a place",
        ),
    ],
)
def test_a_flow_of_a_port_that_is_nowhere_is_refused(flow: Flow, sentence: str) -> None:
    with pytest.raises(TrafficError, match=sentence):
        simulate(chain(), None, [], S, flows=FlowSet([flow]))


def test_what_follows_leaves_from_where_it_arrived() -> None:
    with pytest.raises(TrafficError, match="flow 'b': port is 1, allowed: 2, where 'a' arrives"):
        FlowSet([Flow("a", LEFT, RIGHT, Poisson(1.0), then=(Follow("b", LEFT, RIGHT),))])


def test_what_follows_cannot_be_recorded_beforehand() -> None:
    with pytest.raises(TrafficError, match="flow 'first leg' has followers"):
        recorded_arrivals(FlowSet(relayed(Poisson(1.0))), S)


def test_arrivals_out_of_order_and_of_no_port_are_refused() -> None:
    with pytest.raises(TrafficError, match="arrival 1 is earlier than the one before it"):
        simulate(chain(), arrivals([5, 4]), [], S)
    with pytest.raises(TrafficError, match="an arrival is of port 99, allowed: 0 to 7"):
        simulate(chain(), arrivals([5], port=99), [], S)
    with pytest.raises(TrafficError, match=r"allowed: emulator.simulate.ARRIVAL"):
        simulate(chain(), np.zeros(1), [], S)
    with pytest.raises(TrafficError, match="window_s is -1"):
        simulate(chain(), arrivals([5]), [], S, window_s=-1)


def results_digest(run: Simulated) -> str:
    import hashlib

    content = run.hops.tobytes() + run.results.fates.tobytes() + run.results.histograms.tobytes()
    return hashlib.sha256(content).hexdigest()


def small_run() -> str:
    answer = Follow("answer", MIDDLE, RIGHT, whole=True, work=Work("server", 1e6, 9e6))
    servers = [Server("server", MIDDLE, 1e9, cores=2, queue_tasks=3)]
    asked = Flow("asked", RIGHT, MIDDLE, Poisson(400.0), packets=2, then=(answer,))
    flows = FlowSet([*of_every_kind(100.0), *relayed(Poisson(50.0)), asked], seed=9, servers=servers)
    tables = middle_tables(rate_bps=1e6, loss=0.1)
    return results_digest(
        simulate(with_middle(), None, tables, 300 * MS, flows=flows, window_s=0.1, samples=9)
    )


def test_the_kernels_do_the_same_uncompiled() -> None:
    program = "from tests.emulator.test_simulate import small_run\nprint(small_run())\n"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == small_run()
