"""Servers in virtual time: by hand, beside the servers that nodes run, and against queueing theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emulator.layout import Network, make_network
from emulator.simulate import Simulation, simulate
from emulator.traffic.arrivals import Poisson, Recorded, Times
from emulator.traffic.errors import TrafficError
from emulator.traffic.flows import Flow, FlowSet, Follow
from emulator.traffic.servers import Server, Work
from emulator.traffic.sizes import Fixed
from nodes.tasks import Task
from nodes.work import Job, Processor
from tests.emulator.chain import LEFT, MS, RIGHT, S, chain, recorded, table

#: one cycle a nanosecond
GHZ = 1e9
#: a mean of waiting times over 200,000 tasks is this close: their autocorrelation leaves some hundred times
#: fewer independent ones
WAITING_SHARE = 0.03
MEGACYCLES = (1e6, 9e6)


def here() -> Network:
    """Both ends at one place: packets take no time."""
    net = make_network(1, 1, 8, log=1 << 16)
    net.port_place[[LEFT, RIGHT]] = net.port_host[[LEFT, RIGHT]] = 0
    return net


def tasks(
    times: Times, cycles: tuple[float, float] = (100.0, 100.0), name: str = "task", **more: Any
) -> Flow:
    answer = Follow(f"{name} answer", RIGHT, LEFT, Fixed(90), whole=True, work=Work("server", *cycles))
    return Flow(name, LEFT, RIGHT, times, then=(answer,), **more)


def serving(
    *flows: Flow, net: Network | None = None, tables: Any = (), log: bool = True, **more: Any
) -> Simulation:
    server = Server("server", RIGHT, **{"rate_hz": GHZ, **more})
    return Simulation(net or here(), tables, flows=FlowSet(flows, seed=5, servers=[server]), log=log)


# --- by hand --------------------------------------------------------------------------------------


def test_tasks_wait_for_those_before_them() -> None:
    simulation = serving(tasks(Recorded([0, 10, 20, 500])))
    simulation.advance(S)
    served = simulation.take_tasks()
    assert served["arrived_ns"].tolist() == [0, 10, 20, 500]
    assert served["begun_ns"].tolist() == [0, 100, 200, 500]
    assert served["done_ns"].tolist() == [100, 200, 300, 600]
    assert served["waiting"].tolist() == [1, 0, 0, 0]
    assert served["message"].tolist() == [0, 1, 2, 3]
    assert set(served["client"].tolist()) == {LEFT}
    result = simulation.results().servers["server"]
    assert (result.done, result.running, result.waiting, result.refused) == (4, 0, 0, 0)
    assert result.busy_s == pytest.approx(400e-9)
    assert result.wait_mean_s == pytest.approx((90 + 180) / 4 * 1e-9)
    assert result.wait_max_s == pytest.approx(180e-9)
    assert result.cycles == 400.0


def test_as_many_are_worked_on_at_a_time_as_there_are_cores() -> None:
    simulation = serving(tasks(Recorded([0, 10, 20])), cores=2)
    simulation.advance(150)
    assert simulation.take_tasks()["done_ns"].tolist() == [100, 110]
    result = simulation.results().servers["server"]
    assert (result.running, result.busy_s) == (1, pytest.approx(250e-9))
    assert result.utilisation == pytest.approx(250 / 300)
    simulation.advance(S)
    assert simulation.take_tasks()["begun_ns"].tolist() == [100]


def test_what_finds_the_queue_full_is_refused_and_not_answered() -> None:
    simulation = serving(tasks(Recorded([0, 0, 0, 0, 250])), queue_tasks=1)
    simulation.advance(S)
    results = simulation.results()
    assert results.servers["server"].refused == 2
    assert simulation.take_tasks()["message"].tolist() == [0, 1, 4]
    assert results["task answer"].sent == 3


def test_a_server_without_a_queue_takes_what_it_can_work_on() -> None:
    simulation = serving(tasks(Recorded([0, 0, 0, 100])), queue_tasks=0, cores=2)
    simulation.advance(S)
    assert simulation.take_tasks()["message"].tolist() == [0, 1, 3]


def test_an_answer_has_the_delay_of_the_way_there_the_work_and_the_way_back() -> None:
    flow = tasks(Recorded([0]), (7e6, 7e6), packets=3)
    simulation = serving(flow, net=chain(), tables=recorded((0, table())))
    simulation.advance(S)
    # 100 bytes at 1 Mbit/s take 0.8 ms, 90 bytes 0.72 ms; 5 ms over each of two links; 7 ms of work.
    there_ms, back_ms = 3 * 0.8 + 5 + 0.8 + 5, 2 * (0.72 + 5)
    assert simulation.results()["task answer"].delay_mean_s * 1e3 == pytest.approx(there_ms + 7 + back_ms)


def test_a_task_of_which_a_packet_was_lost_is_never_worked_on() -> None:
    cut = recorded((0, table(queue_packets=2)), (500 * MS, table()))
    simulation = serving(tasks(Recorded([0, S]), packets=5), net=chain(), tables=cut)
    simulation.advance(3 * S)
    assert simulation.take_tasks()["message"].tolist() == [1]


def test_a_change_of_speed_is_felt_by_what_has_begun() -> None:
    simulation = serving(tasks(Recorded([0, 0]), (1000.0, 1000.0)))
    simulation.advance(400)
    simulation.set_speed("server", 0.5)
    simulation.advance(800)
    simulation.set_speed("server", 2.0)
    simulation.advance(S)
    served = simulation.take_tasks()
    # 600 cycles are left at 400 ns, 400 at 800 ns.
    assert served["done_ns"].tolist() == [1000, 1500]
    assert simulation.results().servers["server"].busy_s == pytest.approx(1500e-9)


def test_a_queue_is_a_server_s_own() -> None:
    other = Follow("other answer", RIGHT, LEFT, Fixed(90), whole=True, work=Work("other", 30.0, 30.0))
    flows = [tasks(Recorded([0, 0, 0])), Flow("other", LEFT, RIGHT, Recorded([0, 0, 0]), then=(other,))]
    servers = [Server("server", RIGHT, GHZ, queue_tasks=1), Server("other", RIGHT, GHZ, queue_tasks=9)]
    results = simulate(here(), None, (), S, flows=FlowSet(flows, servers=servers)).results
    assert {name: result.refused for name, result in results.servers.items()} == {"server": 1, "other": 0}


def test_two_servers_work_beside_each_other() -> None:
    other = Follow("other answer", RIGHT, LEFT, Fixed(90), whole=True, work=Work("other", 30.0, 30.0))
    flows = [tasks(Recorded([0])), Flow("other", LEFT, RIGHT, Recorded([0, 0]), then=(other,))]
    servers = [Server("server", RIGHT, GHZ), Server("other", RIGHT, GHZ)]
    simulation = Simulation(here(), (), flows=FlowSet(flows, servers=servers))
    simulation.set_speed("other", 0.5)
    simulation.advance(S)
    served = simulation.take_tasks()
    assert list(zip(served["server"].tolist(), served["done_ns"].tolist(), strict=True)) == [
        (1, 60), (0, 100), (1, 120),
    ]  # fmt: skip


# --- beside others --------------------------------------------------------------------------------


@pytest.mark.parametrize(("cores", "queue"), [(1, 64), (3, 2), (2, 0)])
def test_it_does_what_the_servers_of_nodes_do(cores: int, queue: int) -> None:
    rng = np.random.default_rng(4)
    times_ns = np.cumsum(rng.exponential(2e6, 400)).astype(np.int64)
    speeds = [(int(ns), float(rng.uniform(0.2, 3.0))) for ns in np.linspace(1, times_ns[-1], 9)[1:-1]]
    simulation = serving(tasks(Recorded(times_ns), MEGACYCLES), cores=cores, queue_tasks=queue)
    for time_ns, factor in speeds:
        simulation.advance(time_ns)
        simulation.set_speed("server", factor)
    simulation.advance(10 * S)
    served = simulation.take_tasks()
    cycles = dict(zip(served["message"].tolist(), served["cycles"].tolist(), strict=True))

    processor, ended = Processor(GHZ, cores, queue), []

    def until(time_ns: int) -> None:
        while processor.due_ns is not None and processor.due_ns <= time_ns:
            due_ns = processor.due_ns
            ended.extend(processor.advance(due_ns)[0])

    changes = [(ns, -1, factor) for ns, factor in speeds]
    arrivals = [(int(ns), message, 0.0) for message, ns in enumerate(times_ns)]
    for time_ns, message, factor in sorted(changes + arrivals):
        until(time_ns)
        if message < 0:
            processor.set_speed(factor, time_ns)
        elif message in cycles:
            job = Job(LEFT, message, Task(cycles[message], b""), time_ns)  # type: ignore[arg-type]
            assert processor.submit(job)
            processor.advance(time_ns)
        else:
            assert len(processor.queue) == queue
            assert len(processor.running) == cores
    until(10 * S)
    assert served["message"].tolist() == [job.tag for job in ended]
    assert served["begun_ns"].tolist() == [job.begun_ns for job in ended]
    assert served["done_ns"].tolist() == [job.finish_ns for job in ended]


# --- queueing theory ------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [0.3, 0.8])
@pytest.mark.parametrize("cycles", [(5e6, 5e6), MEGACYCLES], ids=["M/D/1", "M/U/1"])
def test_the_mean_wait_is_that_of_pollaczek_and_khinchine(load: float, cycles: tuple[float, float]) -> None:
    """W = rate E[S^2] / (2 (1 - load)); Kleinrock, Queueing Systems I, section 5.6."""
    low_s, high_s = (c / GHZ for c in cycles)
    mean_s, square_s2 = (low_s + high_s) / 2, (low_s**2 + low_s * high_s + high_s**2) / 3
    per_s = load / mean_s
    simulation = serving(tasks(Poisson(per_s), cycles), log=False, queue_tasks=100_000)
    simulation.advance(round(200_000 / per_s * S))
    result = simulation.results().servers["server"]
    assert result.wait_mean_s == pytest.approx(per_s * square_s2 / (2 * (1 - load)), rel=WAITING_SHARE)
    assert result.utilisation == pytest.approx(load, rel=WAITING_SHARE)


def test_a_full_server_without_a_queue_refuses_as_erlang_says() -> None:
    """The share refused depends on the load alone, whatever the work (M/G/c/c): Erlang's B formula."""
    load, cores = 2.0, 3
    simulation = serving(tasks(Poisson(load * 200.0), (1e6, 9e6)), log=False, queue_tasks=0, cores=cores)
    simulation.advance(500 * S)
    blocked = 1.0
    for c in range(1, cores + 1):
        blocked = load * blocked / (c + load * blocked)
    result = simulation.results().servers["server"]
    assert result.refused / (result.refused + result.done) == pytest.approx(blocked, rel=WAITING_SHARE)


