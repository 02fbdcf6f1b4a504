"""A scenario run ahead in virtual time: its world, its network and the traffic of its nodes, in one call.

World epochs are computed once and serve every further run: another seed, other flows, other fates. Who needs
one run only, of a large scenario above all, has them computed on the way and not kept. It is the plant's own
network kernel. What stands in for the nodes' programs, and what is left out, `offered`
says: servers work on tasks one after the other, transfers neither wait for acknowledgements nor repeat. The
world is the published one unless adjustments are given, and obeys orders that are; deviations of the
scenario are not carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from emulator.epochs import LinkUpdates, RecordedTable
from emulator.layout import Network, make_network
from emulator.links.random import link_key
from emulator.orders import Orders
from emulator.simulate import Simulated, WorldTables, simulate
from emulator.table import Adjustments
from emulator.traffic.flows import Flow, FlowSet
from emulator.traffic.results import Results
from emulator.traffic.servers import Server
from emulator.world import World
from testbed.errors import BadInput
from testbed.offered import Offered
from testbed.planned import Planned
from testbed.ports import Ports

_LEAST_ROWS: Final = 256
_SLOTS: Final = 16_384
_LOG: Final = 1 << 18


class Ahead:
    """A scenario in virtual time: a loaded one, or what is known of one (`Planned`).

    `adjustments`: what links do beyond the published world, None for nothing; `orders`: what a network
    controller has told the network, None for nothing; `before_epoch` is called with the run time (s) before
    each epoch and may change both. `start_s`: run time at which it begins. `epochs_s`: run times of the
    epochs, rising, the first that of the start; None, and where it is run `once`: as the scenario has them.
    Raises `WorldError` for a world that cannot be or lacks what orders name, `BadInput` for a start outside
    the run.
    """

    def __init__(
        self,
        scenario: Planned,
        *,
        adjustments: Adjustments | None = None,
        orders: Orders | None = None,
        before_epoch: Callable[[float], None] | None = None,
        start_s: float = 0.0,
        once: bool = False,
        epochs_s: Sequence[float] | None = None,
    ) -> None:
        if not 0.0 <= start_s <= scenario.run.duration_s:
            raise BadInput(f"start_s = {start_s!r}, allowed: 0 to the run's {scenario.run.duration_s:g} s")
        self.scenario = scenario
        self.start_s = start_s
        self.world = World(scenario.world_spec(), adjustments, orders=orders)
        self._before_epoch = before_epoch
        self._ports = Ports(scenario)
        self._once, self._spent = once, False
        self._epochs_s = epochs_s
        self._rows = self.world.most_rows() if once else 0
        self._updates: LinkUpdates | None = None
        self._tables: list[RecordedTable] = []
        self._keyed: tuple[int, list[RecordedTable]] = (scenario.run.seed, self._tables)

    def tables(
        self, duration_s: float, progress: Callable[[float], None] | None = None
    ) -> list[RecordedTable]:
        """The link tables of the first `duration_s`, each computed once however often it is asked for.

        ValueError where none are kept.
        """
        if self._once:
            raise ValueError("link tables of what is run once are not kept")
        updates = self._updates = self._updates or self._record()
        count = self._count(duration_s)
        epoch_s = self.scenario.run.epoch_s
        while len(self._tables) < count:
            number = len(self._tables)
            t_s = self.start_s + number * epoch_s if self._epochs_s is None else self._epochs_s[number]
            if self._before_epoch is not None:
                self._before_epoch(t_s)
            table = updates.post(round(t_s * 1e9), self.world.epoch(t_s))
            self._tables.append(table)
            if len(table.rows):
                self._rows = max(self._rows, int(table.rows["row"].max()) + 1)
            if progress is not None:
                progress(len(self._tables) / count)
        return self._tables[:count]

    def flows(self, seed: int | None = None) -> tuple[Flow, ...]:
        """What the nodes offer; to be changed at will and given to `run`."""
        return Offered(self.scenario, self.scenario.run.seed if seed is None else seed).flows()

    def servers(self) -> tuple[Server, ...]:
        """The servers at their nominal rates; to be changed at will and given to `run`."""
        return Offered(self.scenario, self.scenario.run.seed).servers()

    def flow_set(
        self, seed: int, flows: Sequence[Flow] | None = None, servers: Sequence[Server] | None = None
    ) -> FlowSet:
        """Flows and servers as kernels read them, for several runs; parameters as of `simulate`."""
        return FlowSet(
            self.flows(seed) if flows is None else flows,
            seed,
            round(self.start_s * 1e9),
            self.servers() if servers is None else servers,
        )

    def run(self, duration_s: float | None = None, **options: Any) -> Results:
        """What becomes of every flow; parameters as of `simulate`, without the record of packet-hops."""
        return self.simulate(duration_s, **{"log": False, **options}).results

    def simulate(
        self,
        duration_s: float | None = None,
        *,
        seed: int | None = None,
        flows: Sequence[Flow] | FlowSet | None = None,
        servers: Sequence[Server] | None = None,
        log: bool = True,
        window_s: float = 0.0,
        samples: int = 0,
        progress: Callable[[float], None] | None = None,
    ) -> Simulated:
        """Run for `duration_s`, to the end of the scenario by default.

        `seed` (the scenario's by default) decides instants, work and fates, `flows` replaces what the nodes
        offer (or is what `flow_set` made of that), `servers` those that work for them; the rest as for
        `emulator.simulate.simulate`. BadInput for a duration outside the scenario, TrafficError for flows and
        servers that cannot be, ValueError for a second time of what is run once.
        """
        left_s = self.scenario.run.duration_s - self.start_s
        duration_s = left_s if duration_s is None else duration_s
        if not 0.0 < duration_s <= left_s:
            raise BadInput(f"duration_s = {duration_s!r}, allowed: above 0 and up to {left_s:g} s")
        seed = self.scenario.run.seed if seed is None else seed
        origin_ns = round(self.start_s * 1e9)
        offered = flows if isinstance(flows, FlowSet) else self.flow_set(seed, flows, servers)
        tables: list[RecordedTable] | WorldTables
        if self._once:
            tables = self._on_the_way(seed)
        else:
            tables, progress = self._with_keys(seed, self.tables(duration_s, progress)), None
        return simulate(
            self._network(log),
            None,
            tables,
            origin_ns + round(duration_s * 1e9),
            flows=offered,
            log=log,
            window_s=window_s,
            samples=samples,
            progress=progress,
        )

    def _record(self) -> LinkUpdates:
        """What gives links their rows in tables that are kept."""
        world, rows = self.world, max(_LEAST_ROWS, self.world.most_rows())
        scratch = make_network(len(world.places), len(world.hosts), 1, links=rows, slots=2, log=2)
        return LinkUpdates(scratch, world.places, self.scenario.run.seed)

    def _on_the_way(self, seed: int) -> WorldTables:
        """Tables that are computed when their time has come."""
        if self._spent:
            raise ValueError("it was to be run once, and has been")
        self._spent = True
        return WorldTables(
            self.world, self.scenario.run.epoch_s, seed, self.start_s, before_epoch=self._before_epoch
        )

    def _count(self, duration_s: float) -> int:
        """Epochs that begin within `duration_s`."""
        if self._epochs_s is None:
            return int(np.ceil(duration_s / self.scenario.run.epoch_s - 1e-9))
        return int(np.searchsorted(self._epochs_s, self.start_s + duration_s - 1e-9))

    def _network(self, log: bool) -> Network:
        """An empty network, as large as the tables need, with the scenario's ports."""
        world = self.world
        net = make_network(
            len(world.places),
            len(world.hosts),
            self._ports.capacity,
            links=max(_LEAST_ROWS, self._rows),
            slots=_SLOTS,
            log=_LOG if log else 2,
            models=world.models,
        )
        host_of = {place: host for host, place in enumerate(self.scenario.places)}
        for node, port in self._ports.of.items():
            host = host_of[self.scenario.nodes[node].place]
            net.port_place[port], net.port_host[port] = world.hosts[host], host
        return net

    def _with_keys(self, seed: int, tables: list[RecordedTable]) -> list[RecordedTable]:
        """The tables with the identities that links have under another seed."""
        if seed == self.scenario.run.seed:
            return tables
        kept, keyed = self._keyed
        if kept != seed or len(keyed) < len(tables):
            names = self.world.places
            news: dict[tuple[int, int], int] = {}
            keyed = []
            ends_before: np.ndarray[Any, Any] | None = None
            keys = np.zeros(0, np.uint64)
            for table in tables:
                ends = np.stack((table.rows["from_place"], table.rows["to_place"]), axis=1)
                if ends_before is None or not np.array_equal(ends, ends_before):
                    for a, b in map(tuple, ends.tolist()):
                        if (a, b) not in news:
                            news[a, b] = link_key(seed, names[a], names[b])
                    keys = np.array([news[a, b] for a, b in ends.tolist()], np.uint64)
                    ends_before = ends
                rows = table.rows.copy()
                rows["key"] = keys
                keyed.append(replace(table, rows=rows))
            self._keyed = (seed, keyed)
        return keyed[: len(tables)]
