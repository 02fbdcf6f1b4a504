"""One run from its first process to its last word.

Set up, wait until all are ready, start, let the time pass, quiesce, stop, account. Processes that die,
stay away or fall silent are events: they are written down, and the run goes on without them (only
without the channel it cannot).
"""

from __future__ import annotations

import heapq
import json
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from emulator.dataplane.realtime import cores, leave_a_core, priority_permitted, use_cores
from nodes import wire
from testbed.errors import BadInput, EnvironmentProblem
from testbed.plant.deviations import moments
from testbed.plant.sky import Shower, showers
from testbed.scenario import Scenario
from testbed.scenario.node_tables import MicrocontrollerNode
from testbed.store.runfile import RunFolder
from testbed.supervisor.account import write_run
from testbed.supervisor.conduct import Conduct
from testbed.supervisor.control import Member
from testbed.supervisor.edges import noticed, parts
from testbed.supervisor.monitor import Monitor
from testbed.supervisor.permitted import permitted
from testbed.supervisor.processes import end
from testbed.supervisor.reception import Reception
from testbed.supervisor.requests import Requests
from testbed.supervisor.sinks import Sinks
from testbed.supervisor.stage import CHANNEL, TWIN, Stage
from testbed.supervisor.successor import Successor
from testbed.supervisor.watch import watch
from testbed.twin.matching import SHOWER

#: from the order to start until time 0, so that the order reaches everybody first
START_DELAY_S: Final = 0.25
#: nodes wait for the channel, which may take long to build; and end with the supervisor
_PATIENT: Final = ("--wait", "120", "--with-parent")
_TICK_S: Final = 0.05
#: where edge twins speak to the central one: in the room in which they all work
_CENTRE: Final = "ipc://centre"
_GOODBYE_S: Final = 4.0


