"""What everybody who works on a run shares: its members, processes, orders and records.

State, and the few things that touch all of it. The course of the run is in `run`, who may join in
`reception`, who went missing in `watch`, the books in `account`.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from nodes import wire
from testbed.plant.deviations import Withheld
from testbed.ports import Ports
from testbed.scenario import Scenario
from testbed.store.runfile import RunFolder
from testbed.supervisor.control import Control, Member
from testbed.supervisor.edges import edge_scopes
from testbed.supervisor.hidden import hidden_senders
from testbed.supervisor.monitor import Monitor
from testbed.supervisor.processes import Child, spawn
from testbed.supervisor.sinks import Sinks
from testbed.twin.observations import filter_record

CHANNEL: Final = "channel"
TWIN: Final = "twin"


class Stage:
    """A run's shared state. `nodes` holds what run.json will say of each node."""

    def __init__(self, scenario: Scenario, folder: RunFolder, monitor: Monitor) -> None:
        self.scenario = scenario
        self.folder = folder
        self.monitor = monitor
        self.began_s = time.monotonic()
        self.epoch_offset_ns = time.time_ns() - time.monotonic_ns()
        self.ports = Ports(scenario)
        self.control = Control(scenario.network.control_endpoint)
        self.children: dict[str, Child] = {}
        self.nodes: dict[str, dict[str, Any]] = {
            node: {"role": table.role, "place": table.place, "status": "expected", "external": table.external}
            for node, table in scenario.nodes.items()
        }
        self.start: wire.Start | None = None
        self.quiescing = False
        self.status = "failed"
        #: why the run cannot go on
        self.problem = ""
        self.telemetry: dict[str, Any] = {}
        self.scratch = Path(tempfile.mkdtemp(prefix="testbed-"))
        self._commands = 0
        self.sinks: Sinks | None = None
        #: how often twins that ended were started again, by name
        self.restarts: Counter[str] = Counter()
        #: the parts that edge twins answer for, by names of their processes
        self.edges = edge_scopes(scenario)
        self._withheld = Withheld(scenario)
        #: senders that only the plant knows of, by name
        self.hidden = {sender.name: sender for sender in hidden_senders(scenario)}

    # --- processes --------------------------------------------------------------------------------

    def launch(self, name: str, module: str, arguments: list[str], directory: Path | None = None) -> None:
        """Start a process of the run."""
        self.children[name] = spawn(name, module, arguments, self.folder.logs_path, directory)

    def is_ready(self, name: str) -> bool:
        """Whether a member can start (or has been and gone in good order)."""
        member = self.control.members.get(name)
        return member is not None and member.state in ("ready", "bye")

    def has_ended(self, name: str) -> bool:
        """Whether the process of that name was started and is no more."""
        child = self.children.get(name)
        return child is not None and child.exit_status is not None

    # --- time -------------------------------------------------------------------------------------

    @property
    def t0_ns(self) -> int:
        """Time 0 of the run, CLOCK_MONOTONIC ns; before the start: now."""
        return self.start.t0_ns if self.start is not None else time.monotonic_ns()

    @property
    def run_s(self) -> float:
        """Run time, s."""
        return (time.monotonic_ns() - self.t0_ns) / 1e9

    # --- records and orders -----------------------------------------------------------------------

    def record(self, records: list[wire.Record]) -> None:
        """Write records down, show them, and pass on to twins what they may observe."""
        if self.sinks is not None:
            self.sinks.write(records)
        twins = [self.control.members[name] for name in (TWIN, *self.edges) if name in self.control.members]
        visible = []
        for record in records:
            self.monitor.see(record, (record.t_ns - self.t0_ns) / 1e9)
            if not twins or (kept := filter_record(record)) is None:
                continue
            if record.tags.get("node") in self.hidden:
                continue
            if not (self._withheld and self._withheld.takes(record, self.t0_ns)):
                visible.append(kept)
        for twin in twins:
            if visible and twin.state == "ready":
                self.control.send(twin, wire.Telemetry(visible))

    @property
    def twin_restarts(self) -> int:
        """How often the central twin was started again."""
        return self.restarts[TWIN]

    def event(self, what: str, node: str, text: str) -> None:
        """Something worth a warning has happened to a process."""
        tags = {"what": what, "node": node, "level": "warning"}
        self.record([wire.Record(time.monotonic_ns(), "event", tags, {"text": text})])

    def note(self, what: str, node: str, text: str) -> None:
        """Something has happened that is as it should be."""
        tags = {"what": what, "node": node}
        self.record([wire.Record(time.monotonic_ns(), "event", tags, {"text": text})])

    def command(self, member: Member, name: str, arguments: dict[str, object], by: str) -> int:
        """Give an order and write down who asked for it; the order's number."""
        self._commands += 1
        self.control.send(member, wire.Command(self._commands, name, arguments, by))
        self.note("command", member.id, f"{by} orders {member.id}: {name} {arguments}")
        return self._commands
