"""Runs as a user starts them: the command in a process of its own, its folder read afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scipy.stats import binom

from nodes.wire import Record
from testbed.store.runfile import RunFolder

#: far beyond what any run of these tests takes: only a hang ends by it
PATIENCE_S = 180.0
#: late releases that the machine alone would give more rarely are the channel's
SURPRISE = 1e-3


def _later_than(bound_us: float, times: dict[str, Any]) -> int:
    """How many of a histogram of the report were above a bound."""
    histogram = times["histogram"]
    return sum(
        count
        for edge, count in zip(histogram["edges_us"], histogram["counts"], strict=True)
        if edge > bound_us
    )


class Started:
    """A `testbed run` that is going on."""

    def __init__(self, out: Path, *arguments: str) -> None:
        self.out = out
        self.json_file = out / "result.json"
        out.mkdir(parents=True, exist_ok=True)
        self.log = out / "command.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "testbed",
                    "run",
                    *arguments,
                    "--out",
                    str(out),
                    "--json",
                    self.json_file,
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def finish(self) -> Finished:
        """Wait for its end."""
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        return Finished(self, status)

    @property
    def folder(self) -> RunFolder:
        """The run's folder, once there is one."""
        self.until(lambda: any(self.out.glob("*/run.json")), "a run folder")
        return RunFolder(next(self.out.glob("*/run.json")).parent)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition of the run; fails when the command ends first."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, f"ended before {what}:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"no {what}"
            time.sleep(0.02)

    def until_recorded(self, measurement: str, count: int = 1) -> None:
        """Wait until the telemetry file holds records of a measurement."""
        path = self.folder.telemetry_path
        mark = f'"measurement":"{measurement}"'.encode()
        self.until(lambda: path.exists() and path.read_bytes().count(mark) >= count, f"{count} {measurement}")

    def until_event(self, text: str) -> None:
        """Wait until an event that says this is recorded."""
        path = self.folder.telemetry_path
        self.until(lambda: path.exists() and text.encode() in path.read_bytes(), text)

    def pid_of(self, *words: str) -> int:
        """Process id of the run's process whose command line has all these words."""
        session = str(self.process.pid)
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    command = (entry / "cmdline").read_bytes().decode().split("\0")
                    parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
                except OSError:
                    continue
                if parent == session and all(word in command for word in words):
                    found.append(int(entry.name))
        assert len(found) == 1, f"{words}: {found}"
        return found[0]


class Finished:
    """A run that has ended."""

    def __init__(self, started: Started, status: int) -> None:
        self.status = status
        self.output = started.log.read_text()
        folders = [path.parent for path in started.out.glob("*/run.json")]
        self.folder = RunFolder(folders[0]) if folders else None
        self.report: dict[str, Any] = (
            json.loads(started.json_file.read_text()) if started.json_file.exists() else {}
        )

    @property
    def run(self) -> RunFolder:
        assert self.folder is not None, self.output
        return self.folder

    def records(self, measurement: str) -> list[Record]:
        """The run's records of a measurement."""
        return [record for record in self.run.records() if record.measurement == measurement]

    def verdict(self, name: str) -> dict[str, Any]:
        """A verdict of the report."""
        return next(verdict for verdict in self.report["verdicts"] if verdict["name"] == name)

    def failed(self) -> dict[str, str]:
        """Verdicts that do not hold, with their texts."""
        return {v["name"]: v["text"] for v in self.report["verdicts"] if v["holds"] is False}

    def at_fault(self) -> dict[str, str]:
        """Verdicts that do not hold, but for a lateness that the machine alone explains.

        It does when a bare timer of the same priority beside the channel, which has nothing of ours in it,
        was woken later than the bound too, or so often that as many late releases are no surprise: of the few
        packets of a quiet scenario a single one is the 99th percentile.
        """
        failed = self.failed()
        if "injection_lateness" in failed and self._machine_was_late(
            self.verdict("injection_lateness")["bound"]
        ):
            del failed["injection_lateness"]
        return failed

    def _machine_was_late(self, bound_us: float) -> bool:
        timer, lateness = (self.report["injection"][what] or {} for what in ("timer_us", "lateness_us"))
        if not timer or not lateness:
            return False
        share = _later_than(bound_us, timer) / timer["count"]
        late = _later_than(bound_us, lateness)
        by_chance = float(binom.sf(late - 1, lateness["count"], share))
        return bool(timer["p99"] > bound_us or by_chance > SURPRISE)

    @property
    def status_due(self) -> int:
        """The exit status that its verdicts ask for."""
        return 1 if self.failed() else 0


def start(out: Path, *arguments: str) -> Started:
    """Start `testbed run ARGUMENTS`."""
    return Started(out, *arguments)


def run(out: Path, *arguments: str) -> Finished:
    """Run `testbed run ARGUMENTS` to its end."""
    return start(out, *arguments).finish()


def run_in_time(
    out: Path, *arguments: str, meanwhile: Callable[[Started], None] = lambda _: None
) -> Finished:
    """As `run`, again while the run is void: a machine that was too late shows nothing about the testbed.

    `meanwhile` is called with each run that was started. After two void runs the last is returned.
    """
    for attempt in range(2):
        started = start(out / str(attempt), *arguments)
        meanwhile(started)
        ended = started.finish()
        if "injection_lateness" not in ended.failed():
            break
    return ended
