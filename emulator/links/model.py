"""How links of one kind treat packets: the settings a user states, and the rows that kernels read.

The settings of each impairment stand in the module of its kernels, under the name that the scenario file
uses; here they are put together. What they do to a packet is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from emulator.errors import WorldError
from emulator.links.access import DutyCycle, Frames, NoAccess, PureAloha, SlottedAloha
from emulator.links.codel import CoDel, DropTail
from emulator.links.faults import Faults
from emulator.links.jitter import Exponential, Gamma, LogNormal, Normal, Pareto, Uniform
from emulator.links.loss import GilbertElliott, Independent
from emulator.links.process import Events, Process
from emulator.links.ranges import between, duration_or_none_ms, ns
from emulator.links.state import MODEL, TRACE_COUNT, TRACE_FIRST, TRACE_KIND, TRACE_PERIOD
from emulator.links.trace import KINDS, Series, Traces

__all__ = [
    "ACCESSES",
    "JITTERS",
    "LOSSES",
    "PLAIN",
    "QUEUES",
    "CoDel",
    "DropTail",
    "DutyCycle",
    "Events",
    "Exponential",
    "Faults",
    "Frames",
    "Gamma",
    "GilbertElliott",
    "Independent",
    "LinkModel",
    "LogNormal",
    "ModelSet",
    "NoAccess",
    "Normal",
    "Pareto",
    "Process",
    "PureAloha",
    "Series",
    "SlottedAloha",
    "Traces",
    "Uniform",
]

#: name of the model of index 0, of links that no other is stated for
PLAIN: Final = "plain"

_QUEUES: tuple[type[Any], ...] = (DropTail, CoDel)
_ACCESSES: tuple[type[Any], ...] = (NoAccess, Frames, SlottedAloha, PureAloha, DutyCycle)
_LOSSES: tuple[type[Any], ...] = (Independent, GilbertElliott)
_JITTERS: tuple[type[Any], ...] = (Exponential, Uniform, Normal, Gamma, LogNormal, Pareto)
#: settings by the name that the scenario file uses
QUEUES: Final[dict[str, type[Any]]] = {one.kind: one for one in _QUEUES}
ACCESSES: Final[dict[str, type[Any]]] = {one.kind: one for one in _ACCESSES}
LOSSES: Final[dict[str, type[Any]]] = {one.kind: one for one in _LOSSES}
JITTERS: Final[dict[str, type[Any]]] = {one.kind: one for one in _JITTERS}

_LARGEST_BYTES: Final = 65_535


@dataclass(frozen=True)
class LinkModel:
    """How links of one kind treat packets; without arguments but a name, as the plain model does.

    `keep_order`: no packet overtakes another. `reroute`: packets queued on a link that is gone look for
    another way. `overhead_bytes`, `overhead_ms`: framing of the layer below, added to every packet.
    `mtu_bytes`: longer packets are dropped; 0: any length. `process`: generated delay and outages instead of
    propagation, jitter and a recorded delay.
    """

    name: str
    queue: DropTail | CoDel = field(default_factory=DropTail)
    access: NoAccess | Frames | SlottedAloha | PureAloha | DutyCycle = field(default_factory=NoAccess)
    loss: Independent | GilbertElliott = field(default_factory=Independent)
    jitter: Exponential | Uniform | Normal | Gamma | LogNormal | Pareto = field(default_factory=Exponential)
    faults: Faults = field(default_factory=Faults)
    traces: Traces = field(default_factory=Traces)
    process: Process | None = None
    keep_order: bool = True
    reroute: bool = False
    overhead_bytes: int = 0
    overhead_ms: float = 0.0
    mtu_bytes: int = 0

    def check(self) -> None:
        """WorldError naming the model, the key, the value and what is allowed."""
        where = f"link model {self.name!r}: "
        self.queue.check(f"{where}queue.")
        self.access.check(f"{where}access.")
        self.loss.check(f"{where}loss.")
        self.jitter.check(f"{where}jitter.")
        self.faults.check(f"{where}faults.")
        self.traces.check(f"{where}traces.")
        if self.process is not None:
            self.process.check(f"{where}process.")
            if self.traces.delay is not None:
                raise WorldError(f"{where}process and traces.delay are both given, allowed: one of them")
        between(self, where, 0, _LARGEST_BYTES, "overhead_bytes", "mtu_bytes")
        duration_or_none_ms(self, where, "overhead_ms")

    def write(self, row: Any) -> None:
        """Into a MODEL row, all of it but the traces, which are a network's."""
        row["keep_order"] = self.keep_order
        row["reroute"] = self.reroute
        row["overhead_bytes"] = self.overhead_bytes
        row["overhead_ns"] = ns(self.overhead_ms)
        row["mtu_bytes"] = self.mtu_bytes
        for part in (self.queue, self.access, self.loss, self.jitter, self.faults):
            part.write(row)
        for name in ("rate_trace", "delay_trace", "loss_trace", "process"):
            row[name] = -1


