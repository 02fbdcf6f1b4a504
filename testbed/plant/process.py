"""The plant's process: builds the world, runs the channel, reports what can be observed.

`python -m testbed.plant --run DIR --connect ENDPOINT`; the scenario is `scenario.json` of the folder. It
writes `packets.pcap`, `link_table.bin` and, each second, `channel.json` (counters and lateness).
"""

from __future__ import annotations

import datetime
import gc
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from emulator.dataplane.channel import Channel
from emulator.epochs import LinkUpdates
from emulator.hoplog import drain_log
from emulator.layout import ORIGIN, make_network
from emulator.world import World
from nodes import wire
from testbed.member import Member
from testbed.plant.deviations import Truth
from testbed.plant.epochs import Epochs
from testbed.plant.internet import Internet
from testbed.plant.ledger import ledger
from testbed.plant.observe import LinkObserver
from testbed.plant.ordering import orders_of
from testbed.plant.ranging import Ranging
from testbed.plant.ticks import Ticks
from testbed.ports import Ports
from testbed.scenario import Scenario
from testbed.store.packets import PacketWriter
from testbed.store.runfile import RunFolder


class Plant:
    """The channel of one run with all that surrounds it."""

    def __init__(
        self, scenario: Scenario, folder: RunFolder, member: Member, core: int | None = None
    ) -> None:
        self._scenario = scenario
        self._folder = folder
        self._member = member
        self._truth = Truth(scenario)
        self._world = World(
            scenario.world_spec(),
            self._truth.adjustments,
            lambda sentence: member.event("atmosphere", sentence),
        )
        self._tell_of_satellites()
        ports = Ports(scenario)
        self._ip_from = ports.ip_from
        self._net = make_network(
            len(self._world.places),
            len(self._world.hosts),
            ports.capacity,
            links=link_capacity(self._world.most_rows()),
            slots=SLOTS,
            models=self._world.models,
        )
        self._channel = Channel(
            self._net,
            scenario.network.data_endpoint,
            scenario.network.latency,
            realtime=scenario.network.realtime == "auto",
            core=core,
            ip_ports_from=ports.ip_from if scenario.network.ip else None,
            compensate=scenario.network.compensate,
        )
        self._hosts = {place: host for host, place in enumerate(scenario.places)}
        for node, port in ports.of.items():
            self.add_port(port, scenario.nodes[node].place)
        updates = LinkUpdates(self._net, self._world.places, scenario.run.seed)
        self._internet = None
        if scenario.network.ip and sys.platform == "linux":
            self._internet = Internet(
                self._channel, ports, self._world.places, scenario.network.ip_mtu, folder.path
            )
        self._epochs = Epochs(self._world, self._truth, updates, scenario.run.epoch_s, folder.link_table_path)
        self._observer = LinkObserver(
            self._net, self._world.places, scenario.run.seed, scenario.plant.snr_report_sigma_db
        )
        self._ranging = Ranging(
            self._world.places,
            scenario.run.seed,
            self._truth.range_bias_us,
            scenario.plant.range_report_sigma_us,
        )
        self._packets: PacketWriter | None = None
        if scenario.store.packets:
            offset_ns = folder.run_info()["epoch_offset_ns"]
            self._packets = PacketWriter(folder.packets_path, offset_ns)

    def add_port(self, port: int, place: str) -> None:
        """Let a port stand at a place of the scenario; KeyError when there is none of that name."""
        host = self._hosts[place]
        for one in (port, self._ip_from + port):
            self._channel.add_port(one, int(self._world.hosts[host]), host)

    def _tell_of_satellites(self) -> None:
        """An event for what the elements are like: satellites left out, and how old the sets are."""
        skipped, ages_s = self._world.skipped, self._world.element_ages_s
        if skipped:
            shown = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:5])
            more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
            self._member.event("elements", f"satellites left out: {len(skipped)} ({shown}{more})")
        if self._scenario.document.constellation.elements_text:
            days = np.abs(ages_s) / 86_400.0
            self._member.event(
                "elements",
                f"{len(ages_s)} satellites; epochs are {np.median(days):.2f} days from the start in the "
                f"median, {days.max():.2f} at most",
            )

    def serve(self) -> None:
        """Live until Stop."""
        # What set-up leaves stays for the run: looking through it for garbage would hold up epochs.
        gc.freeze()
        self._channel.start()
        self._open_to_programs()
        self._member.send(wire.Ready(endpoint=self._channel.endpoint))
        while self._member.started is None:
            for message in self._member.receive(1.0):
                if isinstance(message, wire.Command):
                    self._obey(message)
                elif isinstance(message, wire.Stop):
                    self._end(0)
                    return
        t0_ns = self._member.started.t0_ns
        # Recordings are played, frames and slots begin, with the run.
        self._net.state[ORIGIN] = t0_ns
        self._epochs.prepare(t0_ns)
        self._epochs.start()
        ticks = Ticks(t0_ns, round(self._scenario.run.window_s * 1e9), time.monotonic_ns())
        next_save = time.monotonic() + 1.0
        while True:
            wait_s = max(0.0, (ticks.next_ns - time.monotonic_ns()) / 1e9)
            for message in self._member.receive(wait_s):
                if isinstance(message, wire.Command):
                    self._obey(message)
                elif isinstance(message, wire.Stop):
                    self._end(ticks.window)
                    return
            now_ns = time.monotonic_ns()
            if now_ns < ticks.next_ns:
                continue
            self._drain()
            ticks.drained(now_ns)
            if ticks.over(now_ns):
                self._close_window(ticks.end_ns, ticks.window)
                ticks.window += 1
            if time.monotonic() >= next_save:
                next_save += 1.0
                self._save(final=False)

    def _open_to_programs(self) -> None:
        """Let programs come behind the nodes' IP interfaces; a run that cannot have that goes on without."""
        if self._internet is None:
            return
        try:
            self._internet.start()
        except OSError as error:
            self._internet = None
            self._member.event("ip", f"no program can be run behind a node: {error}")

    def _drain(self) -> None:
        hops = drain_log(self._net)
        self._observer.add(hops)
        if self._packets is not None:
            self._packets.write(hops)

    def _close_window(self, end_ns: int, number: int) -> None:
        assert self._member.started is not None
        t0_ns = self._member.started.t0_ns
        # The last window ends with the channel, wherever that is.
        window_s = (end_ns - t0_ns - number * round(self._scenario.run.window_s * 1e9)) / 1e9
        end_s = (end_ns - t0_ns) / 1e9
        middle_s = end_s - 0.5 * window_s
        earlier = self._epochs.table_at(middle_s) if window_s > 0 else None
        table = self._epochs.table_at(end_s)
        if table is None or earlier is None or window_s <= 0:
            return
        rows = self._epochs.updates.rows
        ranges_us = self._ranging.of(number, earlier, table, middle_s)
        observed, truth = self._observer.close_window(end_ns, window_s, table, rows, number, ranges_us)
        self._member.report([*observed, *truth, self._own_record(end_ns), *self._handovers(end_ns)])

    def _handovers(self, until_ns: int) -> list[wire.Record]:
        assert self._member.started is not None
        t0_ns = self._member.started.t0_ns
        start = datetime.datetime.fromisoformat(self._scenario.run.start_utc)
        records = []
        for change in self._epochs.take_handovers((until_ns - t0_ns) / 1e9):
            utc = start + datetime.timedelta(seconds=change.t_s)
            tags = {"terminal": change.terminal, "from": change.before, "to": change.after}
            fields: dict[str, wire.Value] = {"t_s": change.t_s, "utc": utc.isoformat(timespec="milliseconds")}
            records.append(wire.Record(t0_ns + round(change.t_s * 1e9), "handover", tags, fields))
        return records

    def _own_record(self, t_ns: int) -> wire.Record:
        counters = self._channel.counters()
        fields: dict[str, Any] = {
            name: counters[name] for name in ("ingress", "delivered", "in_flight", "log_overflow")
        }
        fields["dropped"] = sum(counters["fates"].values())
        lateness = self._channel.lateness_us()
        for name in ("p50", "p99", "max"):
            if lateness[name] is not None:
                fields[f"lateness_us_{name}"] = lateness[name]
        fields["epoch_overruns"] = self._epochs.overruns
        return wire.Record(t_ns, "channel", {}, fields)

    def _obey(self, command: wire.Command) -> None:
        done, text = False, f"the channel knows no command {command.name!r}"
        if command.name == "add_port":
            port, place = command.arguments.get("port"), command.arguments.get("place")
            if isinstance(port, int) and isinstance(place, str) and place in self._hosts:
                self.add_port(port, place)
                done, text = True, f"port {port} stands at {place}"
            else:
                text = f"there is no place {place!r}"
        elif command.name == "orders":
            try:
                from_s = self._epochs.order(orders_of(command.arguments))
                done, text = True, f"obeyed from {from_s:.1f} s of the run on"
            except ValueError as error:
                text = str(error)
        self._member.send(wire.CommandResult(command.number, done, text))

    def _end(self, window: int) -> None:
        self._epochs.stop()
        if self._internet is not None:
            self._internet.stop()
        self._channel.stop()
        self._epochs.close()
        self._drain()
        if self._member.started is not None:
            self._close_window(time.monotonic_ns(), window)
        if self._packets is not None and (sentence := self._packets.close().sentence()):
            self._member.event("disk", sentence)
        self._save(final=True)

    def _per_link(self) -> dict[str, dict[str, Any]]:
        """Lateness and delay error of the packets that each link brought to their port, us."""
        places = self._world.places
        named = {}
        for (a, b), measured in self._channel.per_link().items():
            name = f"{places[a]}>{places[b]}" if a >= 0 else "others"
            named[name] = {key: {part: figures[part] for part in _PARTS} for key, figures in measured.items()}
        return named

    def _save(self, *, final: bool) -> None:
        summary: dict[str, Any] = {
            "final": final,
            "counters": self._channel.counters(),
            "links": ledger(self._net, self._world.places, self._epochs.updates),
            "lateness_us": self._channel.lateness_us(),
            "delay_error_us": self._channel.delay_error_us(),
            "timer_us": self._channel.timer_us(),
            "substrate_us": self._channel.substrate_us(),
            "hand_over_us": self._channel.hand_over_us(),
            "cpu_share": self._channel.cpu_share(),
            "epochs": self._epochs.summary(),
            "scheduling": self._channel.scheduling,
            "memory_locked": self._channel.memory_locked,
            "latency_mode": self._channel.latency,
            "first_packet_ns": self._channel.first_packet_ns,
            "places": list(self._world.places),
            "link_rows": len(self._net.links),
        }
        if final:
            # A tenth of a second for a thousand links, which no second of a run has to spare.
            summary["per_link"] = self._per_link()
        try:
            self._folder.write_json("channel.json", summary)
        except OSError as error:
            self._member.event("disk", f"channel.json could not be written: {error.strerror}")


#: rows of the smallest network
LEAST_ROWS: Final = 4096
#: packets that the channel holds at a time
SLOTS: Final = 32_768
_PARTS: Final = ("count", "mean", "p50", "p99", "max")


def link_capacity(rows: int) -> int:
    """Rows of the network for a world that needs so many; few are never worth saving."""
    return max(LEAST_ROWS, 1 << (rows - 1).bit_length())


def run(directory: Path, endpoint: str, core: int | None = None) -> None:
    """Run the plant of the run in `directory`; `core` is left to the channel by everybody else."""
    from testbed.scenario import load

    folder = RunFolder(directory)
    member = Member(endpoint, "channel", "channel")
    plant = Plant(load(folder.path / "scenario.json"), folder, member, core)
    plant.serve()
    member.close()
