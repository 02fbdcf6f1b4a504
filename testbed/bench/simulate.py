"""How fast virtual time is: packet-hops a second, the laptop scenario and a thousand nodes against real time.

The mix of packet-hops: 64 flows (Poisson, Pareto on/off, bursts) over four hops each, of which two are a
backbone offered 90 % of its rate, with jitter, loss and queues that fill. Beside it, on the same links, an
event loop that only takes the earliest event and puts it back, twice a hop: what no network of this kind can
be faster than. The laptop figure has the world's epochs, their hand-over and the traffic in it; the other
one has the tables given. All on one core. Rates are medians of several runs.
"""

from __future__ import annotations

import multiprocessing
import signal
import statistics
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from emulator.events import schedule
from emulator.jit import packet_kernel
from testbed.bench import Figures

RUNS: Final = 5
#: of the mix, s of virtual time
_MIX_S: Final = 4.0
_THOUSAND_S: Final = 60.0
LIMITS: Final = {"packet_hops_per_s": 5e6, "laptop_times_real_time": 500.0}
_EVENTS: Final = 4_000_000


def run() -> Figures:
    """Measure."""
    quiet, logged, empty = [], [], []
    _mix(0.1, log=True)
    _mix(0.1, log=False)
    _empty_loop(1000)
    for _ in range(RUNS):
        quiet.append(_mix(_MIX_S, log=False))
        logged.append(_mix(_MIX_S, log=True))
        empty.append(_empty_loop(_EVENTS))
    figures = {
        "packet_hops_per_s": statistics.median(quiet),
        "packet_hops_per_s_logged": statistics.median(logged),
        "empty_event_loop_hops_per_s": statistics.median(empty),
    }
    figures |= _laptop()
    figures |= _in_own_process()
    ratios = {
        "packet_hops_vs_empty_event_loop": figures["packet_hops_per_s"]
        / figures["empty_event_loop_hops_per_s"],
        "logged_vs_not": figures["packet_hops_per_s_logged"] / figures["packet_hops_per_s"],
    }
    return Figures("simulate", figures, LIMITS, ratios, frozenset(LIMITS))


def _mix(duration_s: float, *, log: bool) -> float:
    """Packet-hops a second."""
    from emulator.epochs import LinkUpdates
    from emulator.simulate import simulate
    from emulator.traffic.flows import FlowSet
    from testbed.bench._simulations import mix_flows, mix_network, mix_table

    net = mix_network(1 << 20 if log else 2)
    LinkUpdates(net).post(0, mix_table())
    flows = FlowSet(mix_flows(), seed=1)
    began_s = time.perf_counter()
    done = simulate(net, None, [], round(duration_s * 1e9), flows=flows, log=log)
    spent_s = time.perf_counter() - began_s
    if done.results.together().delivered == 0:
        raise RuntimeError("the mix delivered nothing")
    return done.packet_hops / spent_s


@packet_kernel
def _turn(net: Any, links: int, events: int) -> int:
    """Take the earliest event and put it back later, so often; the last time, ns."""
    from_ns = 0
    word = 1
    for _ in range(events):
        from_ns = net.heap_ns[0]
        # A step of a linear congruence: later by up to a millisecond, so that order is never given.
        word = (word * 6364136223846793005 + 1442695040888963407) & 0x7FFFFFFFFFFFFFFF
        schedule(net, net.heap_row[0], from_ns + 1 + (word >> 43))
    return from_ns


def _empty_loop(events: int) -> float:
    """Hops a second of an event loop in which nothing happens: two events a hop, on all links of the mix."""
    from testbed.bench._simulations import mix_network

    net = mix_network(2)
    links = len(net.links)
    _fill(net, links)
    began_s = time.perf_counter()
    _turn(net, links, events)
    return events / 2 / (time.perf_counter() - began_s)


@packet_kernel
def _fill(net: Any, links: int) -> None:
    """One event of each link."""
    for row in range(links):
        schedule(net, row, row * 7919 % 1_000_000)


def _laptop() -> dict[str, float]:
    from testbed.ahead import Ahead
    from testbed.scenario import load, shipped

    scenario = load(next(path for name, _, path in shipped() if name == "laptop"))
    duration_s = scenario.run.duration_s
    Ahead(scenario).run()
    whole, given, epochs = [], [], []
    for _ in range(RUNS):
        began_s = time.perf_counter()
        ahead = Ahead(scenario)
        ahead.tables(duration_s)
        epochs.append(time.perf_counter() - began_s)
        ahead.run()
        whole.append(time.perf_counter() - began_s)
        began_s = time.perf_counter()
        ahead.run()
        given.append(time.perf_counter() - began_s)
    return {
        "laptop_times_real_time": duration_s / statistics.median(whole),
        "laptop_times_real_time_tables_given": duration_s / statistics.median(given),
        "laptop_epochs_ms": statistics.median(epochs) * 1e3,
        "laptop_traffic_ms": statistics.median(given) * 1e3,
    }


def _in_own_process() -> dict[str, float]:
    """The figures of a thousand nodes, from a process that holds nothing else."""
    context = multiprocessing.get_context("spawn")
    # an interrupt is this process's to answer, which then ends the other
    with context.Pool(1, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        return pool.apply(_thousand)


def _thousand() -> dict[str, float]:
    from emulator.layout import make_network
    from emulator.simulate import WorldTables, simulate
    from emulator.traffic.flows import FlowSet
    from emulator.world import World
    from testbed.bench._simulations import ports_of, thousand_flows, thousand_nodes

    figures: dict[str, float] = {}
    flows = FlowSet(thousand_flows(), seed=1)
    # A short run first: compilation is in none of the times.
    for duration_s in (2.0, _THOUSAND_S):
        began_s = time.perf_counter()
        world = World(thousand_nodes(_THOUSAND_S))
        net = make_network(
            len(world.places), len(world.hosts), len(world.hosts) + 1, links=world.most_rows(), log=2
        )
        ports_of(world, net)
        built_s = time.perf_counter()
        end_ns = round(duration_s * 1e9)
        done = simulate(net, None, WorldTables(world, 1.0, 1), end_ns, flows=flows, log=False)
        ended_s = time.perf_counter()
        every = done.results.together()
        figures = {
            "nodes_1000_times_real_time": duration_s / (ended_s - built_s),
            "nodes_1000_set_up_s": built_s - began_s,
            "nodes_1000_delivered": every.delivered / every.sent,
            "nodes_1000_packet_hops": float(done.packet_hops),
        }
    return {**figures, "nodes_1000_memory_mb": _peak_mb()}


def _peak_mb() -> float:
    """The most memory this process held, in units of 2^20 bytes; not a number where that cannot be told."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float(np.nan)
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024.0
