"""A port that is kept open: opened again with growing pauses whenever the device goes away.

A thread waits for the port, so that opening one, which may take seconds, holds up nobody; every piece
read is stamped there, at once. The owner is notified and takes what happened in its own thread. What
the bytes mean is the subject of `session`.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple, TypeAlias

from firmware_bridge.ports import Port, PortError, PortSettings

FIRST_PAUSE_S: Final = 0.1
PAUSE_GROWTH: Final = 1.6
LONGEST_PAUSE_S: Final = 2.0
#: bytes read but not taken yet; what comes beyond it is dropped and counted
BACKLOG_BYTES: Final = 65_536


class Opened(NamedTuple):
    """The port is open."""

    t_ns: int


class Gone(NamedTuple):
    """The port was open and is no more."""

    t_ns: int
    text: str


class Unavailable(NamedTuple):
    """The port cannot be opened; told once for each reason, not for each attempt."""

    t_ns: int
    text: str


class Received(NamedTuple):
    """Bytes, and the time at which they were read."""

    t_ns: int
    data: bytes


Happening: TypeAlias = Opened | Gone | Unavailable | Received


class Line:
    """The port of one device; `notify` is called from the line's thread when `take` has something."""

    def __init__(self, settings: PortSettings, notify: Callable[[], None]) -> None:
        self.settings = settings
        self.overrun_bytes = 0
        self._notify = notify
        self._happenings: deque[Happening] = deque()
        self._backlog = 0
        self._notified = False
        self._lock = threading.Lock()  # guards all of the above
        self._port: Port | None = None
        self._port_lock = threading.Lock()  # nobody writes to a descriptor that is being closed
        self._vanished: tuple[str, int, int] | None = None
        self._wake_out, self._wake_in = os.pipe()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name=f"line {settings.url}", daemon=True)

    def start(self) -> None:
        """Begin to open the port."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and close the port."""
        if self._ending:
            return
        # Woken first: once the thread has seen the end, nobody holds the other side of the pipe.
        os.write(self._wake_in, b"\0")
        self._ending = True
        if self._thread.is_alive():
            # An attempt to open a remote port may still be waiting for its answer; it is left to itself.
            self._thread.join(1.0)
        os.close(self._wake_in)

    def take(self) -> list[Happening]:
        """What happened since the last call, in order."""
        with self._lock:
            happenings = list(self._happenings)
            self._happenings.clear()
            self._backlog = 0
            self._notified = False
        return happenings

    def write(self, data: bytes) -> int:
        """Hand over bytes; the number taken: 0 while the line is full or the port is not open."""
        with self._port_lock:
            if self._port is None:
                return 0
            try:
                return self._port.write(data)
            except OSError:
                return 0  # the thread finds the same on its side and tells

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        reason = ""
        while not self._ending:
            try:
                self._refuse_a_reused_pty()
                port = Port(self.settings)
            except PortError as error:
                if str(error) != reason:
                    reason = str(error)
                    self._tell(Unavailable(time.monotonic_ns(), reason))
                self._sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * PAUSE_GROWTH)
                continue
            identity = self._identity()
            with self._port_lock:
                self._port = port
            self._tell(Opened(time.monotonic_ns()))
            text = self._read_on(port)
            with self._port_lock:
                self._port = None
            port.close()
            self._vanished = identity
            if not self._ending:
                self._tell(Gone(time.monotonic_ns(), text))
            pause_s, reason = FIRST_PAUSE_S, ""
            self._sleep(pause_s)
        with suppress(OSError):
            os.close(self._wake_out)

    def _read_on(self, port: Port) -> str:
        descriptor = port.fileno()
        while not self._ending:
            ready, _, _ = select.select([descriptor, self._wake_out], [], [])
            if descriptor not in ready:
                continue
            try:
                data = port.read()
            except OSError as error:
                return f"port {self.settings.url} is gone: {error}"
            if data:
                self._tell(Received(time.monotonic_ns(), data))
        return ""

    def _tell(self, happening: Happening) -> None:
        with self._lock:
            if isinstance(happening, Received):
                if self._backlog + len(happening.data) > BACKLOG_BYTES:
                    self.overrun_bytes += len(happening.data)
                    return
                self._backlog += len(happening.data)
            self._happenings.append(happening)
            first = not self._notified
            self._notified = True
        if first and not self._ending:
            self._notify()

    def _sleep(self, seconds: float) -> None:
        if not self._ending:
            select.select([self._wake_out], [], [], seconds)

    def _identity(self) -> tuple[str, int, int] | None:
        # Which pty this is; None for ports that may come back under their name.
        path = os.path.realpath(self.settings.url)
        if not path.startswith("/dev/pts/"):
            return None
        with suppress(OSError):
            if os.path.islink(self.settings.url):
                link = os.lstat(self.settings.url)
                return path, link.st_ino, link.st_mtime_ns
        return path, 0, 0

    def _refuse_a_reused_pty(self) -> None:
        # A pty never comes back, but the kernel soon gives its number to another terminal, which is nobody's
        # to write to. Only a link made since may be followed.
        if self._vanished is not None and self._identity() == self._vanished:
            raise PortError(
                f"port {self.settings.url} still names the pty that is gone (only a link can return)"
            )