class Run:
    """A run in progress."""

    def __init__(self, scenario: Scenario, folder: RunFolder, monitor: Monitor) -> None:
        self._stage = Stage(scenario, folder, monitor)
        self._requests = Requests(self._stage)
        self._successor = Successor(self._stage, self._launch_twin, self._requests.withdraw)
        self._edges = {
            name: Successor(self._stage, partial(self._launch_edge, name), lambda: 0, name)
            for name in self._stage.edges
        }
        self._reception = Reception(self._stage, self._admitted)
        self._conduct = Conduct(self._stage)
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._interrupts = 0
        self._cores = cores()
        self._showers = showers(scenario)
        folder.write_scenario(scenario.resolved())
        write_run(self._stage)
        self._stage.sinks = Sinks(folder, scenario)

    def execute(self) -> None:
        """Carry the run out; afterwards run.json tells how it went. Ctrl-C ends it early, in order."""
        before = signal.signal(signal.SIGINT, self._interrupt)
        before_term = signal.signal(signal.SIGTERM, self._interrupt)
        try:
            self._set_up()
            if self._wait_until_ready():
                self._go()
                self._pass_time()
            if self._interrupts and not self._stage.problem:
                self._stage.status = "interrupted"
            self._wind_down()
        finally:
            self._finish()
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGTERM, before_term)
        if self._stage.problem and self._stage.start is None:
            if self._stage.children[CHANNEL].exit_status == BadInput.exit_status:
                # Nothing ran: a folder without a run would only be in the way.
                shutil.rmtree(self._stage.folder.path, ignore_errors=True)
                raise BadInput(self._stage.problem)
            raise EnvironmentProblem(self._stage.problem)

    def _interrupt(self, number: int, frame: object) -> None:
        self._interrupts += 1

    def _set_up(self) -> None:
        connect = self._stage.control.endpoint
        self._stage.monitor.say(f"run {self._stage.folder.path}, control endpoint {connect}")
        plant = ["--run", str(self._stage.folder.path.resolve()), "--connect", connect]
        if not (self._stage.scenario.network.realtime == "auto" and priority_permitted()):
            # Everything that is started from here on inherits which cores it may use.
            core = leave_a_core()
            plant += [] if core is None else ["--core", str(core)]
        self._stage.launch(CHANNEL, "testbed.plant", plant)
        public = msgspec.json.encode(self._stage.scenario.public())
        self._stage.folder.write_public(public)
        if self._stage.scenario.twin.enabled:
            # The twin works in a folder of its own that holds nothing but what it may know.
            self._room.mkdir()
            (self._room / "public.json").write_bytes(public)
            self._launch_twin()
            for name in self._stage.edges:
                self._launch_edge(name)
        for node, table in self._stage.scenario.nodes.items():
            if table.external or table.role == "guest":
                self._stage.nodes[node]["status"] = "expected from outside"
            elif isinstance(table, MicrocontrollerNode):
                self._launch_device(node, table, connect)
            else:
                arguments = ["--id", node, "--role", table.role, "--connect", connect]
                self._stage.launch(node, "nodes", [*arguments, *_PATIENT])

        for name, sender in self._stage.hidden.items():
            arguments = ["--id", name, "--role", sender.role, "--place", sender.place, "--connect", connect]
            arguments += ["--settings", json.dumps(sender.settings)]
            self._stage.launch(name, "testbed.plant.senders", arguments)

    @property
    def _room(self) -> Path:
        return self._stage.scratch / "twin"

    def _launch_twin(self) -> None:
        over = ["--over", _CENTRE, *self._divided] if self._stage.edges else []
        self._launch_in_room(TWIN, over)

    def _launch_edge(self, name: str) -> None:
        self._launch_in_room(name, ["--id", name, "--centre", _CENTRE, *self._divided])

    def _launch_in_room(self, name: str, options: list[str]) -> None:
        arguments = ["--connect", self._stage.control.endpoint, "--public", "public.json", *options]
        self._stage.launch(name, "testbed.twin", arguments, self._room)

    @property
    def _divided(self) -> list[str]:
        """Into how many parts edges divide the network, as all twins are told."""
        number = parts(self._stage.scenario)
        return [] if number is None else ["--edges", str(number)]

    def _admitted(self, member: Member) -> None:
        for one in (self._successor, *self._edges.values()):
            one.admitted(member)

    def _launch_device(self, node: str, table: MicrocontrollerNode, connect: str) -> None:
        port = table.device
        if port == "model":
            port = str(self._stage.scratch / node)
            seed = str(self._stage.scenario.node_config(node)["seed"])
            model = ["model", "--link", port, "--seed", seed, "--with-parent"]
            self._stage.launch(f"{node}/model", "firmware_bridge", model)
        bridge = ["bridge", "--id", node, "--port", port, "--connect", connect]
        self._stage.launch(node, "firmware_bridge", [*bridge, *_PATIENT])

    def _wait_until_ready(self) -> bool:
        """Until every expected member is ready or given up; whether the run can start."""
        deadline = time.monotonic() + self._stage.scenario.network.register_timeout_s
        expected = [name for name in self._stage.children if "/" not in name]
        expected += [node for node, info in self._stage.nodes.items() if info["external"]]
        while not self._interrupts and not self._stage.problem:
            self._pump(_TICK_S)
            watch(self._stage)
            missing = [
                name
                for name in expected
                if not self._stage.is_ready(name) and not self._stage.has_ended(name)
            ]
            self._stage.monitor.setting_up(len(expected) - len(missing), len(expected))
            if not missing:
                break
            if time.monotonic() > deadline:
                for name in missing:
                    self._give_up(name)
                break
        return not self._interrupts and not self._stage.problem

    def _give_up(self, name: str) -> None:
        waited = f"within {self._stage.scenario.network.register_timeout_s:g} s"
        if name == CHANNEL:
            self._stage.problem = f"the channel was not ready {waited}"
        elif name in self._stage.nodes:
            self._stage.nodes[name]["status"] = "never registered"
        self._stage.event("never_registered", name, f"{name} did not register {waited}; going on without it")

    def _go(self) -> None:
        t0_ns = time.monotonic_ns() + round(START_DELAY_S * 1e9)
        run = self._stage.scenario.run
        self._stage.start = wire.Start(t0_ns, run.duration_s, run.start_utc)
        for member in self._stage.control.members.values():
            if member.state == "ready":
                self._stage.control.send(member, self._stage.start)
        for moment in moments(self._stage.scenario):
            for t_s, what in ((moment.start_s, "start"), (moment.end_s, "end")):
                if t_s < run.duration_s or what == "start":
                    self._at(t_s, lambda m=moment, w=what: self._conduct.deviate(m, w))  # type: ignore[misc]
        for shower in self._showers:
            for t_s, what in ((shower.start_s, "start"), (shower.end_s, "end")):
                if t_s < run.duration_s or what == "start":
                    self._at(t_s, lambda s=shower, w=what: self._note(s, w))  # type: ignore[misc]
        write_run(self._stage)

    def _pass_time(self) -> None:
        duration_s = self._stage.scenario.run.duration_s
        while not self._interrupts and not self._stage.problem and self._stage.run_s < duration_s:
            self._pump(min(_TICK_S, max(0.0, duration_s - self._stage.run_s)))
            while self._actions and self._actions[0][0] <= self._stage.run_s:
                heapq.heappop(self._actions)[2]()
            watch(self._stage)
            self._requests.sweep()
            for one in (self._successor, *self._edges.values()):
                one.tick()
            self._stage.monitor.advance(self._stage.run_s, duration_s)
        if not self._stage.problem:
            self._stage.status = "completed"

    def _note(self, shower: Shower, what: str) -> None:
        """The weather's own rain, for the report: what a twin notices of it is not a false alarm."""
        tags = {"deviation": SHOWER, "target": shower.place}
        fields: dict[str, wire.Value] = {"what": what, "attenuation_db": shower.peak_db}
        self._stage.record([wire.Record(time.monotonic_ns(), "plant_event", tags, fields)])

    def _wind_down(self) -> None:
        """No new traffic, time for what is under way, then last words, the channel's after the nodes'."""
        members = self._stage.control.members
        edges = list(self._stage.edges)
        others = {CHANNEL, TWIN, *edges}
        nodes = [m for m in members.values() if m.id not in others and m.state != "gone"]
        if self._stage.start is not None and not self._stage.problem:
            for member in nodes:
                self._stage.control.send(member, wire.Quiesce())
            self._stage.quiescing = True
            deadline = time.monotonic() + self._stage.scenario.network.drain_s
            while time.monotonic() < deadline and self._interrupts < 2:
                self._pump(_TICK_S)
                watch(self._stage)
        for names in ([m.id for m in nodes], [CHANNEL], edges, [TWIN]):
            for name in names:
                if name in self._stage.children:
                    self._stage.children[name].released = True
                if name in members and members[name].state != "gone":
                    self._stage.control.send(members[name], wire.Stop())
            deadline = time.monotonic() + _GOODBYE_S
            while time.monotonic() < deadline and self._interrupts < 2:
                if all(name not in members or members[name].state in ("bye", "gone") for name in names):
                    break
                self._pump(_TICK_S)
                watch(self._stage)

    def _pump(self, timeout_s: float) -> None:
        for identity, member, message in self._stage.control.poll(timeout_s):
            if isinstance(message, wire.Register):
                self._reception.register(identity, message)
            elif member is not None:
                self._hear(member, message)

    def _hear(self, member: Member, message: wire.Message) -> None:
        if isinstance(message, wire.Telemetry) and member.id in self._edges:
            self._stage.record(noticed(member.id, message.records))
        elif isinstance(message, wire.Telemetry):
            records, refused = permitted(member.id, message.records)
            self._stage.record(records)
            for name in sorted(refused - member.refused):
                member.refused.add(name)
                self._stage.event("refused", member.id, f"{member.id} may not report {name!r} records")
        elif isinstance(message, wire.Heartbeat):
            member.sent, member.received = message.sent, message.received
            heard_ns, echo_ns = self._stage.control.heard_ns, message.t_ns
            answer = wire.Heartbeat(time.monotonic_ns(), echo_ns=echo_ns, heard_ns=heard_ns)
            self._stage.control.send(member, answer)
        elif isinstance(message, wire.Ready):
            self._ready(member, message)
        elif isinstance(message, wire.CommandResult):
            if not self._requests.answered(message):
                self._reception.command_done(member, message)
        elif isinstance(message, wire.Request):
            self._requests.take(member, message)
        elif isinstance(message, wire.Snapshot):
            keeper = self._edges.get(member.id, self._successor if member.id == TWIN else None)
            if keeper is not None:
                keeper.keep(member, message)
            elif "a snapshot" not in member.refused:
                member.refused.add("a snapshot")
                self._stage.event("refused", member.id, f"{member.id} may not leave snapshots")
        elif isinstance(message, wire.Bye):
            member.state = "bye"
            member.counters = message.counters
            if member.id in self._stage.nodes:
                early = not (self._stage.quiescing or self._released(member.id))
                # a program that the scenario does not name comes and goes as it likes
                missed = early and member.id not in self._reception.guests()
                self._stage.nodes[member.id] |= {
                    "status": "left" if missed else "finished",
                    "ended_s": self._stage.run_s,
                }
                if early:
                    self._stage.event("left", member.id, f"{member.id} left the run")

    def _released(self, name: str) -> bool:
        child = self._stage.children.get(name)
        return child.released if child is not None else self._stage.status == "completed"

    def _ready(self, member: Member, message: wire.Ready) -> None:
        member.state = "ready"
        if member.id == CHANNEL:
            self._reception.open(message.endpoint)
        elif member.id in self._stage.nodes:
            self._stage.nodes[member.id]["status"] = "running"
        if self._stage.start is not None and not self._stage.quiescing:
            self._stage.control.send(member, self._stage.start)
            self._conduct.again(member)

    def _at(self, t_s: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._actions, (t_s, len(self._actions), action))

    def _finish(self) -> None:
        for child in self._stage.children.values():
            child.released = True
        bridges_and_all = [child for name, child in self._stage.children.items() if "/" not in name]
        models = [child for name, child in self._stage.children.items() if "/" in name]
        for model in models:
            model.process.terminate()
        for child in end([*bridges_and_all, *models], 3.0 if self._interrupts < 2 else 0.0):
            # what waits for a channel that never came does not hear that the run is over
            if child not in models and self._stage.start is not None:
                self._stage.event(
                    "forced", child.name, f"{child.name} did not end by itself and was terminated"
                )
        for name, child in self._stage.children.items():
            if name in self._stage.nodes:
                info = self._stage.nodes[name]
                info.setdefault("exit_status", child.exit_status)
                if info["status"] in ("running", "registered", "expected"):
                    info["status"] = "failed" if child.exit_status else "no last word"
        if self._stage.sinks is not None:
            self._stage.telemetry = self._stage.sinks.close()
        self._stage.control.close()
        write_run(self._stage)
        shutil.rmtree(self._stage.scratch, ignore_errors=True)
        use_cores(self._cores)
