"""Compiling the kernels before a run when the cache is cold, so that the run itself starts at once."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from emulator.cache import is_warm
from testbed.doctor import LAB
from testbed.errors import EnvironmentProblem
from testbed.supervisor.monitor import Monitor


def compile_if_cold(monitor: Monitor) -> None:
    """Compile in a process of its own, saying how far it is; nothing when everything is in the cache."""
    # Missed now rather than by the report, after a minute of running.
    missing = [package for package in LAB if importlib.util.find_spec(package) is None]
    if missing:
        raise EnvironmentProblem(
            f"a run needs {', '.join(missing)}, not installed here: pip install 'istn-testbed[lab]'"
        )
    if is_warm():
        return
    monitor.say("first run with these sources: compiling the kernels (cached for the next time)")
    with subprocess.Popen(
        [sys.executable, "-m", "emulator.warm"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            with monitor.step("compiling"):
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
