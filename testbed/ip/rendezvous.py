"""Where a run's plant and `testbed exec` meet: the socket's folder, and the note in the run folder.

A run that IP programs can join has `ip.json` in its folder; the same lies beside the socket, in a folder
`testbed-ip-*` in the machine's folder for temporary files, where runs are found without being named.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from testbed.errors import BadInput, EnvironmentProblem

NOTE: Final = "ip.json"
_PREFIX: Final = "testbed-ip-"
_SOCKET: Final = "socket"
#: sun_path of struct sockaddr_un has 108 bytes with the final zero (unix(7))
_LONGEST_PATH: Final = 107


class Published:
    """A listening socket that others can find until `withdraw`. `listener` is non-blocking."""

    def __init__(self, run: Path) -> None:
        """Listen on behalf of the run in folder `run`; OSError when a disk refuses."""
        _remove_stale()
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_short_folder()))  # mode 0700
        self._note = run / NOTE
        self.path = self._folder / _SOCKET
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Named only once it listens: before, it could not be told from one that was left behind.
            self.listener.bind(str(self._folder / "s"))
            self.listener.listen(64)
            self.listener.setblocking(False)
            note = {
                "socket": str(self.path),
                "run": str(run.resolve()),
                "pid": os.getpid(),
                "started_ns": time.time_ns(),
            }
            for path in (self._folder / NOTE, self._note):
                path.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
            os.rename(self._folder / "s", self.path)
        except BaseException:
            self.withdraw()
            raise

    def withdraw(self) -> None:
        """Close the socket and remove what leads to it."""
        self.listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._note.unlink()


def connect(run: Path | None) -> socket.socket:
    """A connection to the plant of a run, or of the one that began last on this machine.

    BadInput when the named run is not under way, EnvironmentProblem when there is none at all.
    """
    if run is not None:
        from testbed.store.runfile import RunFolder

        folder = RunFolder.open(run).path
        found = _connect(_read(folder / NOTE))
        if found is None:
            raise BadInput(f"{run}: this run is over, or has no IP interfaces; name one that is under way")
        return found
    notes = [_read(path) for path in _folders() if path.is_file()]
    for note in sorted(notes, key=lambda one: one.get("started_ns", 0), reverse=True):
        if (found := _connect(note)) is not None:
            return found
    raise EnvironmentProblem(
        "no run of yours with IP interfaces is under way on this machine; start one (testbed run laptop), or "
        "name its folder with --run"
    )


def _connect(note: dict[str, Any]) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(note.get("socket", "")))
    except PermissionError:
        connection.close()
        raise BadInput(
            f"{note.get('run')}: this run belongs to another user; run the program as that user"
        ) from None
    except OSError:
        connection.close()
        return None
    return connection


def _folders() -> list[Path]:
    """The notes beside the sockets of this user's runs."""
    found = []
    for folder in Path(_short_folder()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == os.geteuid():
                found.append(folder / NOTE)
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _remove_stale() -> None:
    """Remove what runs that were killed have left: sockets that nobody listens to."""
    for path in _folders():
        if not (path.parent / _SOCKET).exists():
            continue  # not published yet
        connection = _connect({"socket": path.parent / _SOCKET})
        if connection is None:
            shutil.rmtree(path.parent, ignore_errors=True)
        else:
            connection.close()


def _short_folder() -> str:
    folder = tempfile.gettempdir()
    longest = len(os.fsencode(folder)) + len(f"/{_PREFIX}12345678/{_SOCKET}")
    return folder if longest <= _LONGEST_PATH else "/tmp"