def test_no_work_is_lost_and_no_core_is_idle_while_tasks_wait() -> None:
    simulation = serving(tasks(Poisson(180.0), MEGACYCLES), queue_tasks=100_000)
    simulation.advance(30 * S)
    served = simulation.take_tasks()
    free_ns = np.concatenate(([0], served["done_ns"][:-1]))
    assert np.array_equal(served["begun_ns"], np.maximum(served["arrived_ns"], free_ns))
    worked_ns = served["done_ns"] - served["begun_ns"]
    assert np.array_equal(worked_ns, np.ceil(served["cycles"] / GHZ * 1e9))
    results = simulation.results()
    result = results.servers["server"]
    assert result.done + result.running + result.waiting + result.refused == results["task"].delivered
    assert result.done == results["task answer"].sent == len(served)


# --- what follows from the seed -------------------------------------------------------------------


def test_work_is_drawn_by_message_whatever_else_there_is() -> None:
    def cycles(*flows: Flow) -> dict[int, float]:
        simulation = serving(*flows)
        simulation.advance(S)
        served = simulation.take_tasks()
        served = served[served["flow"] == 1]
        return dict(zip(served["message"].tolist(), served["cycles"].tolist(), strict=True))

    alone = cycles(tasks(Poisson(50.0), MEGACYCLES))
    among = cycles(tasks(Poisson(50.0), MEGACYCLES), tasks(Poisson(90.0), MEGACYCLES, "other"))
    assert len(alone) > 10
    assert among == {message: value for message, value in alone.items() if message in among}
    values = list(alone.values())
    assert MEGACYCLES[0] <= min(values) < max(values) <= MEGACYCLES[1]
    assert len(set(values)) == len(values)


