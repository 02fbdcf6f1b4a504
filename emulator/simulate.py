"""The virtual-time driver: the same network, run as fast as the processor allows.

Feeds flows, recorded arrivals and link tables to the compiled network and collects what became of every
packet. A recorded run given its own arrivals and tables yields its own fates again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulator.accounting import HOP_RECORD
from emulator.epochs import LinkUpdates, RecordedTable
from emulator.hoplog import drain_log
from emulator.jit import records
from emulator.layout import (
    HEADER_WORDS,
    IN_USE,
    LOG_OVERFLOW,
    LOG_READ,
    LOG_WRITTEN,
    PACKET_HOPS,
    QUIET,
    Network,
)
from emulator.traffic.agenda import begin
from emulator.traffic.carry import carry, generate
from emulator.traffic.errors import TrafficError
from emulator.traffic.flows import FlowSet
from emulator.traffic.layout import HELD, Traffic
from emulator.traffic.results import Results
from emulator.traffic.tally import finish

if TYPE_CHECKING:
    from emulator.world import World

#: packets that are generated at a time
_PART: Final = 65_536

#: one packet entering the network: when, by which port, towards which port, how long
ARRIVAL: Final = np.dtype(
    [
        ("time_ns", "<i8"),
        ("port", "<u4"),
        ("target", "<u4"),
        ("length", "<i4"),
        ("credit_ns", "<i4"),
        ("traffic_class", "u1"),
        ("ttl", "u1"),  # 0: as many hops as any packet may have
        ("_pad", "<u2"),
        ("at", "<i4"),  # 1 + the place where it enters; 0: at its port's
        ("header", "<i8", (6,)),
    ]
)


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
    flows = FlowSet(()) if flows is None else flows
    arrivals = np.zeros(0, ARRIVAL) if arrivals is None else np.ascontiguousarray(arrivals)
    _check(net, arrivals, flows, window_s, samples)
    start_ns = flows.origin_ns if len(flows) or not len(arrivals) else int(arrivals["time_ns"][0])
    names, groups = _groups(arrivals, len(flows))
    window_ns = round(window_s * 1e9)
    traffic = flows.traffic(
        len(net.packets),
        groups=groups,
        rows=len(flows) + len(names),
        window_ns=window_ns,
        windows=-(-max(0, end_ns - flows.origin_ns + 1) // window_ns) if window_ns else 0,
        samples=samples,
    )
    run = _Run(net, traffic, records(arrivals), log)
    begin(traffic, len(flows))
    for time_ns, post in _posts(net, tables):
        if time_ns > end_ns:
            break
        if not post.room():
            # Several tables wait in the mailbox, each for its time: fewer calls.
            run.until(time_ns - 1)
            if progress is not None:
                progress(max(0.0, (time_ns - start_ns) / max(1, end_ns - start_ns)))
        post.go(time_ns)
    run.until(end_ns)
    finish(traffic, end_ns)
    if progress is not None:
        progress(1.0)
    if lost := run.overflow():
        raise RuntimeError(f"{lost} packet-hops found no room in the log of {len(net.log)}: make it larger")
    return Simulated(
        hops=np.concatenate(run.hops) if run.hops else np.zeros(0, HOP_RECORD),
        fates=net.fates.sum(axis=0),
        in_flight=int(net.state[IN_USE]),
        results=Results((*flows.names, *names), (end_ns - start_ns) * 1e-9, traffic),
        packet_hops=int(net.state[PACKET_HOPS]) - run.hops_before,
    )


@dataclass(frozen=True)
class WorldTables:
    """The link tables of a world, each computed when its time comes near.

    `seed`: every random decision of links follows from it; `before_epoch` is called with the run time (s)
    before each. The world must not have been asked for later epochs.
    """

    world: World
    epoch_s: float
    seed: int = 0
    start_s: float = 0.0
    before_epoch: Callable[[float], None] | None = None


class _Post:
    """Posts one table after another."""

    def __init__(self, updates: LinkUpdates, go: Callable[[int], Any]) -> None:
        self.room, self.go = updates.room, go


def _posts(net: Network, tables: Iterable[RecordedTable] | WorldTables) -> Iterator[tuple[int, _Post]]:
    """The time of each table, and what posts it."""
    if isinstance(tables, WorldTables):
        world, before_epoch = tables.world, tables.before_epoch
        updates = LinkUpdates(net, world.places, tables.seed)
        for number in itertools.count():
            t_s = tables.start_s + number * tables.epoch_s

            def go(time_ns: int, t_s: float = t_s) -> None:
                if before_epoch is not None:
                    before_epoch(t_s)
                updates.post(time_ns, world.epoch(t_s))

            yield round(t_s * 1e9), _Post(updates, go)
    else:
        updates = LinkUpdates(net)
        for table in tables:

            def as_recorded(_: int, table: RecordedTable = table) -> None:
                updates.post_recorded(table)

            yield table.time_ns, _Post(updates, as_recorded)


class _Run:
    """A network being advanced, its log emptied whenever it is half full."""

    def __init__(self, net: Network, traffic: Traffic, arrivals: Any, log: bool) -> None:
        self._net, self._traffic, self._arrivals = net, traffic, arrivals
        self._header = np.zeros(HEADER_WORDS, np.int64)
        self._overflow = int(net.log_words[LOG_OVERFLOW])
        self._index = 0
        net.state[QUIET] = not log
        self.hops_before = int(net.state[PACKET_HOPS])
        self.hops: list[np.ndarray[Any, Any]] = []

    def until(self, time_ns: int) -> None:
        """Advance to a time."""
        net, state = self._net, self._traffic.state
        half = len(net.log) // 2
        while True:
            self._index = int(
                carry(net, self._traffic, self._arrivals, self._index, time_ns, half, self._header)
            )
            if net.log_words[LOG_WRITTEN] != net.log_words[LOG_READ]:
                self.hops.append(drain_log(net))
            if state[HELD] == 0:
                break

    def overflow(self) -> int:
        """Hop records that found no room."""
        return int(self._net.log_words[LOG_OVERFLOW]) - self._overflow


def _groups(arrivals: np.ndarray[Any, Any], first: int) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Names of the pairs of ports among recorded arrivals, and the row of results of each arrival."""
    pairs = arrivals["port"].astype(np.uint64) << np.uint64(32) | arrivals["target"].astype(np.uint64)
    found, which = np.unique(pairs, return_inverse=True)
    names = [f"port {int(pair) >> 32} > port {int(pair) & 0xFFFFFFFF}" for pair in found]
    return names, (which + first).astype(np.int32)


