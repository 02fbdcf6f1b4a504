"""A small network for tests: places in a row, one port at each end, tables made by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from emulator.epochs import LinkUpdates
from emulator.layout import Network, make_network
from emulator.simulate import ARRIVAL

LEFT, RIGHT = 1, 2
MS = 1_000_000
S = 1_000_000_000


def chain(places: int = 3, **sizes: int) -> Network:
    """A network of `places` places with port LEFT at the first and RIGHT at the last."""
    net = make_network(places, 2, 8, **sizes)
    for port, (place, host) in {LEFT: (0, 0), RIGHT: (places - 1, 1)}.items():
        net.port_place[port] = place
        net.port_host[port] = host
    return net


def table(places: int = 3, **columns: Any) -> SimpleNamespace:
    """A LinkTable of links both ways along the row; columns override the defaults for every link."""
    hops = places - 1
    right = np.arange(hops, dtype=np.int32)
    src = np.concatenate((right, right + 1))
    dst = np.concatenate((right + 1, right))
    next_hop = np.full((places, 2), -1, np.int32)
    next_hop[:-1, 1] = right
    next_hop[1:, 0] = right + hops
    values: dict[str, Any] = {
        "kind": 0, "up": True, "rate_bps": 1e6, "delay_ns": 5 * MS, "jitter_ns": 0.0, "loss": 0.0,
        "frame_error": 0.0, "frame_bits": 16_200, "queue_packets": 100, "queue_bytes": 1_000_000,
        "modcod": -1, "model": 0,
    }  # fmt: skip
    values.update(columns)
    full = {name: np.full(2 * hops, value) for name, value in values.items()}
    return SimpleNamespace(src=src, dst=dst, next_hop=next_hop, **full)


def recorded(*tables: tuple[int, Any], places: int = 3, seed: int = 1) -> list[Any]:
    """Tables (time_ns, table) as a run would have recorded them."""
    updates = LinkUpdates(make_network(places, 2, 8), [f"place-{n}" for n in range(places)], seed)
    return [updates.post(time_ns, one) for time_ns, one in tables]


def arrivals(times_ns: Any, size: Any = 100, port: int = LEFT, target: int = RIGHT) -> np.ndarray[Any, Any]:
    """Arrivals at the given times."""
    made = np.zeros(len(times_ns), ARRIVAL)
    made["time_ns"] = times_ns
    made["length"] = size
    made["port"] = port
    made["target"] = target
    return made