def test_in_how_many_steps_it_is_taken_changes_nothing() -> None:
    def run(*until_ns: int, log: bool = True) -> tuple[bytes, list[int]]:
        simulation = serving(
            tasks(Poisson(3000.0), (1e5, 5e5)), net=chain(log=1 << 12), log=log,
            tables=recorded((0, table(rate_bps=1e7, loss=0.01))),
        )  # fmt: skip
        for time_ns in until_ns:
            simulation.advance(time_ns)
        return simulation.take_tasks().tobytes(), simulation.results().fates.ravel().tolist()

    whole = run(2 * S)
    assert run(*range(0, 2 * S, 13 * MS), 2 * S) == whole
    # More than are held at a time were told, and without a log none; what happened is the same.
    assert len(whole[0]) > 2048 * 64
    assert run(2 * S, log=False) == (b"", whole[1])


def test_a_simulation_in_one_call_tells_of_servers_too() -> None:
    flows = FlowSet([tasks(Recorded([0, 10]))], servers=[Server("server", RIGHT, GHZ)])
    assert simulate(here(), None, (), S, flows=flows).results.servers["server"].done == 2


# --- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        (Server("s", RIGHT, 0.0), "server 's': rate_hz is 0.0, allowed: 1 to"),
        (Server("s", RIGHT, GHZ, cores=0), "server 's': cores is 0, allowed: 1 to 1024"),
        (Server("s", RIGHT, GHZ, queue_tasks=-1), "server 's': queue_tasks is -1, allowed: 0 to"),
        (Server("s", 0, GHZ), "server 's': port is 0, allowed: the number of a port, from 1"),
        (Server("s", 7, GHZ), "server 's': port is 7, allowed: a port that stands at a place"),
    ],
)
def test_a_server_that_cannot_be_is_refused(server: Server, sentence: str) -> None:
    with pytest.raises(TrafficError, match=sentence):
        Simulation(here(), (), flows=FlowSet([], servers=[server]))


