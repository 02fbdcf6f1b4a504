"""The firmware model behind a pty: an emulated microcontroller as an own process, on any Linux or macOS.

It creates a pty, tells its path (one line on stdout, and a symbolic link if asked), and runs `model`
between the pty and the host's clock. The transmit line can be paced to a baud rate. What the board
does is the subject of `model`; nothing here knows a message.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import sys
import time
import tty
from pathlib import Path
from types import FrameType

from firmware_bridge.boards.model import Model, ModelSettings
from firmware_bridge.ports import READ_BYTES, Pacer


class LinkError(OSError):
    """The link to the pty cannot be made, in one sentence."""


class PtyModel:
    """A model on a pty. `step` waits for input or the next due time, at most `wait_s`."""

    def __init__(self, settings: ModelSettings, link: Path | None = None, baud: int = 0) -> None:
        self._link = link
        self._master, self._slave = os.openpty()
        # Raw: no echo, no line editing, 0x00 and 0x03 are bytes like others. The slave stays open here, so
        # that the line lives on while no bridge has it open.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        if link is not None:
            _make_link(link, self.path)
        self._buffer_bytes = settings.buffer_bytes
        self._transmit = bytearray()
        self._pacer = Pacer(baud)
        self._poll = select.poll()
        self._poll.register(self._master, select.POLLIN)
        self.model = Model(settings, lambda: secrets.randbits(32), _now_us())

    def step(self, wait_s: float) -> None:
        """Wait, take what the line has, let the model act, and send what the baud rate allows."""
        received = b""
        if self._poll.poll(self._wait_ms(wait_s)):
            with contextlib.suppress(BlockingIOError):
                received = os.read(self._master, READ_BYTES)
        room = self._buffer_bytes - len(self._transmit)
        self._transmit += self.model.exchange(received, _now_us(), room)
        self._flush()

    def close(self) -> None:
        """Take the board off the line: the link goes, and whoever has the port open loses it."""
        if self._link is not None and self._link.is_symlink() and os.readlink(self._link) == self.path:
            self._link.unlink()
        os.close(self._master)
        os.close(self._slave)

    def _wait_ms(self, wait_s: float) -> float:
        now_ns = time.monotonic_ns()
        due_ns = now_ns + round(wait_s * 1e9)
        if self.model.next_due_us is not None:
            due_ns = min(due_ns, self.model.next_due_us * 1_000)
        if self._transmit:
            # also when the pty is full: look again in a millisecond
            due_ns = min(due_ns, max(self._pacer.next_ns(now_ns), now_ns + 1_000_000))
        return max(0.0, (due_ns - now_ns) / 1e6)

    def _flush(self) -> None:
        now_ns = time.monotonic_ns()
        allowed = self._pacer.allowance(now_ns, len(self._transmit))
        if allowed == 0:
            return
        try:
            sent = os.write(self._master, self._transmit[:allowed])
        except BlockingIOError:
            return  # nobody reads: bytes stay here, and readings that find no room are dropped
        del self._transmit[:sent]
        self._pacer.released(now_ns, sent)


def run(settings: ModelSettings, link: Path | None, baud: int) -> int:
    """Run a board until SIGTERM or SIGINT; the exit status."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        board = PtyModel(settings, link, baud)
    except LinkError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        print(board.path, flush=True)
        while True:
            board.step(1.0)
    except _Stopped:
        return 0
    finally:
        board.close()


class _Stopped(BaseException):
    """SIGTERM or SIGINT arrived."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # Raised, not noted: a poll would be taken up again after a handler that returns (PEP 475).
    raise _Stopped


def _make_link(link: Path, target: str) -> None:
    # Only a link may be replaced, as one that a killed model left behind; never a file.
    if os.path.lexists(link):
        if not link.is_symlink():
            raise LinkError(f"--link {link}: exists and is not a symbolic link")
        link.unlink()
    try:
        link.symlink_to(target)
    except OSError as error:
        raise LinkError(f"--link {link}: cannot be made: {error.strerror}") from None


def _now_us() -> int:
    return time.monotonic_ns() // 1_000