def _check(net: Network, arrivals: Any, flows: FlowSet, window_s: float, samples: int) -> None:
    if arrivals.dtype != ARRIVAL:
        raise TrafficError(f"arrivals have the type {arrivals.dtype}, allowed: emulator.simulate.ARRIVAL")
    back = np.flatnonzero(np.diff(arrivals["time_ns"]) < 0)
    if len(back):
        raise TrafficError(
            f"arrival {back[0] + 1} is earlier than the one before it, allowed: in order of time"
        )
    ports = len(net.port_place)
    if len(arrivals) and not 0 <= arrivals["port"].max() < ports:
        raise TrafficError(f"an arrival is of port {arrivals['port'].max()}, allowed: 0 to {ports - 1}")
    places, classes = net.mail_routes.shape[1], len(net.entered)
    for key, most in (("traffic_class", classes - 1), ("at", places)):
        wrong = arrivals[key][(arrivals[key] < 0) | (arrivals[key] > most)]
        if len(wrong):
            raise TrafficError(f"an arrival has {key} {wrong[0]}, allowed: 0 to {most}")
    for name, row in zip(flows.names, flows.rows, strict=True):
        for end in ("port", "target"):
            if not 0 < row[end] < ports or net.port_place[row[end]] < 0:
                raise TrafficError(
                    f"flow {name!r}: {end} is {row[end]}, allowed: a port that stands at a place"
                )
    if not 0.0 <= window_s <= 1e9 or 0.0 < window_s < 1e-6:
        raise TrafficError(f"window_s is {window_s!r}, allowed: 0 or 1e-06 to 1e+09 s")
    if samples < 0:
        raise TrafficError(f"samples is {samples!r}, allowed: 0 or more")


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