class ModelSet:
    """The models of a network; index 0 is always the plain one.

    `rows` is MODEL [models], of which those of `spare` are free for models that are added later; `table`,
    `times_ns` and `values` are all traces (emulator.links.trace), `process_values` all generated processes
    (emulator.links.process), never empty. WorldError for a model that
    no link can have.
    """

    def __init__(self, models: Sequence[LinkModel] = (), spare: int = 8) -> None:
        self._index: dict[str, int] = {PLAIN: 0}
        self.rows = np.zeros(1 + len(models) + spare, MODEL)
        for row in self.rows:
            LinkModel(PLAIN).write(row)
        table: list[tuple[int, int, int, int]] = []
        times_ns: list[Any] = []
        values: list[Any] = []
        processes: list[Any] = []
        for index, model in enumerate(models, 1):
            self._write(model, index)
            traces = model.traces
            for name, series in (
                ("rate_trace", traces.rate or traces.deliveries),
                ("delay_trace", traces.delay),
                ("loss_trace", traces.loss),
            ):
                if series is not None:
                    self.rows[index][name] = len(table)
                    entry = [0, 0, 0, 0]
                    entry[TRACE_FIRST] = sum(map(len, times_ns))
                    entry[TRACE_COUNT] = len(series.times_ns)
                    entry[TRACE_PERIOD] = series.period_ns
                    entry[TRACE_KIND] = KINDS[series.kind]
                    table.append((entry[0], entry[1], entry[2], entry[3]))
                    times_ns.append(series.times_ns)
                    values.append(series.values)
            if model.process is not None:
                self.rows[index]["process"] = sum(map(len, processes))
                processes.append(model.process.packed())
        self.table = np.array(table or [(0, 1, 0, 0)], np.int64)
        self.times_ns = np.concatenate(times_ns or [[0]]).astype(np.int64)
        self.values = np.concatenate(values or [[0.0]]).astype(np.float64)
        self.process_values = np.concatenate(processes or [np.zeros(1)])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models, by index."""
        return tuple(self._index)

    @property
    def spare(self) -> range:
        """Indices of the rows that no model has."""
        return range(len(self._index), len(self.rows))

    def index(self, name: str) -> int:
        """Row of the model of that name; WorldError for an unknown one."""
        if name not in self._index:
            raise WorldError(f"link model is {name!r}, allowed: {', '.join(self._index)}")
        return self._index[name]

    def add(self, model: LinkModel) -> int:
        """Write a model into a spare row; its index, at which a running network takes the row over.

        WorldError for a model that no link can have, when no row is spare, and for traces, which cannot
        join a network that is running.
        """
        if any((model.traces.rate, model.traces.delay, model.traces.loss, model.traces.deliveries)):
            raise WorldError(
                f"link model {model.name!r}: traces are given, allowed: none once a network runs"
            )
        if model.process is not None:
            raise WorldError(
                f"link model {model.name!r}: process is given, allowed: none once a network runs"
            )
        if not self.spare:
            raise WorldError(
                f"link model {model.name!r}: there are {len(self.rows)} models, allowed: {len(self.rows)}"
            )
        index = self.spare[0]
        self._write(model, index)
        return index

    def _write(self, model: LinkModel, index: int) -> None:
        if model.name in self._index:
            raise WorldError(f"link model {model.name!r}: the name is taken, allowed: any other")
        model.check()
        model.write(self.rows[index])
        self._index[model.name] = index
