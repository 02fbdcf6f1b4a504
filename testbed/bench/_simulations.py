"""Networks to simulate for measuring: many senders over a shared backbone, and a thousand nodes.

Nothing is random but what the simulated traffic draws from its seed.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from emulator.layout import Network, make_network
from emulator.spec import AccessSpec, CircularShell, ConstellationSpec, Place, RadioSpec, WorldSpec
from emulator.traffic.arrivals import ParetoOnOff, Periodic, Poisson
from emulator.traffic.flows import Flow
from emulator.traffic.sizes import Empirical, Fixed, Uniform

#: senders, and as many receivers, of the mix
SENDERS: Final = 64
#: what the backbone carries, and how much of it is offered
_BACKBONE_BPS: Final = 1e9
_LOAD: Final = 0.9
#: bytes: acknowledgements, small and full packets, in the shares of the well-known three-part mix
_LENGTHS: Final = (64,) * 7 + (576,) * 4 + (1500,)
_MEAN_BYTES: Final = sum(_LENGTHS) / len(_LENGTHS)

START_UTC: Final = "2025-10-01T12:00:00Z"
NODES: Final = 1000
GATEWAYS: Final = 8
#: between readings of a node
READING_S: Final = 1.0


def mix_network(log: int, slots: int = 1 << 16) -> Network:
    """SENDERS places, two hubs and a core between, SENDERS places behind: four hops each way."""
    places = 2 * SENDERS + 3
    net = make_network(places, 2 * SENDERS, 2 * SENDERS + 1, links=4 * SENDERS + 4, slots=slots, log=log)
    for port in range(1, 2 * SENDERS + 1):
        net.port_place[port] = port - 1 if port <= SENDERS else port + 2
        net.port_host[port] = port - 1
    return net


def mix_table() -> SimpleNamespace:
    """Links of the mix as a link table: jitter and loss on all of them, queues that fill on the backbone."""
    first, core, last = SENDERS, SENDERS + 1, SENDERS + 2
    near = [(place, first) for place in range(SENDERS)]
    far = [(last, last + 1 + place) for place in range(SENDERS)]
    forward = [*near, (first, core), (core, last), *far]
    ends = np.array([*forward, *((b, a) for a, b in forward)], np.int32)
    count, half = len(ends), len(forward)
    backbone = np.array([{a, b} <= {first, core, last} for a, b in ends.tolist()])
    next_hop = np.full((2 * SENDERS + 3, 2 * SENDERS), -1, np.int32)
    for host in range(2 * SENDERS):
        own = host if host < SENDERS else host + 3
        for row, (a, b) in enumerate(ends.tolist()):
            towards = row < half if host >= SENDERS else row >= half
            leaf = b not in (first, core, last)
            if towards and (not leaf or b == own):
                next_hop[a, host] = row
    return SimpleNamespace(
        src=ends[:, 0], dst=ends[:, 1], next_hop=next_hop, kind=np.zeros(count), up=np.ones(count, bool),
        rate_bps=np.where(backbone, _BACKBONE_BPS, 1e8), delay_ns=np.where(backbone, 10_000_000, 2_000_000),
        jitter_ns=np.full(count, 1e5), loss=np.full(count, 1e-3), frame_error=np.zeros(count),
        frame_bits=np.full(count, 16_200), queue_packets=np.full(count, 100), model=np.zeros(count, np.int32),
        queue_bytes=np.full(count, 500_000), modcod=np.full(count, -1),
    )  # fmt: skip


def mix_flows() -> list[Flow]:
    """From every sender to a receiver: half Poisson, a quarter Pareto on/off, a quarter bursts."""
    each_bps = _LOAD * _BACKBONE_BPS / SENDERS
    flows = []
    for number in range(SENDERS):
        port, target = number + 1, SENDERS + 1 + number
        name = f"flow-{number}"
        per_s = each_bps / (8 * _MEAN_BYTES)
        if number % 4 < 2:
            flows.append(Flow(name, port, target, Poisson(per_s), Empirical(_LENGTHS)))
        elif number % 4 == 2:
            times = ParetoOnOff(1 / (4 * per_s), 0.1, 0.3)
            flows.append(Flow(name, port, target, times, Empirical(_LENGTHS), traffic_class=1))
        else:
            times_burst = Periodic(10 * 500 * 8 / each_bps, jitter_s=5 * 500 * 8 / each_bps)
            flows.append(Flow(name, port, target, times_burst, Fixed(500), packets=10))
    return flows


def thousand_nodes(duration_s: float) -> WorldSpec:
    """A thousand terminals over Europe and North America, eight gateways, 1,584 satellites in a grid."""
    places = []
    for number in range(NODES):
        west = number % 2
        share = (number // 2 + 0.5) / (NODES // 2)
        # A low-discrepancy walk through two boxes of latitude and longitude.
        latitude = 36.0 + 16.0 * (share * 144.0 % 1.0)
        longitude = (-120.0 if west else -5.0) + 35.0 * share
        places.append(
            Place(
                f"node-{number + 1}",
                "ground",
                latitude,
                longitude,
                radio="ka",
                access="terminal",
                min_elevation_deg=25.0,
            )
        )
    for number in range(GATEWAYS):
        west, step = number % 2, number // 2
        places.append(
            Place(
                f"gateway-{number + 1}",
                "ground",
                40.0 + 3 * step,
                (-115.0 if west else 0.0) + 8 * step,
                radio="ka",
                access="gateway",
                min_elevation_deg=25.0,
            )
        )
    return WorldSpec(
        START_UTC,
        duration_s,
        1.0,
        tuple(places),
        ConstellationSpec(shells=(CircularShell(550.0, 53.0, 1584, 72, 18),), isl="plus-grid"),
        radios=(RadioSpec("ka", weather=False),),
        access=AccessSpec(decision_interval_s=15.0),
    )


def thousand_flows() -> list[Flow]:
    """A reading of each node to one of the gateways of its side."""
    return [
        Flow(
            f"node-{number + 1}",
            number + 1,
            NODES + 1 + number % GATEWAYS,
            Periodic(READING_S, phase_s=READING_S * number / NODES),
            Uniform(100, 400),
        )
        for number in range(NODES)
    ]


def ports_of(world: Any, net: Network) -> None:
    """Port k of the network at the world's place k - 1."""
    for host, place in enumerate(world.hosts):
        net.port_place[host + 1], net.port_host[host + 1] = place, host