@pytest.mark.parametrize(
    ("whole", "work", "sentence"),
    [
        (True, Work("none", 1, 2), "flow 'a': server 'none' is unknown, allowed: s, left"),
        (False, Work("s", 1, 2), "flow 'a': work for server 's', allowed: of whole messages to its port 2"),
        (
            True,
            Work("left", 1, 2),
            "flow 'a': work for server 'left', allowed: of whole messages to its port 1",
        ),
        (True, Work("s", 2, 1), "flow 'a': work.cycles are 2 to 1, allowed: 1 to"),
    ],
)
def test_work_that_cannot_be_is_refused(whole: bool, work: Work, sentence: str) -> None:
    follow = Follow("a", RIGHT, LEFT, whole=whole, work=work)
    servers = [Server("s", RIGHT, GHZ), Server("left", LEFT, GHZ)]
    with pytest.raises(TrafficError, match=sentence):
        FlowSet([Flow("f", LEFT, RIGHT, Poisson(1.0), then=(follow,))], servers=servers)


def test_two_servers_of_one_name_and_speeds_that_cannot_be_are_refused() -> None:
    with pytest.raises(TrafficError, match="server 's': the name is taken"):
        FlowSet([], servers=[Server("s", RIGHT, GHZ), Server("s", LEFT, GHZ)])
    simulation = serving(tasks(Recorded([0])))
    with pytest.raises(TrafficError, match=r"speed is 0.0, allowed: 0.001 to 1000"):
        simulation.set_speed("server", 0.0)
    with pytest.raises(TrafficError, match="server 'none' is unknown, allowed: server"):
        simulation.set_speed("none", 1.0)
