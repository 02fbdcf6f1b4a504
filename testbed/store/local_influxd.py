"""An InfluxDB 1.x of one's own: on a free port of the loopback interface, with its data in a given folder.

For tests and benchmarks, which must not touch a server that somebody uses. It needs the distribution's
`influxd`, but no service and no root.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Final

from testbed.errors import EnvironmentProblem

START_TIMEOUT_S: Final = 60.0


def available() -> bool:
    """Whether `influxd` is installed."""
    return shutil.which("influxd") is not None


def _ends_with_us() -> list[str]:
    """What makes a killed test leave no server behind, where there is such a thing (Linux)."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


class LocalInfluxd:
    """One server, to `start` and `kill` as often as needed. EnvironmentProblem when it is not installed."""

    def __init__(self, folder: Path) -> None:
        if not available():
            raise EnvironmentProblem("influxd is not installed; on Debian: apt-get install influxdb")
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = folder / "influxdb.conf"
        self._config.write_text(
            'bind-address = "127.0.0.1:0"\n'
            "reporting-disabled = true\n"
            f'[meta]\ndir = "{folder}/meta"\n'
            f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\n'
            "[monitor]\nstore-enabled = false\n"
            f'[http]\nbind-address = "127.0.0.1:{self.port}"\nlog-enabled = false\n'
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, or start again with what is on disk; returns when it answers."""
        log_path = self.folder / "influxd.log"
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*_ends_with_us(), "influxd", "-config", str(self._config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        end_s = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(self.url + "/ping", timeout=5):
                return
            if self._process.poll() is not None or time.monotonic() > end_s:
                self.kill()
                raise EnvironmentProblem(f"influxd does not start; its words are in {log_path}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
