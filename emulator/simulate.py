"""The virtual-time driver: the same network, run as fast as the processor allows.

Feeds flows, recorded arrivals and link tables to the compiled network and collects what became of every
packet. A recorded run given its own arrivals and tables yields its own fates again. In one call; in steps it
goes by `simulation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from emulator.epochs import RecordedTable
from emulator.jit import records
from emulator.layout import Network
from emulator.simulation import ARRIVAL, Simulation, WorldTables
from emulator.traffic.agenda import begin
from emulator.traffic.carry import generate
from emulator.traffic.errors import TrafficError
from emulator.traffic.flows import FlowSet
from emulator.traffic.results import Results

__all__ = ["ARRIVAL", "Simulated", "Simulation", "WorldTables", "recorded_arrivals", "simulate"]

#: packets that are generated at a time
_PART: Final = 65_536


@dataclass(frozen=True)
class Simulated:
    """What became of every packet: hop records in the order they were written, and fates by count."""

    hops: np.ndarray[Any, Any]
    fates: np.ndarray[Any, Any]  # int64 [FATES], all traffic classes together
    in_flight: int
    #: what became of each flow, then of each pair of ports of recorded arrivals
    results: Results
    packet_hops: int


def simulate(
    net: Network,
    arrivals: np.ndarray[Any, Any] | None,
    tables: Iterable[RecordedTable] | WorldTables,
    end_ns: int,
    *,
    flows: FlowSet | None = None,
    log: bool = True,
    window_s: float = 0.0,
    samples: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Simulated:
    """Run traffic through `net` under `tables`, up to `end_ns`.

    `arrivals` are ARRIVAL in order of time, or None; `flows` make packets of their own. Each table is put in
    force at its own time; they are taken one by one as time goes on, so that they may be computed on the
    way, as those of a world are. Times are integers of ns on any one clock. `log`: whether packet-hops are
    recorded. `window_s`: length of the windows of time in which results are kept too, from the origin of
    the flows on, 0: none. `samples`: how many ends of packets are kept one by one. `progress` is told the
    share that is done.

    What is in the network already goes on, and is in no flow's results.

    TrafficError for traffic that does not fit the network, in one sentence. RuntimeError when more happened
    at once than the network's log can hold.
    """
    simulation = Simulation(
        net,
        tables,
        flows=flows,
        arrivals=arrivals,
        log=log,
        window_s=window_s,
        samples=samples,
        end_ns=end_ns,
    )
    hops = simulation.advance(end_ns, progress)
    return Simulated(
        hops=hops,
        fates=net.fates.sum(axis=0),
        in_flight=simulation.in_flight,
        results=simulation.results(),
        packet_hops=simulation.packet_hops,
    )


def recorded_arrivals(flows: FlowSet, until_ns: int) -> np.ndarray[Any, Any]:
    """The packets that flows make up to `until_ns`, as ARRIVAL in order of time: what `arrivals` would be.

    TrafficError when a flow follows another: what follows depends on what arrives.
    """
    for name, row in zip(flows.names, flows.rows, strict=True):
        if row["follower"] >= 0:
            raise TrafficError(
                f"flow {name!r} has followers, allowed: flows whose packets do not depend on arrivals"
            )
    traffic = flows.traffic(1)
    begin(traffic, len(flows))
    numbers = np.zeros(flows.highest_port + 1, np.int64)
    parts = []
    while True:
        part = np.zeros(_PART, ARRIVAL)
        count = int(generate(traffic, numbers, records(part), until_ns))
        parts.append(part[:count])
        if count < _PART:
            return np.concatenate(parts)
