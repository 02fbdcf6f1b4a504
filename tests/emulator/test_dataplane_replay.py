"""Real time and virtual time are one network: what a live channel did, a simulation does again."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest

from emulator.accounting import DELIVERED, PEER_FULL, PEER_GONE
from emulator.epochs import RecordedTable
from emulator.layout import IN_USE
from emulator.links.model import (
    CoDel,
    Events,
    Faults,
    Frames,
    Gamma,
    GilbertElliott,
    LinkModel,
    LogNormal,
    ModelSet,
    Process,
    SlottedAloha,
)
from emulator.links.state import COPY
from emulator.simulate import ARRIVAL, simulate
from nodes import wire
from tests.emulator.chain import LEFT, MS, RIGHT, chain
from tests.emulator.live import Live, now_packet

PACKETS = 400

MODELS = {
    "plain": None,
    "jitter that reorders": LinkModel("one", jitter=Gamma(shape=1.5), keep_order=False),
    "correlated jitter": LinkModel("one", jitter=LogNormal(sigma=0.8, correlation_ms=5.0)),
    "bursts of loss": LinkModel("one", loss=GilbertElliott(enter=0.1, leave=0.4, loss=0.8)),
    "CoDel": LinkModel("one", queue=CoDel(target_ms=0.5, interval_ms=2.0)),
    "duplicates and damage": LinkModel("one", faults=Faults(duplicate=0.3, corrupt=0.2)),
    "frames": LinkModel("one", access=Frames(period_ms=2.0)),
    "slotted ALOHA": LinkModel("one", access=SlottedAloha(slot_ms=0.2)),
    "generated delay": LinkModel(
        "one",
        process=Process(
            np.linspace(0.5 * MS, 8.0 * MS, 257),
            white=0.8,
            components=np.array([[20.0 * MS, 0.6]]),
            patterns=np.array([[(30.0 * MS, -1.0, 0.5, 0.2, 0.5), (20.0 * MS, 1.0, 0.3, 0.7, 0.5)]]),
            events=Events(0.5, np.array([-2.0 * MS]), np.array([3.0 * MS]), np.array([4.0 * MS])),
            lead_ns=2 * MS,
            strays=Events(0.3, stall_ns=np.array([5.0 * MS])),
            cell_ns=40 * MS,
        ),
        keep_order=False,
    ),
    "all together": LinkModel(
        "one",
        queue=CoDel(target_ms=0.5, interval_ms=2.0),
        loss=GilbertElliott(enter=0.05, leave=0.5, loss=0.9),
        jitter=Gamma(shape=2.0, correlation_ms=3.0),
        faults=Faults(duplicate=0.2, corrupt=0.1),
        overhead_bytes=12,
    ),
}
#: slower, gone, back, faster
CHANGES: list[dict[str, Any]] = [
    {"rate_bps": 1e6},
    {"up": False},
    {"delay_ns": 3 * MS},
    {"rate_bps": 2e7, "jitter_ns": 1e6},
]
COMPARED = (
    "port",
    "packet",
    "hop",
    "in_ns",
    "due_ns",
    "queue_ns",
    "link",
    "size",
    "traffic_class",
    "marks",
    "header",
)


def arrivals_of(hops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Every packet as it entered, from the first record of each; its credit is what all its hops took off."""
    own = hops[hops["marks"] & COPY == 0]
    order = np.lexsort((own["hop"], own["packet"], own["port"]))
    own = own[order]
    first = np.flatnonzero(np.r_[True, (np.diff(own["packet"]) != 0) | (np.diff(own["port"]) != 0)])
    made = np.zeros(len(first), ARRIVAL)
    one = own[first]
    made["time_ns"] = one["ingress_ns"]
    made["port"] = one["port"]
    made["length"] = one["size"]
    made["traffic_class"] = one["traffic_class"]
    made["credit_ns"] = np.add.reduceat(own["credit_ns"], first)
    made["header"] = np.ascontiguousarray(one["header"]).view("<i8").reshape(-1, 6)
    made["target"] = made["header"][:, 1] & 0xFFFFFFFF
    return made[np.lexsort((made["port"], made["time_ns"]))]


