"""Compiling the kernels before a run when the cache is cold, so that the run itself starts at once.

What twins would compile while they are waited for is compiled here too: on a slow machine, and several at a
time, they would take longer than a process is given to register.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

from emulator.cache import is_warm, sources, user_directory
from testbed.doctor import LAB
from testbed.errors import EnvironmentProblem
from testbed.supervisor.monitor import Monitor

_TWIN: Final = Path(__file__).parents[1] / "twin"


def compile_if_cold(monitor: Monitor, twin: bool = False) -> None:
    """Compile in a process of its own, saying how far it is; nothing when everything is in the cache.

    `twin`: with the kernels that only twins use.
    """
    # Missed now rather than by the report, after a minute of running.
    missing = [package for package in LAB if importlib.util.find_spec(package) is None]
    if missing:
        raise EnvironmentProblem(
            f"a run needs {', '.join(missing)}, not installed here: pip install 'istn-testbed[lab]'"
        )
    cold = [] if is_warm() else ["emulator.warm"]
    if twin and not _twin_is_warm():
        cold.append("testbed.twin.warm")
    if not cold:
        return
    monitor.say("first run with these sources: compiling the kernels (cached for the next time)")
    with monitor.step("compiling"):
        for module in cold:
            _compile(module, monitor)
    if twin:
        _mark_twin_warm()


def _compile(module: str, monitor: Monitor) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", module], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for line in process.stdout:
                monitor.say(f"  compiled {line.strip()}")
            errors = process.stderr.read()
        except BaseException:
            # Ctrl-C: what is compiled so far is kept; nobody is left compiling.
            process.kill()
            raise
    if process.returncode != 0:
        last = errors.strip().splitlines()[-1] if errors.strip() else "no message"
        raise EnvironmentProblem(f"the kernels do not compile here: {last}")


def _stamp() -> dict[str, str]:
    """What the twin's kernels are compiled from, and with."""
    digest = hashlib.blake2b(sources().encode(), digest_size=16)
    for source in sorted(_TWIN.glob("*_kernels.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return {"numba": version("numba"), "numpy": version("numpy"), "sources": digest.hexdigest()}


def _marker() -> Path:
    beside = _TWIN / "__pycache__"
    # In an installation that is not the user's own, numba caches in a directory that is.
    own = os.access(beside if beside.exists() else _TWIN, os.W_OK)
    return beside / "kernels.json" if own else user_directory() / "twin.json"


def _twin_is_warm() -> bool:
    try:
        return bool(json.loads(_marker().read_text()) == _stamp())
    except (OSError, ValueError):
        return False


def _mark_twin_warm() -> None:
    with suppress(OSError):  # no place to remember it: the only loss is that every run looks like the first
        marker = _marker()
        marker.parent.mkdir(parents=True, exist_ok=True)
        temporary = marker.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(_stamp()))
        temporary.replace(marker)
