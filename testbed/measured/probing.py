"""Measuring a path by probes: UDP datagrams to a service that sends them back, each with its number.

No privileges are needed. Rows are written in the order of sending, a lost probe as -1, as soon as its fate is
known; `testbed.measured.formats.table` reads them.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from testbed.errors import BadInput, EnvironmentProblem

HEADER: Final = "unix_ns,seq,rtt_ms"
#: a probe that has not come back by then is lost
TIMEOUT_S: Final = 5.0
#: what every probe begins with, then its number and the wall clock
_PROBE: Final = struct.Struct("!4sIq")
_MAGIC: Final = b"ISTN"
_NS: Final = 1_000_000_000
#: datagrams that are read at most before the next probe when it is overdue
_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Probed:
    """What became of the probes."""

    sent: int
    lost: int
    #: the send call failed, with the reason of the last one; such a probe is lost
    refused: int
    reason: str


def address_of(target: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, [IPv6]:PORT included. Raises `BadInput`."""
    host, colon, port = target.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdigit() or not 1 <= int(port) <= 65_535:
        raise BadInput(f"--probe {target}: must be HOST:PORT, the port from 1 to 65535")
    return host, int(port)


def probe(
    target: str,
    out: Path,
    duration_s: float,
    interval_s: float = 0.1,
    size_bytes: int = 64,
    progress: Callable[[float], None] | None = None,
) -> Probed:
    """Send a probe every `interval_s` for `duration_s` and write when, and how long each took, into `out`.

    `progress` is given the share of the duration. Ctrl-C ends it early. Raises `BadInput` for a target that
    is none, `EnvironmentProblem` when it has no address or the file cannot be written.
    """
    host, port = address_of(target)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise EnvironmentProblem(f"--probe {target}: has no address ({error.strerror})") from None
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        try:
            sender.connect(address)
        except OSError as error:
            raise EnvironmentProblem(f"--probe {target}: cannot be reached ({error.strerror})") from None
        sender.setblocking(False)
        try:
            with out.open("w", encoding="utf-8") as file:
                file.write(HEADER + "\n")
                probing = _Probing(sender, file, max(size_bytes, _PROBE.size))
                # what was sent is written with its fate even when the user has had enough
                with suppress(KeyboardInterrupt):
                    probing.send_all(duration_s, interval_s, progress)
                with suppress(KeyboardInterrupt):
                    probing.wait_for_the_rest()
                probing.write(everything=True)
        except OSError as error:
            raise EnvironmentProblem(f"--out {out}: cannot be written ({error.strerror})") from None
    return Probed(probing.sent, probing.lost, probing.refused, probing.reason)


class _Probing:
    def __init__(self, sender: socket.socket, file: TextIO, size: int) -> None:
        self._socket, self._file, self._size = sender, file, size
        #: number -> wall clock and steady clock of sending, ns; in the order of sending
        self._waiting: dict[int, tuple[int, int]] = {}
        self._rtt_ns: dict[int, int] = {}
        self.sent = self.lost = self.refused = 0
        self.reason = ""

    def send_all(
        self, duration_s: float, interval_s: float, progress: Callable[[float], None] | None
    ) -> None:
        start_ns, interval_ns = time.monotonic_ns(), max(1, round(interval_s * _NS))
        for number in range(max(1, round(duration_s / interval_s))):
            self._receive_until(start_ns + number * interval_ns)
            self._send(number + 1)
            self.write()
            if progress is not None:
                progress((number + 1) * interval_s / duration_s)

    def wait_for_the_rest(self) -> None:
        """Until every probe has come back or is lost."""
        end_ns = time.monotonic_ns() + round(TIMEOUT_S * _NS)
        while self._waiting and time.monotonic_ns() < end_ns:
            self._receive_until(min(end_ns, time.monotonic_ns() + _NS // 10), or_all=True)
            self.write()

    def write(self, everything: bool = False) -> None:
        """Rows whose fate is known, and no row before one whose fate is not."""
        now_ns = time.monotonic_ns()
        for number in list(self._waiting):
            wall_ns, steady_ns = self._waiting[number]
            rtt_ns = self._rtt_ns.pop(number, None)
            if rtt_ns is None and not everything and now_ns - steady_ns < TIMEOUT_S * _NS:
                break
            self.lost += rtt_ns is None
            value = "-1" if rtt_ns is None else f"{rtt_ns / 1e6:.6f}"
            self._file.write(f"{wall_ns},{number},{value}\n")
            del self._waiting[number]
        self._file.flush()

    def _send(self, number: int) -> None:
        wall_ns, steady_ns = time.time_ns(), time.monotonic_ns()
        self._waiting[number] = wall_ns, steady_ns
        self.sent += 1
        try:
            self._socket.send(_PROBE.pack(_MAGIC, number, wall_ns).ljust(self._size, b"\0"))
        except OSError as error:  # nobody listens there, no route, no room
            self.refused += 1
            self.reason = error.strerror or str(error)

    def _receive_until(self, due_ns: int, or_all: bool = False) -> None:
        import select

        overdue = 0  # what has come already is read by who is late, too: it is not lost
        while not (or_all and len(self._rtt_ns) == len(self._waiting)):
            left_ns = max(due_ns - time.monotonic_ns(), 0)
            overdue += left_ns == 0
            if overdue > _AT_ONCE or not select.select([self._socket], [], [], left_ns / _NS)[0]:
                return
            try:
                answer = self._socket.recv(65_536)
            except OSError as error:
                self.reason = error.strerror or str(error)
                continue
            now_ns = time.monotonic_ns()
            if len(answer) < _PROBE.size or answer[:4] != _MAGIC:
                continue
            number = _PROBE.unpack_from(answer)[1]
            if number in self._waiting and number not in self._rtt_ns:
                self._rtt_ns[number] = now_ns - self._waiting[number][1]
