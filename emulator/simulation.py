"""A simulation that goes on in steps: a network, its traffic and its tables, advanced to stated times.

Between two steps a caller may look (packet-hops, counters, the table in force) and interfere (orders and
adjustments of the world, flows by name): whatever is computed later obeys. `simulate` is one step of it. How
many steps there are changes nothing but the order in which hops of different packets are told.
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
from emulator.links.state import NEVER
from emulator.traffic import steer
from emulator.traffic.agenda import begin
from emulator.traffic.arrivals import Times
from emulator.traffic.carry import carry
from emulator.traffic.errors import TrafficError
from emulator.traffic.flows import FlowSet
from emulator.traffic.layout import HELD, SERVED, SERVED_TASKS, UNWATCHED
from emulator.traffic.results import Results
from emulator.traffic.servers import server_results, set_speed
from emulator.traffic.tally import finish

if TYPE_CHECKING:
    from emulator.table import LinkTable
    from emulator.world import World

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


class Simulation:
    """A network being advanced.

    `tables`, `arrivals`, `flows`, `log`, `window_s` and `samples` are those of `simulate`, with the same
    refusals (TrafficError). `end_ns`: up to when windows of results are kept, needed where `window_s` is
    given; the simulation may go on beyond.
    """

    def __init__(
        self,
        net: Network,
        tables: Iterable[RecordedTable] | WorldTables,
        *,
        flows: FlowSet | None = None,
        arrivals: np.ndarray[Any, Any] | None = None,
        log: bool = True,
        window_s: float = 0.0,
        samples: int = 0,
        end_ns: int | None = None,
    ) -> None:
        flows = FlowSet(()) if flows is None else flows
        arrivals = np.zeros(0, ARRIVAL) if arrivals is None else np.ascontiguousarray(arrivals)
        _check(net, arrivals, flows, window_s, samples)
        if window_s and end_ns is None:
            raise TrafficError(f"window_s is {window_s!r} without end_ns, allowed: both, or window_s 0")
        names, groups = _groups(arrivals, len(flows))
        window_ns = round(window_s * 1e9)
        span_ns = max(0, (end_ns or 0) - flows.origin_ns + 1)
        self.net = net
        #: gives each link its row of the network
        self.updates = LinkUpdates(net, *_names_and_seed(tables))
        #: the world's table in force; None before the first, and of recorded tables
        self.table: LinkTable | None = None
        #: up to when everything has happened
        self.now_ns = flows.origin_ns if len(flows) or not len(arrivals) else int(arrivals["time_ns"][0])
        self._start_ns, self._reached_ns = self.now_ns, -NEVER
        self._flows = flows
        self._names = (*flows.names, *names)
        self._traffic = flows.traffic(
            len(net.packets),
            groups=groups,
            rows=len(flows) + len(names),
            window_ns=window_ns,
            windows=-(-span_ns // window_ns) if window_ns else 0,
            samples=samples,
        )
        self._arrivals, self._index = records(arrivals), 0
        self._header = np.zeros(HEADER_WORDS, np.int64)
        net.state[QUIET] = self._traffic.state[UNWATCHED] = not log
        self._served: list[np.ndarray[Any, Any]] = []
        self._overflow = int(net.log_words[LOG_OVERFLOW])
        self._hops_before = int(net.state[PACKET_HOPS])
        self._posts = self._of_world(tables) if isinstance(tables, WorldTables) else self._as_recorded(tables)
        self._next_post = next(self._posts, None)
        begin(self._traffic, len(flows))

    # --- going on -----------------------------------------------------------------------------

    def advance(self, until_ns: int, progress: Callable[[float], None] | None = None) -> np.ndarray[Any, Any]:
        """Let everything happen up to `until_ns`; the packet-hops since the call before, as HOP_RECORD.

        Tables are taken, and those of a world computed, up to `until_ns` and no further. `progress` is told
        the share of this step that is done. ValueError for a time that has passed; RuntimeError when more
        happened at once than the network's log can hold.
        """
        if until_ns < self._reached_ns:
            raise ValueError(f"time goes forward: {until_ns} ns asked after {self._reached_ns} ns")
        hops: list[np.ndarray[Any, Any]] = []
        from_ns = self.now_ns
        while self._next_post is not None and self._next_post[0] <= until_ns:
            time_ns, post = self._next_post
            if not self.updates.room():
                # Several tables wait in the mailbox, each for its time: fewer calls.
                self._carry(time_ns - 1, hops)
                if progress is not None:
                    progress(max(0.0, (time_ns - from_ns) / max(1, until_ns - from_ns)))
            post(time_ns)
            self._next_post = next(self._posts, None)
        self._carry(until_ns, hops)
        self.now_ns = self._reached_ns = until_ns
        if progress is not None:
            progress(1.0)
        if lost := int(self.net.log_words[LOG_OVERFLOW]) - self._overflow:
            raise RuntimeError(
                f"{lost} packet-hops found no room in the log of {len(self.net.log)}: make it larger"
            )
        return np.concatenate(hops) if hops else np.zeros(0, HOP_RECORD)

    def results(self) -> Results:
        """What became of each flow, then of each pair of ports of recorded arrivals, so far."""
        duration_s = (self.now_ns - self._start_ns) * 1e-9
        finish(self._traffic, self.now_ns)
        servers = server_results(self._flows.servers, self._traffic, duration_s, self.now_ns)
        return Results(self._names, duration_s, self._traffic, servers)

    def take_tasks(self) -> np.ndarray[Any, Any]:
        """The tasks finished since the call before, as SERVED, in that order; none without a log.

        `server` counts in the servers of the flows, `flow` in the names of the results.
        """
        taken, self._served = self._served, []
        return np.concatenate(taken) if taken else np.zeros(0, SERVED)

    @property
    def in_flight(self) -> int:
        """Packets in the network."""
        return int(self.net.state[IN_USE])

    @property
    def packet_hops(self) -> int:
        """Hops completed since the simulation was made."""
        return int(self.net.state[PACKET_HOPS]) - self._hops_before

    @property
    def rows(self) -> dict[tuple[int, int], int]:
        """Row of the network of each link (from place, to place) that exists or still owns its row."""
        return self.updates.rows

    # --- interfering --------------------------------------------------------------------------

    def set_times(self, flow: str, times: Times | None) -> None:
        """From now on the messages of a flow come as `times` says, counted from now; None: no more.

        A message that has begun is finished, and the flow's own end (`Flow.end_s`) stays. TrafficError for
        an unknown flow, for one that follows another, and for times that cannot be.
        """
        self._traffic = steer.set_times(self._traffic, self._flows, flow, times, self.now_ns)

    def set_class(self, flow: str, traffic_class: int) -> None:
        """From now on a flow is of that class, and so is what follows it without a class of its own.

        TrafficError for an unknown flow or class.
        """
        steer.set_class(self._traffic, self._flows, flow, traffic_class)

    def set_speed(self, server: str, factor: float) -> None:
        """From now on a server works at `factor` of its nominal rate, at what it has begun too.

        TrafficError for an unknown server or a factor that cannot be.
        """
        set_speed(self._traffic, self._flows.server_index(server), factor, self.now_ns)

    # --- parts --------------------------------------------------------------------------------

    def _of_world(self, tables: WorldTables) -> Iterator[tuple[int, Callable[[int], None]]]:
        """The time of each table of a world, and what computes and posts it."""
        for number in itertools.count():
            t_s = tables.start_s + number * tables.epoch_s

            def post(time_ns: int, t_s: float = t_s) -> None:
                if tables.before_epoch is not None:
                    tables.before_epoch(t_s)
                self.table = tables.world.epoch(t_s)
                self.updates.put(time_ns, self.table)

            yield round(t_s * 1e9), post

    def _as_recorded(self, tables: Iterable[RecordedTable]) -> Iterator[tuple[int, Callable[[int], None]]]:
        for table in tables:

            def post(_: int, table: RecordedTable = table) -> None:
                self.updates.post_recorded(table)

            yield table.time_ns, post

    def _carry(self, until_ns: int, hops: list[np.ndarray[Any, Any]]) -> None:
        """Advance to a time, the log emptied whenever it is half full."""
        net, traffic = self.net, self._traffic
        half = len(net.log) // 2
        while True:
            self._index = int(carry(net, traffic, self._arrivals, self._index, until_ns, half, self._header))
            if net.log_words[LOG_WRITTEN] != net.log_words[LOG_READ]:
                hops.append(drain_log(net))
            if count := int(traffic.state[SERVED_TASKS]):
                self._served.append(np.asarray(traffic.served)[:count].copy())
                traffic.state[SERVED_TASKS] = 0
            if traffic.state[HELD] == 0:
                break


def _names_and_seed(tables: Any) -> tuple[tuple[str, ...], int]:
    return (tables.world.places, tables.seed) if isinstance(tables, WorldTables) else ((), 0)


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
    stands = net.port_place >= 0
    stands[0] = False
    for end in ("port", "target"):
        asked = flows.rows[end]
        wrong = np.flatnonzero((asked >= ports) | ~stands[np.minimum(asked, ports - 1)])
        if len(wrong):
            raise TrafficError(
                f"flow {flows.names[wrong[0]]!r}: {end} is {asked[wrong[0]]}, "
                f"allowed: a port that stands at a place"
            )
    for server in flows.servers:
        if server.port >= ports or net.port_place[server.port] < 0:
            raise TrafficError(
                f"server {server.name!r}: port is {server.port}, allowed: a port that stands at a place"
            )
    if not 0.0 <= window_s <= 1e9 or 0.0 < window_s < 1e-6:
        raise TrafficError(f"window_s is {window_s!r}, allowed: 0 or 1e-06 to 1e+09 s")
    if samples < 0:
        raise TrafficError(f"samples is {samples!r}, allowed: 0 or more")
