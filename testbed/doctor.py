"""What this machine can do for the testbed, and one sentence on how to get what it cannot.

It changes nothing: priorities are tried on a short-lived thread, interfaces in namespaces of a short-lived
process. Not here: measurements, which are benchmarks.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass

#: what `testbed run` cannot do without, from the `lab` extra
LAB = ("numpy", "numba", "scipy", "skyfield", "sgp4", "itur", "pydantic", "scapy", "matplotlib")


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `needed`: without it no run is possible."""

    subject: str
    works: bool
    text: str
    remedy: str = ""
    needed: bool = False

    @property
    def mark(self) -> str:
        """One word: ok, missing (needed) or without (optional)."""
        return "ok" if self.works else ("missing" if self.needed else "without")

    def as_dict(self) -> dict[str, object]:
        """JSON-able."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look at everything, in the order a reader needs it."""
    looks: tuple[Callable[[], Finding], ...] = (
        _python, _packages, _numba, _libzmq, _cores, _realtime, _tun, _influx,
    )  # fmt: skip
    return [look() for look in looks]


def status(findings: list[Finding]) -> int:
    """0 when a run is possible, 3 when something needed is missing."""
    return 3 if any(finding.needed and not finding.works for finding in findings) else 0


def _python() -> Finding:
    version = platform.python_version()
    return Finding(
        "Python", sys.version_info >= (3, 11), f"{version} at {sys.executable}",
        "" if sys.version_info >= (3, 11) else "install Python 3.11 or newer", needed=True,
    )  # fmt: skip


def _packages() -> Finding:
    absent = [name for name in LAB if importlib.util.find_spec(name) is None]
    if absent:
        return Finding(
            "packages", False, "absent: " + ", ".join(absent), "pip install 'istn-testbed[lab]'", needed=True
        )
    return Finding("packages", True, "all that a run needs", needed=True)


def _numba() -> Finding:
    try:
        import numba
    except ImportError as error:
        return Finding("compiler", False, str(error), "pip install 'istn-testbed[lab]'", needed=True)
    if numba.config.DISABLE_JIT:
        return Finding("compiler", False, "numba is switched off", "unset NUMBA_DISABLE_JIT", needed=True)
    return Finding("compiler", True, f"numba {numba.__version__}", needed=True)


def _libzmq() -> Finding:
    try:
        import zmq
    except ImportError as error:
        return Finding("libzmq", False, str(error), "pip install pyzmq", needed=True)
    try:
        import llvmlite.binding as llvm

        # The wheel's extension module has loaded libzmq already; its symbols are then in the process.
        path = _shared_libzmq()
        if path:
            llvm.load_library_permanently(path)
        found = llvm.address_of_symbol("zmq_msg_recv") is not None
    except (ImportError, RuntimeError, OSError) as error:
        return Finding("libzmq", False, str(error), "reinstall pyzmq from a wheel", needed=True)
    text = f"{zmq.zmq_version()} (pyzmq {zmq.__version__})"
    if found:
        return Finding("libzmq", True, text, needed=True)
    remedy = "reinstall pyzmq from a wheel: compiled code calls the library that it carries"
    return Finding("libzmq", False, f"{text}, but its functions cannot be called", remedy, needed=True)


def _shared_libzmq() -> str:
    """Path of the libzmq that pyzmq's wheel carries; empty when it is elsewhere."""
    from pathlib import Path

    import zmq

    package = Path(zmq.__file__).parent
    for folder in (package.parent / "pyzmq.libs", package / ".dylibs", package):
        for found in sorted(folder.glob("libzmq*")):
            return str(found)
    return ""


def _cores() -> Finding:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    remedy = "" if cores >= 2 else "with one core the channel and the nodes wait for each other"
    return Finding("processor cores", cores >= 2, str(cores), remedy)


def realtime_permitted() -> bool:
    """Whether SCHED_FIFO can be taken; tried on a thread of its own that ends at once."""
    if not hasattr(os, "SCHED_FIFO"):
        return False
    outcome = []

    def attempt() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # 0: the calling thread
            outcome.append(True)
        except OSError:
            outcome.append(False)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return outcome[0]


def _realtime() -> Finding:
    subject = "real-time priority"
    if realtime_permitted():
        return Finding(subject, True, "SCHED_FIFO is permitted: packets leave on time on a busy machine")
    if not hasattr(os, "SCHED_FIFO"):
        return Finding(subject, False, "not on this system: packets may leave late when it is busy")
    user = os.environ.get("USER", "USER")
    return Finding(
        subject,
        False,
        "SCHED_FIFO is not permitted: packets may leave milliseconds late when the machine is busy",
        f'as root: echo "{user} - rtprio 50" > /etc/security/limits.d/testbed.conf, then log in again',
    )


def _tun() -> Finding:
    subject = "TUN interfaces"
    from testbed.ip.permitted import why_not_here

    problem, _, remedy = why_not_here().partition("; ")
    if problem:
        return Finding(subject, False, f"testbed exec: {problem}; everything over ZeroMQ works", remedy)
    how = "as root" if os.geteuid() == 0 else "in user namespaces, without root"
    return Finding(subject, True, f"any IP program can join, {how} (testbed exec)")


def _influx() -> Finding:
    # Debian installs it where an ordinary user's PATH may not lead.
    found = shutil.which("influxd") or shutil.which("influxd", path="/usr/sbin:/usr/local/bin")
    if found:
        return Finding("InfluxDB server", True, found)
    return Finding(
        "InfluxDB server", False, "not on this machine: optional, a run's own files are complete",
        "apt-get install influxdb, or give the URL of another machine in [store.influxdb]",
    )  # fmt: skip
