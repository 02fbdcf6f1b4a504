"""The processes of a run: started each in a session of its own, watched, ended in order or by force."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: numerical libraries start a thread per core unless told; sixteen processes would fight for two
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass
class Child:
    """A started process. `name` is the node's id, or "channel", "twin", "mcu-1/model"."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    #: it was told to end
    released: bool = False

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that killed it."""
        return self.process.poll()

    def last_words(self) -> str:
        """The last line of its log."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


def spawn(
    name: str, module: str, arguments: Sequence[str], logs: Path, directory: Path | None = None
) -> Child:
    """Start `python -m module arguments`; output goes to a log of its name, behind what is there.

    A session of its own keeps Ctrl-C in the terminal from reaching it: the supervisor ends it in order.
    """
    log = logs / f"{name.replace('/', '-')}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=_environment(directory),
            start_new_session=True,
        )
    return Child(name, process, log)


def _environment(directory: Path | None) -> dict[str, str]:
    environment = os.environ | _ENVIRONMENT
    if directory is not None:
        # Elsewhere, a checkout that is used without installation must still be found.
        root = str(Path(__file__).resolve().parents[2])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    return environment


def end(children: Sequence[Child], wait_s: float) -> list[Child]:
    """Wait for every child; those that stay are terminated, then killed. The ones that had to be forced."""
    import time

    deadline = time.monotonic() + wait_s
    forced = []
    for child in children:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            forced.append(child)
            child.process.send_signal(signal.SIGTERM)
    for child in forced:
        try:
            child.process.wait(1.0)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
    return forced


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed ({name})"