def keyed(hops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return hops[np.lexsort((hops["fate"], hops["hop"], hops["packet"], hops["port"]))]


def assert_the_same(
    live: Live, hops: np.ndarray[Any, Any], tables: list[RecordedTable], model: LinkModel | None
) -> None:
    made: dict[str, Any] = {"models": ModelSet([] if model is None else [model])}
    net = chain(live.places, **made)
    again = simulate(net, arrivals_of(hops), tables, int(hops["due_ns"].max()))
    assert net.state[IN_USE] == 0
    one, other = keyed(hops), keyed(again.hops)
    assert len(one) == len(other)
    for name in COMPARED:
        assert np.array_equal(one[name], other[name]), name
    # Whether its process was there to take a packet is not the network's doing.
    fate = np.where(np.isin(one["fate"], (PEER_FULL, PEER_GONE)), DELIVERED, one["fate"])
    assert np.array_equal(fate, other["fate"])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
@pytest.mark.parametrize("compensate", [False, True], ids=["as it is", "compensated"])
def test_a_live_run_replays_to_the_nanosecond(model: LinkModel | None, compensate: bool) -> None:
    models = [] if model is None else [model]
    columns: dict[str, Any] = {
        "rate_bps": 4e6,
        "delay_ns": MS,
        "jitter_ns": 3e5,
        "loss": 0.02,
        "queue_packets": 40,
    }
    options = {"compensate": compensate}
    rng = np.random.default_rng(4)
    with Live(*models, options=options, sizes={"log": 65_536}, **columns) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        # Tables change while packets are queued and in the air.
        start_ns = time.monotonic_ns() + 20 * MS
        for number, change in enumerate(CHANGES):
            live.post(start_ns + number * 25 * MS, **change)
        sizes = rng.integers(0, 1200, PACKETS)
        for number in range(PACKETS):
            left.send(now_packet(number, bytes(sizes[number]), traffic_class=int(rng.integers(0, 4))))
            if number % 3 == 0:
                header = wire.Header(wire.DATA, RIGHT, LEFT, number=number)
                right.send(wire.pack(header, bytes(sizes[number])))
            if number % 20 == 19:
                time.sleep(0.005)
        came = PACKETS + len(range(0, PACKETS, 3))
        live.settle(came)
        hops = live.hops()
        assert live.channel.counters()["log_overflow"] == 0
    taken = [live.updates.took_effect_ns(number) for number in range(len(live.tables))]
    tables = [
        RecordedTable(one.time_ns if took is None else took, one.rows, one.routes)
        for one, took in itertools.zip_longest(live.tables, taken)
    ]
    assert len({(hop["port"], hop["packet"]) for hop in hops if not hop["marks"] & COPY}) == came
    assert (hops["credit_ns"] > 0).any() == compensate
    assert_the_same(live, hops, tables, model)


def test_packets_of_many_ports_for_one_link_replay_in_the_same_order() -> None:
    ports = (LEFT, 3, 4, 5)
    with Live(places=2, rate_bps=2e7, queue_packets=5_000, sizes={"log": 65_536}) as live:
        for port in ports[1:]:
            live.channel.add_port(port, 0, 0)
        live.connect(RIGHT)
        sockets = [live.connect(port, SNDHWM=0) for port in ports]
        for number in range(300):
            # The last first: whoever is heard first, they take turns in no order of theirs.
            for port, socket in reversed(list(zip(ports, sockets, strict=True))):
                socket.send(wire.pack(wire.Header(wire.DATA, port, RIGHT, number=number)))
        live.settle(300 * len(ports))
        hops = live.hops()
    together = np.unique(hops["ingress_ns"], return_counts=True)[1]
    assert (together > 1).any(), "some packets entered at the same time"
    net = chain(2)
    for port in ports[1:]:
        net.port_place[port] = net.port_host[port] = 0
    again = simulate(net, arrivals_of(hops), live.tables, int(hops["due_ns"].max()))
    one, other = keyed(hops), keyed(again.hops)
    for name in COMPARED:
        assert np.array_equal(one[name], other[name]), name
