"""Serial ports by URL, without blocking and without touching what was not named.

A URL is a path (`/dev/ttyACM0`, a pty, a link to one) or `socket://HOST:PORT`. Discovery is not a
subject here: opening a port moves modem lines and resets other people's boards, so nothing is probed.
Every failure after opening, whatever pyserial calls it, is an OSError: the device is gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

READ_BYTES: Final = 4_096
DEFAULT_BAUD: Final = 115_200
#: bits on the line for a byte: start, eight, stop
BITS_PER_BYTE: Final = 10


class PortUrlError(ValueError):
    """A port URL that can never be opened, in one sentence."""


class PortError(OSError):
    """A port that cannot be opened now, in one sentence."""


@dataclass(frozen=True)
class PortSettings:
    """How a port is opened; `dtr` and `rts` stay low unless the board needs them."""

    url: str
    baud: int = DEFAULT_BAUD
    dtr: bool = False
    rts: bool = False

    def __post_init__(self) -> None:
        check_url(self.url)
        if not 300 <= self.baud <= 12_000_000:
            raise PortUrlError(f"port {self.url}: baud is {self.baud}, allowed is 300 to 12000000")


def check_url(url: str) -> None:
    """PortUrlError unless `url` is a path or `socket://HOST:PORT`; opens nothing."""
    allowed = "allowed is a path such as /dev/ttyACM0 or socket://HOST:PORT"
    if "://" not in url:
        if not url.startswith(("/", "./", "../")):
            raise PortUrlError(f"port {url!r} is neither a path nor a URL, {allowed}")
        return
    scheme = url.split("://", 1)[0]
    if scheme != "socket":
        raise PortUrlError(f"port {url!r} has the unknown scheme {scheme!r}, {allowed}")
    try:
        parts = urlsplit(url)
        complete = bool(parts.hostname) and parts.port is not None and not (parts.path or parts.query)
    except ValueError:
        complete = False
    if not complete:
        raise PortUrlError(f"port {url!r} names no host and port, {allowed}")


class Port:
    """An open port. `read` and `write` never wait; OSError from either means that the device is gone."""

    def __init__(self, settings: PortSettings) -> None:
        """Open the port; PortError says in one sentence why it cannot be opened now."""
        import serial  # late: reading a URL or a help text needs no serial library

        self.settings = settings
        _check_path(settings.url)
        try:
            self._serial: Any = serial.serial_for_url(
                settings.url, do_not_open=True, baudrate=settings.baud, timeout=0, write_timeout=0,
                exclusive=True,
            )  # fmt: skip
            self._serial.dtr = settings.dtr
            self._serial.rts = settings.rts
            self._serial.open()
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise PortError(f"port {settings.url} {_why(error)}") from None
        self._tune()

    def _tune(self) -> None:
        # FTDI adapters gather bytes for 16 ms unless told not to; other drivers know no such setting.
        with contextlib.suppress(OSError, ValueError, AttributeError, NotImplementedError):
            self._serial.set_low_latency_mode(True)
        if self.settings.url.startswith("socket://"):
            with socket.socket(fileno=os.dup(self.fileno())) as same:
                same.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """The descriptor to poll for input."""
        return int(self._serial.fileno())

    def read(self) -> bytes:
        """What has arrived, at most `READ_BYTES`; empty if nothing. OSError: the device is gone."""
        return bytes(self._serial.read(READ_BYTES))

    def write(self, data: bytes) -> int:
        """Hand over bytes; the number taken, 0 while the line is full. OSError: the device is gone."""
        # pyserial would try again and again on a line that takes nothing, so ask first.
        if not data or not select.select([], [self.fileno()], [], 0)[1]:
            return 0
        return int(self._serial.write(data))

    def close(self) -> None:
        """Close the port; a device that is gone already is no error."""
        with contextlib.suppress(OSError):
            self._serial.close()


def _check_path(url: str) -> None:
    if "://" in url:
        return
    try:
        mode = os.stat(url).st_mode
    except OSError as error:
        raise PortError(f"port {url} {_why(error)}") from None
    if not stat.S_ISCHR(mode):
        raise PortError(f"port {url} is not a serial device")


def _why(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    text = str(error)
    if number == errno.ENOENT:
        return "does not exist (is the device plugged in?)"
    if number in (errno.EACCES, errno.EPERM):
        return "may not be opened by this user (on Debian the group dialout may)"
    if number in (errno.EAGAIN, errno.EBUSY) or "exclusively lock" in text:
        return "is in use by another program"
    if number == errno.ENOTTY or "inappropriate ioctl" in text.lower():
        return "is not a serial device"
    if number == errno.ECONNREFUSED or "refused" in text.lower():
        return "refuses the connection: nothing listens there"
    return f"cannot be opened: {text}"


class Pacer:
    """Releases bytes no faster than a baud rate would: emulated lines take everything at once.

    At most `burst_bytes` may go at a time, as from a transmit buffer of that size. 0 baud: no pacing.
    """

    def __init__(self, baud: int, burst_bytes: int = 16) -> None:
        self._byte_ns = 0 if baud == 0 else BITS_PER_BYTE * 1_000_000_000 // baud
        self._burst_ns = burst_bytes * self._byte_ns
        self._free_ns = 0  # when the line has sent everything released so far

    def allowance(self, now_ns: int, wanted: int) -> int:
        """How many of `wanted` bytes may go now."""
        if self._byte_ns == 0:
            return wanted
        ahead_ns = max(0, self._free_ns - now_ns)
        return max(0, min(wanted, (self._burst_ns - ahead_ns) // self._byte_ns))

    def released(self, now_ns: int, count: int) -> None:
        """`count` bytes went."""
        self._free_ns = max(self._free_ns, now_ns) + count * self._byte_ns

    def next_ns(self, now_ns: int) -> int:
        """When the next byte may go."""
        return max(now_ns, self._free_ns - self._burst_ns + self._byte_ns)
