"""The epoch thread: computes the link table ahead of time and posts it, on absolute deadlines.

Epoch k is in force from t0 + k * epoch_s. Its table is computed a few epochs earlier; one that is posted
after its time is an overrun, and counted. Orders that come in between are obeyed from the next table on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from emulator.epochs import LinkUpdates, RecordedTable, write_table
from emulator.orders import Orders
from emulator.table import LinkTable
from emulator.world import World
from testbed.plant.deviations import Truth

#: epochs posted ahead of the present one
LEAD: Final = 3


@dataclass(frozen=True)
class Handover:
    """A terminal changed the satellite or station that serves it; a name is empty when there is none."""

    t_s: float
    terminal: str
    before: str
    after: str


class Epochs:
    """Runs the world in a thread; `table_at` gives the table of a moment, asked for in order of time."""

    def __init__(self, world: World, truth: Truth, updates: LinkUpdates, epoch_s: float, path: Path) -> None:
        self._world = world
        self._truth = truth
        self.updates = updates
        self._epoch_s = epoch_s
        self._file = path.open("wb")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._tables: list[tuple[float, LinkTable]] = []
        self._unwritten: deque[tuple[int, RecordedTable]] = deque()
        self._compute_ms: list[float] = []
        self.count = 0
        self.overruns = 0
        self.unrecorded = 0
        self.failure = ""
        self._serving: dict[str, str] = {}
        self._handovers: list[Handover] = []
        self._ordered: Orders | None = None

    def order(self, orders: Orders) -> float:
        """Have the tables from the next on obey these orders, and no others; from which run time on, s.

        May be called from any thread. WorldError, one sentence, when they name what is not there.
        """
        self._world.check_orders(orders)
        with self._lock:
            self._ordered = orders
            # the one that is perhaps being computed now may have begun without them
            return (self.count + (self._thread is not None)) * self._epoch_s

    def prepare(self, t0_ns: int) -> None:
        """Compute and post the tables that are due first, before anything starts."""
        self._t0_ns = t0_ns
        for _ in range(LEAD):
            self._step()

    def start(self) -> None:
        """Go on in a thread."""
        self._thread = threading.Thread(target=self._run, name="epochs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Finish the record; once the channel has stopped, it tells which tables took effect."""
        self._record()
        try:
            self._file.close()
        except OSError:
            self.unrecorded += 1

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                begin_ns = self._t0_ns + round((self.count - LEAD) * self._epoch_s * 1e9)
                delay_s = (begin_ns - time.monotonic_ns()) / 1e9
                if delay_s > 0 and self._stop.wait(delay_s):
                    return
                if not self.updates.room():
                    # The loop has not caught up: wait for it rather than overwrite what it reads.
                    self._stop.wait(self._epoch_s / 10)
                    continue
                self._step()
        except Exception as error:  # the channel goes on with the last table; the run must say so
            self.failure = f"{type(error).__name__}: {error}"

    def _step(self) -> None:
        self._record()
        began = time.perf_counter()
        t_s = self.count * self._epoch_s
        self._truth.at(t_s)
        with self._lock:
            if self._ordered is not None:
                # a whole one for another, by the one thread that reads them
                self._world.orders, self._ordered = self._ordered, None
        table = self._world.epoch(t_s)
        due_ns = self._t0_ns + round(t_s * 1e9)
        posted = self.updates.post(due_ns, table)
        if time.monotonic_ns() > due_ns and self.count >= LEAD:
            self.overruns += 1
        self._unwritten.append((self.updates.posted - 1, posted))
        with self._lock:
            self._tables.append((t_s, table))
            for terminal, satellite in table.serving.items():
                before = self._serving.get(terminal)
                if before is not None and before != satellite:
                    self._handovers.append(Handover(t_s, terminal, before, satellite))
            self._serving = dict(table.serving)
        self.count += 1
        self._compute_ms.append((time.perf_counter() - began) * 1e3)

    def _record(self) -> None:
        """Write down the tables that have taken effect since, each with the time at which it did."""
        while self._unwritten:
            number, posted = self._unwritten[0]
            time_ns = self.updates.took_effect_ns(number)
            if time_ns is None:
                return
            self._unwritten.popleft()
            try:
                write_table(self._file, replace(posted, time_ns=time_ns))
            except OSError:
                # A full disk costs the replay, not the run.
                self.unrecorded += 1

    def table_at(self, t_s: float) -> LinkTable | None:
        """The table in force at run time `t_s`; older ones are forgotten."""
        with self._lock:
            while len(self._tables) > 1 and self._tables[1][0] <= t_s + 1e-9:
                self._tables.pop(0)
            return self._tables[0][1] if self._tables else None

    def take_handovers(self, t_s: float) -> list[Handover]:
        """The changes of what serves a terminal, up to run time `t_s` that have not been taken yet."""
        with self._lock:
            due = [handover for handover in self._handovers if handover.t_s <= t_s]
            self._handovers = self._handovers[len(due) :]
        return due

    def summary(self) -> dict[str, Any]:
        """Counts and computing times of the epochs."""
        times = np.asarray(self._compute_ms) if self._compute_ms else np.zeros(1)
        return {
            "count": self.count,
            "overruns": self.overruns,
            "unrecorded": self.unrecorded,
            "compute_ms_p50": float(np.quantile(times, 0.5)),
            "compute_ms_p99": float(np.quantile(times, 0.99)),
            "failure": self.failure,
        }
