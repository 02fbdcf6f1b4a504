"""The plant of a run in virtual time, window by window: everything a live run's supervisor would record.

The world, its hidden truth and its deviations, the network's own kernels, the traffic of the nodes, and what
all of them report. Orders and commands take effect when they are given, as live. No process, no wall clock,
and no twin: that is `loop`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from emulator.layout import make_network
from emulator.links.state import NEVER
from emulator.orders import Orders
from emulator.simulation import Simulation, WorldTables
from emulator.table import LinkTable
from emulator.traffic.arrivals import Periodic, Poisson
from emulator.traffic.flows import Flow, FlowSet
from emulator.traffic.sizes import Fixed
from emulator.world import World
from nodes import wire
from nodes.node import CommandError
from nodes.wire import Record
from testbed.offered import Offered
from testbed.plant import deviations
from testbed.plant.observe import LinkObserver
from testbed.plant.ranging import Ranging
from testbed.ports import Ports
from testbed.scenario import Scenario
from testbed.virtual.packets import arrivals
from testbed.virtual.reports import Reports
from testbed.virtual.steering import Steering
from testbed.virtual.tasks import Tasks

#: when run time 0 is on the run's clock, ns: not 0, so that nobody takes one for the other
START_NS: Final = 1_000_000_000_000
_LEAST_ROWS: Final = 256
_SLOTS: Final = 16_384
_LOG: Final = 1 << 16
#: packets of a flood, bytes with the header
_FLOOD_BYTES: Final = 1_000
_STAMPS: Final = ("t1_ns", "t2_ns", "t3_ns", "t4_ns")


class VirtualPlant:
    """The plant of a scenario in virtual time.

    Raises `WorldError` for a world that cannot be, `TrafficError` for traffic that cannot be.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.start_ns = START_NS
        self._truth = deviations.Truth(scenario)
        self._world = World(scenario.world_spec(), self._truth.adjustments)
        self._window_ns = round(scenario.run.window_s * 1e9)
        ports = Ports(scenario)
        self._ports = ports.of
        names = {port: node for node, port in ports.of.items()}
        places = list(scenario.places)
        self._floods = deviations.floods(scenario)
        impostors = deviations.impostors(scenario)
        hidden_ports = range(ports.capacity, ports.capacity + len(self._floods) + len(impostors))
        net = make_network(
            len(self._world.places),
            len(self._world.hosts),
            hidden_ports.stop,
            links=max(_LEAST_ROWS, self._world.most_rows()),
            slots=_SLOTS,
            log=_LOG,
            models=self._world.models,
        )

        def stand(port: int, place: str) -> None:
            host = places.index(place)
            net.port_place[port], net.port_host[port] = self._world.hosts[host], host

        for node, port in ports.of.items():
            stand(port, scenario.nodes[node].place)
        # the work of tasks is done by `servers`
        nominal = Offered(scenario, scenario.run.seed)
        offered, servers = nominal.flows(), nominal.servers()
        flows = list(offered)
        hidden = iter(hidden_ports)
        for way in self._floods:
            port = next(hidden)
            stand(port, way.source)
            flows.append(self._flood(way, port))
        claims: dict[int, int] = {}
        for moment, impostor in impostors:
            port = next(hidden)
            stand(port, scenario.nodes[impostor.target].place)
            claims[port] = ports.of[impostor.target]
            flows.append(self._repeat(moment, impostor.target, port))
        tables = WorldTables(
            self._world, scenario.run.epoch_s, scenario.run.seed, before_epoch=self._truth.at
        )
        flow_set = FlowSet(flows, scenario.run.seed, servers=servers)
        self._simulation = Simulation(net, tables, flows=flow_set)
        self._steering = Steering(scenario, self._simulation, offered, ports.of)
        self._net = net
        self._observer = LinkObserver(
            net, self._world.places, scenario.run.seed, scenario.plant.snr_report_sigma_db
        )
        self._ranging = Ranging(
            self._world.places, scenario.run.seed, self._truth.range_bias_us,
            scenario.plant.range_report_sigma_us,
        )  # fmt: skip
        self._tasks = Tasks(names, [server.name for server in servers])
        self._reports = Reports(scenario, names, claims)
        self._due = sorted(self._changes(), key=lambda change: change[0])
        self._said: list[Record] = []
        self._serving: dict[str, str] = {}
        self.windows = 0

    # --- going on -----------------------------------------------------------------------------

    def window(self, number: int) -> list[Record]:
        """Lets window `number` pass; all records of it, truth too, in order of time. In rising order.

        ValueError for another than the next window.
        """
        if number != self.windows:
            raise ValueError(f"window {number} asked, allowed: {self.windows}, the next one")
        self.windows += 1
        begins_ns, ends_ns = number * self._window_ns, (number + 1) * self._window_ns
        hops = [self._until(begins_ns + self._window_ns // 2)]
        earlier = self._simulation.table
        hops.append(self._until(ends_ns))
        table = self._simulation.table
        assert earlier is not None
        assert table is not None
        records = [*self._said, *self._links(number, ends_ns, earlier, table, np.concatenate(hops))]
        self._said = []
        for record in records:
            _stamp(record, self.start_ns)
        return sorted(records, key=lambda record: record.t_ns)

    def _until(self, time_ns: int) -> np.ndarray[Any, Any]:
        """Everything up to a time, reports and changes at their moments; the packet-hops."""
        hops = []
        while (at_ns := min(self._reports.due_ns, self._due[0][0] if self._due else NEVER)) <= time_ns:
            hops.append(self._go_on(at_ns))
            # what is reported at a moment is how it was up to then
            if at_ns == self._reports.due_ns:
                sent = {node: int(self._net.port_packets[port]) for node, port in self._ports.items()}
                self._said += self._reports.tell(sent, self._tasks.waiting)
            else:
                self._due.pop(0)[1](at_ns)
        hops.append(self._go_on(time_ns))
        return np.concatenate(hops)

    def _go_on(self, time_ns: int) -> np.ndarray[Any, Any]:
        hops = self._simulation.advance(time_ns)
        packets = list(arrivals(hops))
        self._reports.take(packets, time_ns)
        self._said += self._tasks.finished(self._simulation.take_tasks())
        for packet in packets:
            self._said += self._tasks.answered(packet)
        return hops

    def _links(
        self, number: int, ends_ns: int, earlier: LinkTable, table: LinkTable, hops: np.ndarray[Any, Any]
    ) -> Iterator[Record]:
        self._observer.add(hops)
        middle_s = (number + 0.5) * self.scenario.run.window_s
        ranges_us = self._ranging.of(number, earlier, table, middle_s)
        window_s, rows = self.scenario.run.window_s, self._simulation.rows
        observed, truth = self._observer.close_window(ends_ns, window_s, table, rows, number, ranges_us)
        yield from observed
        yield from truth
        for terminal, satellite in table.serving.items():
            before = self._serving.get(terminal)
            if before is not None and before != satellite:
                tags = {"terminal": terminal, "from": before, "to": satellite}
                yield Record(ends_ns, "handover", tags, {"t_s": table.t_s})
        self._serving = dict(table.serving)

    # --- interfering --------------------------------------------------------------------------

    def order(self, orders: Orders) -> None:
        """From the next epoch on the network obeys these orders, and no others.

        `WorldError`, one sentence, for orders that name what there is not.
        """
        self._world.check_orders(orders)
        self._world.orders = orders

    def command(self, node: str, name: str, arguments: dict[str, Any]) -> str:
        """Give a node a command, as live: set_speed, set_clock, offload, pace, priority; what was done.

        CommandError, one sentence, when it cannot be.
        """
        if node not in self.scenario.nodes:
            raise CommandError(f"there is no node {node!r}")
        if name == "set_speed" and node in self._tasks.waiting:
            factor = arguments.get("factor")
            if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1e-3 <= factor <= 1e3:
                raise CommandError(f"set_speed: factor = {factor!r} must be a number from 0.001 to 1000")
            self._simulation.set_speed(node, float(factor))
            return f"speed factor {factor:g}"
        return self._steering.command(node, name, arguments)

    # --- what the scenario makes happen -------------------------------------------------------

    def _changes(self) -> Iterator[tuple[int, Callable[[int], None]]]:
        """What happens at which moment of run time, ns, beside what the world's truth carries out."""
        duration_s = self.scenario.run.duration_s
        for moment in deviations.moments(self.scenario):
            yield _ns(moment.start_s), partial(self._note, moment, "start")
            if moment.end_s < duration_s:
                yield _ns(moment.end_s), partial(self._note, moment, "end")
        for moment, slow in deviations.slow_servers(self.scenario):
            yield _ns(moment.start_s), partial(self._slow, slow.target, slow.factor)
            yield _ns(moment.end_s), partial(self._slow, slow.target, 1.0)
        for moment, clock in deviations.clock_offsets(self.scenario):
            own = self._reports.clocks[clock.target]
            yield _ns(moment.start_s), partial(own.set, clock.offset_ms, clock.skew_ppm)
            yield _ns(moment.end_s), partial(own.set, 0.0, 0.0)

    def _note(self, moment: deviations.Moment, what: str, now_ns: int) -> None:
        self._said.append(deviations.event(moment, now_ns, what))

    def _slow(self, server: str, factor: float, _: int) -> None:
        self._simulation.set_speed(server, factor)

    def _flood(self, way: deviations.FloodWay, port: int) -> Flow:
        per_s = way.flood.rate_mbps * 1e6 / (8 * _FLOOD_BYTES)
        return Flow(
            f"flood {port}", port, self._ports[way.target], Poisson(per_s), Fixed(_FLOOD_BYTES),
            start_s=way.moment.start_s, end_s=way.moment.end_s,
        )  # fmt: skip

    def _repeat(self, moment: deviations.Moment, node: str, port: int) -> Flow:
        """What an impostor sends: readings as often as whose name it takes, straight to their sink."""
        table: Any = self.scenario.nodes[node]
        return Flow(
            f"impostor {port}", port, self._ports[table.sink or table.broker],
            Periodic(table.reading_interval_s), Fixed(wire.HEADER_BYTES + table.reading_bytes),
            start_s=moment.start_s, end_s=moment.end_s,
        )  # fmt: skip


def _ns(t_s: float) -> int:
    return round(t_s * 1e9)


def _stamp(record: Record, start_ns: int) -> None:
    """Put a record's times from run time to the run's clock."""
    record.t_ns += start_ns
    if record.measurement == "clock":
        for name in _STAMPS:
            record.fields[name] = int(record.fields[name]) + start_ns
